"""
What changed in the record of a mailbox since it was last read, by whomsoever.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Sequence
from typing import Any

import attrs

from mailaccess.store.maildir import index
from mailaccess.store.maildir.columns import Row
from mailaccess.store.maildir.index import Box, Counts, Index


@attrs.frozen
class Entry:
    """
    Flags changed.

    @ivar origin: the session that did it, or None
    """

    version: int
    origin: Any
    uids: Sequence[int]


@attrs.frozen(eq=False)
class News:
    """
    @ivar added: rows of new messages
    @ivar removed: UIDs of messages that went, ascending; maybe of some that were never known
    @ivar uids: of messages that changed, with their masks and mod-sequences
    @ivar present: all UIDs that are left of those known, where it is forgotten which ones went
    """

    box: Box
    added: Sequence[Row] = ()
    removed: Sequence[int] = ()
    uids: Sequence[int] = ()
    masks: Sequence[int] = ()
    modseqs: Sequence[int] = ()
    present: Sequence[int] | None = None

    def gone_from(self, uids: Iterable[int]) -> Sequence[int]:
        """
        Which of the known messages went.
        """
        if self.present is None:
            return self.removed
        return sorted(set(uids).difference(self.present))


def read(record: Index, mailbox: int, known: int, modseq: int | None) -> News | None:
    """
    What changed; inside a transaction.

    @param known: UIDs below this were read already
    @param modseq: of the mailbox when they were; None to read only the row of the mailbox
    @return: None if there is no such mailbox
    """
    box = record.box(mailbox)
    if box is None:
        return None
    if modseq is None or box.modseq == modseq:
        return News(box)
    added = record.messages(mailbox, known)
    removed, present = array("I"), None
    if modseq < box.horizon:
        rows = record.run("SELECT uid FROM message WHERE mailbox = ? AND uid < ?", (mailbox, known))
        present = array("I", (uid for (uid,) in rows))
    else:
        rows = record.run(
            "SELECT uid FROM expunged WHERE mailbox = ? AND modseq > ? ORDER BY uid",
            (mailbox, modseq),
        )
        removed = array("I", (uid for (uid,) in rows))
    uids, masks, modseqs = array("I"), array("q"), array("q")
    for uid, mask, value in record.run(
        "SELECT uid, flags, modseq FROM message"
        " WHERE mailbox = ? AND uid < ? AND modseq > ? ORDER BY uid",
        (mailbox, known, modseq),
    ):
        uids.append(uid)
        masks.append(mask)
        modseqs.append(value)
    return News(box, added, removed, uids, masks, modseqs, present)


def read_elsewhere(path: str, mailbox: int, known: int, modseq: int) -> News | None:
    """
    The same through a connection of its own, for a thread.
    """
    connection = index.connect(path, writer=False)
    try:
        connection.execute("BEGIN")
        return read(Index(connection), mailbox, known, modseq)
    finally:
        connection.close(True)


def count_elsewhere(path: str, mailbox: int, recent: int) -> tuple[Box, Counts] | None:
    """
    L{Index.counts<mailaccess.store.maildir.index.Index.counts>}, with the row of the mailbox, in a
    thread.
    """
    connection = index.connect(path, writer=False)
    try:
        connection.execute("BEGIN")
        record = Index(connection)
        box = record.box(mailbox)
        return None if box is None else (box, record.counts(box, recent))
    finally:
        connection.close(True)
