"""
Mailboxes that were never looked at, taken in together.

After a Maildir was taken over, clients ask for the STATUS of every mailbox. Each would have two
transactions and their syncs to itself. So when one asks for a second stranger, those that come next
by name are taken in with it, as the same jobs in the same transactions.
"""

from __future__ import annotations

import contextlib
import time
from bisect import bisect_left
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from twisted.internet.defer import Deferred, DeferredList

from mailaccess.store.disk import Tree
from mailaccess.store.maildir import index, places
from mailaccess.store.maildir.adopt import Adopt
from mailaccess.store.maildir.helpers import Helpers
from mailaccess.store.maildir.index import Box, Index
from mailaccess.store.maildir.scan import Sighting, look
from mailaccess.store.maildir.take import Take

if TYPE_CHECKING:
    from mailaccess.store.maildir.account import MaildirAccount

_TOGETHER = 32
_SECONDS = 0.1
_NOT_AT_ONCE = 2


class Strangers:
    """
    Those of one account.
    """

    def __init__(self, account: MaildirAccount) -> None:
        self._account = account
        self._listed: list[str] = []
        self._until_listed = _NOT_AT_ONCE
        self._busy = False

    async def look_at(self, directory: str) -> None:
        """
        If somebody asks for one after the other, take this one in and some others with it. It may
        be that this does nothing: whoever wants the mailbox takes it in as always.
        """
        account = self._account
        with account.reading():
            box = account.index.box_at(directory)
        if self._busy or (box is not None and box.adopted):
            return
        self._busy = True
        try:
            await self._take_in(await self._some(directory))
        finally:
            self._busy = False

    async def _some(self, directory: str) -> Sequence[str]:
        """
        The directory and those after it, or none.
        """
        at = self._place(directory)
        if at < 0:
            # All directories are looked up for this, so not whenever somebody asks.
            self._until_listed -= 1
            if self._until_listed > 0:
                return ()
            self._until_listed = _TOGETHER
            account = self._account
            self._listed = await account.in_thread(_unknown, account.tree, account.ledger.path)
            at = self._place(directory)
            if at < 0:
                return ()
        some = self._listed[at : at + _TOGETHER]
        del self._listed[at : at + _TOGETHER]
        return some

    def _place(self, directory: str) -> int:
        at = bisect_left(self._listed, directory)
        return at if self._listed[at : at + 1] == [directory] else -1

    async def _take_in(self, directories: Sequence[str]) -> None:
        if not directories:
            return
        account = self._account
        jobs = [Adopt(each, account.options.unique_ids) for each in directories]
        boxes: list[Box] = await _done([account.submit(job) for job in jobs])
        for job in jobs:
            account.tell_doubts(job)
        sightings = await account.in_thread(
            _look, account.tree, account.ledger.path, boxes, account.accounts.helpers
        )
        takes = [account.submit(Take(number, sighting)) for number, sighting in sightings]
        for delta in await _done(takes):
            if delta is not None:
                account.applied(delta)


async def _done(waiting: Sequence[Deferred[Any]]) -> list[Any]:
    """
    The results of those that succeed. What fails here is done again, alone, for who asks for it.
    """
    outcomes = await DeferredList(waiting, consumeErrors=True)
    return [result for succeeded, result in outcomes if succeeded]


def _unknown(tree: Tree, path: str) -> list[str]:
    """
    Directories of mailboxes whose messages are not in the record, in order.
    """
    there = [directory for _, directory in places.directories(tree.disk, tree)]
    connection = index.connect(path, writer=False)
    try:
        known = Index(connection).adopted()
    finally:
        connection.close(True)
    return sorted(each for each in there if each not in known)


def _look(
    tree: Tree, path: str, boxes: Sequence[Box], helpers: Helpers | None
) -> list[tuple[int, Sighting]]:
    """
    What is in the mailboxes: all of the first, and as many of the others as there is time for.
    """
    found = []
    end = time.monotonic() + _SECONDS
    for box in boxes:
        # Who asks for a mailbox that cannot be looked at is told then.
        with contextlib.suppress(OSError):
            sighting = look(tree, path, box.id, True, helpers)
            if sighting is not None:
                found.append((box.id, sighting))
        if time.monotonic() > end:
            break
    return found
