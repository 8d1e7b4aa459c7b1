"""
Deadlines of all connections by one periodic look, instead of a timer each.

A connection costs no timer object and no reset per command: input sets C{connection.tick} to
L{Sweep.now}, which advances once a second.
"""

from __future__ import annotations

from typing import Protocol

from twisted.application.service import Service
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import LoopingCall


class Swept(Protocol):
    """
    Something with deadlines.
    """

    def sweep(self, now: float) -> None:
        """
        Act on deadlines that have passed.
        """


class Sweep(Service):
    """
    Looks at everything registered once every C{interval} seconds.

    @ivar now: the clock's time at the last look, in seconds
    """

    def __init__(self, clock: IReactorTime, interval: float = 1.0) -> None:
        self.clock = clock
        self.interval = interval
        self.now = clock.seconds()
        self.members: set[Swept] = set()
        self._loop = LoopingCall(self._look)
        self._loop.clock = clock

    def startService(self) -> None:
        """
        Begin to look.
        """
        super().startService()  # type: ignore[no-untyped-call]
        self._loop.start(self.interval, now=False).addErrback(lambda _failure: None)

    def stopService(self) -> None:
        """
        End.
        """
        super().stopService()  # type: ignore[no-untyped-call]
        if self._loop.running:
            self._loop.stop()

    def add(self, member: Swept) -> None:
        """
        Look after it from now on.
        """
        self.members.add(member)

    def discard(self, member: Swept) -> None:
        """
        No longer.
        """
        self.members.discard(member)

    def _look(self) -> None:
        self.now = now = self.clock.seconds()
        for member in tuple(self.members):
            member.sweep(now)
