"""
Taking in a whole mailbox at once, as most are the first time: all in C{cur}, nothing in the record,
no two files of one message. What L{mailaccess.store.maildir.take} does message by message is done
here for all of them.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Collection, Iterator, Sequence
from itertools import islice

from mailaccess.store.maildir.columns import Row
from mailaccess.store.maildir.filename import base_of, flags_of
from mailaccess.store.maildir.index import Box
from mailaccess.store.maildir.ledger import Ledger
from mailaccess.store.maildir.scan import Sighting

_SORTED_AT_ONCE = 2000
_ADDED_AT_ONCE = 10_000
"""Rows made and let go of in one step; of more, nobody is told each."""


def is_simple(ledger: Ledger, box: Box, sighting: Sighting) -> bool:
    """
    Whether L{add} will do.
    """
    return (
        sighting.adopting
        and sighting.arrivals.plain
        and not ledger.index.names(box.id, [(1, 2**32)])
    )


def add(
    ledger: Ledger,
    box: Box,
    sighting: Sighting,
    modseq: int,
    learn: Callable[[Ledger, Box, str], None],
) -> tuple[int, Sequence[Row]]:
    """
    Write the rows. Returns how many there are, and the rows themselves if they are few.

    @param learn: gives names to the keyword letters in a file name
    """
    found = sighting.arrivals
    names, dates, sizes = found.names, found.dates, found.sizes
    masks: dict[str, int] = {}
    few: list[Row] = []
    is_few = len(found) <= _ADDED_AT_ONCE

    def insert(places: Sequence[int], uids: Sequence[int] | None, more: int = 0) -> None:
        pairs = [names[place].partition(":")[::2] for place in places]
        # As many as there are ways of flagging a message.
        for info in sorted({info for _, info in pairs}.difference(masks)):
            learn(ledger, box, ":" + info)
            masks[info] = flags_of(":" + info, box.letters)
        if uids is None:
            uids = ledger.assign(box, [base for base, _ in pairs], more)
        rows = [
            (uid, masks[info], modseq, sizes[place], dates[place])
            for uid, (_, info), place in zip(uids, pairs, places, strict=True)
        ]
        ledger.insert(box, rows, [names[place] for place in places])
        if is_few:
            few.extend(rows)

    # Those that were listed keep their UIDs and come first.
    listed = _listed(sighting, box.uid_next)
    order = in_steps(listed, listed.__getitem__)
    while places := list(islice(order, _ADDED_AT_ONCE)):
        insert(places, [listed[place] for place in places])
    others: Sequence[int] = range(len(found))
    if listed:
        others = [place for place in others if place not in listed]
    left = len(others)
    order = in_steps(others, dates.__getitem__, names.__getitem__)
    while places := list(islice(order, _ADDED_AT_ONCE)):
        left -= len(places)
        insert(places, None, left)
    return len(found), few


def _listed(sighting: Sighting, uid_next: int) -> dict[int, int]:
    """
    UIDs of those that were listed, by their places among the arrivals.
    """
    before = sighting.before.uids if sighting.before else {}
    if not before:
        return {}
    uids = (before.get(base_of(name), 0) for name in sighting.arrivals.names)
    return {place: uid for place, uid in enumerate(uids) if 0 < uid < uid_next}


def in_steps(
    places: Collection[int],
    number: Callable[[int], int],
    text: Callable[[int], str] | None = None,
) -> Iterator[int]:
    """
    Places sorted by a number that each has, and where it is the same by a text: in steps that are
    short, because other threads wait during each.
    """
    if not places:
        return
    low, high = min(map(number, places)), max(map(number, places))
    width = (high - low) // (len(places) // _SORTED_AT_ONCE + 1) + 1
    spans: dict[int, list[int]] = {}
    for place in places:
        spans.setdefault((number(place) - low) // width, []).append(place)

    def order(place: int) -> tuple[int, str]:
        return number(place), text(place) if text else ""

    for span in sorted(spans):
        found = spans.pop(span)
        parts = range(0, len(found), _SORTED_AT_ONCE)
        runs = [sorted(found[at : at + _SORTED_AT_ONCE], key=order) for at in parts]
        yield from runs[0] if len(runs) == 1 else heapq.merge(*runs, key=order)
