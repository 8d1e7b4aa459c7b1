"""
The invariants of one mailbox.
"""

from __future__ import annotations

import contextlib
import os
import stat
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence

import apsw
import attrs

from mailaccess.interfaces import KEYWORD_BIT
from mailaccess.message.lineends import crlf_size, to_crlf
from mailaccess.message.structure import describe
from mailaccess.store.disk import Tree
from mailaccess.store.maildir import blocks, derived, folders, index, kinds, uidlist
from mailaccess.store.maildir.columns import Row
from mailaccess.store.maildir.filename import base_of, flags_of, sizes_of
from mailaccess.store.maildir.index import Box, Index
from mailaccess.store.maildir.take import load_keywords

_SAMPLE = 50
"""Messages of a mailbox that are read if not all are."""
_LARGEST = 1 << 30
_ENOUGH = 20
"""Findings of one kind and mailbox, at most."""


@attrs.frozen
class Finding:
    """
    Something that is wrong, or worth knowing.

    @ivar level: C{error}, or C{note} for what will be well of itself
    @ivar what: one word for the invariant
    @ivar mailbox: its name, or empty for the account
    @ivar uid: of one message, or 0
    """

    level: str
    what: str
    mailbox: str
    text: str
    uid: int = 0
    mended: bool = False


