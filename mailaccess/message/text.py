"""
What SEARCH looks at: headers and bodies as text, and the folding that makes a search blind to case.
"""

from __future__ import annotations

import unicodedata

from mailaccess.message.dates import sent_date
from mailaccess.message.decode import part_text, unstructured
from mailaccess.message.header import every, fields, header_end
from mailaccess.message.scan import Part

__all__ = ["body_text", "fold", "header_text", "header_value", "sent_date"]

MAX_TEXT = 16 * 1024 * 1024
"""
Octets of bodies looked at in one message; what comes after them is
not found by a text search.
"""


def header_text(data: bytes) -> str:
    """
    All fields of a message's header, decoded, one on a line: C{Name: value}.
    """
    return _header(data, 0, min(header_end(data), MAX_TEXT))


def _header(data: bytes, start: int, end: int) -> str:
    return "".join(
        f"{unstructured(name)}: {unstructured(data[value_start:value_end])}\n"
        for name, value_start, value_end, _, _ in fields(data, start, end)
    )


def header_value(data: bytes, name: bytes) -> list[str]:
    """
    The decoded values of all fields of that name.
    """
    return [unstructured(value) for value in every(data, 0, header_end(data), name)]


def body_text(data: bytes, root: Part) -> str:
    """
    The text of all text parts, and the headers and text of messages inside, in order, a line end
    between them.
    """
    found: list[str] = []
    room = MAX_TEXT
    work = [root]
    while work and room > 0:
        part = work.pop()
        if part.message is not None:
            inner = part.message
            found.append(_header(data, inner.header_start, inner.body_start))
            room -= inner.body_start - inner.header_start
            work.append(inner)
        elif part.children:
            work.extend(reversed(part.children))
        elif part.type.lower() == b"text":
            found.append(part_text(data, part, room))
            room -= part.end - part.body_start
    return "\n".join(found)


def fold(text: str) -> str:
    """
    Text in the form in which two strings that differ in case or in the way of writing a character
    are the same: NFKC, then full case folding, then NFKC again, as case folding can undo it
    (Unicode section 3.13).
    """
    if text.isascii():
        return text.lower()
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())
