"""
Large accounts, beside Dovecot with the same: thousands of folders, ten big mailboxes open at once,
and, if wanted, a mailbox of a million messages.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

from . import dovecot, mail, ours
from .client import Client
from .figures import Figure, Plan, against
from .mailbox import USERS, give, waits
from .ours import Server
from .probe import probing
from .process import Process, no_collector

MB = 1e6
MAILBOXES = 10
DIFFERENT = 1000
"""Different messages in a huge mailbox; its files are links to them."""

_ASKED = 500

NOTE_MEMORY = (
    "Growth of the proportional set of all processes, from ten sessions that are logged in. Here"
    " they are of one process, there each has its own; processes that help are counted."
)
NOTE_MILLION = "Links to 1,000 files, so that it fits; both sides have links to the same."


def run(plan: Plan) -> Iterator[Figure]:
    """
    Measure.
    """
    yield from _folders(plan)
    yield from _open(plan)
    if plan.million:
        yield from _million(plan)


@contextlib.contextmanager
def _sides(plan: Plan, what: str) -> Iterator[dict[str, Server]]:
    """
    Both servers on places that were filled.
    """
    mine, theirs = plan.place / what, plan.place / f"{what}-dovecot"
    os.sync()
    with ours.serve(mine, USERS) as server, dovecot.serve(theirs, USERS) as peer:
        sides = {"": server}
        if peer is not None:
            sides[dovecot.version()] = peer
        yield sides


def _places(plan: Plan, what: str) -> list[Path]:
    """
    Where the Maildirs go.
    """
    places = [plan.place / what]
    if dovecot.PROGRAM is not None:
        places.append(plan.place / f"{what}-dovecot")
    return [place / "mail" / "amy" for place in places]


def _own(plan: Plan, what: str) -> None:
    theirs = plan.place / f"{what}-dovecot" / "mail"
    if theirs.exists():
        give(theirs)


def _beside(
    name: str, unit: str, taken: dict[str, list[float]], note: str = "", *, judged: bool = True
) -> Figure:
    mine = taken.pop("")
    for peer, theirs in taken.items():
        most = 1.0 if judged else None
        return against(name, unit, mine, theirs, peer, most=most, note=note)
    return against(name, unit, mine, (), "Dovecot", note=note)


def _folders(plan: Plan) -> Iterator[Figure]:
    for maildir in _places(plan, "folders"):
        for below in ("cur", "new", "tmp"):
            (maildir / below).mkdir(parents=True)
        for number in range(plan.folders):
            folder = maildir / f".Work.{number % 100:02}.{number:05}"
            for below in ("cur", "new", "tmp"):
                (folder / below).mkdir(parents=True)
            (folder / "maildirfolder").touch()
            (folder / "cur" / f"17{number:08}.M1P1.x,S=17:2,").write_bytes(b"Subject: a\n\nabc\n")
    _own(plan, "folders")
    some = range(0, plan.folders, max(1, plan.folders // _ASKED))
    asked = [b"STATUS Work/%02d/%05d (MESSAGES UNSEEN)" % (each % 100, each) for each in some]
    folders = f"{plan.folders:,} folders"
    with (
        _sides(plan, "folders") as sides,
        probing(plan.place, sides[""].plain, USERS[1]) as probe,
        no_collector(),
    ):
        clients = {name: Client(server.plain) for name, server in sides.items()}
        # Dovecot has slashes only where it is told so.
        separated = {
            name: asked if not name else [each.replace(b"/", b".") for each in asked]
            for name in clients
        }
        yield _turns(plan, clients, f'LIST "" "*", {folders}', b'LIST "" "*"')
        count = len(asked)
        for title, rounds in (("first", 1), ("again", plan.rounds)):
            taken: dict[str, list[float]] = {name: [] for name in clients}
            for _ in range(rounds):
                for name, client in clients.items():
                    took = client.take_all(f"STATUS, {title}", separated[name])[0]
                    taken[name].append(took / count * 1e6)
            yield _beside(f"STATUS of a folder, {title}, {folders}", "us", taken)
        yield _turns(plan, clients, f"CREATE, {folders}", b"CREATE New%d")
        for client in clients.values():
            client.close()
        probe.end()
        yield from waits(probe, clients[""])


def _turns(
    plan: Plan, clients: dict[str, Client], title: str, command: bytes, note: str = ""
) -> Figure:
    taken: dict[str, list[float]] = {name: [] for name in clients}
    for turn in range(plan.rounds):
        for name, client in clients.items():
            asked = command.replace(b"%d", b"%d" % turn)
            taken[name].append(client.take(title, asked)[0] * 1000)
    return _beside(title, "ms", taken, note)


def _open(plan: Plan) -> Iterator[Figure]:
    for maildir in _places(plan, "open"):
        for number in range(MAILBOXES):
            box = maildir / (f".Box{number}" if number else "")
            mail.link(box, plan.messages, maildir.parent.parent / "files", DIFFERENT)
            if number:
                (box / "maildirfolder").touch()
    _own(plan, "open")
    boxes = [b"INBOX", *(b"Box%d" % number for number in range(1, MAILBOXES))]
    used: dict[str, list[float]] = {}
    with _sides(plan, "open") as sides:
        for name, server in sides.items():
            clients = [Client(server.plain) for _ in boxes]
            before = memory(server.process)
            for client, selected in zip(clients, boxes, strict=True):
                client.take("", b"SELECT " + selected)
                client.take("", b"UID FETCH 1:* FLAGS")
            after = memory(server.process)
            used[name] = [max(0, after - before) / MB, after / MB]
            for client in clients:
                client.close()
    title = f"memory, {MAILBOXES} mailboxes of {plan.messages:,} open"
    for number, what, note in ((0, "more by", NOTE_MEMORY), (1, "in all", "")):
        taken = {name: values[number : number + 1] for name, values in used.items()}
        yield _beside(f"{title}: {what}", "MB", taken, note, judged=False)


def memory(process: Process) -> int:
    """
    Octets that a server and all its processes hold, shared ones in shares.
    """
    total = 0
    for pid in process.family():
        with (
            contextlib.suppress(OSError),
            open(f"/proc/{pid}/smaps_rollup", encoding="ascii") as file,
        ):
            for line in file:
                if line.startswith("Pss:"):
                    total += int(line.split()[1]) * 1024
    return total


def _million(plan: Plan) -> Iterator[Figure]:
    for maildir in _places(plan, "million"):
        mail.link(maildir, plan.million, maildir.parent.parent / "files", DIFFERENT)
    _own(plan, "million")
    many = f"{plan.million:,} messages"
    works = (
        ("SELECT, warm", b"SELECT INBOX"),
        ("UID FETCH 1:* FLAGS", b"UID FETCH 1:* FLAGS"),
        ("SEARCH UNSEEN", b"SEARCH UNSEEN"),
        ("SEARCH KEYWORD, none", b"SEARCH KEYWORD Zebra"),
        ("SEARCH SINCE", b"SEARCH SINCE 1-Jun-2019"),
        ("STATUS", b"STATUS INBOX (MESSAGES UNSEEN)"),
        ("ENVELOPE of the last 100", b"FETCH %d:* (FLAGS ENVELOPE)" % max(1, plan.million - 99)),
    )
    with (
        _sides(plan, "million") as sides,
        probing(plan.place, sides[""].plain, USERS[1]) as probe,
        no_collector(),
    ):
        clients = {name: Client(server.plain) for name, server in sides.items()}
        title = f"first SELECT, {many}"
        first = {name: [each.take(title, b"SELECT INBOX")[0]] for name, each in clients.items()}
        yield _beside(title, "s", first, NOTE_MILLION, judged=False)
        for title, command in works:
            yield _turns(plan, clients, f"{title}, {many}", command)
        held = {name: [memory(server.process) / MB] for name, server in sides.items()}
        yield _beside(f"memory, {many} open", "MB", held, judged=False)
        for client in clients.values():
            client.close()
        probe.end()
        yield from waits(probe, clients[""])
