"""
C{mailaccess release}: give Maildirs back, with Dovecot's files.

    mailaccess release /srv/mail/amy
    mailaccess release --config mailaccess.toml amy
"""

from __future__ import annotations

import json
import sys
from argparse import Namespace
from collections.abc import Sequence

import attrs

from mailaccess.errors import Refused
from mailaccess.store.disk import Disk
from mailaccess.store.maildir.release import Released, release
from mailaccess.store.maildir.takeover import NoMaildir

from .command import Command
from .maildirs import NOT_ALL, NOT_DONE, WELL, arguments, chosen_maildirs
from .owners import as_owner
from .progress import Progress


def _run(chosen: Namespace) -> int:
    _, maildirs = chosen_maildirs(chosen)
    worst = WELL
    for name, path in maildirs:
        with as_owner(path):
            worst = max(worst, _account(chosen, name, path))
    return worst


def _account(chosen: Namespace, name: str, path: str) -> int:
    progress = Progress(name)
    told: list[Released] = []
    failure = ""
    try:
        told.extend(release(Disk(), path, progress.step))
    except (NoMaildir, OSError) as error:
        failure = str(error)
    except Refused as error:
        failure = error.detail or error.public
    finally:
        progress.clear()
    if chosen.json:
        mailboxes = [attrs.asdict(each) for each in told]
        found = {"account": name, "maildir": path, "mailboxes": mailboxes, "failure": failure}
        print(json.dumps(found), flush=True)
    else:
        _tell(name, told, failure)
    if failure:
        return NOT_DONE
    return NOT_ALL if any(each.doubts for each in told) else WELL


def _tell(name: str, told: Sequence[Released], failure: str) -> None:
    for each in told:
        for doubt in each.doubts:
            print(f"{name}: {each.mailbox}: {doubt}")
    if failure:
        print(f"{name}: cannot be given back: {failure}", file=sys.stderr)
        return
    messages = sum(each.messages for each in told)
    print(f"{name}: given back: {len(told)} mailboxes, {messages} messages; Dovecot may start")


command = Command(
    "release",
    "give Maildirs back, with Dovecot's files",
    "Write what is known of Maildirs in Dovecot's files and in file names, and remove mailaccess's"
    " own. The server must have been stopped, and Dovecot not been started yet. Exit status: 0 all"
    " was written, 1 Dovecot will not know all, 2 a Maildir could not be given back.",
    arguments,
    _run,
)
