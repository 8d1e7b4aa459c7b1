"""
The guard in front of the portal: no password reaches a checker that the policy would not let
through.

    request                                       answer
    credentials without a connection              MechanismRefused
    the policy refuses                            MustEncrypt or MechanismRefused
    credentials that do not fit their mechanism   MechanismRefused
    empty password, NUL, impossible name          AuthenticationFailed
    the checker refuses                           as it says; after a delay if the login was wrong
    the checker breaks                            DirectoryUnavailable
    the gate refuses                              as it says
    acting as somebody else without a right       AuthorizationFailed
    acting as somebody whom policy or gate stop   as they say

The first four never call the checker (POL-03, AUTH-01); what was proved is what the gate and the
rights are asked about, whatever the mechanism (AUTH-11, SASL-03). Protocols ask
L{GuardedChecker.decide} beforehand, so as to refuse before a password is sent; one that forgets is
harmless, because the guard asks the same question again.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any, Protocol, TypeVar

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
    ContactAdmin,
    DirectoryUnavailable,
    MechanismRefused,
    MustEncrypt,
    PasswordExpired,
    Refused,
)
from ..interfaces import Identity, IKnowsPeople, IMailLogin
from ..policy.attempt import Attempt, Result, Witness
from ..policy.link import Link
from ..policy.mechanism import Mechanism
from ..policy.tls import Decision, Person, TLSPolicy
from .gate import AccountGate
from .interfaces import Ground
from .masters import Masters
from .names import BadName, canonical_name
from .passwords import ScramKeys
from .proofs import Proofs
from .rights import Rights

log = Logger()

T = TypeVar("T")


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
    refused = kind(decision.public, f"{decision.rule} ({decision.source})")
    refused.decision = decision
    return refused


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


@attrs.define
class _Case:
    """
    An attempt while it is looked at.

    @ivar user: whose password it is, as far as is known
    @ivar proved: it was right
    """

    decision: Decision
    user: str
    proved: bool = False

    def result(self, error: BaseException | None) -> Result:
        """
        What it came to.
        """
        if error is None:
            return Result.RIGHT
        if self.proved or isinstance(error, PasswordExpired | ContactAdmin):
            return Result.DENIED
        if isinstance(error, AuthenticationFailed):
            return Result.WRONG
        return Result.UNKNOWN if self.decision.allowed else Result.UNCHECKED


@implementer(ICredentialsChecker)
@attrs.define(eq=False)
class GuardedChecker:
    """
    The credentials checker to register with a portal, and the one to ask before asking for a
    password.

    @ivar policy: the TLS policy; may be replaced by another one at any time
    @ivar checker: an L{IChecksPasswords<mailaccess.interfaces.IChecksPasswords>}; policy attributes
        of people are known if it is an L{IKnowsPeople} as well
    @ivar gate: the account gate
    @ivar default_domain: for names that come without one
    @ivar throttle: how long a wrong login waits for its answer; None for not at all
    @ivar clock: what it waits on; needed with C{throttle}
    @ivar proofs: how credentials of each kind are proved
    @ivar rights: who may act as somebody else
    @ivar witness: is told of every attempt that comes here
    @ivar ratchet: L{Person.ratchet} of a canonical name
    @ivar masters: how names say that somebody acts as somebody else
    """

    policy: TLSPolicy
    checker: Any
    gate: AccountGate
    default_domain: str = ""
    throttle: CountsFailures | None = None
    clock: IReactorTime | None = None
    proofs: Proofs = attrs.Factory(
        lambda self: Proofs(self.checker, self.default_domain), takes_self=True
    )
    rights: Rights = attrs.field(factory=Rights)
    witness: Witness | None = None
    ratchet: Callable[[str], str] | None = None
    masters: Masters = attrs.field(factory=Masters)
    credentialInterfaces = (IMailLogin,)  # noqa: N815 - the contract of twisted.cred

    def __attrs_post_init__(self) -> None:
        if self.throttle is not None and self.clock is None:
            raise TypeError("a throttle needs a clock")

    async def decide(
        self,
        link: Link,
        mechanism: Mechanism,
        name: str | None = None,
        policy: TLSPolicy | None = None,
    ) -> Decision:
        """
        What the policy says; with a name, for that person. Says nothing of whether there is such a
        user.

        @param name: as typed or canonical; one that can be nobody's gets what the listener says
        @param policy: another than the one that counts, to see what it would say
        @raise mailaccess.errors.DirectoryUnavailable: the person's rule cannot be looked up now
        """
        policy = self.policy if policy is None else policy
        decision = policy.decide(link, mechanism)
        if name is None or not decision.depends_on_person:
            return decision
        said = [
            policy.decide(link, mechanism, person) if person is not None else decision
            for person in [await self._known(each) for each in self.masters.names(name)]
        ]
        # Of somebody who acts as somebody else, the tighter one.
        return min(said, key=lambda each: each.verdict.openness, default=decision)

    async def _known(self, name: str) -> Person | None:
        """
        What is known of a name; None if it can be nobody's.
        """
        canonical = self._name_or_none(name)
        if not canonical:
            return None
        person = await self._person(canonical)
        if self.ratchet is not None:
            person = attrs.evolve(person, ratchet=self.ratchet(canonical))
        return person

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
        case = _Case(self.policy.decide(link, mechanism), credentials.name)
        error: BaseException | None = None
        try:
            return await self._look_at(credentials, case)
        except BaseException as fault:
            error = fault
            raise
        finally:
            self.tell(
                Attempt(
                    getattr(credentials, "session", ""),
                    credentials.service,
                    link,
                    mechanism,
                    case.user,
                    case.decision,
                    case.result(error),
                    sent=True,
                )
            )

    def tell(self, attempt: Attempt) -> None:
        """
        Tell the witness, if there is one; what goes wrong with it changes no answer.
        """
        if self.witness is not None:
            try:
                self.witness.saw(attempt)
            except Exception:
                log.failure("the witness of logins failed")

    async def _look_at(self, credentials: Any, case: _Case) -> Identity:
        link, mechanism = credentials.link, credentials.mechanism
        decision = case.decision = await self.decide(link, mechanism, credentials.name)
        if not decision.allowed:
            raise refusal(decision)
        credentials = self.masters.read(credentials)
        await self._hold(link.peer, credentials.name)
        try:
            identity = await self._authenticate(credentials)
        except AuthenticationFailed:
            # Who hangs up meanwhile has failed all the same, and the log has to say so.
            with suppress(CancelledError):
                await self._wait(link.peer, credentials.name)
            raise
        case.proved, case.user = True, identity.name
        if self.throttle is not None:
            self.throttle.succeeded(link.peer, identity.name)
        if identity.name != self._name_or_none(credentials.name):
            # Who it is came with the proof, or somebody came by another name of theirs: only now
            # can be asked what holds for this person.
            decision = case.decision = await self.decide(link, mechanism, identity.name)
            if not decision.allowed:
                raise refusal(decision)
        self.gate.check(identity, link, credentials.service)
        identity = await self._as_whom(identity, credentials)
        if decision.reported:
            _report(decision, credentials, identity)
        return identity

    async def keys(self, name: str, scheme: str) -> ScramKeys:
        """
        What an exchange of SCRAM goes on with; the policy has to have been asked. Invented keys for
        a name (as typed) that has none.

        @raise mailaccess.errors.DirectoryUnavailable: it could not be found out
        """
        return await self._asking(self.proofs.keys(self.masters.parted(name)[0], scheme), name)

    async def accepts(self, token: str) -> bool:
        """
        Whether a token is good, for an exchange that has to say so; L{requestAvatarId} looks again.

        @raise mailaccess.errors.DirectoryUnavailable: it could not be found out
        """
        if self.proofs.tokens is None:
            return False
        try:
            await self._asking(self.proofs.tokens.holder(token), "")
        except AuthenticationFailed:
            return False
        return True

    async def _authenticate(self, credentials: Any) -> Identity:
        found = await self._asking(self.proofs.prove(credentials), credentials.name)
        identity = self.canonical(found)
        if not identity.grounds:
            name = self._name_or_none(credentials.name) or identity.name
            identity = attrs.evolve(identity, grounds=(Ground(name, identity.mark),))
        return identity

    async def _as_whom(self, identity: Identity, credentials: Any) -> Identity:
        """
        Whose mail somebody is to see: their own, or that of another, with a right to it.
        """
        wanted = credentials.authorization
        if not wanted:
            return identity
        other = self._name_or_none(wanted)
        if other and other in (identity.name, self._name_or_none(credentials.name)):
            return identity
        detail = f"{identity.name!r} asked to act as {wanted!r}"
        if not other or not self.rights.may_act_as(identity, other):
            raise AuthorizationFailed(detail=detail)
        found = await self._asking(self.proofs.person(other), other)
        if found is None:
            raise AuthorizationFailed(detail=f"{detail}, whom nobody knows")
        person = self.canonical(found)
        decision = await self.decide(credentials.link, credentials.mechanism, person.name)
        if not decision.allowed:
            raise refusal(decision)
        seen = self.rights.as_seen(identity, person)
        self.gate.check(seen, credentials.link, credentials.service)
        grounds = (*identity.grounds, Ground(other))
        return attrs.evolve(person, actor=identity.name, grounds=grounds)

    def canonical(self, identity: Identity) -> Identity:
        """
        As a source of users gave it, with a name that can be one.

        @raise mailaccess.errors.DirectoryUnavailable: it has none
        """
        try:
            # What a directory calls somebody is data from outside too (AUTH-08).
            return attrs.evolve(
                identity, name=canonical_name(identity.name, self.default_domain), actor=""
            )
        except BadName:
            log.error("{source}: a user with an impossible name", source=identity.source)
            raise DirectoryUnavailable(detail="checker: impossible name") from None

    async def _asking(self, answer: Awaitable[T], name: str) -> T:
        try:
            return await answer
        except (Refused, CancelledError):
            raise
        except Exception as error:
            log.failure("checking {name!r} failed", name=name)
            raise DirectoryUnavailable(detail=f"checker: {type(error).__name__}") from None

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
