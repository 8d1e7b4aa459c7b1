"""
C{mailaccess policy-diff OLD NEW}: what a change of the configuration changes for whom.
"""

from __future__ import annotations

import json
from argparse import ArgumentParser, Namespace
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from mailaccess.policy.tls import Decision
from mailaccess.services.differences import Change, compare

from .command import Command
from .explain import rehearse, say_unknown

MOST_NAMES = 10
"""Of users whom a change touches, so many are named."""


def _arguments(parser: ArgumentParser) -> None:
    parser.add_argument("old", help="the configuration file as it was")
    parser.add_argument("new", help="the configuration file as it shall be")
    parser.add_argument("--json", action="store_true", help="print JSON")


def _run(chosen: Namespace) -> int:
    old, new = rehearse(chosen.old), rehearse(chosen.new)
    found = compare(old, new)
    say_unknown(old, new)
    if chosen.json:
        print(json.dumps([_as_json(each) for each in found], indent=1, ensure_ascii=False))
    elif not found:
        print("nothing changes")
    else:
        for each in found:
            print("\n".join(_as_text(each)))
    return 1 if any(each.opens for each in found) else 0


def _kind(change: Change) -> str:
    if change.opens:
        return "opens"
    return "closes" if change.closes else "changes"


def _day(change: Change) -> str:
    """
    The first day on which it holds, if that is not today.
    """
    return f"{datetime.fromtimestamp(change.at, UTC):%Y-%m-%d}" if change.at else ""


def _as_text(change: Change) -> Sequence[str]:
    cell, names, day = change.cell, change.names, _day(change)
    when = f" from {day} on" if day else ""
    lines = [
        f"{_kind(change)}{when}: {cell.listener}, {cell.connection}, {cell.audience}:"
        f" {', '.join(change.mechanisms)}",
        f"    was {_shown(change.before)}",
        f"    is  {_shown(change.after)}",
    ]
    if names is not None:
        more = f" and {len(names) - MOST_NAMES} more" if len(names) > MOST_NAMES else ""
        who = ", ".join(names[:MOST_NAMES]) or "nobody with a record here"
        lines.append(f"    for {who}{more}")
    return lines


def _shown(decision: Decision | None) -> str:
    if decision is None:
        return "refuse: not there"
    return f"{decision.verdict.value}: {decision.rule} ({decision.source})"


def _as_json(change: Change) -> dict[str, Any]:
    def side(decision: Decision | None) -> dict[str, str] | None:
        if decision is None:
            return None
        return {
            "verdict": decision.verdict.value,
            "rule": decision.rule,
            "source": decision.source,
        }

    return {
        "change": _kind(change),
        "listener": change.cell.listener,
        "connection": change.cell.connection,
        "users": change.cell.audience,
        "mechanisms": list(change.mechanisms),
        "before": side(change.before),
        "after": side(change.after),
        "names": None if change.names is None else list(change.names),
        "from": _day(change) or None,
    }


command = Command(
    "policy-diff",
    "say what a change of the configuration changes for whom",
    "Compare two configuration files and print every decision that is another one, with the users"
    " it touches, also those of later days, when an exception lapses in one of them. The exit"
    " status is 1 if somebody is let in who was not before.",
    _arguments,
    _run,
)
