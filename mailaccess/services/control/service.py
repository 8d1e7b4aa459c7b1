"""
The control socket's life in the server.
"""

from __future__ import annotations

import socket
from typing import Any

from twisted.application.service import Service
from twisted.internet.defer import Deferred, maybeDeferred
from twisted.logger import Logger

from ..transport import UnixPort
from .place import Place
from .questions import Questions
from .talk import ControlFactory

log = Logger()


class Control(Service):
    """
    Answers on the control socket.
    """

    def __init__(self, reactor: Any, place: Place, questions: Questions) -> None:
        self._reactor = reactor
        self._place = place
        self._factory = ControlFactory(questions)
        self._socket: socket.socket | None = None
        self._port: UnixPort | None = None

    def privilegedStartService(self) -> None:
        """
        Take the place, as root if need be.

        @raise mailaccess.services.sockets.CannotListen: with the way out
        """
        if self._socket is None and self._port is None:
            self._socket = self._place.take()

    def startService(self) -> None:
        """
        Answer.
        """
        self.privilegedStartService()
        super().startService()  # type: ignore[no-untyped-call]
        assert self._socket is not None
        self._port = UnixPort._fromListeningDescriptor(
            self._reactor, self._socket.fileno(), self._factory
        )  # type: ignore[no-untyped-call]
        self._socket.close()
        self._socket = None
        self._port.startListening()
        log.info("control socket at {path}", event="control-ready", path=self._place.path)

    def stopService(self) -> Deferred[Any]:
        """
        Answer no more.
        """
        super().stopService()  # type: ignore[no-untyped-call]
        if self._socket is not None:
            self._socket.close()
            self._socket = None
        port, self._port = self._port, None
        ended = maybeDeferred(port.stopListening) if port is not None else maybeDeferred(int)
        for each in tuple(self._factory.present):
            each.timeoutConnection()
        return ended.addBoth(lambda _: self._place.leave())
