"""
Logins of an administrator as somebody else by a name alone: C{amy*boss}, with the password of boss.

The same as an authorization identity (RFC 4422 section 2), for clients that can give none. It is no
right: whether boss may act as amy is for L{mailaccess.auth.rights} to say, and what holds for
either of them holds for the login.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import attrs

from ..errors import AuthorizationFailed
from ..policy.mechanism import Needs

_TYPED = frozenset({Needs.PASSWORD, Needs.SECRET, Needs.KEYS_SHA1, Needs.KEYS_SHA256})
"""What mechanisms need whose names somebody has typed."""


@attrs.frozen
class Masters:
    """
    How such names are written.

    @ivar separator: between the two; empty for no such names
    """

    separator: str = ""

    def parted(self, name: str) -> tuple[str, str]:
        """
        Who logs in, and as whom; the latter is empty for themselves.
        """
        user, found, master = name.partition(self.separator) if self.separator else ("", "", "")
        return (master, user) if found and user and master else (name, "")

    def names(self, name: str) -> Sequence[str]:
        """
        Of whom the policy has to be asked.
        """
        return [each for each in self.parted(name) if each]

    def read(self, credentials: Any) -> Any:
        """
        The same credentials, of the one who logs in.

        @raise AuthorizationFailed: they ask to act as somebody else than their name says
        """
        master, user = self.parted(credentials.name)
        if not user or credentials.mechanism.needs not in _TYPED:
            return credentials
        # Some clients send the name they log in with as whom to act as, too.
        if credentials.authorization not in ("", user, credentials.name):
            detail = f"{credentials.name!r} asked to act as {credentials.authorization!r}"
            raise AuthorizationFailed(detail=detail)
        return attrs.evolve(credentials, name=master, authorization=user)
