"""
ENVELOPE: the header as IMAP clients list it (RFC 3501 section 7.4.2).
"""

from __future__ import annotations

from mailaccess.message.address import addresses
from mailaccess.message.header import header_end, unfold
from mailaccess.message.limits import MAX_ADDRESSES, MAX_STRING, MAX_VALUE
from mailaccess.message.scan import Fields, fields_of_message
from mailaccess.wire.writer import nstring, string


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
    room = MAX_VALUE
    for value in fields.get(name, ()):
        found = addresses(value[:room])
        room -= len(value)
        for display, route, mailbox, host in found:
            written.append(
                b"(%s %s %s %s)"
                % (
                    b"NIL" if display is None else nstring(display),
                    b"NIL" if route is None else nstring(route),
                    nstring(mailbox),
                    nstring(host),
                )
            )
        if room <= 0 or len(written) >= MAX_ADDRESSES:
            break
    return b"(" + b"".join(written) + b")" if written else default
