"""
C{mailaccess fsck}: prove that accounts hold together, and mend them.

    mailaccess fsck mailaccess.toml amy            look
    mailaccess fsck mailaccess.toml amy --repair   mend what is found
    mailaccess fsck mailaccess.toml --all --json   all accounts, for a program to read
"""

from __future__ import annotations

import json
import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Sequence

import attrs

from mailaccess.errors import Refused
from mailaccess.services.config import load
from mailaccess.store.disk import Disk
from mailaccess.store.maildir.fsck import CannotCheck, check, repair
from mailaccess.store.maildir.fsck_mailbox import Finding

from .accounts import maildirs_of
from .command import Command, Failed
from .owners import as_owner
from .progress import Progress

WELL, WRONG, NOT_CHECKED = 0, 1, 2


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


def _account(chosen: Namespace, name: str, path: str) -> int:
    shown = Progress(name)

    def progress(mailbox: str, number: int, count: int) -> None:
        shown.step(mailbox, number + 1, count)

    work = repair if chosen.repair else check
    try:
        findings = work(Disk(), path, deep=chosen.deep, progress=progress)
    except (CannotCheck, OSError, Refused) as error:
        text = error.detail if isinstance(error, Refused) else str(error)
        _tell(chosen.json, name, path, [], text)
        return NOT_CHECKED
    finally:
        shown.clear()
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
