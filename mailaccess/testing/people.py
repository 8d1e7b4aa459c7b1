"""
Users for tests: passwords in a dictionary, and an entrance that lets them in.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import attrs
from twisted.cred.portal import IRealm, Portal
from twisted.internet.interfaces import IReactorTime
from zope.interface import implementer

from ..auth.gate import AccountGate
from ..auth.guard import GuardedChecker
from ..errors import AuthenticationFailed
from ..interfaces import (
    IAccount,
    IChecksPasswords,
    Identity,
    IIMAPUser,
    IKnowsPeople,
    IMailUser,
    IPOP3User,
)
from ..policy.tls import ListenerRule, TLSPolicy, Verdict
from ..protocols.login import Entrance


@implementer(IChecksPasswords, IKnowsPeople)
@attrs.define(eq=False)
class MemoryChecker:
    """
    Names and passwords in memory.

    @ivar asked: the names it was asked to check, in order
    @ivar before: awaited before each answer, if given: a slow directory, or one that fails
    """

    passwords: Mapping[str, bytes]
    fields: Mapping[str, Mapping[str, str]] = attrs.field(factory=dict)
    label: str = "memory"
    asked: list[str] = attrs.field(factory=list)
    before: Callable[[], Any] | None = None

    async def check(self, name: str, secret: bytes, service: str) -> Identity:
        """
        As L{IChecksPasswords.check}.
        """
        self.asked.append(name)
        if self.before is not None:
            await self.before()
        if self.passwords.get(name) != secret:
            raise AuthenticationFailed
        return Identity(name, fields=self.fields.get(name, {}), source=self.label)

    async def attributes(self, name: str) -> Mapping[str, str] | None:
        """
        As L{IKnowsPeople.attributes}.
        """
        return self.fields.get(name)


@implementer(IIMAPUser, IPOP3User)
@attrs.define(eq=False)
class MemoryUser:
    """
    An avatar.
    """

    identity: Identity
    account: Any


@implementer(IRealm)
@attrs.define(eq=False)
class MemoryRealm:
    """
    Gives avatars whose account C{account_of} makes; counts those that have not left.
    """

    account_of: Callable[[Identity], Any]
    present: int = 0

    def requestAvatar(self, avatarId: Any, mind: Any, *interfaces: Any) -> Any:
        """
        As L{IRealm.requestAvatar}.
        """
        self.present += 1
        account = self.account_of(avatarId)

        def leave() -> None:
            self.present -= 1
            if IAccount.providedBy(account):
                account.release()

        return interfaces[0], MemoryUser(avatarId, account), leave


def entrance(
    checker: Any,
    account_of: Callable[[Identity], IMailUser],
    clock: IReactorTime,
    *,
    rule: ListenerRule | None = None,
    policy: TLSPolicy | None = None,
    service: str = "imap",
    tls: Any = None,
    **options: Any,
) -> Entrance:
    """
    An entrance for a listener named C{test}; everything is allowed in the clear unless C{rule} or
    C{policy} says otherwise.
    """
    if policy is None:
        policy = TLSPolicy({"test": rule or ListenerRule(cleartext=Verdict.ALLOW)})
    guard = GuardedChecker(policy, checker, AccountGate(clock.seconds))
    return Entrance(
        listener="test",
        service=service,
        interface=IIMAPUser if service == "imap" else IPOP3User,
        portal=Portal(MemoryRealm(account_of), [guard]),
        guard=guard,
        tls=tls,
        **options,
    )
