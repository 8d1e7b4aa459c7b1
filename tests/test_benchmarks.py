"""
The benchmarks run, and say what they measured; how much they measured is not judged here.
"""

from __future__ import annotations

import email
import email.policy
import hashlib
import importlib
import json
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import attrs
import pytest

from benchmarks import __main__ as command
from benchmarks import mail
from benchmarks.figures import Figure, Plan, against, table, take_turns
from benchmarks.probe import Probe


@pytest.fixture
def tiny() -> Iterator[Plan]:
    # Not in pytest's own directories, which are closed to the user that Dovecot's mail belongs to.
    place = Path(tempfile.mkdtemp(prefix="mailaccess-test-"))
    place.chmod(0o755)
    yield Plan(
        place=place,
        rounds=1,
        seconds=0.05,
        memory=8,
        idlers=8,
        accounts=4,
        messages=40,
        folders=12,
        million=30,
    )
    shutil.rmtree(place)


@pytest.mark.parametrize("name", command.NAMES)
def test_each_benchmark_gives_figures(name: str, tiny: Plan) -> None:
    figures = list(importlib.import_module(f"benchmarks.{name}").run(tiny))
    assert figures
    for each in figures:
        # So few connections may fit into memory that is there already.
        assert each.ours > 0 or each.unit in ("KB", "MB", "us")
        assert (each.met is None) == (not each.goal)
    assert len({each.name for each in figures if not each.name.startswith(" ")}) > len(figures) // 3


def test_the_mailbox_is_the_same_everywhere() -> None:
    digest = hashlib.sha256(b"".join(mail.message(each) for each in range(100)))
    assert digest.hexdigest() == (
        "5467d54803716e3384384253aa5a953f4c7f018f15c6bd0b4d8d36b9c6c0c5f6"
    )


def test_the_mailbox_is_filled_in_the_order_of_its_numbers(tmp_path: Path) -> None:
    octets = mail.fill(tmp_path, 24)
    names = sorted(each.name for each in (tmp_path / "cur").iterdir())
    assert [each.partition(".M")[2].partition("P")[0] for each in names] == [
        str(each) for each in range(24)
    ]
    assert octets == sum(each.stat().st_size for each in (tmp_path / "cur").iterdir())
    assert sum("S" not in each.rpartition(",")[2] for each in names) == 3


def test_messages_are_well_formed_and_of_several_kinds() -> None:
    kinds = set()
    for number in range(16):
        parsed = email.message_from_bytes(mail.message(number), policy=email.policy.default)
        assert not parsed.defects
        assert not any(part.defects for part in parsed.walk())
        assert parsed["Message-ID"] == f"<{number:08x}@example.org>"
        assert parsed["Date"].datetime.year == 2019
        kinds.add(parsed.get_content_type())
    assert kinds == {"text/plain", "multipart/alternative", "multipart/mixed"}


def test_sides_take_turns() -> None:
    order: list[str] = []

    def side(name: str) -> Any:
        return lambda: order.append(name) or len(order)

    assert take_turns(3, (side("A"), side("B"))) == [[1, 3, 5], [2, 4, 6]]
    assert order == ["A", "B"] * 3


def test_goals_are_judged_by_medians() -> None:
    faster = against("it", "/s", [1, 60, 1000], [90, 100, 110], "floor", least=0.6)
    assert (faster.ours, faster.beside, faster.ratio, faster.met) == (60, 100, 0.6, True)
    assert against("it", "/s", [59], [100], "floor", least=0.6).met is False
    assert against("it", "ms", [101], [100], "peer", most=1.0).met is False
    assert against("it", "ms", [100], [100], "peer", most=1.0).met is True


def test_a_goal_is_not_judged_where_the_peer_is_missing() -> None:
    alone = against("it", "ms", [5.0], [], "Dovecot", most=1.0)
    assert (alone.met, alone.goal, alone.ratio, alone.beside) == (None, "", None, None)
    assert "Dovecot: not here" in table([alone])


def test_the_table_shows_what_was_missed_and_why_it_matters() -> None:
    figure = Figure(name="logins", unit="/s", ours=1234.5, note="a hash each").to_goal(
        ">= 2,000 /s", False
    )
    text = table([figure])
    assert "logins [1]" in text
    assert "1,234 /s" in text
    assert "NO" in text
    assert text.endswith("[1] a hash each")


def test_who_was_held_up_counts_from_when_it_was_due() -> None:
    probe = Probe(None, Path())  # type: ignore[arg-type]
    probe._waits = [(1.0, 0.1), (1.5, 0.3), (1.6, 0.2), (3.0, 9.0)]
    assert probe.waits([(0.9, 1.55), (1.58, 2.0)]) == [0.1, 0.2, 0.3]


def test_the_command_writes_figures_and_fails_when_a_goal_is_missed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    seen: list[Plan] = []
    result = Figure(name="speed", unit="/s", ours=1.0)

    class Module:
        @staticmethod
        def run(plan: Plan) -> list[Figure]:
            seen.append(plan)
            return [result]

    monkeypatch.setattr(command.importlib, "import_module", lambda _name: Module)
    written = tmp_path / "figures.json"
    assert command.main(["--quick", "--only", "noop", "--json", str(written)]) == 0
    assert not seen[0].place.exists()
    assert seen[0].messages < Plan(place=tmp_path).messages
    values = json.loads(written.read_text())
    assert values["figures"] == [attrs.asdict(result)]
    assert "Python" in values["machine"]
    assert "speed" in capsys.readouterr().out

    result = result.to_goal(">= 2 /s", False)
    assert command.main(["--only", "noop"]) == 1
