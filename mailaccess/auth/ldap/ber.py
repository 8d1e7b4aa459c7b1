"""
As much of BER as the replies need that are read without C{ldap3}: X.690 with definite lengths.
"""

from __future__ import annotations


class BadBER(ValueError):
    """
    Not BER, or more of it than there may be.
    """


def header(data: bytes, at: int = 0) -> tuple[int, int, int] | None:
    """
    Tag, offset of the content and its length, for the element that begins at C{at}; None if too
    little of it is there.

    @raise BadBER: indefinite, or longer than 4 octets of length can say
    """
    if len(data) < at + 2:
        return None
    tag, first = data[at], data[at + 1]
    if tag & 0x1F == 0x1F:
        raise BadBER("long tag")
    if first < 0x80:
        return tag, at + 2, first
    octets = first & 0x7F
    if not 1 <= octets <= 4:
        raise BadBER("length")
    if len(data) < at + 2 + octets:
        return None
    return tag, at + 2 + octets, int.from_bytes(data[at + 2 : at + 2 + octets], "big")


def elements(data: bytes) -> list[tuple[int, bytes]]:
    """
    Tag and content of each element.

    @raise BadBER: anything else
    """
    found: list[tuple[int, bytes]] = []
    at = 0
    while at < len(data):
        head = header(data, at)
        if head is None or head[1] + head[2] > len(data):
            raise BadBER("cut off")
        tag, start, length = head
        found.append((tag, data[start : start + length]))
        at = start + length
    return found
