"""
The Date field (RFC 5322 section 3.3), its obsolete forms (section 4.3), and those of old programs.
"""

from __future__ import annotations

import datetime
import re

from mailaccess.message.header import first, header_end
from mailaccess.message.parameters import without_comments

_MONTHS = {
    name: number
    for number, name in enumerate(
        (
            b"jan",
            b"feb",
            b"mar",
            b"apr",
            b"may",
            b"jun",
            b"jul",
            b"aug",
            b"sep",
            b"oct",
            b"nov",
            b"dec",
        ),
        1,
    )
}
_MONTH = rb"(jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)[a-z]*"
_DAY_FIRST = re.compile(
    rb"(?<!\d)(\d{1,2})(?:[ \t,./-]{1,9})" + _MONTH + rb"[ \t,./-]{1,9}(\d{2,4})(?!\d)"
)
_MONTH_FIRST = re.compile(
    _MONTH + rb"[ \t]{1,9}(\d{1,2}),?[ \t]{1,9}(?:[^\n]{0,40}?(?<![\d:+-]))?(\d{4})(?!\d)"
)
_ISO = re.compile(rb"(?<!\d)(\d{4})-(\d{2})-(\d{2})(?!\d)")
_LONGEST = 200


def sent_date(data: bytes) -> datetime.date | None:
    """
    The day in the Date field of a message, time and zone disregarded (RFC 3501 section 6.4.4,
    SENTON); None where there is none that can be read.
    """
    value = first(data, 0, header_end(data), b"date")
    return None if value is None else parse_date(value)


def parse_date(value: bytes) -> datetime.date | None:
    """
    The day of a date and time as written in a header.
    """
    value = without_comments(value[:_LONGEST]).lower()
    if match := _DAY_FIRST.search(value):
        day, month, year = int(match[1]), _MONTHS[match[2]], match[3]
    elif match := _MONTH_FIRST.search(value):
        day, month, year = int(match[2]), _MONTHS[match[1]], match[3]
    elif match := _ISO.search(value):
        day, month, year = int(match[3]), int(match[2]), match[1]
    else:
        return None
    number = int(year)
    if len(year) == 2:
        # RFC 5322 section 4.3
        number += 2000 if number < 50 else 1900
    elif len(year) == 3:
        number += 1900
    try:
        return datetime.date(number, month, day)
    except ValueError:
        return None
