"""
The tree of a message's parts, found in one pass without recursion.

A multipart is cut at its own delimiter lines (RFC 2046 section 5.1.1) before its children are
looked at, so that a part never reaches beyond its parent and every octet is searched at most once
for each level. A delimiter is the whole line: C{--boundary} or C{--boundary--} and white space,
which keeps a boundary apart from a longer one that begins with it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from itertools import islice

from mailaccess.message.header import MAX_FIELDS, VALUE, header_end, unfold
from mailaccess.message.limits import MAX_DEPTH, MAX_MESSAGES, MAX_PARTS, MAX_STRING
from mailaccess.message.parameters import (
    Parameters,
    content_type,
    disposition,
    without_comments,
)

_CONTENT = rb"content-(?:type|transfer-encoding|disposition|id|description|md5|language|location)"
_ENVELOPE = rb"date|subject|from|sender|reply-to|to|cc|bcc|in-reply-to|message-id"
# A pattern that begins with an octet is searched for twice as fast as one with "^".
_FIELDS_OF_PART = re.compile(rb"\n(" + _CONTENT + rb")[ \t]*+:(" + VALUE + rb")", re.I)
_FIELDS_OF_MESSAGE = re.compile(
    rb"\n(" + _CONTENT + rb"|" + _ENVELOPE + rb")[ \t]*+:(" + VALUE + rb")", re.I
)
_LEFT_OF_DELIMITER = re.compile(rb"(--)?[ \t]*+\r?(?:\n|\Z)")

_LARGE = 64 * 1024

Fields = dict[bytes, list[bytes]]


class Part:
    """
    One part, or the message itself. Offsets count from the start of the message.

    @ivar header_start: where its header begins
    @ivar body_start: where its body begins, after the empty line
    @ivar end: where its body ends
    @ivar type: as written; C{text} where nothing is said
    @ivar subtype: as written; C{plain} where nothing is said
    @ivar params: of the Content-Type, names and values as written
    @ivar children: of a multipart
    @ivar message: of a message/rfc822, else None
    @ivar fields: raw values of the fields that describe it, by lower-case name
    @ivar opaque: beyond a limit: not taken apart
    """

    __slots__ = (
        "body_start",
        "children",
        "end",
        "fields",
        "header_start",
        "message",
        "opaque",
        "params",
        "subtype",
        "type",
    )

    def __init__(self, start: int, end: int) -> None:
        self.header_start = start
        self.body_start = start
        self.end = end
        self.type = b"text"
        self.subtype = b"plain"
        self.params: Parameters = ()
        self.fields: Fields = {}
        self.children: list[Part] = []
        self.message: Part | None = None
        self.opaque = False

    def field(self, name: bytes) -> bytes | None:
        """
        The unfolded value of the first such field; None if there is none.
        """
        values = self.fields.get(name)
        return None if values is None else unfold(values[0][:MAX_STRING])

    @property
    def multipart(self) -> bool:
        """
        Whether it is a container of parts, be it an empty one.
        """
        return not self.opaque and self.type.lower() == b"multipart"

    @property
    def encoding(self) -> bytes:
        """
        The Content-Transfer-Encoding as written; C{7BIT} where nothing is said (RFC 2045 section
        6.1).
        """
        value = without_comments(self.field(b"content-transfer-encoding") or b"")
        return value.split(b";", 1)[0].strip() or b"7BIT"

    @property
    def disposition(self) -> tuple[bytes, Parameters] | None:
        """
        The Content-Disposition and its parameters.
        """
        values = self.fields.get(b"content-disposition")
        return None if values is None else disposition(values[0])

    def lines(self, data: bytes) -> int:
        """
        Line ends in the body.
        """
        return data.count(b"\n", self.body_start, self.end)


def fields_of_message(data: bytes, start: int, end: int) -> Fields:
    """
    Raw values of the fields that ENVELOPE and BODYSTRUCTURE need, by lower-case name, in order.
    """
    return _collect(_FIELDS_OF_MESSAGE, data, start, end)


def _collect(pattern: re.Pattern[bytes], data: bytes, start: int, end: int) -> Fields:
    found: Fields = {}
    block = b"\n" + data[start:end]
    if len(block) > _LARGE:
        # More fields than anybody wants would take much memory all at once.
        matches: Iterable[tuple[bytes, bytes]] = (
            (match[1], match[2]) for match in islice(pattern.finditer(block), MAX_FIELDS)
        )
    else:
        matches = pattern.findall(block)
    for name, value in matches:
        name = name.lower()
        if name in found:
            found[name].append(value)
        else:
            found[name] = [value]
    return found


def scan(data: bytes) -> Part:
    """
    The whole tree. Never fails: what is broken or beyond a limit is an opaque part.
    """
    root = Part(0, len(data))
    total = 1
    # part, depth, messages around it, whether it is a message, whether it stands in a digest
    work = [(root, 0, 0, True, False)]
    while work:
        part, depth, messages, is_message, in_digest = work.pop()
        part.body_start = body = header_end(data, part.header_start, part.end)
        part.fields = _collect(
            _FIELDS_OF_MESSAGE if is_message else _FIELDS_OF_PART, data, part.header_start, body
        )
        _settle_type(part, in_digest)
        kind = part.type.lower()
        if kind == b"multipart":
            boundary = _boundary(part)
            if depth >= MAX_DEPTH or total >= MAX_PARTS:
                part.opaque = True
                continue
            if boundary is None:
                continue
            part.children = _cut(data, part, boundary, MAX_PARTS - total)
            total += len(part.children)
            digest = part.subtype.lower() == b"digest"
            work.extend(
                (child, depth + 1, messages, False, digest) for child in reversed(part.children)
            )
        elif kind == b"message" and part.subtype.lower() == b"rfc822":
            if depth >= MAX_DEPTH or messages >= MAX_MESSAGES or total >= MAX_PARTS:
                part.opaque = True
                continue
            part.message = inner = Part(body, part.end)
            total += 1
            work.append((inner, depth + 1, messages + 1, True, False))
    return root


def _settle_type(part: Part, in_digest: bool) -> None:
    values = part.fields.get(b"content-type")
    parsed = None if values is None else content_type(values[0])
    if parsed is not None:
        part.type, part.subtype, part.params = parsed
    elif values is None and in_digest:
        part.type, part.subtype = b"message", b"rfc822"


def _boundary(part: Part) -> bytes | None:
    for name, value in part.params:
        if name.lower() == b"boundary":
            return value.rstrip(b" \t") or None
    return None


def _cut(data: bytes, part: Part, boundary: bytes, room: int) -> list[Part]:
    """
    The parts between the delimiter lines; the last one takes what is left when there is no more
    room.
    """
    children: list[Part] = []
    delimiter = b"\n--" + boundary
    width = len(delimiter)
    body, end = part.body_start, part.end
    at = body - 1 if data.startswith(delimiter[1:], body, end) else data.find(delimiter, body, end)
    start = -1
    while at >= 0:
        rest = _LEFT_OF_DELIMITER.match(data, at + width, end)
        if rest is None:
            at = data.find(delimiter, at + width, end)
            continue
        if start >= 0:
            stop = at - 1 if at > start and data[at - 1] == 13 else at
            children.append(Part(start, max(start, stop)))
            if len(children) >= room:
                children[-1].end = end
                return children
        if rest[1] is not None:
            return children
        start = rest.end()
        at = data.find(delimiter, start - 1, end)
    if start >= 0:
        children.append(Part(start, end))
    return children
