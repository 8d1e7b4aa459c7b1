"""
A strict reader of IMAP values (RFC 3501 section 9), written apart from the product: lists,
strings, NIL, numbers.
"""

from __future__ import annotations

import re

_QUOTED = re.compile(rb'"((?:[^"\\\r\n\0\x80-\xff]|\\["\\])*)"')
_LITERAL = re.compile(rb"\{(\d+)\}\r\n")
_NUMBER = re.compile(rb"\d+(?=[ )]|$)")


def parse(data: bytes):
    """One value that takes all of the data; ValueError where the grammar is not kept."""
    stack: list[list] = [[]]
    at, fresh = 0, True
    while at < len(data):
        here = data[at : at + 1]
        if here == b")":
            done = stack.pop()
            if not stack:
                raise ValueError(f"unbalanced at {at}")
            stack[-1].append(done)
            at, fresh = at + 1, False
            continue
        if here == b" ":
            if fresh:
                raise ValueError(f"stray space at {at}")
            at, fresh = at + 1, True
            continue
        if not fresh and not (here == b"(" and isinstance(stack[-1][-1], list)):
            raise ValueError(f"values run together at {at}: {data[max(0, at - 30) : at + 20]!r}")
        if here == b"(":
            stack.append([])
            at, fresh = at + 1, True
            continue
        at, value = _scalar(data, at)
        stack[-1].append(value)
        fresh = False
    if len(stack) != 1 or len(stack[0]) != 1:
        raise ValueError("not exactly one value")
    return stack[0][0]


def _scalar(data: bytes, at: int):
    if match := _QUOTED.match(data, at):
        return match.end(), re.sub(rb"\\(.)", rb"\1", match[1])
    if match := _LITERAL.match(data, at):
        end = match.end() + int(match[1])
        if end > len(data) or b"\0" in data[match.end() : end]:
            raise ValueError(f"bad literal at {at}")
        return end, data[match.end() : end]
    if data.startswith(b"NIL", at):
        return at + 3, None
    if match := _NUMBER.match(data, at):
        return match.end(), int(match[0])
    raise ValueError(f"no value at {at}: {data[at : at + 20]!r}")
