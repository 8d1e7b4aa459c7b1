"""
A second policy, asked of every login beside the one that counts: who would be cut off?

The shadow's file is a configuration of its own. Its C{[[listener]]} and C{[[rule]]} tables are the
policy; any other table that it does not have is as in the configuration that serves. What it says
is written down and changes no answer. A file that is wrong is told of, and the server serves
without.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from ipaddress import ip_address
from typing import Any

import attrs
from twisted.internet.defer import Deferred
from twisted.internet.threads import deferToThreadPool
from twisted.logger import Logger

from mailaccess.errors import ConfigurationErrors
from mailaccess.policy.attempt import Attempt, Result
from mailaccess.policy.decision import Decision
from mailaccess.policy.link import Layer, Link
from mailaccess.policy.rules import Person
from mailaccess.policy.tls import TLSPolicy

from ..config import read, read_text
from ..policies import Network, policy_of, private_layers
from ..settings import Settings
from .facts import user_of

log = Logger()

MOST = 64
"""Users looked up at a time; of logins that come meanwhile the shadow is not asked."""

_Private = tuple[frozenset[Layer], tuple[Network, ...]]


@attrs.frozen
class ShadowPolicy:
    """
    What a shadow file says.

    @ivar private: by listener, which layers besides TLS count there, and which networks
    @ivar fingerprint: of the file; rows of another version of it are others'
    """

    policy: TLSPolicy
    private: Mapping[str, _Private]
    fingerprint: str

    def link(self, link: Link) -> Link:
        """
        A connection as this policy sees it: what counts as private is its own to say.
        """
        layers, networks = self.private.get(link.listener, (frozenset(), ()))
        if link.layer is Layer.TLS or (link.layer is Layer.PROXY_TLS and link.layer in layers):
            return link
        return Link(
            link.listener,
            _layer(link.peer, layers, networks),
            peer=link.peer,
            local=link.local,
        )


def _layer(peer: str, layers: frozenset[Layer], networks: tuple[Network, ...]) -> Layer:
    if not peer:
        return Layer.UNIX if Layer.UNIX in layers else Layer.NONE
    try:
        ip = ip_address(peer.partition("%")[0])
    except ValueError:
        return Layer.NONE
    ip = getattr(ip, "ipv4_mapped", None) or ip
    if ip.is_loopback and Layer.LOOPBACK in layers:
        return Layer.LOOPBACK
    if any(ip in each for each in networks):
        return Layer.TRUSTED_NETWORK
    return Layer.NONE


def load_shadow(path: str, live: Settings) -> ShadowPolicy:
    """
    Read a shadow file. Blocks on the disk.

    @param live: what it does not say
    @raise ConfigurationErrors: all that is wrong with it
    """
    text = read_text(path)
    document, settings = read(text, path, live)
    if document.problems:
        raise ConfigurationErrors(document.problems)
    return ShadowPolicy(
        policy_of(settings),
        {each.label: private_layers(each) for each in settings.listeners},
        fingerprint(text),
    )


def fingerprint(text: str) -> str:
    """
    Of the contents of a shadow file.
    """
    return hashlib.sha256(text.encode("utf-8")).hexdigest()[:12]


class Shadow:
    """
    The shadow policy of a server, as long as there is one.

    @ivar guard: knows what records say of users; set once it is there
    @ivar current: None while the file is wrong or none was ever good
    """

    def __init__(self, path: str, live: Settings, reactor: Any) -> None:
        self.path = path
        self.guard: Any = None
        self.current: ShadowPolicy | None = None
        self._live = live
        self._reactor = reactor
        self._asking = 0

    def start(self) -> None:
        """
        Read the file; blocks on the disk.
        """
        try:
            self._use(load_shadow(self.path, self._live))
        except ConfigurationErrors as error:
            self._told(error)

    def reload(self) -> Deferred[None]:
        """
        Read it again, in a thread; while it is wrong, the one before stays.
        """
        pool = self._reactor.getThreadPool()
        read: Deferred[Any] = deferToThreadPool(
            self._reactor, pool, load_shadow, self.path, self._live
        )
        return read.addCallbacks(self._use, self._failed)

    def _use(self, policy: ShadowPolicy) -> None:
        self.current = policy
        log.info(
            "shadow policy {policy}", event="shadow", path=self.path, policy=policy.fingerprint
        )

    def _failed(self, failure: Any) -> None:
        if failure.check(ConfigurationErrors):
            self._told(failure.value)
        else:
            log.failure("the shadow policy could not be read", failure=failure)

    def _told(self, error: ConfigurationErrors) -> None:
        for each in error.problems:
            log.warn("shadow policy: {reason}", event="shadow-broken", reason=each)

    def ask(self, attempt: Attempt, tell: Callable[[Link, Decision, str], None]) -> None:
        """
        Whether the shadow decides otherwise; C{tell} is called if so, now or later, with the
        connection as it sees it, its decision and its fingerprint. Nobody waits for it.

        Asked of logins that succeeded, and of those that were refused by policy; for the latter no
        records are looked up, because anybody can be refused.
        """
        shadow = self.current
        if shadow is None or attempt.result not in (Result.RIGHT, Result.UNCHECKED):
            return
        link, mechanism = shadow.link(attempt.link), attempt.mechanism
        lets_in = attempt.decision.allowed
        decision = shadow.policy.decide(link, mechanism)

        def compare(decision: Decision) -> None:
            if decision.allowed != lets_in:
                tell(link, decision, shadow.fingerprint)

        if not decision.depends_on_person:
            compare(decision)
        elif attempt.result is Result.UNCHECKED:
            user = user_of(attempt, self._live.mail.domain)
            compare(shadow.policy.decide(link, mechanism, Person(user)))
        elif self.guard is not None and self._asking < MOST:
            self._asking += 1
            asked = self.guard.decide(link, mechanism, attempt.user, shadow.policy)
            answer: Deferred[Decision] = Deferred.fromCoroutine(asked)
            answer.addBoth(self._answered)
            answer.addCallback(lambda it: compare(it) if it is not None else None)
            answer.addErrback(lambda it: log.failure("the shadow policy failed", failure=it))

    def _answered(self, result: Any) -> Any:
        self._asking -= 1
        if isinstance(result, Decision):
            return result
        # A directory that is down now says nothing; the next login asks again.
        return None
