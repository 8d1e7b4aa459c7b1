"""
What is read from real TLS handshakes, in memory: channel bindings, and client certificates.
"""

from __future__ import annotations

import contextlib
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.x509.oid import NameOID
from OpenSSL import SSL
from OpenSSL.crypto import X509

from mailaccess.auth.sasl import MECHANISMS
from mailaccess.policy.link import Layer, Link
from mailaccess.policy.tls import ListenerRule, TLSPolicy
from mailaccess.protocols.tlsfacts import channel_binding, link_facts

NOW = datetime.now(UTC)
SHA384 = hashes.SHA384()
KEY = ec.generate_private_key(ec.SECP256R1())
VERSIONS = {"TLSv1.2": SSL.TLS1_2_VERSION, "TLSv1.3": SSL.TLS1_3_VERSION}


def certificate(
    key: Any = KEY,
    algorithm: Any = SHA384,
    subject: str = "",
    names: tuple[x509.GeneralName, ...] = (),
    over: bool = False,
) -> x509.Certificate:
    parts = [x509.NameAttribute(NameOID.COMMON_NAME, subject)] if subject else []
    builder = (
        x509.CertificateBuilder()
        .subject_name(x509.Name(parts))
        .issuer_name(x509.Name(parts))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(NOW - timedelta(days=2))
        .not_valid_after(NOW + timedelta(days=-1 if over else 1))
    )
    if names:
        builder = builder.add_extension(x509.SubjectAlternativeName(names), False)
    return builder.sign(key, algorithm)


class Pair:
    """
    Two ends of one connection.
    """

    def __init__(
        self,
        version: str = "TLSv1.3",
        server: x509.Certificate | None = None,
        key: Any = KEY,
        client: x509.Certificate | None = None,
        verify: bool = True,
    ) -> None:
        here, there = SSL.Context(SSL.TLS_SERVER_METHOD), SSL.Context(SSL.TLS_CLIENT_METHOD)
        here.use_certificate(server if server is not None else certificate(subject="server"))
        here.use_privatekey(key)
        for each in (here, there):
            each.set_min_proto_version(VERSIONS[version])
            each.set_max_proto_version(VERSIONS[version])
        if client is not None:
            there.use_certificate(client)
            there.use_privatekey(KEY)
            store = here.get_cert_store()
            assert store is not None
            store.add_cert(X509.from_cryptography(client))
            # Without looking: only what is said of verification counts below.
            here.set_verify(SSL.VERIFY_PEER if verify else SSL.VERIFY_NONE, lambda *_: True)
        self.server, self.client = SSL.Connection(here), SSL.Connection(there)
        self.server.set_accept_state()
        self.client.set_connect_state()
        for _ in range(4):
            for one, other in ((self.client, self.server), (self.server, self.client)):
                with contextlib.suppress(SSL.WantReadError):
                    one.do_handshake()
                with contextlib.suppress(SSL.WantReadError):
                    other.bio_write(one.bio_read(1 << 16))

    def getHandle(self) -> SSL.Connection:
        return self.server


def test_the_exporter_is_what_the_client_has() -> None:
    """TLS-20: RFC 9266 section 4: 32 octets, label EXPORTER-Channel-Binding."""
    pair, other = Pair(), Pair()
    ours = channel_binding(pair, "tls-exporter")
    assert ours == pair.client.export_keying_material(b"EXPORTER-Channel-Binding", 32)
    assert ours is not None
    assert len(ours) == 32
    assert ours != channel_binding(other, "tls-exporter")


@pytest.mark.parametrize("version", ["TLSv1.2", "TLSv1.3"])
def test_the_end_point_is_the_hash_of_the_certificate(version: str) -> None:
    """TLS-20: RFC 5929 section 4.1: by the certificate's own hash."""
    shown = certificate(subject="server")
    pair = Pair(version, shown)
    assert channel_binding(pair, "tls-server-end-point") == shown.fingerprint(hashes.SHA384())
    facts = link_facts(pair)
    assert facts is not None
    assert "tls-server-end-point" in facts.bindings


def test_what_binds_nothing_is_not_given() -> None:
    """TLS-20: no exporter with TLS 1.2, no tls-unique, and nothing without TLS."""
    old = Pair("TLSv1.2")
    facts = link_facts(old)
    assert facts is not None
    assert facts.bindings == ("tls-server-end-point",)
    for kind in ("tls-exporter", "tls-unique"):
        assert channel_binding(old, kind) is None
    assert channel_binding(Pair(), "tls-unique") is None
    assert channel_binding(object(), "tls-exporter") is None
    key = ed25519.Ed25519PrivateKey.generate()
    odd = Pair("TLSv1.3", certificate(key, None, "server"), key)
    assert channel_binding(odd, "tls-server-end-point") is None
    assert channel_binding(odd, "tls-exporter") is not None


@pytest.mark.parametrize(("version", "there"), [("TLSv1.2", ()), ("TLSv1.3", ("tls-exporter",))])
def test_a_certificate_that_binds_nothing_is_not_offered_for_it(
    version: str, there: tuple[str, ...]
) -> None:
    """TLS-20, POL-02: with TLS 1.2 and Ed25519 there is no mechanism with -PLUS."""
    key = ed25519.Ed25519PrivateKey.generate()
    facts = link_facts(Pair(version, certificate(key, None, "server"), key))
    assert facts is not None
    assert facts.bindings == there


def test_plus_is_offered_where_there_is_something_to_bind_to() -> None:
    """TLS-20, POL-02"""
    policy = TLSPolicy({"imap": ListenerRule()})
    plus = MECHANISMS["SCRAM-SHA-256-PLUS"].mechanism
    assert not policy.decide(Link("imap"), plus).allowed
    bound = Link("imap", Layer.TLS, bits=256, bindings=("tls-exporter",))
    assert policy.decide(bound, plus).allowed


def test_a_verified_certificate_tells_its_names() -> None:
    """TLS-19"""
    shown = certificate(
        subject="amy", names=(x509.RFC822Name("amy@example.org"), x509.DNSName("a.example.org"))
    )
    facts = link_facts(Pair(client=shown))
    assert facts is not None
    assert facts.certificate == "CN=amy"
    assert facts.names == (("cn", "amy"), ("email", "amy@example.org"), ("dns", "a.example.org"))


def test_a_certificate_without_a_subject_is_one_all_the_same() -> None:
    """TLS-19: the policy may ask for one; it names nobody."""
    facts = link_facts(Pair(client=certificate()))
    assert facts is not None
    assert facts.certificate == "(no subject)"
    assert facts.names == ()


@pytest.mark.parametrize(("over", "verify"), [(True, True), (False, False)])
def test_what_was_not_verified_or_is_over_tells_nothing(over: bool, verify: bool) -> None:
    """TLS-19: also where a session that is taken up again brings the certificate back."""
    facts = link_facts(Pair(client=certificate(subject="amy", over=over), verify=verify))
    assert facts is not None
    assert (facts.certificate, facts.names) == ("", ())
