"""
One Maildir, two servers, and everybody else at once: an MDA, a program that renames flags, one that
deletes, one that copies files into place as rsync does, and clients of both servers that watch
(DS-06).

No message may be lost or seen twice, none may change its UID, and no client may be told of an
EXPUNGE that was not one.
"""

from __future__ import annotations

import os
import re
import threading
import time
from collections.abc import Callable
from pathlib import Path
from random import Random

import attrs

from mailaccess.store.disk import Disk as StoreDisk
from mailaccess.store.maildir import fsck
from tests.torture.imap import Client, Refused
from tests.torture.oracle import Wrong
from tests.torture.pop3 import unique_ids
from tests.torture.rounds import PASSWORD, USER, configure
from tests.torture.serve import Server, Servers

_UNTAGGED = re.compile(rb"\* (\d+) (EXPUNGE|EXISTS|FETCH)")
_UID = re.compile(rb"UID (\d+)")
_SUBJECT = re.compile(rb"Subject: (\S+)", re.I)
_PATIENCE = 60.0


@attrs.define
class Truth:
    """
    What the programs beside the servers did.

    @ivar there: messages that nobody may lose
    @ivar going: messages that may be gone, from before they are
    @ivar uids: UID by message, as the first client was told
    """

    there: set[str] = attrs.field(factory=set)
    going: set[str] = attrs.field(factory=set)
    uids: dict[str, int] = attrs.field(factory=dict)
    wrong: list[str] = attrs.field(factory=list)
    counts: dict[str, int] = attrs.field(factory=dict)
    lock: threading.Lock = attrs.field(factory=threading.Lock)

    def count(self, what: str) -> None:
        """
        Something was done.
        """
        with self.lock:
            self.counts[what] = self.counts.get(what, 0) + 1

    def told(self, message: str, uid: int) -> None:
        """
        A client learned a UID.
        """
        with self.lock:
            if self.uids.setdefault(message, uid) != uid:
                self.wrong.append(f"{message} has UIDs {self.uids[message]} and {uid}")


class Watcher:
    """
    A client that never changes anything.
    """

    def __init__(self, server: Server, truth: Truth) -> None:
        self.truth = truth
        self.client = Client(server.port, USER, PASSWORD)
        self.messages: list[str] = []
        self._take(self.client.run("SELECT INBOX")[1])

    def step(self) -> None:
        """
        Hear what is new.
        """
        self._take(self.client.run("NOOP")[1])
        self.truth.count("polls")

    def _take(self, lines: list[bytes]) -> None:
        for line in lines:
            found = _UNTAGGED.match(line)
            if found is None:
                continue
            number, what = int(found[1]), found[2]
            if what == b"EXISTS":
                self.messages += [""] * (number - len(self.messages))
            elif what == b"EXPUNGE":
                self._gone(self.messages.pop(number - 1))
        if "" in self.messages:
            self._fetch()

    def _gone(self, message: str) -> None:
        if message and message not in self.truth.going:
            self.truth.wrong.append(f"{message} was expunged by nobody")

    def _fetch(self) -> None:
        first = self.messages.index("") + 1
        what = "(UID BODY.PEEK[HEADER.FIELDS (SUBJECT)])"
        try:
            _, lines = self.client.run(f"FETCH {first}:* {what}")
        except Refused as error:
            # Some are gone (RFC 2180 section 4.1).
            if "EXPUNGEISSUED" not in error.args[0]:
                raise
            lines = error.args[1]
        for line in lines:
            came = _UNTAGGED.match(line)
            if came is not None and came[2] == b"EXISTS":
                self.messages += [""] * (int(came[1]) - len(self.messages))
            if came is not None and came[2] == b"EXPUNGE":
                self.truth.wrong.append("EXPUNGE during FETCH")
            number, uid, subject = _UNTAGGED.match(line), _UID.search(line), _SUBJECT.search(line)
            if number is None or uid is None or subject is None:
                # Gone since: the next NOOP tells.
                continue
            message = subject[1].decode("ascii")
            self.truth.told(message, int(uid[1]))
            place = int(number[1]) - 1
            if self.messages[place] not in ("", message) or (
                not self.messages[place] and message in self.messages
            ):
                self.truth.wrong.append(f"{message} is there twice, or in place of another")
            self.messages[place] = message


