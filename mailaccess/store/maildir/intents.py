"""
What is about to be done with files by a job that is all or nothing and needs several steps: noted
before the first of them, so that a process that dies in between leaves nothing half done (DS-16).

The file C{mailaccess/intents} has a line of JSON per job, written and synced inside the transaction
of the job and emptied after its commit. Whoever begins the next transaction on the record, in
whichever process, finds it empty, or looks whether what it tells was committed. The transaction
itself says so: only with it do the UIDs count as given, or has a mailbox another directory. If not,
the files are put back. What cannot be decided is left as it is: half of a copy is better than a
message lost.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterable, Sequence
from typing import Any

import attrs

from mailaccess.store.disk import Disk, Tree
from mailaccess.store.maildir import index
from mailaccess.store.maildir.filename import base_of
from mailaccess.store.maildir.index import Box, Index

FILE = "intents"
_LARGEST = 256 * 1024 * 1024


@attrs.frozen
class Step:
    """
    How to put one file or directory back.

    @ivar directory: where it is, below the Maildir; empty for the Maildir itself
    @ivar name: a message's base, or a directory's name
    @ivar back: directory and name it had before; None to remove the file
    """

    directory: str
    name: str
    back: tuple[str, str] | None = None


@attrs.frozen
class Intent:
    """
    What one job is about to do.

    @ivar mailbox: the mailbox whose row tells whether it was done, with the token that only this
        row ever has
    @ivar uid: the first UID that it gives there, or 0 if it takes the directory away
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

    def left_undone(self, found: Index) -> bool:
        """
        Whether the job certainly was not committed.
        """
        box = found.box(self.mailbox)
        if box is None or (box.token, box.directory) != (self.token, self.directory):
            return False
        return not self.uid or box.uid_next <= self.uid


def note(tree: Tree, intent: Intent) -> None:
    """
    Make an intent durable.
    """
    line = json.dumps(attrs.asdict(intent), separators=(",", ":")) + "\n"
    with tree.open(index.DIRECTORY) as at:
        made = not tree.disk.exists(FILE, at)
        descriptor = tree.disk.extend(FILE, at)
        try:
            # The empty line ends one that a crash may have cut off.
            tree.disk.write(descriptor, b"\n" + line.encode("ascii"))
            tree.disk.fsync(descriptor)
        finally:
            os.close(descriptor)
        if made:
            tree.disk.fsync(at)


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
    Everything noted was done or put back. Not synced: what comes back after a power cut tells that
    it was committed.
    """
    with contextlib.suppress(OSError):
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


def recover(tree: Tree, found: Index) -> bool:
    """
    Put back what was not committed; inside a transaction, which keeps living jobs out. Returns
    whether there was anything.
    """
    if not pending(tree):
        return False
    for intent in reversed(load(tree)):
        if intent.left_undone(found):
            _put_back(tree, intent.steps)
    clear(tree)
    return True


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
