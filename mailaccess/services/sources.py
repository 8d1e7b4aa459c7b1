"""
The sources of users of a site, as they serve: made, started, and stopped together.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from mailaccess.auth.chain import Entry
from mailaccess.auth.ldap.directory import LDAPChecker
from mailaccess.auth.passwdfile import PasswordFile, Unusable
from mailaccess.auth.passwords import Limits
from mailaccess.auth.pool import HashPool

from .directories import directory
from .ldapsettings import LDAPSettings
from .process import MayNotRun
from .settings import Settings, UsersSettings


class Sources:
    """
    One for each C{[[users]]}.

    @ivar entries: of a chain, in the order of the configuration
    @ivar files: the password files among them
    @ivar directories: the LDAP directories among them, to be started and stopped
    @ivar forgetting: what makes them forget remembered passwords
    """

    def __init__(self, settings: Settings, reactor: Any, hashes: HashPool) -> None:
        self.files: list[PasswordFile] = []
        self.directories: list[LDAPChecker] = []
        self.forgetting: list[Callable[[], None]] = []
        domain = settings.mail.domain
        self.entries = [self._entry(each, reactor, hashes, domain) for each in settings.users]

    def _entry(
        self, users: UsersSettings | LDAPSettings, reactor: Any, hashes: HashPool, domain: str
    ) -> Entry:
        if isinstance(users, LDAPSettings):
            made, entry = directory(users, reactor, hashes, domain)
            self.directories.append(made)
            self.forgetting.append(entry.checker.flush)
            return entry
        limits = Limits(clear_text=users.clear_text)
        file = PasswordFile(users.path, hashes, reactor, limits, default_domain=domain)
        self.files.append(file)
        return Entry(file)

    def read(self) -> Iterator[str]:
        """
        Read the files; yields what is wrong in them.

        @raise MayNotRun: one cannot be used
        """
        for each in self.files:
            try:
                yield from each.load()
            except Unusable as error:
                raise MayNotRun(f"{each.label}: {error}; see mailaccess check") from None
