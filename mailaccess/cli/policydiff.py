"""
C{mailaccess policy-diff OLD NEW}: what a change of the configuration changes for whom.
"""

from __future__ import annotations

import json
from argparse import ArgumentParser, Namespace
from collections.abc import Sequence
from typing import Any

from mailaccess.policy.tls import Decision
from mailaccess.services.matrix import ANYONE, Audience, Change, audiences, changes, matrix, touched
from mailaccess.services.rehearsal import Rehearsal

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
    people = {each.label: each for each in [*audiences(old), *audiences(new)]}
    everybody = list(people.values())
    say_unknown(old, new)
    found = changes(matrix(old, everybody), matrix(new, everybody))
    users = {
        label: _users(people[label], old, new)
        for label in dict.fromkeys(each.cell.audience for each in found)
    }
    if chosen.json:
        print(json.dumps([_as_json(each, users) for each in found], indent=1, ensure_ascii=False))
    elif not found:
        print("nothing changes")
    else:
        for each in found:
            print("\n".join(_as_text(each, users)))
    return 1 if any(each.opens for each in found) else 0


def _users(audience: Audience, old: Rehearsal, new: Rehearsal) -> list[str] | None:
    """
    Who is touched; None for everybody without a rule.
    """
    if audience.label == ANYONE.label:
        return None
    return sorted({*touched(old, audience), *touched(new, audience)})


def _kind(change: Change) -> str:
    if change.opens:
        return "opens"
    return "closes" if change.closes else "changes"


def _as_text(change: Change, users: dict[str, list[str] | None]) -> Sequence[str]:
    cell = change.cell
    names = users[cell.audience]
    lines = [
        f"{_kind(change)}: {cell.listener}, {cell.connection}, {cell.audience}:"
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


def _as_json(change: Change, users: dict[str, list[str] | None]) -> dict[str, Any]:
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
        "names": users[change.cell.audience],
    }


command = Command(
    "policy-diff",
    "say what a change of the configuration changes for whom",
    "Compare two configuration files and print every decision that is another one, with the users"
    " it touches. The exit status is 1 if somebody is let in who was not before.",
    _arguments,
    _run,
)
