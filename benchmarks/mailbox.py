"""
One big mailbox: what clients ask of it, against Dovecot with a copy of the same Maildir; and how
long somebody else waits meanwhile.
"""

from __future__ import annotations

import itertools
import os
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import attrs

from . import dovecot, mail, ours
from .figures import Figure, Plan, against
from .load import Unexpected, log_in
from .ours import Server
from .probe import Probe, probing
from .process import no_collector

USERS = ("amy", "prober")
PATIENT = 300
SHARE = 0.05
"""Seconds that nobody may wait for anybody else's command."""

NOTE_PROBE = (
    "A NOOP every 2 ms on a connection of another user of the same process; one that is held up"
    " counts from when it was due."
)


class Client:
    """
    One connection to one side; measures single commands.

    @ivar windows: when a command ran, by its title
    """

    def __init__(self, server: Server) -> None:
        self._connection = log_in(server.plain, "amy", ours.PASSWORD)
        self._tags = (b"T%06d" % each for each in itertools.count())
        self._room = bytearray(1 << 20)
        self.windows: dict[str, list[tuple[float, float]]] = {}

    def close(self) -> None:
        """
        End it.
        """
        self._connection.close()

    def take(self, title: str, command: bytes) -> tuple[float, int]:
        """
        Seconds and octets until the tagged answer to a command.
        """
        tag = next(self._tags)
        view, receive = memoryview(self._room), self._connection.recv_into
        mark, tail, total = b"\n" + tag + b" ", b"\n", 0
        self._connection.settimeout(600)
        began = time.monotonic()
        self._connection.sendall(tag + b" " + command + b"\r\n")
        while True:
            got = receive(view)
            if not got:
                raise Unexpected("connection ended")
            total += got
            # The tagged answer is the last thing that comes, and is short.
            tail = (tail + bytes(view[max(0, got - 512) : got]))[-512:]
            if mark in tail and tail.endswith(b"\r\n"):
                break
        ended = time.monotonic()
        answer = tail.rpartition(mark)[2]
        if not answer.startswith(b"OK"):
            raise Unexpected(f"{command!r}: {answer!r}")
        self.windows.setdefault(title, []).append((began, ended))
        return ended - began, total


@attrs.frozen
class Work:
    """
    Something to measure.

    @ivar commands: sent in turn, the last of them measured; C{%s} stands for + in one round and
        for - in the next
    @ivar most: goal: this many times the other's time, or less
    """

    title: str
    commands: tuple[bytes, ...]
    most: float | None = None


_FIELDS = b"BODY.PEEK[HEADER.FIELDS (FROM TO SUBJECT DATE)]"
ONCE = (
    Work("first SELECT, no index", (b"SELECT INBOX",)),
    Work("ENVELOPE BODYSTRUCTURE, first", (b"UID FETCH 1:* (ENVELOPE BODYSTRUCTURE)",)),
    # While what was just computed is still being written.
    Work("STORE of one message right after", (b"STORE 1 +FLAGS (\\Flagged)",), 1.0),
    Work("header fields, first", (b"UID FETCH 1:* (" + _FIELDS + b")",)),
    Work("SEARCH SUBJECT, first", (b"SEARCH SUBJECT zebra",)),
)
ROUNDS = (
    Work("SELECT, warm", (b"UNSELECT", b"SELECT INBOX"), 1.0),
    Work("UID FETCH 1:* FLAGS", (b"UID FETCH 1:* FLAGS",), 1.0),
    Work("ENVELOPE BODYSTRUCTURE, cached", (b"UID FETCH 1:* (ENVELOPE BODYSTRUCTURE)",), 1.0),
    Work("header fields, cached", (b"UID FETCH 1:* (" + _FIELDS + b")",), 1.0),
    Work("SEARCH UNSEEN", (b"SEARCH UNSEEN",), 1.0),
    Work("SEARCH SUBJECT, none match", (b"SEARCH SUBJECT zebra",), 1.0),
    Work("SEARCH SUBJECT, some match", (b"SEARCH SUBJECT invoice",), 1.0),
    Work("SEARCH TEXT", (b"SEARCH TEXT zebra",), 1.0),
    Work("SEARCH BODY", (b"SEARCH BODY zebra",), 1.0),
    Work("STATUS", (b"STATUS INBOX (MESSAGES UNSEEN)",)),
    Work("STORE %sFLAGS on all", (b"STORE 1:* %sFLAGS (\\Draft)",), 1.0),
)
BODIES = Work("all bodies", (b"UID FETCH 1:* BODY.PEEK[]",))


