"""
Every order of steps up to a length, and what was found so; C{make torture} takes longer ones.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from mailaccess.interfaces import FLAGGED
from mailaccess.store.disk import Tree
from mailaccess.store.maildir import index, intents, uidlist
from mailaccess.store.maildir.arrivals import Arrivals
from mailaccess.store.maildir.deliver import Deliver, Part, Remove
from mailaccess.store.maildir.fsck_mend import done
from mailaccess.store.maildir.scan import Sighting
from mailaccess.store.maildir.take import Take
from tests.torture.histories import History, histories, live, make_template

FAILING = re.compile("[xydkcpqr]")
"""Steps in which something fails."""


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Path]:
    """
    In memory, where that is possible: nothing here depends on a disk, and histories are many.
    """
    memory = "/dev/shm"
    made = tempfile.mkdtemp(dir=memory if os.access(memory, os.W_OK) else tmp_path)
    yield Path(made)
    shutil.rmtree(made)


@pytest.fixture
def template(place: Path) -> Path:
    made = place / "template"
    make_template(made)
    return made


@pytest.mark.parametrize(
    "steps",
    [
        # The name that was seen is one that mirroring passed through, and is what it was again.
        "R+l-m+T",
        "R+mL-m+TR",
        # It was seen while it was mirrored, which failed.
        "R+yT",
        # Another process stores what the name tells of one that died.
        "+k-",
        "+-+k-RLT",
        # The same where a third program renames meanwhile.
        "+kf-",
        "+df-",
        # What was noted comes back after a power cut.
        "+m-c",
        "+m-m+c",
    ],
)
def test_a_name_of_our_own_is_never_taken_for_a_change_by_others(
    place: Path, template: Path, steps: str
) -> None:
    """
    DS-01, DS-02: a flag that was stored, and acknowledged, went with it.
    """
    live(template, place / "mail", steps)


def test_no_order_of_steps_loses_a_flag_or_brings_one_back(place: Path, template: Path) -> None:
    """
    DS-06.
    """
    chosen = [each for each in histories(6, False) if not FAILING.search(each)]
    assert len(chosen) > 300
    for steps in chosen:
        live(template, place / "mail", steps)


def test_no_failure_or_death_or_power_cut_loses_a_flag_or_brings_one_back(
    place: Path, template: Path
) -> None:
    """
    DS-01, DS-02, DS-10.
    """
    chosen = list(histories(4, False))
    assert len(chosen) > 300
    for steps in chosen:
        live(template, place / "mail", steps)


def test_what_another_program_renames_is_merged_in_every_order(place: Path, template: Path) -> None:
    """
    DS-06, DS-08.
    """
    chosen = [each for each in histories(4, True) if "f" in each]
    assert len(chosen) > 100
    for steps in chosen:
        live(template, place / "mail", steps)


# ---- what else a look may have seen ----------------------------------------------------------


@pytest.fixture
def history(template: Path) -> Iterator[History]:
    made = History(template)
    yield made
    made.end()


def _uids(history: History) -> list[int]:
    return [row[0] for row in history.ledger.index.messages(history.box, 1)]


def test_a_message_that_is_expunged_before_it_is_taken_in_does_not_come_back(
    history: History,
) -> None:
    """
    DS-02: it was uploaded and expunged while the directory was looked at.
    """
    history.step("R")
    part = Part((), None, [b"a: b\r\n\r\nc\r\n"])
    done(history.ledger.run([Deliver(history.box, "", [part])]))
    history.step("L")
    assert history.looking is not None
    assert history.looking.sighting is not None
    assert len(history.looking.sighting.arrivals) == 1
    done(history.ledger.run([Remove(history.box, [2], False)]))
    history.step("T")
    assert _uids(history) == [1]


def test_a_file_that_is_there_is_not_expunged_whatever_a_look_says(history: History) -> None:
    """
    DS-06.
    """
    ((_, name),) = history.ledger.index.names(history.box, [(1, 9)])
    sighting = Sighting(True, 2, 0, 0, False, Arrivals(), [], [(1, name)])
    assert done(history.ledger.run([Take(history.box, sighting)])).removed == []
    os.unlink(f"{history.path}/cur/{name}")
    assert done(history.ledger.run([Take(history.box, sighting)])).removed == [1]


def test_a_file_that_was_listed_twice_while_it_was_renamed_stays_one_message(
    history: History,
) -> None:
    """
    DS-06: it has the name by now that looked like a second file.
    """
    ((_, name),) = history.ledger.index.names(history.box, [(1, 9)])
    arrivals = Arrivals()
    arrivals.add(name, 7, 0, rename=True)
    sighting = Sighting(True, 2, 0, 0, False, arrivals, [], [])
    done(history.ledger.run([Take(history.box, sighting)]))
    assert _uids(history) == [1]
    assert os.listdir(f"{history.path}/cur") == [name]


def test_a_name_is_durable_before_the_record_knows_it(history: History) -> None:
    """
    DS-01: a power cut would take back the flags in it, also if a client stored them since.
    """
    for step in "fRL":
        history.step(step)
    history.disk.synced.clear()
    history.step("T")
    assert history.disk.synced == ["cur"]
    assert history.flags() == FLAGGED


def test_lines_behind_those_of_a_process_that_died_are_synced(history: History) -> None:
    """
    DS-04: what it listed gives the same UIDs to other files. Those lines may be on the disk when a
    power cut takes ours away.
    """

    def upload() -> bool:
        history.disk.synced.clear()
        part = Part((), None, [b"a: b\r\n\r\nc\r\n"])
        done(history.ledger.run([Deliver(history.box, "", [part])]))
        return uidlist.FILE in history.disk.synced

    assert upload()
    assert not upload()
    with open(f"{history.path}/{uidlist.FILE}", "a") as file:
        file.write("\n4 left.behind\n")
    assert upload()
    assert not upload()


def test_only_own_notes_are_emptied(history: History, monkeypatch: pytest.MonkeyPatch) -> None:
    """
    DS-16: the next process may begin as soon as the commit is done.
    """
    path = f"{history.path}/{index.DIRECTORY}/{intents.FILE}"
    locked = []
    real = intents.clear

    def clear(tree: Tree) -> None:
        with open(path, "rb") as other, contextlib.suppress(BlockingIOError):
            fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)
            locked.append(False)
        locked.append(True)
        real(tree)

    monkeypatch.setattr(intents, "clear", clear)
    for step in "+m-k+m-m":
        history.step(step)
    # Mirroring thrice, and what the dead one left.
    assert locked == [True] * 4
