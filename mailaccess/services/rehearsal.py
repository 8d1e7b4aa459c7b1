"""
What the server would do, without a server: for C{mailaccess explain}, C{matrix} and C{policy-diff}.

    rehearsal = Rehearsal(load("/etc/mailaccess.toml"))
    explanation = rehearsal.explain(Scene("imap", user="amy"))

The decisions come from the policy that serves; the texts from the protocols that serve, with the
policy that serves behind them, and nobody behind that: no password is ever right.
"""

from __future__ import annotations

import ipaddress
import time
from collections.abc import Collection, Coroutine, Mapping, Sequence
from typing import Any, TypeVar

import attrs
from twisted.cred.portal import IRealm, Portal
from twisted.internet.task import Clock
from zope.interface import implementer

from mailaccess.auth.chain import CheckerChain
from mailaccess.auth.coverage import together
from mailaccess.auth.gate import AccountGate
from mailaccess.auth.guard import GuardedChecker
from mailaccess.auth.interfaces import IMeetsNeeds
from mailaccess.auth.masters import Masters
from mailaccess.auth.passwdlines import read_lines
from mailaccess.auth.passwords import Limits as HashLimits
from mailaccess.errors import AuthenticationFailed, DirectoryUnavailable
from mailaccess.interfaces import IChecksPasswords, Identity, IKnowsPeople
from mailaccess.policy.link import Link
from mailaccess.policy.mechanism import (
    Coverage,
    Mechanism,
    Needs,
)
from mailaccess.policy.rules import OWN_KEYS
from mailaccess.policy.tls import Decision, Person, TLSPolicy
from mailaccess.protocols.factory import MailFactory
from mailaccess.protocols.sweep import Sweep

from .audit.database import NotUsable
from .audit.ratchet import Ratchet
from .audit.service import held
from .factories import Factories
from .ldapsettings import LDAPSettings
from .logins import proofs_of
from .policies import policy_of
from .records import NotReadable, outspoken, records
from .settings import ListenerSettings, Settings
from .stage import UNIX, VISITORS, StageEntrance, Visitor, behind_proxy

ANYWHERE = "192.0.2.1"
"""The client's address if none is given: one of nobody (RFC 5737)."""

_DIRECTORIES = frozenset({Needs.PASSWORD, Needs.CERTIFICATE, Needs.TOKEN, Needs.NOTHING})

T = TypeVar("T")


class NotPlayable(Exception):
    """
    A scene that cannot be; the text says why.
    """


@attrs.frozen
class Scene:
    """
    Somebody comes over a connection.

    @ivar tls: C{none}, C{1.2} or C{1.3}
    @ivar user: empty for somebody of whom nothing is known
    @ivar peer: the client's address, or C{unix}
    @ivar certificate: subject of a client certificate, or empty
    @ivar proxy: C{tls} is between the client and a proxy of the listener's
    """

    listener: str
    tls: str = "none"
    user: str = ""
    peer: str = ANYWHERE
    certificate: str = ""
    proxy: bool = False


@attrs.frozen
class Outcome:
    """
    What becomes of one mechanism.

    @ivar advertised: whether a client is offered it before it says a name
    @ivar command: what is answered with C{answer}
    @ivar answer: what the client reads if it is refused; else empty
    """

    mechanism: Mechanism
    decision: Decision
    advertised: bool
    command: str = ""
    answer: str = ""


@attrs.frozen
class Explanation:
    """
    All of one scene.

    @ivar source: where the listener is written
    @ivar greeting: the server's first line
    @ivar capability: lines of CAPABILITY or CAPA, as a client reads them
    """

    scene: Scene
    link: Link
    source: str
    greeting: str
    capability: Sequence[str]
    outcomes: Sequence[Outcome]


