"""
C{mailaccess passwd}: make, store and verify passwords.

    mailaccess passwd                            print a stored password
    mailaccess passwd amy --file users           put it into a password file
    mailaccess passwd amy --file users --verify  find out whether a password is right
"""

from __future__ import annotations

import getpass
import sys
from argparse import ArgumentParser, Namespace

from mailaccess.auth.names import BadName, BadPassword, canonical_name, prepare_password
from mailaccess.auth.passwords import DEFAULT_LIMITS, SCHEMES, BadHash, make, verify

from .command import Command, Failed
from .entries import stored_password, update

DEFAULT_SCHEME = "ARGON2ID"


def _arguments(parser: ArgumentParser) -> None:
    parser.add_argument("user", nargs="?", help="user name; needed with --file")
    parser.add_argument("-f", "--file", help="password file to change or to look into")
    parser.add_argument(
        "-s",
        "--scheme",
        default=DEFAULT_SCHEME,
        type=str.upper,
        choices=sorted(SCHEMES),
        metavar="SCHEME",
        help=f"how to store it: {', '.join(sorted(SCHEMES))} (default: {DEFAULT_SCHEME})",
    )
    parser.add_argument(
        "--stdin", action="store_true", help="read the password from the first line of input"
    )
    parser.add_argument(
        "--verify", action="store_true", help="change nothing; exit with 0 if it is right, else 1"
    )
    parser.add_argument("--stored", help="with --verify: the stored password, instead of a file")


def _run(chosen: Namespace) -> int:
    if bool(chosen.user) != bool(chosen.file):
        raise Failed("give a user name and --file, or neither")
    if chosen.stored and (chosen.file or not chosen.verify):
        raise Failed("--stored goes with --verify, and not with --file")
    name = _name(chosen.user) if chosen.user else ""
    if chosen.verify:
        return _verify(chosen, name)
    secret = _ask(chosen.stdin, twice=True)
    try:
        stored = make(chosen.scheme, secret)
    except (BadHash, ValueError) as error:
        raise Failed(f"{chosen.scheme}: {error}") from None
    if not chosen.file:
        print(stored)
    elif update(chosen.file, name, stored):
        print(f"{name}: password changed")
    else:
        print(f"{name}: added")
    return 0


def _verify(chosen: Namespace, name: str) -> int:
    stored = chosen.stored if chosen.stored else None
    if chosen.file:
        stored = stored_password(chosen.file, name)
        if stored is None:
            raise Failed(f"{chosen.file}: no user {name}")
    if not stored:
        raise Failed("nothing to verify against; give a user name and --file, or --stored")
    secret = _ask(chosen.stdin, twice=False)
    try:
        right = verify(stored, secret, _LIMITS)
    except BadHash as error:
        raise Failed(f"the stored password cannot be used: {error}") from None
    print("right" if right else "wrong")
    return 0 if right else 1


def _name(typed: str) -> str:
    try:
        name = canonical_name(typed)
    except BadName as error:
        raise Failed(f"{typed!r} is no user name: {error}") from None
    if ":" in name or name.startswith("#"):
        raise Failed(f"{typed!r} is no user name for a password file: it has a : or begins with #")
    return name


def _ask(from_input: bool, *, twice: bool) -> bytes:
    if from_input:
        secret = sys.stdin.buffer.readline().rstrip(b"\r\n")
    else:
        try:
            first = getpass.getpass("Password: ")
            same = not twice or getpass.getpass("Again: ") == first
        except EOFError:
            raise Failed("no password was typed; with --stdin it is read from the input") from None
        if not same:
            raise Failed("the two are not the same; nothing was changed")
        secret = first.encode("utf-8", "surrogateescape")
    try:
        return prepare_password(secret)
    except BadPassword as error:
        raise Failed(f"no login would be possible with this password: {error}") from None


_LIMITS = DEFAULT_LIMITS

command = Command(
    "passwd",
    "make, store and verify passwords",
    "Make a stored password, put it into a password file, or verify one. Asks without showing what"
    " is typed.",
    _arguments,
    _run,
)
