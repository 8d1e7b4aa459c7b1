"""
A client that measures single commands.
"""

from __future__ import annotations

import itertools
import time

from . import ours
from .load import Unexpected, log_in

LONGEST = 600


class Client:
    """
    One connection to one side; measures single commands.

    @ivar windows: when a command ran, by its title
    """

    def __init__(self, port: int) -> None:
        self._connection = log_in(port, "amy", ours.PASSWORD)
        self._tags = (b"T%06d" % each for each in itertools.count())
        self._room = bytearray(1 << 20)
        self.windows: dict[str, list[tuple[float, float]]] = {}

    def close(self) -> None:
        """
        End it.
        """
        self._connection.close()

    def take(self, title: str, command: bytes) -> tuple[float, int]:
        """
        Seconds and octets until the tagged answer to a command.
        """
        tag = next(self._tags)
        return self._until(title, command, b"%b %b\r\n" % (tag, command), tag)

    def take_all(self, title: str, commands: list[bytes]) -> tuple[float, int]:
        """
        The same for commands that are all sent at once, until the answer to the last.
        """
        tags = [next(self._tags) for _ in commands]
        lines = [b"%b %b\r\n" % pair for pair in zip(tags, commands, strict=True)]
        return self._until(title, commands[-1], b"".join(lines), tags[-1])

    def _until(self, title: str, command: bytes, data: bytes, tag: bytes) -> tuple[float, int]:
        view, receive = memoryview(self._room), self._connection.recv_into
        mark, tail, total = b"\n" + tag + b" ", b"\n", 0
        self._connection.settimeout(LONGEST)
        began = time.monotonic()
        self._connection.sendall(data)
        while True:
            got = receive(view)
            if not got:
                raise Unexpected("connection ended")
            total += got
            # The tagged answer is the last thing that comes, and is short.
            tail = (tail + bytes(view[max(0, got - 512) : got]))[-512:]
            if mark in tail and tail.endswith(b"\r\n"):
                break
        ended = time.monotonic()
        answer = tail.rpartition(mark)[2]
        if not answer.startswith(b"OK"):
            raise Unexpected(f"{command[:200]!r}: {answer!r}")
        self.windows.setdefault(title, []).append((began, ended))
        return ended - began, total
