"""
The Twisted glue under every protocol here: events in order, answers in batches, nobody waits for
ever.

A L{Conversation} owns a framer (bytes to events), and calls L{Conversation.respond} for one event
at a time. A coroutine that never waits costs no reactor turn and no L{Deferred}; one that waits
holds up the events behind it (RFC 3501 section 5.5, RFC 2449 section 6.6), not the reactor.

What is written is gathered and sent once a batch. While the client does not read, no further event
is taken up and nothing more is read from it (PAR-10).
"""

from __future__ import annotations

import socket
from collections.abc import Callable, Coroutine, Generator
from contextlib import suppress
from time import perf_counter
from types import coroutine as from_generator
from typing import Any, TypeVar
from typing import Protocol as Shape

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IHandshakeListener, IPushProducer, IReactorTime
from twisted.internet.protocol import Protocol, connectionDone
from twisted.internet.task import deferLater
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

T = TypeVar("T")

FLUSH_AT = 1 << 16
"""Octets gathered before they are given to the transport."""

READ_AHEAD = 1 << 17
"""Octets of unread input at which reading stops while a command waits."""

TURN = 0.02
"""Seconds of work after which other connections get their turn."""


class IFramer(Shape):
    """
    What a conversation needs of its framer.
    """

    def feed(self, data: bytes) -> None: ...

    def next(self) -> Any: ...

    def take_rest(self) -> bytes: ...

    @property
    def buffered(self) -> int: ...


class Pulse(Shape):
    """
    A clock that costs nothing to look at.
    """

    now: float


@from_generator
def _carry_on(coroutine: Coroutine[Any, Any, None], waiting: Any) -> Generator[Any, Any, None]:
    """
    The rest of a coroutine that was started by hand and now waits for a L{Deferred}.

    A failure is raised in the coroutine here: its own C{await} would find the Deferred in the
    middle of calling back, where it cannot be asked.
    """
    failed: BaseException | None = None
    while True:
        try:
            yield waiting
        except GeneratorExit:
            coroutine.close()
            raise
        except BaseException as error:
            failed = error
        try:
            if failed is None:
                waiting = coroutine.send(None)
            else:
                raised, failed = failed, None
                waiting = coroutine.throw(raised)
        except StopIteration:
            return