@attrs.frozen
class Facts:
    """
    What the record, the list and the directories say.

    @ivar names: by UID
    @ivar files: in C{cur}: octets by name
    @ivar settled: C{cur} is as the record last saw it: what differs is nobody else's change
    """

    tree: Tree
    box: Box
    rows: Sequence[Row]
    names: dict[int, str]
    files: dict[str, int]
    listed: uidlist.UidList | None
    settled: bool
    expunged: Sequence[tuple[int, int]]
    deep: bool

    def sample(self) -> Sequence[Row]:
        """
        Messages to read.
        """
        step = 1 if self.deep else max(1, len(self.rows) // _SAMPLE)
        return [row for row in self.rows[::step] if self.names.get(row[0]) in self.files]

    def read(self, uid: int) -> bytes | None:
        """
        The file of a message.
        """
        with (
            contextlib.suppress(FileNotFoundError),
            self.tree.open(self.box.directory, "cur") as at,
        ):
            return self.tree.disk.read(self.names[uid], at)
        return None


_Found = Iterator[tuple[str, int, str]]


def check(tree: Tree, record: Index, name: str, mailbox: int, deep: bool) -> list[Finding]:
    """
    All that is wrong; inside a transaction.
    """
    box = record.box(mailbox)
    if box is None:
        return []
    facts = _gather(tree, record, box, deep)
    findings: list[Finding] = []
    counts: Counter[str] = Counter()
    for checking in CHECKS:
        for what, uid, text in checking(facts):
            level, _, what = what.rpartition(":")
            counts[what] += 1
            if counts[what] <= _ENOUGH:
                findings.append(Finding(level or "error", what, name, text, uid))
    for what, count in counts.items():
        if count > _ENOUGH:
            findings.append(Finding("note", what, name, f"{count - _ENOUGH} more of {what}"))
    return findings


def _gather(tree: Tree, record: Index, box: Box, deep: bool) -> Facts:
    rows = record.messages(box.id, 0)
    names = dict(record.names(box.id, [(-(2**62), 2**62)]))
    query = "SELECT modseq, uid FROM expunged WHERE mailbox = ?"
    expunged = record.run(query, (box.id,)).fetchall()
    files = {}
    with tree.open(box.directory, "cur") as cur:
        settled = not box.suspect and tree.disk.stat(".", cur).st_mtime_ns == box.cur_seen
        for name in tree.disk.listdir(cur):
            with contextlib.suppress(FileNotFoundError):
                found = tree.disk.stat(name, cur)
                if name[0] != "." and stat.S_ISREG(found.st_mode):
                    files[name] = found.st_size
        settled = settled and tree.disk.stat(".", cur).st_mtime_ns == box.cur_seen
    return Facts(tree, box, rows, names, files, _listed(tree, box), settled, expunged, deep)


def _listed(tree: Tree, box: Box) -> uidlist.UidList | None:
    with contextlib.suppress(FileNotFoundError), tree.open(box.directory) as at:
        return uidlist.parse_ours(os.fsdecode(tree.disk.read(uidlist.FILE, at, _LARGEST)))
    return None


def _numbers(facts: Facts) -> _Found:
    box = facts.box
    if not 0 < box.uid_validity < 2**32 or not 0 < box.uid_next < 2**32:
        yield "numbers", 0, f"UIDVALIDITY {box.uid_validity}, UIDNEXT {box.uid_next}"
    if box.reserved < box.uid_next:
        yield "numbers", 0, f"UIDs are reserved up to {box.reserved}, UIDNEXT is {box.uid_next}"
    if box.mirrored > box.modseq:
        yield "numbers", 0, "more is mirrored than was changed"
    known = (1 << (KEYWORD_BIT + len(box.keywords))) - 1
    for uid, flags, modseq, _, _ in facts.rows:
        if not 0 < uid < box.uid_next:
            yield "numbers", uid, f"UID {uid} is not below UIDNEXT {box.uid_next}"
        if modseq > box.modseq:
            yield "numbers", uid, f"mod-sequence {modseq} of UID {uid} is above the mailbox's"
        if flags & ~known:
            yield "keywords", uid, f"UID {uid} has flags without a name"


def _expunged(facts: Facts) -> _Found:
    alive = {row[0] for row in facts.rows}
    for modseq, uid in facts.expunged:
        if uid in alive or uid >= facts.box.uid_next or modseq > facts.box.modseq:
            yield "expunged", uid, f"UID {uid} is noted as expunged and is not"


def _pairs(facts: Facts) -> _Found:
    rows = {row[0] for row in facts.rows}
    for uid in sorted(rows - facts.names.keys()):
        yield "pairs", uid, f"UID {uid} has no file name"
    for uid in sorted(facts.names.keys() - rows):
        yield "pairs", uid, f"UID {uid} has a file name and no row"
    bases: dict[str, int] = {}
    for uid, name in sorted(facts.names.items()):
        first = bases.setdefault(base_of(name), uid)
        if first != uid:
            yield "pairs", uid, f"UIDs {first} and {uid} have one file"


def _files(facts: Facts) -> _Found:
    bases = {base_of(name): name for name in facts.files}
    known = set(facts.names.values())
    level = "" if facts.settled else "note:"
    for uid, name in sorted(facts.names.items()):
        if name not in facts.files:
            other = bases.pop(base_of(name), None)
            said = "has another name" if other else "is not there"
            if other is not None:
                known.add(other)
            yield f"{level}files", uid, f"the file of UID {uid} {said}"
    for name in sorted(facts.files.keys() - known):
        yield f"{level}files", 0, f"{name!r} is not in the record"


def _sizes(facts: Facts) -> _Found:
    for uid, _, _, size, _ in facts.rows:
        octets = facts.files.get(facts.names.get(uid, ""))
        if octets is None:
            continue
        stored, told = sizes_of(facts.names[uid])
        if stored not in (-1, octets):
            # Programs that change messages leave the old size in the name.
            yield "note:names", uid, f"UID {uid} has {octets} octets, its name says {stored}"
        elif told not in (-1, size) and stored == octets:
            yield "sizes", uid, f"UID {uid} has size {size}, its name says {told}"
    for uid, _, _, size, _ in facts.sample():
        data = facts.read(uid)
        if data is not None and crlf_size(data) != size:
            yield "sizes", uid, f"UID {uid} has {crlf_size(data)} octets, the record says {size}"


def _flags(facts: Facts) -> _Found:
    box = facts.box
    letters = box.letters
    told = 31
    for bit in letters.values():
        told |= bit
    for uid, flags, modseq, _, _ in facts.rows:
        name = facts.names.get(uid)
        if name is not None and modseq <= box.mirrored and flags_of(name, letters) != flags & told:
            yield "flags", uid, f"the name of UID {uid} tells other flags than the record"


def _list(facts: Facts) -> _Found:
    box, listed = facts.box, facts.listed
    if listed is None:
        yield "list", 0, "the list of UIDs is missing or cannot be read"
        return
    if listed.uid_validity != box.uid_validity:
        yield "list", 0, f"UIDVALIDITY {listed.uid_validity} is listed, not {box.uid_validity}"
    if listed.uid_next < box.reserved:
        yield "list", 0, f"the list reserves UIDs up to {listed.uid_next}, not {box.reserved}"
    by_uid = {uid: base for base, uid in listed.uids.items()}
    for uid, name in facts.names.items():
        base = by_uid.get(uid)
        if base is None:
            # Lines are not synced on their own: a power cut may take the last ones.
            yield "note:list", uid, f"UID {uid} is not listed"
        elif base != base_of(name):
            yield "list", uid, f"UID {uid} is listed for another file"


def _keywords(facts: Facts) -> _Found:
    own = [name.lower() for name in facts.box.keywords]
    if len(set(own)) != len(own):
        yield "keywords", 0, "a keyword has two bits"
    listed = [name.lower() for name in load_keywords(facts.tree, facts.box.directory)]
    if own and listed[: len(own)] != own:
        yield "keywords", 0, "the file of keywords and the record differ"


def _temporary(facts: Facts) -> _Found:
    oldest = time.time() - folders.LEFTOVER_AGE
    disk = facts.tree.disk
    with facts.tree.open(facts.box.directory, "tmp") as tmp:
        for name in disk.listdir(tmp):
            with contextlib.suppress(FileNotFoundError):
                if disk.stat(name, tmp).st_mtime < oldest:
                    yield "temporary", 0, f"tmp/{name} is older than 36 hours"
    with facts.tree.open(facts.box.directory, "new") as new:
        count = len(disk.listdir(new))
        if count:
            yield "note:new", 0, f"{count} in new, for the next look"


def _described(facts: Facts) -> _Found:
    path = os.path.join(facts.tree.path, index.DIRECTORY, derived.FILE)
    rows = facts.sample()
    try:
        kept = derived.to_read(path)
        if kept is None:
            return
        try:
            found: dict[int, Sequence[bytes] | None] = {}
            for number in blocks.numbers_of(kinds.DESCRIPTION, [row[0] for row in rows]):
                block = kept.block(kinds.DESCRIPTION, facts.box.token, number)
                if block is not None:
                    found.update(block.values())
        finally:
            kept.close()
    except apsw.Error:
        # It can be lost, and is made anew when it cannot be read.
        return
    for row in rows:
        forms = found.get(row[0])
        data = facts.read(row[0]) if forms is not None else None
        if data is not None and tuple(forms or ()) != kinds.described(describe(to_crlf(data))):
            yield "described", row[0], f"the structure kept of UID {row[0]} is not that of its file"


CHECKS: Sequence[Callable[[Facts], _Found]] = (
    _numbers,
    _expunged,
    _pairs,
    _files,
    _sizes,
    _flags,
    _list,
    _keywords,
    _temporary,
    _described,
)
