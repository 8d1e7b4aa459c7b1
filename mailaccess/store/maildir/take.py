"""
Taking in what other programs did: deliveries, changed flags, removed files.

Flags are merged three ways: what the name told when it was last looked at, what it tells now, and
what the record says. What changed in the name is done to the record; the rest stays.

What a look found may be out of date when it is taken in: files were renamed and removed meanwhile,
perhaps forth and back, by this store or by others. So it only says where to look again, inside the
transaction, where no rename of a store is under way and the name of a file differs from the record
only if another program made it differ.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Sequence

from mailaccess.errors import LimitReached
from mailaccess.interfaces import KEYWORD_BIT
from mailaccess.store.disk import Tree
from mailaccess.store.maildir import dovecot, firsttake, index, uidlist
from mailaccess.store.maildir.arrivals import Arrival
from mailaccess.store.maildir.columns import Row
from mailaccess.store.maildir.filename import base_of, flags_of, unique
from mailaccess.store.maildir.index import Box
from mailaccess.store.maildir.ledger import Delta, Job, Ledger
from mailaccess.store.maildir.scan import Sighting, order

VALIDITY = "uidvalidity"
_RESERVED_FOR_LATER = "unnamed-"


class Take(Job):
    """
    Write a L{Sighting} into the record. Returns the L{Delta}, or None if it has to be looked again:
    another process was first, or files were put back.
    """

    makes_room = True

    def __init__(self, mailbox: int, sighting: Sighting) -> None:
        self.mailbox = mailbox
        self.sighting = sighting

    def apply(self, ledger: Ledger) -> Delta | None:
        """
        Inside the transaction, where the record is what it will be.
        """
        sighting = self.sighting
        box = ledger.box(self.mailbox)
        if ledger.recovered or (sighting.adopting and box.adopted):
            return None
        before = box.modseq
        modseq = before + 1
        # Before our own renames, which are then told apart from what came after the look.
        box.new_seen = sighting.new_time
        if sighting.full:
            box.cur_seen = sighting.cur_time
            box.suspect = sighting.racy
        changed = self._merge(ledger, box, modseq)
        removed = self._remove(ledger, box, modseq)
        ledger.index.save(box)
        if firsttake.is_simple(ledger, box, sighting):
            count, added = firsttake.add(ledger, box, sighting, modseq, _learn)
        else:
            added = self._add(ledger, box, modseq)
            count = len(added)
        if changed or removed or count:
            box.advance(named=not changed)
        box.adopted = True
        ledger.index.save(box)
        return Delta(
            box.id,
            before if len(added) == count else -1,
            box.modseq,
            box.uid_next,
            box.keywords,
            added,
            removed,
            ([uid for uid, _ in changed], [mask for _, mask in changed]),
        )

    def _merge(self, ledger: Ledger, box: Box, modseq: int) -> list[tuple[int, int]]:
        if not self.sighting.renamed:
            return []
        with ledger.tree.open(box.directory, "cur") as cur:
            return self._merge_names(ledger, box, modseq, cur)

    def _merge_names(
        self, ledger: Ledger, box: Box, modseq: int, cur: int
    ) -> list[tuple[int, int]]:
        changed = []
        letters = box.letters
        for uid, old, new in sorted(self.sighting.renamed):
            row = ledger.index.run(
                "SELECT flags, name FROM message JOIN file USING(mailbox, uid)"
                " WHERE mailbox = ? AND uid = ?",
                (box.id, uid),
            ).fetchone()
            if row is None or index.from_name(row[1]) != old:
                continue
            if ledger.disk.exists(old, cur) or not ledger.disk.exists(new, cur):
                # Renamed back, or on: our own mirror may have passed through both names.
                continue
            _learn(ledger, box, new)
            letters = box.letters
            mirrored, now = flags_of(old, letters), flags_of(new, letters)
            turned = mirrored ^ now
            mask = (row[0] & ~turned) | (now & turned)
            ledger.index.run(
                "UPDATE file SET name = ? WHERE mailbox = ? AND uid = ?",
                (index.to_name(new), box.id, uid),
            )
            # The record only knows names that a power cut cannot take back.
            ledger.also_sync(box.directory, "cur")
            if mask != row[0]:
                ledger.index.run(
                    "UPDATE message SET flags = ?, modseq = ? WHERE mailbox = ? AND uid = ?",
                    (mask, modseq, box.id, uid),
                )
                changed.append((uid, mask))
        return changed

    def _remove(self, ledger: Ledger, box: Box, modseq: int) -> list[int]:
        vanished = dict(self.sighting.vanished)
        uids = sorted(vanished)
        names = ledger.index.names(box.id, index.ranges_of(uids))
        gone = [uid for uid, name in names if vanished[uid] == name]
        if gone:
            with ledger.tree.open(box.directory, "cur") as cur:
                gone = [uid for uid in gone if not ledger.disk.exists(vanished[uid], cur)]
        if gone:
            ledger.delete(box, gone, modseq)
        return gone

    def _add(self, ledger: Ledger, box: Box, modseq: int) -> Sequence[Row]:
        sighting = self.sighting
        listed = dict(sighting.before.uids) if sighting.adopting and sighting.before else {}
        listed = {base: uid for base, uid in listed.items() if uid < box.uid_next}
        since = ledger.index.names(box.id, [(sighting.uid_next, 2**32)])
        known = {base_of(name) for _, name in since}
        kept = [a for a in sighting.arrivals if a.rename or base_of(a.name) not in known]
        if any(a.rename for a in kept):
            # A name that is ours by now is no second file of the same base.
            ours = {name for _, name in ledger.index.names(box.id, [(1, 2**32)])}
            kept = [a for a in kept if not a.rename or a.name not in ours]
        if not kept:
            return []
        found = self._place(ledger, box, order(kept, listed))
        old = [(listed[base_of(name)], name, a) for name, a in found if base_of(name) in listed]
        new = [(name, a) for name, a in found if base_of(name) not in listed]
        uids = ledger.assign(box, [base_of(name) for name, _ in new]) if new else range(0)
        entries = old + [(uid, name, a) for uid, (name, a) in zip(uids, new, strict=True)]
        letters = box.letters
        rows = [(uid, flags_of(name, letters), modseq, a.size, a.date) for uid, name, a in entries]
        ledger.insert(box, rows, [name for _, name, _ in entries])
        return rows

    def _place(
        self, ledger: Ledger, box: Box, arrivals: list[Arrival]
    ) -> list[tuple[str, Arrival]]:
        """
        Move what is in C{new} to C{cur}; the names it has there.
        """
        placed = []
        taken: set[str] = set()
        with (
            ledger.tree.open(box.directory, "new") as new,
            ledger.tree.open(box.directory, "cur") as cur,
        ):
            if any(arrival.in_new or arrival.rename for arrival in arrivals):
                # Not synced: if the move is lost the file is found in new/ again, and the same base
                # is still the same message.
                ledger.touch(box, sync=False)
            for arrival in arrivals:
                name = arrival.name
                base = base_of(name)
                source = new if arrival.in_new else cur
                if arrival.in_new and ":2," not in name:
                    name = f"{base}:2,"
                if (
                    arrival.rename
                    or base in taken
                    or (arrival.in_new and self._held(ledger, cur, name))
                ):
                    name = unique() + name[len(base) :]
                taken.add(base_of(name))
                if arrival.in_new or name != arrival.name:
                    try:
                        ledger.disk.rename(arrival.name, name, source, cur)
                    except FileNotFoundError:
                        continue
                elif not self.sighting.adopting and not self._held(ledger, cur, name):
                    # What was seen was an upload that failed, or is expunged by now.
                    continue
                _learn(ledger, box, name)
                placed.append((name, arrival))
        return placed

    @staticmethod
    def _held(ledger: Ledger, cur: int, name: str) -> bool:
        return ledger.disk.exists(name, cur)


def _learn(ledger: Ledger, box: Box, name: str) -> None:
    """
    Give names to keyword letters in a file name that the mailbox has none for: those of the file,
    where a crash came between the two.
    """
    info = name.partition(":2,")[2].partition(",")[0]
    highest = max((ord(letter) - 96 for letter in info if "a" <= letter <= "z"), default=0)
    if len(box.keywords) >= highest:
        return
    listed = load_keywords(ledger.tree, box.directory)
    while len(box.keywords) < highest:
        number = len(box.keywords)
        known = listed[number] if number < len(listed) else ""
        if not known or box.keyword_bit(known):
            known = keyword_for_later(number)
        box.keywords.append(known)


def load_keywords(tree: Tree, directory: str) -> list[str]:
    """
    The keywords of a mailbox, in the order of their letters, from the file that Dovecot has too.
    """
    with tree.open(directory) as at:
        found = dovecot.load_keywords(tree.disk, at)
    highest = max((n for n in found if n < index.MAX_KEYWORDS), default=-1)
    return [found.get(n, keyword_for_later(n)) for n in range(highest + 1)]


def keyword_mask(ledger: Ledger, box: Box, names: list[str]) -> int:
    """
    Bits of keywords; those that are new get one, and their names are made durable.
    """
    mask = 0
    count = len(box.keywords)
    for name in names:
        bit = box.keyword_bit(name)
        if not bit:
            if len(box.keywords) >= index.MAX_KEYWORDS:
                raise LimitReached("Too many keywords")
            bit = 1 << (KEYWORD_BIT + len(box.keywords))
            box.keywords.append(name)
        mask |= bit
    if len(box.keywords) > count:
        write_keywords(ledger.tree, box)
    return mask


def write_keywords(tree: Tree, box: Box) -> None:
    """
    Make the names of a mailbox's keywords durable.
    """
    lines = [f"{number} {name}\n" for number, name in enumerate(box.keywords)]
    tree.replace(dovecot.KEYWORDS, os.fsencode("".join(lines)), box.directory)


def keyword_for_later(number: int) -> str:
    """
    What a keyword is called that nobody has named.
    """
    return f"{_RESERVED_FOR_LATER}{chr(97 + number) if number < 26 else number}"


def write_list(
    tree: Tree,
    directory: str,
    uid_validity: int,
    reserved: int,
    entries: list[tuple[int, str]] | None = None,
) -> None:
    """
    Put a whole list of UIDs in place.
    """
    data = uidlist.text_of(uid_validity, reserved, sorted(entries or []))
    tree.replace(uidlist.FILE, data, directory)


def next_validity(ledger: Ledger) -> int:
    """
    A UIDVALIDITY greater than all that this account ever had, also with Dovecot, kept in a file of
    its own so that it outlives the record; the time, unless the clock went back.
    """
    row = ledger.index.run("SELECT max(uid_validity) FROM mailbox").fetchone()
    highest = row[0] or 0
    if ledger.validities and ledger.validities[0] > highest:
        value, ledger.validities = ledger.validities[0], ledger.validities[1:]
        return value
    last = 0
    # One that cannot be read now is not taken for none: a UIDVALIDITY might come again.
    gone = contextlib.suppress(FileNotFoundError, ValueError)
    with ledger.tree.open(index.DIRECTORY) as at, gone:
        last = int(ledger.disk.read(VALIDITY, at, 20))
    if not last:
        with ledger.tree.open() as at:
            last = dovecot.last_validity(ledger.disk, at)
    value = max(int(time.time()), last + 1, highest + 1) % (2**32 - 1) or 1
    # One for each job of the transaction: the file is written and synced for all of them together.
    end = min(value + ledger.jobs - 1, 2**32 - 2)
    ledger.tree.replace(VALIDITY, str(end).encode("ascii"), index.DIRECTORY)
    ledger.validities = range(value + 1, end + 1)
    return value
