"""
An open mailbox, shared by the sessions of a process: its columns, what happened to it, who watches.

What changed comes in two ways: as the L{Delta} of a job of this process, or by reading from the
record what has a greater mod-sequence (another process). Sessions take it from here in
L{mailaccess.store.maildir.mailbox}.
"""

from __future__ import annotations

import os
from array import array
from collections import deque
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any
from weakref import WeakSet

import attrs
from twisted.internet.defer import Deferred
from twisted.internet.task import deferLater

from mailaccess.errors import NoSuchMailbox, OverQuota, Refused
from mailaccess.store.disk import refusal
from mailaccess.store.maildir import news
from mailaccess.store.maildir.columns import Columns, Row, Step
from mailaccess.store.maildir.filling import Filling
from mailaccess.store.maildir.index import Box, Counts
from mailaccess.store.maildir.ledger import Delta
from mailaccess.store.maildir.mirroring import Mirroring
from mailaccess.store.maildir.news import Entry, News
from mailaccess.store.maildir.scan import look
from mailaccess.store.maildir.take import Take
from mailaccess.store.maildir.watchers import Watchers

if TYPE_CHECKING:
    from mailaccess.store.maildir.account import MaildirAccount

_LOAD_SLICE = 10_000
_LOG = 1000
_LOG_UIDS = 500_000
_RACY = 0.15
_AGAIN = 1.0
_SMALL = 5_000
_FLAG_SLICE = 10_000


