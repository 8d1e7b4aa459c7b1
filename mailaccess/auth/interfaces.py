"""
What credentials are, and what a source of users may have to check them with.

Beside L{mailaccess.interfaces}, which has what every source of users has.
"""

from __future__ import annotations

from typing import Any

import attrs
from zope.interface import Attribute, Interface

from ..interfaces import Identity, IMailLogin


@attrs.frozen
class Ground:
    """
    Why somebody is in: what is looked at again while a session lasts (AUTH-12).

    @ivar name: canonical name by which the source of users found them
    @ivar mark: L{Identity.mark} of the password that was right; empty if it was no password
    """

    name: str
    mark: str = attrs.field(default="", repr=False)


class IPasswordLogin(IMailLogin):
    """
    A name and a password.
    """

    secret: bytes = Attribute("bytes: the password as it came, never logged or shown by repr")


class IChallengeLogin(IMailLogin):
    """
    A name, and an answer to a challenge that takes the password to give.
    """

    def answers(secret: bytes) -> bool:
        """
        Whether the answer is right if this is the password; in constant time.
        """


class IKnowsSecrets(Interface):
    """
    A source of users that keeps passwords recoverable, as challenges need them.
    """

    async def recoverable(name: str) -> tuple[Identity, bytes] | None:
        """
        Identity and password of a canonical name; None where there is none or it is hashed.
        """


class IKeysLogin(IMailLogin):
    """
    A name, and a proof by SCRAM that it takes the password to give.
    """

    scheme: str = Attribute("str: 'SCRAM-SHA-256' or 'SCRAM-SHA-1'")

    def answers(keys: Any) -> bool:
        """
        Whether the proof is right if these are the keys; in constant time.
        """


class IKnowsKeys(Interface):
    """
    A source of users that keeps keys of SCRAM (RFC 5802 section 3).
    """

    async def keys(name: str, scheme: str) -> tuple[Identity, Any] | None:
        """
        Identity and L{ScramKeys<mailaccess.auth.passwords.ScramKeys>} of a canonical name; None
        where there are none of this scheme.

        @raise mailaccess.errors.DirectoryUnavailable: it could not be found out
        """

    def usual(scheme: str) -> tuple[int, int] | None:
        """
        Octets of salt and number of iterations of most keys; None where there are none. Users who
        do not exist look like that.
        """


class ICertificateLogin(IMailLogin):
    """
    A name that the client's certificate is for, as C{link} tells.
    """


class ITokenLogin(IMailLogin):
    """
    A token that says who somebody is; C{name} is empty.
    """

    token: str = Attribute("str: as it came, never logged or shown by repr")


class IAnonymousLogin(IMailLogin):
    """
    Nobody in particular.
    """


class IFindsUsers(Interface):
    """
    A source of users that can be asked for somebody who proved otherwise who they are, or as whom
    somebody else acts.
    """

    async def person(name: str) -> Identity | None:
        """
        The identity of a canonical name; None where there is none, or where nobody may log in by
        the record at all. Fields are those that the account gate reads: nobody is asked for a
        password, so nothing else tells that the account is locked.

        @raise mailaccess.errors.DirectoryUnavailable: it could not be found out
        @raise mailaccess.errors.Refused: they may not log in, as it says
        """


class IFollowsUsers(Interface):
    """
    A source of users that can say how somebody stands whose session lasts (AUTH-12).
    """

    def follows(name: str) -> bool:
        """
        Whether None of L{standing} means that there is no such user (canonical name); at once.
        """

    async def standing(name: str) -> Identity | None:
        """
        As L{IFindsUsers.person}, but somebody who is only locked for a while because others tried
        wrong passwords stays.

        @raise mailaccess.errors.DirectoryUnavailable: it could not be found out
        @raise mailaccess.errors.Refused: they may not log in, as it says
        """


class IMeetsNeeds(Interface):
    """
    A source of users that says for which mechanisms its records are good. One that does not say so
    checks passwords, and whatever its other interfaces tell.
    """

    def coverage(needs: Any) -> Any:
        """
        For how many of its users it has what a mechanism needs; at once.

        @param needs: a L{mailaccess.policy.mechanism.Needs}
        @return: a L{mailaccess.policy.mechanism.Coverage}
        """
