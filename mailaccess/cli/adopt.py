"""
C{mailaccess adopt}: take over Maildirs from Dovecot or Courier ahead of the first login.

    mailaccess adopt --dry-run /srv/mail/amy           what would be kept
    mailaccess adopt /srv/mail/amy                     do it
    mailaccess adopt --config mailaccess.toml --all    for all accounts
"""

from __future__ import annotations

import json
import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Sequence

import attrs

from mailaccess.errors import Refused
from mailaccess.services.settings import MailSettings
from mailaccess.store.disk import Disk
from mailaccess.store.maildir.cautions import other_names
from mailaccess.store.maildir.takeover import (
    Account,
    NoMaildir,
    TakenOver,
    describe,
    survey,
    take_over,
)
from mailaccess.store.maildir.uniqueids import Pattern

from .command import Command, Failed
from .maildirs import NOT_ALL, NOT_DONE, WELL, arguments, chosen_maildirs
from .owners import as_owner
from .progress import Progress

_NOBODY = {"": "no server's", "mailaccess": "mailaccess's"}


def _arguments(parser: ArgumentParser) -> None:
    arguments(parser)
    parser.add_argument("--dry-run", action="store_true", help="change nothing, tell what would be")
    parser.add_argument(
        "--pop3-uidl-format",
        metavar="FORMAT",
        help="pop3_uidl_format of the Dovecot before, where it was not its default; else that of"
        " the configuration",
    )


def _run(chosen: Namespace) -> int:
    settings, maildirs = chosen_maildirs(chosen)
    given = chosen.pop3_uidl_format
    if given is None:
        given = settings.mail.pop3_uidl_format if settings is not None else ""
    try:
        pattern = Pattern(given) if given else None
    except ValueError as error:
        raise Failed(f"--pop3-uidl-format: {error}") from None
    mail = settings.mail if settings is not None else MailSettings(home="/{user}")
    worst = WELL
    advice: set[str] = set()
    for name, path in maildirs:
        with as_owner(path):
            status, advised = _account(chosen, name, path, pattern, mail)
        worst = max(worst, status)
        if advised and not chosen.json and advised not in advice:
            advice.add(advised)
            print(advised)
    return worst


def _account(
    chosen: Namespace, name: str, path: str, pattern: Pattern | None, mail: MailSettings
) -> tuple[int, str]:
    """
    Exit status, and what to set for all accounts.
    """
    progress = Progress(name)
    work = survey if chosen.dry_run else take_over
    told: list[TakenOver] = []
    account, failure = None, ""
    try:
        account = describe(Disk(), path)
        names = [mailbox for mailbox, _ in account.mailboxes]
        progress.step(names[0], 1, len(names))
        for each in work(Disk(), path, pattern):
            told.append(each)
            progress.step(names[min(len(told), len(names) - 1)], len(told) + 1, len(names))
    except (NoMaildir, OSError) as error:
        failure = str(error)
    except Refused as error:
        failure = error.detail or error.public
    finally:
        progress.clear()
    # The first is the INBOX, whose name is the same with all servers.
    source = told[0].source if len(told) > 1 else ""
    advised = other_names(source, mail.delimiter, mail.prefix)
    if chosen.json:
        _tell_json(name, path, account, told, failure, advised)
    else:
        _tell(name, account, told, failure, chosen.dry_run)
    if failure:
        return NOT_DONE, advised
    return NOT_ALL if any(each.doubts for each in told) else WELL, advised


def _tell_json(
    name: str,
    path: str,
    account: Account | None,
    told: Sequence[TakenOver],
    failure: str,
    advised: str,
) -> None:
    found = {
        "account": name,
        "maildir": path,
        "mailboxes": [attrs.asdict(each) for each in told],
        "subscriptions": account.subscriptions if account is not None else 0,
        "notes": [*(account.notes if account is not None else ()), *([advised] if advised else ())],
        "failure": failure,
    }
    print(json.dumps(found), flush=True)


def _tell(
    name: str, account: Account | None, told: Sequence[TakenOver], failure: str, dry: bool
) -> None:
    for note in account.notes if account is not None else ():
        print(f"{name}: {note}")
    for each in told:
        place = f"{name}: {each.mailbox}"
        print(f"{place}: {_line(each, dry)}")
        for doubt in each.doubts:
            print(f"{place}: {doubt}")
    if failure:
        print(f"{name}: cannot be taken over: {failure}", file=sys.stderr)
        return
    assert account is not None
    messages, kept = sum(each.messages for each in told), sum(each.kept for each in told)
    done = "can be taken over" if dry else "taken over"
    print(
        f"{name}: {done}: {_many(len(told), 'mailbox', 'mailboxes')},"
        f" {kept} of {_many(messages, 'message')} with the UIDs they had,"
        f" {_many(account.subscriptions, 'subscription')}"
    )


def _line(told: TakenOver, dry: bool) -> str:
    source = _NOBODY.get(told.source, told.source.capitalize() + "'s")
    parts = [f"{source} UIDs, {told.kept} of {told.messages} kept"]
    parts.append(f"UIDVALIDITY {told.uid_validity or 'new'}, next UID {told.uid_next}")
    if told.keywords:
        parts.append(_many(told.keywords, "keyword"))
    if told.unique_ids:
        parts.append(f"{_many(told.unique_ids, 'unique-id')} for POP3")
    return "; ".join(parts)


def _many(count: int, one: str, more: str = "") -> str:
    return f"{count} {one if count == 1 else more or one + 's'}"


command = Command(
    "adopt",
    "take over Maildirs from Dovecot or Courier ahead of the first login",
    "Take over Maildirs that another server had: UIDs, keywords, subscriptions and what POP3"
    " clients know messages by. The other server must have been stopped. Exit status: 0 all was"
    " kept, 1 something could not be, 2 a Maildir could not be taken over.",
    _arguments,
    _run,
)
