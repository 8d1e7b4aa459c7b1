"""
C{mailaccess ldap-doctor FILE}: every step of a login against every server of every directory.
"""

from __future__ import annotations

import getpass
import sys
from argparse import ArgumentParser, Namespace

from mailaccess.auth.ldap.doctor import Step, examine
from mailaccess.auth.names import BadName, BadPassword, canonical_name, prepare_password
from mailaccess.services.config import load
from mailaccess.services.directories import connecting, finding
from mailaccess.services.ldapsettings import LDAPSettings

from .command import Command, Failed


def _arguments(parser: ArgumentParser) -> None:
    parser.add_argument("file", help="the configuration file")
    parser.add_argument("-u", "--user", help="look for this user, too")
    parser.add_argument(
        "-p", "--password", action="store_true", help="ask for the user's password, and bind"
    )
    parser.add_argument(
        "--stdin", action="store_true", help="read that password from the first line of input"
    )
    parser.add_argument("-d", "--directory", help="only the one with this label")


def _run(chosen: Namespace) -> int:
    settings = load(chosen.file)
    found = [
        each
        for each in settings.users
        if isinstance(each, LDAPSettings) and chosen.directory in (None, each.label)
    ]
    if not found:
        raise Failed(f'{chosen.file}: no [[users]] with type = "ldap" to look at')
    domain = settings.mail.domain
    user, secret = _user(chosen, domain), _secret(chosen)
    good = True
    for each in found:
        for target, steps in examine(connecting(each), finding(each), user, secret, domain):
            print(f"{each.label}: {target.uri}", flush=True)
            for step in steps:
                print("\n".join(_lines(step)), flush=True)
                good = good and step.good
    return 0 if good else 1


def _user(chosen: Namespace, domain: str) -> str:
    if not chosen.user:
        return ""
    try:
        return canonical_name(chosen.user, domain)
    except BadName as error:
        raise Failed(f"{chosen.user!r} is no user name: {error}") from None


def _secret(chosen: Namespace) -> bytes | None:
    if not (chosen.password or chosen.stdin):
        return None
    if not chosen.user:
        raise Failed("a password goes with --user")
    if chosen.stdin:
        secret = sys.stdin.buffer.readline().rstrip(b"\r\n")
    else:
        secret = getpass.getpass("Password: ").encode("utf-8", "surrogateescape")
    try:
        return prepare_password(secret)
    except BadPassword as error:
        raise Failed(str(error)) from None


def _lines(step: Step) -> list[str]:
    word = "ok" if step.good else "FAILED"
    lines = [f"  {word:6} {step.name:11} {step.seconds * 1000:8.1f} ms  {step.text}".rstrip()]
    if step.cause:
        lines.append(f"         {'likely cause' if not step.good else 'note'}: {step.cause}")
    return lines


command = Command(
    "ldap-doctor",
    "look at LDAP directories step by step",
    "Do what a login does, one step at a time, against every server of the directories that a"
    " configuration file names. Prints what each step found and how long it took, and the likely"
    " cause if it failed; the exit status is 1 then. Passwords are never shown.",
    _arguments,
    _run,
)
