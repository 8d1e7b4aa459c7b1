"""
Proving that an account holds together: record, lists of UIDs, file names and files say the same.

    findings = check(disk, path, deep=True)
    findings = repair(disk, path)

It may run while the account is in use. What looks wrong is looked at again while nobody else can
change the record; what other programs did since the last look, and what a crash left for the next
start, is only noted. Repairing loses no message: the files decide what there is, the record which
UIDs and flags they have.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import time
from collections.abc import Callable, Iterable, Iterator

import apsw
import attrs

from mailaccess.errors import Refused
from mailaccess.store import names
from mailaccess.store.disk import Disk, Tree
from mailaccess.store.maildir import (
    derived,
    folders,
    fsck_mailbox,
    fsck_mend,
    index,
    intents,
    places,
)
from mailaccess.store.maildir.fsck_mailbox import Finding
from mailaccess.store.maildir.index import Box, Index
from mailaccess.store.maildir.ledger import Ledger

Progress = Callable[[str, int, int], None]
"""Called with the mailbox, its number and how many there are."""

_LARGEST = 4 * 1024 * 1024


class CannotCheck(Exception):
    """
    Nothing can be said of the account; the text is for the administrator.
    """


@attrs.define
class _Check:
    tree: Tree
    record: Index
    deep: bool
    progress: Progress
    findings: list[Finding] = attrs.field(factory=list)

    def error(self, what: str, text: str) -> None:
        self.findings.append(Finding("error", what, "", text))

    def note(self, what: str, text: str) -> None:
        self.findings.append(Finding("note", what, "", text))

    def run(self) -> None:
        boxes = self._boxes()
        self._places()
        self._validities(boxes)
        self._subscriptions()
        self._orphans(boxes)
        self._used()
        open_jobs = {intent.mailbox for intent in intents.load(self.tree)}
        there = {directory: name for name, directory in self._directories()}
        for number, box in enumerate(boxes):
            name = there.pop(box.directory, None)
            self.progress(name or box.directory, number, len(boxes))
            if name is None and box.id in open_jobs:
                self.note("intents", f"{box.directory} comes back at the next start")
            elif name is None:
                self.error("directory", f"the record has {box.directory}, which is not there")
            else:
                self.findings += self._mailbox(name, box.id)
        for name in there.values():
            self.note("unknown", f"{name} is not in the record yet")

    def _boxes(self) -> list[Box]:
        ids = self.record.run("SELECT id FROM mailbox ORDER BY directory").fetchall()
        found = (self.record.box(number) for (number,) in ids)
        return [box for box in found if box is not None]

    def _directories(self) -> list[tuple[str, str]]:
        return places.directories(self.tree.disk, self.tree)

    def _mailbox(self, name: str, mailbox: int) -> list[Finding]:
        with _transaction(self.record, "BEGIN"):
            found = fsck_mailbox.check(self.tree, self.record, name, mailbox, self.deep)
        if any(each.level == "error" for each in found):
            # Again, while nobody else changes the record: what was under way is done then.
            with _transaction(self.record, "BEGIN IMMEDIATE"):
                found = fsck_mailbox.check(self.tree, self.record, name, mailbox, self.deep)
        return found

    def _places(self) -> None:
        oldest = time.time() - folders.LEFTOVER_AGE
        with self.tree.open() as at:
            for name in ("cur", "new", "tmp"):
                if not self.tree.disk.exists(name, at):
                    self.error("places", f"{name} is missing")
        with self.tree.open(index.DIRECTORY) as at:
            for name in self.tree.disk.listdir(at):
                with contextlib.suppress(FileNotFoundError):
                    if name.startswith(folders.UNFINISHED) and (
                        self.tree.disk.stat(name, at).st_ctime < oldest
                    ):
                        self.error("leftovers", f"{name} is older than 36 hours")
                if name.startswith(f"{index.FILE}.damaged"):
                    self.note("damaged", f"{name}: a damaged record was set aside")
        if intents.pending(self.tree):
            self.note("intents", "a job was not finished; the next start puts its files back")
        self._maildrop()

    def _maildrop(self) -> None:
        path = os.path.join(self.tree.path, index.DIRECTORY, "maildrop.lock")
        with contextlib.suppress(FileNotFoundError):
            descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                self.note("maildrop", "a POP3 session holds the lock")
            finally:
                os.close(descriptor)

    def _validities(self, boxes: Iterable[Box]) -> None:
        highest = max((box.uid_validity for box in boxes), default=0)
        stored = fsck_mend.stored_validity(self.tree)
        if stored is not None and stored < highest:
            self.error("validity", f"UIDVALIDITY {stored} is noted, {highest} was given")

    def _subscriptions(self) -> None:
        try:
            with self.tree.open() as at:
                text = os.fsdecode(self.tree.disk.read(folders.SUBSCRIPTIONS, at, _LARGEST))
        except FileNotFoundError:
            return
        lines = [line for line in text.split("\n") if line]
        known = folders.load_subscriptions(self.tree.disk, self.tree)
        count = len(set(lines)) - text.startswith("V\t2\n")
        if len(known) != count:
            self.error("subscriptions", f"{count - len(known)} lines name no mailbox")

    def _orphans(self, boxes: Iterable[Box]) -> None:
        known = {box.id for box in boxes}
        for table in ("message", "file", "expunged"):
            query = f"SELECT DISTINCT mailbox FROM {table}"  # noqa: S608
            lost = {number for (number,) in self.record.run(query)} - known
            if lost:
                self.error("orphans", f"{table}: rows of mailboxes {sorted(lost)}, unknown")

    def _used(self) -> None:
        with _transaction(self.record, "BEGIN"):
            kept, counted = self.record.used(), self.record.sum_up()
        if kept != counted:
            self.error(
                "used",
                f"{kept[0]} messages of {kept[1]} octets are noted, there are {counted[0]} of"
                f" {counted[1]}",
            )


@contextlib.contextmanager
def _transaction(record: Index, begin: str) -> Iterator[None]:
    record.run(begin)
    try:
        yield
    finally:
        record.run("COMMIT")


def _quiet(_name: str, _number: int, _count: int) -> None:
    pass


def check(disk: Disk, path: str, deep: bool = False, progress: Progress = _quiet) -> list[Finding]:
    """
    All that is wrong with an account.

    @param path: its Maildir
    @param deep: read all messages, not only some
    @raise CannotCheck: it is none, or cannot be read
    """
    tree = Tree(disk, path)
    database = os.path.join(path, index.DIRECTORY, index.FILE)
    try:
        if not index.inode_of(database):
            with tree.open("cur"):
                return [Finding("note", "record", "", "there is no record yet")]
        record = Index(index.connect(database, writer=True))
    except OSError as error:
        raise CannotCheck(f"{path}: {error.strerror}") from error
    except apsw.Error as error:
        return _record_failed(path, error)
    try:
        if record.connection.pragma("user_version") != index.VERSION:
            raise CannotCheck(f"{path}: the record is of another version")
        problems = record.run(f"PRAGMA {'integrity' if deep else 'quick'}_check(3)").fetchall()
        if problems != [("ok",)]:
            return [Finding("error", "record", "", f"damaged: {text}") for (text,) in problems]
        run = _Check(tree, record, deep, progress)
        run.run()
        return run.findings
    except OSError as error:
        raise CannotCheck(f"{path}: {error}") from error
    except apsw.Error as error:
        return _record_failed(path, error)
    finally:
        record.connection.close(True)


def _record_failed(path: str, error: apsw.Error) -> list[Finding]:
    if index.is_damage(error):
        return [Finding("error", "record", "", f"damaged: {error}")]
    raise CannotCheck(f"{path}: {error}") from error


def repair(disk: Disk, path: str, deep: bool = False, progress: Progress = _quiet) -> list[Finding]:
    """
    Mend what L{check} finds, and check again: what was found before and is not any more is
    C{mended}.
    """
    before = check(disk, path, deep, progress)
    wanted = [each for each in before if each.level == "error" or each.what == "intents"]
    if not wanted:
        return before
    tree = Tree(disk, path)
    try:
        folders.make_root(disk, path)
        ledger = Ledger(tree)
        index.prepare(ledger.path)
        ledger.inode = index.inode_of(ledger.path)
        try:
            ledger.recover()
            _mend(ledger, wanted)
        finally:
            ledger.close()
    except (OSError, apsw.Error, Refused) as error:
        text = error.detail if isinstance(error, Refused) else str(error)
        before.append(Finding("error", "repair", "", f"failed: {text}"))
        return before
    after = check(disk, path, deep, progress)
    left = {(each.what, each.mailbox, each.uid) for each in after}
    mended = [
        attrs.evolve(each, mended=True)
        for each in wanted
        if (each.what, each.mailbox, each.uid) not in left
    ]
    return mended + after


def _mend(ledger: Ledger, wanted: Iterable[Finding]) -> None:
    whats = {each.what for each in wanted if not each.mailbox}
    if "leftovers" in whats:
        folders.remove_leftovers(ledger.tree.path)
    if "record" in whats:
        # The new one takes in all mailboxes.
        for _, directory in places.directories(ledger.disk, ledger.tree):
            fsck_mend.take_in(ledger, directory)
    if whats & {"validity", "subscriptions", "orphans", "directory", "used"}:
        fsck_mend.done(ledger.run([fsck_mend.MendAccount(whats)]))
    by_mailbox: dict[str, set[str]] = {}
    for each in wanted:
        if each.mailbox:
            by_mailbox.setdefault(each.mailbox, set()).add(each.what)
    if any("described" in kinds for kinds in by_mailbox.values()):
        path = os.path.join(ledger.tree.path, index.DIRECTORY, derived.FILE)
        derived.remove(path, index.inode_of(path))
    for name, kinds in by_mailbox.items():
        fsck_mend.mailbox(ledger, names.directory_of(name), kinds)
