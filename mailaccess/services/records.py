"""
Sources of users, asked what they know of people, at once and without a reactor: for commands.

The objects are those that serve; what they would do in a thread happens here.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from twisted.internet.task import Clock

from mailaccess.auth.chain import CheckerChain, Entry
from mailaccess.auth.ldap.deadline import Deadline
from mailaccess.auth.ldap.directory import LDAPChecker
from mailaccess.auth.passwdfile import PasswordFile, Unusable
from mailaccess.auth.passwords import Limits as HashLimits

from .directories import connecting, finding
from .ldapsettings import LDAPSettings
from .settings import Settings, UsersSettings

T = TypeVar("T")


class NotReadable(Exception):
    """
    A source that says nothing; the text says why.
    """


class _Still(Clock):
    """
    A clock that stands, of a reactor that does not run.
    """

    def callFromThread(self, call: Callable[..., object], *arguments: object) -> None:
        """
        Nobody looks after servers that are down here.
        """


class _Directory(LDAPChecker):
    """
    A directory that is asked at once, within its deadline.
    """

    async def _run(self, work: Callable[..., T], *args: Any) -> T:
        return work(*args, Deadline(self._connecting.deadline))


def records(settings: Settings, kinds: Sequence[str] = ("file", "ldap")) -> CheckerChain:
    """
    The sources of a site, in their order.

    @param kinds: of users; others are left out
    @raise NotReadable: a file cannot be read
    """
    return CheckerChain(
        [
            _directory(each, settings) if isinstance(each, LDAPSettings) else _file(each, settings)
            for each in settings.users
            if each.type in kinds
        ]
    )


def _directory(users: LDAPSettings, settings: Settings) -> Entry:
    made = _Directory(
        connecting(users),
        finding(users),
        _Still(),
        default_domain=settings.mail.domain,
        label=users.label,
    )
    return Entry(made, users.if_down)


def _file(users: UsersSettings, settings: Settings) -> Entry:
    limits = HashLimits(clear_text=users.clear_text)
    # Nothing is handed to threads: the file is read here, and passwords are not verified.
    pool: Any = None
    file = PasswordFile(users.path, pool, _Still(), limits, default_domain=settings.mail.domain)
    try:
        file.load()
    except Unusable as error:
        raise NotReadable(f"{users.path}: {error}") from None
    return Entry(file)
