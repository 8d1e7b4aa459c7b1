"""
The realm: who has logged in gets an avatar with the account in it.

    Portal(MailRealm(accounts), [guard])

How many sessions there may be is counted where connections are, in
L{mailaccess.auth.connections}.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import attrs
from twisted.cred.portal import IRealm
from twisted.internet.defer import Deferred
from zope.interface import implementer

from mailaccess.errors import MechanismRefused
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
    """

    def __init__(self, accounts: IAccounts) -> None:
        self.accounts = accounts

    def requestAvatar(self, avatarId: Any, mind: object, *interfaces: Any) -> Deferred[Any]:
        """
        C{(interface, avatar, leave)} of an L{Identity}, for the first interface that is known here.
        C{leave} releases the account, once however often it is called.

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
        account: IAccount = await self.accounts.account(identity)
        gone = False

        def leave() -> None:
            nonlocal gone
            if not gone:
                gone = True
                account.release()

        return interface, AVATARS[interface](identity, account), leave
