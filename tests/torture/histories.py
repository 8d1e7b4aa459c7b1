"""
Every order, up to a length, in which a client stores flags, names are made to tell them, a
directory is looked at and other programs rename, with what fails or dies in between (DS-01, DS-02,
DS-06).

It is the code of the store that runs, on a real Maildir, one step after the other in one thread:
each history starts with a copy of the same Maildir. After each step the record must have the flags
that were acknowledged; when all is quiet, also those that another program put into the name.
"""

from __future__ import annotations

import contextlib
import errno
import os
import re
import shutil
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

from mailaccess.interfaces import ANSWERED, FLAGGED
from mailaccess.store.disk import Disk, Tree
from mailaccess.store.maildir import index, intents
from mailaccess.store.maildir.filename import base_of, flags_of, with_flags
from mailaccess.store.maildir.flags import Mirror, StoreFlags
from mailaccess.store.maildir.fsck_mend import done, take_in
from mailaccess.store.maildir.ledger import Ledger
from mailaccess.store.maildir.scan import Sighting, look
from mailaccess.store.maildir.take import Take


class Died(BaseException):
    """
    The process is gone: nothing of it runs any more.
    """


class Watched(Disk):
    """
    @ivar renaming: called before each rename
    @ivar renamed: called after each rename
    @ivar failing: directories cannot be synced
    @ivar synced: what was
    """

    def __init__(self) -> None:
        self.renaming: Callable[[], None] = lambda: None
        self.renamed: Callable[[], None] = lambda: None
        self.failing = False
        self.synced: list[str] = []

    def rename(self, old: str, new: str, old_at: int, new_at: int) -> None:
        self.renaming()
        super().rename(old, new, old_at, new_at)
        self.renamed()

    def fsync(self, descriptor: int) -> None:
        if self.failing:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        super().fsync(descriptor)
        self.synced.append(os.path.basename(os.readlink(f"/proc/self/fd/{descriptor}")))


class Halting(Disk):
    """
    Stops between reading the record and listing C{cur}, until it may go on.
    """

    def __init__(self) -> None:
        self.reached = threading.Event()
        self.may_go = threading.Event()

    def listdir(self, at: int) -> list[str]:
        if os.readlink(f"/proc/self/fd/{at}").endswith("/cur") and not self.reached.is_set():
            self.reached.set()
            self.may_go.wait()
        return list(super().listdir(at))


class Looking:
    """
    A look that has read the record.
    """

    def __init__(self, path: str, ledger: Ledger, box: int) -> None:
        self.disk = Halting()
        self.sighting: Sighting | None = None
        self._thread = threading.Thread(target=self._run, args=(path, ledger.path, box))
        self._thread.start()
        self.disk.reached.wait()

    def _run(self, path: str, database: str, box: int) -> None:
        self.sighting = look(Tree(self.disk, path), database, box, True)

    def list(self) -> None:
        self.disk.may_go.set()
        self._thread.join()


