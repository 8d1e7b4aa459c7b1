"""
Looking at the directories of a mailbox, in a thread, and comparing with the record.

What is found is only a L{Sighting}; L{mailaccess.store.maildir.take} takes it in, inside a
transaction, and leaves out what changed meanwhile. The record is read before the directories are:
whatever happens between shows itself as an arrival or a change that the transaction recognises as
done already.

A file that one C{readdir} does not show may have been renamed while it ran. It counts as gone only
after a listing during which the directory did not change, or after it was missing from several
(DS-06).
"""

from __future__ import annotations

import contextlib
import heapq
import stat
import time
from collections.abc import Collection, Iterable, Mapping, Sequence

import attrs

from mailaccess.message.lineends import crlf_size
from mailaccess.store.disk import Disk, Tree
from mailaccess.store.maildir import index, uidlist
from mailaccess.store.maildir.arrivals import Arrival, Arrivals
from mailaccess.store.maildir.filename import base_of, sizes_of
from mailaccess.store.maildir.helpers import Helpers

LOOKS = 4
"""Listings that a file must be missing from if the directory never stays the same during one."""

_GRAIN = 100_000_000
_COARSE_GRAIN = 2_100_000_000
_SECOND = 1_000_000_000
_SORTED_AT_ONCE = 5000
_MEASURED_AT_ONCE = 2000
_SETS = 256
_TEMPORARY = 36 * 3600


@attrs.frozen
class Sighting:
    """
    How directories differ from the record.

    @ivar full: C{cur} was listed too
    @ivar uid_next: the record's when it was read
    @ivar racy: something may have changed in the same tick of the clock after the look
    @ivar renamed: UID, name in the record, name now
    @ivar vanished: UID, name in the record
    @ivar before: the list of UIDs, for a mailbox that is not in the record yet
    """

    full: bool
    uid_next: int
    new_time: int
    cur_time: int
    racy: bool
    arrivals: Arrivals
    renamed: list[tuple[int, str, str]]
    vanished: list[tuple[int, str]]
    adopting: bool = False
    before: uidlist.UidList | None = None

    def __bool__(self) -> bool:
        return bool(self.arrivals or self.renamed or self.vanished or self.adopting)


def is_racy(modified: int, now: int) -> bool:
    """
    Whether a change after C{now} could leave the time of a directory as it is (nanoseconds; DS-07).
    """
    grain = _GRAIN if modified % _SECOND else _COARSE_GRAIN
    return now - modified < grain


def look(
    tree: Tree, path: str, mailbox: int, full: bool, helpers: Helpers | None = None
) -> Sighting | None:
    """
    Compare the directories of a mailbox with the record; None if the record has no such mailbox.

    @param path: of the database
    @param full: list C{cur} too
    @param helpers: who may measure many messages
    @raise OSError: nothing can be said, above all not that anything is gone (DS-11)
    """
    known: dict[str, int] = {}
    connection = index.connect(path, writer=False)
    try:
        record = index.Index(connection)
        connection.execute("BEGIN")
        box = record.box(mailbox)
        if box is None:
            return None
        if full:
            known = {name: uid for uid, name in record.names(mailbox, [(1, 2**32)])}
    finally:
        connection.close(True)
    with tree.open(box.directory) as top:
        return _Look(tree, box, known, full or not box.adopted, helpers).run(top)


def _in_order(names: Sequence[str]) -> Iterable[str]:
    """
    Sorted, in steps that are short.
    """
    parts = range(0, len(names), _SORTED_AT_ONCE)
    return heapq.merge(*(sorted(names[at : at + _SORTED_AT_ONCE]) for at in parts))


def _differ(names: Iterable[str]) -> bool:
    """
    Whether no two files have the same base.
    """
    # Many small sets: a big one is let go of in one step, for which everybody waits.
    bases: list[set[str]] = [set() for _ in range(_SETS)]
    count = 0
    for name in names:
        base = base_of(name)
        bases[hash(base) % _SETS].add(base)
        count += 1
    while bases:
        count -= len(bases.pop())
    return not count


