"""
EXTERNAL: who somebody is was shown by a client certificate in the TLS handshake (RFC 4422 appendix
A).
"""

from __future__ import annotations

import attrs
from zope.interface import implementer

from ...policy.link import Link
from ...policy.mechanism import Exposes, Mechanism, Needs
from ..interfaces import ICertificateLogin
from ..names import BadName, decode_name
from .base import NO_CHANNEL, Challenge, Channel, Done, Failed, OneMessage, SASLMechanism, Step

EXTERNAL = Mechanism("EXTERNAL", Exposes.NOTHING, initial=True, needs=Needs.CERTIFICATE)


@implementer(ICertificateLogin)
@attrs.frozen
class CertificateLogin:
    """
    The user that the certificate of the link is for. What the client sends is only who to act as:
    it never stands in for a name that the certificate lacks (TLS-19).
    """

    name: str
    link: Link
    mechanism: Mechanism
    service: str
    authorization: str = ""
    session: str = ""


@attrs.define
class ExternalExchange(OneMessage):
    """
    Who to act as, or nothing.
    """

    channel: Channel = NO_CHANNEL

    def step(self, response: bytes | None) -> Step:
        """
        As L{OneMessage.step}; who it is stands in the certificate.
        """
        step = OneMessage.step(self, response)
        if isinstance(step, Challenge):
            self.known_name = self.channel.holder or None
        return step

    def read(self, message: bytes) -> Step:
        """
        A claim to act as somebody.
        """
        if not self.channel.holder:
            return Failed(detail="the certificate is for no user")
        try:
            authorization = decode_name(message) if message else ""
        except BadName as bad:
            return Failed(detail=str(bad))
        return Done(self.channel.holder, CertificateLogin, authorization)


ROWS = (SASLMechanism(EXTERNAL, ExternalExchange),)
