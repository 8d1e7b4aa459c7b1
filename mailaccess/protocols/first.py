"""
The first octets of a connection, before they are taken for what the protocol speaks.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..wire.proxyheader import begins_header
from .line import Conversation, IFramer

if TYPE_CHECKING:
    from .connection import MailConnection


class FirstOctets:
    """
    Stands in front of the framer until something came. A TLS handshake on a port where none has
    been asked for is answered at once and with nothing of it; as a line it might never end
    (TLS-18). So is what claims to come through a proxy, where none has been named (POL-09).
    """

    __slots__ = ("connection", "framer")

    def __init__(self, connection: MailConnection) -> None:
        self.connection = connection
        self.framer = connection.framer
        self._put(self)

    def _put(self, framer: IFramer) -> None:
        conversation: Conversation = self.connection
        conversation.framer = framer

    def feed(self, data: bytes) -> None:
        """
        As L{IFramer.feed<mailaccess.protocols.line.IFramer.feed>}.
        """
        self._put(self.framer)
        self.connection.spoke()
        if data.startswith(b"\x16\x03"):
            self._end("TLS where none was asked for", "No TLS here")
        elif begins_header(data):
            self._end("a PROXY header from somebody who is no proxy of ours", "No proxies here")
        else:
            self.framer.feed(data)

    def _end(self, why: str, said: str) -> None:
        connection = self.connection
        connection.reason = why
        connection.farewell(said)
        connection.end()

    def next(self) -> None:
        """
        Nothing yet.
        """

    def take_rest(self) -> bytes:
        """
        Nothing yet.
        """
        return b""

    @property
    def buffered(self) -> int:
        """
        Nothing yet.
        """
        return 0
