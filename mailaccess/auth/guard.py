"""
The guard in front of the portal: no password reaches a checker that the policy would not let
through.

    request                                       answer
    credentials without a connection              MechanismRefused
    the policy refuses                            MustEncrypt or MechanismRefused
    empty password, NUL, impossible name          AuthenticationFailed
    acting as somebody else                       AuthorizationFailed
    the checker refuses                           as it says; after a delay if the login was wrong
    the checker breaks                            DirectoryUnavailable
    the gate refuses                              as it says

The first four never call the checker (POL-03, AUTH-01, SASL-03). Protocols ask
L{GuardedChecker.decide} beforehand, so as to refuse before a password is sent; one that forgets is
harmless, because the guard asks the same question again.
"""

from __future__ import annotations

from contextlib import suppress
from secrets import token_bytes
from typing import Any, Protocol

import attrs
from twisted.cred.checkers import ICredentialsChecker
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import deferLater
from twisted.logger import Logger
from zope.interface import implementer

from ..errors import (
    AuthenticationFailed,
    AuthorizationFailed,
    DirectoryUnavailable,
    MechanismRefused,
    MustEncrypt,
    Refused,
)
from ..interfaces import (
    IChallengeLogin,
    Identity,
    IKnowsPeople,
    IKnowsSecrets,
    IPasswordLogin,
)
from ..policy.link import Link
from ..policy.mechanism import Mechanism
from ..policy.tls import Decision, Person, TLSPolicy
from .gate import AccountGate
from .names import BadName, BadPassword, canonical_name, prepare_password

log = Logger()


class CountsFailures(Protocol):
    """
    What the guard needs of a L{mailaccess.auth.throttle.Throttle}.
    """

    def held(self, peer: str, name: str) -> float:
        """
        How many seconds to wait before the next attempt is looked at.
        """

    def failed(self, peer: str, name: str) -> float:
        """
        Count a failure; how many seconds to wait before it is answered.
        """

    def succeeded(self, peer: str, name: str) -> None:
        """
        Count a success.
        """


def refusal(decision: Decision) -> MustEncrypt | MechanismRefused:
    """
    The exception for a decision that refuses; the reason goes to the log only.
    """
    kind = MustEncrypt if decision.private_would_do else MechanismRefused
    return kind(decision.public, f"{decision.rule} ({decision.source})")


def _report(decision: Decision, credentials: Any, identity: Identity) -> None:
    """
    One line for somebody who is let in only because a rule is being tried out.
    """
    link: Link = credentials.link
    log.warn(
        "let in, would be refused",
        event="would-refuse",
        session=getattr(credentials, "session", ""),
        user=identity.name,
        listener=link.listener,
        method=credentials.mechanism.name,
        rip=link.peer,
        lip=link.local,
        tls=f"{link.tls_version} {link.cipher}".strip() or link.layer.value,
        detail=f"{decision.rule} ({decision.source})",
    )


