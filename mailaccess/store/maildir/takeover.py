"""
Taking over a Maildir ahead of the first login: what the log-in of its owner would do, for all
mailboxes, with an account of what was kept.

    for told in survey(disk, path, pattern): ...     only look
    for told in take_over(disk, path, pattern): ...  do it

What is told of a mailbox that was taken over is read from the record, not from what was planned.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping

import attrs

from mailaccess.errors import Refused
from mailaccess.store import names
from mailaccess.store.disk import Disk, Tree
from mailaccess.store.maildir import (
    before,
    cautions,
    courier,
    dovecot,
    folders,
    fsck_mend,
    index,
    places,
    uidlist,
    uniqueids,
    utf8,
)
from mailaccess.store.maildir.adopt import Adopt
from mailaccess.store.maildir.filename import base_of
from mailaccess.store.maildir.ledger import Ledger
from mailaccess.store.maildir.uidlist import UidList
from mailaccess.store.maildir.uniqueids import Pattern


class NoMaildir(Exception):
    """
    There is nothing to take over; the text is for the administrator.
    """


@attrs.frozen
class TakenOver:
    """
    One mailbox.

    @ivar source: who had it before: C{dovecot}, C{courier}, C{mailaccess}, or empty
    @ivar messages: how many it has
    @ivar kept: how many of them have the UID they had
    @ivar unique_ids: how many have a unique-id for POP3 that is not made from UIDs as usual
    @ivar doubts: what could not be kept, and what to know
    """

    mailbox: str
    source: str
    uid_validity: int
    uid_next: int
    messages: int
    kept: int
    keywords: int
    unique_ids: int
    doubts: tuple[str, ...] = ()


@attrs.frozen
class Account:
    """
    A Maildir.

    @ivar mailboxes: names and directories, the latter as they are now
    @ivar notes: what to know, for people
    """

    path: str
    mailboxes: tuple[tuple[str, str], ...]
    subscriptions: int
    notes: tuple[str, ...]


def describe(disk: Disk, path: str) -> Account:
    """
    What there is, without changing it.

    @raise NoMaildir: nothing, or it cannot be read
    """
    tree = Tree(disk, path)
    try:
        with tree.open() as at:
            if not disk.exists("cur", at):
                raise NoMaildir(f"{path} is no Maildir: it has no directory cur")
            there = sorted(disk.listdir(at))
        found = places.directories(disk, tree)
        notes = []
        for old, new in utf8.misnamed(tree):
            if new in there:
                notes.append(f"{old!r} stays as it is and is not served: {new!r} is there, too")
                continue
            notes.append(f"{old!r} gets the name {new!r}, from UTF-8")
            name = utf8.name_of(old)
            assert name is not None
            found.append((name, old))
        known = {directory for _, directory in found}
        for directory in there:
            if directory not in known and not _told(directory, notes):
                notes += cautions.unserved(tree, directory)
        subscribed = folders.load_subscriptions(disk, tree)
    except OSError as error:
        raise NoMaildir(f"{path}: {error.strerror}") from error
    first, rest = found[:1], sorted(found[1:])
    return Account(path, (*first, *rest), len(subscribed), tuple(notes))


def _told(directory: str, notes: list[str]) -> bool:
    return any(note.startswith(repr(directory)) for note in notes)


def survey(disk: Disk, path: str, pattern: Pattern | None = None) -> Iterator[TakenOver]:
    """
    What would be kept of each mailbox.

    @raise NoMaildir: as L{describe}
    """
    tree = Tree(disk, path)
    for name, directory in describe(disk, path).mailboxes:
        try:
            yield _surveyed(tree, name, directory, pattern)[0]
        except OSError as error:
            raise NoMaildir(f"{path}: {name}: {error}") from error


def _surveyed(
    tree: Tree, name: str, directory: str, pattern: Pattern | None
) -> tuple[TakenOver, UidList]:
    """
    What would be kept, and by which list.
    """
    bases = []
    with tree.open(directory) as at:
        listed = uidlist.load(tree.disk, at)
        if listed is None:
            listed = before.load(tree.disk, at, inbox=not directory) or before.empty()
        keywords = len(dovecot.load_keywords(tree.disk, at))
        if not keywords and listed.source == "courier":
            keywords = len(courier.load_keywords(tree.disk, at).names)
    for below in ("cur", "new"):
        with contextlib.suppress(FileNotFoundError), tree.open(directory, below) as at:
            bases += [base_of(each) for each in tree.disk.listdir(at) if each[0] != "."]
    texts: dict[int, str] = {}
    bad = 0
    if not directory and listed.source != "mailaccess":
        texts, bad = uniqueids.kept(listed, listed.uid_validity, pattern)
    there = {listed.uids[base] for base in bases if base in listed.uids}
    doubts = list(listed.doubts)
    if bad:
        doubts.append(f"{bad} unique-ids for POP3 cannot be kept")
    if not listed.source:
        doubts += cautions.kept_elsewhere(tree, directory)
    told = TakenOver(
        name,
        listed.source,
        listed.uid_validity,
        listed.uid_next,
        len(bases),
        len(there) if listed.uid_validity else 0,
        keywords,
        len(there & texts.keys()),
        (*doubts, *cautions.rights(tree, directory), *cautions.unreadable(tree, directory)),
    )
    return told, listed


def take_over(disk: Disk, path: str, pattern: Pattern | None = None) -> Iterator[TakenOver]:
    """
    Take over each mailbox and tell what was kept. It may be broken off and done again.

    @raise NoMaildir: as L{describe}
    @raise Refused: the disk or the record does not let us
    """
    tree = Tree(disk, path)
    describe(disk, path)
    ledger = Ledger(tree)
    try:
        folders.make_root(disk, path)
        utf8.rename_all(tree)
        index.prepare(ledger.path)
        ledger.inode = index.inode_of(ledger.path)
        ledger.recover()
        for name, directory in describe(disk, path).mailboxes:
            if names.name_of(directory) is None:
                told = "is not served: the system does not let its directory be renamed"
                yield TakenOver(name, "", 0, 0, 0, 0, 0, 0, (f"{directory!r} {told}",))
                continue
            planned, listed = _surveyed(tree, name, directory, pattern)
            expected = listed.uids if listed.uid_validity else {}
            del listed
            job = Adopt(directory, pattern)
            fsck_mend.take_in(ledger, directory, job)
            yield _told_of(ledger, planned, expected, directory, job)
    except OSError as error:
        raise NoMaildir(f"{path}: {error}") from error
    finally:
        ledger.close()


def _told_of(
    ledger: Ledger, planned: TakenOver, expected: Mapping[str, int], directory: str, job: Adopt
) -> TakenOver:
    box = ledger.index.box_at(directory)
    if box is None:
        raise Refused(detail=f"{directory or 'INBOX'} is not in the record")
    rows = ledger.index.names(box.id, [(1, 2**32)])
    with ledger.tree.open(directory) as at:
        texts = uniqueids.load(ledger.disk, at)
    kept = sum(expected.get(base_of(name)) == uid for uid, name in rows)
    return attrs.evolve(
        planned,
        uid_validity=box.uid_validity,
        uid_next=box.uid_next,
        messages=len(rows),
        kept=kept,
        keywords=len(box.keywords),
        unique_ids=sum(uid in texts for uid, _ in rows),
        doubts=tuple(dict.fromkeys((*planned.doubts, *job.doubts))),
    )
