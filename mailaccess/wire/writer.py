"""
Values to the bytes of replies (RFC 9051 section 9). What L{mailaccess.wire.grammar} reads, it reads
back as the same value.

Nothing that is put into a reply can end it or begin another: what does not fit into quotes goes
into a literal (MIME-07).
"""

from __future__ import annotations

import datetime
import re
from collections.abc import Iterable
from functools import lru_cache

from mailaccess.wire import utf7

MAX_QUOTED = 1000
"""Longer strings are written as literals: clients have buffers for lines."""

_QUOTABLE = re.compile(rb"[\t\x20-\x7e]*")
_PLAIN = re.compile(rb"[\t\x20\x21\x23-\x5b\x5d-\x7e]*")
_SPECIAL = re.compile(rb'(["\\])')
_ASTRING = re.compile(rb"""[^\x00-\x20\x7f-\xff(){%*"\\]+""")

_MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]
_MINUTES = [b" %02d:%02d:" % divmod(minute, 60) for minute in range(1440)]
_SECONDS = [b'%02d +0000"' % second for second in range(60)]
_EPOCH = datetime.date(1970, 1, 1).toordinal()
_EARLIEST = (datetime.date.min.toordinal() - _EPOCH) * 86400
_LATEST = (datetime.date.max.toordinal() - _EPOCH + 1) * 86400 - 1


def quoted(value: bytes | str) -> bytes:
    """
    A quoted string of printable ASCII.

    @raise ValueError: it holds what cannot be quoted (line ends, NUL, other controls, 8-bit)
    """
    if isinstance(value, str):
        value = value.encode("ascii")
    if not _QUOTABLE.fullmatch(value):
        raise ValueError("only printable ASCII can be quoted")
    return b'"%b"' % _SPECIAL.sub(rb"\\\1", value)


def literal(value: bytes) -> bytes:
    """
    C{{5}}, line end, octets.
    """
    return b"{%d}\r\n%b" % (len(value), value)


def string(value: bytes) -> bytes:
    """
    Quoted where that is possible and short, otherwise a literal.
    """
    if len(value) <= MAX_QUOTED:
        if _PLAIN.fullmatch(value):
            return b'"%b"' % value
        if _QUOTABLE.fullmatch(value):
            return b'"%b"' % _SPECIAL.sub(rb"\\\1", value)
    return literal(value)


def nstring(value: bytes | None) -> bytes:
    """
    A string, or C{NIL}.
    """
    return b"NIL" if value is None else string(value)


def astring(value: bytes) -> bytes:
    """
    Without quotes where that is possible. C{NIL} gets them: some readers take it for nothing.
    """
    if len(value) <= MAX_QUOTED and _ASTRING.fullmatch(value) and value.upper() != b"NIL":
        return value
    return string(value)


def mailbox(name: str) -> bytes:
    """
    A mailbox name in modified UTF-7.
    """
    return astring(utf7.encode(name))


def flag_list(names: Iterable[str]) -> bytes:
    """
    Flags in parentheses.

    @raise UnicodeEncodeError: a name is not ASCII, so no flag
    """
    return b"(%b)" % " ".join(names).encode("ascii")


def date_time(seconds: int) -> bytes:
    """
    C{"17-Jul-1996 02:44:25 +0000"}, with its quotes.

    @param seconds: since 1970 UTC; what lies outside of the years 1 to 9999 is moved to their end
    """
    if not _EARLIEST <= seconds <= _LATEST:
        seconds = min(max(seconds, _EARLIEST), _LATEST)
    days, rest = divmod(seconds, 86400)
    return _day(days) + _MINUTES[rest // 60] + _SECONDS[rest % 60]


@lru_cache(maxsize=8192)
def _day(days: int) -> bytes:
    day = datetime.date.fromordinal(days + _EPOCH)
    # date-day-fixed = (SP DIGIT) / 2DIGIT
    return f'"{day.day:2d}-{_MONTHS[day.month - 1]}-{day.year:04d}'.encode("ascii")


def number_list(numbers: Iterable[int]) -> bytes:
    """
    Numbers with a space between two.
    """
    # How Python writes a list is faster than writing each number.
    return str([*numbers]).encode("ascii").translate(None, b"[],")
