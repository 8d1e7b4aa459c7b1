"""
Large messages that clients fetch piece by piece (C{BODY[2]<65536.65536>}): read and taken apart
once, not for every piece.
"""

from __future__ import annotations

from weakref import WeakKeyDictionary

import attrs

from .....interfaces import IMailbox
from .items import Message

SMALLEST = 1 << 17
"""Octets below which reading again costs less than keeping."""

ROOM = 1 << 26
"""Octets kept for all sessions together."""


@attrs.define(eq=False)
class Kept:
    """
    The message that was last read in pieces, for each session's view of a mailbox, until that is
    closed. The oldest go when there is no more room.

    @ivar room: octets, at most
    """

    room: int = ROOM
    _last: WeakKeyDictionary[IMailbox, tuple[int, Message]] = attrs.field(factory=WeakKeyDictionary)

    @property
    def octets(self) -> int:
        """
        Kept now.
        """
        return sum(len(message.data) for _, message in self._last.values())

    def find(self, mailbox: IMailbox, uid: int) -> Message | None:
        """
        The message, if it is the one that was read last.
        """
        last = self._last.get(mailbox)
        return last[1] if last is not None and last[0] == uid else None

    def keep(self, mailbox: IMailbox, uid: int, message: Message) -> None:
        """
        Keep a message in place of the one before; not if it is small, or too large for the room.
        """
        self._last.pop(mailbox, None)
        if not SMALLEST <= len(message.data) <= self.room:
            return
        self._last[mailbox] = uid, message
        while self.octets > self.room:
            self._last.pop(next(iter(self._last)))
