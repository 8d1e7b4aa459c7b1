"""
The IMAP server's connection: from framed events to handlers and back to one tagged reply each.

    event       meaning                        what happens
    Command     all of a command               found, parsed, run
    Announced   a literal is about to come     the command's limits and policy are asked first
    Overlong    a line over the limit          BAD
    BadLiteral  braces with no size in them    BAD, or BYE where nothing could follow
    Idling      DONE, or news of the mailbox   see there

Every command ends in exactly one tagged reply, whatever happens in its handler (PAR-12).
"""

from __future__ import annotations

import re
from collections.abc import Coroutine
from typing import Any, cast

import attrs
from twisted.internet.defer import CancelledError
from twisted.logger import Logger

from ...errors import AuthenticationFailed, BadSyntax, LimitReached, Refused, TooBig
from ...interfaces import IMailLogin
from ...policy.mechanism import Mechanism
from ...store.rights import ISharesMailboxes
from ...wire.cursor import Cursor
from ...wire.framing import POST_AUTH, Announced, BadLiteral, Chunk, Event, Framer, Overlong
from ...wire.framing import Command as Framed
from ...wire.naming import PLAIN, Naming
from ..connection import MailConnection
from ..factory import MailFactory
from ..login import Visit
from .idling import Idling
from .registry import LATER, Command, Effect, Registry, Reply, State, nothing
from .session import Session

# tag = 1*<any ASTRING-CHAR except "+">
_TAG = re.compile(rb'[^\x00-\x20\x7f-\xff(){%*"\\+]{1,256}')
_BEGINNING = re.compile(rb'([^\x00-\x20\x7f-\xff(){%*"\\+]{1,256}) ([A-Za-z]+)')
# A browser that was sent here (TLS-18): no IMAP command looks like this.
_HTTP = re.compile(
    rb"(?:GET|HEAD|POST|PUT|DELETE|CONNECT|OPTIONS|TRACE|PATCH|PRI) |[A-Z]+ .*HTTP/\d",
    re.IGNORECASE,
)


