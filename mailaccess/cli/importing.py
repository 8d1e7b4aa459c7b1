"""
C{mailaccess import}: copy mail into an account, from mbox files or from another IMAP server.

    mailaccess import mailaccess.toml amy mbox /home/amy/mail --into Old
    mailaccess import mailaccess.toml amy imap old.example.org --ca ca.pem

It may be run again, after an interruption too: what is here already is not brought a second time.
"""

from __future__ import annotations

import contextlib
import getpass
import ipaddress
import json
import os
import resource
import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Iterator, Sequence

import attrs
from twisted.internet import reactor, task
from twisted.internet.defer import Deferred
from twisted.internet.threads import deferToThread

from mailaccess.auth.chain import CheckerChain
from mailaccess.errors import DirectoryUnavailable, Refused
from mailaccess.interfaces import Identity
from mailaccess.services.config import load
from mailaccess.services.homes import home_template
from mailaccess.services.imports.imap import IMAPSource, Server
from mailaccess.services.imports.journal import Journal
from mailaccess.services.imports.mbox import MboxSource
from mailaccess.services.imports.source import CannotImport, Folder, Source
from mailaccess.services.imports.work import Brought, Import
from mailaccess.services.quotas import Quotas
from mailaccess.services.records import NotReadable, records
from mailaccess.services.rehearsal import NotPlayable, now
from mailaccess.services.settings import Settings
from mailaccess.services.site import maildirs
from mailaccess.store.names import user_directory
from mailaccess.store.quota import Allowance

from .accounts import maildirs_of
from .command import Command, Failed
from .maildirs import NOT_ALL, NOT_DONE, WELL
from .owners import as_owner
from .progress import Progress
from .quota import stated_for

_PORTS = {"implicit": 993, "starttls": 143, "none": 143}


def _arguments(parser: ArgumentParser) -> None:
    parser.add_argument("file", help="the configuration file")
    parser.add_argument("user", help="whose account the mail is for")
    parser.add_argument("--dry-run", action="store_true", help="tell what there is, bring nothing")
    parser.add_argument("--json", action="store_true", help="one JSON object")
    kinds = parser.add_subparsers(metavar="mbox | imap", required=True, dest="kind")
    mbox = kinds.add_parser("mbox", help="an mbox file, or a directory of them")
    mbox.add_argument("path", help="file or directory")
    mbox.add_argument(
        "--into",
        default="",
        metavar="MAILBOX",
        help="for a file the mailbox, INBOX if not given; for a directory where its folders go",
    )
    imap = kinds.add_parser("imap", help="an account on another IMAP server")
    imap.add_argument("host", help="the server")
    imap.add_argument("--port", type=int, help="993, or 143 without --tls implicit")
    imap.add_argument(
        "--tls",
        choices=tuple(_PORTS),
        default="implicit",
        help="implicit is the default; none only to this machine",
    )
    imap.add_argument("--ca", default="", metavar="FILE", help="who may vouch for it; the system's")
    imap.add_argument("--name", default="", help="the user's name there, if it is another")
    imap.add_argument(
        "--as", dest="actor", default="", help="who logs in there for the user: an administrator"
    )
    imap.add_argument(
        "--password-file",
        metavar="FILE",
        help="read the password from its first line, - for the input; asked for if not given",
    )


def _run(chosen: Namespace) -> int:
    settings = load(chosen.file)
    name, path, stated = _account(settings, chosen.user)
    source = _source(chosen, settings.limits.message_size)
    try:
        # As whoever started this: what mail programs wrote may not be for the server to read.
        folders = source.folders()
        if chosen.dry_run:
            return _tell_folders(chosen, source, folders)
        with as_owner(_existing(path)):
            return _bring(chosen, settings, stated, name, path, source)
    except CannotImport as error:
        raise Failed(str(error)) from None
    finally:
        source.close()


def _account(settings: Settings, user: str) -> tuple[str, str, Allowance | None]:
    """
    Canonical name, Maildir, and what it may hold if anybody says so; what many share keeps to its
    C{maildirsize}.
    """
    [(name, path)] = list(maildirs_of(settings, user))
    if name in {each.prefix for each in settings.namespace}:
        return name, path, None
    try:
        people = records(settings)
        found = _person(people, name)
        if found is not None:
            home = found.home or user_directory(home_template(settings.mail.home), found.name)
            name, path = found.name, os.path.normpath(os.path.join(home, settings.mail.maildir))
        elif not os.path.isdir(path):
            raise Failed(
                f"{name}: no source of users knows the name, and there is no Maildir {path};"
                " write the name as users log in, or make the directory"
            )
        stated = stated_for(people, Quotas(settings.quota), name)
    except (NotReadable, NotPlayable, Refused, ValueError) as error:
        reason = (error.detail or error.public) if isinstance(error, Refused) else str(error)
        raise Failed(f"{name}: what is known of the user cannot be told: {reason}") from None
    return name, path, stated.allowance if stated is not None else None


def _person(people: CheckerChain, name: str) -> Identity | None:
    try:
        return now(people.person(name))
    except DirectoryUnavailable:
        raise
    except Refused:
        # May not log in; the mail is there all the same.
        return None


