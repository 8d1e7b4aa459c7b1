"""
What is about to be done with files by a job that is all or nothing and needs several steps: noted
before the first of them, so that a process that dies in between leaves nothing half done (DS-16).

The file C{mailaccess/intents} has a line of JSON per job, written and synced inside the transaction
of the job and emptied after its commit; from the first line until then it is locked, because the
next process may be at its own job by then. Whoever begins the next transaction on the record, in
whichever process, finds it empty, or looks whether what it tells was committed. The transaction
itself says so: only with it do the UIDs count as given, or has a mailbox another directory. If not,
the files are put back. What cannot be decided is left as it is: half of a copy is better than a
message lost.

Files that only got other names, which tell their flags, keep them: the record learns these names,
before anything else is done to it. Otherwise they would look like a change by another program.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import time
from collections.abc import Iterable, Sequence
from typing import Any

import attrs

from mailaccess.errors import InUse
from mailaccess.store.disk import Disk, Tree
from mailaccess.store.maildir import index
from mailaccess.store.maildir.filename import base_of, info_of
from mailaccess.store.maildir.index import Box, Index

FILE = "intents"
NAMES = -1
_PAUSE = 0.005
_LARGEST = 256 * 1024 * 1024


@attrs.frozen
class Step:
    """
    How to put one file or directory back.

    @ivar directory: where it is, below the Maildir; empty for the Maildir itself
    @ivar name: a message's base, or a directory's name
    @ivar back: directory and name it had before; None to remove the file
    @ivar uid: of the message, where only its name changes
    """

    directory: str
    name: str
    back: tuple[str, str] | None = None
    uid: int = 0


@attrs.frozen
class Intent:
    """
    What one job is about to do.

    @ivar mailbox: the mailbox whose row tells whether it was done, with the token that only this
        row ever has
    @ivar uid: the first UID that it gives there, 0 if it takes the directory away, L{NAMES} if it
        only renames files in it, whose names in the steps are whole then
    """

    mailbox: int
    token: int
    directory: str
    uid: int
    steps: Sequence[Step]

    @classmethod
    def on(cls, box: Box, uid: int, steps: Iterable[Step]) -> Intent:
        """
        With a mailbox as it is before the job.
        """
        return cls(box.id, box.token, box.directory, uid, list(steps))

    @classmethod
    def naming(cls, box: Box, names: Iterable[tuple[int, str, str]]) -> Intent:
        """
        To give files in C{cur} other names: UID, old and new.
        """
        cur = f"{box.directory}/cur" if box.directory else "cur"
        return cls.on(box, NAMES, [Step(cur, new, (cur, old), uid) for uid, old, new in names])

    def left_undone(self, found: Index) -> bool:
        """
        Whether the job certainly was not committed; where it gives names, each of them says that.
        """
        box = found.box(self.mailbox)
        if box is None or (box.token, box.directory) != (self.token, self.directory):
            return False
        return self.uid <= 0 or box.uid_next <= self.uid


def hold(tree: Tree) -> int:
    """
    Lock what is noted, inside a transaction; a descriptor, which is closed to let go of it.

    @raise InUse: a process that stands still has it, which was about to empty it
    """
    with tree.open(index.DIRECTORY) as at:
        made = not tree.disk.exists(FILE, at)
        descriptor = tree.disk.extend(FILE, at)
        try:
            if made:
                tree.disk.fsync(at)
            end = time.monotonic() + index.BUSY_MILLISECONDS / 1000
            while True:
                try:
                    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                except BlockingIOError:
                    if time.monotonic() > end:
                        raise InUse(detail=f"{FILE} is locked") from None
                    time.sleep(_PAUSE)
        except BaseException:
            os.close(descriptor)
            raise
    return descriptor


def note(tree: Tree, intent: Intent, descriptor: int, durable: bool = True) -> None:
    """
    Write an intent down, and make it durable.

    @param descriptor: from L{hold}
    """
    line = json.dumps(attrs.asdict(intent), separators=(",", ":")) + "\n"
    # The empty line ends one that a crash may have cut off.
    tree.disk.write(descriptor, b"\n" + line.encode("ascii"))
    if durable:
        tree.disk.fsync(descriptor)


def pending(tree: Tree) -> bool:
    """
    Whether there is anything to look at; costs a C{stat}.
    """
    try:
        return os.stat(os.path.join(tree.path, index.DIRECTORY, FILE)).st_size > 0
    except FileNotFoundError:
        return False


def clear(tree: Tree) -> None:
    """
    Everything noted was done or put back; to be called by who holds it. Not synced: what comes back
    after a power cut tells that it was committed.
    """
    os.truncate(os.path.join(tree.path, index.DIRECTORY, FILE), 0)


def load(tree: Tree) -> list[Intent]:
    """
    What is noted. A line that makes no sense was cut off before anything was done.
    """
    try:
        with tree.open(index.DIRECTORY) as at:
            text = tree.disk.read(FILE, at, _LARGEST).decode("ascii", "replace")
    except FileNotFoundError:
        return []
    found = []
    for line in text.split("\n"):
        with contextlib.suppress(ValueError, TypeError, KeyError):
            if line:
                found.append(_intent(json.loads(line)))
    return found


def _intent(values: Any) -> Intent:
    steps = []
    for step in values.pop("steps"):
        back = step.pop("back")
        steps.append(Step(**step, back=(str(back[0]), str(back[1])) if back else None))
    return Intent(**values, steps=steps)


def recover(tree: Tree, found: Index) -> None:
    """
    Put back what was not committed, and have the record know names; by who holds what is noted,
    inside a transaction, which keeps living jobs out. It is to be forgotten after the commit.
    """
    noted = [intent for intent in load(tree) if intent.left_undone(found)]
    for intent in reversed(noted):
        if intent.uid != NAMES:
            _put_back(tree, intent.steps)
    for intent in noted:
        if intent.uid == NAMES and intent.steps:
            _learn_names(tree, found, intent)


def _learn_names(tree: Tree, found: Index, intent: Intent) -> None:
    """
    A file that another program renamed since had the name that we meant to give it if it tells the
    flags that we meant to change as we would have.
    """
    with tree.open(*intent.steps[0].directory.split("/")) as at:
        names = {base_of(name): name for name in tree.disk.listdir(at)}
        for step in intent.steps:
            old = step.back[1] if step.back else ""
            now = names.get(base_of(step.name), "")
            wanted, before, there = (set(info_of(name)) for name in (step.name, old, now))
            turned = wanted ^ before
            if now and there & turned == wanted & turned:
                found.run(
                    "UPDATE file SET name = ? WHERE mailbox = ? AND uid = ? AND name = ?",
                    (index.to_name(step.name), intent.mailbox, step.uid, index.to_name(old)),
                )
        tree.disk.fsync(at)


def _put_back(tree: Tree, steps: Sequence[Step]) -> None:
    disk = tree.disk
    for directory in sorted({step.directory for step in steps}):
        mine = [step for step in steps if step.directory == directory]
        try:
            at = tree.descriptor(*directory.split("/"))
        except FileNotFoundError:
            continue
        try:
            whole = directory in ("", index.DIRECTORY)
            names = {name if whole else base_of(name): name for name in disk.listdir(at)}
            for step in reversed(mine):
                name = names.get(step.name)
                if name is not None:
                    _undo(tree, at, name, step.back)
            disk.fsync(at)
        finally:
            os.close(at)
    for directory in sorted({step.back[0] for step in steps if step.back}):
        tree.sync(*directory.split("/"))


def _undo(tree: Tree, at: int, name: str, back: tuple[str, str] | None) -> None:
    disk: Disk = tree.disk
    if back is None:
        disk.unlink(name, at)
        return
    with tree.open(*back[0].split("/")) as old_at:
        if disk.exists(back[1], old_at):
            # A copy, where there was no renaming.
            disk.unlink(name, at)
        else:
            disk.rename(name, back[1], at, old_at)
