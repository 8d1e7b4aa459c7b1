"""
The octets that C{BODY[section]} names (RFC 3501 section 6.4.5).
"""

from __future__ import annotations

from collections.abc import Collection

from mailaccess.message.header import header_end, pick
from mailaccess.message.scan import Part, scan


def find(root: Part, numbers: tuple[int, ...]) -> Part | None:
    """
    The part of that number, or None. Part 1 of a message that is no multipart is its body;
    numbers below a message/rfc822 are those of the message in it.
    """
    container, part = root, None
    for number in numbers:
        if part is not None:
            if part.message is not None:
                container = part.message
            elif part.multipart:
                container = part
            else:
                return None
        if container.multipart:
            if not container.children and number == 1:
                # what BODYSTRUCTURE shows in place of no parts
                part = Part(container.end, container.end)
                continue
            if not 1 <= number <= len(container.children):
                return None
            part = container.children[number - 1]
        elif number == 1:
            part = container
        else:
            return None
    return part


def section(
    data: bytes,
    parts: tuple[int, ...],
    kind: str,
    fields: Collection[bytes] = (),
    root: Part | None = None,
) -> bytes | None:
    """
    The octets, or None when there is no such part.

    @param parts: part numbers, none for the message itself
    @param kind: empty, C{HEADER}, C{HEADER.FIELDS}, C{HEADER.FIELDS.NOT}, C{TEXT} or C{MIME}
    @param fields: names for C{HEADER.FIELDS}
    @param root: L{scan} of the message, where it is at hand
    """
    where = bounds(data, parts, kind, root)
    if where is None:
        return None
    if where == (0, len(data)):
        octets = data
    else:
        octets = data[where[0] : where[1]]
    if not kind.startswith("HEADER.FIELDS"):
        return octets
    return pick(octets, fields, kind == "HEADER.FIELDS.NOT")


def bounds(
    data: bytes, parts: tuple[int, ...], kind: str, root: Part | None = None
) -> tuple[int, int] | None:
    """
    Where the octets begin and end, of the whole header for the kinds that pick fields; None when
    there is no such part. The parameters are those of L{section}.
    """
    if not parts:
        if kind == "":
            return 0, len(data)
        if kind == "MIME":
            return None
        start, body, end = 0, header_end(data), len(data)
    else:
        part = find(scan(data) if root is None else root, parts)
        if part is None:
            return None
        if kind == "":
            return part.body_start, part.end
        if kind == "MIME":
            return part.header_start, part.body_start
        message = part.message
        if message is None:
            return None
        start, body, end = message.header_start, message.body_start, message.end
    return (body, end) if kind == "TEXT" else (start, body)
