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
from .base import NO_CHANNEL, Challenge, Channel, Done, Failed, SASLMechanism, Step

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
class ExternalExchange:
    """
    One message: who to act as, or nothing.
    """

    channel: Channel = NO_CHANNEL
    known_name: str | None = attrs.field(default=None, init=False)
    _state: str = attrs.field(default="fresh", init=False)

    def step(self, response: bytes | None) -> Step:
        """
        An empty challenge, then the message.
        """
        state, self._state = self._state, "over"
        if state == "fresh" and response is None:
            self._state = "asked"
            self.known_name = self.channel.holder or None
            return Challenge(b"")
        if response is None or state == "over":
            return Failed()
        if not self.channel.holder:
            return Failed(detail="the certificate is for no user")
        try:
            authorization = decode_name(response) if response else ""
        except BadName as bad:
            return Failed(detail=str(bad))
        return Done(self.channel.holder, CertificateLogin, authorization)


ROWS = (SASLMechanism(EXTERNAL, ExternalExchange),)
