"""
C{mailaccess quota}: what accounts hold and may hold.

    mailaccess quota mailaccess.toml amy                  look
    mailaccess quota mailaccess.toml --all --json         all accounts, for a program to read
    mailaccess quota mailaccess.toml amy --recalculate    count anew, and write maildirsize anew
"""

from __future__ import annotations

import json
import sys
from argparse import ArgumentParser, Namespace
from typing import Any

import apsw

from mailaccess.auth.chain import CheckerChain
from mailaccess.errors import DirectoryUnavailable, Refused
from mailaccess.interfaces import Identity
from mailaccess.services.config import load
from mailaccess.services.quotas import Quotas, Stated
from mailaccess.services.records import NotReadable, records
from mailaccess.services.rehearsal import now
from mailaccess.store.disk import Disk
from mailaccess.store.maildir.counted import Holding, holding, recount
from mailaccess.store.quota import UNLIMITED, Quota

from .accounts import maildirs_of
from .command import Command, Failed
from .owners import as_owner

WITHIN, OVER, NOT_TOLD = 0, 1, 2
_KILOBYTE = 1024


def _arguments(parser: ArgumentParser) -> None:
    parser.add_argument("file", help="the configuration file")
    parser.add_argument("account", nargs="?", help="user name")
    parser.add_argument("--all", action="store_true", help="all accounts that have mail")
    parser.add_argument(
        "--recalculate",
        action="store_true",
        help="take in what was delivered, count all messages, and write maildirsize anew",
    )
    parser.add_argument("--json", action="store_true", help="one JSON object per account")


def _run(chosen: Namespace) -> int:
    if bool(chosen.account) == chosen.all:
        raise Failed("give an account or --all")
    settings = load(chosen.file)
    try:
        people = records(settings)
    except NotReadable as error:
        raise Failed(str(error)) from None
    quotas, worst = Quotas(settings.quota), WITHIN
    nobodys = {each.prefix for each in settings.namespace}
    for name, path in maildirs_of(settings, chosen.account):
        try:
            # What many share keeps to its maildirsize alone.
            stated = None if name in nobodys else stated_for(people, quotas, name)
            found = _held(path, stated, recalculate=chosen.recalculate)
        except (OSError, apsw.Error, Refused, ValueError) as error:
            text = error.detail if isinstance(error, Refused) else str(error)
            print(f"{name}: cannot be told: {text}", file=sys.stderr)
            worst = NOT_TOLD
            continue
        told = _told(name, path, stated, found)
        print(json.dumps(told) if chosen.json else _line(told), flush=True)
        worst = max(worst, OVER if told["over"] else WITHIN)
    return worst


def stated_for(people: CheckerChain, quotas: Quotas, name: str) -> Stated | None:
    """
    The limits of a user, by the record and the tables.

    @raise ValueError: the record is not understood
    @raise DirectoryUnavailable: it cannot be read
    """
    try:
        found: Identity | None = now(people.person(name))
        fields = found.fields if found is not None else now(people.attributes(name))
    except DirectoryUnavailable:
        raise
    except Refused:
        # May not log in; the mail is there all the same.
        fields = None
    return quotas.stated(name, fields or {})


def _held(path: str, stated: Stated | None, *, recalculate: bool) -> Holding:
    with as_owner(path):
        if recalculate:
            recount(Disk(), path, stated.allowance if stated is not None else None)
        return holding(Disk(), path)


def _told(name: str, path: str, stated: Stated | None, found: Holding) -> dict[str, Any]:
    source = ""
    allowance = UNLIMITED
    if stated is not None:
        allowance, source = stated.allowance, stated.source
    elif found.defined:
        allowance, source = found.defined, "maildirsize"
    return {
        "account": name,
        "maildir": path,
        "octets": found.octets,
        "messages": found.messages,
        "octets_allowed": allowance.octets,
        "messages_allowed": allowance.messages,
        "percent": Quota("", found.octets, found.messages, allowance).percent,
        "over": not allowance.fits(found.octets, found.messages),
        "source": source,
    }


def _line(told: dict[str, Any]) -> str:
    octets = f"{_size(told['octets'])} of {_size(told['octets_allowed'])}"
    allowed = told["messages_allowed"]
    messages = f"{told['messages']} of {'any number' if allowed is None else allowed}"
    limited = (told["octets_allowed"], allowed) != (None, None)
    over = " OVER" if told["over"] else ""
    full = f"{told['percent']}%{over}, limits: {told['source']}" if limited else "no limits"
    return f"{told['account']}: {octets}, {messages} messages ({full})"


def _size(octets: int | None) -> str:
    if octets is None:
        return "any size"
    amount, unit = float(octets), "B"
    for larger in ("kB", "MB", "GB", "TB"):
        if amount < _KILOBYTE:
            break
        amount, unit = amount / _KILOBYTE, larger
    return f"{amount:.0f} {unit}" if unit == "B" else f"{amount:.1f} {unit}"


command = Command(
    "quota",
    "tell what accounts hold and may hold",
    "Tell for an account, or for all that have mail, how much it holds, how much it may hold and"
    " where that is written. Exit status: 0 all are within their limits, 1 somebody is over, 2 of"
    " somebody it cannot be told.",
    _arguments,
    _run,
)
