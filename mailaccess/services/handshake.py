"""
A deadline for every TLS handshake, implicit or after STARTTLS (TLS-13).

All handshakes have the same time, so they end in the order they began: one queue and one timer
serve all, however many there are.
"""

from __future__ import annotations

from collections import deque
from weakref import ReferenceType, ref

from OpenSSL import SSL
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.protocols.tls import TLSMemoryBIOProtocol


class HandshakeDeadline:
    """
    Ends connections whose handshake is not complete in time.

    @ivar seconds: that time
    """

    def __init__(self, clock: IReactorTime, seconds: float = 10.0) -> None:
        self.clock = clock
        self.seconds = seconds
        self._began: deque[tuple[float, ReferenceType[TLSMemoryBIOProtocol]]] = deque()
        self._timer: IDelayedCall | None = None

    def began(self, protocol: TLSMemoryBIOProtocol) -> None:
        """
        A handshake starts now.
        """
        self._began.append((self.clock.seconds() + self.seconds, ref(protocol)))
        if self._timer is None:
            self._timer = self.clock.callLater(self.seconds, self._look)

    def stop(self) -> None:
        """
        Let go of the timer.
        """
        timer, self._timer = self._timer, None
        self._began.clear()
        if timer is not None:
            timer.cancel()

    def _look(self) -> None:
        self._timer = None
        now = self.clock.seconds()
        while self._began and self._began[0][0] <= now:
            protocol = self._began.popleft()[1]()
            if protocol is not None and _unfinished(protocol):
                protocol.abortConnection()  # type: ignore[no-untyped-call]
        if self._began:
            self._timer = self.clock.callLater(self._began[0][0] - now, self._look)


def _unfinished(protocol: TLSMemoryBIOProtocol) -> bool:
    connection: SSL.Connection | None = protocol.getHandle()  # type: ignore[no-untyped-call]
    return connection is not None and connection.get_peer_finished() is None
