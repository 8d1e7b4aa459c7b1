"""
A client that believes nothing it was not told in full.
"""

from __future__ import annotations

import re
import socket
from collections.abc import Iterable, Sequence

_LITERAL = re.compile(rb"\{(\d+)\}\r\n$")
TIMEOUT = 60.0


class Lost(Exception):
    """
    The connection ended, or what came is not whole: nothing is known of the last command.
    """


class Refused(Exception):
    """
    A tagged NO; the second argument are the untagged lines before it.
    """


class Client:
    """
    One connection, logged in.
    """

    def __init__(self, port: int, user: str, password: str) -> None:
        self._number = 0
        try:
            self._socket = socket.create_connection(("127.0.0.1", port), TIMEOUT)
            self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._file = self._socket.makefile("rb")
        except OSError as error:
            raise Lost(str(error)) from error
        self._line()
        self.run(f"LOGIN {user} {password}")

    def close(self) -> None:
        """
        Hang up.
        """
        self._file.close()
        self._socket.close()

    def idle(self) -> None:
        """
        Wait for news; until the connection is closed nothing else can be asked.
        """
        self._socket.sendall(b"i IDLE\r\n")
        assert self._line().startswith(b"+")

    def hear(self, wanted: bytes) -> None:
        """
        Read lines until one has this.
        """
        while wanted not in self._line():
            pass

    def _line(self) -> bytes:
        """
        A line with the literals in it.
        """
        whole = b""
        try:
            while True:
                line = self._file.readline()
                if not line.endswith(b"\r\n"):
                    raise Lost("the line is cut off")
                whole += line
                found = _LITERAL.search(line)
                if found is None:
                    return whole
                data = self._file.read(int(found[1]))
                if len(data) < int(found[1]):
                    raise Lost("the literal is cut off")
                whole += data
        except OSError as error:
            raise Lost(str(error)) from error

    def run(self, command: str, literals: Sequence[bytes] = ()) -> tuple[bytes, list[bytes]]:
        """
        The tagged OK and the untagged lines. Literals go where C{command} has C{%s}, none of them
        waits to be asked for.

        @raise Refused: NO or BAD
        """
        self._number += 1
        tag = b"t%d" % self._number
        parts = command.encode("ascii").split(b"%s")
        data = parts[0]
        for literal, rest in zip(literals, parts[1:], strict=True):
            data += b"{%d+}\r\n" % len(literal) + literal + rest
        try:
            self._socket.sendall(tag + b" " + data + b"\r\n")
        except OSError as error:
            raise Lost(str(error)) from error
        lines = []
        while True:
            line = self._line()
            if line.startswith(tag + b" "):
                if line.startswith(tag + b" OK"):
                    return line, lines
                raise Refused(line.decode("ascii", "replace").strip(), lines)
            if line.startswith(b"* BYE"):
                raise Lost("BYE")
            lines.append(line)


def numbers(text: bytes) -> list[int]:
    """
    A set of UIDs, written out.
    """
    found: list[int] = []
    for part in text.split(b","):
        low, _, high = part.partition(b":")
        found.extend(range(int(low), int(high or low) + 1))
    return found


def uid_set(uids: Iterable[int]) -> str:
    """
    For a command.
    """
    return ",".join(map(str, sorted(uids)))
