"""
A list of FETCH items made ready to be run over many messages, and the run.

Values from columns, descriptions and headers are made for a whole batch and written by one
template. Whole messages are read and written one at a time. A client that does not read makes the
run wait before the next batch or message is taken up (PAR-10).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Any

import attrs

from .....errors import BadSyntax, MessageGone, Refused
from .....interfaces import SEEN, IMailbox
from .....policy.link import Layer
from .....wire.cursor import Cursor
from .....wire.writer import literal
from ...session import Session
from .items import Batch, Column, Item, ItemParser, Message, OfHeader, OfOctets, picked, short
from .kept import Kept
from .standard import FLAGS, MACROS, UID

MAX_ITEMS = 1000
"""Items of one FETCH."""

ROWS = 1024
"""Messages in a batch of columns."""

FEWEST, MOST = 16, 512
"""Messages in a batch of descriptions or headers; it grows as far as they are small."""

NEAR = 256
"""Messages at the end of a mailbox among which the recent ones usually are."""

WHOLE = 64
"""Messages in a batch of whole messages; they are read one at a time all the same."""

BIG = 1 << 18
"""Octets of a batch's answer above which the next batch is smaller."""

LONG = 1 << 20
"""Octets of a message or of headers over which nothing is looked for on the reactor's thread."""

OFTEN = 1 << 15
"""Octets of whole messages after which a client that does not read is waited for."""

COSTS = 1 << 11
"""What reading a message costs, in octets written."""

PIECE_TCP, PIECE_TLS = 1 << 18, 1 << 16
"""Octets of a message given to the transport at a time."""

KEPT = Kept()
"""Shared by all sessions of the process."""

_WORD = re.compile(rb"[A-Za-z0-9][A-Za-z0-9.-]*")


@attrs.frozen
class Plan:
    """
    What to do for every message.

    @ivar template: of the response up to the first item that needs the whole message
    @ivar values: makes the values of the template, after the sequence number
    @ivar bodies: items that need the whole message, with what stands before their value
    @ivar headers: needs header blocks, besides whole messages
    @ivar fields: header fields that are needed, where neither of these is
    @ivar sets_seen: the messages are seen once this is answered
    @ivar shows_flags: FLAGS are answered anyway
    @ivar pieces: of the whole message only some octets are asked for
    """

    template: bytes
    values: Sequence[Callable[[Batch], Iterable[Any]]]
    bodies: Sequence[tuple[bytes, OfOctets]]
    describes: bool
    headers: bool
    fields: Collection[frozenset[bytes]]
    sets_seen: bool
    shows_flags: bool
    pieces: bool


def parse(cursor: Cursor, parsers: Mapping[bytes, ItemParser], *, by_uid: bool) -> Plan:
    """
    A macro, one item, or items in parentheses.

    @param by_uid: UID is answered whether it was asked for or not (RFC 3501 section 6.4.8)
    @raise BadSyntax: an item that is not there
    """

    def item() -> Item:
        start = cursor.pos
        parser = parsers.get(cursor.match(_WORD, "fetch-att")[0].upper())
        if parser is None:
            raise BadSyntax("fetch-att", start)
        return parser(cursor)

    items: list[Item] = [UID] if by_uid else []
    if cursor.looking_at(b"("):
        cursor.open()
        items.append(item())
        while not cursor.looking_at(b")"):
            cursor.space()
            if len(items) >= MAX_ITEMS:
                raise BadSyntax(f"at most {MAX_ITEMS} items", cursor.pos)
            items.append(item())
        cursor.close()
    else:
        macro = MACROS.get(cursor.text[cursor.pos :].upper())
        if macro is not None:
            return compiled([*items, *macro])
        items.append(item())
    cursor.end()
    return compiled(items)


