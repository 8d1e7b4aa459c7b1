"""
Jobs that add and remove messages: upload, copy, move, expunge.
"""

from __future__ import annotations

import contextlib
import errno
import os
import time
from collections.abc import Callable, Collection, Sequence

import attrs

from mailaccess.errors import MessageGone, NoSuchMailbox, OverQuota, Refused
from mailaccess.interfaces import DELETED
from mailaccess.message.lineends import crlf_size, to_lf
from mailaccess.store.disk import refusal
from mailaccess.store.maildir import index, reserve
from mailaccess.store.maildir.columns import Row
from mailaccess.store.maildir.filename import base_of, sizes_of, unique, with_flags
from mailaccess.store.maildir.flags import mask_of
from mailaccess.store.maildir.index import Box, ranges_of
from mailaccess.store.maildir.intents import Step
from mailaccess.store.maildir.ledger import Delta, Job, Ledger

_NO_LINKS = {errno.EXDEV, errno.EPERM, errno.EMLINK, errno.EOPNOTSUPP, errno.EACCES}


@attrs.define
class Part:
    """
    One message of an upload.

    @ivar chunks: as received, not all of it if C{spool} is set
    @ivar spool: name of a file in C{tmp} with what came before the chunks, or empty
    @ivar date: seconds since 1970, None for now
    """

    flags: Collection[str]
    date: int | None
    chunks: list[bytes] = attrs.field(factory=list)
    spool: str = ""
    base: str = ""
    size: int = 0


class Deliver(Job):
    """
    Make uploaded messages durable, all or none. Returns the L{Delta}.
    """

    def __init__(self, mailbox: int, directory: str, parts: Sequence[Part]) -> None:
        self.mailbox = mailbox
        self.directory = directory
        self.parts = parts
        self._prepared = False
        self._written: list[str] = []
        self._placed: list[str] = []

    def prepare_ahead(self, ledger: Ledger) -> None:
        """
        L{prepare} in another thread, where it takes long: meanwhile others' jobs are done.
        """
        try:
            self.prepare(ledger)
        except BaseException:
            self._drop_temporary(ledger)
            raise

    def prepare(self, ledger: Ledger) -> None:
        """
        Write and sync the files in C{tmp}; not into the last of the room, which is for those who
        make room.
        """
        if self._prepared:
            return
        if reserve.is_full(ledger.tree):
            raise OverQuota(detail="the disk is full")
        try:
            tmp = ledger.tree.descriptor(self.directory, "tmp")
        except FileNotFoundError as error:
            raise NoSuchMailbox(detail=str(error)) from error
        try:
            for part in self.parts:
                self._write(ledger, tmp, part)
        finally:
            os.close(tmp)
        self._prepared = True

    def _write(self, ledger: Ledger, tmp: int, part: Part) -> None:
        disk = ledger.disk
        start = disk.read(part.spool, tmp) if part.spool else b""
        data = b"".join([start, *part.chunks])
        stored = to_lf(data)
        if stored is None:
            stored = data
        part.size = crlf_size(stored)
        part.base = f"{unique()},S={len(stored)},W={part.size}"
        part.chunks.clear()
        part.date = int(time.time()) if part.date is None else part.date
        descriptor = disk.create(part.base, tmp)
        self._written.append(part.base)
        try:
            disk.write(descriptor, stored)
            os.utime(descriptor, (part.date, part.date))
            disk.fsync(descriptor)
        finally:
            disk.close(descriptor)

    def apply(self, ledger: Ledger) -> Delta:
        """
        Give the files their UIDs and their names.
        """
        box = ledger.box(self.mailbox)
        before, modseq = box.modseq, box.modseq + 1
        ledger.need_room(sum(part.size for part in self.parts), len(self.parts))
        ledger.touch(box)
        masks = [mask_of(ledger, box, part.flags) for part in self.parts]
        letters = box.letters
        names = [
            with_flags(part.base, mask, letters)
            for part, mask in zip(self.parts, masks, strict=True)
        ]
        if len(names) > 1:
            steps = [Step(_below(box.directory, "cur"), part.base) for part in self.parts]
            ledger.intend(box, box.uid_next, steps)
        with (
            ledger.tree.open(box.directory, "tmp") as tmp,
            ledger.tree.open(box.directory, "cur") as cur,
        ):
            for part, name in zip(self.parts, names, strict=True):
                ledger.disk.rename(part.base, name, tmp, cur)
                self._placed.append(name)
        uids = ledger.assign(box, [part.base for part in self.parts])
        rows: list[Row] = [
            (uid, mask, modseq, part.size, part.date or 0)
            for uid, mask, part in zip(uids, masks, self.parts, strict=True)
        ]
        ledger.insert(box, rows, names)
        ledger.tell_files(sum(sizes_of(part.base)[0] for part in self.parts), len(self.parts))
        box.advance(named=True)
        ledger.index.save(box)
        return Delta(box.id, before, modseq, box.uid_next, box.keywords, added=rows)

    def undo(self, ledger: Ledger) -> None:
        """
        Leave nothing behind.
        """
        _remove_files(ledger, self.directory, "cur", self._placed)
        self._drop_temporary(ledger)

    def settle(self, ledger: Ledger) -> None:
        """
        The spooled octets are not needed any more.
        """
        if any(part.spool for part in self.parts):
            self._drop_temporary(ledger)

    def _drop_temporary(self, ledger: Ledger) -> None:
        spools = [part.spool for part in self.parts if part.spool]
        _remove_files(ledger, self.directory, "tmp", [*self._written, *spools])


