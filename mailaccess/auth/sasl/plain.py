"""
PLAIN: RFC 4616.
"""

from __future__ import annotations

from ...policy.mechanism import PLAIN
from ..names import MAX_NAME, MAX_PASSWORD, BadName, BadPassword, decode_name, prepare_password
from .base import NO_CHANNEL, Channel, Failed, Finished, OneMessage, SASLMechanism, Step

_MAX_MESSAGE = MAX_NAME + 1 + MAX_NAME + 1 + MAX_PASSWORD


class PlainExchange(OneMessage):
    """
    Name and password come together, so the name is never known before the password.
    """

    def read(self, message: bytes) -> Step:
        """
        Three fields.
        """
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
