"""
All accounts of a process: who has which Maildir, and what stays open.
"""

from __future__ import annotations

import os
from collections import OrderedDict
from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred, DeferredLock
from twisted.internet.interfaces import IDelayedCall
from twisted.internet.threads import deferToThreadPool
from twisted.python.threadpool import ThreadPool
from zope.interface import implementer

from mailaccess.interfaces import IAccounts, Identity
from mailaccess.store.disk import Disk
from mailaccess.store.maildir.account import MaildirAccount
from mailaccess.store.maildir.helper import REST
from mailaccess.store.maildir.helpers import Helpers
from mailaccess.store.maildir.keeping import Keeper
from mailaccess.store.maildir.shared import SharedMailbox
from mailaccess.store.maildir.watch import Watcher
from mailaccess.store.maildir.writer import Writer
from mailaccess.store.names import user_directory
from mailaccess.store.options import StoreOptions

_COLD_ROWS = 2_000_000
"""Rows of mailboxes that nobody has open and that are kept in memory, of 36 octets each."""


@implementer(IAccounts)
class MaildirAccounts:
    """
    Accounts by user name, from Maildirs.

    @ivar writer: the thread in which everything becomes durable
    @ivar keeper: the thread that keeps what was computed
    @ivar helpers: processes that compute it where there is much
    @ivar filling: who makes text ready to be searched; one at a time
    """

    def __init__(
        self,
        root_template: str,
        reactor: Any,
        options: StoreOptions | None = None,
        threads: ThreadPool | None = None,
        disk: Disk | None = None,
    ) -> None:
        """
        @param root_template: home of a user that has none of its own, with C{{user}}, C{{local}}
            and
            C{{domain}}, which are filled in escaped
        @param threads: for slow reading; the reactor's if not given
        """
        self.root_template = root_template
        self.reactor = reactor
        self.options = options or StoreOptions()
        self.disk = disk or Disk()
        self.writer = Writer(reactor, self.options.open_indexes)
        self.keeper = Keeper()
        self.helpers = Helpers(self.options.helpers, self._helped)
        self.filling = DeferredLock()
        self.kernel = Watcher(reactor)
        self._threads = threads
        self._accounts: dict[str, MaildirAccount] = {}
        self._opening: dict[str, list[Deferred[None]]] = {}
        self._idle: OrderedDict[MaildirAccount, None] = OrderedDict()
        self._awake: OrderedDict[MaildirAccount, None] = OrderedDict()
        self._cold: OrderedDict[SharedMailbox, int] = OrderedDict()
        self._polled: list[Callable[[], None]] = []
        self._polling: IDelayedCall | None = None
        self._timers: set[IDelayedCall] = set()
        self._tending = False

    @property
    def threads(self) -> ThreadPool:
        """
        Where slow reading is done.
        """
        if self._threads is None:
            self._threads = self.reactor.getThreadPool()
        return self._threads

    def path_of(self, identity: Identity) -> str:
        """
        The Maildir of a user.
        """
        home = identity.home or user_directory(self.root_template, identity.name)
        return os.path.normpath(os.path.join(home, self.options.subdirectory))

    async def account(self, identity: Identity) -> MaildirAccount:
        """
        The user's account, opened or shared.
        """
        found = await self.account_at(identity.name, self.path_of(identity))
        found.usage.give(self.options.allowance(identity))
        found.wants_folders = bool(self.options.folders.create)
        return found

    async def account_at(self, name: str, path: str) -> MaildirAccount:
        """
        The account in a Maildir, opened or shared.

        @param name: no user's name, for mail that is no user's
        """
        while name in self._opening:
            waiting: Deferred[None] = Deferred()
            self._opening[name].append(waiting)
            await waiting
        found = self._accounts.get(name)
        if found is None or found.tree.path != path:
            self._opening[name] = []
            try:
                found = MaildirAccount(self, name, path, self.disk)
                await deferToThreadPool(self.reactor, self.threads, found.prepare)
                self._accounts[name] = found
            finally:
                for each in self._opening.pop(name):
                    each.callback(None)
        self._idle.pop(found, None)
        found.sessions += 1
        return found

    def has(self, account: MaildirAccount) -> bool:
        """
        Whether the account is open.
        """
        return self._accounts.get(account.name) is account

    def released(self, account: MaildirAccount) -> None:
        """
        One session fewer of an account.
        """
        account.sessions -= 1
        if account.sessions > 0:
            return
        if not self.has(account):
            account.forget()
            return
        self._idle[account] = None
        while len(self._idle) > self.options.idle_accounts:
            oldest, _ = self._idle.popitem(last=False)
            self.replace(oldest)
            oldest.forget()

    def replace(self, account: MaildirAccount) -> None:
        """
        The next session of the user gets a new object.
        """
        if self.has(account):
            del self._accounts[account.name]
        self._idle.pop(account, None)
        self._awake.pop(account, None)

    def used(self, account: MaildirAccount) -> None:
        """
        An account uses its database: others may have to close theirs.
        """
        awake = self._awake
        awake[account] = None
        awake.move_to_end(account)
        if len(awake) > self.options.open_indexes:
            awake.popitem(last=False)[0].doze()

    def warmed(self, shared: SharedMailbox) -> None:
        """
        A mailbox is looked at.
        """
        self._cold.pop(shared, None)

    def cooled(self, shared: SharedMailbox) -> None:
        """
        Nobody looks at a mailbox any more.
        """
        self._cold[shared] = shared.columns.count
        total = sum(self._cold.values())
        while total > _COLD_ROWS:
            oldest, rows = self._cold.popitem(last=False)
            total -= rows
            oldest.unload()

    def later(self, seconds: float, call: Callable[[], None]) -> None:
        """
        Call after some time, unless the store is stopped before.
        """
        timer: IDelayedCall

        def run() -> None:
            self._timers.discard(timer)
            call()

        timer = self.reactor.callLater(seconds, run)
        self._timers.add(timer)

    def _helped(self) -> None:
        self.reactor.callFromThread(self._tend)

    def _tend(self) -> None:
        if not self._tending:
            self._tending = True
            self.later(2 * REST, self._tidy)

    def _tidy(self) -> None:
        self._tending = False
        if self.helpers.tidy():
            self._tend()

    def poll(self, call: Callable[[], None]) -> Callable[[], None]:
        """
        Call every L{StoreOptions.poll_interval}; returns what ends it.
        """
        self._polled.append(call)
        if self._polling is None:
            self._polling = self.reactor.callLater(self.options.poll_interval, self._poll)
        return lambda: self._polled.remove(call) if call in self._polled else None

    def _poll(self) -> None:
        self._polling = None
        for call in list(self._polled):
            call()
        if self._polled:
            self._polling = self.reactor.callLater(self.options.poll_interval, self._poll)

    def stop(self) -> None:
        """
        At the end of the process: what was submitted is done, then everything is closed. Waits for
        it.
        """
        if self._polling is not None:
            self._polling.cancel()
            self._polling = None
        self._polled.clear()
        for timer in self._timers:
            timer.cancel()
        self._timers.clear()
        for account in list(self._accounts.values()):
            account.forget()
        self._accounts.clear()
        self._idle.clear()
        self._awake.clear()
        self._cold.clear()
        self.kernel.close()
        self.helpers.stop()
        self.keeper.stop()
        self.writer.stop()
