"""
The factory that takes headers of proxies, and what links are made of them.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from twisted.internet.address import IPv4Address, UNIXAddress
from twisted.internet.protocol import Factory
from twisted.internet.task import Clock
from twisted.internet.testing import EventLoggingObserver, StringTransportWithDisconnection
from twisted.logger import globalLogPublisher

from mailaccess.policy.link import Layer, Link
from mailaccess.protocols.links import Announced, link_of
from mailaccess.protocols.tlsfacts import TLSFacts
from mailaccess.services.policies import networks
from mailaccess.services.proxied import ProxiedFactory, facts, strengths
from mailaccess.wire.proxyheader import ClientTLS

from .conftest import Recorder
from .test_proxied import LINE, PROXY, STRANGER, header, said_of_tls

# ---- the factory -------------------------------------------------------------------------------


class Door:
    """
    A factory with a connection that comes from somewhere.
    """

    def __init__(self, peer: Any = PROXY, **more: Any) -> None:
        self.clock = Clock()
        self.client = Recorder()
        inner = Factory.forProtocol(lambda: self.client)
        inner.noisy = False
        factory = self.factory = ProxiedFactory(
            inner, networks(["10.0.0.7/32"]), self.clock, "imap", seconds=5, **more
        )
        self.transport = StringTransportWithDisconnection(peerAddress=peer)
        self.transport.protocol = factory.buildProtocol(peer)
        self.transport.protocol.makeConnection(self.transport)

    def feed(self, data: bytes) -> None:
        self.transport.protocol.dataReceived(data)

    @property
    def announced(self) -> Announced | None:
        return getattr(self.transport, "announced", None)


@pytest.fixture
def noted() -> Iterator[list[dict[str, Any]]]:
    observer = EventLoggingObserver()
    globalLogPublisher.addObserver(observer)
    yield observer._events
    globalLogPublisher.removeObserver(observer)


def test_a_proxy_says_who_the_client_is_however_it_is_cut() -> None:
    """AB-14"""
    for cut in range(len(LINE) + 1):
        door = Door()
        door.feed(LINE[:cut])
        assert (door.client.transport is None) == (cut < len(LINE))
        door.feed(LINE[cut:] + b"a NOOP\r\n")
        assert door.announced == Announced("192.0.2.1", "192.0.2.9")
        assert door.client.received == b"a NOOP\r\n"
        door.feed(b"b NOOP\r\n")
        assert door.client.received.endswith(b"b NOOP\r\n")
        door.clock.advance(100)
        assert door.transport.connected


def test_who_is_no_proxy_is_not_believed() -> None:
    """POL-09: the header is the client's own words, and the client's protocol reads it as such."""
    door = Door(STRANGER)
    door.feed(LINE)
    assert door.announced is None
    assert door.client.received == LINE


@pytest.mark.parametrize(
    "data", [b"a LOGIN amy secret\r\n", b"\x16\x03\x01\x00", b"PROXY TCP4 x y 1 2\r\n"]
)
def test_a_proxy_without_a_header_is_turned_away(data: bytes, noted: list[dict[str, Any]]) -> None:
    """POL-09"""
    door = Door()
    door.feed(data)
    assert not door.transport.connected
    assert door.client.transport is None
    (event,) = [each for each in noted if each.get("event") == "proxy-refused"]
    assert (event["listener"], event["rip"]) == ("imap", "10.0.0.7")
    assert "secret" not in str(event["reason"])
    assert door.clock.getDelayedCalls() == []


def test_a_proxy_has_only_so_much_time(noted: list[dict[str, Any]]) -> None:
    """AB-02"""
    door = Door()
    door.feed(LINE[:-1])
    door.clock.advance(4.9)
    assert door.transport.connected
    door.clock.advance(0.2)
    assert not door.transport.connected
    (event,) = [each for each in noted if each.get("event") == "proxy-refused"]
    assert event["reason"] == "no header in time"


def test_nothing_stays_of_a_proxy_that_goes() -> None:
    """AB-11"""
    door = Door()
    door.transport.loseConnection()
    assert door.clock.getDelayedCalls() == []


def test_who_has_not_said_anything_goes_when_the_listener_stops() -> None:
    """DS-17: and does not become a client afterwards."""
    door = Door()
    door.factory.doStart()
    door.feed(LINE[:-1])
    door.factory.doStop()
    assert not door.transport.connected
    assert door.client.transport is None
    assert not door.factory.waiting
    assert door.clock.getDelayedCalls() == []
    door = Door()
    door.feed(LINE)
    assert not door.factory.waiting


def test_a_unix_socket_is_a_proxy_only_where_it_is_named() -> None:
    peer = UNIXAddress(b"/run/x")
    door = Door(peer)
    assert door.client.transport is not None
    door = Door(peer, sockets=True)
    assert door.client.transport is None
    door.feed(LINE)
    assert door.announced == Announced("192.0.2.1", "192.0.2.9")


def test_certificates_count_only_where_they_are_asked_for() -> None:
    """TLS-19"""
    told = said_of_tls("TLSv1.3", "TLS_AES_256_GCM_SHA384", "amy")
    for certificates, subject in ((False, ""), (True, "CN=amy")):
        door = Door(certificates=certificates)
        door.feed(header(tls=told))
        assert door.announced is not None
        assert door.announced.tls is not None
        assert door.announced.tls.certificate == subject
        assert door.announced.tls.names == ((("cn", "amy"),) if certificates else ())


@pytest.mark.parametrize(
    ("version", "cipher", "bits"),
    [
        ("TLSv1.3", "TLS_AES_256_GCM_SHA384", 256),
        ("TLSv1.2", "ECDHE-RSA-AES128-GCM-SHA256", 128),
        ("TLSv1.3", "", 128),
        ("TLSv1.2", "", 0),
        ("TLSv1.2", "NULL-SHA256", 0),
        ("TLSv1.2", "no such cipher", 0),
        ("TLSv1.1", "ECDHE-RSA-AES256-SHA", 0),
        ("SSLv3", "AES256-SHA", 0),
        ("", "TLS_AES_256_GCM_SHA384", 0),
    ],
)
def test_what_protects_nothing_has_no_bits(version: str, cipher: str, bits: int) -> None:
    """POL-09, RFC 2595 section 2.3: a cipher that is not known is none."""
    assert facts(ClientTLS(version, cipher), False).bits == bits
    assert strengths()["NULL-SHA256"] == 0


# ---- the link ----------------------------------------------------------------------------------


class Transport:
    def __init__(self, told: Announced | None, peer: Any = PROXY) -> None:
        self.announced = told
        self.peer = peer

    def getPeer(self) -> Any:
        return self.peer

    def getHost(self) -> Any:
        return IPv4Address("TCP", "10.0.0.1", 143)


STRONG = TLSFacts("TLSv1.3", "TLS_AES_256_GCM_SHA384", 256, "")
EVERYTHING = frozenset(Layer)


def test_tls_at_a_proxy_counts_only_where_that_is_named() -> None:
    """POL-09"""
    transport = Transport(Announced("192.0.2.1", "192.0.2.9", STRONG))
    link = link_of(transport, "imap", {Layer.PROXY_TLS})
    assert (link.layer, link.bits, link.tls_version) == (Layer.PROXY_TLS, 256, "TLSv1.3")
    assert (link.peer, link.local, link.private) == ("192.0.2.1", "192.0.2.9", True)
    assert link.bindings == ()
    others = EVERYTHING - {Layer.PROXY_TLS}
    link = link_of(transport, "imap", others, networks(["192.0.2.0/24"]))
    assert link == Link("imap", peer="192.0.2.1", local="192.0.2.9")


@pytest.mark.parametrize("peer", ["127.0.0.1", "::1", ""])
def test_the_loopback_of_a_proxy_is_not_ours(peer: str) -> None:
    """POL-09; nor is a client trusted of whom nothing is told, wherever the proxy is."""
    link = link_of(Transport(Announced(peer)), "imap", EVERYTHING, networks(["10.0.0.0/8"]))
    assert link.layer is Layer.NONE
    assert link.peer == (peer or "10.0.0.7")


def test_a_client_behind_a_proxy_may_come_from_a_trusted_network() -> None:
    trusted = networks(["192.0.2.0/24"])
    link = link_of(Transport(Announced("192.0.2.1")), "imap", EVERYTHING, trusted)
    assert link.layer is Layer.TRUSTED_NETWORK
    link = link_of(Transport(Announced("198.51.100.1")), "imap", EVERYTHING, trusted)
    assert link.layer is Layer.NONE


def test_a_unix_socket_counts_only_where_that_is_named() -> None:
    """POL-01"""
    transport = Transport(None, UNIXAddress(None))
    assert link_of(transport, "imap", {Layer.UNIX}).layer is Layer.UNIX
    assert link_of(transport, "imap", EVERYTHING - {Layer.UNIX}).layer is Layer.NONE
