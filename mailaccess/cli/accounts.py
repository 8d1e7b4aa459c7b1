"""
Where the mail of accounts is, for commands that work on Maildirs beside the server.
"""

from __future__ import annotations

import glob
import os
import re
from collections.abc import Iterator

from mailaccess.auth.passwdlines import read_lines
from mailaccess.auth.passwords import Limits
from mailaccess.errors import AuthorizationFailed, Refused
from mailaccess.services.homes import home_template
from mailaccess.services.ldapsettings import LDAPSettings
from mailaccess.services.records import NotReadable, records
from mailaccess.services.rehearsal import NotPlayable, now
from mailaccess.services.settings import Settings
from mailaccess.store.names import user_directory

from .command import Failed


def maildirs_of(settings: Settings, account: str | None) -> Iterator[tuple[str, str]]:
    """
    Names and Maildirs. One account is found wherever its record says, in a password file or an LDAP
    directory. All accounts are those of password files, and the directories where accounts of
    others would be, by the name of the directory; then namespaces, by their prefix.

    @raise Failed: it cannot be told
    """
    spaces = {each.prefix: os.path.normpath(each.path) for each in settings.namespace}
    if account in spaces:
        yield account, spaces[account]
        return
    homes = dict(_known(settings))
    below = settings.mail.maildir
    if account is not None:
        home = homes.get(account) or _home_in_directories(settings, account)
        home = home or user_directory(home_template(settings.mail.home), account)
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


def _home_in_directories(settings: Settings, name: str) -> str:
    """
    The home that an entry gives; empty if none does. Nothing is asked where no entry could.
    """
    asked = [each for each in settings.users if isinstance(each, LDAPSettings)]
    if not any(field.lower() == "home" for each in asked for field in each.fields):
        return ""
    try:
        found = now(records(settings).person(name))
    except AuthorizationFailed:
        # May not log in, being in none of the groups.
        return ""
    except (NotReadable, NotPlayable, Refused) as error:
        reason = (error.detail or error.public) if isinstance(error, Refused) else str(error)
        raise Failed(f"{name}: where the mail is cannot be told: {reason}") from None
    return found.home if found is not None else ""
