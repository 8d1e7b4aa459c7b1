"""
What there is to know of the server's TLS: certificate, name, versions, ciphers.
"""

from __future__ import annotations

import ssl
import warnings
from datetime import UTC, datetime
from ipaddress import ip_address

from cryptography import x509
from service_identity import CertificateError, VerificationError
from service_identity.cryptography import (
    verify_certificate_hostname,
    verify_certificate_ip_address,
)

VERSIONS = {
    "TLS 1.0": ssl.TLSVersion.TLSv1,
    "TLS 1.1": ssl.TLSVersion.TLSv1_1,
    "TLS 1.2": ssl.TLSVersion.TLSv1_2,
    "TLS 1.3": ssl.TLSVersion.TLSv1_3,
}
BROKEN = "aNULL:eNULL:EXPORT:LOW:RC4:3DES:@SECLEVEL=0"
"""Ciphers that protect nothing, or not enough (RFC 9325 section 4.1)."""

OLD = "kRSA:@SECLEVEL=0"
"""Without forward secrecy."""


def anybody() -> ssl.SSLContext:
    """
    A client that trusts everybody: to look at what there is.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def verifying(ca: str) -> ssl.SSLContext:
    """
    A client that wants a chain to an authority; names are compared elsewhere.

    @param ca: PEM file with authorities; those of the system if empty
    @raise OSError: the file cannot be used
    """
    context = ssl.create_default_context(cafile=ca or None)
    context.check_hostname = False
    return context


def only(version: ssl.TLSVersion, ciphers: str = "") -> ssl.SSLContext | None:
    """
    A client of one version; None where this machine's OpenSSL has not got it.
    """
    context = anybody()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            context.minimum_version = version
            context.maximum_version = version
        context.set_ciphers(ciphers or "ALL:@SECLEVEL=0")
    except (ssl.SSLError, ValueError):
        return None
    return context


def speaking(*protocols: str) -> ssl.SSLContext:
    """
    A client with ALPN.
    """
    context = anybody()
    context.set_alpn_protocols(list(protocols))
    return context


def certificate_of(secured: ssl.SSLSocket) -> x509.Certificate | None:
    """
    What the server showed.
    """
    shown = secured.getpeercert(binary_form=True)
    return x509.load_der_x509_certificate(shown) if shown else None


def identity_problem(certificate: x509.Certificate, name: str) -> str:
    """
    Why the certificate is not this server's; empty if it is.

    RFC 2595 section 2.4, RFC 9525: names in the certificate's subjectAltName count, the common name
    does not; a wildcard stands for one label.
    """
    try:
        try:
            ip_address(name)
        except ValueError:
            verify_certificate_hostname(certificate, name)
        else:
            verify_certificate_ip_address(certificate, name)
    except VerificationError:
        return f"it is for {', '.join(_names(certificate)) or 'no name'}, and not for {name}"
    except CertificateError as error:
        subject = certificate.subject.rfc4514_string()
        return f"it names no server ({error}); the subject {subject} does not count (RFC 9525)"
    except ValueError as error:
        return f"{name} cannot be a name of a server: {error}"
    return ""


def _names(certificate: x509.Certificate) -> list[str]:
    try:
        found = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return []
    addresses = [str(each) for each in found.get_values_for_type(x509.IPAddress)]
    return [*found.get_values_for_type(x509.DNSName), *addresses]


def days_left(certificate: x509.Certificate, now: datetime | None = None) -> int:
    """
    Whole days until it expires; negative afterwards.
    """
    moment = now if now is not None else datetime.now(UTC)
    return (certificate.not_valid_after_utc - moment).days
