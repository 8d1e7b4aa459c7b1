"""
The conversation on the control socket: a bounded line in, lines out as fast as they are read.
"""

from __future__ import annotations

import json
import socket
import struct
from collections.abc import Iterator
from itertools import islice
from typing import Any

import attrs
from twisted.internet.interfaces import IPullProducer
from twisted.internet.protocol import Factory, connectionDone
from twisted.logger import Logger
from twisted.protocols.basic import LineOnlyReceiver
from twisted.protocols.policies import TimeoutMixin
from twisted.python.failure import Failure
from zope.interface import implementer

from .questions import Asker, NotAnswerable, Questions

log = Logger()

LINE = 4096
"""Octets of a question."""

SLICE = 100
"""Lines of an answer before others have their turn."""

PATIENCE = 30.0
"""Seconds in which a question has to come, and in which some of the answer has to be read."""

MOST = 16
"""Connections at a time."""


@implementer(IPullProducer)
class ControlProtocol(LineOnlyReceiver, TimeoutMixin):
    """
    One question.
    """

    delimiter = b"\n"
    MAX_LENGTH = LINE
    factory: ControlFactory
    transport: Any
    _answer: Iterator[dict[str, Any]] | None = None
    _asker = Asker(-1, -1)

    def connectionMade(self) -> None:
        """
        Look who it is.
        """
        self._asker = asker_of(self.transport)
        if len(self.factory.present) >= MOST:
            self._last({"error": "too many are asking at the same time; try again"})
            return
        self.factory.present.add(self)
        self.setTimeout(PATIENCE)  # type: ignore[no-untyped-call]

    def lineReceived(self, line: bytes) -> None:
        """
        The question; what comes behind it is not looked at.
        """
        if self._answer is not None:
            return
        try:
            question = json.loads(line.decode("utf-8"))
            if not isinstance(question, dict):
                raise NotAnswerable("a question is a JSON object")
            self._answer = iter(self.factory.questions.answer(question, self._asker))
        except (ValueError, RecursionError):
            self._last({"error": "a question is a JSON object in UTF-8, in one line"})
            return
        except NotAnswerable as error:
            self._last({"error": str(error)})
            return
        self.transport.registerProducer(self, False)

    def lineLengthExceeded(self, line: bytes) -> None:
        """
        Nobody asks that much.
        """
        if self._answer is None:
            self._last({"error": f"a question has at most {LINE} octets"})

    def resumeProducing(self) -> None:
        """
        The next lines of the answer.
        """
        assert self._answer is not None
        self.resetTimeout()  # type: ignore[no-untyped-call]
        try:
            lines = list(islice(self._answer, SLICE))
        except Exception:
            log.failure("a question on the control socket could not be answered")
            self.transport.unregisterProducer()
            self._last({"error": "the server has a fault; see its log"})
            return
        if lines:
            self.transport.write(b"".join(map(_written, lines)))
        else:
            self.transport.unregisterProducer()
            self.transport.loseConnection()

    def stopProducing(self) -> None:
        """
        Nobody reads any more.
        """

    def _last(self, line: dict[str, Any]) -> None:
        self._answer = iter(())
        self.transport.write(_written(line))
        self.transport.loseConnection()

    def timeoutConnection(self) -> None:
        """
        The other end does nothing.
        """
        self.transport.abortConnection()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """
        Let go.
        """
        self.setTimeout(None)  # type: ignore[no-untyped-call]
        self._answer = iter(())
        self.factory.present.discard(self)


@attrs.define(eq=False)
class ControlFactory(Factory):
    """
    What the conversations share.
    """

    questions: Questions
    present: set[ControlProtocol] = attrs.field(factory=set)
    noisy = False
    protocol = ControlProtocol  # type: ignore[assignment]


def asker_of(transport: Any) -> Asker:
    """
    Who is at the other end of a local connection, as the kernel saw it.
    """
    handle = getattr(transport, "socket", None)
    if handle is None or not hasattr(socket, "SO_PEERCRED"):
        return Asker(-1, -1)
    form = struct.Struct("3i")
    pid, uid, _ = form.unpack(handle.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, form.size))
    return Asker(uid, pid)


def _written(line: dict[str, Any]) -> bytes:
    return json.dumps(line).encode("ascii") + b"\n"
