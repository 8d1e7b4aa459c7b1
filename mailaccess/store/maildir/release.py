"""
Giving a Maildir back: all that is known of it is written in Dovecot's files and file names, and
ours are removed, so that nobody takes them for the truth later.

The order: what only the record knows is written first, each file at once and durably. Then our
lists go, and the record last: broken off before that, it is done again and says the same. The
record is held meanwhile in a way that no other process can open it.
"""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Callable, Iterator

import apsw
import attrs

from mailaccess.errors import InUse
from mailaccess.interfaces import KEYWORD_BIT
from mailaccess.store.disk import Disk, Tree
from mailaccess.store.maildir import (
    before,
    derived,
    dovecot,
    folders,
    fsck_mend,
    index,
    intents,
    places,
    reserve,
    uidlist,
    uniqueids,
)
from mailaccess.store.maildir.checksums import CHECKSUMS
from mailaccess.store.maildir.filename import base_of
from mailaccess.store.maildir.flags import Mirror
from mailaccess.store.maildir.index import Box, Index
from mailaccess.store.maildir.ledger import Ledger
from mailaccess.store.maildir.take import VALIDITY
from mailaccess.store.maildir.takeover import NoMaildir
from mailaccess.store.maildir.uidlist import UidList

Progress = Callable[[str, int, int], None]
"""Called with the mailbox, its number and how many there are."""

_OURS = (VALIDITY, "maildrop.lock", index.BELL, intents.FILE, reserve.FILE)
"""Files in the directory of the record that are worth nothing without it."""


@attrs.frozen
class Released:
    """
    One mailbox.

    @ivar keywords: how many Dovecot has letters for
    @ivar doubts: what Dovecot will not know
    """

    mailbox: str
    uid_validity: int
    uid_next: int
    messages: int
    keywords: int
    doubts: tuple[str, ...] = ()


def _quiet(_name: str, _number: int, _count: int) -> None:
    pass


def release(disk: Disk, path: str, progress: Progress = _quiet) -> Iterator[Released]:
    """
    Write Dovecot's files for each mailbox, then remove ours. Only when it has ended is it done.

    @raise NoMaildir: there is nothing to give back
    @raise Refused: the disk or the record does not let us; L{InUse<mailaccess.errors.InUse>} while
        another process has the account open
    """
    tree = Tree(disk, path)
    ledger = Ledger(tree)
    if not os.path.isfile(ledger.path) and not _listed(tree):
        raise NoMaildir(f"{path} was not taken over: there is nothing to give back")
    folders.make_root(disk, path)
    index.prepare(ledger.path)
    ledger.inode = index.inode_of(ledger.path)
    with _alone(ledger.path):
        pass
    mailboxes = places.directories(disk, tree)
    try:
        ledger.recover()
        for number, (name, directory) in enumerate(mailboxes, 1):
            progress(name, number, len(mailboxes))
            fsck_mend.take_in(ledger, directory)
            _mirror(ledger, directory)
    finally:
        ledger.close()
    with _alone(ledger.path) as record:
        highest = 0
        for name, directory in mailboxes:
            box = record.box_at(directory)
            if box is not None:
                highest = max(highest, box.uid_validity)
                yield _write(tree, record, name, box)
        with tree.open() as at:
            highest = max(highest, dovecot.last_validity(disk, at))
        dovecot.write_validity(tree, max(highest, fsck_mend.stored_validity(tree) or 0))
        folders.write_subscriptions(tree, folders.load_subscriptions(disk, tree))
        _remove(tree, [directory for _, directory in mailboxes])


def _listed(tree: Tree) -> bool:
    with contextlib.suppress(OSError), tree.open() as at:
        return tree.disk.exists(uidlist.FILE, at)
    return False


def _mirror(ledger: Ledger, directory: str) -> None:
    box = ledger.index.box_at(directory)
    if box is not None:
        after = fsck_mend.done(ledger.run([Mirror(box.id)]))
        while after is not None:
            after = fsck_mend.done(ledger.run([Mirror(box.id, after)]))


