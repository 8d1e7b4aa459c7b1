"""
The torture in short; C{make torture} is the long run.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from random import Random

import attrs
import pytest

from tests.torture.disks import Disk, PlainDisk, ShadowDisk, cut_disk
from tests.torture.oracle import Command, Found, Mailbox, Message, Oracle, Wrong
from tests.torture.rounds import Torture
from tests.torture.serve import Servers

ROUNDS = 10
SECONDS = 0.5


@pytest.fixture(scope="module")
def servers() -> Iterator[Servers]:
    made = Servers.start()
    yield made
    made.stop()


@contextlib.contextmanager
def _torture(disk: Disk, place: Path, servers: Servers, cutting: bool) -> Iterator[Torture]:
    seed = int.from_bytes(os.urandom(4), "big")
    print(f"seed {seed}")
    made = Torture(place, disk, servers, Random(seed), cutting)
    try:
        made.prepare()
        yield made
        made.finish()
    finally:
        made.end()
        disk.close()


def test_a_server_that_is_killed_loses_nothing_it_acknowledged(
    tmp_path: Path, servers: Servers
) -> None:
    """
    DS-02, DS-16, DS-19.
    """
    with _torture(PlainDisk(tmp_path), tmp_path, servers, cutting=False) as torture:
        for _ in range(ROUNDS):
            torture.round(SECONDS)
        assert torture.oracle.acknowledged.total() > ROUNDS


def test_a_power_cut_loses_nothing_that_was_acknowledged(tmp_path: Path, servers: Servers) -> None:
    """
    DS-01, DS-02, DS-16, DS-19.
    """
    with _torture(cut_disk(tmp_path), tmp_path, servers, cutting=True) as torture:
        for _ in range(ROUNDS):
            torture.round(SECONDS)
        assert torture.oracle.acknowledged.total() > ROUNDS


def test_only_what_is_synced_is_relied_on(tmp_path: Path, servers: Servers) -> None:
    """
    DS-01: also where a disk keeps nothing that nobody asked it to.
    """
    with _torture(ShadowDisk(tmp_path), tmp_path, servers, cutting=True) as torture:
        for _ in range(3):
            torture.round(SECONDS)


def test_the_shadow_forgets_what_was_not_synced(tmp_path: Path) -> None:
    disk = ShadowDisk(tmp_path)
    for name in ("kept", "named", "unnamed"):
        (disk.mail / name).write_text(name)
    disk.synced(str(disk.mail / "kept"))
    (disk.mail / "unnamed").unlink()
    disk.synced(str(disk.mail))
    (disk.mail / "kept").write_text("more")
    (disk.mail / "unnamed").write_text("late")
    disk.synced(str(disk.mail / "unnamed"))
    disk.recover()
    assert {path.name: path.read_text() for path in disk.mail.iterdir()} == {
        "kept": "kept",
        "named": "",
    }


# ---- the oracle notices ---------------------------------------------------------------------

ONE, TWO = Message("1", frozenset()), Message("2", frozenset({"\\seen"}))


def _oracle(*commands: Command) -> Oracle:
    oracle = Oracle({"INBOX": Mailbox(7, 3, {1: ONE, 2: TWO}, 50), "Work": Mailbox(8, 1)})
    oracle.used[7, False] = {1: "1", 2: "2"}
    for number, command in enumerate(commands):
        oracle.begin(str(number), command)
    return oracle


def _found(**changes: object) -> Found:
    inbox = attrs.evolve(Mailbox(7, 3, {1: ONE, 2: TWO}, 50), **changes)  # type: ignore[arg-type]
    return Found({"INBOX": inbox, "Work": Mailbox(8, 1)}, set())


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"messages": {1: ONE}}, "UID 2 is missing"),
        ({"messages": {1: ONE, 2: ONE}}, "was used twice"),
        ({"messages": {1: ONE, 2: Message("2", frozenset())}}, "not"),
        ({"messages": {1: ONE, 2: TWO, 3: ONE}, "uid_next": 4}, "must not be there"),
        ({"validity": 9}, "UIDVALIDITY"),
        ({"uid_next": 2}, "UIDNEXT"),
        ({"modseq": 49}, "HIGHESTMODSEQ"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_the_oracle_notices_a_loss(changes: dict[str, object], said: str) -> None:
    _oracle().judge(_found())
    with pytest.raises(Wrong, match=said):
        _oracle().judge(_found(**changes))


def test_the_oracle_takes_a_command_without_an_answer_whole_or_not_at_all() -> None:
    three, four = Message("3", frozenset()), Message("4", frozenset())
    append = Command("append", "INBOX", messages=(three, four))
    both = {1: ONE, 2: TWO, 3: three, 4: four}
    _oracle(append).judge(_found())
    _oracle(append).judge(_found(messages=both, uid_next=5))
    with pytest.raises(Wrong, match="1 of 2 messages"):
        _oracle(append).judge(_found(messages={1: ONE, 2: TWO, 3: three}, uid_next=4))
    seen = {1: frozenset({"\\flagged"}), 2: frozenset({"\\flagged"})}
    store = Command("store", "INBOX", uids=(1, 2), flags=seen)
    half = {1: attrs.evolve(ONE, flags=seen[1]), 2: TWO}
    with pytest.raises(Wrong, match="by half"):
        _oracle(store).judge(_found(messages=half))
    move = Command("move", "Work", "INBOX", (1, 2), (ONE, TWO))
    moved = _found(messages={2: TWO})
    moved.mailboxes["Work"] = Mailbox(8, 2, {1: ONE})
    with pytest.raises(Wrong, match="MOVE by half"):
        _oracle(move).judge(moved)
    expunge = Command("expunge", "INBOX", uids=(1,))
    _oracle(expunge).judge(_found(messages={2: TWO}))
