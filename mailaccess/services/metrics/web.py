"""
The numbers by HTTP, for this machine only: C{GET /metrics}.
"""

from __future__ import annotations

from io import BytesIO
from typing import Any

from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder
from twisted.application.service import Service
from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.endpoints import TCP4ServerEndpoint, TCP6ServerEndpoint, UNIXServerEndpoint
from twisted.logger import Logger
from twisted.protocols.policies import WrappingFactory
from twisted.web.resource import Resource
from twisted.web.server import Request, Site

log = Logger()

SILENCE = 30
"""Seconds after which a connection that says nothing is closed."""
MODE = 0o660
MOST = 20
"""Connections at a time: whoever is on this machine may come, and must not take descriptors away
from mail."""


class Page(Resource):
    """
    The numbers of now. Some hundred series, so they are written on the spot.
    """

    isLeaf = True  # noqa: N815 - the contract of twisted.web

    def __init__(self, registry: CollectorRegistry) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._registry = registry

    def render_GET(self, request: Any) -> bytes:
        """
        In the form that is asked for: Prometheus' text, or OpenMetrics.
        """
        encode, kind = choose_encoder(request.getHeader("accept") or "")
        request.setHeader(b"content-type", kind.encode("ascii"))
        request.setHeader(b"cache-control", b"no-store")
        return encode(self._registry)


class _Question(Request):
    """
    A request without a body. What sends one is left alone, before anything is kept of it.
    """

    def gotLength(self, length: int | None) -> None:
        """
        The header is over; where Twisted would make a file for the body, nothing is made.
        """
        self.content = BytesIO()

    def handleContentChunk(self, data: bytes) -> None:
        """
        A part of the body.
        """
        self.loseConnection()  # type: ignore[no-untyped-call]


class _QuietSite(Site):
    """
    Keeps no log of who asked.
    """

    noisy = False
    requestFactory = _Question  # noqa: N815 - the contract of twisted.web
    displayTracebacks = False  # noqa: N815 - the same

    def log(self, request: Any) -> None:
        """
        Nothing.
        """


class _Few(WrappingFactory):
    """
    Lets in so many at a time.
    """

    noisy = False

    def buildProtocol(self, addr: Any) -> Any:
        """
        None if there are enough.
        """
        if len(self.protocols) >= MOST:
            return None
        return super().buildProtocol(addr)


class MetricsServer(Service):
    """
    Serves a registry.

    @ivar port: what it listens on, once it does
    """

    def __init__(self, listen: str, registry: CollectorRegistry, reactor: Any) -> None:
        """
        @param listen: as L{mailaccess.services.auditsettings.LocalAddress} reads it
        """
        self._listen = listen
        self._reactor = reactor
        self.port: Any = None
        root = Resource()  # type: ignore[no-untyped-call]
        root.putChild(b"metrics", Page(registry))
        site: Any = _QuietSite(root, timeout=SILENCE)  # type: ignore[no-untyped-call]
        self.site = _Few(site)  # type: ignore[no-untyped-call]

    def _endpoint(self) -> Any:
        if self._listen.startswith("unix:"):
            path = self._listen.removeprefix("unix:")
            unix: Any = UNIXServerEndpoint
            return unix(self._reactor, path, mode=MODE, wantPID=True)
        host, _, port = self._listen.rpartition(":")
        host = host.strip("[]")
        kind = TCP6ServerEndpoint if ":" in host else TCP4ServerEndpoint
        return kind(self._reactor, int(port), interface=host)

    def startService(self) -> None:
        """
        Listen. Mail is served also where that cannot be done.
        """
        super().startService()  # type: ignore[no-untyped-call]
        listening: Deferred[Any] = self._endpoint().listen(self.site)
        listening.addCallbacks(self._listens, self._failed)

    def _listens(self, port: Any) -> None:
        self.port = port
        host = port.getHost()
        log.info(
            "metrics",
            event="metrics",
            path=str(getattr(host, "name", "") or ""),
            port=getattr(host, "port", 0),
        )

    def _failed(self, failure: Any) -> None:
        log.error("no metrics: {reason}", event="metrics-broken", reason=failure.getErrorMessage())

    def stopService(self) -> Deferred[Any]:
        """
        Listen no more.
        """
        super().stopService()  # type: ignore[no-untyped-call]
        port, self.port = self.port, None
        return maybeDeferred(port.stopListening if port is not None else lambda: None)
