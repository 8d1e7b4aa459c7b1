"""
The server's side of TLS: contexts made from certificates, per protocol, replaced as a whole.

    tls = ServerTLS(TLSSettings(certificate="/etc/ssl/mail.pem"), reactor)
    transport.startTLS(tls.factory_for("imap"))

    1.2 and 1.3 only; with 1.2 only ECDHE with AEAD ciphers (TLS-14, RFC 9325 section 4.2)
    no compression, no renegotiation, no early data
    session tickets, no session cache: a session that waits costs no memory here
    ALPN: the protocol's own name or none at all (TLS-17)
    server names: from what was loaded, else the default (TLS-16)
    client certificates: asked for only where a listener wants that, and verified (TLS-19); one that
    is not good ends the handshake, and whether none is enough is the policy's to say

A connection keeps the context it began with, so a reload disturbs nobody.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from cryptography import x509
from OpenSSL import SSL
from OpenSSL.crypto import X509
from twisted.internet.interfaces import IOpenSSLServerConnectionCreator, IReactorTime
from twisted.logger import Logger
from twisted.protocols.tls import TLSMemoryBIOProtocol
from zope.interface import implementer

from .certificates import (
    BrokenCertificates,
    Certificate,
    Certificates,
    fingerprint,
    load_certificates,
)
from .handshake import HandshakeDeadline
from .settings import TLSSettings

CIPHERS = b"ECDHE+AESGCM:ECDHE+CHACHA20"
"""For TLS 1.2; has ECDHE-RSA-AES128-GCM-SHA256, which RFC 9051 section 11.1 asks for."""

PROTOCOLS = ("imap", "pop3")
"""ALPN names (RFC 7301 registry) of what may run here over TLS."""

log = Logger()


class NoCommonProtocol(SSL.Error):
    """
    The client speaks by ALPN of other protocols only.
    """


def _only(name: bytes) -> Callable[[SSL.Connection, Sequence[bytes]], bytes]:
    def select(_connection: SSL.Connection, offered: Sequence[bytes]) -> bytes:
        if name in offered:
            return name
        # Raising is what makes pyOpenSSL send no_application_protocol (RFC 7301 section 3.2).
        raise NoCommonProtocol([("SSL routines", "", "no application protocol")])

    return select


def _context(
    certificate: Certificate, protocol: str, authorities: Sequence[x509.Certificate] = ()
) -> SSL.Context:
    # Not twisted's CertificateOptions: its ALPN callback cannot send the alert, and a context that
    # it made takes no further settings.
    context = SSL.Context(SSL.TLS_SERVER_METHOD)
    context.set_min_proto_version(SSL.TLS1_2_VERSION)
    context.set_options(
        SSL.OP_NO_COMPRESSION | SSL.OP_NO_RENEGOTIATION | SSL.OP_CIPHER_SERVER_PREFERENCE
    )
    context.set_mode(SSL.MODE_RELEASE_BUFFERS)
    context.set_session_cache_mode(SSL.SESS_CACHE_OFF)
    # One per protocol: a ticket for IMAP opens no POP3 session.
    asks = b" CA" if authorities else b""
    context.set_session_id(b"mailaccess " + protocol.encode("ascii") + asks)
    context.use_certificate(certificate.leaf)
    context.use_privatekey(certificate.key)
    for each in certificate.chain:
        context.add_extra_chain_cert(each)
    context.check_privatekey()
    context.set_alpn_select_callback(_only(protocol.encode("ascii")))
    context.set_cipher_list(CIPHERS)
    if authorities:
        store = context.get_cert_store()
        assert store is not None
        for each in authorities:
            store.add_cert(X509.from_cryptography(each))
            context.add_client_ca(each)
        context.set_verify(SSL.VERIFY_PEER)
    return context


class _Contexts:
    """
    Ready contexts for one protocol and one set of certificates.
    """

    def __init__(
        self, certificates: Certificates, protocol: str, ask_certificate: bool = False
    ) -> None:
        self._certificates = certificates
        everyone = {certificates.default, *certificates.names.values()}
        authorities = certificates.authorities if ask_certificate else ()
        self._made = {each: _context(each, protocol, authorities) for each in everyone}
        self.default = self._made[certificates.default]
        self.default.set_tlsext_servername_callback(self._choose)

    def _choose(self, connection: SSL.Connection) -> None:
        name = connection.get_servername()
        if name:
            certificate = self._certificates.find(name.decode("ascii", "replace"))
            if certificate is not self._certificates.default:
                connection.set_context(self._made[certificate])


@implementer(IOpenSSLServerConnectionCreator)
class _ConnectionCreator:
    """
    Makes the connections of one protocol, always with the contexts of now.
    """

    def __init__(self, tls: ServerTLS, protocol: str, ask_certificate: bool) -> None:
        self._tls = tls
        self._protocol = protocol
        self._ask_certificate = ask_certificate

    def serverConnectionForTLS(self, protocol: TLSMemoryBIOProtocol) -> SSL.Connection:
        """
        A connection for a handshake that starts now and has its deadline.
        """
        self._tls.deadline.began(protocol)
        context = self._tls.context(self._protocol, self._ask_certificate)
        return SSL.Connection(context, None)


class ServerTLS:
    """
    What listeners and STARTTLS need to speak TLS.

    @ivar certificates: those in use
    @ivar deadline: watches over handshakes
    """

    def __init__(
        self,
        settings: TLSSettings,
        clock: IReactorTime,
        certificates: Certificates | None = None,
    ) -> None:
        """
        @raise BrokenCertificates: the files are not good
        """
        self.settings = settings
        self.deadline = HandshakeDeadline(clock, settings.handshake)
        self.use(self.prepare(certificates or load_certificates(settings)))

    def factory_for(
        self, protocol: str, ask_certificate: bool = False
    ) -> IOpenSSLServerConnectionCreator:
        """
        What C{transport.startTLS} and L{twisted.protocols.tls.TLSMemoryBIOFactory} take.

        @param protocol: one of L{PROTOCOLS}
        @param ask_certificate: ask clients for certificates that C{client_ca} signed
        """
        if protocol not in PROTOCOLS:
            raise ValueError(f"no ALPN name for {protocol!r}")
        return _ConnectionCreator(self, protocol, ask_certificate)

    def context(self, protocol: str, ask_certificate: bool = False) -> SSL.Context:
        """
        The context of now for a protocol; it turns to another one by the name the client asks for.
        """
        return self._contexts[protocol, ask_certificate].default

    @property
    def stale(self) -> bool:
        """
        Whether the files look different from when they were last looked at. Blocks on the disk.
        """
        return fingerprint(self.settings) != self._seen

    def reload(self) -> Prepared | None:
        """
        Read the files again; None, and a line in the log, if they are not good. May run in a
        thread; what it returns is for L{use}.
        """
        self._seen = fingerprint(self.settings)
        try:
            found = load_certificates(self.settings, before=self.certificates)
            prepared = self.prepare(found)
        except (BrokenCertificates, SSL.Error) as error:
            self._tell_kept(_first_line(error))
            return None
        for reason in found.kept:
            self._tell_kept(reason)
        return prepared

    def _tell_kept(self, reason: str) -> None:
        log.error(
            "certificates not replaced: {reason}",
            event="certificates-kept",
            reason=reason,
            serial=self.certificates.default.serial,
            expires=f"{self.certificates.default.expires:%Y-%m-%dT%H:%M:%SZ}",
        )

    def prepare(self, certificates: Certificates) -> Prepared:
        """
        Contexts for certificates. May run in a thread.
        """
        return certificates, {
            (protocol, asks): _Contexts(certificates, protocol, asks)
            for protocol in PROTOCOLS
            for asks in (False, True)
            if not asks or certificates.authorities
        }

    def use(self, prepared: Prepared) -> None:
        """
        From now on, new handshakes use these.
        """
        before = getattr(self, "certificates", None)
        self.certificates, self._contexts = prepared
        self._seen = self.certificates.stamp
        if before is not None:
            log.info(
                "certificates replaced",
                event="certificates-replaced",
                old_serial=before.default.serial,
                old_expires=f"{before.default.expires:%Y-%m-%dT%H:%M:%SZ}",
                serial=self.certificates.default.serial,
                expires=f"{self.certificates.default.expires:%Y-%m-%dT%H:%M:%SZ}",
                names=len(self.certificates.names),
            )


Prepared = tuple[Certificates, dict[tuple[str, bool], _Contexts]]


def _first_line(error: Exception) -> str:
    return str(error) or type(error).__name__
