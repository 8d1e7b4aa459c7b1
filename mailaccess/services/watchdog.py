"""
What holds up the reactor: a thread looks whether it still turns, and if not, what it is at (AB-09).

For finding out what is slow, so it is off unless asked for: it wakes the process many times a
second.
"""

from __future__ import annotations

import sys
import threading
import traceback
from time import perf_counter
from types import FrameType
from typing import Any

from twisted.application.service import Service
from twisted.internet.task import LoopingCall
from twisted.logger import Logger

log = Logger()

FRAMES = 20
"""Of the stack, the innermost."""


class Watchdog(Service):
    """
    One line in the log, with the stack, each time the reactor is held for longer than it may.

    @ivar seconds: how long it may be
    """

    def __init__(self, reactor: Any, seconds: float) -> None:
        self.seconds = seconds
        self._reactor = reactor
        self._beat = perf_counter()
        self._over = threading.Event()
        self._thread: threading.Thread | None = None
        self._watched = 0
        self._turns = LoopingCall(self._turn)
        self._turns.clock = reactor

    def startService(self) -> None:
        """
        Begin to watch the thread this is called in.
        """
        super().startService()  # type: ignore[no-untyped-call]
        self._watched = threading.get_ident()
        self._over.clear()
        self._turns.start(self.seconds / 2).addErrback(lambda _failure: None)
        self._thread = threading.Thread(target=self._watch, name="watchdog", daemon=True)
        self._thread.start()

    def stopService(self) -> None:
        """
        End.
        """
        super().stopService()  # type: ignore[no-untyped-call]
        self._over.set()
        if self._turns.running:
            self._turns.stop()
        if self._thread is not None:
            self._thread.join()
            self._thread = None

    def _turn(self) -> None:
        self._beat = perf_counter()

    def _watch(self) -> None:
        told = 0.0
        while not self._over.wait(self.seconds / 2):
            beat = self._beat
            # Its own turn comes up to half of the time late without anybody's fault.
            if beat != told and perf_counter() - beat > self.seconds * 1.5:
                frame = sys._current_frames().get(self._watched)
                if frame is not None:
                    told = beat
                    self._reactor.callFromThread(self._tell, beat, _stack(frame))

    def _tell(self, since: float, stack: str) -> None:
        log.warn(
            "the reactor was held",
            event="held",
            milliseconds=int((perf_counter() - since) * 1000),
            stack=stack,
        )


def _stack(frame: FrameType) -> str:
    """
    Files, lines and functions, innermost first, which is the part that a line in the log keeps.
    """
    found = traceback.extract_stack(frame, FRAMES)
    return " < ".join(f"{each.filename}:{each.lineno} {each.name}" for each in reversed(found))
