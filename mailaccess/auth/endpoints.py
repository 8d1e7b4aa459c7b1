"""
Connections to an issuer of tokens: what comes is counted, and they can be ended at any moment.

    way = Way(reactor, policy)
    agent = Agent.usingEndpointFactory(reactor, way)
    ...
    way.end()                           # whatever state it is in

Twisted's L{Agent<twisted.web.client.Agent>} takes headers without end, and whoever reads a body
cannot hang up: the transport that it is given has no C{abortConnection}. Both is done here, below.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.endpoints import HostnameEndpoint, wrapClientTLS
from twisted.internet.interfaces import IProtocolFactory, IStreamClientEndpoint
from twisted.internet.protocol import connectionDone
from twisted.protocols.policies import ProtocolWrapper, WrappingFactory
from twisted.python.failure import Failure
from twisted.web.client import URI
from twisted.web.iweb import IAgentEndpointFactory
from zope.interface import implementer

MOST_OCTETS = 1 << 20
"""Of an answer, with its headers."""


class TooMuch(Exception):
    """
    More came than anybody wants to read.
    """


class _Counted(ProtocolWrapper):
    """
    Hangs up when too much has come.
    """

    def __init__(self, factory: Any, wrapped: Any) -> None:
        super().__init__(factory, wrapped)
        self._came = 0
        factory.way.begun(self)

    def dataReceived(self, data: bytes) -> None:
        self._came += len(data)
        if self._came > MOST_OCTETS:
            self.abort()
        else:
            super().dataReceived(data)  # type: ignore[no-untyped-call]

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        if self._came > MOST_OCTETS:
            error = TooMuch(f"its answer has more than {MOST_OCTETS} octets")
            reason = Failure(error)  # type: ignore[no-untyped-call]
        super().connectionLost(reason)  # type: ignore[no-untyped-call]

    def abort(self) -> None:
        """
        Hang up, without waiting for what the other side says to that.
        """
        if self.transport is not None:
            self.transport.abortConnection()  # type: ignore[attr-defined]


class _Counting(WrappingFactory):
    protocol = _Counted

    def __init__(self, factory: Any, way: Way) -> None:
        super().__init__(factory)  # type: ignore[no-untyped-call]
        self.noisy = False
        self.way = way


@implementer(IStreamClientEndpoint)
class _Endpoint:
    def __init__(self, inner: Any, way: Way) -> None:
        self._inner = inner
        self._way = way

    def connect(self, protocolFactory: IProtocolFactory) -> Deferred[Any]:
        connected: Deferred[Any] = self._inner.connect(_Counting(protocolFactory, self._way))
        return connected.addCallback(lambda counted: counted.wrappedProtocol)


@implementer(IAgentEndpointFactory)
class Way:
    """
    The way to one answer.
    """

    def __init__(self, reactor: Any, policy: Any, patience: float) -> None:
        """
        @param policy: whose certificates are good:
            L{IPolicyForHTTPS<twisted.web.iweb.IPolicyForHTTPS>}
        @param patience: seconds for a connection
        """
        self._reactor = reactor
        self._policy = policy
        self._patience = patience
        self._open: list[_Counted] = []

    def endpointForURI(self, uri: URI) -> Any:
        """
        In the clear for C{http}, with TLS and the name verified for all else.
        """
        host = uri.host.decode("ascii")
        inner: Any = HostnameEndpoint(self._reactor, host, uri.port, timeout=self._patience)
        if uri.scheme != b"http":
            inner = wrapClientTLS(self._policy.creatorForNetloc(uri.host, uri.port), inner)
        return _Endpoint(inner, self)

    def begun(self, connection: _Counted) -> None:
        """
        Note that one is there.
        """
        self._open.append(connection)

    def end(self) -> None:
        """
        Leave nothing open.
        """
        while self._open:
            self._open.pop().abort()