def run(plan: Plan) -> Iterator[Figure]:
    """
    Measure.
    """
    source = plan.place / "source"
    mail.fill(source, plan.messages)
    mine, theirs = plan.place / "mailbox", plan.place / "mailbox-dovecot"
    shutil.copytree(source, mine / "mail" / "amy")
    if dovecot.PROGRAM is not None:
        shutil.copytree(source, theirs / "mail" / "amy")
        _give(theirs / "mail")
    shutil.rmtree(source)
    # Writing that much is not to disturb what is measured.
    os.sync()
    with ours.serve(mine, USERS) as server, dovecot.serve(theirs, USERS) as peer:
        clients = [Client(each) for each in (server, peer) if each is not None]
        with probing(plan.place, server.plain, "prober") as probe, no_collector():
            figures = list(_work(plan, clients, server))
            probe.end()
        for each in clients:
            each.close()
    yield from figures
    yield from _waits(probe, clients[0])


def _give(path: Path) -> None:
    """
    Dovecot's mail belongs to the user that its processes run as.
    """
    owner = dovecot.owner()
    for directory, _, files in os.walk(path):
        os.chown(directory, owner.pw_uid, owner.pw_gid)
        for name in files:
            os.chown(os.path.join(directory, name), owner.pw_uid, owner.pw_gid)


def _settle(server: Server) -> None:
    """
    Wait until the text of the messages is ready to be searched, which begins with the first search.
    """
    deadline = time.monotonic() + PATIENT
    files = [server.mail / "amy" / "mailaccess" / name for name in ("text.db", "text.db-wal")]
    before: list[int] = []
    while time.monotonic() < deadline:
        time.sleep(2)
        now = [each.stat().st_mtime_ns for each in files if each.exists()]
        if now == before:
            return
        before = now


def _work(plan: Plan, clients: list[Client], server: Server) -> Iterator[Figure]:
    peer = dovecot.version() or "Dovecot"

    def sides(work: Work, rounds: int) -> list[list[tuple[float, int]]]:
        taken: list[list[tuple[float, int]]] = [[] for _ in clients]
        for index in range(rounds):
            sign = b"-" if index % 2 else b"+"
            for client, took in zip(clients, taken, strict=True):
                for command in work.commands[:-1]:
                    client.take("", command)
                last = work.commands[-1].replace(b"%s", sign)
                took.append(client.take(work.title, last))
        return [*taken, []]

    def milliseconds(work: Work, rounds: int) -> Figure:
        mine, theirs = ([seconds * 1000 for seconds, _ in side] for side in sides(work, rounds)[:2])
        title = work.title.replace("%s", "+-")
        return against(title, "ms", mine, theirs, peer, most=work.most)

    for work in ONCE:
        yield milliseconds(work, 1)
    _settle(server)
    for work in ROUNDS:
        yield milliseconds(work, plan.rounds)
    mine, theirs = (
        [octets / seconds / 1e6 for seconds, octets in side]
        for side in sides(BODIES, plan.rounds)[:2]
    )
    yield against(BODIES.title, "MB/s", mine, theirs, peer, least=1.0)


def _waits(probe: Probe, client: Client) -> Iterator[Figure]:
    note = NOTE_PROBE
    for title, windows in client.windows.items():
        waits = probe.waits(windows)
        # A command that is over between two NOOPs kept nobody waiting.
        if not title or not waits:
            continue
        worst = waits[min(len(waits) - 1, int(len(waits) * 0.99))]
        yield Figure(
            name=f"NOOP p99 during {title.replace('%s', '+-')}",
            unit="ms",
            ours=worst * 1000,
            note=note,
        ).to_goal(f"< {SHARE * 1000:.0f} ms", worst < SHARE)
        note = ""