def _source(chosen: Namespace, most: int) -> Source:
    if chosen.kind == "mbox":
        _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
        return MboxSource(chosen.path, chosen.into, most)
    if chosen.tls == "none" and not _is_here(chosen.host):
        raise Failed(
            f"{chosen.host}: --tls none would send the password in the clear to another machine;"
            " use implicit or starttls"
        )
    return IMAPSource(
        Server(
            host=chosen.host,
            port=chosen.port or _PORTS[chosen.tls],
            user=chosen.name or chosen.user,
            secret=_secret(chosen.password_file),
            tls=chosen.tls,
            ca=chosen.ca,
            actor=chosen.actor,
        ),
        most,
    )


def _is_here(host: str) -> bool:
    with contextlib.suppress(ValueError):
        return ipaddress.ip_address(host).is_loopback
    return host == "localhost"


def _secret(path: str | None) -> str:
    try:
        if path == "-":
            line = sys.stdin.readline()
        elif path:
            with open(path, encoding="utf-8") as file:
                line = file.readline()
        else:
            line = getpass.getpass("Password there: ")
    except (OSError, UnicodeDecodeError, EOFError) as error:
        reason = getattr(error, "strerror", None) or "no password was typed"
        raise Failed(f"{path or 'password'}: {reason}") from None
    secret = line.rstrip("\r\n")
    if not secret or "\0" in secret:
        raise Failed("the password is empty; write it into the first line of --password-file")
    return secret


def _existing(path: str) -> str:
    """
    The Maildir, or the directory that it will be made in.
    """
    while not os.path.isdir(path):
        path = os.path.dirname(path)
    if os.geteuid() == 0 and os.stat(path).st_uid == 0:
        raise Failed(
            f"{path} belongs to root, and so would the mail; make the account's directory first,"
            " as the user that the server runs as"
        )
    return path


def _bring(
    chosen: Namespace,
    settings: Settings,
    allowance: Allowance | None,
    name: str,
    path: str,
    source: Source,
) -> int:
    prefixes = [each.prefix for each in settings.namespace]
    shown = Progress(name)

    def progress(folder: Folder, count: int, part: float) -> None:
        shown.tell(f"{folder.name}: {count} messages, {part:.0%} read")

    failure = "interrupted; run it again to go on"
    brought: Sequence[Brought] = ()

    async def run(clock: object) -> None:
        nonlocal brought, failure
        store = maildirs(settings.mail, reactor, settings.limits.message_size)
        account = None
        journal = None
        try:
            account = await store.account_at(name, path)
            account.usage.give(allowance)
            journal = Journal(path, source.label)
            work = Import(
                source,
                account,
                journal,
                deferToThread,
                settings.limits.message_size,
                progress,
                () if name in prefixes else prefixes,
            )
            brought = work.brought
            await work.run()
            failure = ""
        except CannotImport as error:
            failure = str(error)
        except Refused as refused:
            failure = f"{refused.public}: {refused.detail}" if refused.detail else refused.public
        except OSError as error:
            failure = f"{error.filename or path}: {error.strerror}"
        finally:
            if journal is not None:
                journal.close()
            if account is not None:
                account.release()
            store.stop()

    with contextlib.suppress(SystemExit):
        task.react(lambda clock: Deferred.fromCoroutine(run(clock)))
    shown.clear()
    return _tell(chosen, name, source, brought, failure)


def _tell_folders(chosen: Namespace, source: Source, folders: Sequence[Folder]) -> int:
    if chosen.json:
        found = [attrs.asdict(each) for each in folders]
        print(json.dumps({"folders": found, "left_out": source.left_out}))
        return WELL
    for line in source.left_out:
        print(line)
    for each in folders:
        count = "" if each.count is None else f": {each.count} messages"
        print(f"{each.name}{count} (from {each.place})")
    return WELL


def _left_out(source: Source, brought: Sequence[Brought]) -> Iterator[str]:
    yield from source.left_out
    for each in brought:
        for text in each.left_out:
            yield f"{each.name}: {text}"


def _tell(
    chosen: Namespace, name: str, source: Source, brought: Sequence[Brought], failure: str
) -> int:
    missed = list(_left_out(source, brought))
    if chosen.json:
        mailboxes = [attrs.asdict(each) for each in brought]
        found = {"account": name, "mailboxes": mailboxes, "left_out": missed, "failure": failure}
        print(json.dumps(found), flush=True)
    else:
        for line in missed:
            print(f"{name}: {line}")
        for each in brought:
            before = f", {each.already} were here" if each.already else ""
            print(f"{name}: {each.name}: {each.messages} messages{before}")
        total = sum(each.messages for each in brought)
        octets = sum(each.octets for each in brought)
        print(f"{name}: {total} messages brought, {octets / 1e6:.1f} MB")
        if failure:
            print(f"{name}: not all: {failure}", file=sys.stderr)
    if failure:
        return NOT_DONE
    return NOT_ALL if missed else WELL


command = Command(
    "import",
    "copy mail into an account, from mbox files or another IMAP server",
    "Copy mail into an account. What was copied is noted, so it may be run again: to go on after an"
    " interruption, or for what has come since. The server may be running. Exit status: 0 all is"
    " here, 1 something could not be kept, 2 it ended early.",
    _arguments,
    _run,
)