class Rehearsal:
    """
    A site that serves nobody.

    @ivar policy: the one that would serve
    @ivar ratchet: whom it holds now
    @ivar unknown: what directories did not say, after L{in_directories}
    """

    def __init__(self, settings: Settings) -> None:
        """
        @raise NotPlayable: users cannot be read
        """
        self.settings = settings
        self.policy = policy_of(settings)
        self.listeners = {each.label: each for each in settings.listeners}
        files = [each for each in settings.users if each.type == "file"]
        self.unknown: list[str] = []
        self._known = sorted({name for each in files for name in _names(each, settings)})
        clock = Clock()
        try:
            here = records(settings, ("file",))
            people = _People(settings, here, records(settings))
            self.ratchet = held(settings)
        except (NotReadable, NotUsable) as error:
            raise NotPlayable(str(error)) from None
        self._guard = _guard(self.policy, people, settings, self.ratchet)
        self._factories = _factories(settings, self._guard, clock)
        # Somebody of whom nothing is known, not even a name that a rule could match.
        stranger = TLSPolicy(self.policy.listeners)
        nobody = _guard(stranger, _People(settings, here), settings)
        self._for_strangers = _factories(settings, nobody, clock)

    def listener(self, name: str) -> ListenerSettings:
        """
        The settings of a listener.

        @raise NotPlayable: there is none of this name
        """
        if name not in self.listeners:
            raise NotPlayable(f"no listener {name!r}; there are: {', '.join(self.listeners)}")
        return self.listeners[name]

    def visitor(self, scene: Scene) -> Visitor:
        """
        The connection of a scene.

        @raise NotPlayable: the listener has no such connections
        """
        listener = self.listener(scene.listener)
        return arrive(scene, listener, self._factory(scene, listener))

    def _factory(self, scene: Scene, listener: ListenerSettings) -> MailFactory:
        factories = self._factories if scene.user else self._for_strangers
        return factories.make(listener, tls=object())

    def mechanisms(self, listener: ListenerSettings) -> list[Mechanism]:
        """
        All that a listener's protocol has and a source of users can check, offered or not.
        """
        return self._factories.mechanisms(listener)

    def person(self, name: str) -> Person:
        """
        What is known of a user.
        """
        said = now(self._guard.checker.attributes(name))
        source = (said or {}).get("policy_source", "")
        return Person(name, said or {}, source, self.ratchet(name))

    def known(self) -> list[str]:
        """
        The names that have records in password files.
        """
        return self._known

    def in_directories(self, most: int) -> list[str]:
        """
        The names of people of whom directories say something of their own about policy. What could
        not be found out is in C{unknown} afterwards.
        """
        names, self.unknown = outspoken(self.settings, OWN_KEYS, most)
        return sorted(set(names) - set(self._known))

    def decide(self, link: Link, mechanism: Mechanism, user: str = "") -> Decision:
        """
        The decision that would be made.
        """
        if not user:
            return self.policy.decide(link, mechanism)
        return now(self._guard.decide(link, mechanism, user))

    def explain(self, scene: Scene, only: str = "") -> Explanation:
        """
        What happens in a scene.

        @param only: name of a mechanism; all if empty
        @raise NotPlayable: it cannot be, or there is no such mechanism
        """
        listener = self.listener(scene.listener)
        visitor = self.visitor(scene)
        found = [
            each
            for each in self.mechanisms(listener)
            if not only or each.name.casefold() == only.casefold()
        ]
        if not found:
            names = ", ".join(each.name for each in self.mechanisms(listener))
            raise NotPlayable(f"no mechanism {only!r} here; there are: {names}")
        return Explanation(
            scene,
            visitor.link,
            listener.source,
            visitor.greeting.decode("ascii", "replace").strip(),
            visitor.capability(),
            [self._outcome(scene, visitor.link, each) for each in found],
        )

    def _outcome(self, scene: Scene, link: Link, mechanism: Mechanism) -> Outcome:
        decision = self.decide(link, mechanism, scene.user)
        advertised = self.policy.decide(link, mechanism).allowed
        if decision.allowed:
            return Outcome(mechanism, decision, advertised)
        command, answer = self.visitor(scene).login(mechanism, scene.user or "somebody")
        return Outcome(mechanism, decision, advertised, command, answer)


