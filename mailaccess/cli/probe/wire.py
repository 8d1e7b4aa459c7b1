"""
One connection to the server that is probed, and the transcript of what was said.
"""

from __future__ import annotations

import contextlib
import socket
import ssl
from collections.abc import Iterator

import attrs

LONGEST_LINE = 65536
HIDDEN = "***"


class Gone(Exception):
    """
    The server ended the connection, or does not answer.
    """


@attrs.frozen
class Said:
    """
    A line of the transcript.

    @ivar who: C{C}, C{S}, or C{*} for what happened
    """

    who: str
    text: str

    def __str__(self) -> str:
        return f"{self.who}: {self.text}"


@attrs.frozen
class Target:
    """
    What is probed.

    @ivar name: as typed
    @ivar implicit: TLS from the first octet
    @ivar timeout: seconds for each step
    @ivar certificate_name: to compare instead
    """

    name: str
    port: int
    protocol: str
    implicit: bool
    timeout: float = 10.0
    certificate_name: str = ""

    @property
    def expected(self) -> str:
        """
        The name to expect in the certificate.
        """
        return self.certificate_name or self.name

    @property
    def server_name(self) -> str | None:
        """
        The name to ask for; None for an address, which is not for that (RFC 6066 section 3).
        """
        with contextlib.suppress(OSError):
            socket.getaddrinfo(self.expected, None, flags=socket.AI_NUMERICHOST)
            return None
        return self.expected


class Wire:
    """
    A connection. Lines go both ways; secrets never get into the transcript.

    @ivar transcript: what was said, shared with other connections
    @ivar ended: the server closed the connection
    """

    def __init__(self, target: Target, transcript: list[Said]) -> None:
        """
        @raise Gone: there is nobody
        """
        self.target = target
        self.transcript = transcript
        self.ended = False
        self._buffer = b""
        try:
            self._socket: socket.socket = socket.create_connection(
                (target.name, target.port), target.timeout
            )
        except OSError as error:
            raise Gone(error.strerror or str(error)) from None

    def send(self, line: str, shown: str = "") -> None:
        """
        A line.

        @param shown: what the transcript gets instead
        """
        self.raw(line.encode("utf-8") + b"\r\n", shown or line)

    def raw(self, data: bytes, shown: str) -> None:
        """
        Octets, as they are.

        @raise Gone: the server is
        """
        self.transcript.append(Said("C", shown))
        try:
            self._socket.sendall(data)
        except OSError as error:
            raise Gone(str(error)) from None

    def line(self) -> str:
        """
        The next line of the server.

        @raise Gone: there is none
        """
        while b"\n" not in self._buffer:
            try:
                data = self._socket.recv(4096)
            except OSError as error:
                raise Gone("no answer" if isinstance(error, TimeoutError) else str(error)) from None
            if not data:
                self.ended = True
                self.transcript.append(Said("*", "the server closed the connection"))
                raise Gone("the server closed the connection")
            self._buffer += data
            if len(self._buffer) > LONGEST_LINE:
                raise Gone("a line that does not end")
        raw, _, self._buffer = self._buffer.partition(b"\n")
        text = raw.rstrip(b"\r").decode("utf-8", "backslashreplace")
        self.transcript.append(Said("S", text))
        return text

    @property
    def unread(self) -> bytes:
        """
        What came and nobody has read.
        """
        return self._buffer

    def start_tls(self, context: ssl.SSLContext) -> ssl.SSLSocket:
        """
        The handshake.

        @raise ssl.SSLError: it failed
        @raise OSError: the connection ended
        """
        if self._buffer:
            raise ssl.SSLError(f"the server said more in the clear: {self._buffer[:80]!r}")
        secured = context.wrap_socket(self._socket, server_hostname=self.target.server_name)
        self._socket = secured
        cipher = secured.cipher()
        self.transcript.append(Said("*", f"{secured.version()} {cipher[0] if cipher else ''}"))
        return secured

    def close(self) -> None:
        """
        End it.
        """
        with contextlib.suppress(OSError):
            self._socket.close()


@contextlib.contextmanager
def closing(wire: Wire) -> Iterator[Wire]:
    """
    The wire, closed at the end.
    """
    try:
        yield wire
    finally:
        wire.close()