@implementer(IPushProducer, IHandshakeListener)
class Conversation(Protocol):
    """
    One connection. Subclasses set C{framer} and define L{respond}, L{began} and L{ended}.

    @ivar pulse: tells the time cheaply: C{now}
    @ivar tick: that time at the last input
    @cvar read_ahead: octets of unread input at which reading stops while a command waits
    """

    # Instances share the names of their attributes only while these are few (30 in CPython 3.11 to
    # 3.13) and known from the first instances on; one that is not, and each of ten thousand
    # connections takes a kilobyte for a dictionary of its own (AB-07). Hence slots here, and no
    # attribute in subclasses that is not set when an instance is made.
    __slots__ = (
        "_busy",
        "_choked",
        "_closing",
        "_drained",
        "_gathered",
        "_lost",
        "_more",
        "_out",
        "_reading",
        "_turn_began",
        "_work",
        "clock",
        "framer",
        "octets_in",
        "octets_out",
        "pulse",
        "tick",
    )

    log = Logger()
    read_ahead = READ_AHEAD
    framer: IFramer
    transport: Any
    clock: IReactorTime
    pulse: Pulse

    def __init__(self) -> None:
        self.tick = 0.0
        self.octets_in = 0
        self.octets_out = 0
        self._busy = False
        self._choked = False
        self._reading = True
        self._closing = False
        self._lost = False
        self._work: Deferred[None] | None = None
        self._drained: Deferred[None] | None = None
        self._more: Deferred[None] | None = None
        self._out: list[bytes] = []
        self._gathered = 0
        self._turn_began = 0.0

    # ---- for subclasses ---------------------------------------------------------------------

    def respond(self, event: Any) -> Coroutine[Any, Any, None] | None:
        """
        Answer one event of the framer; None if that is done already.
        """
        raise NotImplementedError

    def at_once(self, data: bytes) -> bytes | None:
        """
        The answer to all of some input that came while nothing runs, where it can be told without
        the framer; None to go the usual way. For what clients send most and what does nothing.
        """
        return None

    def began(self) -> None:
        """
        The connection is there, and TLS too if it is implicit.
        """

    def ended(self, reason: Failure) -> None:
        """
        The connection is gone; running work has been cancelled.
        """

    def secured(self) -> None:
        """
        A TLS handshake completed.
        """

    # ---- output -----------------------------------------------------------------------------

    def write(self, data: bytes) -> None:
        """
        Gather octets for the client.
        """
        self._out.append(data)
        self._gathered += len(data)
        if self._gathered >= FLUSH_AT:
            self.flush()

    def flush(self) -> None:
        """
        Give the transport what was gathered.
        """
        if self._gathered:
            data = self._out[0] if len(self._out) == 1 else b"".join(self._out)
            self._out.clear()
            self._gathered = 0
            self.octets_out += len(data)
            if not self._lost and self.transport is not None:
                self.transport.write(data)

    async def pace(self) -> None:
        """
        Between two slices of a long answer: wait for a slow client, and let others have a turn.
        """
        if self._gathered >= FLUSH_AT:
            self.flush()
        if self._choked:
            self._drained = Deferred(self._forget_drained)
            await self._drained
        if self._turn_is_over():
            self.flush()
            await deferLater(self.clock, 0)

    def _turn_is_over(self) -> bool:
        """
        Whether others should have their turn. The first question begins the turn, so that a
        conversation of short commands never looks at a clock.
        """
        now = perf_counter()
        if not self._turn_began:
            self._turn_began = now
        elif now - self._turn_began > TURN:
            self._turn_began = 0.0
            return True
        return False

    def _forget_drained(self, _cancelled: Deferred[None]) -> None:
        self._drained = None

    @property
    def output_waits(self) -> bool:
        """
        The client does not read what it asked for.
        """
        return self._choked

    # ---- the loop ---------------------------------------------------------------------------

    def dataReceived(self, data: bytes) -> None:
        """
        Take in octets; answer unless a command is running already.
        """
        if self._closing:
            return
        self.octets_in += len(data)
        self.tick = self.pulse.now
        if not self._busy:
            answer = self.at_once(data)
            if answer is None:
                self.framer.feed(data)
                self._run()
            else:
                self.octets_out += len(answer)
                self.transport.write(answer)
            return
        self.framer.feed(data)
        if self._more is not None:
            waiter, self._more = self._more, None
            waiter.callback(None)
        elif self._reading and self.framer.buffered > self.read_ahead:
            self._read(False)

    async def receive(self, take: Callable[[], T | None]) -> T:
        """
        For a command that goes on after its first line: what C{take} makes of the input, once it
        gives something other than None.
        """
        while True:
            taken = take()
            if taken is not None:
                return taken
            self.flush()
            if not self._reading and not self._choked:
                self._read(True)
            self._more = Deferred(self._forget_more)
            await self._more

    def _forget_more(self, _cancelled: Deferred[None]) -> None:
        self._more = None

    def look(self) -> None:
        """
        The framer has an event that no input brought: take it up, now or after the running one.
        """
        if not (self._busy or self._closing):
            self._run()

    def _run(self) -> None:
        self._busy = True
        self._turn_began = 0.0
        count = 0
        while not self._closing and not self._choked:
            event = self.framer.next()
            if event is None:
                break
            coroutine = self.respond(event)
            if coroutine is not None:
                try:
                    waiting = coroutine.send(None)
                except StopIteration:
                    pass
                else:
                    self.flush()
                    self._work = Deferred.fromCoroutine(_carry_on(coroutine, waiting))
                    self._work.addErrback(self._crashed).addCallback(self._rested)
                    return
            count += 1
            if not count % 32 and self._turn_is_over():
                self.flush()
                self._work = deferLater(self.clock, 0).addErrback(self._crashed)
                self._work.addCallback(self._rested)
                return
        self._busy = False
        self.flush()
        if not self._reading and not self._choked:
            self._read(True)

    def _rested(self, _result: object) -> None:
        self._work = None
        if self._lost:
            return
        self._run()

    def _crashed(self, failure: Failure) -> None:
        if not isinstance(failure.value, CancelledError) or not self._lost:
            self.log.failure("conversation ended by a fault of ours", failure=failure)
            self.abort()

    @property
    def busy(self) -> bool:
        """
        A command is running.
        """
        return self._busy

    def acknowledge(self) -> None:
        """
        Have the kernel acknowledge now what was received. A client that holds a small packet back
        until then (RFC 896) would wait for 40 ms otherwise, since we have nothing to say.
        """
        transport = getattr(self.transport, "transport", self.transport)
        handle = getattr(transport, "socket", None)
        if handle is not None and hasattr(socket, "TCP_QUICKACK"):
            with suppress(OSError):
                handle.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)

    # ---- TLS --------------------------------------------------------------------------------

    def start_tls(self, context: Any) -> None:
        """
        Put TLS under the conversation. Everything received after the command that asked for it goes
        to the TLS layer and is never looked at (TLS-01, TLS-02, TLS-03).
        """
        self.flush()
        rest = self.framer.take_rest()
        self.transport.startTLS(context)
        if rest:
            self.transport.protocol.dataReceived(rest)

    def handshakeCompleted(self) -> None:
        """
        Called by the TLS layer.
        """
        self.secured()

    # ---- beginning and end ------------------------------------------------------------------

    def connectionMade(self) -> None:
        """
        Greet.
        """
        self.transport.registerProducer(self, True)
        self.began()
        self.flush()

    def close(self) -> None:
        """
        End it once everything written has gone; nothing more is read (DS-17: in order).
        """
        if self._closing or self._lost:
            return
        self.flush()
        self._closing = True
        if self.transport is not None:
            self.transport.unregisterProducer()
            self.transport.loseConnection()

    def abort(self) -> None:
        """
        End it now.
        """
        self._closing = True
        if self.transport is not None and not self._lost:
            self.transport.abortConnection()

    @property
    def closing(self) -> bool:
        """
        The last word has been said.
        """
        return self._closing or self._lost

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """
        Cancel what runs, and let go.
        """
        if self._lost:
            return
        self._lost = self._closing = True
        self._out.clear()
        self._gathered = 0
        if self._work is not None:
            self._work.cancel()
        self.ended(reason)

    # ---- back-pressure ----------------------------------------------------------------------

    def _read(self, on: bool) -> None:
        self._reading = on
        if self._lost or self.transport is None:
            return
        if on:
            self.transport.resumeProducing()
        else:
            self.transport.pauseProducing()

    def pauseProducing(self) -> None:
        """
        The client does not keep up with what we send.
        """
        self._choked = True
        if self._reading:
            self._read(False)

    def resumeProducing(self) -> None:
        """
        It does again.
        """
        self._choked = False
        if self._lost:
            return
        waiter, self._drained = self._drained, None
        if waiter is not None:
            waiter.callback(None)
        elif not self._busy:
            self._run()
        if not self._reading and not self._choked and self.framer.buffered <= self.read_ahead:
            self._read(True)

    def stopProducing(self) -> None:
        """
        The transport is gone; L{connectionLost} follows.
        """
        self._closing = True
