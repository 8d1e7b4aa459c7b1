"""
Take in changes without a restart: certificates when their files change or on SIGHUP, and the log.
"""

from __future__ import annotations

import signal
from collections.abc import Callable, Sequence
from typing import Any

from twisted.application.service import Service
from twisted.internet.defer import Deferred, DeferredLock, succeed
from twisted.internet.task import LoopingCall
from twisted.internet.threads import deferToThreadPool
from twisted.logger import Logger

from .tls import Prepared, ServerTLS

log = Logger()


class Reloading(Service):
    """
    Looks at the files of certificates every C{settings.watch} seconds, in a thread, and listens for
    SIGHUP.

    @ivar on_hangup: also called on SIGHUP, on the reactor's thread: short things only
    """

    def __init__(
        self,
        reactor: Any,
        tls: ServerTLS | None,
        on_hangup: Sequence[Callable[[], object]] = (),
        pool: Any = None,
    ) -> None:
        self._reactor = reactor
        self._tls = tls
        self._pool = pool
        self._lock = DeferredLock()
        self._before: Any = None
        self._loop = LoopingCall(self._look)
        self._loop.clock = reactor
        self.on_hangup = list(on_hangup)

    def startService(self) -> None:
        """
        Begin to watch.
        """
        super().startService()  # type: ignore[no-untyped-call]
        if self._tls is not None and self._tls.settings.watch:
            self._loop.start(self._tls.settings.watch, now=False)
        try:
            self._before = signal.signal(signal.SIGHUP, self._hung_up)
        except ValueError:
            # Not the main thread: whoever runs us there has to call reload().
            self._before = None

    def stopService(self) -> None:
        """
        End.
        """
        super().stopService()  # type: ignore[no-untyped-call]
        if self._loop.running:
            self._loop.stop()
        if self._before is not None:
            signal.signal(signal.SIGHUP, self._before)
            self._before = None

    def reload(self, only_if_stale: bool = False) -> Deferred[None]:
        """
        Read the certificates again; fires when the new ones are in use, or were found broken. One
        at a time: a call waits for the one before it.
        """
        if self._tls is None:
            return succeed(None)
        running: Deferred[None] = self._lock.run(self._reload, self._tls, only_if_stale)
        return running

    def _reload(self, tls: ServerTLS, only_if_stale: bool) -> Deferred[None]:
        pool = self._pool if self._pool is not None else self._reactor.getThreadPool()
        found = deferToThreadPool(self._reactor, pool, self._read, tls, only_if_stale)
        return found.addCallback(self._use).addErrback(self._failed)

    @staticmethod
    def _read(tls: ServerTLS, only_if_stale: bool) -> Prepared | None:
        return tls.reload() if not only_if_stale or tls.stale else None

    def _use(self, prepared: Prepared | None) -> None:
        if prepared is not None and self._tls is not None:
            self._tls.use(prepared)

    def _failed(self, failure: Any) -> None:
        log.failure("reload failed", failure=failure)

    def _look(self) -> None:
        if not self._lock.locked:
            self.reload(only_if_stale=True)

    def _hung_up(self, _number: int, _frame: object) -> None:
        self._reactor.callFromThread(self.everything, "SIGHUP")

    def everything(self, why: str) -> None:
        """
        All that SIGHUP does.
        """
        log.info("reloading", event="reload", reason=why)
        for each in self.on_hangup:
            try:
                each()
            except Exception:
                log.failure("reload failed")
        self.reload()
