"""
Checkers over the test directories, in few words.
"""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

from mailaccess.auth.ldap.directory import LDAPChecker, Remembering
from mailaccess.auth.ldap.options import Connecting, Finding, parse_uri
from mailaccess.auth.pool import HashPool

from .slapd import BASE, READER, READER_SECRET, Authority

_numbers = itertools.count(1)

QUICK = Remembering(guard=0, beat=0)
"""Nothing remembered, nothing held back."""


class Asker:
    """
    Makes checkers and knows how to stop them.
    """

    def __init__(self, scratch: Path, authority: Authority, reactor: Any) -> None:
        self.reactor = reactor
        self.ca = authority.write_ca(scratch / "authority.pem")
        self._scratch = scratch
        self.secret = self.secret_file(READER_SECRET)
        self.hashes = HashPool(reactor, 2)
        self.checkers: list[LDAPChecker] = []

    def secret_file(self, text: str, mode: int = 0o600) -> str:
        """
        A file with a password.
        """
        path = self._scratch / f"secret{next(_numbers)}"
        path.touch(mode)
        path.write_text(text + "\n")
        return str(path)

    def connecting(self, *uris: str, **more: Any) -> Connecting:
        given: dict[str, Any] = {
            "uris": tuple(parse_uri(each) for each in uris),
            "ca_file": str(self.ca),
            "bind_dn": READER,
            "password_file": self.secret,
            "threads": 4,
        }
        if more.get("bind", "simple") != "simple":
            del given["bind_dn"], given["password_file"]
        return Connecting(**{**given, **more})

    def finding(self, **more: Any) -> Finding:
        return Finding(**{"base": BASE, **more})

    def checker(
        self,
        *uris: str,
        remembering: Remembering = QUICK,
        connecting: dict[str, Any] | None = None,
        default_domain: str = "",
        **finding: Any,
    ) -> LDAPChecker:
        """
        One that runs; to be called on the reactor's thread.
        """
        made = LDAPChecker(
            self.connecting(*uris, **(connecting or {})),
            self.finding(**finding),
            self.reactor,
            self.hashes,
            remembering,
            default_domain=default_domain,
        )
        self.hashes.start()
        made.start()
        self.checkers.append(made)
        return made
