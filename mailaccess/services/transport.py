"""
Two short cuts through Twisted for a server whose answers are small and many.

L{WriteThroughPort} accepts connections whose transport sends from C{write} at once when nothing is
queued, where the stock one asks the reactor to tell it when it may; a round trip of the poller less
for every answer. L{lean} lets an epoll reactor call transports directly, where the stock one enters
a logging context for every event. Together they answer more than twice as many commands a second;
everything else is Twisted's own, and either may be left out.
"""

from __future__ import annotations

import socket
from types import MethodType
from typing import Any

from twisted.internet import epollreactor, tcp, unix
from twisted.internet.main import CONNECTION_DONE, CONNECTION_LOST
from twisted.logger import Logger

log = Logger()

_READABLE = epollreactor.EPOLLIN if hasattr(epollreactor, "EPOLLIN") else 1


class WriteThrough(tcp.Server):
    """
    A connection that sends at once what it can, and queues the rest as usual.

    @cvar bufferSize: octets queued at which whoever produces them is paused. The system's buffer is
        full then, so more in the queue would not send anything sooner (AB-08).
    """

    bufferSize = 1 << 13  # noqa: N815

    def doRead(self) -> Any:
        """
        As L{twisted.internet.tcp.Connection.doRead}, in one call less.
        """
        try:
            data = self.socket.recv(65536)
        except BlockingIOError:
            return None
        except OSError:
            return CONNECTION_LOST
        if not data:
            return CONNECTION_DONE
        self.protocol.dataReceived(data)
        return None

    def write(self, data: bytes) -> None:
        """
        As L{twisted.internet.interfaces.ITransport.write}.
        """
        if (
            self.TLS
            or self._tempDataBuffer
            or self.dataBuffer
            or not self.connected
            or self.disconnecting
        ):
            super().write(data)  # type: ignore[no-untyped-call]
            return
        try:
            sent = self.socket.send(data)
        except OSError:
            # Queued, so that the poller finds out what is wrong, if anything is.
            sent = 0
        if sent < len(data):
            super().write(data[sent:] if sent else data)  # type: ignore[no-untyped-call]


class WriteThroughPort(tcp.Port):
    """
    A listening port whose connections are L{WriteThrough}.
    """

    transport = WriteThrough


class UnixPort(unix.Port):
    """
    A port on a unix socket that listens already. Its file and permissions are whoever's who made
    it: the server may no longer be allowed to touch them when it stops.
    """

    def startListening(self) -> None:
        """
        Begin to accept.
        """
        opened: Any = self._preexistingSocket
        factory: Any = self.factory
        factory.doStart()
        self._preexistingSocket = None
        self.connected = True
        self.socket = opened
        self.fileno = opened.fileno  # type: ignore[method-assign]
        self.numberAccepts = 16
        self.startReading()  # type: ignore[no-untyped-call]

    def connectionLost(self, reason: Any) -> None:
        """
        Closed.
        """
        tcp.Port.connectionLost(self, reason)  # type: ignore[no-untyped-call]

    def _logConnectionLostMsg(self) -> None:
        pass


def listen(reactor: Any, descriptor: int, family: int, factory: Any) -> Any:
    """
    As L{IReactorSocket.adoptStreamPort<twisted.internet.interfaces.IReactorSocket>}: accept
    connections on a listening socket, which is duplicated.
    """
    port: Any
    if family == socket.AF_UNIX:
        port = UnixPort._fromListeningDescriptor(reactor, descriptor, factory)  # type: ignore[no-untyped-call]
        port.startListening()
        return port
    port = WriteThroughPort._fromListeningDescriptor(reactor, descriptor, family, factory)  # type: ignore[no-untyped-call]
    port.startListening()
    return port


def lean(reactor: Any) -> bool:
    """
    Make an epoll reactor that has not run yet call transports directly. Others are left as they
    are.

    @return: whether it was done
    """
    if type(reactor) is not epollreactor.EPollReactor:
        return False
    for name in ("doPoll", "doIteration"):
        setattr(reactor, name, MethodType(_poll, reactor))
    return True


def _poll(self: Any, timeout: float | None) -> None:
    selectables = self._selectables
    try:
        events = self._poller.poll(-1 if timeout is None else timeout, len(selectables))
    except InterruptedError:
        return
    for descriptor, event in events:
        selectable = selectables.get(descriptor)
        if selectable is None:
            continue
        if event != _READABLE:
            self._doReadOrWrite(selectable, descriptor, event)
            continue
        try:
            why = selectable.doRead()
        except BaseException:
            log.failure("connection ended by a fault")
            why = CONNECTION_LOST
        if why:
            self._disconnectSelectable(selectable, why, True)
