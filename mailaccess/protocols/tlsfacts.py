"""
What TLS says of a connection, in the words of L{mailaccess.policy.link.Link}.
"""

from __future__ import annotations

from typing import NamedTuple

from OpenSSL import SSL


class TLSFacts(NamedTuple):
    """
    One TLS connection after its handshake.

    @ivar version: C{TLSv1.2} or C{TLSv1.3}
    @ivar cipher: OpenSSL's name of the cipher
    @ivar bits: secret bits of the cipher
    @ivar certificate: subject of the verified client certificate as RFC 4514 writes it, or empty
    """

    version: str
    cipher: str
    bits: int
    certificate: str


def link_facts(transport: object) -> TLSFacts | None:
    """
    The facts of a transport's TLS layer, whether it came by C{startTLS} or was there at once.

    None while there is no TLS or its handshake is not complete: it protects nothing yet.
    """
    get_handle = getattr(transport, "getHandle", None)
    connection = get_handle() if get_handle is not None else None
    if not isinstance(connection, SSL.Connection):
        return None
    cipher = connection.get_cipher_name()
    # The peer's Finished proves that nobody tampered with the handshake (RFC 8446 section 4.4.4).
    if cipher is None or connection.get_peer_finished() is None:
        return None
    return TLSFacts(
        version=connection.get_protocol_version_name(),
        cipher=cipher,
        bits=connection.get_cipher_bits() or 0,
        certificate=_verified_subject(connection),
    )


def _verified_subject(connection: SSL.Connection) -> str:
    # Without VERIFY_PEER nobody looked at what the client sent (TLS-19).
    if not connection.get_verify_mode() & SSL.VERIFY_PEER:
        return ""
    certificate = connection.get_peer_certificate(as_cryptography=True)
    return certificate.subject.rfc4514_string() if certificate is not None else ""
