"""
Mending an account: jobs like all others, so that it may be in use meanwhile.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Sequence, Set
from typing import Any

from mailaccess.errors import StoreFailed
from mailaccess.interfaces import KEYWORD_BIT
from mailaccess.message.lineends import crlf_size
from mailaccess.store.disk import Tree
from mailaccess.store.maildir import folders, index, places, scan
from mailaccess.store.maildir.adopt import Adopt
from mailaccess.store.maildir.columns import Row
from mailaccess.store.maildir.filename import base_of, flags_of
from mailaccess.store.maildir.flags import Mirror
from mailaccess.store.maildir.index import Box
from mailaccess.store.maildir.ledger import Job, Ledger
from mailaccess.store.maildir.take import (
    VALIDITY,
    Take,
    keyword_for_later,
    write_keywords,
    write_list,
)

_LOOKS = 5
MIRRORED = {"flags", "keywords", "pairs"}
"""After mending these, names are to tell the flags of the record again."""
_EVERY = [(-(2**62), 2**62)]


def done(outcomes: Sequence[Any]) -> Any:
    """
    The result of the only job; what it failed with is raised.
    """
    (outcome,) = outcomes
    if isinstance(outcome, BaseException):
        raise outcome
    return outcome


def stored_validity(tree: Tree) -> int | None:
    """
    The highest UIDVALIDITY that was given; 0 if that cannot be read, None if there is no such file.
    """
    try:
        with tree.open(index.DIRECTORY) as at:
            return int(tree.disk.read(VALIDITY, at, 20))
    except FileNotFoundError:
        return None
    except ValueError:
        return 0


class MendAccount(Job):
    """
    What does not belong to one mailbox.
    """

    def __init__(self, whats: Set[str]) -> None:
        self.whats = whats

    def apply(self, ledger: Ledger) -> None:
        """
        Inside the transaction.
        """
        if "directory" in self.whats:
            self._drop_missing(ledger)
        if "orphans" in self.whats:
            for table in ("message", "file", "expunged"):
                ledger.index.run(
                    f"DELETE FROM {table} WHERE mailbox NOT IN (SELECT id FROM mailbox)"  # noqa: S608
                )
        if self.whats & {"orphans", "used"}:
            messages, octets = ledger.index.sum_up()
            ledger.index.run("UPDATE used SET messages = ?, octets = ?", (messages, octets))
        if "validity" in self.whats:
            (highest,) = ledger.index.run("SELECT max(uid_validity) FROM mailbox").fetchone()
            ledger.tree.replace(VALIDITY, str(highest).encode("ascii"), index.DIRECTORY)
        if "subscriptions" in self.whats:
            folders.write_subscriptions(
                ledger.tree, folders.load_subscriptions(ledger.disk, ledger.tree)
            )

    @staticmethod
    def _drop_missing(ledger: Ledger) -> None:
        there = {directory for _, directory in places.directories(ledger.disk, ledger.tree)}
        for number, directory in ledger.index.run("SELECT id, directory FROM mailbox").fetchall():
            if directory not in there:
                ledger.index.drop_box(number)


class MendMailbox(Job):
    """
    What the record, the list of UIDs and the keywords say of one mailbox.
    """

    def __init__(self, mailbox: int, whats: Set[str]) -> None:
        self.mailbox = mailbox
        self.whats = whats

    def apply(self, ledger: Ledger) -> None:
        """
        Inside the transaction.
        """
        box = ledger.box(self.mailbox)
        box.advance(named=False)
        if "pairs" in self.whats:
            self._pairs(ledger, box)
        rows = ledger.index.messages(box.id, -(2**62))
        if "sizes" in self.whats:
            self._sizes(ledger, box, rows)
        self._numbers(ledger, box, rows)
        if "keywords" in self.whats:
            self._keywords(box, rows)
            write_keywords(ledger.tree, box)
        if self.whats & MIRRORED:
            box.mirrored = 0
        ledger.index.save(box)
        if self.whats & {"list", "pairs", "numbers"}:
            entries = [(uid, base_of(name)) for uid, name in ledger.index.names(box.id, _EVERY)]
            write_list(ledger.tree, box.directory, box.uid_validity, box.reserved, entries)

    @staticmethod
    def _numbers(ledger: Ledger, box: Box, rows: Sequence[Row]) -> None:
        box.uid_next = max([box.uid_next, *(row[0] + 1 for row in rows)])
        box.reserved = max(box.reserved, box.uid_next)
        box.modseq = max([box.modseq, *(row[2] for row in rows)])
        box.mirrored = min(box.mirrored, box.modseq)
        ledger.index.run(
            "DELETE FROM expunged WHERE mailbox = ?1 AND (modseq > ?2 OR uid >= ?3 OR uid IN"
            " (SELECT uid FROM message WHERE mailbox = ?1))",
            (box.id, box.modseq, box.uid_next),
        )

    @staticmethod
    def _keywords(box: Box, rows: Iterable[Row]) -> None:
        used = 0
        for row in rows:
            used |= row[1]
        while used >> (KEYWORD_BIT + len(box.keywords)):
            box.keywords.append(keyword_for_later(len(box.keywords)))
        seen: set[str] = set()
        for number, name in enumerate(box.keywords):
            if name.lower() in seen:
                box.keywords[number] = keyword_for_later(number)
            seen.add(box.keywords[number].lower())

    @staticmethod
    def _sizes(ledger: Ledger, box: Box, rows: Iterable[Row]) -> None:
        names = dict(ledger.index.names(box.id, _EVERY))
        with ledger.tree.open(box.directory, "cur") as cur:
            for uid, _, _, size, _ in rows:
                with contextlib.suppress(FileNotFoundError):
                    right = crlf_size(ledger.disk.read(names[uid], cur))
                    if right != size:
                        ledger.index.run(
                            "UPDATE message SET size = ?, modseq = ? WHERE mailbox = ? AND uid = ?",
                            (right, box.modseq, box.id, uid),
                        )
                        ledger.index.use(0, right - size)

    def _pairs(self, ledger: Ledger, box: Box) -> None:
        """
        A name without a row gets one, with the flags it tells; a row without a name, and a second
        row for one file, go: if there is a file it arrives anew.
        """
        rows = {row[0] for row in ledger.index.messages(box.id, -(2**62))}
        names = dict(ledger.index.names(box.id, _EVERY))
        first: dict[str, int] = {}
        for uid, name in sorted(names.items()):
            first.setdefault(base_of(name), uid)
        gone = sorted(rows - names.keys())
        gone += [uid for uid, name in names.items() if first[base_of(name)] != uid]
        if gone:
            ledger.delete(box, sorted(gone), box.modseq)
        with ledger.tree.open(box.directory, "cur") as cur:
            for uid in sorted(names.keys() - rows - set(gone)):
                found_name = ledger.locate(cur, names[uid])
                ledger.index.run("DELETE FROM file WHERE mailbox = ? AND uid = ?", (box.id, uid))
                if found_name is not None:
                    data = ledger.disk.read(found_name, cur)
                    found = ledger.disk.stat(found_name, cur)
                    flags = flags_of(found_name, box.letters)
                    row = (uid, flags, box.modseq, crlf_size(data), int(found.st_mtime))
                    ledger.insert(box, [row], [found_name])


def mailbox(ledger: Ledger, directory: str, whats: Set[str]) -> None:
    """
    Mend one mailbox.
    """
    box = ledger.index.box_at(directory)
    if box is None:
        return
    if whats & {"pairs", "sizes", "numbers", "expunged", "keywords", "flags", "list"}:
        done(ledger.run([MendMailbox(box.id, whats)]))
    if "temporary" in whats:
        scan.sweep(ledger.tree, directory)
    if whats & {"files", "pairs"}:
        take_in(ledger, directory)
    if whats & MIRRORED:
        after = done(ledger.run([Mirror(box.id)]))
        while after is not None:
            after = done(ledger.run([Mirror(box.id, after)]))


def take_in(ledger: Ledger, directory: str, job: Adopt | None = None) -> None:
    """
    Look at the directories, and have the record say what is there.

    @param job: how the mailbox is taken over where the record does not have it
    """
    box = done(ledger.run([job or Adopt(directory)]))
    for _ in range(_LOOKS):
        sighting = scan.look(ledger.tree, ledger.path, box.id, True)
        if not sighting or done(ledger.run([Take(box.id, sighting)])) is not None:
            return
    raise StoreFailed(detail=f"{directory or 'INBOX'} changes all the time")