@contextlib.contextmanager
def _alone(path: str) -> Iterator[Index]:
    """
    The record, while nobody else has it open or can open it.
    """
    flags = apsw.SQLITE_OPEN_READWRITE | apsw.SQLITE_OPEN_NOFOLLOW
    connection = apsw.Connection(path, flags=flags, vfs=CHECKSUMS.vfs or None)
    try:
        # Before the first look at a database with a write-ahead log, this keeps its index out of
        # shared memory, which is refused while others have it there.
        connection.pragma("locking_mode", "EXCLUSIVE")
        connection.execute("BEGIN IMMEDIATE")
        connection.execute("UPDATE mailbox SET id = id WHERE 0")
        yield Index(connection)
        connection.execute("COMMIT")
    except apsw.BusyError as error:
        raise InUse(detail="another process has the account open: stop the server first") from error
    finally:
        connection.close(True)


def _write(tree: Tree, record: Index, name: str, box: Box) -> Released:
    with tree.open(box.directory) as at:
        old = _old(tree, at, box)
        texts = uniqueids.load(tree.disk, at)
    rows = record.names(box.id, [(1, 2**32)])
    lines = []
    for uid, file in rows:
        base = base_of(file)
        fields = old.extensions.get(uid, "") if old.uids.get(base) == uid else ""
        # Dovecot believes what stands here whatever its pop3_uidl_format is.
        text = texts.get(uid) or uniqueids.usual(uid, box.uid_validity)
        lines.append(dovecot.entry(uid, fields, None if box.directory else text, base))
    data = dovecot.text_of(box.uid_validity, box.uid_next, old.header, lines)
    tree.replace(dovecot.LIST, data, box.directory)
    named = box.keywords[: dovecot.KEYWORD_LETTERS]
    if named:
        words = "".join(f"{number} {word}\n" for number, word in enumerate(named))
        tree.replace(dovecot.KEYWORDS, os.fsencode(words), box.directory)
    return Released(
        name, box.uid_validity, box.uid_next, len(rows), len(named), _doubts(record, name, box)
    )


def _old(tree: Tree, at: int, box: Box) -> UidList:
    """
    What Dovecot wrote before we came: what we do not use goes back to it.
    """
    listed = before.load(tree.disk, at, inbox=False)
    if listed is None or listed.source != "dovecot" or listed.uid_validity != box.uid_validity:
        return before.empty()
    return listed


def _doubts(record: Index, name: str, box: Box) -> tuple[str, ...]:
    doubts = []
    if len(box.keywords) > dovecot.KEYWORD_LETTERS:
        first = 1 << (KEYWORD_BIT + dovecot.KEYWORD_LETTERS)
        query = "SELECT count(*) FROM message WHERE mailbox = ? AND flags >= ?"
        (count,) = record.run(query, (box.id, first)).fetchone()
        if count:
            lost = len(box.keywords) - dovecot.KEYWORD_LETTERS
            doubts.append(f"{lost} keywords, which {count} messages have, are too many for it")
    if "." in name:
        doubts.append("Dovecot may not show it: its name has a full stop in it")
    return tuple(doubts)


def _remove(tree: Tree, directories: list[str]) -> None:
    for directory in directories:
        with tree.open(directory) as at:
            for name in (uidlist.FILE, uniqueids.FILE):
                with contextlib.suppress(FileNotFoundError):
                    tree.disk.unlink(name, at)
            tree.disk.fsync(at)
    folders.remove_leftovers(tree.path)
    with tree.open(index.DIRECTORY) as at:
        for name in sorted(tree.disk.listdir(at)):
            if name.startswith((f"{index.FILE}", f"{derived.FILE}")) or name in _OURS:
                tree.disk.unlink(name, at)
            elif name.startswith(folders.UNFINISHED):
                shutil.rmtree(os.path.join(tree.path, index.DIRECTORY, name), ignore_errors=True)
        tree.disk.fsync(at)
    with contextlib.suppress(OSError):
        # Not if somebody else keeps something there.
        os.rmdir(os.path.join(tree.path, index.DIRECTORY))
    tree.sync()