@implementer(ICredentialsChecker)
@attrs.frozen(eq=False)
class GuardedChecker:
    """
    The credentials checker to register with a portal, and the one to ask before asking for a
    password.

    @ivar policy: the TLS policy
    @ivar checker: an L{IChecksPasswords<mailaccess.interfaces.IChecksPasswords>}; policy attributes
        of people are known if it is an L{IKnowsPeople} as well
    @ivar gate: the account gate
    @ivar default_domain: for names that come without one
    @ivar throttle: how long a wrong login waits for its answer; None for not at all
    @ivar clock: what it waits on; needed with C{throttle}
    """

    policy: TLSPolicy
    checker: Any
    gate: AccountGate
    default_domain: str = ""
    throttle: CountsFailures | None = None
    clock: IReactorTime | None = None
    credentialInterfaces = (IPasswordLogin, IChallengeLogin)  # noqa: N815 - the contract of twisted.cred

    def __attrs_post_init__(self) -> None:
        if self.throttle is not None and self.clock is None:
            raise TypeError("a throttle needs a clock")

    async def decide(self, link: Link, mechanism: Mechanism, name: str | None = None) -> Decision:
        """
        What the policy says; with a name, for that person. Says nothing of whether there is such a
        user.

        @param name: as typed or canonical; one that can be nobody's gets what the listener says
        @raise mailaccess.errors.DirectoryUnavailable: the person's rule cannot be looked up now
        """
        decision = self.policy.decide(link, mechanism)
        if name is None or not decision.depends_on_person:
            return decision
        try:
            canonical = canonical_name(name, self.default_domain)
        except BadName:
            return decision
        return self.policy.decide(link, mechanism, await self._person(canonical))

    def requestAvatarId(self, credentials: Any) -> Deferred[Any]:
        """
        The L{Identity} of somebody who may log in like this; fails with a L{Refused}, never
        otherwise.
        """
        return Deferred.fromCoroutine(self._admit(credentials))

    async def _admit(self, credentials: Any) -> Identity:
        link = getattr(credentials, "link", None)
        mechanism = getattr(credentials, "mechanism", None)
        if not isinstance(link, Link) or not isinstance(mechanism, Mechanism):
            raise MechanismRefused(detail="credentials do not say over what they came")
        decision = await self.decide(link, mechanism, credentials.name)
        if not decision.allowed:
            raise refusal(decision)
        await self._hold(link.peer, credentials.name)
        try:
            identity = await self._authenticate(credentials)
        except AuthenticationFailed:
            # Who hangs up meanwhile has failed all the same, and the log has to say so.
            with suppress(CancelledError):
                await self._wait(link.peer, credentials.name)
            raise
        if self.throttle is not None:
            self.throttle.succeeded(link.peer, identity.name)
        self.gate.check(identity, link, credentials.service)
        if decision.reported:
            _report(decision, credentials, identity)
        return identity

    async def _authenticate(self, credentials: Any) -> Identity:
        challenged = IChallengeLogin.providedBy(credentials)
        try:
            name = canonical_name(credentials.name, self.default_domain)
            secret = b"" if challenged else prepare_password(credentials.secret)
        except (BadName, BadPassword) as error:
            raise AuthenticationFailed(detail=str(error)) from None
        self._check_authorization(credentials.authorization, name)
        try:
            found: Identity = (
                await self._answered(name, credentials)
                if challenged
                else await self.checker.check(name, secret, credentials.service)
            )
            # What a directory calls somebody is data from outside too (AUTH-08).
            return attrs.evolve(found, name=canonical_name(found.name, self.default_domain))
        except (Refused, CancelledError):
            raise
        except Exception as error:
            log.failure("checking {name!r} failed", name=name)
            raise DirectoryUnavailable(detail=f"checker: {type(error).__name__}") from None

    async def _answered(self, name: str, credentials: Any) -> Identity:
        known = None
        if IKnowsSecrets.providedBy(self.checker):
            known = await self.checker.recoverable(name)
        # Nobody's password, where there is none: the same work for every name (AUTH-05).
        identity, secret = known or (None, token_bytes(16))
        if not credentials.answers(secret) or identity is None:
            raise AuthenticationFailed(detail=f"{name!r}: wrong answer, or no recoverable password")
        return identity

    def _check_authorization(self, authorization: str, name: str) -> None:
        if not authorization:
            return
        try:
            same = canonical_name(authorization, self.default_domain) == name
        except BadName:
            same = False
        if not same:
            raise AuthorizationFailed(detail=f"{name!r} asked to act as {authorization!r}")

    async def _person(self, name: str) -> Person:
        if not IKnowsPeople.providedBy(self.checker):
            return Person(name)
        try:
            attributes = await self.checker.attributes(name)
        except (Refused, CancelledError):
            raise
        except Exception as error:
            log.failure("looking up {name!r} failed", name=name)
            raise DirectoryUnavailable(detail=f"checker: {type(error).__name__}") from None
        if attributes is None:
            return Person(name)
        return Person(
            name,
            attributes,
            source=attributes.get("policy_source", getattr(self.checker, "label", "")),
        )

    async def _hold(self, peer: str, name: str) -> None:
        """
        Who hung up instead of waiting for the answer to a wrong login waits for it now (AUTH-07).
        """
        if self.throttle is not None and self.clock is not None:
            seconds = self.throttle.held(peer, self._name_or_none(name))
            if seconds > 0:
                await deferLater(self.clock, seconds)

    async def _wait(self, peer: str, name: str) -> None:
        if self.throttle is not None and self.clock is not None:
            seconds = self.throttle.failed(peer, self._name_or_none(name))
            if seconds > 0:
                await deferLater(self.clock, seconds)

    def _name_or_none(self, name: str) -> str:
        try:
            return canonical_name(name, self.default_domain)
        except BadName:
            return ""
