"""
Which part of a message FETCH asks for: C{[1.2.HEADER.FIELDS (SUBJECT)]<0.100>}.
"""

from __future__ import annotations

import re

import attrs

from mailaccess.errors import BadSyntax
from mailaccess.wire.cursor import Cursor
from mailaccess.wire.grammar.atoms import astring, number64, nz_number64, parenthesised

MAX_FIELDS = 500
MAX_PARTS = 100
"""How deep a part may lie; no message is scanned deeper."""

_PARTS = re.compile(rb"[1-9][0-9]{0,9}(?:\.[1-9][0-9]{0,9})*+")
_KIND = re.compile(rb"HEADER\.FIELDS\.NOT|HEADER\.FIELDS|HEADER|TEXT|MIME", re.IGNORECASE)
_FIELD_NAME = re.compile(rb"[\x21-\x39\x3b-\x7e]+")


@attrs.frozen
class Section:
    """
    @ivar parts: part numbers, outermost first
    @ivar kind: empty for the whole of it, or C{HEADER}, C{HEADER.FIELDS}, C{HEADER.FIELDS.NOT},
        C{TEXT}, C{MIME}
    @ivar fields: header field names as they came, of the two kinds that have them
    """

    parts: tuple[int, ...] = ()
    kind: str = ""
    fields: tuple[bytes, ...] = ()


# section = "[" [section-spec] "]"
# section-spec = section-msgtext / (section-part ["." section-text])
# section-msgtext = "HEADER" / "HEADER.FIELDS" [".NOT"] SP header-list / "TEXT"
# section-part = nz-number *("." nz-number)
# section-text = section-msgtext / "MIME"
def section(c: Cursor) -> Section:
    """
    The section with its brackets.
    """
    c.expect(b"[")
    parts = _parts(c)
    kind = ""
    fields: tuple[bytes, ...] = ()
    if (not parts and c.peek() != ord("]")) or (parts and c.take(b".")):
        start = c.pos
        kind = c.match(_KIND, "section-text" if parts else "section-msgtext")[0].decode().upper()
        if kind == "MIME" and not parts:
            raise BadSyntax("section-msgtext", start)
        if kind.startswith("HEADER.FIELDS"):
            c.space()
            fields = tuple(parenthesised(c, header_fld_name, MAX_FIELDS))
    c.expect(b"]")
    return Section(parts, kind, fields)


def _parts(c: Cursor) -> tuple[int, ...]:
    found = _PARTS.match(c.text, c.pos)
    if found is None:
        return ()
    numbers = tuple(map(int, found[0].split(b"."))) if found.end() - c.pos <= 1200 else ()
    if not 0 < len(numbers) <= MAX_PARTS or max(numbers) >= 2**32:
        raise c.wrong("section-part")
    c.pos = found.end()
    return numbers


# header-fld-name = astring
def header_fld_name(c: Cursor) -> bytes:
    """
    A header field name: printable, no colon (RFC 5322 section 2.2), so that it can be echoed.
    """
    start = c.pos
    name = astring(c)
    if not _FIELD_NAME.fullmatch(name):
        raise BadSyntax("header-fld-name", start)
    return name


# partial = "<" number64 "." nz-number64 ">"
def partial(c: Cursor) -> tuple[int, int] | None:
    """
    Offset and count of octets, or None where none is given.
    """
    if not c.take(b"<"):
        return None
    offset = number64(c)
    c.expect(b".")
    count = nz_number64(c)
    c.expect(b">")
    return offset, count
