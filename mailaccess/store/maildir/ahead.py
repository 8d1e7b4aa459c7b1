"""
What processes that help compute of a mailbox's messages for a session: what was asked for, and, for
one that goes through the whole mailbox, what it will ask for next.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from twisted.internet.defer import Deferred

from mailaccess.store.maildir import kinds
from mailaccess.store.maildir.blocks import Kind, Values
from mailaccess.store.maildir.helper import Parts
from mailaccess.store.maildir.helpers import MANY

if TYPE_CHECKING:
    from mailaccess.store.maildir.shared import SharedMailbox

_STREAM = 200
_AHEAD = 512

Computed = dict[int, Mapping[int, Parts]]
"""By UID, values by number of their kind."""


class Ahead:
    """
    For one session and one kind of work.
    """

    def __init__(self, shared: SharedMailbox, what: str, name: Callable[[int], str | None]) -> None:
        """
        @param what: as in L{helper}
        @param name: the file name of a message
        """
        self._shared = shared
        self._what = what
        self._name = name
        self._found: Computed = {}
        self._asked = 0
        self._coming = False
        self._waiting: Deferred[None] | None = None

    async def computed(self, uids: Sequence[int]) -> Computed:
        """
        What is computed of these messages, ascending, and kept from now on. Those of which nothing
        is may be many: nobody helped.
        """
        found: Computed = {}
        if len(uids) < MANY:
            return found
        if self._coming and uids[0] <= self._asked:
            self._waiting = Deferred()
            await self._waiting
        before, self._found = self._found, {}
        wanted = set(uids)
        for uid, values in before.items():
            if uid in wanted:
                found[uid] = values
            elif uid > uids[-1]:
                self._found[uid] = values
        rest = [uid for uid in uids if uid not in found]
        if len(rest) >= MANY:
            found.update(await self._ask(rest))
        if len(found) >= _STREAM:
            self._go_on(uids[-1])
        return found

    def _go_on(self, last: int) -> None:
        if self._coming or len(self._found) >= _AHEAD:
            return
        there = self._shared.columns.rows().uids
        row = bisect_right(there, max([last, *self._found]))
        following = list(there[row : row + _AHEAD])
        if len(following) < MANY:
            return
        self._coming, self._asked = True, following[-1]
        coming = Deferred.fromCoroutine(self._fetch(following))
        coming.addErrback(self._shared.account.failed, "computing ahead")

    async def _fetch(self, uids: Sequence[int]) -> None:
        try:
            computed = await self._ask(uids)
            self._found.update(computed)
        finally:
            self._coming = False
            self._wake()

    def _wake(self) -> None:
        waiting, self._waiting = self._waiting, None
        if waiting is not None:
            waiting.callback(None)

    async def _ask(self, uids: Sequence[int]) -> Computed:
        account = self._shared.account
        names = [(uid, name) for uid in uids if (name := self._name(uid)) is not None]
        found = await account.in_thread(
            account.accounts.helpers.ask,
            self._what,
            account.tree,
            self._shared.box.directory,
            [name for _, name in names],
        )
        computed: Computed = {
            uid: values
            for (uid, _), values in zip(names, found, strict=True)
            if isinstance(values, dict)
        }
        if computed:
            fresh = by_kind(computed)
            account.accounts.keeper.keep(account.recall.path, self._shared.box.token, fresh)
        return computed


def by_kind(computed: Mapping[int, Mapping[int, Parts]]) -> dict[Kind, Values]:
    """
    The same by kind and UID.
    """
    found: dict[Kind, Values] = {}
    for kind in kinds.ALL:
        number = kind.number
        part = {uid: values[number] for uid, values in computed.items() if number in values}
        if part:
            found[kind] = part
    return found
