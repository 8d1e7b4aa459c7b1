"""
Where changes of an account become durable: jobs, run together in one transaction, in the writer
thread.

The order is what durability rests on (DS-01)::

    each job   prepare   writes and syncs its files under temporary names
    BEGIN IMMEDIATE      from here on no other process changes the account; what one that died left
                         half done is put back
    each job   apply     gives files their names, writes rows; in a savepoint of its own
    directories synced, lists of UIDs appended
    COMMIT               synced by SQLite (synchronous=FULL)
    each job   settle    what may as well not happen

Only then a job's result is handed out. A job that fails is undone alone; if the directories or the
commit fail, all are, and the connection is closed: a sync that failed is not tried again on the
same descriptor (DS-10).
"""

from __future__ import annotations

import contextlib
import os
import random
from collections.abc import Callable, Sequence
from typing import Any

import apsw
import attrs

from mailaccess.errors import LimitReached, NoSuchMailbox, OverQuota, Refused, StoreFailed
from mailaccess.store.disk import Tree
from mailaccess.store.disk import refusal as disk_refusal
from mailaccess.store.maildir import index, intents, maildirsize, reserve, uidlist
from mailaccess.store.maildir.columns import Row
from mailaccess.store.maildir.filename import base_of
from mailaccess.store.maildir.index import Box, Index
from mailaccess.store.maildir.intents import Step
from mailaccess.store.quota import UNLIMITED

_MOST_UIDS = 2**32 - 1
_LONG_LIST = 256 * 1024
_TRIM_ABOUT = 1000

MOST_EXPUNGES = 100_000
"""
Expunges remembered in a mailbox, about. Who was away for longer, a process or a client that asks
what vanished (RFC 7162 section 3.2), has to compare what there is.
"""


@attrs.frozen
class Delta:
    """
    What a job changed in a mailbox.

    @ivar before: mod-sequence of the mailbox before, -1 if it is not all told; C{after}: and now
    @ivar changed: UIDs, ascending, and their flags now
    """

    mailbox: int
    before: int
    after: int
    uid_next: int
    keywords: Sequence[str]
    added: Sequence[Row] = ()
    removed: Sequence[int] = ()
    changed: tuple[Sequence[int], Sequence[int]] = ((), ())


class Job:
    """
    One change. C{apply} returns the result.

    @ivar makes_room: on a full disk, it gets what the account has in reserve
    """

    makes_room: bool = False

    def prepare(self, ledger: Ledger) -> None:
        """
        Outside the transaction, before it.
        """

    def apply(self, ledger: Ledger) -> Any:
        """
        Inside the transaction.
        """
        raise NotImplementedError

    def undo(self, ledger: Ledger) -> None:
        """
        The transaction will not be: put files back.
        """

    def settle(self, ledger: Ledger) -> None:
        """
        The transaction is durable.
        """


@attrs.define
class _Touched:
    new_before: int
    cur_before: int
    clean: bool
    sync: bool


