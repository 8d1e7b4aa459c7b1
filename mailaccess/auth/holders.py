"""
Which user a client certificate is for, by rules of the site.

    holders = Holders("email", (Host("backup.example.org", "backup"),))
    holders.user_of(link)       "amy@example.org", or empty: the certificate is for nobody

What a certificate names counts only because the TLS layer has verified it; what a client says
besides never does (TLS-19).
"""

from __future__ import annotations

from collections.abc import Sequence

import attrs
from service_identity import VerificationError
from service_identity.exceptions import CertificateError
from service_identity.hazmat import DNS_ID, CertificatePattern, DNSPattern, verify_service_identity

from ..policy.link import Link

FIELDS = ("email", "cn", "uid")
"""Where a name may stand: a mail address of the alternative names, or a part of the subject."""


@attrs.frozen
class Host:
    """
    A certificate for this host, in the sense of RFC 6125, is this user's.
    """

    name: str
    user: str


@attrs.frozen
class Holders:
    """
    The rules.

    @ivar field: one of L{FIELDS}, or empty for none
    @ivar hosts: they come first
    """

    field: str = ""
    hosts: Sequence[Host] = ()

    def user_of(self, link: Link) -> str:
        """
        The user's name as the certificate or the rule has it; empty if there is no certificate, it
        does not say, or says more than one.
        """
        if not link.certificate:
            return ""
        patterns = _dns_patterns(link)
        for host in self.hosts:
            if _is_for(patterns, host.name):
                return host.user
        found = {value for kind, value in link.certificate_names if kind == self.field}
        return found.pop() if len(found) == 1 else ""


def _dns_patterns(link: Link) -> list[CertificatePattern]:
    patterns: list[CertificatePattern] = []
    for kind, value in link.certificate_names:
        if kind == "dns":
            try:
                patterns.append(DNSPattern.from_bytes(value.encode("idna")))
            except (CertificateError, ValueError):
                continue
    return patterns


def _is_for(patterns: Sequence[CertificatePattern], host: str) -> bool:
    if not patterns:
        return False
    try:
        verify_service_identity(patterns, [DNS_ID(host)], [])
    except (VerificationError, CertificateError):
        return False
    return True
