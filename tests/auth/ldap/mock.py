"""
A small LDAP server that does what real ones should not: lies, hangs, drips, injects, refers.
"""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from typing import Any

import attrs

from mailaccess.auth.ldap.ber import elements, header

BIND, UNBIND, SEARCH, EXTENDED = 0x60, 0x42, 0x63, 0x77


def tlv(tag: int, *parts: bytes) -> bytes:
    content = b"".join(parts)
    if len(content) < 128:
        return bytes([tag, len(content)]) + content
    size = len(content).to_bytes(4, "big")
    return bytes([tag, 0x84]) + size + content


def integer(value: int, tag: int = 2) -> bytes:
    return tlv(tag, value.to_bytes(max(1, (value.bit_length() + 8) // 8), "big"))


def message(number: int, operation: bytes, controls: bytes = b"") -> bytes:
    return tlv(0x30, integer(number), operation, controls)


def result(tag: int, code: int, text: str = "", dn: str = "", more: bytes = b"") -> bytes:
    return tlv(tag, integer(code, 0x0A), tlv(4, dn.encode()), tlv(4, text.encode()), more)


def bind_result(code: int, text: str = "") -> bytes:
    return result(0x61, code, text)


def search_done(code: int = 0, text: str = "") -> bytes:
    return result(0x65, code, text)


def entry(dn: str, **values: str | list[str]) -> bytes:
    attributes = b""
    for name, value in values.items():
        texts = [value] if isinstance(value, str) else value
        attributes += tlv(
            0x30, tlv(4, name.encode()), tlv(0x31, *(tlv(4, each.encode()) for each in texts))
        )
    return tlv(0x64, tlv(4, dn.encode()), tlv(0x30, attributes))


def reference(uri: str) -> bytes:
    return tlv(0x73, tlv(4, uri.encode()))


def control(oid: str, value: bytes = b"") -> bytes:
    return tlv(0xA0, tlv(0x30, tlv(4, oid.encode()), tlv(4, value) if value else b""))


@attrs.frozen
class Request:
    """
    What a client asked.

    @ivar tag: of the operation
    @ivar number: of the message
    @ivar content: of the operation
    """

    tag: int
    number: int
    content: bytes

    @property
    def bind(self) -> tuple[str, bytes]:
        """
        DN and password.
        """
        parts = elements(self.content)
        return parts[1][1].decode(), parts[2][1]


Answer = Callable[[Request], list[bytes] | None]
"""Messages to send back; None to say nothing."""


class MockServer:
    """
    @ivar requests: all that came, in order
    @ivar connections: how many were made
    """

    def __init__(
        self,
        answer: Answer,
        context: ssl.SSLContext | None = None,
        raw: Callable[[socket.socket], None] | None = None,
    ) -> None:
        self.answer = answer
        self.requests: list[Request] = []
        self.connections = 0
        self._context = context
        self._raw = raw
        self._socket = socket.create_server(("127.0.0.1", 0), backlog=100)
        self.port = self._socket.getsockname()[1]
        self._open: set[socket.socket] = set()
        self.over = threading.Event()
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def uri(self) -> str:
        return f"ldap://127.0.0.1:{self.port}"

    def count(self, tag: int) -> int:
        return sum(each.tag == tag for each in self.requests)

    def stop(self) -> None:
        self.over.set()
        for each in [self._socket, *self._open]:
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()

    def _accept(self) -> None:
        while True:
            try:
                sock, _ = self._socket.accept()
            except OSError:
                return
            self.connections += 1
            self._open.add(sock)
            threading.Thread(target=self._serve, args=(sock,), daemon=True).start()

    def _serve(self, sock: socket.socket) -> None:
        with contextlib.suppress(OSError, ssl.SSLError, ValueError):
            if self._raw is not None:
                self._raw(sock)
                return
            self._talk(sock)
        with contextlib.suppress(OSError):
            sock.close()

    def _talk(self, sock: Any) -> None:
        for request in requests_of(sock):
            self.requests.append(request)
            if request.tag == UNBIND:
                return
            if request.tag == EXTENDED and b"1466.20037" in request.content:
                answers = self.answer(request)
                if answers is None and self._context is not None:
                    sock.sendall(message(request.number, result(0x78, 0)))
                    sock = self._context.wrap_socket(sock, server_side=True)
                    self._open.add(sock)
                    self._talk(sock)
                    return
            else:
                answers = self.answer(request)
            if answers is None:
                self.over.wait(60)
                return
            sock.sendall(b"".join(answers))


def requests_of(sock: Any) -> Iterator[Request]:
    data = b""
    while True:
        head = header(data)
        if head is None or len(data) < head[1] + head[2]:
            more = sock.recv(65536)
            if not more:
                return
            data += more
            continue
        end = head[1] + head[2]
        parts = elements(data[head[1] : end])
        data = data[end:]
        yield Request(parts[1][0], int.from_bytes(parts[0][1], "big"), parts[1][1])


def directory(
    on_bind: Callable[[str, bytes], bytes | list[bytes]],
    dn: str = "uid=amy,dc=corp",
    controls: bytes = b"",
    **values: str | list[str],
) -> Answer:
    """
    Answers as a directory with one person; the service account is C{cn=service}.
    """
    values = {"uid": "amy", **values}

    def answer(request: Request) -> list[bytes] | None:
        if request.tag == BIND:
            name, secret = request.bind
            if name == "cn=service":
                return [message(request.number, bind_result(0))]
            said = on_bind(name, secret)
            if isinstance(said, list):
                return said
            return [message(request.number, said, controls)]
        if request.tag == SEARCH:
            return [
                message(request.number, entry(dn, **values)),
                message(request.number, search_done()),
            ]
        return [message(request.number, result(0x78, 0, more=tlv(0x8B, f"dn:{dn}".encode())))]

    return answer
