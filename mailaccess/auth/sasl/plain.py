"""
PLAIN: RFC 4616.
"""

from __future__ import annotations

import attrs

from ...policy.mechanism import PLAIN
from ..names import MAX_NAME, MAX_PASSWORD, BadName, BadPassword, decode_name, prepare_password
from .base import NO_CHANNEL, Challenge, Channel, Failed, Finished, SASLMechanism, Step

_MAX_MESSAGE = MAX_NAME + 1 + MAX_NAME + 1 + MAX_PASSWORD


@attrs.define
class PlainExchange:
    """
    One message with everything in it. Name and password come together, so the name is never known
    before the password.
    """

    known_name: str | None = attrs.field(default=None, init=False)
    _asked: bool = attrs.field(default=False, init=False)
    _over: bool = attrs.field(default=False, init=False)

    def step(self, response: bytes | None) -> Step:
        """
        An empty challenge, then the message.
        """
        if response is None and not self._asked and not self._over:
            self._asked = True
            return Challenge(b"")
        if response is None or self._over:
            self._over = True
            return Failed()
        self._over = True
        return _read(response)


def _read(message: bytes) -> Step:
    # message = [authzid] UTF8NUL authcid UTF8NUL passwd
    if len(message) > _MAX_MESSAGE or message.count(b"\0") != 2:
        return Failed()
    authorization, name, secret = message.split(b"\0")
    try:
        secret.decode("utf-8")
        return Finished(
            decode_name(name),
            prepare_password(secret),
            decode_name(authorization) if authorization else "",
        )
    except (BadName, BadPassword, UnicodeDecodeError):
        return Failed()


def _start(channel: Channel = NO_CHANNEL) -> PlainExchange:
    return PlainExchange()


ROWS = (SASLMechanism(PLAIN, _start),)
