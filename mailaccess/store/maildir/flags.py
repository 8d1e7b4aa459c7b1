"""
Jobs that change what is known of messages: flags, their mirror in file names, who was told.
"""

from __future__ import annotations

import contextlib
from collections.abc import Collection, Sequence

import attrs

from mailaccess.interfaces import SYSTEM_FLAGS
from mailaccess.store.maildir import index
from mailaccess.store.maildir.filename import with_flags
from mailaccess.store.maildir.index import Box, ranges_of
from mailaccess.store.maildir.ledger import Delta, Job, Ledger
from mailaccess.store.maildir.take import keyword_mask

MIRROR_SLICE = 500
"""Files renamed in one transaction at most."""

_SYSTEM = {name.lower(): bit for name, bit in SYSTEM_FLAGS.items()}
_ALL = (1 << 63) - 1


def mask_of(ledger: Ledger, box: Box, flags: Collection[str], create: bool = True) -> int:
    """
    The mask of flags by name; C{\\Recent} is nobody's to change. Unknown keywords are made, or left
    out.
    """
    mask = 0
    keywords = []
    for flag in flags:
        if flag.startswith("\\"):
            mask |= _SYSTEM.get(flag.lower(), 0)
        elif create or box.keyword_bit(flag):
            keywords.append(flag)
    return mask | keyword_mask(ledger, box, keywords) if keywords else mask


@attrs.frozen
class FlagsStored:
    """
    What became of a L{StoreFlags}.

    @ivar count: how many of the messages are there
    """

    delta: Delta
    count: int
    conflicts: Sequence[int]


class StoreFlags(Job):
    """
    Change flags of messages; UIDs ascending. Returns a L{FlagsStored}.
    """

    makes_room = True

    def __init__(
        self,
        mailbox: int,
        uids: Sequence[int],
        operation: str,
        flags: Collection[str],
        unchanged_since: int | None,
    ) -> None:
        self.mailbox = mailbox
        self.ranges = ranges_of(uids)
        self.operation = operation
        self.flags = flags
        self.limit = _ALL if unchanged_since is None else unchanged_since

    def apply(self, ledger: Ledger) -> FlagsStored:
        """
        One statement a range: C{new = (old & keep) | add}.
        """
        box = ledger.box(self.mailbox)
        mask = mask_of(ledger, box, self.flags, self.operation != "remove")
        keep, add = {"add": (-1, mask), "remove": (~mask, 0), "set": (0, mask)}[self.operation]
        before, modseq = box.modseq, box.modseq + 1
        places = [(box.id, low, high) for low, high in self.ranges]
        many = ledger.index.run_many
        conflicts: list[int] = []
        if self.limit != _ALL:
            found = many(
                "SELECT uid FROM message WHERE mailbox = ? AND uid BETWEEN ? AND ? AND modseq > ?",
                [(*place, self.limit) for place in places],
            )
            conflicts = [uid for (uid,) in found]
        counts = many(
            "SELECT count(*) FROM message WHERE mailbox = ? AND uid BETWEEN ? AND ?", places
        )
        count = sum(n for (n,) in counts)
        turned = many(
            "SELECT uid, (flags & ?4) | ?5 FROM message"
            " WHERE mailbox = ?1 AND uid BETWEEN ?2 AND ?3"
            " AND modseq <= ?6 AND (flags & ?4) | ?5 <> flags",
            [(*place, keep, add, self.limit) for place in places],
        ).fetchall()
        if turned:
            many(
                "UPDATE message SET flags = (flags & ?4) | ?5, modseq = ?7"
                " WHERE mailbox = ?1 AND uid BETWEEN ?2 AND ?3"
                " AND modseq <= ?6 AND (flags & ?4) | ?5 <> flags",
                [(*place, keep, add, self.limit, modseq) for place in places],
            )
            box.advance(named=False)
        ledger.index.save(box)
        uids, masks = zip(*turned, strict=True) if turned else ((), ())
        delta = Delta(box.id, before, box.modseq, box.uid_next, box.keywords, changed=(uids, masks))
        return FlagsStored(delta, count, conflicts)


