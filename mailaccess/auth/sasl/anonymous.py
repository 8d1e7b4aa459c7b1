"""
ANONYMOUS: RFC 4505. Off unless a listener names it and the site says which user's mail everybody
may read.
"""

from __future__ import annotations

import attrs
from zope.interface import implementer

from ...policy.link import Link
from ...policy.mechanism import Exposes, Mechanism, Needs
from ..interfaces import IAnonymousLogin
from .base import NO_CHANNEL, Channel, Done, Failed, OneMessage, SASLMechanism, Step

ANONYMOUS = Mechanism(
    "ANONYMOUS",
    Exposes.NOTHING,
    initial=True,
    needs=Needs.NOTHING,
    default=False,
    weak="whoever can connect may read, and change, that user's mail",
)

_MOST = 1020  # octets: 255 characters (RFC 4505 section 2)


@implementer(IAnonymousLogin)
@attrs.frozen
class AnonymousLogin:
    """
    Nobody in particular. What the client says of itself (the trace) is not believed and not kept.
    """

    name: str
    link: Link
    mechanism: Mechanism
    service: str
    authorization: str = ""
    session: str = ""


class AnonymousExchange(OneMessage):
    """
    The trace, which may be empty.
    """

    def read(self, message: bytes) -> Step:
        """
        Whatever it is, if it is short.
        """
        return Done("anonymous", AnonymousLogin) if len(message) <= _MOST else Failed()


def _start(channel: Channel = NO_CHANNEL) -> AnonymousExchange:
    return AnonymousExchange()


ROWS = (SASLMechanism(ANONYMOUS, _start),)
