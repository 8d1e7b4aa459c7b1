"""
The realm: who has logged in gets an avatar with the account in it, as long as there is room.

    Portal(MailRealm(accounts, SessionLimits(per_user=50)), [guard])
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

import attrs
from twisted.cred.portal import IRealm
from twisted.internet.defer import Deferred
from zope.interface import implementer

from mailaccess.errors import MechanismRefused, TooManyConnections
from mailaccess.interfaces import IAccount, IAccounts, Identity, IIMAPUser, IPOP3User


@implementer(IIMAPUser)
@attrs.frozen(eq=False)
class IMAPUser:
    """
    A user in an IMAP session.
    """

    identity: Identity
    account: IAccount


@implementer(IPOP3User)
@attrs.frozen(eq=False)
class POP3User:
    """
    A user in a POP3 session.
    """

    identity: Identity
    account: IAccount


AVATARS: dict[Any, Callable[[Identity, IAccount], Any]] = {
    IIMAPUser: IMAPUser,
    IPOP3User: POP3User,
}


@implementer(IRealm)
class MailRealm:
    """
    Avatars with accounts from a store.

    @ivar per_user: sessions that one user may have at a time (AB-01), counted by canonical name
    """

    def __init__(self, accounts: IAccounts, per_user: int = 50) -> None:
        self.accounts = accounts
        self.per_user = per_user
        self.sessions: Counter[str] = Counter()

    def requestAvatar(self, avatarId: Any, mind: object, *interfaces: Any) -> Deferred[Any]:
        """
        C{(interface, avatar, leave)} of an L{Identity}, for the first interface that is known here.
        C{leave} releases the account, once however often it is called.

        @raise TooManyConnections: (by the Deferred) the user has as many sessions as may be
        @raise NotImplementedError: none of the interfaces is known
        """
        for interface in interfaces:
            if interface in AVATARS:
                return Deferred.fromCoroutine(self._avatar(avatarId, interface))
        raise NotImplementedError(f"no avatar for {interfaces!r}")

    async def _avatar(self, identity: Identity, interface: Any) -> Any:
        if not isinstance(identity, Identity):
            # Twisted's ANONYMOUS is no user of ours.
            raise MechanismRefused(detail="avatar id is no identity")
        name = identity.name
        if self.sessions[name] >= self.per_user:
            raise TooManyConnections(detail=f"{self.per_user} sessions of {name!r}")
        self.sessions[name] += 1
        try:
            account: IAccount = await self.accounts.account(identity)
        except BaseException:
            self._left(name)
            raise
        gone = False

        def leave() -> None:
            nonlocal gone
            if not gone:
                gone = True
                self._left(name)
                account.release()

        return interface, AVATARS[interface](identity, account), leave

    def _left(self, name: str) -> None:
        self.sessions[name] -= 1
        if self.sessions[name] <= 0:
            del self.sessions[name]
