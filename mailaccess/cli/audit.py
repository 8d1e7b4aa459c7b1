"""
C{mailaccess audit FILE}: who still logs in in the clear, from where, with what, how often; and
whose password others could read.
"""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from collections.abc import Iterator, Sequence

from mailaccess.services.audit.facts import Row, moment

from . import kept
from .command import Command

_HEAD = ("user", "address", "listener", "mechanism", "client", "policy", "password", "times")


def _arguments(parser: ArgumentParser) -> None:
    kept.add_arguments(parser)
    parser.add_argument(
        "--exposed", action="store_true", help="only users who must change their password"
    )


def _run(chosen: Namespace) -> int:
    _, database = kept.opened(chosen)
    with database:
        rows = list(database.rows(since=chosen.since, user=chosen.user, listener=chosen.listener))
        lost = database.lost()
    if chosen.exposed:
        rows = [each for each in rows if each.facts.must_change]
    if chosen.json:
        kept.print_json(
            rows=[each.as_json() for each in rows], must_change=must_change(rows), lost=lost
        )
    elif chosen.csv:
        records = [each.as_json() for each in rows]
        head = list(records[0]) if records else ["user"]
        kept.print_csv(head, ([each[key] for key in head] for each in records))
    else:
        print("\n".join([*_as_text(rows), *kept.lost_lines(lost)]))
    return 0


def must_change(rows: Sequence[Row]) -> list[str]:
    """
    Users whose password crossed in the clear and was right, or was not compared.
    """
    return sorted({each.facts.user for each in rows if each.facts.must_change and each.facts.user})


def _as_text(rows: Sequence[Row]) -> Iterator[str]:
    if not rows:
        yield "nobody"
        return
    yield from kept.table(
        (*_HEAD, "first", "last", "rule"),
        (
            (
                it.facts.user,
                it.facts.address,
                it.facts.listener,
                it.facts.mechanism,
                it.facts.client,
                it.facts.outcome,
                f"{it.facts.result}{', exposed' if it.facts.exposed else ''}",
                it.count,
                moment(it.first),
                moment(it.last),
                f"{it.facts.rule} ({it.facts.source})",
            )
            for it in rows
        ),
    )
    names = must_change(rows)
    if names:
        yield ""
        yield from kept.names_lines("others could read the password of:", names)


command = Command(
    "audit",
    "list who logs in in the clear, and whose password others could read",
    "List what the server has kept of logins with a password on a connection that is not private:"
    " who, from where, with what, how often, first and last time, and whether others could read the"
    " password. Works while the server runs.",
    _arguments,
    _run,
)