def compiled(items: Sequence[Item]) -> Plan:
    """
    The plan for these items; one that was asked for twice is answered once.
    """
    distinct: dict[object, Item] = {}
    for item in items:
        distinct.setdefault((item.label, item.key), item)
    whole = any(isinstance(item, OfOctets) for item in distinct.values())
    headers = [item for item in distinct.values() if isinstance(item, OfHeader) and not whole]
    blocks = any(item.names is None for item in headers)
    columns: list[Column] = []
    bodies: list[OfOctets] = []
    for item in distinct.values():
        if isinstance(item, OfHeader):
            if whole:
                bodies.append(_of_whole(item))
            else:
                columns.append(_of_batch(item, blocks))
        elif isinstance(item, OfOctets):
            bodies.append(item)
        else:
            columns.append(item)
    parts = [b"%b %b" % (each.label.replace(b"%", b"%%"), each.form) for each in columns]
    labels = [each.label + b" " for each in bodies]
    labels[1:] = [b" " + label for label in labels[1:]]
    if labels and columns:
        labels[0] = b" " + labels[0]
    return Plan(
        template=b"* %%d FETCH (%b%b" % (b" ".join(parts), b"" if bodies else b"%b)\r\n"),
        values=[each.values for each in columns],
        bodies=list(zip(labels, bodies, strict=True)),
        describes=any(each.describes for each in columns),
        headers=blocks,
        fields={item.names for item in headers if item.names is not None and not blocks},
        sets_seen=any(each.sets_seen for each in items),
        shows_flags=FLAGS in columns,
        pieces=any(each.key is not None for each in bodies),
    )


def _of_whole(item: OfHeader) -> OfOctets:
    octets = item.octets
    return OfOctets(item.label, lambda message: octets(message.header))


def _of_batch(item: OfHeader, blocks: bool) -> Column:
    octets, names = item.octets, item.names
    if blocks or names is None:
        return Column(item.label, lambda batch: [short(octets(each)) for each in batch.headers])
    if item.key is None:
        return Column(item.label, lambda batch: list(map(literal, batch.fields[names])))
    return Column(item.label, lambda batch: [short(octets(each)) for each in batch.fields[names]])


