"""
The first octets of a connection, before they are taken for what the protocol speaks.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from .line import Conversation, IFramer

if TYPE_CHECKING:
    from .connection import MailConnection


class FirstOctets:
    """
    Stands in front of the framer until something came. A TLS handshake on a port where none has
    been asked for is answered at once and with nothing of it; as a line it might never end
    (TLS-18).
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
            connection = self.connection
            connection.reason = "TLS where none was asked for"
            connection.farewell("No TLS here")
            connection.end()
        else:
            self.framer.feed(data)

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