class _Look:
    def __init__(
        self,
        tree: Tree,
        box: index.Box,
        known: dict[str, int],
        full: bool,
        helpers: Helpers | None,
    ) -> None:
        self.helpers = helpers
        self.tree = tree
        self.disk: Disk = tree.disk
        self.box = box
        self.known = known
        self.full = full
        self.arrivals = Arrivals()
        self.renamed: list[tuple[int, str, str]] = []
        self.vanished: list[tuple[int, str]] = []

    def run(self, top: int) -> Sighting:
        box = self.box
        with self.tree.open(box.directory, "new") as new:
            new_time, names, new_racy = self._list(new)
            if self.full and names:
                names = self._moved_again(new, names)
            for name in names:
                self._arrived(new, name, in_new=True)
        cur_time, cur_racy = box.cur_seen, False
        if self.full:
            with self.tree.open(box.directory, "cur") as cur:
                cur_time, names, cur_racy = self._list(cur)
                if not self.known and _differ(names):
                    self._all_arrived(cur, names)
                else:
                    self._compare(cur, set(names))
            sweep(self.tree, box.directory)
        adopting = not box.adopted
        return Sighting(
            full=self.full,
            uid_next=box.uid_next,
            new_time=new_time,
            cur_time=cur_time,
            racy=cur_racy if self.full else new_racy,
            arrivals=self.arrivals,
            renamed=self.renamed,
            vanished=self.vanished,
            adopting=adopting,
            before=uidlist.load(self.disk, top) if adopting else None,
        )

    def _moved_again(self, new: int, names: list[str]) -> list[str]:
        """
        Move what was in C{cur} before: the record has it there, but the move itself was lost in a
        power cut. Returns the other names.
        """
        by_base = {base_of(name): name for name in self.known}
        kept = []
        with self.tree.open(self.box.directory, "cur") as cur:
            for name in names:
                old = by_base.get(base_of(name))
                if old is None or self.disk.exists(old, cur):
                    kept.append(name)
                    continue
                with contextlib.suppress(FileNotFoundError):
                    self.disk.rename(name, old, new, cur)
        return kept

    def _list(self, at: int) -> tuple[int, list[str], bool]:
        now = time.time_ns()
        modified = self.disk.stat(".", at).st_mtime_ns
        names = [name for name in self.disk.listdir(at) if name[0] != "."]
        return modified, names, is_racy(modified, now)

    def _compare(self, cur: int, names: set[str]) -> None:
        known = self.known
        # Not as one operation on sets: other threads could not run meanwhile.
        strange = [name for name in names if name not in known]
        missing = {name for name in known if name not in names}
        if not strange and not missing:
            return
        by_base = {base_of(name): name for name in known} if strange else {}
        seen: dict[str, str] = {}
        for name in _in_order(strange):
            base = base_of(name)
            old = by_base.get(base)
            if old is not None and old in missing and base not in seen:
                seen[base] = name
                self.renamed.append((known[old], old, name))
                continue
            # One file may be listed under its old and its new name while it is renamed: both must
            # be there now for this to be a second message with the same base.
            double = old is not None or base in seen
            other = seen.get(base) or old
            if double and not (other and self.disk.exists(other, cur)):
                continue
            seen.setdefault(base, name)
            self._arrived(cur, name, in_new=False, rename=double)
        for _, old, _ in self.renamed:
            missing.discard(old)
        if missing:
            self._confirm(cur, missing)

    def _confirm(self, cur: int, missing: Collection[str]) -> None:
        wanted = {base_of(name): name for name in missing}
        for _ in range(LOOKS):
            before = self.disk.stat(".", cur).st_mtime_ns
            now = time.time_ns()
            for name in self.disk.listdir(cur):
                old = wanted.pop(base_of(name), None)
                if old is not None and name != old:
                    self.renamed.append((self.known[old], old, name))
            steady = self.disk.stat(".", cur).st_mtime_ns == before and not is_racy(before, now)
            if not wanted or steady:
                break
        self.vanished = sorted((self.known[name], name) for name in wanted.values())

    def _all_arrived(self, cur: int, names: Sequence[str]) -> None:
        """
        The first look at a mailbox, in which each message has a base of its own.
        """
        if self.helpers is not None:
            unknown = [name for name in names if ",W=" not in name]
            names = [name for name in names if ",W=" in name]
            for at in range(0, len(unknown), _MEASURED_AT_ONCE):
                part = unknown[at : at + _MEASURED_AT_ONCE]
                found = self.helpers.ask("size", self.tree, self.box.directory, part)
                for name, value in zip(part, found, strict=True):
                    if isinstance(value, tuple):
                        self.arrivals.add(name, *value)
                    else:
                        self._arrived(cur, name, in_new=False)
        for name in names:
            self._arrived(cur, name, in_new=False)

    def _arrived(self, at: int, name: str, in_new: bool, rename: bool = False) -> None:
        try:
            found = self.disk.stat(name, at)
            if not stat.S_ISREG(found.st_mode):
                return
            stored, size = sizes_of(name)
            if size < 0 or stored != found.st_size:
                size = crlf_size(self.disk.read(name, at))
        except FileNotFoundError:
            return
        self.arrivals.add(name, size, int(found.st_mtime), in_new, rename)


def sweep(tree: Tree, directory: str) -> None:
    """
    Remove what died while it was written: files in C{tmp} that are older than 36 hours
    (maildir(5)).
    """
    oldest = time.time() - _TEMPORARY
    with contextlib.suppress(OSError), tree.open(directory, "tmp") as tmp:
        for name in tree.disk.listdir(tmp):
            with contextlib.suppress(OSError):
                if tree.disk.stat(name, tmp).st_mtime < oldest:
                    tree.disk.unlink(name, tmp)


def order(arrivals: Collection[Arrival], uids: Mapping[str, int]) -> list[Arrival]:
    """
    In the order that UIDs are given: as listed before, then as they came.
    """
    return sorted(
        arrivals,
        key=lambda arrival: (uids.get(base_of(arrival.name), 2**32), arrival.date, arrival.name),
    )
