"""
A store in memory, complete and simple: for tests here and in other people's programs.

    accounts = MemoryAccounts()
    account = accounts.of("amy")
    account.deliver("INBOX", b"Subject: hello\\r\\n\\r\\nworld\\r\\n")
    account.folder("INBOX").change_flags([1], "add", ["\\\\Seen"])

What L{MemoryAccount.deliver} and the methods of L{Folder} do is done by others, as far as sessions
can tell.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from time import time
from typing import Any

import attrs
from zope.interface import implementer

from ..errors import (
    BadMailboxName,
    InUse,
    MailboxExists,
    MailboxHasChildren,
    NoSuchMailbox,
    OverQuota,
    TooBig,
)
from ..interfaces import (
    DELETED,
    SEEN,
    Appended,
    IAccount,
    IAccounts,
    Identity,
    IMovesMessages,
    IUpload,
    MailboxInfo,
    Status,
)
from ..store.quota import UNLIMITED, Allowance, IKeepsToQuota, Quota
from ..store.uses import IGivesUses, known
from .memory_mailbox import Folder, MemoryMailbox

INBOX = "INBOX"


@implementer(IAccounts)
@attrs.define(eq=False)
class MemoryAccounts:
    """
    Accounts by user name, made when first asked for.
    """

    accounts: dict[str, MemoryAccount] = attrs.field(factory=dict)

    def of(self, name: str) -> MemoryAccount:
        """
        The account of that name, without a session of it.
        """
        if name not in self.accounts:
            self.accounts[name] = MemoryAccount(name)
        return self.accounts[name]

    def enter(self, identity: Identity) -> MemoryAccount:
        """
        The account of somebody whose session begins.
        """
        account = self.of(identity.name)
        account.sessions += 1
        return account

    async def account(self, identity: Identity) -> MemoryAccount:
        """
        As L{IAccounts.account}.
        """
        return self.enter(identity)


@implementer(IAccount, IKeepsToQuota, IGivesUses)
@attrs.define(eq=False)
class MemoryAccount:
    """
    One user's mail.

    @ivar powers: may be changed, to be a store that can do less
    @ivar special_use: by mailbox name
    @ivar sessions: how many have it and have not released it
    @ivar before: awaited before each operation, if given: a slow store, or one that fails
    @ivar largest: octets of one message
    @ivar room: octets that all messages together may have
    @ivar allowance: limits, as administrators set them
    @ivar quota_warning: percent of them from which on people are warned
    @ivar now: seconds since 1970 UTC
    """

    name: str = "amy"
    powers: Collection[Any] = frozenset({IMovesMessages, IKeepsToQuota, IGivesUses})
    special_use: dict[str, str] = attrs.field(factory=dict)
    sessions: int = 0
    before: Callable[[], Any] | None = None
    largest: int = 1 << 40
    room: int = 1 << 50
    allowance: Allowance = UNLIMITED
    quota_warning: int = 90
    now: Callable[[], float] = time
    subscribed: set[str] = attrs.field(factory=set)
    folders: dict[str, Folder] = attrs.field(factory=dict)
    locked: bool = False
    _validity: int = 0

    def __attrs_post_init__(self) -> None:
        self._make(INBOX)

    # ---- for tests ---------------------------------------------------------------------------

    def folder(self, name: str) -> Folder:
        """
        What a mailbox holds.

        @raise NoSuchMailbox: there is none, or it cannot be selected
        """
        try:
            return self.folders[name]
        except KeyError:
            raise NoSuchMailbox from None

    def deliver(
        self, name: str, octets: bytes, flags: Collection[str] = (), date: int | None = None
    ) -> int:
        """
        A message from outside, with CRLF line ends; its UID.
        """
        return self.folder(name).deliver(octets, flags, int(self.now()) if date is None else date)

    def make(self, *names: str) -> None:
        """
        Mailboxes from outside.
        """
        for each in names:
            self._make(each)

    async def pass_by(self) -> None:
        """
        What every operation begins with.
        """
        if self.before is not None:
            await self.before()

    # ---- names -------------------------------------------------------------------------------

    def _make(self, name: str) -> None:
        self._validity += 1
        self.folders[name] = Folder(name, self._validity)

    def _names(self) -> set[str]:
        found = set(self.folders)
        for each in self.folders:
            parts = each.split("/")
            found.update("/".join(parts[:count]) for count in range(1, len(parts)))
        return found

    def _below(self, name: str) -> list[str]:
        return [each for each in self.folders if each.startswith(name + "/")]

    async def mailboxes(self) -> Sequence[MailboxInfo]:
        """
        As L{IAccount.mailboxes}.
        """
        await self.pass_by()
        names = self._names()
        parents = {each.rpartition("/")[0] for each in names}
        return [
            MailboxInfo(
                each,
                selectable=each in self.folders,
                has_children=each in parents,
                subscribed=each in self.subscribed,
                special_use=self.special_use.get(each, ""),
            )
            for each in sorted(names, key=lambda each: (each != INBOX, each))
        ]

    async def subscriptions(self) -> Sequence[str]:
        """
        As L{IAccount.subscriptions}.
        """
        await self.pass_by()
        return sorted(self.subscribed)

    async def subscribe(self, name: str) -> None:
        """
        As L{IAccount.subscribe}.
        """
        await self.pass_by()
        _check(name)
        self.subscribed.add(name)

    async def unsubscribe(self, name: str) -> None:
        """
        As L{IAccount.unsubscribe}.
        """
        await self.pass_by()
        self.subscribed.discard(name)

    async def create(self, name: str) -> None:
        """
        As L{IAccount.create}.
        """
        await self.pass_by()
        _check(name)
        if name in self.folders:
            raise MailboxExists
        self._make(name)

    async def create_for(self, name: str, uses: Collection[str]) -> None:
        """
        As L{IGivesUses.create_for}.
        """
        words = known(uses)
        await self.create(name)
        self.special_use[name] = " ".join(words)

    async def delete(self, name: str) -> None:
        """
        As L{IAccount.delete}.
        """
        await self.pass_by()
        if name == INBOX:
            raise BadMailboxName("INBOX cannot be deleted")
        if name not in self.folders:
            raise MailboxHasChildren if self._below(name) else NoSuchMailbox
        folder = self.folders.pop(name)
        folder.remove(tuple(folder.messages))

    async def rename(self, old: str, new: str) -> None:
        """
        As L{IAccount.rename}.
        """
        await self.pass_by()
        _check(new)
        if old not in self._names():
            raise NoSuchMailbox
        if new in self._names():
            raise MailboxExists
        if new.startswith(old + "/") and old != INBOX:
            raise BadMailboxName("A mailbox cannot be put below itself")
        if old == INBOX:
            self._make(new)
            inbox = self.folders[INBOX]
            for message in inbox.messages.values():
                flags = inbox.names(message.flags)
                self.folders[new].deliver(message.octets, flags, message.date)
            inbox.remove(tuple(inbox.messages))
            return
        for each in [*([old] if old in self.folders else []), *self._below(old)]:
            folder = self.folders.pop(each)
            folder.name = new + each[len(old) :]
            self.folders[folder.name] = folder

    # ---- messages ----------------------------------------------------------------------------

    async def status(self, name: str) -> Status:
        """
        As L{IAccount.status}.
        """
        await self.pass_by()
        folder = self.folder(name)
        messages = folder.messages.values()
        return Status(
            messages=len(messages),
            recent=len(folder.recent),
            unseen=sum(not each.flags & SEEN for each in messages),
            deleted=sum(bool(each.flags & DELETED) for each in messages),
            uid_next=folder.uid_next,
            uid_validity=folder.uid_validity,
            highest_modseq=folder.modseq,
            size=sum(each.size for each in messages),
            deleted_size=sum(each.size for each in messages if each.flags & DELETED),
        )

    async def select(self, name: str, read_only: bool = False) -> MemoryMailbox:
        """
        As L{IAccount.select}.
        """
        await self.pass_by()
        return MemoryMailbox(self, self.folder(name), read_only)

    async def upload(self, name: str) -> MemoryUpload:
        """
        As L{IAccount.upload}.
        """
        await self.pass_by()
        return MemoryUpload(self, self.folder(name))

    def octets(self) -> int:
        """
        Of all messages together.
        """
        return sum(
            each.size for folder in self.folders.values() for each in folder.messages.values()
        )

    async def quota(self, name: str) -> Quota | None:
        """
        As L{IKeepsToQuota.quota}.
        """
        await self.pass_by()
        return self._quota()

    def quota_now(self, name: str) -> Quota | None:
        """
        As L{IKeepsToQuota.quota_now}.
        """
        return self._quota() if self.allowance else None

    def _quota(self) -> Quota:
        messages = sum(len(folder.messages) for folder in self.folders.values())
        return Quota("User quota", self.octets(), messages, self.allowance, self.quota_warning)

    def need_room(self, octets: int, messages: int) -> None:
        """
        Whether so much more may come.

        @raise OverQuota: no
        """
        used = self._quota()
        if not self.allowance.fits(used.octets + octets, used.messages + messages):
            raise OverQuota("Quota exceeded")

    async def lock_maildrop(self) -> Callable[[], None]:
        """
        As L{IAccount.lock_maildrop}.
        """
        await self.pass_by()
        if self.locked:
            raise InUse
        self.locked = True

        def release() -> None:
            self.locked = False

        return release

    def release(self) -> None:
        """
        As L{IAccount.release}.
        """
        self.sessions -= 1


@implementer(IUpload)
@attrs.define(eq=False)
class MemoryUpload:
    """
    Messages on their way in.
    """

    account: MemoryAccount
    folder: Folder
    _messages: list[tuple[bytearray, Collection[str], int]] = attrs.field(factory=list)
    _size: int = 0

    def begin(self, size: int, flags: Collection[str], date: int | None) -> None:
        """
        As L{IUpload.begin}.
        """
        if size > self.account.largest:
            raise TooBig
        self._size += size
        if self.account.octets() + self._size > self.account.room:
            raise OverQuota
        self.account.need_room(self._size, len(self._messages) + 1)
        moment = int(self.account.now()) if date is None else date
        self._messages.append((bytearray(), tuple(flags), moment))

    def write(self, data: bytes) -> None:
        """
        As L{IUpload.write}.
        """
        self._messages[-1][0].extend(data)

    async def commit(self) -> Appended:
        """
        As L{IUpload.commit}.
        """
        await self.account.pass_by()
        if self.account.folders.get(self.folder.name) is not self.folder:
            raise NoSuchMailbox
        self.account.need_room(self._size, len(self._messages))
        for _, flags, _ in self._messages:
            self.folder.mask(flags)
        uids = [
            self.folder.deliver(bytes(octets), flags, date)
            for octets, flags, date in self._messages
        ]
        self._messages.clear()
        return Appended(self.folder.uid_validity, uids)

    def abort(self) -> None:
        """
        As L{IUpload.abort}.
        """
        self._messages.clear()


def _check(name: str) -> None:
    if len(name) > 1000 or not name.isprintable():
        raise BadMailboxName
    if any(not part or part[0] in ".~" for part in name.split("/")):
        raise BadMailboxName
