"""
The items of RFC 3501 section 6.4.5.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from .....message.header import picker
from .....message.section import bounds
from .....message.section import section as cut
from .....wire.cursor import Cursor
from .....wire.grammar.section import Section, partial, section
from .....wire.writer import astring, date_time
from .items import Batch, Column, Item, ItemParser, Message, OfHeader, OfOctets


def flag_texts(batch: Batch) -> Iterable[bytes]:
    """
    The flags of each message. A text is made once for all messages with the same flags.
    """
    recents, text_of = batch.recents, batch.session.flags
    masks = batch.of(batch.mailbox.rows.flags)
    if not recents:
        texts = {mask: text_of(mask) for mask in set(masks)}
        return map(texts.__getitem__, masks)
    return [text_of(mask, uid in recents) for mask, uid in zip(masks, batch.uids, strict=True)]


UID = Column(b"UID", lambda batch: batch.uids, b"%d")
FLAGS = Column(b"FLAGS", flag_texts, b"(%b)")
SIZE = Column(b"RFC822.SIZE", lambda batch: batch.of(batch.mailbox.rows.sizes), b"%d")
INTERNALDATE = Column(
    b"INTERNALDATE", lambda batch: map(date_time, batch.of(batch.mailbox.rows.dates))
)
ENVELOPE = Column(
    b"ENVELOPE", lambda batch: [each.envelope for each in batch.descriptions], describes=True
)
BODYSTRUCTURE = Column(
    b"BODYSTRUCTURE",
    lambda batch: [each.bodystructure for each in batch.descriptions],
    describes=True,
)
BODY = Column(b"BODY", lambda batch: [each.body for each in batch.descriptions], describes=True)


def _whole(message: Message) -> bytes:
    return message.data


def _text(message: Message) -> bytes | None:
    return cut(message.data, (), "TEXT")


RFC822 = OfOctets(b"RFC822", _whole, sets_seen=True)
RFC822_HEADER = OfHeader(b"RFC822.HEADER", lambda header: header)
RFC822_TEXT = OfOctets(b"RFC822.TEXT", _text, sets_seen=True)


# "BODY" section ["<" number "." nz-number ">"] / "BODY.PEEK" section ["<" number "." nz-number ">"]
def body(cursor: Cursor) -> Item:
    """
    C{BODY} alone, or C{BODY[section]}.
    """
    return body_section(cursor, sets_seen=True) if cursor.looking_at(b"[") else BODY


def peek(cursor: Cursor) -> Item:
    """
    C{BODY.PEEK[section]}, which is answered as C{BODY[section]}.
    """
    return body_section(cursor, sets_seen=False)


def body_section(cursor: Cursor, *, sets_seen: bool) -> Item:
    """
    An item for the octets of a section, or some of them.
    """
    which = section(cursor)
    span = partial(cursor)
    label = section_label(b"BODY", which)
    if span is not None:
        label += b"<%d>" % span[0]
    if which.kind.startswith("HEADER") and not which.parts:
        names = None
        if which.kind == "HEADER.FIELDS":
            names = frozenset(name.lower() for name in which.fields)
        return OfHeader(label, _of_header(which, span), sets_seen, span, names)
    return OfOctets(label, _of_octets(which, span), sets_seen, key=span)


def section_label(name: bytes, which: Section) -> bytes:
    """
    C{BODY[1.HEADER.FIELDS (Subject)]}: the item's name with the section as asked for.
    """
    words = [b"%d" % number for number in which.parts]
    if which.kind:
        words.append(which.kind.encode("ascii"))
    fields = b" (%b)" % b" ".join(map(astring, which.fields)) if which.fields else b""
    return b"%b[%b%b]" % (name, b".".join(words), fields)


def _of_header(which: Section, span: tuple[int, int] | None) -> Callable[[bytes], bytes | None]:
    if not which.fields:
        return lambda header: _part_of(header, span)
    pick = picker(which.fields, which.kind == "HEADER.FIELDS.NOT")
    if span is None:
        return pick
    return lambda header: _part_of(pick(header), span)


def _of_octets(which: Section, span: tuple[int, int] | None) -> Callable[[Message], bytes | None]:
    parts, kind, fields = which.parts, which.kind, which.fields
    if not parts and not kind and span is None:
        return _whole

    def octets(message: Message) -> bytes | None:
        root = message.root if parts else None
        if fields or span is None:
            return _part_of(cut(message.data, parts, kind, fields, root), span)
        # Not a copy of the whole section for some octets of it.
        where = bounds(message.data, parts, kind, root)
        if where is None:
            return None
        start = where[0] + span[0]
        return message.data[start : min(start + span[1], where[1])]

    return octets


def _part_of(data: bytes | None, span: tuple[int, int] | None) -> bytes | None:
    """
    RFC 3501 section 6.4.5: octets that are not there are not given; from beyond the end, none.
    """
    if data is None or span is None:
        return data
    return data[span[0] : span[0] + span[1]]


def _always(item: Item) -> ItemParser:
    return lambda _cursor: item


ITEMS: Mapping[bytes, ItemParser] = {
    b"UID": _always(UID),
    b"FLAGS": _always(FLAGS),
    b"INTERNALDATE": _always(INTERNALDATE),
    b"ENVELOPE": _always(ENVELOPE),
    b"BODY": body,
    b"BODY.PEEK": peek,
    b"BODYSTRUCTURE": _always(BODYSTRUCTURE),
    b"RFC822": _always(RFC822),
    b"RFC822.HEADER": _always(RFC822_HEADER),
    b"RFC822.SIZE": _always(SIZE),
    b"RFC822.TEXT": _always(RFC822_TEXT),
}

MACROS: Mapping[bytes, tuple[Item, ...]] = {
    b"ALL": (FLAGS, INTERNALDATE, SIZE, ENVELOPE),
    b"FAST": (FLAGS, INTERNALDATE, SIZE),
    b"FULL": (FLAGS, INTERNALDATE, SIZE, ENVELOPE, BODY),
}
"""Only alone, not in a list of items."""
