"""
One session's view of a mailbox.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Collection, Mapping, Sequence
from itertools import compress
from typing import TYPE_CHECKING, Any

from zope.interface import implementer

from mailaccess.errors import MailboxReadOnly, MessageGone
from mailaccess.interfaces import (
    DELETED,
    NO_CHANGES,
    Changes,
    Copied,
    Description,
    IKeepsUniqueIds,
    IMailbox,
    IMovesMessages,
    Stored,
)
from mailaccess.store import search
from mailaccess.store.maildir import uniqueids
from mailaccess.store.maildir.columns import Row
from mailaccess.store.maildir.deliver import Remove, Transfer
from mailaccess.store.maildir.flags import Claim, StoreFlags
from mailaccess.store.maildir.reading import Reader
from mailaccess.store.query import Query
from mailaccess.store.rights import EVERYTHING, LOOK, Rights

if TYPE_CHECKING:
    from mailaccess.store.maildir.shared import SharedMailbox

_REMOVE_SLICE = 500
_MANY = 1000


@implementer(IMailbox, IMovesMessages, IKeepsUniqueIds)
class MaildirMailbox:
    """
    A mailbox that one session has selected.

    @ivar rows: what the session was told of
    """

    def __init__(self, shared: SharedMailbox, read_only: bool) -> None:
        self._shared = shared
        self._reader = Reader(shared)
        self.read_only = read_only
        self._columns = shared.columns
        self._step = shared.step
        self._version = shared.version
        self._keywords = len(shared.keywords)
        self._recents: list[tuple[int, int]] = []
        self._recent_from = shared.first_recent
        self._ends: list[Callable[[], None]] = []
        self._open = True
        self.rows = shared.columns.rows()
        self._claim()
        self._told_recent = self.recent
        shared.views += 1

    @property
    def name(self) -> str:
        """
        The mailbox.
        """
        return self._shared.name

    @property
    def rights(self) -> Rights:
        """
        All of them, or to look only.
        """
        return LOOK if self.read_only else EVERYTHING

    @property
    def uid_validity(self) -> int:
        """
        UIDVALIDITY.
        """
        return self._shared.box.uid_validity

    @property
    def uid_next(self) -> int:
        """
        UIDNEXT.
        """
        return self._shared.uid_next

    @property
    def highest_modseq(self) -> int:
        """
        HIGHESTMODSEQ.
        """
        return self._shared.modseq

    @property
    def keywords(self) -> Sequence[str]:
        """
        Names of keywords.
        """
        return self._shared.keywords

    # ---- recent --------------------------------------------------------------------------------

    def _claim(self) -> None:
        """
        What nobody was told of yet is recent here; a session that may write takes it for itself.
        """
        end = (self.rows.uids[-1] if self.rows.uids else 0) + 1
        shared = self._shared
        low = self._recent_from if self.read_only else shared.first_recent
        if low >= end:
            return
        if self._recents and self._recents[-1][1] >= low:
            self._recents[-1] = (self._recents[-1][0], end)
        else:
            self._recents.append((low, end))
        if self.read_only:
            self._recent_from = end
        else:
            shared.first_recent = end
            account = shared.account
            account.submit(Claim(shared.box.id, end)).addErrback(account.failed, "recent")

    @property
    def recent(self) -> int:
        """
        How many rows are recent.
        """
        uids = self.rows.uids
        return sum(bisect_left(uids, high) - bisect_left(uids, low) for low, high in self._recents)

    def is_recent(self, uid: int) -> bool:
        """
        Whether the message is recent here.
        """
        return any(low <= uid < high for low, high in self._recents)

    # ---- taking in -----------------------------------------------------------------------------

    def pending(self, expunges: bool) -> bool:
        """
        Whether L{sync} has something to do.
        """
        return (
            self._version != self._shared.version
            or (expunges and self._step.next is not None)
            or self._shared.stale()
        )

    async def sync(self, *, expunges: bool = True) -> Changes:
        """
        Take in what others did.
        """
        await self._shared.catch_up()
        shared = self._shared
        if self._version == shared.version and (not expunges or self._step.next is None):
            return NO_CHANGES
        gone, uids = self._take_expunges(expunges)
        before = len(self.rows) - len(gone)
        self._take_rows(expunges)
        changed = self._take_flags(before)
        keywords = len(shared.keywords) > self._keywords
        self._keywords = len(shared.keywords)
        self._version = shared.version
        self._claim()
        recent, self._told_recent = self._told_recent, self.recent
        return Changes(
            expunged=gone,
            expunged_uids=uids,
            exists=len(self.rows) if len(self.rows) > before else None,
            recent=self._told_recent if self._told_recent != recent else None,
            changed=changed,
            keywords=keywords,
        )

    def _take_expunges(self, expunges: bool) -> tuple[Sequence[int], Sequence[int]]:
        """
        Sequence numbers, highest first: each is then as it was before all of them.
        """
        if not expunges or self._step.next is None:
            return (), ()
        removed: list[int] = []
        step = self._step
        while step.next is not None:
            removed.extend(step.removed)
            step = step.next
        self._step = step
        uids = [uid for uid in sorted(removed) if self._row(uid) >= 0]
        return [self._row(uid) + 1 for uid in reversed(uids)], uids

    def _take_rows(self, expunges: bool) -> None:
        shared = self._shared
        latest = shared.columns
        if self._step.next is None:
            self._columns = latest
            self.rows = latest.rows()
            return
        # Expunged messages keep their rows: a copy for this session alone, with the new ones
        # behind.
        added: list[Row] = latest.tail(self.rows.uids[-1] if self.rows.uids else 0)
        if added:
            self._columns = self._columns.grown(added, len(self.rows))
            shared.live.add(self._columns)
            self.rows = self._columns.rows()

    def _take_flags(self, before: int) -> Sequence[int]:
        shared = self._shared
        log = shared.log
        if self._version < shared.forgotten:
            # Too much happened to remember what: everything may have changed.
            return range(1, before + 1)
        touched: set[int] = set()
        for entry in reversed(log):
            if entry.version <= self._version:
                break
            if entry.origin is not self:
                touched.update(entry.uids)
        if len(touched) == 0:
            return ()
        if len(touched) < _MANY:
            rows = sorted(self._row(uid) for uid in touched)
            return [row + 1 for row in rows if 0 <= row < before]
        hits = map(touched.__contains__, self.rows.uids)
        return list(compress(range(1, before + 1), hits))

    def _row(self, uid: int) -> int:
        uids = self.rows.uids
        row = bisect_left(uids, uid)
        return row if row < len(uids) and uids[row] == uid else -1

    # ---- changing ------------------------------------------------------------------------------

    def _must_write(self) -> None:
        if self.read_only:
            raise MailboxReadOnly

    async def store(
        self,
        uids: Sequence[int],
        operation: str,
        flags: Collection[str],
        unchanged_since: int | None = None,
    ) -> Stored:
        """
        Change flags durably.
        """
        self._must_write()
        shared = self._shared
        wanted = _ascending(uids)
        if not wanted:
            return Stored(())
        job = StoreFlags(shared.box.id, wanted, operation, flags, unchanged_since)
        done = await shared.account.submit(job)
        told = self._version == shared.version
        keywords = len(shared.keywords)
        shared.apply(done.delta, self)
        if told and len(shared.keywords) == keywords:
            self._version = shared.version
        if done.delta.changed[0]:
            shared.mirror()
        gone = done.count < len(wanted)
        return Stored(self._numbers(wanted, done.conflicts, gone), done.conflicts, gone)

    def _numbers(self, uids: Sequence[int], without: Sequence[int], gone: bool) -> Sequence[int]:
        if not without and not gone:
            first, last = self._row(uids[0]), self._row(uids[-1])
            if 0 <= first <= last and last - first == len(uids) - 1:
                return range(first + 1, last + 2)
        left = set(without)
        find = self._shared.columns.find
        rows = [self._row(uid) for uid in uids if uid not in left and (not gone or find(uid) >= 0)]
        return [row + 1 for row in rows if row >= 0]

    async def expunge(self, uids: Collection[int] | None = None) -> Sequence[int]:
        """
        Remove what has C{\\Deleted}.
        """
        self._must_write()
        self._shared.check()
        mine = self.rows
        if uids is None:
            low = [mask & DELETED for mask in mine.flags]
            found = [uid for uid, bit in zip(mine.uids, low, strict=True) if bit]
        else:
            found = [uid for uid in _ascending(uids) if self._row(uid) >= 0]
        return await self._remove(found, flagged=True)

    async def remove(self, uids: Collection[int]) -> Sequence[int]:
        """
        Remove messages whatever their flags.
        """
        self._must_write()
        return await self._remove(_ascending(uids), flagged=False)

    async def _remove(self, uids: Sequence[int], flagged: bool) -> Sequence[int]:
        shared = self._shared
        removed: list[int] = []
        # In slices, so that others' commits are not held up; each is durable by itself.
        for start in range(0, len(uids), _REMOVE_SLICE):
            part = uids[start : start + _REMOVE_SLICE]
            job = Remove(shared.box.id, part, flagged)
            delta = await shared.account.submit(job)
            shared.apply(delta)
            removed.extend(delta.removed)
            if job.failure is not None:
                raise job.failure
        return removed

    async def copy(self, uids: Sequence[int], destination: str) -> Copied:
        """
        Copy messages, all or none.
        """
        return await self._transfer(uids, destination, move=False)

    async def move(self, uids: Sequence[int], destination: str) -> Copied:
        """
        Move messages, all or none.
        """
        self._must_write()
        return await self._transfer(uids, destination, move=True)

    async def _transfer(self, uids: Sequence[int], destination: str, move: bool) -> Copied:
        shared = self._shared
        wanted = _ascending(uids)
        target = await shared.account.box(destination)
        if not wanted:
            return Copied(target.uid_validity, (), ())
        done = await shared.account.submit(Transfer(shared.box.id, wanted, target.id, move))
        shared.account.applied(done.target)
        if done.source is not None:
            shared.account.applied(done.source)
        return Copied(done.uid_validity, wanted, done.uids)

    # ---- reading -------------------------------------------------------------------------------

    def _reading(self) -> Reader:
        self._reader.some_gone = self._step.next is not None
        return self._reader

    async def search(self, query: Any) -> Sequence[int]:
        """
        Sequence numbers that match.
        """
        asked: Query = query
        try:
            return await search.run(self, asked, self._reading(), self._shared.account.reactor)
        finally:
            if self._reader.incomplete:
                self._reader.incomplete = False
                self._shared.filling.start()

    async def describe(self, uids: Sequence[int]) -> Sequence[Description | None]:
        """
        Structures, kept once computed.
        """
        return await self._reading().describe(uids)

    async def headers(self, uids: Sequence[int]) -> Sequence[bytes | None]:
        """
        Header blocks.
        """
        return await self._reader.headers(uids)

    async def fields(self, uids: Sequence[int], names: Collection[bytes]) -> Sequence[bytes | None]:
        """
        Header fields.
        """
        return await self._reading().fields(uids, names)

    async def octets(self, uid: int) -> bytes:
        """
        A whole message.
        """
        data = self._reader.at_once(uid)
        if data is None:
            data = await self._reader.octets(uid)
        if data is None:
            raise MessageGone
        return data

    async def unique_ids(self) -> Mapping[int, bytes]:
        """
        What POP3 clients know messages by, where another server told them.
        """
        return await self._shared.account.in_thread(self._unique_ids)

    def _unique_ids(self) -> Mapping[int, bytes]:
        with self._shared.account.tree.open(self._shared.box.directory) as at:
            found = uniqueids.load(self._shared.account.tree.disk, at)
        return {uid: text.encode("ascii") for uid, text in found.items()}

    async def aside(self, work: Callable[..., Any], *arguments: Any) -> Any:
        """
        Do something in a thread.
        """
        return await self._shared.account.in_thread(work, *arguments)

    # ---- life ----------------------------------------------------------------------------------

    def watch(self, callback: Callable[[], None]) -> Callable[[], None]:
        """
        Call when there may be something to tell.
        """
        end = self._shared.watch(callback)
        self._ends.append(end)
        return end

    def close(self) -> None:
        """
        The session leaves.
        """
        if self._open:
            self._open = False
            for end in self._ends:
                end()
            self._ends.clear()
            self._shared.account.left(self._shared)


def _ascending(uids: Collection[int]) -> Sequence[int]:
    if isinstance(uids, range) and uids.step > 0:
        return uids
    return sorted(set(uids))