def arrive(scene: Scene, listener: ListenerSettings, factory: MailFactory) -> Visitor:
    """
    The connection of a scene.

    @raise NotPlayable: the listener has no such connections
    """
    implicit = listener.tls == "implicit"
    if scene.tls == "none" and implicit:
        raise NotPlayable(f"listener {scene.listener} has TLS from the start")
    if scene.tls != "none" and listener.tls == "none" and not scene.proxy:
        raise NotPlayable(f"listener {scene.listener} has no TLS")
    if scene.proxy and not (listener.proxies and scene.tls != "none"):
        raise NotPlayable(f"listener {scene.listener} has no TLS at a proxy")
    if scene.certificate and (scene.tls == "none" or listener.client_certificate == "no"):
        raise NotPlayable(f"listener {scene.listener} asks for no client certificate there")
    if scene.peer == UNIX:
        if not any(each.startswith(("unix:", "systemd:")) for each in listener.address):
            raise NotPlayable(f"listener {scene.listener} has no unix socket")
    else:
        try:
            ipaddress.ip_address(scene.peer)
        except ValueError:
            raise NotPlayable(f"{scene.peer!r} is no IP address") from None
    told = behind_proxy(scene.peer, scene.tls, scene.certificate) if scene.proxy else None
    return VISITORS[listener.protocol](
        factory,
        scene.peer,
        implicit=implicit,
        tls="" if scene.tls == "none" or (scene.proxy and not implicit) else scene.tls,
        certificate=scene.certificate,
        announced=told,
    )


def now(coroutine: Coroutine[Any, Any, T]) -> T:
    """
    The result of a coroutine that waits for nothing.
    """
    try:
        coroutine.send(None)
    except StopIteration as stop:
        result: T = stop.value
        return result
    except DirectoryUnavailable as error:
        raise NotPlayable(f"a source of users cannot be asked: {error.detail}") from None
    coroutine.close()
    raise NotPlayable("the answer needs a running server")


def _names(users: Any, settings: Settings) -> Collection[str]:
    try:
        with open(users.path, "rb") as file:
            text = file.read()
    except OSError as error:
        raise NotPlayable(f"{users.path}: {error.strerror}") from None
    return read_lines(text, HashLimits(clear_text=True), settings.mail.domain).lines.keys()


def _guard(
    policy: TLSPolicy, people: Any, settings: Settings, ratchet: Ratchet | None = None
) -> GuardedChecker:
    return GuardedChecker(
        policy,
        people,
        AccountGate(time.time),
        settings.mail.domain,
        proofs=proofs_of(settings, people),
        ratchet=ratchet,
        masters=Masters(settings.login.master_separator),
    )


def _factories(settings: Settings, guard: GuardedChecker, clock: Clock) -> Factories:
    portal = Portal(_Nobody(), [guard])
    return Factories(settings, portal, guard, clock, Sweep(clock), entrance_kind=StageEntrance)


@implementer(IChecksPasswords, IKnowsPeople, IMeetsNeeds)
@attrs.frozen(eq=False)
class _People:
    """
    Knows what records say, and no password.

    @ivar files: the site's password files, for what is offered
    @ivar records: those that are asked about persons; none for strangers
    """

    settings: Settings
    files: CheckerChain
    records: Any = None
    label: str = "rehearsal"

    async def check(self, name: str, secret: bytes, service: str) -> Identity:
        raise AuthenticationFailed(detail="rehearsal")

    async def attributes(self, name: str) -> Mapping[str, str] | None:
        if self.records is None:
            return None
        found: Mapping[str, str] | None = await self.records.attributes(name)
        return found

    def coverage(self, needs: Needs) -> Coverage:
        kinds = {each.type for each in self.settings.users}
        found = [self.files.coverage(needs)] if "file" in kinds else []
        if "ldap" in kinds:
            # As the checker says of itself: passwords and people, and keys where it reads hashes.
            found += [
                Coverage.ALL
                if needs in _DIRECTORIES
                else Coverage.SOME
                if needs is not Needs.SECRET and each.check == "hash"
                else Coverage.NONE
                for each in self.settings.users
                if isinstance(each, LDAPSettings)
            ]
        return together(found)


@implementer(IRealm)
class _Nobody:
    """
    Has no avatars.
    """

    def requestAvatar(self, avatarId: Any, mind: object, *interfaces: Any) -> Any:
        raise AuthenticationFailed(detail="rehearsal")
