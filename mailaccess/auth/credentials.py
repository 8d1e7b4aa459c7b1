"""
Credentials that carry the connection they came over, for the guard in front of the portal.
"""

from __future__ import annotations

import hashlib
import hmac

import attrs
from twisted.cred.credentials import IUsernamePassword
from zope.interface import implementer

from ..policy.link import Link
from ..policy.mechanism import Mechanism
from .interfaces import IChallengeLogin, IPasswordLogin


@implementer(IPasswordLogin, IUsernamePassword)
@attrs.frozen
class PasswordLogin:
    """
    A name and a password, how they were presented and over what. Its repr does not show the
    password.

    @ivar name: user name as typed
    @ivar secret: the password as it came
    @ivar service: C{imap}, C{pop3}, ...
    @ivar authorization: who to act as; empty for the same
    @ivar session: the connection's name in the log
    """

    name: str
    secret: bytes = attrs.field(repr=False)
    link: Link
    mechanism: Mechanism
    service: str
    authorization: str = ""
    session: str = ""

    @property
    def username(self) -> bytes:
        """
        The name for checkers of Twisted.
        """
        return self.name.encode("utf-8", "surrogateescape")

    @property
    def password(self) -> bytes:
        """
        The password for checkers of Twisted.
        """
        return self.secret

    def checkPassword(self, password: bytes) -> bool:
        """
        Whether it is this one; the time does not tell how much of it is right (AUTH-06).
        """
        return hmac.compare_digest(self.secret, password)


@implementer(IChallengeLogin)
@attrs.frozen
class APOPLogin:
    """
    A name and a digest of the greeting's timestamp and the password (RFC 1939 section 7).

    @ivar timestamp: as the greeting had it, angle brackets included
    @ivar digest: 32 hexadecimal digits
    """

    name: str
    timestamp: bytes
    digest: bytes = attrs.field(repr=False)
    link: Link
    mechanism: Mechanism
    service: str
    authorization: str = ""

    def answers(self, secret: bytes) -> bool:
        """
        Whether the digest was made with this password.
        """
        right = hashlib.md5(self.timestamp + secret, usedforsecurity=False).hexdigest()
        return hmac.compare_digest(right.encode("ascii"), self.digest.lower())
