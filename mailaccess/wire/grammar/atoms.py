"""
The small words of IMAP: atoms, strings, numbers (RFC 9051 section 9, RFC 3501 section 9).
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TypeVar

from mailaccess.errors import BadSyntax
from mailaccess.wire.cursor import Cursor

T = TypeVar("T")

_ATOM = re.compile(rb"""[^\x00-\x20\x7f-\xff(){%*"\\\]]+""")
_ASTRING_CHARS = re.compile(rb"""[^\x00-\x20\x7f-\xff(){%*"\\]+""")
_TAG = re.compile(rb"""[^\x00-\x20\x7f-\xff(){%*"\\+]+""")
_PLAIN_QUOTED = re.compile(rb'"([^\x00\r\n"\\\x80-\xff]*)"')
_QUOTED = re.compile(rb'"([^\x00\r\n"\\]*+(?:\\["\\][^\x00\r\n"\\]*+)*+)"')
_ESCAPE = re.compile(rb"\\(.)")
_LITERAL = re.compile(rb"~?\{([0-9]+)\+?\}\r?\n")
_NUMBER = re.compile(rb"[0-9]+")
_SEVEN_BITS = re.compile(rb"[\x00-\x7f]*")

_QUOTE = ord('"')


# tag = 1*<any ASTRING-CHAR except "+">
def tag(c: Cursor) -> bytes:
    """
    The client's word for this command.
    """
    return c.match(_TAG, "tag")[0]


# atom = 1*ATOM-CHAR
# ATOM-CHAR = <any CHAR except atom-specials>
# atom-specials = "(" / ")" / "{" / SP / CTL / list-wildcards / quoted-specials / resp-specials
def atom(c: Cursor) -> bytes:
    """
    A word as it came; compare it in capitals.
    """
    return c.match(_ATOM, "atom")[0]


# astring = 1*ASTRING-CHAR / string
# ASTRING-CHAR = ATOM-CHAR / resp-specials
def astring(c: Cursor) -> bytes:
    """
    A string that may come without quotes.
    """
    found = _ASTRING_CHARS.match(c.text, c.pos)
    if found is None:
        return string(c, "astring")
    c.pos = found.end()
    return found[0]


# string = quoted / literal
# quoted = DQUOTE *QUOTED-CHAR DQUOTE
# QUOTED-CHAR = <any TEXT-CHAR except quoted-specials> / "\" quoted-specials /
#               UTF8-2 / UTF8-3 / UTF8-4
# literal = "{" number64 ["+"] "}" CRLF *CHAR8     ; CHAR8 = %x01-ff
def string(c: Cursor, expected: str = "string") -> bytes:
    """
    The decoded octets of a quoted string or a literal.
    """
    plain = _PLAIN_QUOTED.match(c.text, c.pos)
    if plain is not None:
        c.pos = plain.end()
        return plain[1]
    if c.peek() == _QUOTE:
        found = c.match(_QUOTED, "quoted string")
        value = _ESCAPE.sub(rb"\1", found[1])
        if not _SEVEN_BITS.fullmatch(value) and not (c.utf8 and _is_utf8(value)):
            raise BadSyntax("quoted string of 7-bit characters", found.start())
        return value
    if c.peek() == ord("{"):
        start = c.pos
        value = literal(c)
        if b"\x00" in value:
            raise BadSyntax("literal without NUL", start)
        return value
    raise c.wrong(expected)


# literal = "{" number64 ["+"] "}" CRLF *CHAR8
# literal8 = "~{" number64 ["+"] "}" CRLF *OCTET
def literal(c: Cursor) -> bytes:
    """
    A literal or literal8 that the framer left in the text.
    """
    start = c.pos
    found = c.match(_LITERAL, "literal")
    size = found[1].lstrip(b"0")
    end = c.pos + int(size or b"0") if len(size) <= 19 else len(c.text) + 1
    if end > len(c.text):
        c.pos = start
        raise c.wrong("literal")
    value = c.text[c.pos : end]
    c.pos = end
    return value


# nstring = string / nil
def nstring(c: Cursor) -> bytes | None:
    """
    A string, or None for C{NIL}.
    """
    if c.peek() in (ord("n"), ord("N")):
        c.expect(b"NIL")
        return None
    return string(c, "nstring")


# number = 1*DIGIT            ; 0 <= n < 4,294,967,296
def number(c: Cursor) -> int:
    """
    0 to 2**32-1.
    """
    return _bounded(c, 0, 2**32 - 1, "number")


# nz-number = digit-nz *DIGIT ; 0 < n < 4,294,967,296
def nz_number(c: Cursor) -> int:
    """
    1 to 2**32-1, without leading zeros.
    """
    return _bounded(c, 1, 2**32 - 1, "nz-number")


# number64 = 1*DIGIT          ; 0 <= n <= 9,223,372,036,854,775,807
def number64(c: Cursor) -> int:
    """
    0 to 2**63-1.
    """
    return _bounded(c, 0, 2**63 - 1, "number64")


# nz-number64 = digit-nz *DIGIT
def nz_number64(c: Cursor) -> int:
    """
    1 to 2**63-1, without leading zeros.
    """
    return _bounded(c, 1, 2**63 - 1, "nz-number64")


def _bounded(c: Cursor, low: int, high: int, expected: str) -> int:
    start = c.pos
    digits = c.match(_NUMBER, expected)[0]
    significant = digits.lstrip(b"0") or b"0"
    value = int(significant) if len(significant) <= 19 else high + 1
    if not low <= value <= high or (low and digits[:1] == b"0"):
        c.pos = start
        raise c.wrong(expected)
    return value


def parenthesised(
    c: Cursor, item: Callable[[Cursor], T], max_items: int, *, empty: bool = False
) -> list[T]:
    """
    Items in parentheses, one space between two.

    @param max_items: more are C{BadSyntax}
    @param empty: whether C{()} is right
    """
    c.open()
    items: list[T] = []
    if not (empty and c.peek() == ord(")")):
        items.append(item(c))
        while c.peek() == ord(" "):
            if len(items) >= max_items:
                raise c.wrong(f"at most {max_items} items")
            c.pos += 1
            items.append(item(c))
    c.close()
    return items


def _is_utf8(value: bytes) -> bool:
    try:
        value.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True
