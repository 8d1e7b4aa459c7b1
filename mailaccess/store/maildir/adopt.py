"""
Giving a mailbox its row in the record: with what another server knew of it, where one was there.

The order is what makes it safe to break off: keywords go into file names and unique-ids into their
file before our own list of UIDs is written. With that the mailbox is ours, and the other server's
files are not looked at again; they stay as they are.
"""

from __future__ import annotations

import contextlib
import os
from collections import Counter

from mailaccess.interfaces import KEYWORD_BIT
from mailaccess.store.maildir import before, courier, dovecot, uidlist, uniqueids
from mailaccess.store.maildir.filename import base_of, flags_of, with_flags
from mailaccess.store.maildir.index import Box
from mailaccess.store.maildir.ledger import Job, Ledger
from mailaccess.store.maildir.take import load_keywords, next_validity
from mailaccess.store.maildir.uidlist import UidList
from mailaccess.store.maildir.uniqueids import Pattern


class Adopt(Job):
    """
    Give a directory its row in the record. Returns the L{Box}.

    @ivar pattern: how the Dovecot before made unique-ids for POP3
    @ivar source: whose list of UIDs was taken over, C{dovecot} or C{courier}; else empty
    @ivar doubts: what could not be kept, for people
    """

    def __init__(self, directory: str, pattern: Pattern | None = None) -> None:
        self.directory = directory
        self.pattern = pattern
        self.source = ""
        self.doubts: list[str] = []

    def apply(self, ledger: Ledger) -> Box:
        """
        UIDVALIDITY as listed; greater than any before if there is no list (DS-04).
        """
        self.doubts.clear()
        box = ledger.index.box_at(self.directory)
        if box is not None:
            return box
        with ledger.tree.open(self.directory) as at:
            for name in ("new", "tmp"):
                with contextlib.suppress(FileExistsError):
                    ledger.disk.mkdir(name, at)
            listed = uidlist.load(ledger.disk, at)
            if listed is None:
                listed = before.load(ledger.disk, at, inbox=not self.directory) or before.empty()
        validity, reserved, size = listed.uid_validity, listed.uid_next, -1
        if listed.source != "mailaccess":
            validity = validity or next_validity(ledger)
            # With what the first messages will need, so that it is written and synced once.
            reserved = min(reserved + uidlist.RESERVE, 2**32 - 1)
            size = self._take_over(ledger, listed, validity, reserved)
        # For ours, too: who put it there may have died before this.
        ledger.also_sync(self.directory)
        box = ledger.index.add_box(self.directory, validity, listed.uid_next)
        box.first_recent, box.reserved = box.uid_next, reserved
        ledger.lists[box.token] = size
        box.keywords = load_keywords(ledger.tree, self.directory)
        ledger.index.save(box)
        return box

    def _take_over(self, ledger: Ledger, listed: UidList, validity: int, reserved: int) -> int:
        """
        Returns the length of the list of UIDs that is ours.
        """
        self.source = listed.source
        self.doubts += listed.doubts
        if listed.source == "courier":
            self._take_keywords(ledger)
        if not self.directory:
            texts, bad = uniqueids.kept(listed, validity, self.pattern)
            if bad:
                self.doubts.append(f"{bad} unique-ids for POP3 cannot be kept")
            if texts:
                uniqueids.write(ledger.tree, self.directory, texts)
        entries = sorted((uid, base) for base, uid in listed.uids.items())
        data = uidlist.text_of(validity, reserved, entries)
        ledger.tree.put(uidlist.FILE, data, self.directory)
        return len(data)

    def _take_keywords(self, ledger: Ledger) -> None:
        """
        Courier's keywords, as letters in file names. Done again it gives the same names.
        """
        with ledger.tree.open(self.directory) as at:
            if ledger.disk.exists(dovecot.KEYWORDS, at):
                return
            found = courier.load_keywords(ledger.disk, at)
        self.doubts += [f"keywords: {text}" for text in found.doubts]
        used = Counter(place for places in found.places.values() for place in places)
        chosen = [place for place, _ in used.most_common(dovecot.KEYWORD_LETTERS)]
        if not chosen:
            return
        if len(used) > len(chosen):
            self.doubts.append(f"{len(used) - len(chosen)} keywords are too many to be kept")
        lines = "".join(f"{bit} {found.names[place]}\n" for bit, place in enumerate(chosen))
        ledger.tree.replace(dovecot.KEYWORDS, os.fsencode(lines), self.directory)
        letters = {chr(97 + bit): 1 << (KEYWORD_BIT + bit) for bit in range(len(chosen))}
        bits = {place: 1 << (KEYWORD_BIT + bit) for bit, place in enumerate(chosen)}
        with ledger.tree.open(self.directory, "cur") as cur:
            for name in ledger.disk.listdir(cur):
                mask = sum(bits.get(place, 0) for place in found.places.get(base_of(name), ()))
                new = with_flags(name, flags_of(name, letters) | mask, letters) if mask else name
                if new != name:
                    with contextlib.suppress(FileNotFoundError):
                        ledger.disk.rename(name, new, cur, cur)
            ledger.disk.fsync(cur)
