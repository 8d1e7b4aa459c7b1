"""
Sources of users, asked what they know of people, at once and without a reactor: for commands.

The objects are those that serve; what they would do in a thread happens here.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Collection, Sequence
from typing import Any, TypeVar

from twisted.internet.task import Clock

from mailaccess.auth.chain import CheckerChain, Entry
from mailaccess.auth.ldap.deadline import Deadline
from mailaccess.auth.ldap.directory import LDAPChecker
from mailaccess.auth.ldap.entry import identity_of
from mailaccess.auth.ldap.faults import Fault
from mailaccess.auth.passwdfile import PasswordFile, Unusable
from mailaccess.auth.passwords import Limits as HashLimits
from mailaccess.errors import Refused

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

    def outspoken(self, fields: Collection[str], most: int) -> tuple[list[str], bool]:
        """
        Canonical names of people of whom it says something in one of these fields, and whether
        there are more than C{most}. None where nobody may search before users have bound, or where
        entries have no names of their own.

        @raise Fault: it could not be found out
        """
        finding = self._finding
        said = [attribute for field, attribute in finding.fields.items() if field.lower() in fields]
        if not said or not self._connecting.bind or not finding.name or not finding.base:
            return [], False
        deadline = Deadline(self._connecting.deadline)
        entries, more = self._lookup.having(said, most, deadline)
        typed = f"@{finding.domains[0]}" if len(finding.domains) == 1 else ""
        names = []
        for entry in entries:
            with contextlib.suppress(Refused):  # a name that cannot be anybody's
                found = identity_of(
                    entry,
                    finding,
                    typed,
                    self.label,
                    bound=True,
                    default_domain=self._default_domain,
                )
                names.append(found.name)
        return names, more


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


def outspoken(
    settings: Settings, fields: Collection[str], most: int
) -> tuple[list[str], list[str]]:
    """
    Names of people of whom directories say something in these fields, and what could not be found
    out.
    """
    names: list[str] = []
    faults: list[str] = []
    for each in settings.users:
        if not isinstance(each, LDAPSettings):
            continue
        checker = _made(each, settings)
        try:
            found, more = checker.outspoken(fields, most)
        except Fault as fault:
            faults.append(f"{each.label} cannot be asked for its users: {fault.detail}")
            continue
        finally:
            checker.upstreams.close()
        names += found
        if more:
            faults.append(f"{each.label} has more than {most} people with rules of their own")
    return names, faults


def _made(users: LDAPSettings, settings: Settings) -> _Directory:
    return _Directory(
        connecting(users),
        finding(users),
        _Still(),
        default_domain=settings.mail.domain,
        label=users.label,
    )


def _directory(users: LDAPSettings, settings: Settings) -> Entry:
    return Entry(_made(users, settings), users.if_down)


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
