"""
CRAM-MD5: RFC 2195. Off unless a listener names it: it needs the password itself in the record, and
whoever hears an exchange can try passwords at leisure.
"""

from __future__ import annotations

import hmac
import re
import secrets
from functools import partial

import attrs
from zope.interface import implementer

from ...policy.link import Link
from ...policy.mechanism import Exposes, Mechanism, Needs
from ..interfaces import IChallengeLogin
from ..names import MAX_NAME, BadName, decode_name
from .base import NO_CHANNEL, Challenge, Channel, Done, Failed, SASLMechanism, Step

CRAM_MD5 = Mechanism(
    "CRAM-MD5",
    Exposes.VERIFIER,
    needs=Needs.SECRET,
    default=False,
    weak="MD5, and passwords that can be read back; whoever listens can try passwords at leisure",
)

# response = user SP 32HEXDIG; the user may have spaces
_RESPONSE = re.compile(rb"(.+) ([0-9a-f]{32})", re.DOTALL)


@implementer(IChallengeLogin)
@attrs.frozen
class CramLogin:
    """
    A name and a digest of the challenge, keyed by the password.
    """

    name: str
    challenge: bytes
    digest: bytes = attrs.field(repr=False)
    link: Link
    mechanism: Mechanism
    service: str
    authorization: str = ""
    session: str = ""

    def answers(self, secret: bytes) -> bool:
        """
        Whether the digest was made with this password.
        """
        right = hmac.new(secret, self.challenge, "md5").hexdigest().encode("ascii")
        return hmac.compare_digest(right, self.digest)


@attrs.define
class CramExchange:
    """
    A challenge that never comes again, and the answer.
    """

    challenge: bytes = attrs.field(
        factory=lambda: b"<%b@mailaccess>" % secrets.token_hex(16).encode("ascii")
    )
    known_name: str | None = attrs.field(default=None, init=False)
    _state: str = attrs.field(default="fresh", init=False)

    def step(self, response: bytes | None) -> Step:
        """
        The challenge, then the answer.
        """
        state, self._state = self._state, "over"
        if state == "fresh" and response is None:
            self._state = "asked"
            return Challenge(self.challenge)
        if state == "fresh":
            return Failed("CRAM-MD5 takes no initial response", malformed=True)
        if state == "over" or response is None or len(response) > MAX_NAME + 33:
            return Failed()
        found = _RESPONSE.fullmatch(response)
        if found is None:
            return Failed(detail="no name and digest")
        try:
            name = decode_name(found[1])
        except BadName as bad:
            return Failed(detail=str(bad))
        return Done(name, partial(CramLogin, challenge=self.challenge, digest=found[2]))


def _start(channel: Channel = NO_CHANNEL) -> CramExchange:
    return CramExchange()


ROWS = (SASLMechanism(CRAM_MD5, _start, initial_response=False),)
