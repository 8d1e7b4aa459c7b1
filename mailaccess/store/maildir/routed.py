"""
Selected mailboxes of users who see more than their own: messages go from account to account.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Protocol

from twisted.internet.task import deferLater

from mailaccess.errors import MessageGone
from mailaccess.interfaces import KEYWORD_BIT, SYSTEM_FLAGS, Copied
from mailaccess.store.maildir.mailbox import MaildirMailbox

if TYPE_CHECKING:
    from mailaccess.store.maildir.shared import SharedMailbox

_TURN = 0.02
"""Seconds before others have theirs."""


class Routes(Protocol):
    """
    Where names lead.
    """

    def is_own(self, name: str) -> bool:
        """
        Whether a mailbox is one of the user's own account.
        """

    async def upload(self, name: str) -> Any:
        """
        An upload into any mailbox.
        """


class RoutedMailbox(MaildirMailbox):
    """
    A mailbox whose messages can be copied anywhere the user sees.
    """

    def __init__(self, shared: SharedMailbox, read_only: bool, routes: Routes) -> None:
        self._routes = routes
        super().__init__(shared, read_only)

    async def _transfer(self, uids: Sequence[int], destination: str, move: bool) -> Copied:
        if self._routes.is_own(destination):
            return await super()._transfer(uids, destination, move)
        return await self._carry(sorted(set(uids)), destination, move)

    async def _carry(self, uids: Sequence[int], destination: str, move: bool) -> Copied:
        """
        Copy into another account, all or none. A move removes only what is durable there.
        """
        upload = await self._routes.upload(destination)
        reactor = self._shared.account.reactor
        turn = reactor.seconds()
        try:
            for uid in uids:
                if reactor.seconds() - turn > _TURN:
                    await deferLater(reactor, 0)
                    turn = reactor.seconds()
                data = await self.octets(uid)
                row = self._row(uid)
                if row < 0:
                    raise MessageGone
                flags, date = self._names(self.rows.flags[row]), self.rows.dates[row]
                upload.begin(len(data), flags, date)
                waiting = upload.write(data)
                if waiting is not None:
                    await waiting
            appended = await upload.commit()
        finally:
            upload.abort()
        if move:
            await self._remove(uids, flagged=False)
        return Copied(appended.uid_validity, uids, appended.uids)

    def _names(self, mask: int) -> list[str]:
        system = [name for name, bit in SYSTEM_FLAGS.items() if mask & bit]
        keywords = enumerate(self.keywords, KEYWORD_BIT)
        return system + [name for bit, name in keywords if mask >> bit & 1]
