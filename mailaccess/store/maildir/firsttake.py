"""
Taking in a whole mailbox at once, as most are the first time: all in C{cur}, nothing in the record,
no two files of one message. What L{mailaccess.store.maildir.take} does message by message is done
here for all of them.
"""

from __future__ import annotations

from collections.abc import Callable

from mailaccess.store.maildir.columns import Row
from mailaccess.store.maildir.filename import base_of, flags_of
from mailaccess.store.maildir.index import Box
from mailaccess.store.maildir.ledger import Ledger
from mailaccess.store.maildir.scan import Sighting

_UNLISTED = 2**32


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
    if before:
        # Those that were listed keep their UIDs and come first.
        entries = sorted(
            (uid if uid < box.uid_next else _UNLISTED, arrival.date, arrival.name, arrival.size)
            for arrival in sighting.arrivals
            for uid in (before.get(base_of(arrival.name), _UNLISTED),)
        )
    else:
        entries = sorted((_UNLISTED, each.date, each.name, each.size) for each in sighting.arrivals)
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
    uids = [entry[0] for entry in entries if entry[0] != _UNLISTED]
    old = len(uids)
    if old < len(entries):
        uids += ledger.assign(box, [base for base, _ in pairs[old:]])
    rows = [
        (uid, masks[info], modseq, entry[3], entry[1])
        for uid, (_, info), entry in zip(uids, pairs, entries, strict=True)
    ]
    ledger.insert(box, rows, names)
    return rows
