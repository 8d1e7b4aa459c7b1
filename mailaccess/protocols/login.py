"""
How a connection lets somebody in: the policy mixin, and the life of a login at the portal.

L{TLSPolicyMixin} gives any Twisted protocol the facts of its connection and the policy's decisions.
L{Entrance} is what the connections of a listener share; L{Entrance.admit} takes a name and a
password through policy, throttle, portal and log, the same way for every mechanism of every
protocol.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Mapping
from functools import partial
from typing import Any

import attrs
from twisted.cred.error import LoginDenied, LoginFailed, UnauthorizedLogin
from twisted.cred.portal import Portal
from twisted.internet.defer import CancelledError
from twisted.logger import Logger

from ..auth.connections import Lease
from ..auth.guard import GuardedChecker, refusal
from ..auth.linked import LinkedPortal
from ..auth.names import BadName, canonical_name
from ..auth.sasl import (
    Challenge,
    Channel,
    Failed,
    Inspect,
    Lookup,
    SASLMechanism,
    mechanisms,
)
from ..errors import (
    AuthenticationFailed,
    BadSyntax,
    DirectoryUnavailable,
    Refused,
    Unasked,
)
from ..interfaces import IMailLogin, IMailUser
from ..policy.attempt import Attempt, Result
from ..policy.link import Layer, Link
from ..policy.mechanism import Coverage, Exposes, Mechanism
from ..policy.tls import Decision
from .links import link_of
from .tlsfacts import channel_binding


class TLSPolicyMixin:
    """
    For a L{twisted.internet.protocol.Protocol}, ours or somebody else's: the facts of its
    connection, and what may be done on it.

    Nothing is taken over: the protocol asks L{decide} before it advertises, L{refuse_early} and
    L{refuse_name} before it asks for a password, and logs in through L{linked_portal}, whose guard
    asks again.

    @ivar entrance: what decides; set by the factory
    @ivar number: the connection's name in the log
    """

    entrance: Entrance
    transport: Any
    number: str = ""
    _link: Link | None = None

    @property
    def link(self) -> Link:
        """
        The connection as it is now.
        """
        if self._link is None:
            self._link = self.entrance.link_of(self.transport)
        return self._link

    def link_changed(self) -> None:
        """
        To be called when TLS has started.
        """
        self._link = None

    def decide(self, mechanism: Mechanism) -> Decision:
        """
        What holds before a name is known: for capability lists, and to refuse early.
        """
        return self.entrance.guard.policy.decide(self.link, mechanism)

    def refuse_early(self, mechanism: Mechanism) -> None:
        """
        Before anything is asked of the client, or granted to it.

        @raise Refused: whoever it is, this will not be allowed
        """
        decision = self.decide(mechanism)
        if not decision.allowed and not decision.depends_on_person:
            raise refusal(decision)

    async def refuse_name(self, mechanism: Mechanism, name: str) -> None:
        """
        Before the password is asked for or granted.

        @raise Refused: not for this person
        """
        await self.entrance.refuse_name(self.link, mechanism, name)

    def note_exposure(
        self, mechanism: Mechanism, name: str = "", refused: Refused | None = None
    ) -> None:
        """
        A password came where none was asked for, and nobody looks at it: if others could read it,
        that gets its line in the log (POL-05).

        @param refused: the refusal that came before it, if any
        """
        if mechanism.exposes is Exposes.PASSWORD and not self.link.private:
            why = refused or Unasked(detail="in a command that makes no sense, or out of turn")
            self.entrance.note_refusal(why, self.link, self.number, mechanism, name, sent=True)

    def linked_portal(self, mechanism: Mechanism) -> LinkedPortal:
        """
        The portal for a protocol that gives it plain names and passwords, as those of Twisted do:
        it adds what the guard wants to know. The link is looked at when somebody logs in.

        @param mechanism: what the protocol's way to log in amounts to
        """
        entrance = self.entrance
        return LinkedPortal(entrance.portal, lambda: self.link, mechanism, entrance.service)

    def sasl_mechanisms(self) -> list[str]:
        """
        Names to advertise now.
        """
        return self.entrance.offered(self.link)

    def sasl_mechanism(self, name: bytes) -> SASLMechanism | None:
        """
        The mechanism of a command, if it is one that works here; whether it may be used now is the
        policy's to say.
        """
        return self.entrance.find(self.link, name.decode("ascii", "replace").upper())


@attrs.frozen
class Visit:
    """
    Somebody is in. C{leave} is called once, when the connection ends or the user logs out.
    """

    user: IMailUser
    mechanism: Mechanism
    leave: Callable[[], None]


@attrs.define(eq=False)
class Entrance:
    """
    What all connections of a listener share for letting people in.

    @ivar listener: its name in the policy
    @ivar service: C{imap} or C{pop3}
    @ivar interface: of the avatar: IIMAPUser or IPOP3User
    @ivar tls: context for STARTTLS and STLS, or None where it is not offered
    @ivar private: layers besides TLS that count as private here; none is assumed
    @ivar trusted: networks whose addresses make a link C{TRUSTED_NETWORK}, if that layer is private
    @ivar mechanisms: the SASL mechanisms there are; curl sends the name as LOGIN's initial
        response, which is taken here
    @ivar attempts: failed logins after which a connection ends (AUTH-07)
    """

    listener: str
    service: str
    interface: Any
    portal: Portal
    guard: GuardedChecker
    tls: Any = None
    private: frozenset[Layer] = frozenset()
    trusted: Collection[Any] = ()
    default_domain: str = ""
    attempts: int = 3
    mechanisms: Mapping[str, SASLMechanism] = attrs.field(
        factory=lambda: mechanisms(login_initial_is_name=True)
    )
    log: Logger = attrs.field(factory=lambda: Logger(namespace="mailaccess.login"))

    # ---- facts ------------------------------------------------------------------------------

    def link_of(self, transport: Any) -> Link:
        """
        The facts of a connection as it is now.
        """
        return link_of(transport, self.listener, self.private, self.trusted)

    # ---- letting in -------------------------------------------------------------------------

    def canonical(self, name: str) -> str:
        """
        The name every later step uses (AUTH-08).

        @raise AuthenticationFailed: it cannot be anybody's
        """
        try:
            return canonical_name(name, self.default_domain)
        except BadName as bad:
            raise AuthenticationFailed(detail=f"name not possible: {bad}") from None

    def offered(self, link: Link) -> list[str]:
        """
        Names of the SASL mechanisms that may be used on a connection as it is now.
        """
        decide = self.guard.policy.decide
        return [
            name
            for name, each in self.mechanisms.items()
            if decide(link, each.mechanism).allowed and self.works(link, each.mechanism)
        ]

    def find(self, link: Link, name: str) -> SASLMechanism | None:
        """
        A SASL mechanism that works here, whether or not it may be used now.
        """
        each = self.mechanisms.get(name)
        return each if each is not None and self.works(link, each.mechanism) else None

    def works(self, link: Link, mechanism: Mechanism) -> bool:
        """
        Whether there is what it needs: for all users, or for some where the listener names it.
        """
        coverage = self.guard.proofs.coverage(mechanism)
        if coverage is not Coverage.SOME:
            return coverage is Coverage.ALL
        rule = self.guard.policy.listeners.get(link.listener)
        return rule is not None and rule.names(mechanism)

    async def refuse_name(self, link: Link, mechanism: Mechanism, name: str) -> None:
        """
        Ask the policy about a person before a password is seen.

        @raise Refused: not for this person
        """
        decision = await self.guard.decide(link, mechanism, self.canonical(name))
        if not decision.allowed:
            raise refusal(decision)

    async def admit(self, session: str, login: IMailLogin, lease: Lease | None = None) -> Visit:
        """
        Let somebody in, or say why not; either way the log has one line.

        The guard makes the answer to a failed login wait (AUTH-07); a refusal by policy is the
        same, in text and in time, whoever it is and whatever the password (POL-04).

        @param lease: the connection's place, which counts for the user as long as the visit lasts
        @raise mailaccess.errors.TooManyConnections: the user has as many as may be (AB-01)
        """
        try:
            return await self._admit(session, login, lease)
        except Refused as refused:
            self._note(refused, login.link, session, login.mechanism, login.name, sent=True)
            raise

    async def _admit(self, session: str, login: IMailLogin, lease: Lease | None) -> Visit:
        try:
            entered: Any = await self.portal.login(login, None, self.interface)
        except Refused:
            raise
        except (LoginFailed, LoginDenied) as failed:
            raise AuthenticationFailed(detail=type(failed).__name__) from None
        except CancelledError:
            # The client hung up before there was an answer: no fault, but not unheard of either.
            self.log.info(
                "login abandoned",
                event="abandoned",
                session=session,
                user=login.name,
                **self._facts(login.link, login.mechanism, sent=True),
            )
            raise
        except Exception as fault:
            self.log.failure("login could not be checked")
            raise DirectoryUnavailable(detail=repr(fault)) from fault
        _, avatar, leave = entered
        if lease is not None:
            leave = _with_place(lease, avatar.identity.name, leave)
        self.log.info(
            "login",
            event="login",
            session=session,
            user=avatar.identity.name,
            **({"actor": avatar.identity.actor} if avatar.identity.actor else {}),
            **self._facts(login.link, login.mechanism, sent=True),
        )
        return Visit(avatar, login.mechanism, leave)

    def _facts(self, link: Link, mechanism: Mechanism, sent: bool) -> dict[str, Any]:
        facts: dict[str, Any] = {
            "listener": link.listener,
            "method": mechanism.name,
            "rip": link.peer,
            "lip": link.local,
            "tls": f"{link.tls_version} {link.cipher}".strip() or link.layer.value,
        }
        if mechanism.exposes is Exposes.PASSWORD and not link.private:
            facts["exposed"] = sent
        return facts

    def _note(
        self,
        refused: Refused,
        link: Link,
        session: str,
        mechanism: Mechanism,
        name: str,
        *,
        sent: bool,
    ) -> None:
        failed = isinstance(refused, UnauthorizedLogin)
        self.log.warn(
            "login failed" if failed else "login refused",
            event="failed" if failed else "refused",
            session=session,
            user=name,
            reason=type(refused).__name__,
            detail=refused.detail,
            **self._facts(link, mechanism, sent),
        )

    def note_refusal(
        self,
        refused: Refused,
        link: Link,
        session: str,
        mechanism: Mechanism,
        name: str = "",
        *,
        sent: bool = False,
    ) -> None:
        """
        One line for a refusal that came before a password was looked at.

        @param sent: the client had sent it all the same; if others could read it, the line says so
            (POL-05)
        """
        decision = refused.decision or self.guard.policy.decide(link, mechanism)
        result = Result.UNKNOWN
        if isinstance(refused, AuthenticationFailed) and decision.allowed:
            result = Result.WRONG
        elif not isinstance(refused, DirectoryUnavailable):
            result = Result.UNCHECKED
        facts = self.service, link, mechanism, name, decision, result
        self.guard.tell(Attempt(session, *facts, sent=sent))
        self._note(refused, link, session, mechanism, name, sent=sent)


def _with_place(lease: Lease, name: str, leave: Callable[[], None]) -> Callable[[], None]:
    """
    Count the place for the user; what gives it back as well.
    """
    try:
        lease.authenticated(name)
    except BaseException:
        leave()
        raise

    def leave_place() -> None:
        lease.withdraw()
        leave()

    return leave_place


def claimed_name(each: SASLMechanism, initial: bytes | None) -> str:
    """
    The user name in an initial response that was refused unread; empty if there is none. For the
    log and the audit: whose password it was that others could read.
    """
    if initial is None:
        return ""
    exchange: Any = each.start()
    outcome = exchange.step(initial)
    return getattr(outcome, "name", "") or exchange.known_name or ""


async def sasl_dialogue(
    protocol: TLSPolicyMixin,
    each: SASLMechanism,
    initial: bytes | None,
    ask: Callable[[bytes], Awaitable[bytes]],
    heard: Callable[[str], object] | None = None,
) -> IMailLogin:
    """
    A SASL exchange, whatever the protocol, from the first response to credentials for the portal.
    The policy is asked as soon as the name is known, before a password is asked for or anything is
    looked up.

    @param initial: the initial response, decoded; None if there was none
    @param ask: sends a challenge and returns the response, both without base64
    @param heard: is told the name, as typed, as soon as it is known: for the log
    @raise Refused: by policy
    @raise BadSyntax: the command itself is wrong (SASL-02)
    @raise AuthenticationFailed: the mechanism's messages make no sense
    """
    if initial is not None and not each.initial_response:
        raise BadSyntax("no initial response with this mechanism")
    guard, link = protocol.entrance.guard, protocol.link
    channel = Channel(
        partial(channel_binding, protocol.transport),
        protocol.sasl_mechanisms(),
        guard.proofs.holders.user_of(link),
    )
    exchange: Any = each.start(channel)
    outcome = exchange.step(initial)
    asked = False
    while isinstance(outcome, Challenge | Lookup | Inspect):
        if exchange.known_name is not None and not asked:
            asked = True
            if heard is not None:
                heard(exchange.known_name)
            await protocol.refuse_name(each.mechanism, exchange.known_name)
        if isinstance(outcome, Lookup):
            outcome = exchange.found(await guard.keys(outcome.name, outcome.scheme))
        elif isinstance(outcome, Inspect):
            outcome = exchange.inspected(await guard.accepts(outcome.token))
        else:
            outcome = exchange.step(await ask(outcome.data))
    if isinstance(outcome, Failed):
        if outcome.malformed:
            raise BadSyntax("no initial response with this mechanism")
        raise AuthenticationFailed(detail=outcome.detail or outcome.public)
    login: IMailLogin = outcome.login(
        link, each.mechanism, protocol.entrance.service, protocol.number
    )
    return login
