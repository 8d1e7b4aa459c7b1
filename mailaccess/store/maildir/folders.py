"""
Jobs on the mailboxes of an account: create, delete, rename, subscribe.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import time
from collections.abc import Collection, Sequence

from mailaccess.errors import (
    BadMailboxName,
    MailboxExists,
    MailboxHasChildren,
    NoSuchMailbox,
)
from mailaccess.store import names
from mailaccess.store.disk import Disk, Tree
from mailaccess.store.maildir import courier, given, index, utf8
from mailaccess.store.maildir.filename import sizes_of
from mailaccess.store.maildir.index import Box
from mailaccess.store.maildir.intents import Step
from mailaccess.store.maildir.ledger import Job, Ledger
from mailaccess.store.maildir.places import is_mailbox
from mailaccess.store.maildir.take import next_validity, write_list
from mailaccess.store.uses import DEFAULT, TRASH, SiteFolders, uses_of

SUBSCRIPTIONS = "subscriptions"
_HEADER = "V\t2\n\n"
_GOING, _GONE = "going.", "gone."
"""Deleted mailboxes, in the directory of the record: not committed yet, and committed."""
_MAKING = "new."
UNFINISHED = (_GOING, _MAKING)
LEFTOVER_AGE = 36 * 3600
"""Seconds after which nobody works any more on what is unfinished (maildir(5))."""

_LARGEST = 4 * 1024 * 1024
_ESCAPES = {"\x01" + "1": "\x01", "\x01t": "\t", "\x01r": "\r", "\x01n": "\n", "\x010": "\0"}


def make_root(disk: Disk, path: str) -> None:
    """
    The account's Maildir with what belongs into it.

    @raise OSError: also if the directory is somebody else's (PATH-04)
    """
    missing = []
    above = path
    while above and not os.path.isdir(above):
        missing.append(above)
        above = os.path.dirname(above)
    for each in reversed(missing):
        with contextlib.suppress(FileExistsError):
            os.mkdir(each, 0o700)
            _sync(os.path.dirname(each) or ".")
    with Tree(disk, path).open() as at:
        owner = os.fstat(at).st_uid
        if os.geteuid() not in (0, owner):
            raise PermissionError(f"{path} belongs to user {owner}")
        made = False
        for name in ("cur", "new", "tmp", index.DIRECTORY):
            with contextlib.suppress(FileExistsError):
                disk.mkdir(name, at)
                made = True
        if made:
            disk.fsync(at)
    bell = os.path.join(path, index.DIRECTORY, index.BELL)
    if not os.path.exists(bell):
        os.close(os.open(bell, os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600))


def _sync(path: str) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def remove_leftovers(path: str) -> None:
    """
    Remove the files of deleted mailboxes, also of those that a crash left, and what died while it
    was made; in a thread.
    """
    place = os.path.join(path, index.DIRECTORY)
    oldest = time.time() - LEFTOVER_AGE
    for name in os.listdir(place):
        old = False
        if name.startswith(UNFINISHED):
            with contextlib.suppress(FileNotFoundError):
                old = os.lstat(os.path.join(place, name)).st_ctime < oldest
        if old or name.startswith(_GONE):
            shutil.rmtree(os.path.join(place, name), ignore_errors=True)


def below(directory: str, other: str) -> bool:
    """
    Whether the other directory is the mailbox or one of its children.
    """
    return other == directory or other.startswith(directory + ".")


class Create(Job):
    """
    Make a mailbox, and those above it that are missing.

    @ivar exist_ok: it may be there already
    @ivar uses: what it is for; whatever had one of them loses it
    @ivar site: says what a mailbox is for by its name, which takes only what another mailbox has
        from the name it had
    """

    def __init__(
        self,
        name: str,
        exist_ok: bool = False,
        uses: Sequence[str] = (),
        site: SiteFolders = DEFAULT,
    ) -> None:
        self.name = name
        self.uses = tuple(uses)
        self.site = site
        self._given: given.Given | None = None
        self.directory = names.directory_of(name)
        self.exist_ok = exist_ok
        self._made: list[str] = []

    def apply(self, ledger: Ledger) -> None:
        """
        A directory is made complete under another name first, so that it is there all or not.
        """
        with ledger.tree.open() as root:
            if not self.directory or is_mailbox(ledger.disk, self.directory, root):
                if self.exist_ok:
                    return
                raise MailboxExists
            for name in [*names.parents_of(self.name), self.name]:
                directory = names.directory_of(name)
                if directory and not is_mailbox(ledger.disk, directory, root):
                    self._make(ledger, root, directory)
        self._give(ledger)
        ledger.also_sync()

    def _give(self, ledger: Ledger) -> None:
        before = given.load(ledger.tree)
        said = uses_of([self.name], {}, self.site).get(self.name, [])
        lost = {*self.uses, *(given.KEPT + each for each in [*self.uses, *said])}
        after = {
            directory: tuple(each for each in uses if each not in lost)
            for directory, uses in before.items()
            if directory not in self._made
        }
        if self.uses:
            after[self.directory] = self.uses
        if after != before:
            self._given = before
            given.save(ledger.tree, after)

    def _make(self, ledger: Ledger, root: int, directory: str) -> None:
        disk = ledger.disk
        if disk.exists(directory, root):
            # A directory that is no mailbox: complete what a crash or a person left.
            temporary = directory
        else:
            temporary = f"{index.DIRECTORY}/{_MAKING}{os.urandom(8).hex()}"
            disk.mkdir(temporary, root)
        with ledger.tree.open(*temporary.split("/")) as at:
            for name in ("new", "tmp", "cur"):
                with contextlib.suppress(FileExistsError):
                    disk.mkdir(name, at)
            with contextlib.suppress(FileExistsError):
                os.close(disk.create("maildirfolder", at))
        with ledger.tree.open(*temporary.split("/")) as at:
            disk.fsync(at)
        validity = next_validity(ledger)
        old = ledger.index.box_at(directory)
        if old is not None:
            ledger.index.drop_box(old.id)
        if temporary != directory:
            disk.rename(temporary, directory, root, root)
        self._made.append(directory)
        write_list(ledger.tree, directory, validity, 1)
        ledger.index.add_box(directory, validity, 1)

    def undo(self, ledger: Ledger) -> None:
        """
        Remove what was made.
        """
        if self._given is not None:
            given.save(ledger.tree, self._given)
        for directory in self._made:
            shutil.rmtree(os.path.join(ledger.tree.path, directory), ignore_errors=True)


class Delete(Job):
    """
    Remove a mailbox; its children stay. Returns the number it had in the record, or 0. Its files
    are left for L{remove_leftovers}.
    """

    def __init__(self, name: str) -> None:
        self.directory = names.directory_of(name)
        if not self.directory:
            raise BadMailboxName("INBOX cannot be deleted")
        self._away = ""

    def apply(self, ledger: Ledger) -> int:
        """
        One rename takes it away; the files go later.
        """
        disk = ledger.disk
        with ledger.tree.open() as root:
            if not is_mailbox(disk, self.directory, root):
                prefix = self.directory + "."
                if any(name.startswith(prefix) for name in disk.listdir(root)):
                    raise MailboxHasChildren
                raise NoSuchMailbox
            box = ledger.index.box_at(self.directory)
            name = f"{_GOING}{os.urandom(8).hex()}"
            if box is not None:
                step = Step(index.DIRECTORY, name, ("", self.directory))
                ledger.intend(box, 0, [step])
                self._tell_files(ledger, box)
                ledger.index.drop_box(box.id)
            disk.rename(self.directory, f"{index.DIRECTORY}/{name}", root, root)
            self._away = name
        ledger.also_sync()
        ledger.also_sync(index.DIRECTORY)
        return box.id if box is not None else 0

    @staticmethod
    def _tell_files(ledger: Ledger, box: Box) -> None:
        if ledger.has_size_file:
            stored = [sizes_of(name)[0] for _, name in ledger.index.names(box.id, [(1, 2**32)])]
            if min(stored, default=0) >= 0:
                # Otherwise the next look finds another count of messages, and counts.
                ledger.tell_files(-sum(stored), -len(stored))

    def settle(self, ledger: Ledger) -> None:
        """
        From here on the files may be removed.
        """
        with ledger.tree.open(index.DIRECTORY) as at:
            gone = _GONE + self._away.removeprefix(_GOING)
            ledger.disk.rename(self._away, gone, at, at)
        forget_uses(ledger, [self.directory])

    def undo(self, ledger: Ledger) -> None:
        """
        Back to its place.
        """
        if self._away:
            with ledger.tree.open() as root:
                away = f"{index.DIRECTORY}/{self._away}"
                ledger.disk.rename(away, self.directory, root, root)
            self._away = ""


def forget_uses(ledger: Ledger, directories: Collection[str]) -> None:
    """
    These mailboxes are not there any more.
    """
    before = given.load(ledger.tree)
    after = {each: uses for each, uses in before.items() if each not in directories}
    if after != before:
        given.save(ledger.tree, after)


class Rename(Job):
    """
    Give a mailbox and its children other names. Returns the directories, old and new.

    Each directory is renamed at once; what a crash leaves half done is put back.
    """

    def __init__(self, old: str, new: str, site: SiteFolders = DEFAULT) -> None:
        self.old = names.directory_of(old)
        self.name = new
        self.site = site
        self._given: given.Given | None = None
        self.new = names.directory_of(new)
        if below(self.old, self.new) and self.old != self.new:
            raise BadMailboxName("A mailbox cannot become its own child")
        self._done: list[tuple[str, str]] = []

    def apply(self, ledger: Ledger) -> Sequence[tuple[str, str]]:
        """
        All that is below, too.
        """
        disk = ledger.disk
        with ledger.tree.open() as root:
            there = set(disk.listdir(root))
            moves = sorted(
                (name, self.new + name[len(self.old) :])
                for name in there
                if below(self.old, name) and is_mailbox(disk, name, root)
            )
            if not moves:
                raise NoSuchMailbox
            if not self.new or any(new in there for _, new in moves):
                raise MailboxExists
            for _, new in moves:
                if names.name_of(new) is None:
                    raise BadMailboxName(detail="a child would get too long a name")
            self._intend(ledger, moves)
            self._keep_uses(ledger, there, moves)
            for old, new in moves:
                disk.rename(old, new, root, root)
                self._done.append((old, new))
                stale = ledger.index.box_at(new)
                if stale is not None:
                    ledger.index.drop_box(stale.id)
                ledger.index.run("UPDATE mailbox SET directory = ? WHERE directory = ?", (new, old))
        ledger.also_sync()
        return self._done

    @staticmethod
    def _intend(ledger: Ledger, moves: Sequence[tuple[str, str]]) -> None:
        # Flags that no file name tells are found by the old name: it has to come back.
        for old, new in moves:
            box = ledger.index.box_at(old)
            if box is not None:
                ledger.intend(box, 0, [Step("", new, ("", old))])

    def _keep_uses(
        self, ledger: Ledger, there: Collection[str], moves: Sequence[tuple[str, str]]
    ) -> None:
        """
        A mailbox keeps its use under its new name, whether that was given to it or its old name
        said it; not in the trash, where some programs move what they delete.
        """
        before = given.load(ledger.tree)
        mailboxes = [name for name in map(names.name_of, there) if name is not None]
        uses = uses_of(sorted(mailboxes), given.by_name(before), self.site)
        trashed = any(TRASH in uses.get(each, ()) for each in names.parents_of(self.name))
        after = dict(before)
        for old, new in moves:
            after.pop(new, None)
            said = uses.get(names.name_of(old) or "", ())
            kept = before.get(old) or tuple(given.KEPT + each for each in said)
            if kept and not trashed:
                after[new] = kept
        if after != before:
            self._given = before
            given.save(ledger.tree, after)

    def settle(self, ledger: Ledger) -> None:
        """
        What is said of the old names is not needed any more.
        """
        forget_uses(ledger, [old for old, _ in self._done])

    def undo(self, ledger: Ledger) -> None:
        """
        Back again.
        """
        if self._given is not None:
            given.save(ledger.tree, self._given)
        with ledger.tree.open() as root:
            while self._done:
                old, new = self._done.pop()
                with contextlib.suppress(OSError):
                    ledger.disk.rename(new, old, root, root)


class Subscribe(Job):
    """
    Add names to the subscriptions or take them out.
    """

    def __init__(self, add: Sequence[str] = (), remove: Sequence[str] = ()) -> None:
        for name in add:
            names.directory_of(name)
        self.add = add
        self.remove = remove
        self._before: list[str] | None = None

    def apply(self, ledger: Ledger) -> None:
        """
        The file is replaced at once; the transaction keeps others of ours out.
        """
        found = load_subscriptions(ledger.disk, ledger.tree)
        wanted = [name for name in found if name not in self.remove]
        wanted += [name for name in self.add if name not in wanted]
        if wanted != found:
            self._before = found
            write_subscriptions(ledger.tree, wanted)

    def undo(self, ledger: Ledger) -> None:
        """
        As it was.
        """
        if self._before is not None:
            write_subscriptions(ledger.tree, self._before)


def write_subscriptions(tree: Tree, wanted: Sequence[str]) -> None:
    """
    Put a whole list in place.
    """
    lines = "".join(f"{_line(name)}\n" for name in wanted)
    tree.replace(SUBSCRIPTIONS, os.fsencode(_HEADER + lines))


def _line(name: str) -> str:
    directory = names.directory_of(name)
    return directory[1:].replace(".", "\t") if directory else names.INBOX


def load_subscriptions(disk: Disk, tree: Tree) -> list[str]:
    """
    The subscribed names, from the file that Dovecot has too: version 2 has tabs between the parts
    of a name, version 1 full stops.
    """
    try:
        with tree.open() as at:
            text = os.fsdecode(disk.read(SUBSCRIPTIONS, at, _LARGEST))
    except FileNotFoundError:
        return _courier_subscriptions(disk, tree)
    second = text.startswith("V\t2\n")
    found: list[str] = []
    for line in text.split("\n")[2 if second else 0 :]:
        if not line:
            continue
        if second:
            line = re.sub("\x01.", lambda e: _ESCAPES.get(e[0], e[0]), line.replace("\t", "."))
        _add_name(found, line)
    return found


def _courier_subscriptions(disk: Disk, tree: Tree) -> list[str]:
    found: list[str] = []
    with contextlib.suppress(FileNotFoundError), tree.open() as at:
        text = os.fsdecode(disk.read(courier.SUBSCRIBED, at, _LARGEST))
        for line in courier.subscriptions(text):
            _add_name(found, line)
    return found


def _add_name(found: list[str], line: str) -> None:
    name = names.INBOX if line.upper() == names.INBOX else utf8.name_of(f".{line}")
    if name is not None and name not in found:
        found.append(name)
