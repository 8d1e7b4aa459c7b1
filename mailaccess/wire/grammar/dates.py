"""
Dates and times (RFC 9051 section 9).
"""

from __future__ import annotations

import datetime
import re

from mailaccess.errors import BadSyntax
from mailaccess.wire.cursor import Cursor

_NAMES = b"JAN FEB MAR APR MAY JUN JUL AUG SEP OCT NOV DEC".split()
_MONTH = {name: number for number, name in enumerate(_NAMES, 1)}

_DATE_TEXT = rb"([0-9]{1,2})-([A-Za-z]{3})-([0-9]{4})"
_DATE = re.compile(rb'(?:"%b"|%b)' % (_DATE_TEXT, _DATE_TEXT))
_DATE_TIME = re.compile(
    rb'"((?: [0-9])|[0-9]{2})-([A-Za-z]{3})-([0-9]{4}) '
    rb'([0-9]{2}):([0-9]{2}):([0-9]{2}) ([+-])([0-9]{2})([0-9]{2})"'
)
_EPOCH = datetime.date(1970, 1, 1).toordinal()


# date = date-text / DQUOTE date-text DQUOTE
# date-text = date-day "-" date-month "-" date-year
# date-day = 1*2DIGIT ; date-year = 4DIGIT
def date(c: Cursor) -> datetime.date:
    """
    A day, as SEARCH takes it.
    """
    start = c.pos
    found = c.match(_DATE, "date")
    day, month, year = found.groups()[:3] if found[1] else found.groups()[3:]
    return _day(day, month, year, start)


# date-time = DQUOTE date-day-fixed "-" date-month "-" date-year SP time SP zone DQUOTE
# date-day-fixed = (SP DIGIT) / 2DIGIT
# time = 2DIGIT ":" 2DIGIT ":" 2DIGIT
# zone = ("+" / "-") 4DIGIT
def date_time(c: Cursor) -> int:
    """
    Seconds since 1970 UTC. A leap second is the second after it.
    """
    start = c.pos
    found = c.match(_DATE_TIME, "date-time")
    day = _day(found[1], found[2], found[3], start)
    hours, minutes, seconds, zone_hours, zone_minutes = (int(found[n]) for n in (4, 5, 6, 8, 9))
    if hours > 23 or minutes > 59 or seconds > 60 or zone_hours > 23 or zone_minutes > 59:
        raise BadSyntax("date-time", start)
    offset = zone_hours * 3600 + zone_minutes * 60
    if found[7] == b"-":
        offset = -offset
    days = day.toordinal() - _EPOCH
    return days * 86400 + hours * 3600 + minutes * 60 + seconds - offset


def _day(day: bytes, month: bytes, year: bytes, start: int) -> datetime.date:
    try:
        return datetime.date(int(year), _MONTH[month.upper()], int(day))
    except (KeyError, ValueError):
        raise BadSyntax("date", start) from None
