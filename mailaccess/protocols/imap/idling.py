"""
A connection in IDLE: nothing runs and nothing is kept but one small object.

L{Idling} stands in front of the framer while IDLE lasts. What it gives out as an event is itself,
with something to do: a line came, or the mailbox has news. No coroutine is suspended and no
L{Deferred<twisted.internet.defer.Deferred>} waits, so that ten thousand of them cost little
(AB-07); for deadlines and for the end of the server the connection is one that runs nothing.
"""

from __future__ import annotations

from collections.abc import Coroutine
from typing import TYPE_CHECKING, Any

from twisted.internet.defer import CancelledError

from ...errors import Refused
from ...wire.framing import Overlong
from ..line import Conversation, IFramer
from .registry import Command

if TYPE_CHECKING:
    from .server import IMAPServer

LINE = 512
"""Octets of a line that may come in IDLE."""

KEEP_ALIVE = 120.0
"""Seconds of silence before the client gets a word, so that what lies between forgets neither."""


class Idling:
    """
    One IDLE command, from its continuation request to DONE.
    """

    __slots__ = ("_connection", "_done", "_due", "_framer", "_line", "_news", "_tag")

    def __init__(self, connection: IMAPServer, tag: bytes, done: Command) -> None:
        """
        @param done: run when DONE came
        """
        self._connection = connection
        self._framer = connection.framer
        self._tag = tag
        self._done = done
        self._line: bytes | Overlong | None = None
        self._due = connection.factory.sweep.now + KEEP_ALIVE
        mailbox = connection.session.mailbox
        # What happened before somebody watched is looked for once.
        self._news = mailbox is not None
        self._put(self)
        connection.idling = self
        if mailbox is not None:
            connection.session.stop_watching = mailbox.watch(self._stirred)

    # ---- as a framer ------------------------------------------------------------------------

    def feed(self, data: bytes) -> None:
        """
        As L{Framer.feed}.
        """
        self._framer.feed(data)

    def next(self) -> Idling | None:
        """
        Itself, when there is something to do.
        """
        if self._news:
            return self
        self._line = self._framer.line(LINE)
        return None if self._line is None else self

    def take_rest(self) -> bytes:
        """
        As L{Framer.take_rest}.
        """
        return self._framer.take_rest()

    @property
    def buffered(self) -> int:
        """
        As L{Framer.buffered}.
        """
        return self._framer.buffered

    # ---- as an event ------------------------------------------------------------------------

    def act(self) -> Coroutine[Any, Any, None] | None:
        """
        Tell the news, or look at the line that came.
        """
        if self._news:
            self._news = False
            return self._tell()
        line, self._line = self._line, None
        if isinstance(line, bytes) and line.upper() == b"DONE":
            self._stop()
            return self._connection.execute(self._tag, self._done, ())
        # RFC 2177 section 3: nothing but DONE may be sent.
        self._connection.not_now(line.text if isinstance(line, Overlong) else line or b"")
        return None

    async def _tell(self) -> None:
        connection = self._connection
        try:
            await connection.session.report()
        except Refused as refused:
            connection.note_unreported(refused)
        except CancelledError:
            raise
        except Exception:
            self._stop()
            connection.broke(self._tag, self._done)
        self._due = connection.factory.sweep.now + KEEP_ALIVE
        connection.rest()

    def _put(self, framer: IFramer) -> None:
        conversation: Conversation = self._connection
        conversation.framer = framer

    def _stop(self) -> None:
        connection = self._connection
        self._put(self._framer)
        connection.idling = None
        connection.session.watch_no_more()

    def _stirred(self) -> None:
        if not self._news:
            self._news = True
            self._connection.look()

    # ---- time -------------------------------------------------------------------------------

    def keep_alive(self, now: float) -> None:
        """
        Say a word if none was said for long.
        """
        connection = self._connection
        if now >= self._due and not (
            connection.busy or connection.closing or connection.output_waits
        ):
            self._due = now + KEEP_ALIVE
            connection.write(b"* OK Still here\r\n")
            connection.flush()
