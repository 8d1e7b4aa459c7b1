"""
Everything that would keep the server from starting, or somebody from logging in, found beforehand.

Looks at the configuration and at all that it names: certificates, password files, directories,
users.
"""

from __future__ import annotations

import grp
import os
import pwd
import stat
import time
from collections.abc import Iterator
from itertools import islice

from mailaccess.auth.passwdlines import Contents, read_lines
from mailaccess.auth.passwords import Limits
from mailaccess.errors import ConfigurationErrors

from . import namespaces
from .audit.look import look
from .certificates import BrokenCertificates, load_certificates
from .config import read, read_text
from .control.place import open_to_all
from .demands import permits
from .directories import checked
from .ldapsettings import LDAPSettings
from .problems import Document
from .quotas import unclear
from .reach import out_of_reach
from .settings import Settings, UsersSettings
from .summary import policy_lines, weaknesses

MOST_LINES = 50
"""Of bad lines of one password file, so many are named."""


def check(path: str) -> tuple[list[str], list[str]]:
    """
    What is wrong, in the form of L{ConfigurationErrors}, and what there is, for somebody to read.
    """
    try:
        document, settings = read(read_text(path), path)
    except ConfigurationErrors as error:
        return error.problems, []
    summary: list[str] = []
    _certificates(document, settings, summary)
    for position, each in enumerate(settings.users):
        if isinstance(each, LDAPSettings):
            summary.append(checked(document, each, ("users", position)))
        elif each.path:
            _password_file(document, settings, each, position, summary)
    if settings.mail.home:
        _home(document, settings, summary)
    namespaces.look(document, settings, summary)
    _user(document, settings)
    look(document, settings, summary)
    _control(document, settings)
    for option, text in out_of_reach(settings):
        document.wrong(option, text)
    if settings.log.file and not os.path.isdir(os.path.dirname(settings.log.file)):
        document.wrong(("log", "file"), "is in a directory that does not exist; make it")
    summary += [f"policy: {each}" for each in policy_lines(settings)]
    summary += [f"warning: {each}" for each in weaknesses(settings, time.time())]
    document.sort()
    return document.problems, summary


def _certificates(document: Document, settings: Settings, summary: list[str]) -> None:
    if not settings.tls.certificate:
        return
    try:
        found = load_certificates(settings.tls)
    except BrokenCertificates as error:
        for option, text in error.problems:
            document.wrong(("tls", option), text)
        return
    summary.append(
        f"certificate {', '.join(found.default.names) or 'without names'}:"
        f" good until {found.default.expires:%Y-%m-%d}"
    )
    for name, each in sorted(found.names.items()):
        summary.append(f"certificate for {name}: good until {each.expires:%Y-%m-%d}")


def _password_file(
    document: Document,
    settings: Settings,
    users: UsersSettings,
    position: int,
    summary: list[str],
) -> None:
    option = ("users", position, "path")
    path, limits = users.path, Limits(clear_text=users.clear_text)
    try:
        with open(path, "rb") as file:
            mode = os.fstat(file.fileno()).st_mode
            contents = read_lines(file.read(), limits, settings.mail.domain)
    except OSError as error:
        document.wrong(option, f"cannot be read ({error.strerror}); make it, or correct the path")
        return
    if mode & (stat.S_IROTH | stat.S_IWOTH):
        document.wrong(option, f"can be read or written by everybody; chmod o-rw {path}")
    for each in contents.problems[:MOST_LINES]:
        document.note(option, f"{path}:{each}; correct the line")
    if len(contents.problems) > MOST_LINES:
        more = len(contents.problems) - MOST_LINES
        document.note(option, f"{path}: and {more} more lines; correct them, too")
    summary.append(f"{path}: {len(contents.lines)} users")
    for number, name, why in islice(unclear(contents), MOST_LINES):
        document.note(
            option, f'{path}:{number}: quota of {name!r}: {why}; write it like "5G" or "5G,1000C"'
        )
    void = list(_void_exceptions(contents, settings))
    if void:
        number, name, word = void[0]
        others = f", and {len(void) - 1} more like it," if void[1:] else ""
        summary.append(
            f"warning: {path}:{number}: cleartext={word} of {name!r}{others} has no effect, no"
            " listener permits it; add exceptions = true to one, or remove it"
        )


def _void_exceptions(contents: Contents, settings: Settings) -> Iterator[tuple[int, str, str]]:
    """
    Line, name and word of records that would open what no listener lets them open.
    """
    void = {
        word
        for word in ("allow", "report")
        if not any(permits(it, word) for it in settings.listeners)
    }
    for name, (number, line) in contents.lines.items():
        # Few lines have it, and taking all apart takes long.
        record = contents.find(name) if void and b"cleartext=" in line.lower() else None
        word = record.fields().get("cleartext", "") if record else ""
        if word in void:
            yield number, name, word


def _home(document: Document, settings: Settings, summary: list[str]) -> None:
    """
    What stands before the first placeholder has to be a directory that the server can write to.
    """
    fixed = os.path.dirname(settings.mail.home.partition("{")[0]) or "/"
    option = ("mail", "home")
    if not os.path.isdir(fixed):
        document.wrong(option, f"is below {fixed}, which is no directory; mkdir -p {fixed}")
    elif os.geteuid() != 0 and not os.access(fixed, os.W_OK | os.X_OK):
        document.wrong(option, f"is below {fixed}, where nothing can be written; chown it")
    else:
        summary.append(f"mail below {fixed}")


def _control(document: Document, settings: Settings) -> None:
    it = settings.control
    if not it.path:
        return
    directory = os.path.dirname(it.path)
    if os.path.isdir(directory):
        if open_to_all(directory):
            document.wrong(
                ("control", "path"), f"is where everybody may write; chmod o-w {directory}"
            )
    elif not os.path.isdir(os.path.dirname(directory)):
        document.wrong(
            ("control", "path"),
            f"is below {directory}, which is no directory; mkdir -p {directory}",
        )
    for option, known in (("owner", pwd.getpwnam), ("group", grp.getgrnam)):
        name = getattr(it, option)
        try:
            if name:
                known(name)
        except KeyError:
            document.wrong(("control", option), f"{name} is not known to this machine; correct it")


def _user(document: Document, settings: Settings) -> None:
    server = settings.server
    if server.user:
        try:
            if pwd.getpwnam(server.user).pw_uid == 0:
                document.wrong(("server", "user"), "is root; name another user")
        except KeyError:
            way_out = f"useradd --system {server.user}"
            document.wrong(("server", "user"), f"is no user of this machine; {way_out}")
    if server.group:
        try:
            grp.getgrnam(server.group)
        except KeyError:
            way_out = f"groupadd --system {server.group}"
            document.wrong(("server", "group"), f"is no group of this machine; {way_out}")