class Ledger:
    """
    The writing side of an account. Belongs to the writer thread, but for its construction.

    @ivar tree: the Maildir
    @ivar inode: of the database that was prepared: another one has other numbers for mailboxes
    @ivar recovered: in this transaction files were put back: what was seen before is out of date
    @ivar damaged: called in the writer thread, with the inode, when the record turned out to be
        damaged, or with 0 if it is not there any more
    @ivar allowance: limits that uploads and copies keep to
    @ivar lists: lengths of lists of UIDs, as far as they were synced, by token
    @ivar jobs: how many are in this transaction
    @ivar validities: UIDVALIDITYs that were durably set apart for this transaction
    """

    def __init__(self, tree: Tree, damaged: Callable[[int], None] = lambda _: None) -> None:
        self.tree = tree
        self.disk = tree.disk
        self.damaged = damaged
        self.path = os.path.join(tree.path, index.DIRECTORY, index.FILE)
        self.inode = 0
        self.recovered = False
        self.jobs = 1
        self.validities = range(0)
        self._index: Index | None = None
        self.allowance = UNLIMITED
        self._noted = -1
        self.lists: dict[int, int] = {}
        self._touched: dict[int, _Touched] = {}
        self._also: set[tuple[str, ...]] = set()
        self._files: list[tuple[int, int]] = []
        self._size_file: bool | None = None

    @property
    def index(self) -> Index:
        """
        The record, to write.
        """
        if self._index is None:
            self._index = Index(index.connect(self.path, writer=True))
        return self._index

    def _check_place(self) -> None:
        """
        Never write to a record that was set aside or removed: there may be another already.
        """
        if index.inode_of(self.path) != self.inode:
            self.close()
            self.damaged(0)
            raise StoreFailed(detail="the record was taken away")

    def close(self) -> None:
        """
        Let go of the database until it is needed again.
        """
        self._let_go_of_notes()
        if self._index is not None:
            self._index.connection.close(True)
            self._index = None

    def box(self, mailbox: int) -> Box:
        """
        The row of a mailbox that is expected to be there.

        @raise NoSuchMailbox: it was deleted
        """
        box = self.index.box(mailbox)
        if box is None:
            raise NoSuchMailbox(detail=f"mailbox {mailbox} was deleted")
        return box

    def touch(self, box: Box, sync: bool = True) -> None:
        """
        Say that files in C{cur} or C{new} of a mailbox are about to change.

        The times of both directories are looked at before and after. If they were as last seen, the
        change is ours alone (but for the moments between, for which the mailbox stays suspect).
        """
        known = self._touched.get(box.id)
        if known is None:
            new, cur = self._times(box.directory)
            clean = cur == box.cur_seen
            self._touched[box.id] = _Touched(new, cur, clean, sync)
        else:
            known.sync = known.sync or sync

    def need_room(self, octets: int, messages: int) -> None:
        """
        Say that so much comes. The transaction keeps other processes out until it is there.

        @raise OverQuota: it would be more than is allowed
        """
        if not self.allowance:
            return
        has_messages, has_octets = self.index.used()
        if not self.allowance.fits(has_octets + octets, has_messages + messages):
            raise OverQuota("Quota exceeded", detail=f"{octets} octets, {messages} messages more")

    @property
    def has_size_file(self) -> bool:
        """
        Whether L{tell_files} tells anybody.
        """
        if self._size_file is None:
            self._size_file = os.path.exists(os.path.join(self.tree.path, maildirsize.FILE))
        return self._size_file

    def tell_files(self, octets: int, messages: int) -> None:
        """
        Say that files came, or went, by our doing: other programs read it in C{maildirsize}.

        @param octets: of the files
        """
        if self.has_size_file:
            # One that appears later was counted later.
            self._files.append((octets, messages))

    def also_sync(self, *parts: str) -> None:
        """
        Sync this directory too before the commit.
        """
        self._also.add(parts)

    def intend(self, box: Box, uid: int, steps: Sequence[Step]) -> None:
        """
        Note how to put files back if this process dies before the commit; before the first of them
        is touched.

        @param uid: as in L{intents.Intent}
        """
        self._note(intents.Intent.on(box, uid, steps), durable=True)

    def intend_names(self, box: Box, names: Sequence[tuple[int, str, str]]) -> None:
        """
        The same for files in C{cur} that only get other names: UID, old and new.

        Not synced: after a power cut nobody has stored flags since.
        """
        self._note(intents.Intent.naming(box, names), durable=False)

    def _note(self, intent: intents.Intent, durable: bool) -> None:
        if self._noted < 0:
            self._noted = intents.hold(self.tree)
        intents.note(self.tree, intent, self._noted, durable)

    def _let_go_of_notes(self) -> None:
        if self._noted >= 0:
            os.close(self._noted)
            self._noted = -1

    def recover(self) -> None:
        """
        Put back what a process that died left half done; at the start of an account, on a ledger
        that nobody else has.
        """
        if intents.pending(self.tree):
            try:
                self._begin()
                self.index.run("COMMIT")
            finally:
                self._give_up()

    def _begin(self) -> None:
        self._check_place()
        self.recovered = False
        while True:
            self.index.run("BEGIN IMMEDIATE")
            if not intents.pending(self.tree):
                return
            self._noted = intents.hold(self.tree)
            intents.recover(self.tree, self.index)
            self.recovered = True
            self.index.run("COMMIT")
            intents.clear(self.tree)
            self._let_go_of_notes()

    def _times(self, directory: str) -> tuple[int, int]:
        with self.tree.open(directory) as at:
            return self.disk.stat("new", at).st_mtime_ns, self.disk.stat("cur", at).st_mtime_ns

    def assign(self, box: Box, bases: Sequence[str], more: int = 0) -> range:
        """
        Give UIDs to new messages, and list them; so many more are about to follow.
        """
        first = box.uid_next
        box.uid_next += len(bases)
        if box.uid_next > _MOST_UIDS:
            raise LimitReached(detail="no UIDs left")
        reserve = box.uid_next > box.reserved
        lines = [f"{uid} {base}\n" for uid, base in enumerate(bases, first)]
        if reserve:
            box.reserved = min(box.uid_next + more + uidlist.RESERVE, _MOST_UIDS)
            lines.append(f"R {box.reserved}\n")
        known = self.lists.get(box.token, -1)
        size = uidlist.append(self.tree, box.directory, "".join(lines), reserve, known)
        self.lists[box.token] = size
        if reserve and size > _LONG_LIST:
            self._shorten_list(box, size, lines)
        return range(first, box.uid_next)

    def _shorten_list(self, box: Box, size: int, lines: Sequence[str]) -> None:
        """
        Leave out the messages that went, where they are most of the list.
        """
        names = self.index.names(box.id, [(1, _MOST_UIDS)])
        entries = [(uid, base_of(name)) for uid, name in names]
        data = uidlist.text_of(box.uid_validity, box.reserved, entries)
        data += "".join(lines).encode("utf-8", "surrogateescape")
        if len(data) < size // 2:
            self.tree.replace(uidlist.FILE, data, box.directory)

    def insert(self, box: Box, rows: Sequence[Row], names: Sequence[str]) -> None:
        """
        Write the rows of new messages.
        """
        self.index.run_many(
            "INSERT INTO message(mailbox, uid, flags, modseq, size, date) VALUES(?, ?, ?, ?, ?, ?)",
            [(box.id, *row) for row in rows],
        )
        self.index.run_many(
            "INSERT INTO file(mailbox, uid, name) VALUES(?, ?, ?)",
            [(box.id, row[0], index.to_name(name)) for row, name in zip(rows, names, strict=True)],
        )
        self.index.use(len(rows), sum(row[3] for row in rows))

    def delete(self, box: Box, uids: Sequence[int], modseq: int, octets: int | None = None) -> None:
        """
        Remove the rows of messages, and remember that they went, for a while. The mailbox is yet to
        be saved.

        @param octets: sum of their sizes, where it is known and all of them are there
        """
        ranges = [(box.id, low, high) for low, high in index.ranges_of(uids)]
        count = len(uids)
        if octets is None:
            gone = self.index.run_many(
                "SELECT count(*), total(size) FROM message"
                " WHERE mailbox = ? AND uid BETWEEN ? AND ?",
                ranges,
            ).fetchall()
            count, octets = sum(each[0] for each in gone), sum(int(each[1]) for each in gone)
        self.index.use(-count, -octets)
        for table in ("message", "file"):
            self.index.run_many(
                f"DELETE FROM {table} WHERE mailbox = ? AND uid BETWEEN ? AND ?",  # noqa: S608
                ranges,
            )
        self.index.run_many(
            "INSERT INTO expunged(mailbox, modseq, uid) VALUES(?, ?, ?)",
            [(box.id, modseq, uid) for uid in uids],
        )
        # Not looked at every time, but in the long run as often as messages go.
        if random.randrange(_TRIM_ABOUT) < len(uids):  # noqa: S311 - no secret
            self.index.forget_expunges(box, MOST_EXPUNGES)

    def locate(self, at: int, name: str) -> str | None:
        """
        The name that a file in a directory has now, if another program renamed it.
        """
        if self.disk.exists(name, at):
            return name
        base = base_of(name)
        for found in self.disk.listdir(at):
            if base_of(found) == base:
                return found
        return None

    def run(self, jobs: Sequence[Job]) -> list[Any]:
        """
        Do these jobs. Returns for each its result, or the exception that it failed with.
        """
        outcomes = self._run(jobs)
        again = [
            number
            for number, outcome in enumerate(outcomes)
            if isinstance(outcome, OverQuota) and jobs[number].makes_room
        ]
        if again and reserve.give_up(self.tree):
            for number, outcome in zip(again, self._run([jobs[n] for n in again]), strict=True):
                outcomes[number] = outcome
        return outcomes

    def _run(self, jobs: Sequence[Job]) -> list[Any]:
        outcomes: list[Any] = [None] * len(jobs)
        ready = []
        for number, job in enumerate(jobs):
            outcomes[number] = self._guarded(job.prepare, job)
            if not isinstance(outcomes[number], BaseException):
                ready.append(number)
        if not ready:
            return outcomes
        self._touched.clear()
        self._also.clear()
        self._files.clear()
        self._size_file = None
        self.jobs, self.validities = len(ready), range(0)
        done: list[int] = []
        try:
            self._begin()
            for number in ready:
                self.index.run("SAVEPOINT job")
                told = len(self._files)
                outcomes[number] = self._guarded(jobs[number].apply, jobs[number])
                if isinstance(outcomes[number], BaseException):
                    self.index.run("ROLLBACK TO job")
                    del self._files[told:]
                else:
                    done.append(number)
                self.index.run("RELEASE job")
            self._sync_directories()
            self.index.run("COMMIT")
        except Exception as error:
            reason = self._reason(error)
            self._give_up()
            for number in reversed(ready):
                if number in done or not isinstance(outcomes[number], BaseException):
                    with contextlib.suppress(Exception):
                        jobs[number].undo(self)
                    outcomes[number] = reason
            return outcomes
        with contextlib.suppress(OSError):
            # Where it is not certain that all is well, the next transaction looks.
            if self._noted >= 0 and len(done) == len(ready):
                intents.clear(self.tree)
        self._let_go_of_notes()
        self._ring()
        self._write_size()
        for number in done:
            with contextlib.suppress(OSError, apsw.Error, Refused):
                jobs[number].settle(self)
        return outcomes

    def _guarded(self, step: Callable[[Ledger], Any], job: Job) -> Any:
        try:
            return step(self)
        except Exception as error:
            self.lists.clear()
            with contextlib.suppress(Exception):
                job.undo(self)
            return self._reason(error)

    def _reason(self, error: Exception) -> Exception:
        if isinstance(error, Refused):
            return error
        if isinstance(error, OSError):
            return disk_refusal(error)
        if isinstance(error, apsw.Error):
            if index.is_damage(error):
                self.damaged(self.inode)
            return index.refusal(error)
        return error

    def _give_up(self) -> None:
        self.lists.clear()
        self._let_go_of_notes()
        with contextlib.suppress(Exception):
            if self._index is not None:
                if self._index.connection.in_transaction:
                    self._index.run("ROLLBACK")
                self.close()
        self._index = None

    def _sync_directories(self) -> None:
        for mailbox, touched in self._touched.items():
            # As it is now: a later job of the same transaction may have renamed or deleted it.
            box = self.index.box(mailbox)
            if box is None:
                continue
            if touched.sync:
                self.tree.sync(box.directory, "cur")
            new, cur = self._times(box.directory)
            if box.new_seen == touched.new_before:
                box.new_seen = new
            if touched.clean:
                box.cur_seen = cur
            box.suspect = True
            self.index.save(box)
        for parts in self._also:
            self.tree.sync(*parts)

    def _write_size(self) -> None:
        octets, messages = map(sum, zip(*self._files, strict=True)) if self._files else (0, 0)
        if octets or messages:
            # Not synced: what a power cut takes is found by counting.
            with contextlib.suppress(OSError):
                maildirsize.add(self.tree, octets, messages)

    def _ring(self) -> None:
        # What other processes watch: the write-ahead log changes before a commit can be seen.
        with contextlib.suppress(OSError):
            os.utime(os.path.join(self.tree.path, index.DIRECTORY, index.BELL))
