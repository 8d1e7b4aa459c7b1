"""
What sorting and threading ask of a header: base subject and message identifiers (RFC 5256).
"""

from __future__ import annotations

import re

from mailaccess.message.decode import unstructured
from mailaccess.message.header import first, header_end
from mailaccess.message.limits import MAX_STRING

MAX_REFERENCES = 1_000
"""Identifiers taken of one References field: the last ones, as they are the nearest ancestors."""

MAX_SUBJECT = 2_000
"""Octets of a Subject that its base is made of."""

_BLOB = r"\[[^\[\]]*+\][ ]*+"
_LEADER = re.compile(r"(?:" + _BLOB + r")*+(?:re|fwd?)[ ]*+(?:" + _BLOB + r")?:", re.I)
_FIRST_BLOB = re.compile(_BLOB)
_SPACE = re.compile(r"[ \t\r\n]+")
_IDENTIFIER = re.compile(rb"<([^<>]++)>")
_NOISE = re.compile(rb'["\s]+')


def base_subject(value: bytes) -> tuple[str, bool]:
    """
    The base subject of a Subject value and whether it is a reply or forward (RFC 5256 section 2.1).
    """
    subject = _SPACE.sub(" ", unstructured(value[:MAX_SUBJECT])).strip(" ")
    reply = False
    while True:
        subject, trailed = _without_trailers(subject)
        reply = reply or trailed
        subject, led = _without_leaders(subject)
        reply = reply or led
        if subject[:5].lower() == "[fwd:" and subject.endswith("]"):
            subject = subject[5:-1].strip(" ")
            reply = True
            continue
        return subject, reply


def _without_trailers(subject: str) -> tuple[str, bool]:
    end, found = len(subject), False
    while True:
        if subject.endswith(" ", 0, end):
            end -= 1
        elif end >= 5 and subject[end - 5 : end].lower() == "(fwd)":
            end, found = end - 5, True
        else:
            return subject[:end], found


def _without_leaders(subject: str) -> tuple[str, bool]:
    """
    Steps 3 to 5: C{Re:}, C{Fw:} and C{[blob]} at the front, the blob only if something is left.
    """
    at, found, length = 0, False, len(subject)
    while True:
        while at < length and subject[at] == " ":
            at += 1
        match = _LEADER.match(subject, at)
        if match is not None:
            at, found = match.end(), True
            continue
        match = _FIRST_BLOB.match(subject, at)
        if match is not None and match.end() < length:
            at = match.end()
            continue
        return subject[at:], found


def identifiers(value: bytes) -> list[bytes]:
    """
    The message identifiers in a value, angle brackets and white space taken off, quotes too; the
    last L{MAX_REFERENCES}.
    """
    found = _IDENTIFIER.findall(value[-MAX_STRING:])[-MAX_REFERENCES:]
    return [_NOISE.sub(b"", word) for word in found if b"@" in word]


def references(data: bytes) -> tuple[bytes | None, list[bytes]]:
    """
    A message's own identifier, or None, and those of its ancestors, oldest first: of References,
    or where that has none the first of In-Reply-To (RFC 5256 section 3).
    """
    end = header_end(data)
    own = identifiers(first(data, 0, end, b"message-id") or b"")
    above = identifiers(first(data, 0, end, b"references") or b"")
    if not above:
        above = identifiers(first(data, 0, end, b"in-reply-to") or b"")[:1]
    return (own[0] if own else None), above
