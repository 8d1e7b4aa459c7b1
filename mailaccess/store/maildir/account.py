"""
One user's mail: the mailboxes of a Maildir, shared by the user's sessions in a process.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

import apsw
from twisted.internet.defer import Deferred
from twisted.internet.threads import deferToThreadPool
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from mailaccess.errors import NoSuchMailbox, StoreFailed
from mailaccess.interfaces import IAccount, IMovesMessages, MailboxInfo, Status
from mailaccess.store import names
from mailaccess.store.disk import Disk, Tree, refusal
from mailaccess.store.maildir import (
    counting,
    derived,
    folders,
    furnish,
    index,
    listing,
    maildrop,
    places,
    reserve,
    utf8,
)
from mailaccess.store.maildir.adopt import Adopt
from mailaccess.store.maildir.deliver import Transfer
from mailaccess.store.maildir.index import Box, Index
from mailaccess.store.maildir.ledger import Delta, Job, Ledger
from mailaccess.store.maildir.mailbox import MaildirMailbox
from mailaccess.store.maildir.recall import Recall
from mailaccess.store.maildir.shared import SharedMailbox
from mailaccess.store.maildir.strangers import Strangers
from mailaccess.store.maildir.upload import Upload
from mailaccess.store.maildir.usage import Usage
from mailaccess.store.quota import IKeepsToQuota, Quota
from mailaccess.store.uses import IGivesUses, known

if TYPE_CHECKING:
    from mailaccess.store.accounts import MaildirAccounts

_T = TypeVar("_T")


@implementer(IAccount, IKeepsToQuota, IGivesUses)
class MaildirAccount:
    """
    An account.

    @ivar sessions: how many use it
    @ivar wants_folders: it is a user's, and may lack folders of the site
    @ivar dead: its record was damaged or taken away: a new object has to be made
    """

    log = Logger()
    powers: Collection[Any] = (IMovesMessages, IKeepsToQuota, IGivesUses)

    def __init__(self, accounts: MaildirAccounts, name: str, path: str, disk: Disk) -> None:
        self.accounts = accounts
        self.reactor = accounts.reactor
        self.options = accounts.options
        self.kernel = accounts.kernel
        self.name = name
        self.tree = Tree(disk, path)
        self.ledger = Ledger(self.tree, self._damaged)
        self.bell = os.path.join(path, index.DIRECTORY, index.BELL)
        self.sessions = 0
        self.wants_folders = False
        self.dead = False
        self._index: Index | None = None
        self._data_version = 0
        self._epoch = 0
        self._open: dict[int, SharedMailbox] = {}
        self._places: dict[str, int] = {}
        self._lock: int | None = None
        self.recall = Recall(os.path.join(path, index.DIRECTORY, derived.FILE))
        self.usage = Usage(self)
        self.strangers = Strangers(self)

    # ---- what its parts use --------------------------------------------------------------------

    def prepare(self) -> None:
        """
        Make what is missing; in a thread.
        """
        try:
            folders.make_root(self.tree.disk, self.tree.path)
            for old, _ in utf8.rename_all(self.tree):
                self.log.warn("{user}: {place} is not served", user=self.name, place=repr(old))
        except OSError as error:
            raise refusal(error, "opening the Maildir") from error
        folders.remove_leftovers(self.tree.path)
        if reserve.is_full(self.tree):
            # Even to read the record, some room is needed.
            reserve.give_up(self.tree)
        else:
            reserve.keep(self.tree)
        self.usage.look_for_losses()
        index.prepare(self.ledger.path)
        self.ledger.inode = index.inode_of(self.ledger.path)
        self.recover()
        self.usage.read_definition()

    def recover(self) -> None:
        """
        Put back what a process that died left half done; in a thread.
        """
        ledger = Ledger(self.tree)
        ledger.inode = self.ledger.inode
        try:
            ledger.recover()
        except OSError as error:
            raise refusal(error, "recovering") from error
        except apsw.Error as error:
            raise index.refusal(error) from error

    def seconds(self) -> float:
        """
        A clock.
        """
        return time.monotonic()

    @property
    def index(self) -> Index:
        """
        The record, to read, on the reactor.
        """
        if self._index is None:
            if self.dead:
                raise StoreFailed(detail="the record was damaged or taken away")
            self._check_place()
            try:
                self._index = Index(index.connect(self.ledger.path, writer=False))
            except apsw.Error as error:
                raise self._refused(error) from error
            self._data_version = 0
        self.accounts.used(self)
        return self._index

    def epoch(self) -> int:
        """
        A number that changes when the record does, by whomsoever.
        """
        record = self.index
        self._check_place()
        try:
            version = record.connection.pragma("data_version")
        except apsw.Error as error:
            raise self._refused(error) from error
        if version != self._data_version:
            self._data_version = version
            self._epoch += 1
        return self._epoch

    def _check_place(self) -> None:
        try:
            inode = index.inode_of(self.ledger.path)
        except OSError as error:
            raise refusal(error, "index") from error
        if inode != self.ledger.inode:
            self._die()
            raise StoreFailed(detail="the record was taken away")

    @contextlib.contextmanager
    def reading(self) -> Iterator[None]:
        """
        Read the record, all at one moment; its errors as ours.
        """
        connection = self.index.connection
        try:
            connection.execute("BEGIN")
            try:
                yield
            finally:
                connection.execute("COMMIT")
        except apsw.Error as error:
            raise self._refused(error) from error

    def _refused(self, error: apsw.Error) -> Exception:
        if index.is_damage(error):
            index.set_aside(self.ledger.path, self.ledger.inode)
            self._die()
        return index.refusal(error)

    def _damaged(self, inode: int) -> None:
        # In the writer's or another thread.
        if inode:
            index.set_aside(self.ledger.path, inode)
        self.reactor.callFromThread(self._die)

    def _die(self) -> None:
        if not self.dead:
            self.dead = True
            self.log.error("the record of {user} has to be made anew", user=self.name)
            self.accounts.replace(self)
            self.doze()
            for shared in self._open.values():
                shared.notice()

    def in_thread(self, work: Callable[..., _T], *arguments: Any) -> Deferred[_T]:
        """
        Do something slow elsewhere; errors of the system and the record as ours.
        """

        def run() -> _T:
            try:
                return work(*arguments)
            except OSError as error:
                raise refusal(error) from error
            except apsw.Error as error:
                if index.is_damage(error):
                    self._damaged(self.ledger.inode)
                raise index.refusal(error) from error

        return deferToThreadPool(self.reactor, self.accounts.threads, run)

    def submit(self, job: Job) -> Deferred[Any]:
        """
        Have a job done durably.
        """
        if self.dead:
            raise StoreFailed(detail="the record was damaged or taken away")
        return self.accounts.writer.submit(self.ledger, job)

    def later(self, seconds: float, call: Callable[[], None]) -> None:
        """
        Call after some time, unless the account is closed by then.
        """

        def run() -> None:
            if not self.dead and self.accounts.has(self):
                call()

        self.accounts.later(seconds, run)

    def poll(self, call: Callable[[], None]) -> Callable[[], None]:
        """
        Call every now and then; returns what ends it.
        """
        return self.accounts.poll(call)

    def failed(self, failure: Failure, what: str) -> None:
        """
        Log that something nobody waits for did not happen.
        """
        self.log.warn("{what} of {user}: {error}", what=what, user=self.name, error=failure.value)

    def applied(self, delta: Delta) -> None:
        """
        Tell the mailbox that a job changed.
        """
        shared = self._open.get(delta.mailbox)
        if shared is not None:
            shared.apply(delta)

    def left(self, shared: SharedMailbox) -> None:
        """
        A session left a mailbox.
        """
        shared.views -= 1
        if not shared.views:
            self.accounts.cooled(shared)

    def doze(self) -> None:
        """
        Let go of descriptors and the database until they are needed again.
        """
        if self._index is not None:
            with contextlib.suppress(apsw.Error):
                self._index.connection.close(True)
            self._index = None
        self.recall.doze()
        for shared in self._open.values():
            shared.doze()
        self.accounts.writer.forget(self.ledger)

    def forget(self) -> None:
        """
        Let go of everything.
        """
        for shared in self._open.values():
            shared.unload()
        self.doze()
        self._open.clear()
        self._places.clear()

    # ---- mailboxes -----------------------------------------------------------------------------

    async def box(self, name: str) -> Box:
        """
        The row of a mailbox that is there.
        """
        directory = names.directory_of(name)
        if not self._there(directory):
            await furnish.furnish(self)
            if not self._there(directory):
                raise NoSuchMailbox
        with self.reading():
            box = self.index.box_at(directory)
        if box is None:
            job = Adopt(directory, self.options.unique_ids)
            box = await self.submit(job)
            self.tell_doubts(job)
        return box

    def tell_doubts(self, job: Adopt) -> None:
        """
        Log what could not be kept of what another server knew.
        """
        for doubt in job.doubts:
            told = f"{job.source} in {names.name_of(job.directory)}: {doubt}"
            self.log.warn("{user}: {doubt}", user=self.name, doubt=told)

    def _there(self, directory: str) -> bool:
        try:
            with self.tree.open() as at:
                if not directory:
                    return self.tree.disk.exists("cur", at)
                return places.is_mailbox(self.tree.disk, directory, at)
        except OSError as error:
            raise refusal(error) from error

    async def shared(self, name: str) -> SharedMailbox:
        """
        An open mailbox, with everything taken in.
        """
        directory = names.directory_of(name)
        shared = self._open.get(self._places.get(directory, 0))
        # Where nothing changed since, the directories are not looked up either.
        if shared is None or shared.box.directory != directory or shared.stale():
            box = await self.box(name)
            shared = self._open.get(box.id)
            if shared is None:
                shared = self._open[box.id] = SharedMailbox(self, _canonical(name), box)
            shared.name = _canonical(name)
            self._places[directory] = box.id
            await shared.catch_up()
        if shared.box.mirrored < shared.box.modseq:
            shared.mirror()
        return shared

    async def mailboxes(self) -> Sequence[MailboxInfo]:
        """
        All names, C{INBOX} first.
        """
        return await listing.mailboxes(self)

    async def subscriptions(self) -> Sequence[str]:
        """
        Subscribed names.
        """
        await furnish.furnish(self)
        try:
            return sorted(folders.load_subscriptions(self.tree.disk, self.tree))
        except OSError as error:
            raise refusal(error, "subscriptions") from error

    async def subscribe(self, name: str) -> None:
        """
        Durable.
        """
        await self.submit(folders.Subscribe(add=(_canonical(name),)))

    async def unsubscribe(self, name: str) -> None:
        """
        Durable.
        """
        await self.submit(folders.Subscribe(remove=(_canonical(name),)))

    async def create(self, name: str) -> None:
        """
        With those above it.
        """
        await self.submit(folders.Create(name, site=self.options.folders))

    async def create_for(self, name: str, uses: Collection[str]) -> None:
        """
        With uses.
        """
        await self.submit(folders.Create(name, uses=known(uses)))

    async def delete(self, name: str) -> None:
        """
        Children stay.
        """
        number = await self.submit(folders.Delete(name))
        self._remove_leftovers()
        shared = self._open.pop(number, None)
        if shared is not None:
            shared.gone = True
            shared.notice()

    def _remove_leftovers(self) -> None:
        # A big mailbox takes long: nobody waits for it, least of all the writer.
        removing = self.in_thread(folders.remove_leftovers, self.tree.path)
        removing.addErrback(self.failed, "removing files")

    async def rename(self, old: str, new: str) -> None:
        """
        Children too; of C{INBOX} the messages.
        """
        if not names.directory_of(old):
            await self._empty_inbox(new)
            return
        await self.submit(folders.Rename(old, new, self.options.folders))
        missing = names.parents_of(new)
        if missing:
            await self.submit(folders.Create(missing[-1], exist_ok=True))
        for shared in self._open.values():
            with contextlib.suppress(NoSuchMailbox):
                shared.refresh()
                shared.name = names.name_of(shared.box.directory) or shared.name

    async def _empty_inbox(self, new: str) -> None:
        shared = await self.shared(names.INBOX)
        await self.submit(folders.Create(new))
        target = await self.box(new)
        with self.reading():
            uids = [row[0] for row in self.index.messages(shared.box.id, 1)]
        if uids:
            done = await self.submit(Transfer(shared.box.id, uids, target.id, move=True))
            self.applied(done.target)
            self.applied(done.source)

    async def status(self, name: str) -> Status:
        """
        Counts, deliveries included.
        """
        directory = names.directory_of(name)
        if directory not in self._places and self._there(directory):
            await self.strangers.look_at(directory)
        return await counting.status(await self.shared(name))

    async def select(self, name: str, read_only: bool = False) -> MaildirMailbox:
        """
        A session's view of a mailbox.
        """
        return MaildirMailbox(await self.opened(name), read_only)

    async def opened(self, name: str) -> SharedMailbox:
        """
        A mailbox to look at, with its columns.
        """
        shared = await self.shared(name)
        if not shared.loaded:
            await shared.load()
        self.accounts.warmed(shared)
        return shared

    async def upload(self, name: str) -> Upload:
        """
        An upload into a mailbox.
        """
        box = await self.box(name)
        await self.usage.before_upload()
        shared = self._open.get(box.id)
        if shared is None:
            shared = self._open[box.id] = SharedMailbox(self, _canonical(name), box)
        return Upload(shared, self.options.message_limit, lambda: None)

    async def quota(self, name: str) -> Quota | None:
        """
        What the account holds and may hold.
        """
        return await self.usage.quota()

    def quota_now(self, name: str) -> Quota | None:
        """
        The same at once, where something limits it.
        """
        return self.usage.now() if self.usage.allowance else None

    async def lock_maildrop(self) -> Callable[[], None]:
        """
        For one POP3 session at a time, in all processes.
        """
        return maildrop.lock(self.tree)

    def release(self) -> None:
        """
        One session fewer.
        """
        self.accounts.released(self)


def _canonical(name: str) -> str:
    return names.INBOX if name.upper() == names.INBOX else name