class SharedMailbox:
    """
    One mailbox of an account in this process.

    @ivar box: its row in the record, as last read
    @ivar columns: messages now; empty until L{load}
    @ivar step: the end of the chain of expunges
    @ivar version: grows with every change
    @ivar log: the last changes of flags, oldest first
    @ivar forgotten: the version of the last change that is not in the log any more
    @ivar first_recent: the smallest UID that no session was told of
    @ivar counted: when messages were last counted, and how many there were then
    @ivar filling: makes its text ready to be searched
    @ivar mirror: has flags written into file names, if that is wanted, soon
    """

    def __init__(self, account: MaildirAccount, name: str, box: Box) -> None:
        self.account = account
        self.name = name
        self.box = box
        self.columns = Columns()
        self.live: WeakSet[Columns] = WeakSet()
        self.step = Step()
        self.version = 0
        self.log: deque[Entry] = deque()
        self.forgotten = 0
        self._logged = 0
        self.keywords = list(box.keywords)
        self.first_recent = box.first_recent
        self.loaded = False
        self.counted: tuple[Any, Counts | None] = (None, None)
        self.gone = False
        self.views = 0
        self.names: dict[int, str] = {}
        self._modseq = box.modseq
        self._uid_next = box.uid_next
        self._epoch = account.epoch()
        self._new_seen = box.new_seen
        self._cur_seen = box.cur_seen
        self._look_new_at = 0.0
        self._look_at = account.seconds() if box.suspect else 0.0
        self._scan_time = 0.0
        self._scanning = False
        self._waiting: list[Deferred[None]] = []
        self._loading: Deferred[None] | None = None
        self._watchers = Watchers(self)
        self._cur = -1
        self.mirror = Mirroring(self).soon
        self.filling = Filling(self)
        self._place(box.directory)

    def _place(self, directory: str) -> None:
        top = os.path.join(self.account.tree.path, directory)
        self._new_path = os.path.join(top, "new")
        self._cur_path = os.path.join(top, "cur")

    @property
    def uid_next(self) -> int:
        """
        The next UID, as far as this process knows.
        """
        return self._uid_next

    @property
    def modseq(self) -> int:
        """
        The mailbox's mod-sequence, as far as this process knows.
        """
        return self._modseq

    # ---- columns -------------------------------------------------------------------------------

    async def load(self) -> None:
        """
        Read the columns, in slices.
        """
        while self._loading is not None:
            await self._until_loaded(self._loading)
        if self.loaded:
            return
        self._loading = Deferred()
        try:
            self.refresh()
            arrays = [array(code) for code in "Iqqqq"]
            low = 1
            while True:
                rows = self.account.index.messages(self.box.id, low, _LOAD_SLICE)
                for column, values in zip(arrays, zip(*rows, strict=True), strict=False):
                    column.extend(array(column.typecode, values))
                if len(rows) < _LOAD_SLICE:
                    break
                low = rows[-1][0] + 1
                await deferLater(self.account.reactor, 0)
            self.columns = Columns(arrays)
            self.live.add(self.columns)
            self.loaded = True
            # What changed while the slices were read has a greater mod-sequence.
            self.refresh()
        finally:
            loading, self._loading = self._loading, None
            loading.callback(None)

    @staticmethod
    def _until_loaded(loading: Deferred[None]) -> Deferred[None]:
        waiting: Deferred[None] = Deferred()
        loading.addBoth(waiting.callback)
        return waiting

    def unload(self) -> None:
        """
        Let go of columns that nobody looks at.
        """
        if not self.views:
            self.loaded = False
            self.columns = Columns()
            self.names.clear()
            self.doze()

    def doze(self) -> None:
        """
        Let go of descriptors.
        """
        if self._cur >= 0:
            os.close(self._cur)
            self._cur = -1

    def cur(self) -> int:
        """
        A descriptor of C{cur}, which stays ours.
        """
        if self._cur < 0:
            try:
                self._cur = self.account.tree.descriptor(self.box.directory, "cur")
            except OSError as error:
                raise refusal(error, "cur") from error
        return self._cur

    def apply(self, delta: Delta, origin: Any = None) -> None:
        """
        Take in what a job of this process did.
        """
        if delta.after <= self._modseq:
            self._learn(delta.keywords)
            return
        if delta.before != self._modseq:
            self.refresh()
            return
        self._change(delta.added, delta.removed, delta.changed, delta.after, origin, delta.keywords)
        self._modseq = delta.after
        self._uid_next = max(self._uid_next, delta.uid_next)

    def refresh(self) -> None:
        """
        Read from the record what changed.

        @raise NoSuchMailbox: it was deleted
        """
        with self.account.reading():
            modseq = self._modseq if self.loaded else None
            found = news.read(self.account.index, self.box.id, self._uid_next, modseq)
        self._take_in(self._there(found))

    async def _refresh_slowly(self) -> None:
        """
        The same for a big mailbox, whose rows are read in a thread.
        """
        for _ in range(3):
            modseq = self._modseq
            with self.account.reading():
                found = self._there(news.read(self.account.index, self.box.id, 0, None))
            if not self.loaded or self.columns.count < _SMALL or found.box.modseq == modseq:
                break
            found = self._there(
                await self.account.in_thread(
                    news.read_elsewhere,
                    self.account.ledger.path,
                    found.box.id,
                    self._uid_next,
                    modseq,
                )
            )
            # Somebody else may read the same meanwhile, or more.
            at = 0
            while self._modseq == modseq and self.loaded and at < len(found.uids):
                part = slice(at, at + _FLAG_SLICE)
                changed = found.uids[part], found.masks[part]
                self._change((), (), changed, found.modseqs[part], None, found.box.keywords)
                at += _FLAG_SLICE
                await deferLater(self.account.reactor, 0)
            if self._modseq == modseq:
                self._take_in(attrs.evolve(found, uids=(), masks=(), modseqs=()))
                return
        self.refresh()

    def _there(self, found: News | None) -> News:
        if found is None:
            self.gone = True
            self.notice()
            raise NoSuchMailbox
        return found

    def _take_in(self, found: News) -> None:
        old, self.box = self.box, found.box
        box = found.box
        if box.directory != old.directory:
            self._place(box.directory)
        if box.new_seen != old.new_seen:
            self._new_seen = box.new_seen
        if box.cur_seen != old.cur_seen:
            self._cur_seen = box.cur_seen
        if box.suspect and not self._look_at:
            self._look_at = self.account.seconds() + max(_AGAIN, 20 * self._scan_time)
        self.first_recent = max(self.first_recent, box.first_recent)
        removed = found.gone_from(self.columns.rows().uids)
        changed = found.uids, found.masks
        self._change(found.added, removed, changed, found.modseqs, None, box.keywords)
        self._modseq, self._uid_next = box.modseq, box.uid_next

    def _learn(self, keywords: Sequence[str]) -> None:
        if len(keywords) > len(self.keywords):
            self.keywords.extend(keywords[len(self.keywords) :])
            self.version += 1

    def _change(
        self,
        added: Sequence[Row],
        removed: Sequence[int],
        changed: tuple[Sequence[int], Sequence[int]],
        modseqs: int | Sequence[int],
        origin: Any,
        keywords: Sequence[str],
    ) -> None:
        self._learn(keywords)
        if not (added or removed or changed[0]):
            return
        self.version += 1
        if self.loaded:
            uids, masks = changed
            if uids:
                values = array("q", [modseqs]) * len(uids) if isinstance(modseqs, int) else modseqs
                for columns in self.live:
                    columns.put_flags(uids, masks, values)
                self._note(Entry(self.version, origin, array("I", uids)))
            if removed:
                self._replace(self.columns.without(removed))
                self.step.removed = removed
                self.step.next = Step()
                self.step = self.step.next
                for uid in removed:
                    self.names.pop(uid, None)
            if added and not self.columns.append(added):
                self._replace(self.columns.grown(added))
        self.notice()

    def _note(self, entry: Entry) -> None:
        self.log.append(entry)
        self._logged += len(entry.uids)
        while len(self.log) > _LOG or self._logged > _LOG_UIDS:
            old = self.log.popleft()
            self._logged -= len(old.uids)
            self.forgotten = old.version

    def _replace(self, columns: Columns) -> None:
        self.columns = columns
        self.live.add(columns)

    # ---- what others do ------------------------------------------------------------------------

    def _times(self) -> tuple[int, int]:
        try:
            return (
                os.stat(self._new_path, follow_symlinks=False).st_mtime_ns,
                os.stat(self._cur_path, follow_symlinks=False).st_mtime_ns,
            )
        except OSError:
            return 0, 0

    def stale(self) -> bool:
        """
        Whether L{catch_up} has something to do.
        """
        try:
            if self.gone or self.account.epoch() != self._epoch:
                return True
        except Refused:
            # What is wrong is for catch_up to say.
            return True
        now = self.account.seconds()
        return self._times() != (self._new_seen, self._cur_seen) or (
            0 < self._look_new_at <= now or 0 < self._look_at <= now
        )

    async def catch_up(self) -> None:
        """
        Take in what other processes and other programs did.
        """
        # More than once only where somebody else's look was under way when this one was asked for.
        for _ in range(3):
            await self._check_slowly()
            new, cur = self._times()
            now = self.account.seconds()
            full = cur != self._cur_seen or 0 < self._look_at <= now or not self.box.adopted
            if not full and new == self._new_seen and not 0 < self._look_new_at <= now:
                return
            if self._scanning:
                waiting: Deferred[None] = Deferred()
                self._waiting.append(waiting)
                await waiting
            else:
                await self._scan(full)
                return

    def check(self) -> None:
        """
        Look whether the record changed.
        """
        if self.gone:
            raise NoSuchMailbox
        epoch = self.account.epoch()
        if epoch != self._epoch:
            self._epoch = epoch
            self.refresh()

    async def _check_slowly(self) -> None:
        if self.gone:
            raise NoSuchMailbox
        epoch = self.account.epoch()
        if epoch != self._epoch:
            self._epoch = epoch
            await self._refresh_slowly()

    async def _scan(self, full: bool) -> None:
        self._scanning = True
        try:
            for _ in range(3):
                if await self._scan_once(full):
                    return
        finally:
            self._scanning = False
            waiting, self._waiting = self._waiting, []
            for each in waiting:
                each.callback(None)

    async def _scan_once(self, full: bool) -> bool:
        account = self.account
        start = account.seconds()
        sighting = await account.in_thread(
            look,
            account.tree,
            account.ledger.path,
            self.box.id,
            full,
            account.accounts.helpers,
        )
        if sighting is None:
            self.gone = True
            raise NoSuchMailbox
        now = account.seconds()
        if sighting.full:
            self._scan_time = now - start
        if sighting or (sighting.full and self.box.suspect and not sighting.racy):
            try:
                delta = await account.submit(Take(self.box.id, sighting))
            except OverQuota:
                # What is known can be read all the same; look again when there may be room.
                self._look_at = now + _AGAIN
                self._watchers.look_at(self.next_look())
                return True
            if delta is None:
                self.refresh()
                return False
            self.apply(delta)
            self.refresh()
            if self.box.mirrored < self.box.modseq:
                self.mirror()
        self._new_seen = self.box.new_seen if sighting else sighting.new_time
        self._look_new_at = now + _RACY if sighting.racy or sighting.arrivals else 0.0
        if len(sighting.arrivals) > _SMALL:
            account.in_thread(sighting.arrivals.let_go)
        if sighting.full:
            if not sighting:
                self._cur_seen = sighting.cur_time
            again = max(_AGAIN, 20 * self._scan_time)
            self._look_at = now + again if sighting.racy or self.box.suspect else 0.0
        self._watchers.look_at(self.next_look())
        return True

    # ---- watching ------------------------------------------------------------------------------

    @property
    def places(self) -> tuple[str, str]:
        """
        Paths of C{new} and C{cur}.
        """
        return self._new_path, self._cur_path

    def watch(self, callback: Callable[[], None]) -> Callable[[], None]:
        """
        Call when there may be something new; returns what ends it.
        """
        return self._watchers.add(callback)

    def notice(self) -> None:
        """
        Tell the watchers, in a moment.
        """
        self._watchers.notice()

    def next_look(self) -> float:
        """
        When to look again although nothing seems to have changed; 0 for never.
        """
        return min((at for at in (self._look_new_at, self._look_at) if at), default=0.0)
