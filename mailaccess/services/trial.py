"""
A login tried out for C{mailaccess auth-test}: the code that serves, from the greeting to the home
directory, with a look at the watch at every step.

    trial = await attempt(settings, reactor, Scene("imaps", "1.3", "amy"), "PLAIN", secret)

The conversation is held with the protocol of the listener over a transport that leads nowhere; the
guard, the sources of users, their threads and the account gate are those of the server. The mail is
not opened: nothing is made or changed on the disk.
"""

from __future__ import annotations

import os
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Any

import attrs
from twisted.cred.portal import IRealm, Portal
from twisted.internet.task import deferLater
from twisted.logger import LogEvent, globalLogPublisher
from zope.interface import directlyProvides, implementer, providedBy

from mailaccess.auth.chain import CheckerChain, Entry
from mailaccess.auth.gate import AccountGate
from mailaccess.auth.guard import GuardedChecker
from mailaccess.auth.masters import Masters
from mailaccess.auth.pool import HashPool
from mailaccess.errors import Refused
from mailaccess.interfaces import Identity
from mailaccess.policy.link import Link
from mailaccess.protocols.sweep import Sweep

from .audit.database import NotUsable
from .audit.service import held
from .factories import Factories
from .logins import proofs_of, rights_of
from .logs import key_value_line
from .policies import policy_of
from .process import MayNotRun
from .realm import AVATARS
from .rehearsal import NotPlayable, Scene, arrive
from .settings import Settings
from .sources import Sources
from .stage import StageEntrance
from .trialclient import log_in

_QUESTIONS = {
    "check": "password",
    "keys": "keys",
    "recoverable": "readable password",
    "person": "person",
}


@attrs.frozen
class Step:
    """
    One step.

    @ivar answer: in a word
    @ivar good: it does not stand in the way
    @ivar seconds: how long it took
    @ivar detail: what the log would keep
    """

    name: str
    answer: str
    good: bool
    seconds: float
    detail: str = ""


@attrs.define
class Trial:
    """
    What came of it.

    @ivar command: the client's, without secrets
    @ivar answer: what the client reads
    @ivar log: the lines that the server would write
    """

    steps: list[Step] = attrs.field(factory=list)
    command: str = ""
    answer: str = ""
    log: list[str] = attrs.field(factory=list)
    admitted: bool = False

    @contextmanager
    def step(self, name: str, answer: str = "ok") -> Iterator[list[str]]:
        """
        Time what happens inside; the first of the texts given out stands for the answer, the second
        for the detail.
        """
        said: list[str] = []
        began = time.perf_counter()
        good = False
        try:
            yield said
            good = True
        except Refused as refused:
            said[:] = [type(refused).__name__, refused.detail or refused.public]
            raise
        except Exception as fault:
            said[:] = ["fault", type(fault).__name__]
            raise
        finally:
            seconds = time.perf_counter() - began
            texts = [*said, "", ""] if said else [answer, ""]
            self.steps.append(Step(name, texts[0], good, seconds, texts[1]))


async def attempt(
    settings: Settings, reactor: Any, scene: Scene, mechanism: str, secret: bytes
) -> Trial:
    """
    Try it.

    @param mechanism: as the configuration names it
    @raise NotPlayable: there is no such connection or mechanism, or a password file is broken
    """
    trial = Trial()
    pool = HashPool(reactor, 1)
    sources = Sources(settings, reactor, pool)
    try:
        list(sources.read())
        ratchet = held(settings)
    except (MayNotRun, NotUsable) as error:
        raise NotPlayable(str(error)) from None
    checker = CheckerChain(
        [Entry(watched(each.checker, trial), each.on_error) for each in sources.entries]
    )
    guard = GuardedChecker(
        policy_of(settings),
        checker,
        _WatchedGate(time.time, trial),
        settings.mail.domain,
        proofs=proofs_of(settings, checker, None, pool, reactor),
        rights=rights_of(settings),
        masters=Masters(settings.login.master_separator),
        ratchet=ratchet,
    )
    portal = Portal(_Home(settings, trial), [guard])
    factories = Factories(
        settings, portal, guard, reactor, Sweep(reactor), entrance_kind=StageEntrance
    )
    pool.start()
    for each in sources.directories:
        each.start()
    try:
        await _run(trial, factories, settings, scene, mechanism, secret)
    finally:
        for each in sources.directories:
            each.stop()
        pool.stop()
    return trial


