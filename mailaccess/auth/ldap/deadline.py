"""
The time one login may take in all, and the means to end it from outside.

A worker thread asks L{Deadline.left} before each step; whoever waits calls L{Deadline.abort}, which
closes the sockets that the thread waits on. Both hold against a server that drips: a timeout per
read would not.
"""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Callable

from .faults import OutOfTime


class Deadline:
    """
    One login's time.
    """

    def __init__(self, seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._end = clock() + seconds
        self._seconds = seconds
        self._lock = threading.Lock()
        self._sockets: set[socket.socket] = set()
        self._aborted = False

    def left(self) -> float:
        """
        Seconds, more than 0.

        @raise OutOfTime: there are none
        """
        rest = self._end - self._clock()
        if self._aborted or rest <= 0:
            raise OutOfTime(f"not done within {self._seconds:g} s")
        return rest

    def hold(self, sock: socket.socket) -> None:
        """
        Shut this socket down when the time is over.
        """
        with self._lock:
            self._sockets.add(sock)
            aborted = self._aborted
        if aborted:
            _shut(sock)

    def release(self, sock: socket.socket) -> None:
        """
        Leave it alone from now on.
        """
        with self._lock:
            self._sockets.discard(sock)

    def abort(self) -> None:
        """
        End it now; from any thread.
        """
        with self._lock:
            self._aborted = True
            sockets = [*self._sockets]
        for each in sockets:
            _shut(each)


def _shut(sock: socket.socket) -> None:
    # Not the method of an SSLSocket, which would take its state away under the thread that reads.
    with contextlib.suppress(OSError):
        socket.socket.shutdown(sock, socket.SHUT_RDWR)
