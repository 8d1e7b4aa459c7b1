"""
What TLS says of a connection, in the words of L{mailaccess.policy.link.Link}.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import NamedTuple

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.x509.oid import NameOID
from OpenSSL import SSL


class TLSFacts(NamedTuple):
    """
    One TLS connection after its handshake.

    @ivar version: C{TLSv1.2} or C{TLSv1.3}
    @ivar cipher: OpenSSL's name of the cipher
    @ivar bits: secret bits of the cipher
    @ivar certificate: subject of the verified client certificate as RFC 4514 writes it, or empty; a
        certificate without a subject is written as C{(no subject)}
    @ivar names: as L{mailaccess.policy.link.Link.certificate_names}
    @ivar bindings: as L{mailaccess.policy.link.Link.bindings}
    """

    version: str
    cipher: str
    bits: int
    certificate: str
    names: tuple[tuple[str, str], ...] = ()
    bindings: tuple[str, ...] = ()


def link_facts(transport: object) -> TLSFacts | None:
    """
    The facts of a transport's TLS layer, whether it came by C{startTLS} or was there at once.

    None while there is no TLS or its handshake is not complete: it protects nothing yet.
    """
    connection = _handle(transport)
    if connection is None:
        return None
    cipher = connection.get_cipher_name()
    # The peer's Finished proves that nobody tampered with the handshake (RFC 8446 section 4.4.4).
    if cipher is None or connection.get_peer_finished() is None:
        return None
    version = connection.get_protocol_version_name()
    certificate = _verified_certificate(connection)
    return TLSFacts(
        version=version,
        cipher=cipher,
        bits=connection.get_cipher_bits() or 0,
        certificate="" if certificate is None else _subject(certificate),
        names=() if certificate is None else _names(certificate),
        bindings=_bindings(connection, version),
    )


EXPORTER, END_POINT = "tls-exporter", "tls-server-end-point"

# The exporter of TLS 1.2 binds only with the extended master secret (RFC 9266 section 4.2), and
# pyOpenSSL does not tell whether there is one.
BINDINGS = {"TLSv1.3": (EXPORTER, END_POINT), "TLSv1.2": (END_POINT,)}
"""Kinds of channel binding by version."""


def channel_binding(transport: object, kind: str) -> bytes | None:
    """
    The data of a channel binding of a connection whose handshake is complete, or None where there
    is none of this kind: C{tls-exporter} (RFC 9266), C{tls-server-end-point} (RFC 5929 section 4).
    """
    connection = _handle(transport)
    if connection is None or connection.get_peer_finished() is None:
        return None
    if kind not in BINDINGS.get(connection.get_protocol_version_name(), ()):
        return None
    if kind == EXPORTER:
        return connection.export_keying_material(b"EXPORTER-Channel-Binding", 32, b"")
    certificate = connection.get_certificate(as_cryptography=True)
    algorithm = _algorithm(certificate)
    if certificate is None or algorithm is None:
        return None
    weak = isinstance(algorithm, hashes.MD5 | hashes.SHA1)
    return certificate.fingerprint(hashes.SHA256() if weak else algorithm)


def _bindings(connection: SSL.Connection, version: str) -> tuple[str, ...]:
    """
    Only what can be had: what is offered has to work (TLS-20).
    """
    there = BINDINGS.get(version, ())
    if _algorithm(connection.get_certificate(as_cryptography=True)) is None:
        return tuple(each for each in there if each != END_POINT)
    return there


def _algorithm(certificate: x509.Certificate | None) -> hashes.HashAlgorithm | None:
    """
    The hash of a certificate's signature; none of Ed25519 and the like, of which RFC 5929 section 4
    does not say what to do.
    """
    try:
        return certificate.signature_hash_algorithm if certificate is not None else None
    except UnsupportedAlgorithm:
        return None


def _handle(transport: object) -> SSL.Connection | None:
    get_handle = getattr(transport, "getHandle", None)
    connection = get_handle() if get_handle is not None else None
    return connection if isinstance(connection, SSL.Connection) else None


def _verified_certificate(connection: SSL.Connection) -> x509.Certificate | None:
    # Without VERIFY_PEER nobody looked at what the client sent (TLS-19).
    if not connection.get_verify_mode() & SSL.VERIFY_PEER:
        return None
    certificate = connection.get_peer_certificate(as_cryptography=True)
    # One that a session ticket brings back was verified when the ticket was given out.
    if certificate is None or certificate.not_valid_after_utc < datetime.now(UTC):
        return None
    return certificate


def _subject(certificate: x509.Certificate) -> str:
    return certificate.subject.rfc4514_string() or "(no subject)"


_PARTS = (("cn", NameOID.COMMON_NAME), ("uid", NameOID.USER_ID))


def _names(certificate: x509.Certificate) -> tuple[tuple[str, str], ...]:
    """
    What the certificate names, with what kind of name it is.
    """
    found: list[tuple[str, str]] = []
    for kind, oid in _PARTS:
        values = certificate.subject.get_attributes_for_oid(oid)
        found += [(kind, it.value) for it in values if isinstance(it.value, str)]
    try:
        extension = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    except (x509.ExtensionNotFound, ValueError):
        return tuple(found)
    alternatives = extension.value
    found += [("email", it) for it in alternatives.get_values_for_type(x509.RFC822Name)]
    found += [("dns", it) for it in alternatives.get_values_for_type(x509.DNSName)]
    return tuple(found)
