"""
C{mailaccess shadow FILE}: who would be cut off by the policy that is tried out.
"""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from collections.abc import Iterator, Sequence
from typing import Any

from mailaccess.services.audit.facts import Row, moment
from mailaccess.services.audit.shadow import fingerprint
from mailaccess.services.config import read_text

from . import kept
from .command import Command, Failed

_HEAD = ("effect", "user", "address", "listener", "mechanism", "client", "connection", "times")


def _arguments(parser: ArgumentParser) -> None:
    kept.add_arguments(parser)
    parser.add_argument(
        "--all",
        action="store_true",
        help="what earlier versions of the shadow file said, too; without it, only the present one",
    )


def _run(chosen: Namespace) -> int:
    settings, database = kept.opened(chosen)
    path = settings.shadow.policy
    if not path and not chosen.all:
        database.close()
        raise Failed(f"{chosen.file}: tries out nothing; add policy to [shadow]")
    policy = None if chosen.all else fingerprint(read_text(path))
    with database:
        rows = [
            each
            for each in database.rows(
                since=chosen.since, user=chosen.user, listener=chosen.listener, policy=policy
            )
            if each.facts.policy
        ]
    if chosen.json:
        kept.print_json(policy=policy, rows=[_as_json(each) for each in rows])
    elif chosen.csv:
        records = [_as_json(each) for each in rows]
        head = list(records[0]) if records else ["effect"]
        kept.print_csv(head, ([each[key] for key in head] for each in records))
    else:
        print("\n".join(_as_text(rows)))
    return 0


def effect(row: Row) -> str:
    """
    What the shadow policy would change for a login.
    """
    return "cut off" if row.facts.shadow == "refused" else "let in"


def _as_json(row: Row) -> dict[str, Any]:
    return {"effect": effect(row), **row.as_json()}


def _as_text(rows: Sequence[Row]) -> Iterator[str]:
    if not rows:
        yield "nobody would notice"
        return
    yield from kept.table(
        (*_HEAD, "first", "last", "rule"),
        (
            (
                effect(it),
                it.facts.user,
                it.facts.address,
                it.facts.listener,
                it.facts.mechanism,
                it.facts.client,
                it.facts.tls or it.facts.layer,
                it.count,
                moment(it.first),
                moment(it.last),
                f"{it.facts.rule} ({it.facts.source})",
            )
            for it in sorted(rows, key=effect)
        ),
    )
    gone = {each.facts.user for each in rows if effect(each) == "cut off" and each.facts.user}
    yield ""
    yield f"{len(gone)} user{'' if len(gone) == 1 else 's'} would be cut off"


command = Command(
    "shadow",
    "list who would be cut off by the policy that is tried out",
    "List the logins that the shadow policy of [shadow] would have decided otherwise: who, from"
    " where, with what, since when, and the rule of the shadow file that decided. Works while the"
    " server runs.",
    _arguments,
    _run,
)