class Programs:
    """
    What other programs do to a Maildir.
    """

    def __init__(self, maildir: Path, truth: Truth, random: Random) -> None:
        self.maildir = maildir
        self.truth = truth
        self.random = random
        self._number = 0

    def _new(self, mark: str) -> tuple[str, str, bytes]:
        self._number += 1
        message = f"{mark}{self._number}"
        name = f"{int(time.time())}.M{self.random.getrandbits(40)}P{os.getpid()}.{mark}"
        return message, name, f"Subject: {message}\nFrom: a@example.org\n\nhello\n".encode()

    def deliver(self) -> None:
        """
        As an MDA.
        """
        message, name, data = self._new("mda")
        (self.maildir / "tmp" / name).write_bytes(data)
        with self.truth.lock:
            self.truth.there.add(message)
        os.rename(self.maildir / "tmp" / name, self.maildir / "new" / name)
        self.truth.count("deliveries")

    def copy(self) -> None:
        """
        As rsync: under a name with a full stop, then in place.
        """
        message, name, data = self._new("rsync")
        hidden = self.maildir / "cur" / f".{name}.Xa4Zq9"
        hidden.write_bytes(data)
        with self.truth.lock:
            self.truth.there.add(message)
        os.rename(hidden, self.maildir / "cur" / f"{name}:2,S")
        self.truth.count("files copied")

    def rename(self) -> None:
        """
        As mutt, when flags change: some hundred at a time.
        """
        cur = self.maildir / "cur"
        names = os.listdir(cur)
        for name in self.random.sample(names, min(50, len(names))):
            base, mark, info = name.partition(":2,")
            flag = self.random.choice("FSR")
            fresh = info.replace(flag, "") if flag in info else "".join(sorted(info + flag))
            if mark and name[0] != ".":
                try:
                    os.rename(cur / name, cur / f"{base}:2,{fresh}")
                    self.truth.count("renames")
                except FileNotFoundError:
                    continue

    def delete(self) -> None:
        """
        As mutt, when it leaves: take a message from C{new} too, and remove one.
        """
        new, cur = self.maildir / "new", self.maildir / "cur"
        for name in os.listdir(new)[:2]:
            try:
                os.rename(new / name, cur / f"{name}:2,S")
                self.truth.count("moves from new")
            except FileNotFoundError:
                continue
        names = os.listdir(cur)
        if len(names) < 100:
            return
        path = cur / self.random.choice(names)
        try:
            found = _SUBJECT.search(path.read_bytes())
            if found is None:
                return
            message = found[1].decode("ascii")
            with self.truth.lock:
                self.truth.going.add(message)
            os.unlink(path)
        except FileNotFoundError:
            # Renamed meanwhile: it is there.
            return
        with self.truth.lock:
            self.truth.there.discard(message)
        self.truth.count("removals")


def share(place: Path, servers: Servers, random: Random, seconds: float, start: int) -> Truth:
    """
    Let them all work for so long, on a mailbox with C{start} messages.

    @raise Wrong: something was lost, double, or said wrongly
    """
    mail = place / "mail"
    maildir = mail / USER
    for name in ("cur", "new", "tmp"):
        (maildir / name).mkdir(parents=True)
    truth = Truth()
    programs = [Programs(maildir, truth, Random(random.random())) for _ in range(4)]
    for _ in range(start):
        programs[0].deliver()
    running: list[Server] = []
    try:
        for number in range(2):
            there = place / f"server{number}"
            there.mkdir()
            configure(there, mail, "lazy", pop3=True)
            running.append(servers.serve(there))
        _work(truth, programs, running, seconds)
        _settle(truth, running)
    finally:
        for server in running:
            server.kill()
    wrong = [each for each in fsck.check(StoreDisk(), str(maildir)) if each.level == "error"]
    if wrong:
        raise Wrong(f"fsck: {wrong}")
    return truth


def _work(truth: Truth, programs: list[Programs], running: list[Server], seconds: float) -> None:
    watchers = [Watcher(running[number % 2], truth) for number in range(4)]
    mda, mutt, flags, rsync = programs
    steps: list[tuple[Callable[[], None], float]] = [
        (mda.deliver, 0.02),
        (flags.rename, 0.1),
        (mutt.delete, 0.05),
        (rsync.copy, 0.2),
        *((watcher.step, 0.02) for watcher in watchers),
        (lambda: _poll_pop3(running[0], truth), 0.1),
    ]
    stopping = threading.Event()
    failures: list[BaseException] = []

    def run(step: Callable[[], None], pause: float) -> None:
        try:
            while not stopping.wait(pause):
                step()
        except BaseException as error:
            failures.append(error)
            stopping.set()

    threads = [threading.Thread(target=run, args=each, daemon=True) for each in steps]
    for thread in threads:
        thread.start()
    stopping.wait(seconds)
    stopping.set()
    for thread in threads:
        thread.join(_PATIENCE)
    for watcher in watchers:
        watcher.client.close()
    if failures:
        raise Wrong(f"somebody could not go on: {failures!r}")
    if truth.wrong:
        raise Wrong("\n".join(truth.wrong[:20]))


def _poll_pop3(server: Server, truth: Truth) -> None:
    """
    Unique IDs are of UIDs that are known, and nothing is listed twice.
    """
    found = unique_ids(server.ports[1], USER, PASSWORD)
    if len(set(found)) != len(found):
        truth.wrong.append("POP3 lists a message twice")
    truth.count("POP3 sessions")


def _settle(truth: Truth, running: list[Server]) -> None:
    """
    When nobody changes anything any more, everybody sees the same.
    """
    for server in running:
        end = time.monotonic() + _PATIENCE
        while True:
            watcher = Watcher(server, truth)
            watcher.client.close()
            if set(watcher.messages) == truth.there:
                break
            if time.monotonic() > end:
                lost = sorted(truth.there - set(watcher.messages))
                more = sorted(set(watcher.messages) - truth.there)
                raise Wrong(f"lost: {lost[:20]}; more: {more[:20]}")
            time.sleep(0.2)
    if truth.wrong:
        raise Wrong("\n".join(truth.wrong[:20]))
