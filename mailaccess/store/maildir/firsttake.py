"""
Taking in a whole mailbox at once, as most are the first time: all in C{cur}, nothing in the record,
no two files of one message. What L{mailaccess.store.maildir.take} does message by message is done
here for all of them.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterator, Sequence
from typing import Literal

from mailaccess.store.maildir.columns import Row
from mailaccess.store.maildir.filename import base_of, flags_of
from mailaccess.store.maildir.index import Box
from mailaccess.store.maildir.ledger import Ledger
from mailaccess.store.maildir.scan import Sighting

_SORTED_AT_ONCE = 2000
_INSERTED_AT_ONCE = 10_000

_Entry = tuple[int, int, str, int]
"""UID if it is listed, date, name, size."""


def is_simple(ledger: Ledger, box: Box, sighting: Sighting) -> bool:
    """
    Whether L{add} will do.
    """
    return (
        sighting.adopting
        and not any(arrival.in_new or arrival.rename for arrival in sighting.arrivals)
        and not ledger.index.names(box.id, [(1, 2**32)])
    )


def add(
    ledger: Ledger,
    box: Box,
    sighting: Sighting,
    modseq: int,
    learn: Callable[[Ledger, Box, str], None],
) -> list[Row]:
    """
    Write the rows.

    @param learn: gives names to the keyword letters in a file name
    """
    before = sighting.before.uids if sighting.before else {}
    listed: list[_Entry] = []
    others: list[_Entry] = []
    for _, name, size, date, _ in sighting.arrivals:
        # Those that were listed keep their UIDs and come first.
        uid = before.get(base_of(name), 0) if before else 0
        (listed if 0 < uid < box.uid_next else others).append((uid, date, name, size))
    entries = [*in_steps(listed, 0), *in_steps(others, 1)]
    if not entries:
        return []
    names = [entry[2] for entry in entries]
    pairs = [name.partition(":")[::2] for name in names]
    # As many as there are ways of flagging a message.
    infos = {info for _, info in pairs}
    for info in sorted(infos):
        learn(ledger, box, ":" + info)
    letters = box.letters
    masks = {info: flags_of(":" + info, letters) for info in infos}
    uids = [entry[0] for entry in entries[: len(listed)]]
    old = len(uids)
    if others:
        uids += ledger.assign(box, [base for base, _ in pairs[old:]])
    rows = [
        (uid, masks[info], modseq, entry[3], entry[1])
        for uid, (_, info), entry in zip(uids, pairs, entries, strict=True)
    ]
    # In parts: so many objects at once take long to let go of.
    for at in range(0, len(rows), _INSERTED_AT_ONCE):
        part = slice(at, at + _INSERTED_AT_ONCE)
        ledger.insert(box, rows[part], names[part])
    return rows


def in_steps(entries: Sequence[_Entry], column: Literal[0, 1]) -> Iterator[_Entry]:
    """
    Sorted, the numbers in one column first, then the rest: in steps that are short, because other
    threads wait during each.
    """
    if not entries:
        return
    low = min(entry[column] for entry in entries)
    high = max(entry[column] for entry in entries)
    width = (high - low) // (len(entries) // _SORTED_AT_ONCE + 1) + 1
    spans: dict[int, list[_Entry]] = {}
    for entry in entries:
        spans.setdefault((entry[column] - low) // width, []).append(entry)

    def order(entry: _Entry) -> tuple[int, int, str]:
        return entry[column], entry[1], entry[2]

    for span in sorted(spans):
        found = spans.pop(span)
        parts = range(0, len(found), _SORTED_AT_ONCE)
        runs = [sorted(found[at : at + _SORTED_AT_ONCE], key=order) for at in parts]
        yield from runs[0] if len(runs) == 1 else heapq.merge(*runs, key=order)
