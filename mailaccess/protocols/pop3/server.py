"""
The POP3 server's connection: a line, a command, a reply (RFC 1939, RFC 2449).

    state           commands                                        left by
    AUTHORIZATION   USER PASS APOP AUTH STLS UTF8, CAPA LANG QUIT     a login, QUIT
    TRANSACTION     STAT LIST RETR DELE RSET TOP UIDL NOOP, the same   QUIT
    UPDATE          none: deletions are made durable                  the end

Deletions happen only in UPDATE; a connection that ends otherwise deletes nothing (DS-15).
"""

from __future__ import annotations

import re
from collections.abc import Coroutine
from typing import TYPE_CHECKING, Any

from twisted.internet.defer import CancelledError
from twisted.logger import Logger

from ...errors import AuthenticationFailed, BadSyntax, Refused
from ...interfaces import IMailLogin
from ...policy.mechanism import USER_PASS
from ...wire.framing import Overlong
from ...wire.pop3 import LineFramer, parse
from ..connection import MailConnection
from .codes import error_line
from .registry import Command, State, table

if TYPE_CHECKING:
    from .factory import POP3Factory
    from .maildrop import Maildrop

_HTTP = re.compile(rb"[A-Z]+ \S* ?HTTP/\d", re.IGNORECASE)
_CLIENT_HELLO = b"\x16\x03"


class POP3Server(MailConnection):
    """
    One POP3 connection.

    @ivar user_name: what USER said, until PASS or anything else comes
    @ivar turned_away: whom USER named and why they were refused there, as long
    @ivar drop: the maildrop, once logged in
    """

    log = Logger(namespace="mailaccess.pop3")
    factory: POP3Factory
    framer: LineFramer

    def __init__(self, factory: POP3Factory) -> None:
        super().__init__(factory)
        self.options = factory.options
        self.framer = LineFramer()
        self.state = State.AUTHORIZATION
        self.user_name: str | None = None
        self.turned_away: tuple[str, Refused | None] = "", None
        self.utf8 = False
        self.drop: Maildrop | None = None
        self.banner = b""

    # ---- beginning and end ------------------------------------------------------------------

    def greet(self) -> None:
        """
        With a timestamp only where APOP is offered (RFC 1939 section 7).
        """
        self.banner = self.factory.timestamp() if self.options.apop else b""
        self.write(b"+OK mailaccess ready%b\r\n" % (b" " + self.banner if self.banner else b""))

    def turn_away(self) -> None:
        """
        Too many connections of one address.
        """
        self.write(b"-ERR [SYS/TEMP] Too many connections\r\n")

    def farewell(self, why: str) -> None:
        """
        RFC 1939 section 3: a time-out ends the connection without a word and without an UPDATE;
        other ends are told.
        """
        if "timeout" not in why:
            text = why[:1].upper() + why[1:]
            self.write(b"-ERR [SYS/TEMP] %b\r\n" % text.encode("ascii"))

    def dismiss(self, refused: Refused) -> None:
        """
        As a negative reply, with the code of RFC 3206. There is no UPDATE (RFC 1939 section 6).
        """
        self.write(error_line(refused))

    @property
    def mailbox_name(self) -> str:
        """
        As L{MailConnection.mailbox_name}.
        """
        return "INBOX" if self.drop is not None else ""

    def secured(self) -> None:
        """
        Nothing of what was before TLS remains (TLS-07).
        """
        self.user_name = None
        self.utf8 = False
        super().secured()

    def let_go(self) -> None:
        """
        Give back the maildrop as it is.
        """
        drop, self.drop = self.drop, None
        if drop is not None:
            drop.release()

    # ---- one line ---------------------------------------------------------------------------

    def respond(self, event: Any) -> Coroutine[Any, Any, None] | None:
        """
        One line.
        """
        if isinstance(event, Overlong):
            self._mistake(b"line too long")
            return None
        try:
            keyword, arguments, rest = parse(event)
        except BadSyntax as bad:
            if not self._stranger(event):
                self.note_unasked(event)
                self._mistake(str(bad).encode("ascii", "replace"))
            return None
        command = table.commands.get(keyword)
        if command is None or (keyword == "APOP" and not self.options.apop):
            if not self._stranger(event):
                self.note_unasked(event)
                self._mistake(b"unknown command")
            return None
        if not command.states & self.state:
            if command.name == "PASS" and rest:
                self.note_exposure(USER_PASS)
            self._mistake(b"not permitted in this state")
            return None
        if command.raw:
            arguments = [rest] if rest else []
        if not command.least <= len(arguments) <= command.most:
            self._mistake(b"wrong number of arguments")
            return None
        return self._execute(command, arguments)

    def _stranger(self, line: bytes) -> bool:
        if self.state is State.AUTHORIZATION and (
            _HTTP.match(line) or line.startswith(_CLIENT_HELLO)
        ):
            self.bye("this is a POP3 server")
            return True
        return False

    def _mistake(self, text: bytes) -> None:
        self.write(b"-ERR %b\r\n" % text)
        self.mistakes += 1
        limits = self.factory.limits
        if self.mistakes >= (limits.mistakes if self.logged_in else limits.mistakes_before_login):
            self.bye("too many bad commands")

    async def _execute(self, command: Command, arguments: list[bytes]) -> None:
        if command.name != "PASS":
            before, self.user_name = self.user_name, None
            self.turned_away = "", None
            if command.name in {"CAPA", "NOOP", "LANG"}:
                self.user_name = before
        try:
            await command.handler(self, arguments)
        except Refused as refused:
            self.write(error_line(refused))
            if isinstance(refused, AuthenticationFailed) and self.failed_too_often():
                self.bye_after_reply("too many failed logins")
            if refused.detail:
                self.log.debug("refused: {detail}", detail=refused.detail, session=self.number)
        except BadSyntax as bad:
            self._mistake(str(bad).encode("ascii", "replace"))
        except CancelledError:
            if self.closing:
                raise
            self._broke(command)
        except Exception:
            self._broke(command)
        self.rest()

    def _broke(self, command: Command) -> None:
        self.log.failure("{command} failed", command=command.name, session=self.number)
        self.write(b"-ERR [SYS/TEMP] Internal error, session %b\r\n" % self.number.encode())

    # ---- for handlers -----------------------------------------------------------------------

    def ok(self, text: bytes = b"") -> None:
        """
        A positive reply.
        """
        self.write(b"+OK %b\r\n" % text if text else b"+OK\r\n")

    def listing(self, first: bytes, lines: list[bytes]) -> None:
        """
        A positive reply of several lines, none of which begins with a dot.
        """
        self.write(b"\r\n".join([b"+OK " + first if first else b"+OK", *lines, b".\r\n"]))

    @property
    def maildrop(self) -> Maildrop:
        """
        The maildrop; only in TRANSACTION.
        """
        assert self.drop is not None
        return self.drop

    async def log_in(self, login: IMailLogin) -> None:
        """
        Let somebody in and take the maildrop; the reply is written.

        @raise Refused: not
        """
        visit = await self.let_in(login)
        try:
            drop = await self.factory.open(visit.user)
        except BaseException:
            visit.leave()
            raise
        if self.closing:
            drop.release()
            visit.leave()
            return
        self.drop = drop
        self.enter(visit)
        self.state = State.TRANSACTION
        self.ok(b"%d messages, %d octets" % drop.stat())
