"""
Certificates made on the spot, and a TLS conversation without sockets.
"""

from __future__ import annotations

import datetime
import os
import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import NameOID
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransportWithDisconnection
from twisted.protocols.tls import TLSMemoryBIOFactory


def write_certificate(
    path: Path,
    *names: str,
    key: Any = None,
    days: int = 30,
    began: int = 1,
    mode: int = 0o600,
) -> x509.Certificate:
    """
    A self-signed certificate and its key in one PEM file.
    """
    key = key or ec.generate_private_key(ec.SECP256R1())
    now = datetime.datetime.now(datetime.UTC)
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, names[0])])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=began))
        .not_valid_after(now + datetime.timedelta(days=days))
        .add_extension(
            x509.SubjectAlternativeName([x509.DNSName(each) for each in names]), critical=False
        )
        .sign(key, hashes.SHA256())
    )
    data = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    ) + certificate.public_bytes(serialization.Encoding.PEM)
    fresh = path.with_suffix(".new")
    fresh.write_bytes(data)
    fresh.chmod(mode)
    os.replace(fresh, path)
    return certificate


@pytest.fixture(scope="session")
def certificate_writer() -> Callable[..., x509.Certificate]:
    return write_certificate


@pytest.fixture(scope="session")
def rsa_key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(65537, 2048)


@pytest.fixture
def pem(tmp_path: Path) -> Path:
    path = tmp_path / "server.pem"
    write_certificate(path, "mail.example.org")
    return path


class Recorder(Protocol):
    """
    Keeps what it is given.
    """

    def __init__(self) -> None:
        self.received = b""
        self.reason: Any = None

    def dataReceived(self, data: bytes) -> None:
        self.received += data

    def connectionLost(self, reason: Any = None) -> None:
        self.reason = reason


class Talk:
    """
    A client of the standard library and a server of ours, bytes handed over by L{pump}.
    """

    def __init__(
        self,
        creator: Any,
        context: ssl.SSLContext,
        *,
        server_name: str | None = "mail.example.org",
        session: Any = None,
    ) -> None:
        self.clock = Clock()
        self.recorder = Recorder()
        factory = TLSMemoryBIOFactory(
            creator, False, Factory.forProtocol(lambda: self.recorder), self.clock
        )
        self.server = factory.buildProtocol(None)
        self.transport = StringTransportWithDisconnection()
        self.transport.protocol = self.server
        self.incoming, self.outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.client = context.wrap_bio(
            self.incoming, self.outgoing, server_hostname=server_name, session=session
        )
        self.server.makeConnection(self.transport)

    def pump(self) -> None:
        while True:
            self.clock.advance(0)
            to_client, to_server = self.transport.value(), self.outgoing.read()
            if not to_client and not to_server:
                return
            self.transport.clear()
            if to_client:
                self.incoming.write(to_client)
            if to_server and self.transport.connected:
                self.server.dataReceived(to_server)

    def handshake(self) -> None:
        for _ in range(8):
            try:
                self.client.do_handshake()
            except ssl.SSLWantReadError:
                self.pump()
            else:
                self.pump()
                return
        raise AssertionError("the handshake does not end")

    def read(self) -> bytes:
        self.pump()
        try:
            return self.client.read(65536)
        except ssl.SSLWantReadError:
            return b""

    def certificate(self) -> x509.Certificate:
        shown = self.client.getpeercert(binary_form=True)
        assert shown
        return x509.load_der_x509_certificate(shown)


def client_context(
    *alpn: str,
    least: ssl.TLSVersion | None = None,
    most: ssl.TLSVersion | None = None,
    ciphers: str = "",
) -> ssl.SSLContext:
    """
    A client that does not look at who signed.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    if ciphers:
        context.set_ciphers(ciphers)
    if least is not None:
        context.minimum_version = least
    if most is not None:
        context.maximum_version = most
    if alpn:
        context.set_alpn_protocols(list(alpn))
    return context


@pytest.fixture(scope="session")
def talk() -> type[Talk]:
    return Talk


@pytest.fixture(scope="session")
def client() -> Callable[..., ssl.SSLContext]:
    return client_context
