"""
C{mailaccess fsck}: prove that accounts hold together, and mend them.

    mailaccess fsck mailaccess.toml amy            look
    mailaccess fsck mailaccess.toml amy --repair   mend what is found
    mailaccess fsck mailaccess.toml --all --json   all accounts, for a program to read
"""

from __future__ import annotations

import glob
import json
import os
import re
import sys
import time
from argparse import ArgumentParser, Namespace
from collections.abc import Iterator, Sequence

import attrs

from mailaccess.auth.passwdlines import read_lines
from mailaccess.auth.passwords import Limits
from mailaccess.errors import Refused
from mailaccess.services.config import load
from mailaccess.services.homes import home_template
from mailaccess.services.settings import Settings
from mailaccess.store.disk import Disk
from mailaccess.store.maildir.fsck import CannotCheck, check, repair
from mailaccess.store.maildir.fsck_mailbox import Finding
from mailaccess.store.names import user_directory

from .command import Command, Failed
from .owners import as_owner

WELL, WRONG, NOT_CHECKED = 0, 1, 2
_PATIENCE = 1.0
"""Seconds before progress is shown."""


def _arguments(parser: ArgumentParser) -> None:
    parser.add_argument("file", help="the configuration file")
    parser.add_argument("account", nargs="?", help="user name")
    parser.add_argument("--all", action="store_true", help="all accounts that have mail")
    parser.add_argument("--repair", action="store_true", help="mend what can be mended")
    parser.add_argument("--deep", action="store_true", help="read all messages, not only some")
    parser.add_argument("--json", action="store_true", help="one JSON object per account")


def _run(chosen: Namespace) -> int:
    if bool(chosen.account) == chosen.all:
        raise Failed("give an account or --all")
    settings = load(chosen.file)
    worst = WELL
    for name, path in maildirs_of(settings, chosen.account):
        # What it makes anew, and what SQLite leaves, has to be the server's.
        with as_owner(path):
            worst = max(worst, _account(chosen, name, path))
    return worst


def maildirs_of(settings: Settings, account: str | None) -> Iterator[tuple[str, str]]:
    """
    Names and Maildirs. All accounts are those of password files, and the directories where
    accounts of others would be, by the name of the directory; then namespaces, by their prefix.
    """
    spaces = {each.prefix: os.path.normpath(each.path) for each in settings.namespace}
    if account in spaces:
        yield account, spaces[account]
        return
    homes = dict(_known(settings))
    below = settings.mail.maildir
    if account is not None:
        home = homes.get(account) or user_directory(home_template(settings.mail.home), account)
        yield account, os.path.normpath(os.path.join(home, below))
        return
    seen = set()
    for name, home in homes.items():
        place = home or user_directory(home_template(settings.mail.home), name)
        path = os.path.normpath(os.path.join(place, below))
        seen.add(path)
        if os.path.isdir(path):
            yield name, path
    fixed = re.split(r"\{(?:user|local|domain)\}", home_template(settings.mail.home))
    pattern = "*".join(glob.escape(part) for part in fixed)
    for home in sorted(glob.glob(pattern)):
        path = os.path.normpath(os.path.join(home, below))
        if path not in seen and os.path.isdir(os.path.join(path, "cur")):
            yield os.path.relpath(home, os.path.dirname(fixed[0]) or "."), path
    yield from (each for each in spaces.items() if os.path.isdir(each[1]))


def _known(settings: Settings) -> Iterator[tuple[str, str]]:
    for users in settings.users:
        if path := getattr(users, "path", ""):
            limits = Limits(clear_text=getattr(users, "clear_text", False))
            try:
                with open(path, "rb") as file:
                    contents = read_lines(file.read(), limits, settings.mail.domain)
            except OSError as error:
                raise Failed(f"{path}: {error.strerror}") from None
            for name in contents.lines:
                record = contents.find(name)
                yield name, record.home if record is not None else ""


def _account(chosen: Namespace, name: str, path: str) -> int:
    start = time.monotonic()

    def progress(mailbox: str, number: int, count: int) -> None:
        if sys.stderr.isatty() and time.monotonic() - start > _PATIENCE:
            line = f"{name}: {mailbox} ({number + 1} of {count})"
            print(f"\r{line:78.78}", end="", file=sys.stderr, flush=True)

    work = repair if chosen.repair else check
    try:
        findings = work(Disk(), path, deep=chosen.deep, progress=progress)
    except (CannotCheck, OSError, Refused) as error:
        text = error.detail if isinstance(error, Refused) else str(error)
        _tell(chosen.json, name, path, [], text)
        return NOT_CHECKED
    finally:
        if sys.stderr.isatty() and time.monotonic() - start > _PATIENCE:
            print(f"\r{'':78}\r", end="", file=sys.stderr, flush=True)
    _tell(chosen.json, name, path, findings)
    left = any(each.level == "error" and not each.mended for each in findings)
    return WRONG if left else WELL


def _tell(
    as_json: bool, name: str, path: str, findings: Sequence[Finding], failure: str = ""
) -> None:
    if as_json:
        found = [attrs.asdict(each) for each in findings]
        told = {"account": name, "maildir": path, "findings": found, "failure": failure}
        print(json.dumps(told), flush=True)
        return
    if failure:
        print(f"{name}: cannot be checked: {failure}", file=sys.stderr)
        return
    for each in findings:
        place = f"{name}: {each.mailbox}" if each.mailbox else name
        how = "mended" if each.mended else each.level
        print(f"{place}: {how}: {each.text}")
    wrong = sum(each.level == "error" for each in findings)
    mended = sum(each.mended for each in findings)
    print(f"{name}: {wrong} wrong, {mended} mended" if wrong or mended else f"{name}: all well")


command = Command(
    "fsck",
    "prove that accounts hold together, and mend them",
    "Check that the record, the lists of UIDs, file names and messages of an account agree; it may"
    " be in use meanwhile. Exit status: 0 all is well or mended, 1 something is wrong, 2 something"
    " could not be checked.",
    _arguments,
    _run,
)
