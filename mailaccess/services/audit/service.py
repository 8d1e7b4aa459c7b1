"""
All of the audit of a server, as one service: made from the configuration, and asked by the guard.

    audit = Audit(settings, reactor)
    guard = GuardedChecker(..., witness=audit.recorder, ratchet=audit.ratchet)
    audit.attach(guard)
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

from twisted.application.service import Service
from twisted.internet.defer import Deferred
from twisted.internet.threads import deferToThreadPool

from mailaccess.policy.attempt import Attempt

from ..settings import Settings
from .database import Database
from .keeper import Keeper
from .ratchet import Ratchet
from .recorder import Recorder
from .shadow import Shadow


def ratchet_of(settings: Settings) -> Ratchet:
    """
    The ratchet of a configuration, holding nobody yet.
    """
    it = settings.ratchet
    return Ratchet(it.after, it.logins, it.exempt)


def held(settings: Settings) -> Ratchet:
    """
    The ratchet as it stands, for commands. Blocks on the disk.

    @raise NotUsable: that cannot be found out
    """
    ratchet = ratchet_of(settings)
    path = settings.audit.database
    if ratchet.after and os.path.exists(path):
        with Database(path) as database:
            ratchet.hold(database.standings(closed=True))
    return ratchet


class Audit(Service):
    """
    Starts before anybody is served, ends after the last session.

    @ivar keeper: None where nothing is kept
    @ivar recorder: the witness for the guard
    """

    def __init__(
        self, settings: Settings, reactor: Any, count: Callable[[Attempt], None] | None = None
    ) -> None:
        self._reactor = reactor
        self.ratchet = ratchet_of(settings)
        it = settings.audit
        self.keeper = (
            Keeper(it.database, keep=it.keep, rows=it.rows, ratchet=self.ratchet)
            if it.database
            else None
        )
        self.shadow = (
            Shadow(settings.shadow.policy, settings, reactor) if settings.shadow.policy else None
        )
        self.recorder = Recorder(self.keeper, self.shadow, count, settings.mail.domain)

    def attach(self, guard: Any) -> None:
        """
        The guard that knows what records say of users.
        """
        if self.shadow is not None:
            self.shadow.guard = guard

    def startService(self) -> None:
        """
        Read the shadow policy and whom the ratchet holds, and begin to write.
        """
        super().startService()  # type: ignore[no-untyped-call]
        if self.shadow is not None:
            self.shadow.start()
        if self.keeper is not None:
            self.keeper.start()

    def stopService(self) -> Deferred[Any] | None:
        """
        Write what is left; fires when it is on the disk.
        """
        super().stopService()  # type: ignore[no-untyped-call]
        if self.keeper is None:
            return None
        pool = self._reactor.getThreadPool()
        stopped: Deferred[Any] = deferToThreadPool(self._reactor, pool, self.keeper.stop)
        return stopped

    def reload(self) -> None:
        """
        Read the shadow policy again.
        """
        if self.shadow is not None:
            self.shadow.reload()