def _below(directory: str, name: str) -> str:
    return f"{directory}/{name}" if directory else name


def _remove_files(ledger: Ledger, directory: str, below: str, names: Sequence[str]) -> None:
    if not names:
        return
    with contextlib.suppress(OSError), ledger.tree.open(directory, below) as at:
        for name in names:
            with contextlib.suppress(OSError):
                ledger.disk.unlink(name, at)


class Remove(Job):
    """
    Remove messages and their files. Returns the L{Delta}.

    Files go before the commit: one that stayed would come back as a new message. If one cannot be
    removed, those before it are gone all the same and are recorded so; what is wrong is in
    C{failure}. If the commit fails, the next look finds the files missing and says so.

    @ivar uids: which of them; C{None} for all
    @ivar flagged: only those that have C{\\Deleted}
    @ivar failure: why not all of them are gone, or None
    """

    makes_room = True

    def __init__(self, mailbox: int, uids: Sequence[int] | None, flagged: bool) -> None:
        self.mailbox = mailbox
        self.ranges = [(1, 2**32)] if uids is None else ranges_of(uids)
        self.flagged = flagged
        self.failure: Refused | None = None

    def apply(self, ledger: Ledger) -> Delta:
        """
        Inside the transaction.

        @raise OSError: not even the first could be removed
        """
        box = ledger.box(self.mailbox)
        before = box.modseq
        wanted = DELETED if self.flagged else 0
        victims = ledger.index.run_many(
            "SELECT uid, name, size FROM message JOIN file USING(mailbox, uid)"
            " WHERE mailbox = ?1 AND uid BETWEEN ?2 AND ?3 AND flags & ?4 = ?4",
            [(box.id, low, high, wanted) for low, high in self.ranges],
        ).fetchall()
        uids: list[int] = []
        if victims:
            ledger.touch(box)
            octets = stored_octets = 0
            with ledger.tree.open(box.directory, "cur") as cur:
                for uid, stored, size in victims:
                    name = index.from_name(stored)
                    try:
                        stored_size = _stored(ledger, cur, name, size)
                        _unlink(ledger, cur, name)
                    except OSError as error:
                        if not uids:
                            raise
                        self.failure = refusal(error, f"removing message {uid}")
                        break
                    uids.append(uid)
                    octets += size
                    stored_octets += stored_size
            ledger.tell_files(-stored_octets, -len(uids))
            ledger.delete(box, uids, box.advance(named=True), octets)
            ledger.index.save(box)
        return Delta(box.id, before, box.modseq, box.uid_next, box.keywords, removed=uids)

    def settle(self, ledger: Ledger) -> None:
        """
        There may be room again.
        """
        reserve.keep(ledger.tree)


