"""
What is measured: plans, figures and the table of them.
"""

from __future__ import annotations

import os
import platform
import statistics
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

import attrs

T = TypeVar("T")


@attrs.frozen(kw_only=True)
class Plan:
    """
    How much is measured.

    @ivar place: an empty directory for what is needed
    @ivar rounds: how often each side has its turn
    @ivar seconds: how long a turn takes, where time is what is given
    @ivar memory: connections that are held to see what one costs
    @ivar idlers: connections in IDLE, spread over C{accounts} accounts
    @ivar messages: messages of the big mailbox
    @ivar folders: folders of the account that has many
    @ivar million: messages of the huge mailbox; none if that is not wanted
    """

    place: Path
    rounds: int = 3
    seconds: float = 2.0
    memory: int = 2000
    idlers: int = 10000
    accounts: int = 1000
    messages: int = 20000
    folders: int = 10000
    million: int = 0


@attrs.frozen(kw_only=True)
class Figure:
    """
    One figure beside another.

    @ivar beside: the figure of the floor or the peer, if there is one
    @ivar ratio: ours to it, as the goal is meant; of medians
    @ivar goal: in words; empty if the figure is only reported
    @ivar met: whether the goal is
    @ivar note: what a reader has to know to judge it
    """

    name: str
    unit: str
    ours: float
    beside: float | None = None
    peer: str = ""
    ratio: float | None = None
    goal: str = ""
    met: bool | None = None
    note: str = ""

    def to_goal(self, goal: str, met: bool) -> Figure:
        """
        The same, held to a goal of its own.
        """
        return attrs.evolve(self, goal=goal, met=met)


def against(
    name: str,
    unit: str,
    ours: Sequence[float],
    theirs: Sequence[float],
    peer: str,
    *,
    least: float | None = None,
    most: float | None = None,
    note: str = "",
) -> Figure:
    """
    The medians of both sides.

    @param least: goal: this many times the other side's figure, or more
    @param most: goal: this many times, or less
    """
    mine = statistics.median(ours)
    other = statistics.median(theirs) if theirs else None
    ratio = mine / other if other else None
    goal, met = "", None
    if ratio is not None and least is not None:
        goal, met = f">= {least:g} x", ratio >= least
    elif ratio is not None and most is not None:
        goal, met = f"<= {most:g} x", ratio <= most
    return Figure(
        name=name,
        unit=unit,
        ours=mine,
        beside=other,
        peer=peer if other is not None else f"{peer}: not here",
        ratio=ratio,
        goal=goal,
        met=met,
        note=note,
    )


def best(
    taken: Mapping[str, Sequence[float]], better: Callable[..., str]
) -> tuple[Sequence[float], str]:
    """
    The figures of the best peer, by the median, and its name; none if there is no peer.

    @param better: C{min} or C{max}
    """
    if not taken:
        return (), "no peer"
    name = better(taken, key=lambda peer: statistics.median(taken[peer]))
    return taken[name], name


def take_turns(rounds: int, sides: Sequence[Callable[[], T]]) -> list[list[T]]:
    """
    Each side once a round, A B A B; what each of them gave.
    """
    results: list[list[T]] = [[] for _ in sides]
    for _ in range(rounds):
        for side, result in zip(sides, results, strict=True):
            result.append(side())
    return results


def number(value: float | None) -> str:
    """
    Three digits that mean something, without exponents.
    """
    if value is None:
        return ""
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.3g}"


def table(figures: Iterable[Figure]) -> str:
    """
    For people to read.
    """
    head = ("what", "ours", "beside it", "", "ratio", "goal", "met")
    lines: list[tuple[str, ...]] = [head]
    notes = []
    for each in figures:
        mark = ""
        if each.note:
            notes.append(each.note)
            mark = f" [{len(notes)}]"
        lines.append(
            (
                each.name + mark,
                f"{number(each.ours)} {each.unit}",
                number(each.beside),
                each.peer,
                number(each.ratio),
                each.goal,
                {True: "yes", False: "NO", None: ""}[each.met],
            )
        )
    widths = [max(len(line[column]) for line in lines) for column in range(len(head))]
    lines.insert(1, tuple("-" * width for width in widths))
    right = (False, True, True, False, True, False, False)
    text = [
        "  ".join(
            cell.rjust(width) if to_the_right else cell.ljust(width)
            for cell, width, to_the_right in zip(line, widths, right, strict=True)
        ).rstrip()
        for line in lines
    ]
    text += [f"[{index}] {note}" for index, note in enumerate(notes, 1)]
    return "\n".join(text)


def machine() -> str:
    """
    The machine in a line, and how busy it was.
    """
    model = memory = "unknown"
    for path, key in (("/proc/cpuinfo", "model name"), ("/proc/meminfo", "MemTotal")):
        try:
            text = Path(path).read_text(encoding="ascii", errors="replace")
        except OSError:
            continue
        for line in text.splitlines():
            if line.startswith(key):
                value = line.partition(":")[2].strip()
                if key == "MemTotal":
                    memory = f"{int(value.split()[0]) / 2**20:.0f} GB"
                else:
                    model = value
                break
    load = ", ".join(f"{each:.2f}" for each in os.getloadavg())
    return (
        f"{os.cpu_count()} x {model}, {memory}, {platform.system()} {platform.release()},"
        f" Python {platform.python_version()}, load {load}"
    )
