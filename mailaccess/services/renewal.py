"""
The policy, taken in anew while the server runs: C{[[rule]]}, and what C{[[listener]]} says of who
may log in.

    renewal = PolicyRenewal(settings, lambda: load(path), reactor, use)
    renewal.reload()

All or nothing: while the file is wrong, or has another listener, the policy before it stays, and
the log says so. Whoever is logged in stays; who is not is asked by the new policy.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import attrs
from twisted.internet.defer import Deferred, DeferredLock
from twisted.internet.threads import deferToThreadPool
from twisted.logger import Logger

from mailaccess.errors import ConfigurationErrors

from .settings import ListenerSettings, Settings

log = Logger()

TABLES = frozenset({"listener", "rule"})
OPTIONS = frozenset(
    {
        "cleartext",
        "minimum_layer",
        "minimum_tls",
        "client_certificate",
        "exceptions",
        "mechanisms",
        "private",
        "source",
    }
)
"""Of a listener: what is policy. Everything else is where and how it listens."""


class PolicyRenewal:
    """
    Reads the configuration again.

    @ivar settings: those whose policy counts now
    """

    def __init__(
        self,
        settings: Settings,
        read: Callable[[], Settings],
        reactor: Any,
        use: Callable[[Settings], object],
    ) -> None:
        """
        @param read: reads the file, in a thread; raises L{ConfigurationErrors}
        @param use: is given settings with another policy, and nothing else that is other; called on
            the reactor's thread after every reload that was good
        """
        self.settings = settings
        self._read = read
        self._reactor = reactor
        self._use = use
        self._lock = DeferredLock()

    def reload(self) -> Deferred[None]:
        """
        Fires when the new policy counts, or the log says why it does not. One at a time.
        """
        done: Deferred[None] = self._lock.run(self._reload)
        return done

    def _reload(self) -> Deferred[None]:
        pool = self._reactor.getThreadPool()
        found: Deferred[Any] = deferToThreadPool(self._reactor, pool, self._read)
        return found.addCallback(self._take).addErrback(self._failed)

    def _take(self, read: Settings) -> None:
        problem = moved(self.settings, read)
        if problem:
            _kept(problem)
            return
        other = others(self.settings, read)
        if other:
            log.warn(
                "restart for {tables}",
                event="restart-needed",
                tables=", ".join(f"[{each}]" for each in other),
                reason="these tables of the configuration are other than those that count",
            )
        self.settings = attrs.evolve(self.settings, listener=read.listener, rule=read.rule)
        self._use(self.settings)

    def _failed(self, failure: Any) -> None:
        if failure.check(ConfigurationErrors):
            for each in failure.value.problems:
                _kept(each)
        else:
            log.failure("the policy could not be read again", failure=failure)


def _kept(reason: str) -> None:
    log.error("the policy stays as it was: {reason}", event="policy-kept", reason=reason)


def moved(old: Settings, new: Settings) -> str:
    """
    What of the listeners cannot be changed while they listen, in words; empty if nothing is.
    """
    before = {each.label: each for each in old.listeners}
    after = {each.label: each for each in new.listeners}
    for label in sorted({*before, *after}):
        if label not in after or label not in before:
            way = "new" if label in after else "gone"
            return f"listener {label} is {way}; restart to take in this configuration"
        if _place(before[label]) != _place(after[label]):
            return (
                f"{after[label].source}: listener {label} listens otherwise than before; restart"
                " to take in this configuration"
            )
    return ""


def _place(it: ListenerSettings) -> dict[str, Any]:
    found = {
        each.name: getattr(it, each.name)
        for each in attrs.fields(ListenerSettings)
        if each.name not in OPTIONS
    }
    # Whether one is asked for is settled in the handshake; whether one is needed is not.
    return {**found, "asks": it.client_certificate != "no"}


def others(old: Settings, new: Settings) -> list[str]:
    """
    Tables besides the policy that are not the same, whatever lines they stand in.
    """
    return [
        each.name
        for each in attrs.fields(Settings)
        if each.name not in TABLES
        and _unplaced(getattr(old, each.name)) != _unplaced(getattr(new, each.name))
    ]


def _unplaced(value: Any) -> Any:
    if isinstance(value, tuple):
        return tuple(map(_unplaced, value))
    return attrs.evolve(value, source="") if hasattr(value, "source") else value