@attrs.frozen
class MirrorPass:
    """
    How far a L{Mirror} came.

    @ivar start: the UID to go on from
    @ivar modseq: what will have been mirrored at the end
    """

    start: int
    modseq: int


class Mirror(Job):
    """
    Write flags into file names, some hundred at a time. Returns a L{MirrorPass} to go on from, or
    None at the end.

    Rename, then sync the directory, then commit: what is lost in a power cut leaves a name that
    tells the flags of the record, or an older one that the record knows. Where the process dies or
    the commit fails and others go on to store flags, the new name would look like somebody else's
    change: it is put back before (L{mailaccess.store.maildir.intents}).
    """

    makes_room = True

    def __init__(self, mailbox: int, after: MirrorPass | None = None) -> None:
        self.mailbox = mailbox
        self.after = after
        self._directory = ""
        self._renamed: list[tuple[str, str]] = []

    def apply(self, ledger: Ledger) -> MirrorPass | None:
        """
        The next files whose names tell other flags than the record.
        """
        box = ledger.index.box(self.mailbox)
        if box is None or box.mirrored >= box.modseq:
            return None
        here = self.after or MirrorPass(1, box.modseq)
        wanted, following = self._wanted(ledger, box, here.start)
        done = self._rename(ledger, box, wanted)
        if len(done) < len(wanted):
            # Others renamed or removed files: until the next look tells, names tell too little.
            here = attrs.evolve(here, modseq=box.mirrored)
        # From here on the commit decides, and whoever begins the next transaction sees it.
        self._renamed.clear()
        if following:
            return MirrorPass(following, here.modseq)
        box = ledger.box(self.mailbox)
        box.mirrored = max(box.mirrored, here.modseq)
        ledger.index.save(box)
        return None

    @staticmethod
    def _wanted(ledger: Ledger, box: Box, start: int) -> tuple[list[tuple[int, str, str]], int]:
        letters = box.letters
        wanted: list[tuple[int, str, str]] = []
        rows = ledger.index.run(
            "SELECT uid, flags, name FROM message JOIN file USING(mailbox, uid)"
            " WHERE mailbox = ? AND uid >= ? AND modseq > ? ORDER BY uid",
            (box.id, start, box.mirrored),
        )
        for uid, mask, stored in rows:
            name = index.from_name(stored)
            new = with_flags(name, mask, letters)
            if new not in (name, name + ":2,"):
                if len(wanted) == MIRROR_SLICE:
                    rows.close(True)
                    return wanted, uid
                wanted.append((uid, name, new))
        return wanted, 0

    def _rename(
        self, ledger: Ledger, box: Box, wanted: list[tuple[int, str, str]]
    ) -> list[tuple[str | bytes, int, int]]:
        if not wanted:
            return []
        ledger.touch(box)
        ledger.intend_names(box, wanted)
        done = []
        self._directory = box.directory
        with ledger.tree.open(box.directory, "cur") as cur:
            for uid, old, new in wanted:
                try:
                    ledger.disk.rename(old, new, cur, cur)
                except FileNotFoundError:
                    continue
                self._renamed.append((old, new))
                done.append((index.to_name(new), box.id, uid))
        ledger.index.run_many("UPDATE file SET name = ? WHERE mailbox = ? AND uid = ?", done)
        return done

    def undo(self, ledger: Ledger) -> None:
        """
        Back again, inside the transaction.
        """
        with ledger.tree.open(self._directory, "cur") as cur:
            while self._renamed:
                old, new = self._renamed.pop()
                with contextlib.suppress(OSError):
                    ledger.disk.rename(new, old, cur, cur)


class Claim(Job):
    """
    Say that a session was told of all messages below a UID.
    """

    makes_room = True

    def __init__(self, mailbox: int, uid: int) -> None:
        self.mailbox = mailbox
        self.uid = uid

    def apply(self, ledger: Ledger) -> None:
        """
        Never backwards.
        """
        ledger.index.run(
            "UPDATE mailbox SET first_recent = max(first_recent, ?) WHERE id = ?",
            (self.uid, self.mailbox),
        )
