"""
Mailboxes of the store in memory: what is kept, and one session's view of it.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import attrs
from zope.interface import implementer

from ..errors import LimitReached, MailboxReadOnly, MessageGone
from ..interfaces import (
    DELETED,
    KEYWORD_BIT,
    SYSTEM_FLAGS,
    Changes,
    Copied,
    Description,
    IMailbox,
    IMovesMessages,
    IRows,
    Stored,
)
from ..message.header import header_end, picker
from ..message.structure import describe
from .memory_search import search

if TYPE_CHECKING:
    from .memory import MemoryAccount

_SYSTEM = {name.lower(): bit for name, bit in SYSTEM_FLAGS.items()}


@attrs.define(eq=False)
class MemoryMessage:
    """
    One message.

    @ivar date: internal date, seconds since 1970 UTC
    """

    uid: int
    octets: bytes = attrs.field(repr=False)
    flags: int
    date: int
    modseq: int

    @property
    def size(self) -> int:
        """
        RFC822.SIZE.
        """
        return len(self.octets)


@attrs.define(eq=False)
class Folder:
    """
    What a mailbox holds, for all sessions. Its methods are what others do to it: deliveries,
    another program that changes flags or deletes.

    @ivar recent: UIDs that no session was told of yet
    @ivar version: counts every change
    """

    name: str
    uid_validity: int
    messages: dict[int, MemoryMessage] = attrs.field(factory=dict)
    keywords: list[str] = attrs.field(factory=list)
    recent: set[int] = attrs.field(factory=set)
    uid_next: int = 1
    modseq: int = 1
    version: int = 0
    watchers: list[Callable[[], None]] = attrs.field(factory=list)

    def deliver(self, octets: bytes, flags: Collection[str] = (), date: int = 0) -> int:
        """
        A new message, with CRLF line ends; its UID.
        """
        mask = self.mask(flags)
        uid = self.uid_next
        self.uid_next += 1
        self.modseq += 1
        self.messages[uid] = MemoryMessage(uid, octets, mask, date, self.modseq)
        self.recent.add(uid)
        self.changed()
        return uid

    def change_flags(self, uids: Collection[int], operation: str, flags: Collection[str]) -> None:
        """
        Change flags; C{operation} is C{add}, C{remove} or C{set}.
        """
        mask = self.mask(flags)
        self.modseq += 1
        for uid in uids:
            message = self.messages[uid]
            flagged = applied(message.flags, operation, mask)
            if flagged != message.flags:
                message.flags = flagged
                message.modseq = self.modseq
        self.changed()

    def remove(self, uids: Collection[int]) -> list[int]:
        """
        Take messages away; the UIDs of those that were there.
        """
        gone = sorted(uid for uid in set(uids) if self.messages.pop(uid, None) is not None)
        if gone:
            self.recent.difference_update(gone)
            self.modseq += 1
            self.changed()
        return gone

    def mask(self, flags: Collection[str]) -> int:
        """
        Flag names as bits; keywords that are new become known.

        @raise LimitReached: one keyword too many
        """
        mask = 0
        known = {each.lower(): index for index, each in enumerate(self.keywords)}
        for flag in flags:
            bit = _SYSTEM.get(flag.lower())
            if bit is None:
                index = known.get(flag.lower())
                if index is None:
                    index = known[flag.lower()] = len(self.keywords)
                    if index >= 64 - KEYWORD_BIT:
                        raise LimitReached("Too many keywords")
                    self.keywords.append(flag)
                bit = 1 << (KEYWORD_BIT + index)
            mask |= bit
        return mask

    def names(self, mask: int) -> list[str]:
        """
        Bits as flag names.
        """
        keywords = enumerate(self.keywords)
        return [name for name, bit in SYSTEM_FLAGS.items() if mask & bit] + [
            name for index, name in keywords if mask >> (KEYWORD_BIT + index) & 1
        ]

    def changed(self) -> None:
        """
        Tell those who watch.
        """
        self.version += 1
        for each in tuple(self.watchers):
            each()


def applied(flags: int, operation: str, mask: int) -> int:
    """
    A flag mask after C{add}, C{remove} or C{set}.
    """
    if operation == "add":
        return flags | mask
    if operation == "remove":
        return flags & ~mask
    assert operation == "set", operation
    return mask


class Column(Sequence[int]):
    """
    One attribute of a view's messages.
    """

    def __init__(self, messages: list[MemoryMessage], attribute: str) -> None:
        self._messages = messages
        self._attribute = attribute

    def __len__(self) -> int:
        return len(self._messages)

    def __iter__(self) -> Iterator[int]:
        return (getattr(each, self._attribute) for each in self._messages)

    def __getitem__(self, at: Any) -> Any:
        if isinstance(at, slice):
            return [getattr(each, self._attribute) for each in self._messages[at]]
        return getattr(self._messages[at], self._attribute)


@implementer(IRows)
class MemoryRows:
    """
    A view's messages as columns.
    """

    def __init__(self, messages: list[MemoryMessage]) -> None:
        self.uids: Sequence[int] = Column(messages, "uid")
        self.flags: Sequence[int] = Column(messages, "flags")
        self.modseqs: Sequence[int] = Column(messages, "modseq")
        self.sizes: Sequence[int] = Column(messages, "size")
        self.dates: Sequence[int] = Column(messages, "date")

    def __len__(self) -> int:
        return len(self.uids)


@implementer(IMailbox, IMovesMessages)
class MemoryMailbox:
    """
    One session's view of a L{Folder}.

    @ivar messages: those the session knows, expunged ones it was not told of included
    """

    def __init__(self, account: MemoryAccount, folder: Folder, read_only: bool) -> None:
        self.account = account
        self.folder = folder
        self.read_only = read_only
        self.rights = frozenset("lr" if read_only else "lrswipkxtea")
        self.messages: list[MemoryMessage] = []
        self.rows = MemoryRows(self.messages)
        self.closed = False
        self._recent: set[int] = set()
        self._told: dict[int, int] = {}
        self._keywords = len(folder.keywords)
        self._version = -1
        self._withheld = False
        self._take_in(True)

    @property
    def name(self) -> str:
        """
        As it is called now.
        """
        return self.folder.name

    @property
    def uid_validity(self) -> int:
        """
        Of the folder.
        """
        return self.folder.uid_validity

    @property
    def uid_next(self) -> int:
        """
        Of the folder.
        """
        return self.folder.uid_next

    @property
    def highest_modseq(self) -> int:
        """
        Of the folder.
        """
        return self.folder.modseq

    @property
    def keywords(self) -> Sequence[str]:
        """
        Of the folder.
        """
        return self.folder.keywords

    @property
    def recent(self) -> int:
        """
        How many of the rows are.
        """
        return len(self._recent)

    def is_recent(self, uid: int) -> bool:
        """
        As L{IMailbox.is_recent}.
        """
        return uid in self._recent

    def pending(self, expunges: bool) -> bool:
        """
        As L{IMailbox.pending}.
        """
        return self.folder.version != self._version or (expunges and self._withheld)

    async def sync(self, *, expunges: bool = True) -> Changes:
        """
        As L{IMailbox.sync}.
        """
        await self.account.pass_by()
        return self._take_in(expunges)

    def _take_in(self, expunges: bool) -> Changes:
        folder, present = self.folder, self.folder.messages
        recent_before, last = len(self._recent), self.messages[-1].uid if self.messages else 0
        gone = [row for row, each in enumerate(self.messages) if each.uid not in present]
        self._withheld = bool(gone) and not expunges
        gone = [] if self._withheld else gone
        gone_uids = [self.messages[row].uid for row in gone]
        for row in reversed(gone):
            self._told.pop(self.messages.pop(row).uid)
        self._recent.difference_update(gone_uids)
        changed = []
        for row, each in enumerate(self.messages):
            if each.flags != self._told[each.uid] and each.uid in present:
                changed.append(row + 1)
                self._told[each.uid] = each.flags
        new = [each for uid, each in present.items() if uid > last]
        self.messages.extend(new)
        self._told.update((each.uid, each.flags) for each in new)
        unclaimed = folder.recent & self._told.keys()
        self._recent |= unclaimed
        if not self.read_only:
            folder.recent -= unclaimed
        keywords = len(folder.keywords) > self._keywords
        self._keywords = len(folder.keywords)
        self._version = folder.version
        return Changes(
            expunged=[row + 1 - before for before, row in enumerate(gone)],
            expunged_uids=gone_uids,
            exists=len(self.messages) if new else None,
            recent=len(self._recent) if len(self._recent) != recent_before else None,
            changed=changed,
            keywords=keywords,
        )

    async def store(
        self,
        uids: Sequence[int],
        operation: str,
        flags: Collection[str],
        unchanged_since: int | None = None,
    ) -> Stored:
        """
        As L{IMailbox.store}.
        """
        await self.account.pass_by()
        self._must_write()
        folder = self.folder
        wanted = set(uids)
        mask = folder.mask(flags)
        chosen, conflicts, gone = [], [], False
        for row, each in enumerate(self.messages):
            if each.uid not in wanted:
                continue
            if each.uid not in folder.messages:
                gone = True
            elif unchanged_since is not None and each.modseq > unchanged_since:
                conflicts.append(each.uid)
            else:
                chosen.append((row + 1, each.uid))
        for _, uid in chosen:
            # What others did meanwhile is still to be told.
            self._told[uid] = applied(self._told[uid], operation, mask)
        # A keyword that is new has to be told of, even if nothing else happened.
        current = self._version == folder.version and self._keywords == len(folder.keywords)
        folder.change_flags([uid for _, uid in chosen], operation, flags)
        if current:
            self._version = folder.version
        return Stored([number for number, _ in chosen], conflicts, gone)

    async def expunge(self, uids: Collection[int] | None = None) -> Sequence[int]:
        """
        As L{IMailbox.expunge}.
        """
        await self.account.pass_by()
        self._must_write()
        wanted = None if uids is None else set(uids)
        return self.folder.remove(
            [
                each.uid
                for each in self.messages
                if each.flags & DELETED and (wanted is None or each.uid in wanted)
            ]
        )

    async def remove(self, uids: Collection[int]) -> Sequence[int]:
        """
        As L{IMailbox.remove}.
        """
        await self.account.pass_by()
        self._must_write()
        return self.folder.remove(uids)

    async def copy(self, uids: Sequence[int], destination: str) -> Copied:
        """
        As L{IMailbox.copy}.
        """
        await self.account.pass_by()
        sources = [self._message(uid) for uid in uids]
        target = self.account.folder(destination)
        self.account.need_room(sum(each.size for each in sources), len(sources))
        return self._copy(uids, target)

    def _copy(self, uids: Sequence[int], target: Folder) -> Copied:
        sources = [self._message(uid) for uid in uids]
        targets = [
            target.deliver(each.octets, self.folder.names(each.flags), each.date)
            for each in sources
        ]
        return Copied(target.uid_validity, list(uids), targets)

    async def move(self, uids: Sequence[int], destination: str) -> Copied:
        """
        As L{IMovesMessages.move}.
        """
        self._must_write()
        await self.account.pass_by()
        copied = self._copy(uids, self.account.folder(destination))
        self.folder.remove(uids)
        return copied

    async def search(self, query: Any) -> Sequence[int]:
        """
        As L{IMailbox.search}.
        """
        await self.account.pass_by()
        return search(self, query, self.account.now())

    async def describe(self, uids: Sequence[int]) -> Sequence[Description | None]:
        """
        As L{IMailbox.describe}.
        """
        await self.account.pass_by()
        found = [self.folder.messages.get(uid) for uid in uids]
        return [None if each is None else describe(each.octets) for each in found]

    async def headers(self, uids: Sequence[int]) -> Sequence[bytes | None]:
        """
        As L{IMailbox.headers}.
        """
        await self.account.pass_by()
        found = [self.folder.messages.get(uid) for uid in uids]
        return [None if each is None else each.octets[: header_end(each.octets)] for each in found]

    async def fields(self, uids: Sequence[int], names: Collection[bytes]) -> Sequence[bytes | None]:
        """
        As L{IMailbox.fields}.
        """
        pick = picker(names, False)
        return [None if each is None else pick(each) for each in await self.headers(uids)]

    async def octets(self, uid: int) -> bytes:
        """
        As L{IMailbox.octets}.
        """
        await self.account.pass_by()
        return self._message(uid).octets

    async def aside(self, work: Callable[..., Any], *arguments: Any) -> Any:
        """
        At once.
        """
        return work(*arguments)

    def watch(self, callback: Callable[[], None]) -> Callable[[], None]:
        """
        As L{IMailbox.watch}.
        """
        watchers = self.folder.watchers
        watchers.append(callback)

        def end() -> None:
            if callback in watchers:
                watchers.remove(callback)

        return end

    def close(self) -> None:
        """
        As L{IMailbox.close}.
        """
        self.closed = True

    def _message(self, uid: int) -> MemoryMessage:
        try:
            return self.folder.messages[uid]
        except KeyError:
            raise MessageGone from None

    def _must_write(self) -> None:
        if self.read_only:
            raise MailboxReadOnly