async def _run(
    trial: Trial,
    factories: Factories,
    settings: Settings,
    scene: Scene,
    mechanism: str,
    secret: bytes,
) -> None:
    listener = next((it for it in settings.listeners if it.label == scene.listener), None)
    if listener is None:
        names = ", ".join(it.label for it in settings.listeners)
        raise NotPlayable(f"no listener {scene.listener!r}; there are: {names}")
    visitor = arrive(scene, listener, factories.make(listener, tls=object()))
    guard = factories.guard
    known = {each.name: each for each in factories.mechanisms(listener)}
    if mechanism not in known:
        raise NotPlayable(f"no mechanism {mechanism!r} here; there are: {', '.join(known)}")
    with trial.step("policy") as said:
        decision = await guard.decide(visitor.link, known[mechanism], scene.user)
        said += [decision.verdict.value, f"{decision.rule} ({decision.source})"]
    if not decision.allowed:
        trial.steps[-1] = attrs.evolve(trial.steps[-1], good=False)

    def wait() -> Awaitable[None]:
        return deferLater(factories.clock, 0.005)

    events: list[LogEvent] = []
    keep: Any = events.append
    globalLogPublisher.addObserver(keep)
    try:
        trial.command, trial.answer = await log_in(
            visitor, listener.protocol, mechanism, scene.user, secret, wait
        )
    finally:
        globalLogPublisher.removeObserver(keep)
    trial.log = [key_value_line(each).rstrip() for each in events if "event" in each]
    trial.admitted = visitor.protocol.logged_in


def watched(checker: Any, trial: Trial) -> Any:
    """
    The same source of users, whose answers are noted.
    """
    made = _Watched(checker, trial)
    directlyProvides(made, *providedBy(checker))
    return made


class _Watched:
    """
    Everything is passed on; what may take long is noted.
    """

    def __init__(self, checker: Any, trial: Trial) -> None:
        self._checker = checker
        self._trial = trial

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._checker, name)
        return self._noted(found, _QUESTIONS[name]) if name in _QUESTIONS else found

    def _noted(self, ask: Callable[..., Awaitable[Any]], question: str) -> Any:
        async def asked(*words: Any) -> Any:
            with self._trial.step(f"{self._checker.label}: {question}") as said:
                answer = await ask(*words)
                if answer is None:
                    said.append("not here")
                elif isinstance(answer, Identity):
                    said += ["right" if question == "password" else "known", answer.name]
                else:
                    said.append("known")
            return answer

        return asked


@attrs.frozen
class _WatchedGate(AccountGate):
    """
    The gate, whose answers are noted.
    """

    trial: Trial

    def check(self, identity: Identity, link: Link, service: str) -> None:
        with self.trial.step(f"account gate: {identity.name}", "open"):
            AccountGate.check(self, identity, link, service)


@implementer(IRealm)
@attrs.frozen(eq=False)
class _Home:
    """
    Says where the mail is and opens nothing.
    """

    settings: Settings
    trial: Trial

    def requestAvatar(self, avatarId: Any, mind: object, *interfaces: Any) -> Any:
        from .site import maildirs  # the server's graph is not needed before

        with self.trial.step("home") as said:
            path = maildirs(self.settings.mail, None).path_of(avatarId)
            said += [_state_of(path), path]
        nothing: Any = _NoMail()
        return interfaces[0], AVATARS[interfaces[0]](avatarId, nothing), lambda: None


def _state_of(path: str) -> str:
    if os.path.isdir(path):
        return "there" if os.access(path, os.W_OK | os.X_OK) else "not writable by this user"
    return "would be made" if not os.path.exists(path) else "no directory"


class _NoMail:
    """
    As much of an account and a mailbox as a login takes.
    """

    name = ""
    powers = ()
    uid_validity = 1

    def __init__(self) -> None:
        self.rows = _NoRows()

    async def lock_maildrop(self) -> Callable[[], None]:
        return lambda: None

    async def select(self, name: str, read_only: bool = False) -> Any:
        return self

    def close(self) -> None:
        pass


class _NoRows(tuple[()]):
    """
    Columns of nothing.
    """

    sizes = ()