class History:
    """
    A Maildir with one message, and what is known of it.

    @ivar answered: what was acknowledged
    @ivar flagged: what another program last put into the name
    @ivar noted: what the last mirroring that was committed had noted
    """

    def __init__(self, place: Path) -> None:
        self.path = str(place)
        self.disk = Watched()
        self.looking: Looking | None = None
        self.answered = self.flagged = False
        self.noted = b""
        self._notes = place / index.DIRECTORY / intents.FILE
        self._start()
        box = self.ledger.index.box_at("")
        assert box is not None
        self.box = box.id

    def _start(self) -> None:
        self.ledger = Ledger(Tree(self.disk, self.path))
        self.ledger.inode = index.inode_of(self.ledger.path)

    def end(self) -> None:
        if self.looking is not None:
            self.looking.list()
        self.ledger.close()

    def flags(self) -> int:
        (row,) = self.ledger.index.messages(self.box, 1)
        return row[1]

    def _store(self, on: bool) -> None:
        job = StoreFlags(self.box, [1], "add" if on else "remove", ["\\Answered"], None)
        done(self.ledger.run([job]))
        self.answered = on

    def _mirror(self) -> None:
        self.ledger.run([Mirror(self.box)])

    def _mirror_well(self) -> None:
        with self._at_rename(self._remember):
            self._mirror()

    def _remember(self) -> None:
        self.noted = self._notes.read_bytes()

    def _list(self) -> None:
        assert self.looking is not None
        self.looking.list()

    @contextlib.contextmanager
    def _at_rename(self, call: Callable[[], None]) -> Iterator[None]:
        self.disk.renamed = call
        try:
            yield
        finally:
            self.disk.renamed = lambda: None

    def _mirror_in_vain(self) -> None:
        self.disk.failing = True
        try:
            self._mirror()
        finally:
            self.disk.failing = False

    def _die(self) -> None:
        raise Died

    def _mirror_and_die(self, before: bool) -> None:
        if before:
            self.disk.renaming = self._die
        else:
            self.disk.renamed = self._die
        with contextlib.suppress(Died):
            self._mirror()
        self.disk.renaming = self.disk.renamed = lambda: None
        # Its locks go with it, and another process goes on.
        self.ledger.close()
        self._start()

    def _cut(self, noted: bytes) -> None:
        """
        The power is back: with notes as they were last on the disk, for nobody syncs that they were
        emptied.
        """
        if self.looking is not None:
            self.looking.list()
            self.looking = None
        self.ledger.close()
        self._notes.write_bytes(noted)
        self._start()
        self.ledger.recover()
        # As whoever selects a mailbox does first.
        take_in(self.ledger, "")

    def _cut_while_mirroring(self, renamed: bool, noted: bool) -> None:
        """
        Behind the rename, with or without it and what was noted on the disk.
        """
        cur = Path(self.path, "cur")
        (before,) = os.listdir(cur)
        self._mirror_and_die(before=False)
        (after,) = os.listdir(cur)
        if not renamed:
            os.rename(cur / after, cur / before)
        self._cut(self._notes.read_bytes() if noted and self._notes.exists() else b"")

    def _take(self) -> None:
        assert self.looking is not None
        assert self.looking.sighting is not None
        if self.looking.sighting:
            done(self.ledger.run([Take(self.box, self.looking.sighting)]))
        self.looking = None

    def _rename(self) -> None:
        cur = f"{self.path}/cur"
        (name,) = os.listdir(cur)
        self.flagged = not self.flagged
        told = flags_of(name, {}) & ~FLAGGED
        os.rename(f"{cur}/{name}", f"{cur}/{with_flags(name, told | FLAGGED * self.flagged, {})}")

    def step(self, what: str) -> None:
        match what:
            case "+" | "-":
                self._store(what == "+")
            case "m":
                self._mirror_well()
            case "l":
                with self._at_rename(self._list):
                    self._mirror()
                # It may have had nothing to rename.
                self._list()
            case "x":
                self._mirror_in_vain()
            case "y":
                with self._at_rename(self._list):
                    self._mirror_in_vain()
                self._list()
            case "d" | "k":
                self._mirror_and_die(what == "d")
            case "R":
                self.looking = Looking(self.path, self.ledger, self.box)
            case "L":
                self._list()
            case "T":
                self._take()
            case "f":
                self._rename()
            case "c":
                self._cut(self.noted)
            case "p" | "q" | "r":
                self._cut_while_mirroring(what == "p", what == "q")

    def quiet(self) -> None:
        take_in(self.ledger, "")
        take_in(self.ledger, "")
        self._mirror()
        take_in(self.ledger, "")


_ENDING = re.compile("[cpqr]")


def _next(history: str, foreign: bool) -> str:
    """
    What may follow: C{+} and C{-} store, C{m} mirrors, C{R}, C{L} and C{T} read the record, list
    and take in, C{l} lists while mirroring, C{x} mirrors in vain, C{y} does and is listed
    meanwhile, C{d} dies before the rename and C{k} after it, C{f} is another program's rename, C{c}
    a power cut, C{p}, C{q} and C{r} are power cuts while mirroring.
    """
    stores = [step for step in history if step in "+-"]
    found = "-" if stores and stores[-1] == "+" else "+"
    looks = [step.replace("c", "T") for step in _ENDING.sub("c", history) if step in "RLTlyc"]
    open_ = looks[-1] if looks else "T"
    if stores and history[-1] not in "mldkcpqr":
        found += "mxdk"
        if open_ == "R":
            found += "ly"
        if not foreign:
            found += "cpqr"
    found += {"R": "L", "T": "R"}.get(open_, "T")
    if foreign and not history.endswith("f"):
        found += "f"
    return found


def histories(length: int, foreign: bool) -> Iterator[str]:
    """
    All of a length.
    """
    waiting = [""]
    while waiting:
        history = waiting.pop()
        if len(history) == length:
            yield history
        else:
            waiting += [history + step for step in _next(history, foreign)]


def make_template(path: Path) -> None:
    """
    A Maildir with one message, in the record.
    """
    for below in ("cur", "new", "tmp", "mailaccess"):
        (path / below).mkdir(parents=True)
    (path / "cur" / "1.a:2,").write_bytes(b"a: b\n\n")
    ledger = Ledger(Tree(Disk(), str(path)))
    index.prepare(ledger.path)
    ledger.inode = index.inode_of(ledger.path)
    take_in(ledger, "")
    ledger.close()


def live(template: Path, place: Path, steps: str) -> None:
    """
    Take these steps.

    @param template: from L{make_template}
    @param place: is made, and removed
    """
    shutil.copytree(template, place)
    history = History(place)
    try:
        for number, step in enumerate(steps, 1):
            history.step(step)
            there = bool(history.flags() & ANSWERED)
            assert there == history.answered, f"{steps[:number]}: {there}"
        history.quiet()
        wanted = ANSWERED * history.answered | FLAGGED * history.flagged
        assert history.flags() == wanted, f"{steps}: {history.flags()}, not {wanted}"
        (name,) = os.listdir(place / "cur")
        assert (base_of(name), flags_of(name, {})) == ("1.a", wanted), f"{steps}: {name}"
    finally:
        history.end()
        shutil.rmtree(place)
