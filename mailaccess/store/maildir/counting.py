"""
STATUS of a mailbox: counted once, and again after a change.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mailaccess.errors import NoSuchMailbox
from mailaccess.interfaces import Status
from mailaccess.store.maildir import news

if TYPE_CHECKING:
    from mailaccess.store.maildir.shared import SharedMailbox

_LONG = 50_000


async def status(shared: SharedMailbox) -> Status:
    """
    Counts of a mailbox whose news have been taken in.

    @raise NoSuchMailbox: it was deleted
    """
    box, counts = shared.box, shared.counted[1]
    if counts is None or shared.counted[0] != _moment(shared):
        account = shared.account
        with account.reading():
            found = account.index.box(box.id)
            if found is None:
                raise NoSuchMailbox
            box = found
            few = box.uid_next <= _LONG
            counts = account.index.counts(box, shared.first_recent) if few else None
        recent = shared.first_recent
        if counts is None:
            # There may be many messages to count.
            elsewhere = await account.in_thread(
                news.count_elsewhere, account.ledger.path, box.id, recent
            )
            if elsewhere is None:
                raise NoSuchMailbox
            box, counts = elsewhere
        shared.counted = (box.modseq, box.uid_next, box.first_recent, recent), counts
    messages, new, unseen, deleted, size, freed = counts
    return Status(
        messages=messages,
        recent=new,
        unseen=unseen,
        deleted=deleted,
        uid_next=box.uid_next,
        uid_validity=box.uid_validity,
        highest_modseq=box.modseq,
        size=size,
        deleted_size=freed,
    )


def _moment(shared: SharedMailbox) -> tuple[int, int, int, int]:
    box = shared.box
    return box.modseq, box.uid_next, box.first_recent, shared.first_recent
