"""
Connections that come through proxies: the header first, then what the listener speaks (AB-14).

    factory = ProxiedFactory(inner, networks(["10.0.0.7/32"]), reactor, "imap")

A proxy that is named must begin with a header of the PROXY protocol, within its time; nothing it
says is guessed. Everybody else is a client like any other, and is not believed (POL-09).
"""

from __future__ import annotations

import ssl
from collections.abc import Mapping, Sequence
from functools import lru_cache
from ipaddress import ip_address
from typing import Any

from twisted.internet.interfaces import IDelayedCall, IProtocolFactory
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.logger import Logger
from twisted.python.failure import Failure

from mailaccess.errors import BadSyntax
from mailaccess.policy.link import ADEQUATE_BITS
from mailaccess.protocols.links import Announced
from mailaccess.protocols.tlsfacts import TLSFacts
from mailaccess.wire.proxyheader import ClientTLS, ProxyHeader, read_header

from .policies import Network

log = Logger()

HEADER_SECONDS = 10.0
LEAST_OF_TLS_13 = 128
"""Bits of the weakest cipher of TLS 1.3 (RFC 8446 appendix B.4)."""

_SPOKEN = ("TLSv1.2", "TLSv1.3")


class ProxiedFactory(Factory):
    """
    In front of another factory.

    @ivar wrapped: makes the protocols of clients, with TLS of our own if they have it
    @ivar proxies: networks of the proxies
    @ivar sockets: whether those who come over a unix socket are proxies
    @ivar certificates: whether to believe them about client certificates, too
    @ivar waiting: those of whom no header has come; they end when the listener stops
    """

    noisy = False

    def __init__(
        self,
        wrapped: IProtocolFactory,
        proxies: Sequence[Network],
        reactor: Any,
        listener: str,
        *,
        sockets: bool = False,
        certificates: bool = False,
        seconds: float = HEADER_SECONDS,
    ) -> None:
        self.wrapped = wrapped
        self.proxies = proxies
        self.reactor = reactor
        self.listener = listener
        self.sockets = sockets
        self.certificates = certificates
        self.seconds = seconds
        self.waiting: set[_Header] = set()

    def doStart(self) -> None:
        """
        As L{IProtocolFactory}.
        """
        super().doStart()  # type: ignore[no-untyped-call]
        self.wrapped.doStart()

    def doStop(self) -> None:
        """
        As L{IProtocolFactory}.
        """
        super().doStop()  # type: ignore[no-untyped-call]
        self.wrapped.doStop()
        for each in tuple(self.waiting):
            each.leave()

    def buildProtocol(self, addr: Any) -> Any:
        """
        One that waits for the header where a proxy comes; for others, the client's.
        """
        return _Header(self, addr) if self._is_proxy(addr) else self.wrapped.buildProtocol(addr)

    def _is_proxy(self, addr: Any) -> bool:
        host = getattr(addr, "host", None)
        if host is None:
            return self.sockets
        ip = ip_address(host.partition("%")[0])
        ip = getattr(ip, "ipv4_mapped", None) or ip
        return any(ip in each for each in self.proxies)

    def believed(self, header: ProxyHeader) -> Announced:
        """
        What the header says, as far as it counts.
        """
        return Announced(
            header.source.host if header.source is not None else "",
            header.destination.host if header.destination is not None else "",
            facts(header.tls, self.certificates) if header.tls is not None else None,
        )


class _Header(Protocol):
    """
    Reads the header, and makes way for the client's protocol.
    """

    def __init__(self, owner: ProxiedFactory, addr: Any) -> None:
        self._owner = owner
        self._addr = addr
        self._came = b""
        self._timer: IDelayedCall | None = None

    def connectionMade(self) -> None:
        """
        Wait, but not for ever.
        """
        owner = self._owner
        owner.waiting.add(self)
        self._timer = owner.reactor.callLater(owner.seconds, self._refuse, "no header in time")

    def dataReceived(self, data: bytes) -> None:
        """
        The header, or a part of it.
        """
        self._came += data
        try:
            header = read_header(self._came)
        except BadSyntax as bad:
            self._refuse(str(bad))
            return
        if header is not None:
            self._make_way(header)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """
        Nobody is there any more.
        """
        self._stop_waiting()

    def _make_way(self, header: ProxyHeader) -> None:
        self._stop_waiting()
        transport: Any = self.transport
        transport.announced = self._owner.believed(header)
        client = self._owner.wrapped.buildProtocol(self._addr)
        if client is None:
            transport.abortConnection()
            return
        transport.protocol = client
        client.makeConnection(transport)
        rest = self._came[header.length :]
        if rest:
            client.dataReceived(rest)

    def _refuse(self, why: str) -> None:
        self._stop_waiting()
        log.warn(
            "a proxy is not understood: {reason}",
            event="proxy-refused",
            listener=self._owner.listener,
            rip=getattr(self._addr, "host", "") or "",
            reason=why,
        )
        self.leave()

    def leave(self) -> None:
        """
        End it, unread.
        """
        self._stop_waiting()
        transport: Any = self.transport
        transport.abortConnection()

    def _stop_waiting(self) -> None:
        self._owner.waiting.discard(self)
        timer, self._timer = self._timer, None
        if timer is not None and timer.active():
            timer.cancel()


def facts(tls: ClientTLS, certificates: bool) -> TLSFacts:
    """
    The TLS between client and proxy. Of a version that is broken, or a cipher that is not known
    here, nothing is protected: no bits.

    @param certificates: whether client certificates count
    """
    name = tls.name if certificates else ""
    return TLSFacts(
        tls.version,
        tls.cipher,
        _bits(tls) if tls.version in _SPOKEN else 0,
        f"CN={name}" if name else "",
        (("cn", name),) if name else (),
    )


def _bits(tls: ClientTLS) -> int:
    if not tls.cipher:
        return LEAST_OF_TLS_13 if tls.version == "TLSv1.3" else 0
    found = strengths().get(tls.cipher, 0)
    return found if found >= ADEQUATE_BITS else 0


@lru_cache(maxsize=1)
def strengths() -> Mapping[str, int]:
    """
    Secret bits by OpenSSL's name of the cipher.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.set_ciphers("ALL:COMPLEMENTOFALL:@SECLEVEL=0")
    return {each["name"]: each["strength_bits"] for each in context.get_ciphers()}
