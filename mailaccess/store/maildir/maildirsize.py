"""
The file C{maildirsize} of Maildir++, by which MTAs, MDAs and other servers keep to a quota.

Its first line defines the limits (C{1000000S,1000C}); each other line has octets and messages that
came or, negative, went; their sums are what there is. Octets are those of files. Whoever changes
the Maildir adds a line; the whole is made anew by counting, when it cannot be right any more.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterable, Iterator

import attrs

from mailaccess.store.disk import Tree
from mailaccess.store.maildir.filename import sizes_of
from mailaccess.store.maildir.places import directories
from mailaccess.store.quota import UNLIMITED, Allowance, parse

FILE = "maildirsize"
LONGEST = 5120
"""Octets of the file from which on it is made anew, as the specification has it."""
_STALE = 15 * 60


@attrs.frozen
class Tally:
    """
    What the file says.

    @ivar definition: the first line
    @ivar lines: those that count
    @ivar age: seconds since it was written to
    @ivar whole: all of its lines are understood, and it is not too long
    """

    definition: str
    octets: int
    messages: int
    lines: int
    age: float
    whole: bool

    @property
    def allowance(self) -> Allowance:
        """
        The limits that it defines; none where the line is not understood.
        """
        try:
            return parse(self.definition)
        except ValueError:
            return UNLIMITED


def read(tree: Tree) -> Tally | None:
    """
    What the file says, or None where it is missing.

    @raise OSError: it cannot be read
    """
    try:
        with tree.open() as at:
            data = tree.disk.read(FILE, at, LONGEST + 1)
            modified = tree.disk.stat(FILE, at).st_mtime
    except FileNotFoundError:
        return None
    definition, *lines = data[:LONGEST].decode("latin-1").split("\n")
    octets = messages = 0
    # What follows the last line end is empty, or still being written.
    whole = len(data) < LONGEST and data.endswith(b"\n")
    for line in lines[:-1]:
        words = line.split()
        try:
            first, second = map(int, words)
        except ValueError:
            whole = False
            continue
        octets += first
        messages += second
    age = time.time() - modified
    return Tally(definition.strip(), octets, messages, len(lines) - 1, age, whole)


def add(tree: Tree, octets: int, messages: int) -> None:
    """
    Say what came or went, if there is such a file.

    @raise OSError: it cannot be written
    """
    flags = os.O_WRONLY | os.O_APPEND | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    try:
        descriptor = os.open(os.path.join(tree.path, FILE), flags)
    except FileNotFoundError:
        return
    try:
        # One write, of the usual width: lines of several programs do not mix.
        os.write(descriptor, _line(octets, messages))
    finally:
        os.close(descriptor)


def _line(octets: int, messages: int) -> bytes:
    return f"{f'{octets} {messages}':<13}\n".encode("ascii")


def has_to_be_counted(tally: Tally | None, allowance: Allowance, messages: int) -> bool:
    """
    Whether the file cannot be right: other limits than these, a count of messages that is not ours,
    too long, or over a limit by what several have added up in more than a quarter of an hour.
    """
    if tally is None or not tally.whole or tally.allowance != allowance:
        return True
    if tally.messages != messages or tally.octets < 0:
        return True
    over = not allowance.fits(tally.octets, tally.messages)
    return over and tally.lines > 1 and tally.age > _STALE


def count(tree: Tree, allowance: Allowance) -> bool:
    """
    Count all messages and write the file; in a thread. Returns whether it was written: if anything
    came or went meanwhile, it is removed instead, and whoever needs it next counts again.

    Messages with C{\\Deleted} and those in Trash are counted like others.

    @raise OSError: it cannot be written
    """
    before = _newest(tree)
    octets, messages = measure(tree)
    head = f"{allowance.definition}\n".encode("ascii")
    tree.replace(FILE, head + _line(octets, messages))
    if _newest(tree) == before:
        return True
    with tree.open() as at, contextlib.suppress(FileNotFoundError):
        tree.disk.unlink(FILE, at)
    return False


def measure(tree: Tree, places: Iterable[tuple[str, str]] | None = None) -> tuple[int, int]:
    """
    Octets of files, and messages, by looking at directories.

    @param places: of a mailbox, and C{new} or C{cur}; all if None
    """
    octets = messages = 0
    for directory, below in _places(tree) if places is None else places:
        with contextlib.suppress(FileNotFoundError), tree.open(directory, below) as at:
            for name in tree.disk.listdir(at):
                if name[0] == ".":
                    continue
                stored = sizes_of(name)[0]
                if stored < 0:
                    try:
                        stored = tree.disk.stat(name, at).st_size
                    except FileNotFoundError:
                        continue
                octets += stored
                messages += 1
    return octets, messages


def _newest(tree: Tree) -> int:
    newest = 0
    for directory, below in _places(tree):
        with contextlib.suppress(FileNotFoundError), tree.open(directory) as at:
            newest = max(newest, tree.disk.stat(below, at).st_mtime_ns)
    return newest


def _places(tree: Tree) -> Iterator[tuple[str, str]]:
    for _, directory in directories(tree.disk, tree):
        yield directory, "new"
        yield directory, "cur"
