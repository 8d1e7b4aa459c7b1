"""
Values of the form C{word; name=value; ...}: Content-Type (RFC 2045 section 5.1) and
Content-Disposition (RFC 2183 section 2). Linear in the length of the value, whatever it holds.

Parameters are returned as written, RFC 2231 pieces (C{name*0*}) included: IMAP clients join them.
"""

from __future__ import annotations

import re
from functools import lru_cache

from mailaccess.message.header import unfold
from mailaccess.message.limits import MAX_PARAMETERS, MAX_STRING, MAX_VALUE

Parameters = tuple[tuple[bytes, bytes], ...]

_SHORT = 128
"""Octets of a value that is worth remembering."""

_WORD = rb"[^\0-\x20()<>@,;:\\\"/\[\]?=\x7f]++"
_TYPE = re.compile(rb"[ \t]*+(" + _WORD + rb")[ \t]*+/[ \t]*+(" + _WORD + rb")")
_FIRST = re.compile(rb"[ \t]*+(" + _WORD + rb")")
_GAP = re.compile(rb"[; \t]*+")
_PAIR = re.compile(
    rb"(" + _WORD + rb")[ \t]*+=[ \t]*+"
    rb'(?:"([^"\\]*+)"|((?:[^\0-\x20;"(])++))[ \t]*+(?=;|$)'
)
_QUOTED = re.compile(rb'"((?:[^"\\]|\\.)*+)("?)', re.S)
_ESCAPE = re.compile(rb"\\(.?)", re.S)
_PAREN = re.compile(rb"[()\\\"]")


def without_comments(value: bytes) -> bytes:
    """
    The value with each comment made a space; comments nest (RFC 5322 section 3.2.2). One that
    does not end takes the rest.
    """
    if b"(" not in value:
        return value
    kept, at, depth, since, quoted = [], 0, 0, 0, False
    for match in _PAREN.finditer(value):
        position = match.start()
        if position < at:
            continue
        what = match[0]
        if what == b"\\":
            at = position + 2
        elif quoted or (what == b'"' and not depth):
            if what == b'"':
                quoted = not quoted
        elif what == b"(":
            if not depth:
                kept.append(value[since:position])
                kept.append(b" ")
            depth += 1
        elif what == b")" and depth:
            depth -= 1
            since = position + 1
    if not depth:
        kept.append(value[since:])
    return b"".join(kept)


def unquote(value: bytes) -> bytes:
    """
    The inside of a quoted string with its escapes taken away.
    """
    return _ESCAPE.sub(rb"\1", value) if b"\\" in value else value


def content_type(value: bytes) -> tuple[bytes, bytes, Parameters] | None:
    """
    Type and subtype as written, and the parameters; None if there is no type.
    """
    return _content_type(value) if len(value) > _SHORT else _known_content_type(value)


def _content_type(value: bytes) -> tuple[bytes, bytes, Parameters] | None:
    value = without_comments(unfold(value[:MAX_VALUE]))
    match = _TYPE.match(value)
    if match is None:
        return None
    return match[1][:MAX_STRING], match[2][:MAX_STRING], parameters(value, match.end())


# Most messages say what others said.
_known_content_type = lru_cache(maxsize=1024)(_content_type)


def disposition(value: bytes) -> tuple[bytes, Parameters] | None:
    """
    The disposition as written, and its parameters; None if there is none.
    """
    value = without_comments(unfold(value[:MAX_VALUE]))
    match = _FIRST.match(value)
    if match is None:
        return None
    return match[1][:MAX_STRING], parameters(value, match.end())


def parameters(value: bytes, at: int = 0) -> Parameters:
    """
    The parameters from an offset on, at most L{MAX_PARAMETERS}; what is no parameter is skipped
    up to the next semicolon.
    """
    found: list[tuple[bytes, bytes]] = []
    room = MAX_STRING
    while len(found) < MAX_PARAMETERS:
        at = value.find(b";", at)
        if at < 0:
            break
        gap = _GAP.match(value, at)
        assert gap is not None
        at = gap.end()
        match = _PAIR.match(value, at)
        if match is not None:
            name, text = match[1], match[2] if match[3] is None else match[3]
            at = match.end()
        else:
            loose = _loose(value, at)
            if loose is None:
                continue
            name, text, at = loose
        room -= len(name) + len(text)
        if room < 0:
            break
        found.append((name, text))
    return tuple(found)


_NAME = re.compile(rb"([^\0-\x20;=\"]++)[ \t]*+=[ \t]*+")
# a value with spaces in it, but not what looks like a next parameter whose semicolon was forgotten
_BARE = re.compile(rb"[^; \t]*+(?:[ \t]++(?![^; \t=\"]++=)[^; \t]++)*+")


def _loose(value: bytes, at: int) -> tuple[bytes, bytes, int] | None:
    """
    A parameter with escapes, an unfinished quote, or octets that only a quoted string may have.
    """
    named = _NAME.match(value, at)
    if named is None:
        return None
    at = named.end()
    quoted = _QUOTED.match(value, at)
    if quoted is not None:
        return named[1], unquote(quoted[1]), quoted.end()
    bare = _BARE.match(value, at)
    assert bare is not None
    return named[1], bare[0].rstrip(b" \t"), bare.end()