class IMAPServer(MailConnection):
    """
    One IMAP connection.

    @ivar tag: of the running command
    @ivar naming: how clients call mailboxes
    @ivar idling: the IDLE that lasts
    """

    log = Logger(namespace="mailaccess.imap")
    framer: Framer

    def __init__(self, factory: MailFactory, registry: Registry, naming: Naming = PLAIN) -> None:
        super().__init__(factory)
        self.registry = registry
        self.naming = naming
        self.framer = Framer()
        self.session = Session(self)
        self.tag = b""
        self.idling: Idling | None = None

    # ---- beginning and end ------------------------------------------------------------------

    def greet(self) -> None:
        """
        RFC 3501 section 7.1: never PREAUTH (TLS-10).
        """
        self.write(b"* OK [CAPABILITY %b] mailaccess ready\r\n" % self.capability())

    def capability(self) -> bytes:
        """
        What is there now, as CAPABILITY lists it.
        """
        return b" ".join(self.registry.capabilities(self.session))

    def turn_away(self) -> None:
        """
        Too many connections of one address.
        """
        self.write(b"* BYE [LIMIT] Too many connections\r\n")

    def farewell(self, why: str) -> None:
        """
        The client is told why it ends.
        """
        self.write(b"* BYE %b\r\n" % (why[:1].upper() + why[1:]).encode("ascii"))

    def dismiss(self, refused: Refused) -> None:
        """
        RFC 3501 section 7.1.5, with the code of RFC 5530.
        """
        code = b"[%b] " % refused.code.encode("ascii") if refused.code else b""
        self.write(b"* BYE %b%b\r\n" % (code, refused.public.encode("ascii", "replace")))

    @property
    def mailbox_name(self) -> str:
        """
        As L{MailConnection.mailbox_name}.
        """
        return self.session.mailbox.name if self.session.mailbox is not None else ""

    @property
    def client_name(self) -> str:
        """
        What ID told (RFC 2971).
        """
        return self.session.client

    def let_go(self) -> None:
        """
        Give back the mailbox.
        """
        self.session.leave()

    def enter(self, visit: Visit) -> None:
        """
        Somebody is logged in.
        """
        super().enter(visit)
        if self.visit is not None:
            self.session.state = State.AUTHENTICATED
            if self.naming.prefix and self.session.store_offers(ISharesMailboxes):
                shared = tuple(self.session.account.shared)
                self.naming = attrs.evolve(self.naming, shared=shared)
            self.framer.limits = POST_AUTH

    def secured(self) -> None:
        """
        Nothing of what was before TLS remains (TLS-07).
        """
        if self.session.state is State.NOT_AUTHENTICATED:
            self.session.enabled.clear()
            self.session.client = ""
        super().secured()

    # ---- events -----------------------------------------------------------------------------

    def at_once(self, data: bytes) -> bytes | None:
        """
        The answer to a client that polls, if there is no news for it.
        """
        answer = self.registry.polls.answer(data)
        if answer is None or self.output_waits or self.leaving:
            return None
        framer, mailbox = self.framer, self.session.mailbox
        # Something else stands in for the framer before the first command and in IDLE.
        if type(framer) is not Framer or not framer.at_rest:
            return None
        if mailbox is not None and mailbox.pending(True):
            return None
        if self.mistakes and self.visit is not None:
            self.mistakes = 0
        return answer

    def respond(self, event: Any) -> Coroutine[Any, Any, None] | None:
        """
        One event of the framer.
        """
        kind = type(event)
        if kind is Framed:
            return self._command(event.text)
        if kind is Announced:
            return self._literal(event)
        if kind is Overlong:
            self._bad(self._tag_of(event.text), b"line too long")
        elif kind is BadLiteral:
            self._bad(self._tag_of(event.text), b"expected " + event.expected.encode())
            if not event.synchronising:
                self.bye("cannot tell what follows")
        elif kind is Idling:
            return cast(Idling, event).act()
        return None

    def _tag_of(self, text: bytes) -> bytes:
        tag = text.partition(b" ")[0]
        return tag if _TAG.fullmatch(tag) else b"*"

    @property
    def in_literal(self) -> bool:
        """
        As L{MailConnection.in_literal}.
        """
        return type(self.framer) is Framer and self.framer.in_literal

    def _find(self, text: bytes) -> tuple[bytes, Command | None, int]:
        """
        Tag, command and where its arguments begin; no command if it was answered already.
        """
        beginning = _BEGINNING.match(text)
        if beginning is None:
            self._not_a_command(text)
            return b"*", None, 0
        tag, name = beginning.groups()
        at = beginning.end()
        command = self.registry.always.get(name)
        if command is None:
            if name.upper() == b"UID":
                second = text[at + 1 :].partition(b" ")[0]
                name = b"UID " + second
                at += 1 + len(second)
            command = self.registry.find(name, self.session)
            if command is None:
                if not self._stranger(text):
                    self._bad(tag, b"unknown command")
                return tag, None, 0
        if not command.states & self.session.state:
            if command.spoiled is not None:
                command.spoiled(self.session, text[at:])
            self._bad(tag, b"not in this state")
            return tag, None, 0
        return tag, command, at

    def _not_a_command(self, text: bytes) -> None:
        if self._stranger(text):
            return
        self.note_unasked(text)
        tag = self._tag_of(text)
        self._bad(tag, b"expected a tag" if tag == b"*" else b"unknown command")

    def _stranger(self, text: bytes) -> bool:
        if self.session.state is State.NOT_AUTHENTICATED and _HTTP.match(text):
            self.bye("this is an IMAP server")
            return True
        return False

    def _command(self, text: bytes) -> Coroutine[Any, Any, None] | None:
        tag, command, at = self._find(text)
        if command is None:
            return None
        if at == len(text) and command.parse is nothing:
            return self.execute(tag, command, ())
        try:
            utf8 = "UTF8=ACCEPT" in self.session.enabled
            arguments = command.parse(Cursor(text, at, utf8=utf8, naming=self.naming))
        except BadSyntax as bad:
            if command.spoiled is not None:
                command.spoiled(self.session, text[at:])
            if not self._stranger(text):
                self._bad(tag, str(bad).encode("ascii", "replace"))
            return None
        except Refused as refused:
            self._refused(tag, refused)
            return None
        except Exception:
            self.broke(tag, command)
            return None
        return self.execute(tag, command, arguments)

    async def _literal(self, event: Announced) -> None:
        """
        A literal: granted, streamed, or refused before the client sends it.
        """
        tag, command, at = self._find(event.text)
        if command is None:
            self.framer.refuse()
            if not event.synchronising and event.size > POST_AUTH.literal:
                self.bye("literal too big")
            return
        if command.effects & Effect.STREAMS:
            await self.execute(tag, command, (event, at))
            return
        try:
            if self.framer.over_limit(event.size):
                raise TooBig("Literal too big")
            if command.admit is not None:
                await command.admit(self.session, event.text[at:])
        except (Refused, BadSyntax) as refused:
            self.framer.refuse()
            if isinstance(refused, BadSyntax):
                self._bad(tag, str(refused).encode("ascii", "replace"))
            elif isinstance(refused, TooBig):
                self._bad(tag, b"literal too big", b"TOOBIG")
                if not event.synchronising and event.size > POST_AUTH.literal:
                    self.bye("literal too big")
            else:
                self._refused(tag, refused)
                self.rest()
            return
        except CancelledError:
            raise
        except Exception:
            self.framer.refuse()
            self.broke(tag, command)
            return
        self.framer.accept()
        if event.synchronising:
            self.go_ahead()

    def go_ahead(self, text: bytes = b"Ready") -> None:
        """
        A continuation request.
        """
        self.write(b"+ %b\r\n" % text)
        self.flush()

    # ---- running ----------------------------------------------------------------------------

    async def execute(self, tag: bytes, command: Command, arguments: Any) -> None:
        """
        Run a handler; report changes; one tagged reply.
        """
        session = self.session
        self.tag = tag
        try:
            reply = await command.handler(session, *arguments)
            if session.mailbox is not None and not command.effects & Effect.SILENT:
                await self._report_after(command)
        except Refused as refused:
            await self._report_after_refusal(command)
            self._refused(tag, refused)
        except BadSyntax as bad:
            self._bad(tag, str(bad).encode("ascii", "replace"))
        except CancelledError:
            if not self.closing:
                self.broke(tag, command)
            else:
                raise
        except Exception:
            self.broke(tag, command)
        else:
            if reply is None:
                self.write(b"%b OK %b completed\r\n" % (tag, command.name))
            elif reply is not LATER:
                self.answer(tag, reply)
            if self.mistakes and self.visit is not None:
                self.mistakes = 0
        self.rest()

    async def _report_after(self, command: Command) -> None:
        # What was done is done: that changes cannot be told, as in a mailbox that was just
        # deleted, does not turn its OK into a NO.
        try:
            await self.session.report(expunges=not command.effects & Effect.USES_SEQUENCE)
        except Refused as refused:
            self.note_unreported(refused)

    async def _report_after_refusal(self, command: Command) -> None:
        try:
            await self.session.report(expunges=not command.effects & Effect.USES_SEQUENCE)
        except CancelledError:
            raise
        except Exception as fault:
            self.note_unreported(fault)

    def note_unreported(self, fault: Exception) -> None:
        """
        The store could not say what changed; the next command asks again.
        """
        if isinstance(fault, Refused):
            self.log.warn(
                "changes not reported: {detail}",
                event="unreported",
                detail=fault.detail or fault.public,
                session=self.number,
            )
        else:
            self.log.failure("changes not reported", event="unreported", session=self.number)

    def answer(self, tag: bytes, reply: Reply) -> None:
        """
        Write a tagged reply.
        """
        code = b"[%b] " % reply.code if reply.code else b""
        text = reply.text.encode("ascii", "replace") or b"Done"
        self.write(b"%b %b %b%b\r\n" % (tag, reply.kind, code, text))

    def _refused(self, tag: bytes, refused: Refused) -> None:
        code = refused.code.encode("ascii")
        self.answer(tag, Reply(refused.public, code, b"NO"))
        if isinstance(refused, AuthenticationFailed) and self.failed_too_often():
            self.bye_after_reply("too many failed logins")
        if refused.detail:
            self.log.debug("refused: {detail}", detail=refused.detail, session=self.number)

    def broke(self, tag: bytes, command: Command) -> None:
        """
        A fault of ours: the log has it, the client gets a number to ask about (PAR-12).
        """
        self.log.failure(
            "{command} failed", command=command.name.decode("ascii"), session=self.number
        )
        text = f"Internal error, session {self.number}"
        self.answer(tag, Reply(text, b"SERVERBUG", b"NO"))

    def _bad(self, tag: bytes, text: bytes, code: bytes = b"") -> None:
        bracketed = b"[%b] " % code if code else b""
        self.write(b"%b BAD %b%b\r\n" % (tag, bracketed, text))
        self.mistakes += 1
        limits = self.factory.limits
        allowed = limits.mistakes if self.logged_in else limits.mistakes_before_login
        if self.mistakes >= allowed:
            self.bye("too many bad commands")

    def not_now(self, text: bytes) -> None:
        """
        A line that may not be sent while IDLE lasts.
        """
        self._bad(self._tag_of(text), b"expected DONE")

    # ---- deadlines --------------------------------------------------------------------------

    def sweep(self, now: float) -> None:
        """
        As L{MailConnection.sweep}; a client in IDLE gets a word now and then (AB-04).
        """
        super().sweep(now)
        if self.idling is not None:
            self.idling.keep_alive(now)

    # ---- for handlers: what follows the tagged reply ----------------------------------------

    async def admit(
        self, mechanism: Mechanism, name: str, secret: bytes, authorization: str = ""
    ) -> Reply:
        """
        Log somebody in; the reply carries the capabilities that hold from now on.

        @raise Refused: not
        """
        return await self.admit_login(self.password_login(mechanism, name, secret, authorization))

    async def admit_login(self, login: IMailLogin) -> Reply:
        """
        As L{admit}, with credentials of any kind.
        """
        self.enter(await self.let_in(login))
        return Reply("Logged in", b"CAPABILITY " + self.capability())

    # ---- for handlers: more input ------------------------------------------------------------

    async def ask(self, challenge: bytes, limit: int) -> bytes:
        """
        Send a continuation request with C{challenge} as its text, and give the line that answers
        it.

        @raise BadSyntax: the line is longer than C{limit} octets
        """
        self.go_ahead(challenge)
        return await self.next_line(limit)

    async def next_line(self, limit: int) -> bytes:
        """
        The next line, whatever is in it.
        """
        line: bytes | Overlong = await self.receive(lambda: self.framer.line(limit))
        if isinstance(line, Overlong):
            raise BadSyntax("a shorter line")
        return line

    async def next_part(self) -> Chunk | Announced | Framed:
        """
        For a handler that streams: what follows a literal it took.

        @raise BadSyntax: what follows cannot be told from commands
        @raise LimitReached: the line is too long
        """
        part: Event = await self.receive(self.framer.next)
        if isinstance(part, Overlong):
            raise LimitReached("Line too long")
        if isinstance(part, BadLiteral):
            if not part.synchronising:
                self.bye_after_reply("cannot tell what follows")
            raise BadSyntax(part.expected)
        return part
