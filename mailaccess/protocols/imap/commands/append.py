"""
APPEND and MULTIAPPEND: RFC 3501 section 6.3.11, RFC 3502, RFC 4315 section 3.

All that can be refused is refused before the client is asked to send a message. Messages go to the
store as they arrive; none is kept unless all of them came (RFC 3502 section 6.3.11, TLS-12).
"""

from __future__ import annotations

import attrs

from ....errors import BadSyntax, LimitReached, NoSuchMailbox, Refused, TooBig
from ....interfaces import IUpload
from ....wire.cursor import Cursor
from ....wire.framing import Announced, Chunk, Command
from ....wire.grammar.dates import date_time
from ....wire.grammar.names import flag_list, mailbox
from ....wire.sequence import format_uids
from ..registry import Effect, Extension, Reply, State
from ..server import IMAPServer
from ..session import Session
from .copy import TryCreate
from .quota import warned

extension = Extension("MULTIAPPEND", capabilities=(b"MULTIAPPEND",))

MAX_MESSAGES = 100_000
"""Messages of one APPEND."""

MAX_NAME = 8192
"""Octets of a mailbox name that comes as a literal."""


class Cancelled(Refused):
    """
    RFC 3502 section 6.3.11: a message of no octets cancels all of the command.
    """

    public = "Cancelled by an empty message"


@attrs.frozen
class Head:
    """
    What stands before a message.

    @ivar date: seconds since 1970 UTC, if given
    """

    flags: list[str]
    date: int | None


# append-message = [SP flag-list] [SP date-time] SP literal
def head(cursor: Cursor) -> Head:
    """
    Read up to the literal.
    """
    cursor.space()
    flags: list[str] = []
    date = None
    if cursor.looking_at(b"("):
        flags = flag_list(cursor)
        cursor.space()
    if cursor.looking_at(b'"'):
        date = date_time(cursor)
        cursor.space()
    if cursor.pos != cursor.text.rfind(b"{"):
        raise cursor.wrong("literal")
    return Head(flags, date)


class Incoming:
    """
    The literals of one command, as they come. Each is taken or refused; L{skip} does what was left.
    """

    def __init__(self, connection: IMAPServer, first: Announced) -> None:
        self.connection = connection
        self.part: object = first

    async def _next(self) -> None:
        self.part = None
        connection = self.connection
        connection.waits_for_client = True
        try:
            self.part = await connection.next_part()
        finally:
            connection.waits_for_client = False

    def _granted(self, announced: Announced) -> None:
        if announced.synchronising:
            self.connection.go_ahead()

    async def collect(self, announced: Announced) -> Announced:
        """
        Take a literal that belongs to the command's line; the announcement of the next one.

        @raise BadSyntax: there is no other
        """
        self.connection.framer.accept()
        self._granted(announced)
        await self._next()
        if not isinstance(self.part, Announced):
            raise BadSyntax("literal")
        return self.part

    async def stream(self, announced: Announced, upload: IUpload) -> Announced | None:
        """
        Give the octets of a message to the store; the announcement of the next one, or None at the
        end of the command.

        @raise BadSyntax: something else follows
        """
        self.connection.framer.stream()
        self._granted(announced)
        while True:
            await self._next()
            chunk = self.part
            assert isinstance(chunk, Chunk)
            if chunk.data:
                taken = upload.write(chunk.data)
                if taken is not None:
                    await taken
            if chunk.last:
                break
        self.connection.acknowledge()
        await self._next()
        if isinstance(self.part, Announced):
            return self.part
        if self.part != Command(b""):
            raise BadSyntax("end of command", 0)
        return None

    async def skip(self) -> None:
        """
        After a failure: drop what still belongs to the command, so that none of it is taken for
        another. What the client would send only when asked to is not asked for.
        """
        while isinstance(self.part, Chunk):
            await self._next()
        if isinstance(self.part, Announced):
            self.connection.framer.refuse()


@extension.command(b"APPEND", State.LOGGED_IN, Effect.STREAMS)
async def append(session: Session, announced: Announced, at: int) -> Reply:
    """
    Add one or more messages to a mailbox, all or none.

    RFC 3501 section 6.3.11, RFC 3502 section 6.3.11.
    """
    incoming = Incoming(session.connection, announced)
    try:
        return await _append(session, incoming, announced, at)
    except Exception:
        if not session.connection.closing:
            await incoming.skip()
        raise


async def _append(session: Session, incoming: Incoming, announced: Announced, at: int) -> Reply:
    utf8 = "UTF8=ACCEPT" in session.enabled
    cursor = Cursor(announced.text, at, utf8=utf8, naming=session.naming)
    cursor.space()
    if cursor.pos == announced.text.rfind(b"{"):
        # append = "APPEND" SP mailbox ...: the name comes as a literal.
        if announced.size > MAX_NAME:
            raise TooBig("Mailbox name too long")
        start, announced = cursor.pos, await incoming.collect(announced)
        cursor = Cursor(announced.text, start, utf8=utf8, naming=session.naming)
    name = mailbox(cursor)
    first = head(cursor)
    try:
        upload = await session.account.upload(name)
        try:
            await _stream_all(session, incoming, announced, first, upload)
            async with warned(session, name):
                appended = await upload.commit()
        finally:
            upload.abort()
    except NoSuchMailbox as missing:
        raise TryCreate(detail=missing.detail) from None
    uids = format_uids(appended.uids)
    return Reply("APPEND completed", b"APPENDUID %d %b" % (appended.uid_validity, uids))


async def _stream_all(
    session: Session, incoming: Incoming, announced: Announced, first: Head, upload: IUpload
) -> None:
    limit = session.connection.factory.limits.message
    following: Announced | None = announced
    before = first
    for _ in range(MAX_MESSAGES):
        assert following is not None
        if not following.size:
            raise Cancelled
        if following.size > limit:
            raise TooBig("Message too big")
        upload.begin(following.size, before.flags, before.date)
        following = await incoming.stream(following, upload)
        if following is None:
            return
        before = head(Cursor(following.text))
    raise LimitReached("Too many messages in one APPEND")