def _stored(ledger: Ledger, cur: int, name: str, size: int) -> int:
    """
    Octets of a file, by its name where that tells; nothing where nobody wants to know.
    """
    if not ledger.has_size_file:
        return 0
    octets = sizes_of(name)[0]
    if octets >= 0:
        return octets
    try:
        return ledger.disk.stat(name, cur).st_size
    except FileNotFoundError:
        return size


def _unlink(ledger: Ledger, cur: int, name: str) -> None:
    try:
        ledger.disk.unlink(name, cur)
    except FileNotFoundError:
        found = ledger.locate(cur, name)
        if found is not None:
            ledger.disk.unlink(found, cur)


@attrs.frozen
class Transferred:
    """
    What became of a L{Transfer}.

    @ivar source: None for a copy into another mailbox
    """

    source: Delta | None
    target: Delta
    uid_validity: int
    uids: Sequence[int]


class Transfer(Job):
    """
    Copy or move messages, all or none. Returns a L{Transferred}.

    A copy is a hard link where the file system has them.
    """

    def __init__(self, mailbox: int, uids: Sequence[int], target: int, move: bool) -> None:
        self.mailbox = mailbox
        self.uids = uids
        self.target = target
        self.move = move
        # Many clients delete by moving away.
        self.makes_room = move
        self._undo: list[Callable[[], None]] = []
        self._source = ""
        self._directory = ""

    def apply(self, ledger: Ledger) -> Transferred:
        """
        Inside the transaction.
        """
        source, target = ledger.box(self.mailbox), ledger.box(self.target)
        found = ledger.index.run_many(
            "SELECT uid, flags, size, date, name FROM message JOIN file USING(mailbox, uid)"
            " WHERE mailbox = ? AND uid BETWEEN ? AND ?",
            [(source.id, low, high) for low, high in ranges_of(self.uids)],
        ).fetchall()
        if len(found) < len(self.uids):
            raise MessageGone
        before, modseq = target.modseq, target.modseq + 1
        if not self.move:
            # A move takes away what it brings.
            ledger.need_room(sum(row[2] for row in found), len(found))
        ledger.touch(target)
        if self.move:
            ledger.touch(source)
        masks = _translate(ledger, source, target, [row[1] for row in found])
        names = self._files(ledger, source, target, [row[4] for row in found], masks)
        uids = ledger.assign(target, [base_of(name) for name in names])
        rows: list[Row] = [
            (uid, mask, modseq, size, date)
            for uid, mask, (_, _, size, date, _) in zip(uids, masks, found, strict=True)
        ]
        ledger.insert(target, rows, names)
        if not self.move and ledger.has_size_file:
            self._tell(ledger, target, names, [row[2] for row in found])
        target.advance(named=True)
        ledger.index.save(target)
        added = Delta(target.id, before, modseq, target.uid_next, target.keywords, added=rows)
        gone = self._drop(ledger, sum(row[2] for row in found)) if self.move else None
        return Transferred(gone, added, target.uid_validity, uids)

    @staticmethod
    def _tell(ledger: Ledger, target: Box, names: Sequence[str], sizes: Sequence[int]) -> None:
        with ledger.tree.open(target.directory, "cur") as cur:
            octets = sum(
                _stored(ledger, cur, name, size) for name, size in zip(names, sizes, strict=True)
            )
        ledger.tell_files(octets, len(names))

    def _drop(self, ledger: Ledger, octets: int) -> Delta:
        source = ledger.box(self.mailbox)
        before = source.modseq
        ledger.delete(source, self.uids, source.advance(named=True), octets)
        ledger.index.save(source)
        return Delta(
            source.id,
            before,
            source.modseq,
            source.uid_next,
            source.keywords,
            removed=self.uids,
        )

    def _files(
        self,
        ledger: Ledger,
        source: Box,
        target: Box,
        stored: Sequence[str | bytes],
        masks: Sequence[int],
    ) -> list[str]:
        letters = target.letters
        olds = [index.from_name(value) for value in stored]
        names = [
            with_flags(_fresh(old), mask, letters) for old, mask in zip(olds, masks, strict=True)
        ]
        self._source, self._directory = source.directory, target.directory
        if len(names) > 1:
            place, origin = _below(target.directory, "cur"), _below(source.directory, "cur")
            steps = [
                Step(place, base_of(new), (origin, old) if self.move else None)
                for old, new in zip(olds, names, strict=True)
            ]
            ledger.intend(target, target.uid_next, steps)
        with (
            ledger.tree.open(source.directory, "cur") as old_at,
            ledger.tree.open(target.directory, "cur") as new_at,
            ledger.tree.open(target.directory, "tmp") as tmp,
        ):
            for old, new in zip(olds, names, strict=True):
                if not self._put(ledger, old, new, old_at, new_at, tmp):
                    found = ledger.locate(old_at, old)
                    if found is None or not self._put(ledger, found, new, old_at, new_at, tmp):
                        raise MessageGone
        return names

    def _put(self, ledger: Ledger, old: str, new: str, old_at: int, new_at: int, tmp: int) -> bool:
        disk = ledger.disk
        try:
            try:
                if self.move:
                    disk.rename(old, new, old_at, new_at)
                    self._undo.append(lambda: self._back(ledger, old, new))
                    return True
                disk.link(old, new, old_at, new_at)
            except OSError as error:
                if error.errno not in _NO_LINKS:
                    raise
                self._copy(ledger, old, new, old_at, new_at, tmp)
        except FileNotFoundError:
            return False
        self._undo.append(lambda: _remove_files(ledger, self._directory, "cur", [new]))
        if self.move:
            disk.unlink(old, old_at)
        return True

    def _copy(self, ledger: Ledger, old: str, new: str, old_at: int, new_at: int, tmp: int) -> None:
        disk = ledger.disk
        data = disk.read(old, old_at)
        times = disk.stat(old, old_at)
        descriptor = disk.create(new, tmp)
        try:
            try:
                disk.write(descriptor, data)
                os.utime(descriptor, (times.st_mtime, times.st_mtime))
                disk.fsync(descriptor)
            finally:
                disk.close(descriptor)
            disk.rename(new, new, tmp, new_at)
        except BaseException:
            with contextlib.suppress(OSError):
                disk.unlink(new, tmp)
            raise

    def _back(self, ledger: Ledger, old: str, new: str) -> None:
        with (
            ledger.tree.open(self._source, "cur") as old_at,
            ledger.tree.open(self._directory, "cur") as new_at,
        ):
            ledger.disk.rename(new, old, new_at, old_at)

    def undo(self, ledger: Ledger) -> None:
        """
        Put the files back, the last first.
        """
        while self._undo:
            step = self._undo.pop()
            with contextlib.suppress(OSError):
                step()


def _fresh(old: str) -> str:
    """
    A base for a copy, which tells the same sizes.
    """
    octets, size = sizes_of(old)
    return unique() + (f",S={octets},W={size}" if size >= 0 <= octets else "")


def _translate(ledger: Ledger, source: Box, target: Box, masks: Sequence[int]) -> list[int]:
    """
    Masks of one mailbox as masks of another: each has its own keywords.
    """
    if source.id == target.id:
        return list(masks)
    translated = {}
    for mask in set(masks):
        names = [name for number, name in enumerate(source.keywords) if mask >> (5 + number) & 1]
        translated[mask] = mask & 31 | (mask_of(ledger, target, names) if names else 0)
    return [translated[mask] for mask in masks]
