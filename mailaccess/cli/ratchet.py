"""
C{mailaccess ratchet FILE}: who may not log in in the clear any more; let somebody go.
"""

from __future__ import annotations

import time
from argparse import ArgumentParser, Namespace
from collections.abc import Iterator, Sequence
from typing import Any

from mailaccess.auth.names import BadName, canonical_name
from mailaccess.services.audit.database import Standing
from mailaccess.services.audit.facts import moment
from mailaccess.services.audit.ratchet import Ratchet
from mailaccess.services.audit.service import ratchet_of
from mailaccess.services.settings import Settings

from . import kept
from .command import Command, Failed


def _arguments(parser: ArgumentParser) -> None:
    parser.add_argument("file", help="the configuration file")
    parser.add_argument("action", nargs="?", choices=("list", "release"), default="list")
    parser.add_argument("user", nargs="*", help="whom to release")
    parser.add_argument("--json", action="store_true", help="print JSON")


def _run(chosen: Namespace) -> int:
    settings, database = kept.opened(chosen)
    with database:
        if chosen.action == "release":
            if not chosen.user:
                raise Failed("name the users to release")
            now = int(time.time())
            names = [_name(each, settings) for each in chosen.user]
            held = {each: database.release(each, now) for each in names}
            for name, was in held.items():
                print(f"{name}: {'released; the count begins anew' if was else 'is not held'}")
            return 0 if all(held.values()) else 1
        if chosen.user:
            raise Failed("list takes no names")
        standings = database.standings()
    ratchet = ratchet_of(settings)
    if chosen.json:
        kept.print_json(users=[_as_json(each, ratchet) for each in standings])
    else:
        print("\n".join(_as_text(standings, ratchet)))
    return 0


def _name(typed: str, settings: Settings) -> str:
    try:
        return canonical_name(typed, settings.mail.domain)
    except BadName as error:
        raise Failed(f"{typed!r}: {error}") from None


def state(it: Standing, ratchet: Ratchet) -> str:
    """
    C{held}, C{exempt}, C{off} or C{waiting}.
    """
    if ratchet.exempts(it.user):
        return "exempt"
    if not it.since:
        return "waiting"
    return "held" if ratchet.after else "off"


def _as_json(it: Standing, ratchet: Ratchet) -> dict[str, Any]:
    return {
        "user": it.user,
        "state": state(it, ratchet),
        "since": moment(it.since) if it.since else None,
        "first": moment(it.first),
        "last": moment(it.last),
        "logins": it.count,
    }


def _as_text(standings: Sequence[Standing], ratchet: Ratchet) -> Iterator[str]:
    if not standings:
        yield "nobody"
        return
    yield from kept.table(
        ("user", "state", "since", "logins with TLS", "first", "last"),
        (
            (
                it.user,
                state(it, ratchet),
                moment(it.since) if it.since else "",
                it.count,
                moment(it.first),
                moment(it.last),
            )
            for it in sorted(standings, key=lambda each: (not each.since, each.user))
        ),
    )
    if not ratchet.after:
        yield ""
        yield "the ratchet is off; add after to [ratchet]"


command = Command(
    "ratchet",
    "list who may not log in in the clear any more, or let them",
    "List the users who have used nothing but TLS, and those whom the ratchet therefore refuses in"
    " the clear; release some of them. A running server follows within seconds.",
    _arguments,
    _run,
)
