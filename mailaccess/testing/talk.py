"""
Scripted conversations with a protocol, without a network: for tests here and in other people's
programs.

A L{Talk} has a protocol on a transport of memory and a clock that stands still until told
otherwise.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.address import IPv4Address
from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import IAddress
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure


class MemoryTransport(StringTransport):
    """
    A transport that keeps what is written; C{startTLS} is only noted.

    @ivar tls_context: what C{startTLS} was given
    @ivar tls_input: octets handed to the TLS layer
    """

    def __init__(self, peer: str = "192.0.2.7", host: str = "192.0.2.1") -> None:
        super().__init__(  # type: ignore[no-untyped-call]
            hostAddress=IPv4Address("TCP", host, 143), peerAddress=IPv4Address("TCP", peer, 50143)
        )
        self.tls_context: Any = None
        self.aborted = False

    def startTLS(self, context: Any, normal: bool = True) -> None:
        """
        Note that TLS would begin now.
        """
        self.tls_context = context
        self.protocol = self
        self.tls_input = b""

    def dataReceived(self, data: bytes) -> None:
        """
        What a TLS layer would get.
        """
        self.tls_input += data

    def abortConnection(self) -> None:
        """
        Note the hard end.
        """
        self.aborted = True
        self.loseConnection()  # type: ignore[no-untyped-call]


class Talk:
    """
    One conversation.

    @ivar protocol: the server's side
    @ivar transport: what it writes to
    @ivar clock: the clock given to its factory
    """

    def __init__(
        self,
        factory: Any,
        clock: Clock,
        *,
        address: IAddress | None = None,
        transport: MemoryTransport | None = None,
    ) -> None:
        self.clock = clock
        self.transport = transport if transport is not None else MemoryTransport()
        self.protocol = factory.buildProtocol(address)
        self.protocol.factory = factory
        self.protocol.makeConnection(self.transport)

    def read(self) -> bytes:
        """
        Everything the server has written since the last look. What it put off for others to have
        their turn is done first.
        """
        for _ in range(10_000):
            now = self.clock.seconds()
            if not any(each.getTime() <= now for each in self.clock.getDelayedCalls()):
                break
            self.clock.advance(0)
        data: bytes = self.transport.value()  # type: ignore[no-untyped-call]
        self.transport.clear()  # type: ignore[no-untyped-call]
        return data

    def lines(self) -> list[bytes]:
        """
        The same as lines, without line ends.
        """
        return self.read().splitlines()

    def send(self, *commands: bytes) -> list[bytes]:
        """
        Send command lines (CRLF is added), all in one segment; the lines that come back at once.
        """
        return self.raw(b"".join(each + b"\r\n" for each in commands))

    def raw(self, data: bytes) -> list[bytes]:
        """
        Send octets as they are; the lines that come back at once.
        """
        self.protocol.dataReceived(data)
        return self.lines()

    def wait(self, seconds: float) -> list[bytes]:
        """
        Let time pass; the lines that come meanwhile.
        """
        self.clock.advance(seconds)
        return self.lines()

    def hang_up(self) -> None:
        """
        The client goes away.
        """
        self.protocol.connectionLost(Failure(ConnectionDone()))  # type: ignore[no-untyped-call]
