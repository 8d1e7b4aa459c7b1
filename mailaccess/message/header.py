"""
Header blocks: where they end, which fields they have, and the subset that FETCH asks for.

Positions are offsets into the message. A line that begins with white space continues the field
before it (RFC 5322 section 2.2.3); a line without a colon is a field without a value.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Container
from functools import lru_cache

MAX_FIELDS = 10_000
"""Fields looked at in one header (MIME-03); what comes after them is kept but not understood."""

VALUE = rb"[^\n]*+(?:\n[ \t][^\n]*+)*+"
"""
Pattern of a value with the lines that continue it, without the last line feed; never backtracks.
"""
_FIELD = re.compile(rb"([^:\n]*+)(?::(" + VALUE + rb"))?(?:\n[ \t][^\n]*+)*+\n?")
_FOLD = re.compile(rb"[\r\n]+")

Field = tuple[bytes, int, int, int, int]


def header_end(data: bytes, start: int = 0, end: int | None = None) -> int:
    """
    Where the body begins: the offset after the first empty line, or C{end} if there is none.
    """
    end = len(data) if end is None else end
    if data.startswith(b"\n", start, end):
        return start + 1
    if data.startswith(b"\r\n", start, end):
        return start + 2
    found = data.find(b"\n\r\n", start, end)
    bare = data.find(b"\n\n", start, end if found < 0 else found)
    if bare >= 0:
        return bare + 2
    return end if found < 0 else found + 3


def fields(data: bytes, start: int, end: int) -> list[Field]:
    """
    The fields between two offsets, in order, at most L{MAX_FIELDS}: name as written, where the
    value begins and ends (line end not included), where the field begins and ends (line end
    included).
    """
    found: list[Field] = []
    for match in _FIELD.finditer(data, start, end):
        at, after = match.span()
        name = match[1].rstrip()
        if (not name and (after == at or match[2] is None)) or len(found) >= MAX_FIELDS:
            break
        value_start, value_end = match.span(2) if match[2] is not None else (after, after)
        if value_end > value_start and data[value_end - 1] == 13:
            value_end -= 1
        found.append((name, value_start, value_end, at, after))
    return found


def unfold(value: bytes) -> bytes:
    """
    A value on one line: line ends dropped, outer white space too, and NUL, which no IMAP string can
    carry (RFC 3501 section 4.3), made 0x80.
    """
    value = value.strip(b" \t\r\n")
    if b"\n" in value or b"\r" in value:
        value = _FOLD.sub(b"", value)
    if b"\0" in value:
        value = value.replace(b"\0", b"\x80")
    return value


@lru_cache(maxsize=512)
def _lines_of(names: frozenset[bytes]) -> re.Pattern[bytes]:
    words = b"|".join(sorted(re.escape(name) for name in names))
    # A pattern that begins with an octet is searched for several times as fast as one with "^".
    return re.compile(rb"\n((?:" + words + rb")[ \t]*+:" + VALUE + rb")", re.I)


@lru_cache(maxsize=512)
def _value_of(name: bytes) -> re.Pattern[bytes]:
    return re.compile(rb"^" + re.escape(name) + rb"[ \t]*+:(" + VALUE + rb")", re.I | re.M)


def first(data: bytes, start: int, end: int, name: bytes) -> bytes | None:
    """
    The unfolded value of the first field of that name, whatever its case; None if there is none.
    """
    pattern = _value_of(name.lower())
    match = pattern.search(data, start, end)
    return None if match is None else unfold(match[1])


def every(data: bytes, start: int, end: int, name: bytes) -> list[bytes]:
    """
    The unfolded values of all fields of that name, at most L{MAX_FIELDS}.
    """
    found = []
    for match in _value_of(name.lower()).finditer(data, start, end):
        found.append(unfold(match[1]))
        if len(found) >= MAX_FIELDS:
            break
    return found


def pick(block: bytes, names: Collection[bytes], negate: bool) -> bytes:
    """
    What HEADER.FIELDS, or with C{negate} HEADER.FIELDS.NOT, returns of a header block: fields in
    their order and as stored, then the empty line (RFC 3501 section 6.4.5). Case of names does
    not count.
    """
    return picker(names, negate)(block)


def picker(names: Collection[bytes], negate: bool) -> Callable[[bytes], bytes]:
    """
    L{pick} made ready, for many header blocks.
    """
    wanted = frozenset(name.lower() for name in names if name)
    pattern = _lines_of(wanted) if wanted else None

    def chosen(block: bytes) -> bytes:
        lines = block[: _end_of_fields(block)]
        if lines and not lines.endswith(b"\n"):
            lines += b"\r\n"
        if pattern is None:
            return lines + b"\r\n" if negate else b"\r\n"
        # Each field is found by the line end before it, the first one too.
        lines = b"\n" + lines
        if negate:
            return pattern.sub(b"", lines)[1:] + b"\r\n"
        found = pattern.findall(lines)
        found.append(b"\r\n")
        return b"\n".join(found)

    return chosen


def _end_of_fields(block: bytes) -> int:
    end = header_end(block)
    if block.endswith(b"\r\n", 0, end) and (end == 2 or block.startswith(b"\n", end - 3)):
        return end - 2
    if block.endswith(b"\n", 0, end) and (end == 1 or block.startswith(b"\n", end - 2)):
        return end - 1
    return end


_ANY = re.compile(rb"\n(([^:\n]*+):" + VALUE + rb")")


def separate(block: bytes, names: Container[bytes]) -> list[tuple[bytes, bytes]]:
    """
    The fields of a header block that L{pick} would return for these names, which are in lower case:
    for each its name in lower case, and the field without the LF at its end. Put together, and
    followed by an empty line, those of some of the names are what L{pick} returns for these.

    @param block: with CRLF for line ends, up to the first empty line or the end of the message
    """
    lines = block if block.endswith(b"\n") else block + b"\r\n"
    # Looking for any field and then at its name is faster than looking for many names.
    found = []
    for field, name in _ANY.findall(b"\n" + lines):
        plain = name.lower()
        if plain.endswith((b" ", b"\t")):
            plain = plain.rstrip(b" \t")
        if plain in names:
            found.append((plain, field))
    return found