async def run(session: Session, plan: Plan, rows: Sequence[int]) -> bool:
    """
    Answer for these rows, ascending. Messages that are gone are left out.

    @return: whether all of them were there
    """
    complete = True
    lowest = _lowest_recent(session.selected) if plan.shows_flags else None
    small = not (plan.describes or plan.headers or plan.fields or plan.bodies)
    size = ROWS if small else WHOLE if plan.bodies else FEWEST
    at = 0
    while at < len(rows):
        batch, found_all = await _batch(session, plan, rows[at : at + size])
        at += size
        complete = complete and found_all
        if not batch.rows:
            continue
        if lowest is not None and batch.uids[-1] >= lowest:
            batch.recents = set(filter(session.selected.is_recent, batch.uids))
        tails = await _mark_seen(plan, batch)
        if plan.bodies:
            found_all = await _write_bodies(plan, batch, tails)
            complete = complete and found_all
        else:
            if sum(map(len, batch.headers)) <= LONG:
                text = _text(plan, batch, tails)
            else:
                text = await batch.mailbox.aside(_text, plan, batch, tails)
            session.write(text)
            if not small:
                size = min(size * 2, MOST) if len(text) < BIG else max(size // 2, FEWEST)
            del text
        await session.pace()
    return complete


def _text(plan: Plan, batch: Batch, tails: Sequence[bytes]) -> bytes:
    return b"".join(map(plan.template.__mod__, _lines(plan, batch, tails)))


def _lines(plan: Plan, batch: Batch, *tails: Sequence[bytes]) -> Iterable[tuple[Any, ...]]:
    rows = batch.rows
    if isinstance(rows, range):
        numbers: Iterable[int] = range(rows.start + 1, rows.stop + 1)
    else:
        numbers = [row + 1 for row in rows]
    return zip(numbers, *[values(batch) for values in plan.values], *tails, strict=True)


def _lowest_recent(mailbox: IMailbox) -> int | None:
    """
    A UID below which no message is recent, or None if none is at all. It is looked for at the end,
    where new ones are, and not far.
    """
    left, lowest, uids = mailbox.recent, None, mailbox.rows.uids
    for uid in reversed(uids[max(0, len(uids) - NEAR) :]):
        if not left:
            return lowest
        if mailbox.is_recent(uid):
            lowest, left = uid, left - 1
    return uids[0] if left and len(uids) else lowest


async def _batch(session: Session, plan: Plan, rows: Sequence[int]) -> tuple[Batch, bool]:
    """
    The messages of these rows that are there, with what the plan needs of them.
    """
    mailbox = session.selected
    uids = picked(mailbox.rows.uids, rows)
    batch = Batch(session, mailbox, rows, uids)
    needed: list[Sequence[Any]] = []
    if plan.describes:
        needed.append(await mailbox.describe(uids))
    if plan.headers:
        needed.append(await mailbox.headers(uids))
    needed.extend([await mailbox.fields(uids, names) for names in plan.fields])
    complete = all(None not in each for each in needed)
    if not complete:
        there = [at for at in range(len(rows)) if all(each[at] is not None for each in needed)]
        batch.rows = [rows[at] for at in there]
        batch.uids = [uids[at] for at in there]
        needed = [[each[at] for at in there] for each in needed]
    values = iter(needed)
    if plan.describes:
        batch.descriptions = next(values)
    if plan.headers:
        batch.headers = next(values)
    batch.fields = dict(zip(plan.fields, values, strict=True))
    return batch, complete


async def _mark_seen(plan: Plan, batch: Batch) -> list[bytes]:
    """
    Set C{\\Seen} where the plan asks for it; what follows the last item of each message: the flags
    of those that had it not (RFC 3501 section 6.4.5).

    A store that cannot write does not keep anybody from reading.
    """
    tails = [b""] * len(batch.rows)
    mailbox = batch.mailbox
    if not plan.sets_seen or "s" not in mailbox.rights:
        return tails
    unseen = [at for at, mask in enumerate(batch.of(mailbox.rows.flags)) if not mask & SEEN]
    if not unseen:
        return tails
    try:
        await mailbox.store([batch.uids[at] for at in unseen], "add", ["\\Seen"])
    except Refused:
        return tails
    if not plan.shows_flags:
        flags, text_of = batch.of(mailbox.rows.flags), batch.session.flags
        for at in unseen:
            text = text_of(flags[at], mailbox.is_recent(batch.uids[at]))
            tails[at] = b" FLAGS (%b)" % text
    return tails


async def _write_bodies(plan: Plan, batch: Batch, tails: Sequence[bytes]) -> bool:
    """
    Read and write messages one at a time; whether all were there.
    """
    session, octets, complete = batch.session, batch.mailbox.octets, True
    connection = session.connection
    piece = PIECE_TLS if connection.link.layer is Layer.TLS else PIECE_TCP
    write, template = connection.write, plan.template
    written = OFTEN
    for line, uid, tail in zip(_lines(plan, batch), batch.uids, tails, strict=True):
        if written >= OFTEN:
            written = 0
            await connection.pace()
        message = KEPT.find(batch.mailbox, uid) if plan.pieces else None
        if message is None:
            try:
                message = Message(await octets(uid))
            except MessageGone:
                complete = False
                continue
            if plan.pieces:
                KEPT.keep(batch.mailbox, uid, message)
        text = template % line
        for label, item in plan.bodies:
            try:
                if len(message.data) <= LONG:
                    value = item.octets(message)
                else:
                    value = await batch.mailbox.aside(item.octets, message)
            except Exception:
                # The response is ended as one before the command is.
                write(text + label + b"NIL)\r\n")
                raise
            if not value:
                text += label + (b'""' if value is not None else b"NIL")
            elif item.rendered:
                text += label + value
                written += len(value)
            else:
                written += len(value)
                write(b"%b%b%b{%d}\r\n" % (text, label, b"~" if item.binary else b"", len(value)))
                text = b""
                if len(value) <= piece:
                    write(value)
                    continue
                for start in range(0, len(value), piece):
                    write(value[start : start + piece])
                    await connection.pace()
        write(b"%b%b)\r\n" % (text, tail))
        written += COSTS
    return complete
