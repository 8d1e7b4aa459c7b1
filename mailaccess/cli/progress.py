"""
How far a command is, for somebody who waits at a terminal.
"""

from __future__ import annotations

import sys
import time

_PATIENCE = 1.0
"""Seconds before anything is shown."""

_BEAT = 0.2
"""Seconds between two lines."""


class Progress:
    """
    One line, written over and over.
    """

    def __init__(self, account: str) -> None:
        self._account = account
        self._next = time.monotonic() + _PATIENCE
        self._shown = False

    def tell(self, text: str) -> None:
        """
        What is done; nothing in the first moment, nothing where no terminal is.
        """
        now = time.monotonic()
        if now >= self._next and sys.stderr.isatty():
            self._next = now + _BEAT
            self._shown = True
            line = f"{self._account}: {text}"
            print(f"\r{line:78.78}", end="", file=sys.stderr, flush=True)

    def step(self, mailbox: str, number: int, count: int) -> None:
        """
        Which mailbox it is at.

        @param number: from 1
        """
        self.tell(f"{mailbox} ({number} of {count})")

    def clear(self) -> None:
        """
        Leave nothing behind.
        """
        if self._shown:
            print(f"\r{'':78}\r", end="", file=sys.stderr, flush=True)
