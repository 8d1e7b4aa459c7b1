"""
A checker for the users of the machine itself: C{/etc/shadow}.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import attrs
from zope.interface import implementer

from mailaccess.auth import passwords
from mailaccess.errors import AuthenticationFailed, DirectoryUnavailable
from mailaccess.interfaces import IChecksPasswords, Identity

DAY = 86_400

NOBODY = passwords.dummy("SHA512-CRYPT")
"""A password that nobody knows: what is checked for a name that does not exist."""


@implementer(IChecksPasswords)
@attrs.frozen(eq=False)
class ShadowUsers:
    """
    Users of a shadow file: C{name:hash:changed:min:max:warn:inactive:expires:}.

    @ivar read: gives the text of the file; raises OSError
    @ivar pool: a started L{HashPool<mailaccess.auth.pool.HashPool>}
    """

    read: Callable[[], str]
    pool: Any
    label: str = "shadow"

    async def check(self, name: str, secret: bytes, service: str) -> Identity:
        """
        An unknown name takes as long as a wrong password, and gets the same answer (AUTH-05).
        """
        fields = await self.pool.run(self._fields, name)
        right = await self.pool.run(self._right, fields[1], secret)
        if not right:
            raise AuthenticationFailed(detail=f"{self.label}: {name!r}")
        # The account gate reads these fields, whatever checker filled them.
        days = fields[7]
        expires = {"expires": str(int(days) * DAY) if days.isdecimal() else days} if days else {}
        return Identity(name, fields=expires, source=self.label)

    def _fields(self, name: str) -> list[str]:
        """
        In a thread: the name's fields, or those of nobody.
        """
        try:
            lines = self.read().splitlines()
        except OSError as error:
            # Not AuthenticationFailed: whether the password is right is not known.
            raise DirectoryUnavailable(detail=f"{self.label}: {error.strerror}") from None
        for line in lines:
            fields = line.split(":")
            if fields[0] == name and len(fields) == 9:
                return fields
        return ["", NOBODY, *[""] * 7]

    def _right(self, stored: str, secret: bytes) -> bool:
        """
        In a thread: a good hash takes a tenth of a second of processor time.
        """
        locked = not stored.startswith("$")
        try:
            right = passwords.verify(NOBODY if locked else stored, secret)
        except passwords.BadHash:
            return False
        return right and not locked
