"""
ENVELOPE: the header as IMAP clients list it (RFC 3501 section 7.4.2).
"""

from __future__ import annotations

from functools import lru_cache

from mailaccess.message.address import addresses
from mailaccess.message.header import header_end, unfold
from mailaccess.message.limits import MAX_ADDRESSES, MAX_STRING, MAX_VALUE
from mailaccess.message.scan import Fields, fields_of_message
from mailaccess.wire.writer import nstring, string

_SHORT = 128
"""Octets of a value that is worth remembering."""


def envelope(data: bytes, start: int = 0, end: int | None = None) -> bytes:
    """
    The wire form, parentheses included, of the header that begins at an offset. Everything in it
    is a quoted string or a literal, so that no header can write IMAP of its own (MIME-07).
    """
    end = header_end(data, start, end)
    return render(fields_of_message(data, start, end))


def render(fields: Fields) -> bytes:
    """
    The wire form of fields that were collected already. Fields given twice: address lists are
    joined, of the others the last counts.
    """
    sender = _list(fields, b"from")
    return b"(%s %s %s %s %s %s %s %s %s %s)" % (
        _text(fields, b"date"),
        _text(fields, b"subject"),
        sender,
        _list(fields, b"sender", sender),
        _list(fields, b"reply-to", sender),
        _list(fields, b"to"),
        _list(fields, b"cc"),
        _list(fields, b"bcc"),
        _text(fields, b"in-reply-to"),
        _text(fields, b"message-id"),
    )


def _text(fields: Fields, name: bytes) -> bytes:
    values = fields.get(name)
    return b"NIL" if values is None else string(unfold(values[-1][:MAX_STRING]))


def _list(fields: Fields, name: bytes, default: bytes = b"NIL") -> bytes:
    written: list[bytes] = []
    room, count = MAX_VALUE, 0
    for value in fields.get(name, ()):
        text, more = _written(value[:room]) if len(value) > _SHORT else _known(value)
        written.append(text)
        count += more
        room -= len(value)
        if room <= 0 or count >= MAX_ADDRESSES:
            break
    return b"(" + b"".join(written) + b")" if count else default


def _written(value: bytes) -> tuple[bytes, int]:
    """
    The addresses of one field, and how many they are.
    """
    found = [
        b"(%s %s %s %s)"
        % (
            b"NIL" if display is None else nstring(display),
            b"NIL" if route is None else nstring(route),
            nstring(mailbox),
            nstring(host),
        )
        for display, route, mailbox, host in addresses(value)
    ]
    return b"".join(found), len(found)


# Few people write most of the mail.
_known = lru_cache(maxsize=4096)(_written)
