"""
What every mail protocol's connection has: deadlines, a name in the log, one user, an orderly end.

L{MailFactory} is what the connections of a listener share; L{MailConnection} is the base of the
IMAP and POP3 protocols, which say how they greet, let go and say good-bye.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from math import inf

import attrs
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import ISSLTransport
from twisted.logger import Logger
from twisted.python.failure import Failure

from ..auth.connections import Lease
from ..auth.credentials import PasswordLogin
from ..errors import (
    AuthenticationFailed,
    BadSyntax,
    DirectoryUnavailable,
    MechanismRefused,
    MustEncrypt,
    Refused,
    ServerStops,
    TooManyConnections,
)
from ..interfaces import IMailLogin
from ..policy.mechanism import Mechanism
from ..wire.grammar.names import decode_base64
from .factory import MailFactory
from .first import FirstOctets
from .line import READ_AHEAD, Conversation
from .login import TLSPolicyMixin, Visit, claimed_name


@attrs.define
class Known:
    """
    What is known when the policy refuses: the name, if it came that far.

    @ivar claim: finds a name in what the client sent unasked, if there is none otherwise
    """

    name: str = ""
    claim: Callable[[], str] = str

    def hear(self, name: str) -> None:
        """
        The client has said it.
        """
        self.name = name


class MailConnection(TLSPolicyMixin, Conversation):
    """
    One connection of a mail client. Subclasses define L{greet}, L{let_go}, L{farewell},
    L{dismiss} and L{turn_away}.

    @ivar number: its name in the log
    @ivar visit: who is logged in
    @ivar entered: clock time of the login
    @ivar reason: why it ended, for the log
    @ivar left_open: the SASL exchange that was refused last, and for whom
    @ivar deadline: clock time at which it ends if it is not logged in, or was told to end
    """

    factory: MailFactory
    log = Logger(namespace="mailaccess.connection")

    def __init__(self, factory: MailFactory) -> None:
        super().__init__()
        self.factory = factory
        self.entrance = factory.entrance
        self.clock = factory.clock
        self.pulse = factory.sweep
        self.number = factory.number()
        self.when_gone: list[Deferred[None]] = []
        self.visit: Visit | None = None
        self.entered = 0.0
        self.reason = ""
        self.deadline = 0.0
        self.stalled_since = 0.0
        self.mistakes = 0
        self.failed_logins = 0
        self.waits_for_client = False
        self.left_open: tuple[Mechanism | None, str] = None, ""
        self._greeted = False
        self._handshaking = False
        self._lease: Lease | None = None
        self._leaving: Refused | None = None
        self._after: Callable[[], None] | None = None

    # ---- for subclasses ---------------------------------------------------------------------

    def greet(self) -> None:
        """
        The first line.
        """
        raise NotImplementedError

    def farewell(self, why: str) -> None:
        """
        The last line, unasked for.
        """
        raise NotImplementedError

    def dismiss(self, refused: Refused) -> None:
        """
        The last line, with the reason in the protocol's own words.
        """
        raise NotImplementedError

    def turn_away(self) -> None:
        """
        The only line, where there are too many connections already.
        """
        raise NotImplementedError

    def let_go(self) -> None:
        """
        Give back everything but the visit.
        """

    # ---- beginning --------------------------------------------------------------------------

    def began(self) -> None:
        """
        Greet, unless TLS has yet to begin.
        """
        factory = self.factory
        self.tick = factory.sweep.now
        factory.connections.add(self)
        factory.sweep.add(self)
        link = self.link
        self.log.info(
            "connection",
            event="connect",
            session=self.number,
            listener=link.listener,
            rip=link.peer,
            lip=link.local,
        )
        if factory.places is not None:
            try:
                self._lease = factory.places.enter(link.peer)
            except TooManyConnections as refused:
                self.reason = f"too many connections: {refused.detail}"
                self.turn_away()
                self.end()
                return
        if ISSLTransport.providedBy(self.transport):
            self.await_handshake()
        else:
            self._greet()

    def _greet(self) -> None:
        self._greeted = True
        FirstOctets(self)
        self.deadline = self.clock.seconds() + self._first_seconds
        self.greet()

    @property
    def _first_seconds(self) -> float:
        limits = self.factory.limits
        return min(limits.first_seconds, limits.login_seconds)

    def spoke(self) -> None:
        """
        The client said something: it has all of the time to log in, counted from the greeting.
        """
        self.deadline += self.factory.limits.login_seconds - self._first_seconds

    def await_handshake(self) -> None:
        """
        A TLS handshake has to complete within its time (TLS-13).
        """
        self._handshaking = True
        self.deadline = self.clock.seconds() + self.factory.limits.handshake_seconds

    def secured(self) -> None:
        """
        TLS is up: the policy sees another link, and nothing is left of what was before (TLS-07).
        """
        self._handshaking = False
        self.link_changed()
        _ = self.link  # looked at while the handshake's facts are there
        if not self._greeted:
            self._greet()
            self.flush()
        else:
            self.deadline = self.clock.seconds() + self.factory.limits.login_seconds

    @property
    def read_ahead(self) -> int:  # type: ignore[override]
        """
        Of a stranger nothing is read while a command waits (PAR-01).
        """
        return READ_AHEAD if self.visit is not None else 0

    @property
    def in_literal(self) -> bool:
        """
        Octets are due that the client announced.
        """
        return False

    # ---- the user ---------------------------------------------------------------------------

    @property
    def logged_in(self) -> bool:
        """
        Somebody is.
        """
        return self.visit is not None

    def enter(self, visit: Visit) -> None:
        """
        The user of this connection from now on (AUTH-13: one avatar a connection).
        """
        assert self.visit is None
        if self.closing:
            visit.leave()
            return
        self.visit = visit
        self.entered = self.clock.seconds()
        self.mistakes = 0

    @property
    def mailbox_name(self) -> str:
        """
        The mailbox that is open; empty for none.
        """
        return ""

    @property
    def client_name(self) -> str:
        """
        What the client said of itself, in one line; empty for nothing.
        """
        return ""

    def password_login(
        self, mechanism: Mechanism, name: str, secret: bytes, authorization: str = ""
    ) -> PasswordLogin:
        """
        A name and a password, as they came over this connection.
        """
        service = self.entrance.service
        return PasswordLogin(
            name, secret, self.link, mechanism, service, authorization, self.number
        )

    async def let_in(self, login: IMailLogin) -> Visit:
        """
        Take credentials to the portal.
        """
        return await self.entrance.admit(self.number, login, self._lease)

    def failed_too_often(self) -> bool:
        """
        Count a login that failed, whatever was wrong with it; whether it was one too many for this
        connection (AUTH-07).
        """
        self.failed_logins += 1
        return self.failed_logins >= self.factory.limits.failed_logins

    @contextmanager
    def noting_refusal(self, mechanism: Mechanism, *, sent: bool = False) -> Iterator[Known]:
        """
        Around what may be refused before a password is checked: a refusal gets its line in the log.

        @param sent: the client has sent the password already
        """
        known = Known()
        try:
            yield known
        except (
            AuthenticationFailed,
            DirectoryUnavailable,
            MustEncrypt,
            MechanismRefused,
        ) as refused:
            name = known.name or known.claim()
            if mechanism.sasl and not sent:
                self.left_open = mechanism, name
            self.entrance.note_refusal(refused, self.link, self.number, mechanism, name, sent=sent)
            raise

    def note_unasked(self, line: bytes) -> None:
        """
        What is no command may be the response of a client that did not wait for the refusal of its
        exchange, with a password in it (POL-05).
        """
        mechanism, name = self.left_open
        self.left_open = None, ""
        each = self.sasl_mechanism(mechanism.name.encode("ascii")) if mechanism else None
        if mechanism is None or each is None:
            return
        try:
            response = decode_base64(line)
        except BadSyntax:
            return
        if mechanism.initial:
            name = claimed_name(each, response)
        elif not name:
            self.left_open = mechanism, response.decode("utf-8", "replace")
            return
        if name:
            self.note_exposure(mechanism, name)

    # ---- end --------------------------------------------------------------------------------

    def end(self) -> None:
        """
        Close in order, and by force if that takes too long (AB-03).
        """
        self.close()
        self.deadline = self.clock.seconds() + self.factory.limits.grace_seconds

    def bye(self, why: str) -> None:
        """
        Say why, and close.
        """
        if not self.closing:
            self.reason = self.reason or why
            self.farewell(why)
            self.end()

    # ---- what follows the reply to the running command --------------------------------------

    def end_after_reply(self, why: str) -> None:
        """
        Close once the running command is answered.
        """
        self.reason = self.reason or why
        self._after = self.end

    def bye_after_reply(self, why: str) -> None:
        """
        Say why and close once the running command is answered.
        """
        self._after = partial(self.bye, why)

    def tls_after_reply(self) -> None:
        """
        Begin TLS once the running command is answered.
        """
        self._after = self._begin_tls

    def _begin_tls(self) -> None:
        self.await_handshake()
        self.start_tls(self.entrance.tls)

    def rest(self) -> None:
        """
        What was put off until the running command was answered.
        """
        after, self._after = self._after, None
        if after is not None:
            after()
        elif self._leaving is not None:
            self._take_leave(self._leaving)

    # ---- time and shutdown ------------------------------------------------------------------

    def time_out(self, why: str) -> None:
        """
        Too long without what was due. In a handshake there is nobody yet to whom to say so.
        """
        self.reason = why
        if self._handshaking or not self._greeted or self.output_waits:
            self.abort()
            return
        self.farewell(why)
        self.end()

    def shut_down(self) -> None:
        """
        The server stops: at once if nothing runs, else after the running command.
        """
        if self.visit is not None:
            # How long the running command may take is for whoever stops the server to say.
            self.deadline = inf
        self._leave_for(ServerStops(detail="server shutting down"))

    def expel(self, refused: Refused) -> None:
        """
        End the session for a reason of ours (AUTH-12): at once if nothing runs or only the client
        is waited for; else after the running command, or by force after the time of grace. Nothing
        is undone and nothing more is done: a POP3 session deletes nothing.

        @param refused: what the client is told, and for the log, why
        """
        if not self.closing:
            self.deadline = self.clock.seconds() + self.factory.limits.grace_seconds
            self._leave_for(refused)

    def _leave_for(self, refused: Refused) -> None:
        self._leaving = refused
        if not self.busy or self.waits_for_client:
            self._take_leave(refused)

    def _take_leave(self, refused: Refused) -> None:
        if not self.closing:
            self.reason = self.reason or refused.detail or refused.public
            if self._greeted:
                self.dismiss(refused)
            self.end()

    @property
    def leaving(self) -> bool:
        """
        To be ended after the running command.
        """
        return self._leaving is not None

    def ended(self, reason: Failure) -> None:
        """
        Let go of everything; one line in the log.
        """
        factory = self.factory
        factory.sweep.discard(self)
        factory.connections.discard(self)
        factory.literals.pop(self, None)
        # Before anything that could go wrong: a count must not stay behind (AB-01).
        if self._lease is not None:
            self._lease.release()
        self.let_go()
        visit, self.visit = self.visit, None
        if visit is not None:
            visit.leave()
        link = self.link
        self.log.info(
            "end",
            event="logout" if visit is not None else "disconnect",
            session=self.number,
            user=visit.user.identity.name if visit is not None else "",
            listener=link.listener,
            rip=link.peer,
            lip=link.local,
            octets_in=self.octets_in,
            octets_out=self.octets_out,
            reason=self.reason or "connection lost",
        )
        gone, self.when_gone = self.when_gone, []
        for each in gone:
            each.callback(None)

    # ---- deadlines --------------------------------------------------------------------------

    def sweep(self, now: float) -> None:
        """
        Act on what has taken too long (AB-02 to AB-05).
        """
        limits = self.factory.limits
        if self.closing:
            if now >= self.deadline:
                self.abort()
        elif self.visit is None and now >= self.deadline:
            self.time_out("login timeout")
        elif self._leaving is not None and now >= self.deadline:
            self.reason = self._leaving.detail or self._leaving.public
            self.abort()
        elif self.output_waits:
            self.stalled_since = self.stalled_since or now
            if now - self.stalled_since > limits.stall_seconds:
                self.reason = "client does not read"
                self.abort()
        else:
            self.stalled_since = 0.0
            if self.visit is None or (self.busy and not self.waits_for_client):
                return
            if now - self.tick > limits.idle_seconds:
                self.time_out("idle timeout")
            elif self.in_literal:
                self._look_at_literal(now)
            elif self.factory.literals:
                self.factory.literals.pop(self, None)

    def _look_at_literal(self, now: float) -> None:
        """
        A literal has to come on; octet by octet it could last for ever (AB-02).
        """
        limits, looks = self.factory.limits, self.factory.literals
        since, octets = looks.setdefault(self, (now, self.octets_in))
        if now - since < limits.literal_seconds:
            return
        if self.octets_in - octets < limits.literal_rate * (now - since):
            self.time_out("literal timeout")
        else:
            looks[self] = (now, self.octets_in)
