"""
The self-signed certificate of the demo: P-256, for this machine only, for one year.
"""

from __future__ import annotations

import ipaddress
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from .files import write_private

LIFETIME = timedelta(days=365)
MARGIN = timedelta(days=1)
"""For clocks that are wrong: the certificate begins earlier and is renewed earlier by this much."""

ADDRESSES = ("127.0.0.1", "::1")


def ensure_certificate(certificate: Path, key: Path, now: datetime) -> None:
    """
    Make certificate and key (PEM files), unless they are there and belong together and are valid.

    @param now: with a time zone
    """
    if not _is_good(certificate, key, now):
        secret = ec.generate_private_key(ec.SECP256R1())
        # The key first: a crash between the two leaves a pair that is noticed and made again.
        write_private(
            key,
            secret.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            ),
        )
        made = _self_signed(secret, now.astimezone(UTC))
        write_private(certificate, made.public_bytes(serialization.Encoding.PEM))
        certificate.chmod(0o644)


def _is_good(certificate: Path, key: Path, now: datetime) -> bool:
    try:
        found = x509.load_pem_x509_certificate(certificate.read_bytes())
        secret = serialization.load_pem_private_key(key.read_bytes(), None)
    except (OSError, ValueError, TypeError):
        return False
    return (
        secret.public_key() == found.public_key()
        and found.not_valid_before_utc <= now <= found.not_valid_after_utc - MARGIN
    )


def _self_signed(secret: ec.EllipticCurvePrivateKey, now: datetime) -> x509.Certificate:
    name = x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, "mailaccess demo"),
            x509.NameAttribute(NameOID.COMMON_NAME, "localhost"),
        ]
    )
    public = secret.public_key()
    names = [
        x509.DNSName("localhost"),
        *(x509.IPAddress(ipaddress.ip_address(each)) for each in ADDRESSES),
    ]
    usage = dict.fromkeys(
        (
            "content_commitment",
            "key_encipherment",
            "data_encipherment",
            "key_agreement",
            "crl_sign",
            "encipher_only",
            "decipher_only",
        ),
        False,
    )
    # Its own authority, so that clients can trust it by naming the file (RFC 5280 section 4.2.1.9).
    return (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(public)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - MARGIN)
        .not_valid_after(now + LIFETIME)
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(
            x509.KeyUsage(digital_signature=True, key_cert_sign=True, **usage), critical=True
        )
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(public), critical=False)
        .sign(secret, hashes.SHA256())
    )
