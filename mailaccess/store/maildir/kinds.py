"""
What is kept of messages because computing it takes long: structures, the header fields that clients
ask for in lists, and the text that is searched.

Searched text is folded and in UTF-8, each piece followed by an octet that UTF-8 does not have, so
that nothing is found across the end of a piece. A field that a message does not have leaves
nothing; an empty value leaves its end.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from itertools import accumulate, compress
from typing import TYPE_CHECKING

from mailaccess.message.header import header_end, separate
from mailaccess.message.text import fold
from mailaccess.store import query as q
from mailaccess.store.maildir.blocks import Block, Kind
from mailaccess.store.maildir.finding import find
from mailaccess.store.searched import Message, compares_with

if TYPE_CHECKING:
    from mailaccess.interfaces import Description

DESCRIPTION = Kind(1, 7, 3, 64 * 1024)
FIELDS = Kind(2, 7, 3, 16 * 1024)
HEADER = Kind(3, 7, 1, 64 * 1024)
BODY = Kind(4, 5, 1, 256 * 1024)
SENT = Kind(5, 7, 1, 16)
VALUES = {
    name: Kind(number, 7, 1, 16 * 1024)
    for number, name in enumerate(("subject", "from", "to", "cc", "bcc", "message-id"), 16)
}
SEARCHED = (HEADER, SENT, *VALUES.values(), BODY)
ALL = (DESCRIPTION, FIELDS, *SEARCHED)

_NAMES = b"""
    Date From Sender Reply-To To Cc Bcc Subject Message-ID In-Reply-To References Content-Type
    Content-Transfer-Encoding MIME-Version Importance Priority X-Priority List-ID List-Post
    List-Unsubscribe Newsgroups Delivered-To X-Mailer User-Agent X-Label X-Spam-Flag X-Spam-Status
    Resent-Date Resent-From Resent-To Disposition-Notification-To Auto-Submitted Precedence
    Return-Path X-Uniform-Type-Identifier X-Universally-Unique-Identifier
"""
USUAL = _NAMES.lower().split()
"""Header fields that clients ask for when they show a list."""

_CODES = {name: code for code, name in enumerate(USUAL, 1)}
# Line ends are CRLF: an octet and a bare LF are nowhere else.
_BETWEEN = b"\0\n"
_LAST = b"\r\n" + _BETWEEN
END = b"\xff"

Finder = Callable[[Block], Sequence[int]]


def described(description: Description) -> tuple[bytes, bytes, bytes]:
    """
    For L{DESCRIPTION}.
    """
    return description.envelope, description.body, description.bodystructure


def usual_fields(header: bytes) -> tuple[bytes, bytes, bytes] | None:
    """
    For L{FIELDS}: which fields, how long each of them is, and the fields; an end after the last.
    """
    codes, fields, lengths = [], [], []
    for name, field in separate(header, _CODES):
        codes.append(_CODES[name])
        fields.append(field)
        lengths.append(len(field) + 1)
    if lengths and max(lengths) > 0xFFFF:
        return None
    codes.append(0)
    fields.append(_LAST)
    lengths.append(len(_LAST))
    return bytes(codes), array("H", lengths).tobytes(), b"\n".join(fields)


def are_usual(names: Collection[bytes]) -> bool:
    """
    Whether L{FIELDS} has all fields of these names.
    """
    return all(name.lower() in _CODES for name in names)


def picked(block: Block, names: Collection[bytes]) -> list[bytes]:
    """
    Fields of these names, each message's followed by an empty line.

    @raise ValueError: the block is not what L{usual_fields} made
    """
    table = bytearray(256)
    table[0] = 1
    for name in names:
        table[_CODES[name.lower()]] = 1
    codes, lengths, stream = block.streams
    ends = array("I", accumulate(array("H", lengths)))
    wanted = codes.translate(table)
    starts = array("I", [0]) + ends[:-1] if ends else ends
    parts = zip(compress(starts, wanted), compress(ends, wanted), strict=True)
    found = b"".join([stream[start:end] for start, end in parts]).split(_BETWEEN)
    if len(found) != len(block.uids) + 1:
        raise ValueError("not as many headers as messages")
    del found[-1]
    return found


def picked_of(
    computed: Mapping[int, Mapping[int, Sequence[bytes] | None]], names: Collection[bytes]
) -> dict[int, bytes]:
    """
    The same of what was computed but just now: by UID, values by number of their kind.
    """
    there = {uid: parts for uid, each in computed.items() if (parts := each.get(FIELDS.number))}
    streams = [b"".join(part) for part in zip(*there.values(), strict=True)]
    block = Block(array("I", there), array("I"), streams, ())
    return dict(zip(there, picked(block, names), strict=True)) if there else {}


def texts_of(message: Message, data: bytes) -> dict[Kind, tuple[bytes]]:
    """
    All that is searched.
    """
    sent = message.sent
    head = data[: header_end(data)].lower()
    found = {
        HEADER: (_text(message.header),),
        SENT: (sent.isoformat().encode("ascii") if sent is not None else b"",),
        BODY: (_text(message.body),),
    }
    for name, kind in VALUES.items():
        # Looking for a word is much faster than looking for a field.
        there = name.encode("ascii") in head
        found[kind] = folded(message.values(name) if there else ())
    return found


def folded(values: Iterable[str]) -> tuple[bytes]:
    """
    For L{VALUES}: values of a header field, folded.
    """
    return (b"".join(map(_text, values)),)


def _text(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass") + END


def finders(node: q.Query) -> list[tuple[Kind, Finder]]:
    """
    Where a key is looked for, and how; a message in which any of them finds it matches. Nothing if
    what it asks for is not kept.
    """
    match node:
        case q.Header(name=name, text=text) if name.lower() in VALUES:
            return [(VALUES[name.lower()], _containing(text))]
        case q.Body(text=text):
            return [(BODY, _containing(text))]
        case q.Text(text=text):
            finder = _containing(text)
            return [(HEADER, finder), (BODY, finder)]
        case q.Since(internal=False) | q.Before(internal=False) | q.On(internal=False):
            compare, day = compares_with(node), node.date.isoformat().encode("ascii")
            # Days as text are in the order of days.
            return [
                (
                    SENT,
                    lambda block: [n for n, s in enumerate(block.part(0)) if s and compare(s, day)],
                )
            ]
    return []


def _containing(text: str) -> Finder:
    wanted = fold(text).encode("utf-8", "surrogatepass")
    return lambda block: find(block.streams[0], block.ends[0], wanted)
