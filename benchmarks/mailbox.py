"""
One big mailbox: what clients ask of it, against Dovecot with a copy of the same Maildir and Cyrus
with the same messages, whichever is better; and how long somebody else waits meanwhile.
"""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import attrs

from . import cyrus, dovecot, mail, ours
from .client import Client
from .figures import Figure, Plan, against, best
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
        give(theirs / "mail")
    shutil.rmtree(source)
    # Writing that much is not to disturb what is measured.
    os.sync()
    with (
        ours.serve(mine, USERS) as server,
        dovecot.serve(theirs, USERS) as peer,
        cyrus.serve(plan.place / "c", plan.messages) as other,
    ):
        # Uploading is not to disturb it either.
        os.sync()
        sides = {"": server.plain}
        if peer is not None:
            sides[dovecot.version()] = peer.plain
        if other is not None:
            sides[cyrus.NAME] = other
        clients = {name: Client(port) for name, port in sides.items()}
        with probing(plan.place, server.plain, "prober") as probe, no_collector():
            figures = list(_work(plan, clients, server))
            probe.end()
        for each in clients.values():
            each.close()
    yield from figures
    yield from waits(probe, clients[""])


def give(path: Path) -> None:
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


def _work(plan: Plan, clients: dict[str, Client], server: Server) -> Iterator[Figure]:
    def sides(work: Work, rounds: int, *without: str) -> dict[str, list[tuple[float, int]]]:
        taken: dict[str, list[tuple[float, int]]] = {
            name: [] for name in clients if name not in without
        }
        for index in range(rounds):
            sign = b"-" if index % 2 else b"+"
            for name, took in taken.items():
                for command in work.commands[:-1]:
                    clients[name].take("", command)
                last = work.commands[-1].replace(b"%s", sign)
                took.append(clients[name].take(work.title, last))
        return taken

    def milliseconds(work: Work, rounds: int, *without: str) -> Figure:
        taken = {
            name: [seconds * 1000 for seconds, _ in side]
            for name, side in sides(work, rounds, *without).items()
        }
        title = work.title.replace("%s", "+-")
        mine = taken.pop("")
        return against(title, "ms", mine, *best(taken, min), most=work.most)

    if cyrus.NAME in clients:
        clients[cyrus.NAME].take("", b"SELECT INBOX")
    for work in ONCE:
        yield milliseconds(work, 1, cyrus.NAME)
    _settle(server)
    for work in ROUNDS:
        yield milliseconds(work, plan.rounds)
    taken = {
        name: [octets / seconds / 1e6 for seconds, octets in side]
        for name, side in sides(BODIES, plan.rounds).items()
    }
    mine = taken.pop("")
    yield against(BODIES.title, "MB/s", mine, *best(taken, max), least=1.0)


def waits(probe: Probe, client: Client) -> Iterator[Figure]:
    """
    How long somebody else waited while commands ran.
    """
    note = NOTE_PROBE
    for title, windows in client.windows.items():
        waited = probe.waits(windows)
        # A command that is over between two NOOPs kept nobody waiting.
        if not title or not waited:
            continue
        worst = waited[min(len(waited) - 1, int(len(waited) * 0.99))]
        yield Figure(
            name=f"NOOP p99 during {title.replace('%s', '+-')}",
            unit="ms",
            ours=worst * 1000,
            note=note,
        ).to_goal(f"< {SHARE * 1000:.0f} ms", worst < SHARE)
        note = ""
