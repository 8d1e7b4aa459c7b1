"""
The client: raw sockets, one poller, and as little in between as Python allows.

Connections are plain sockets or L{ssl.SSLSocket}s; what is sent is ready beforehand and what comes
back is looked at as little as its meaning needs.
"""

from __future__ import annotations

import select
import socket
import ssl
import time
from collections.abc import Callable, Generator
from typing import Any

import attrs

from .process import PATIENCE, Process


class Unexpected(Exception):
    """
    A server answered other than it should.
    """


@attrs.frozen
class Turn:
    """
    How fast a server was.

    @ivar rate: operations per second
    @ivar cost: microseconds of the server's processor time per operation
    """

    rate: float
    cost: float


def turn(process: Process, work: Callable[[], tuple[int, float]]) -> Turn:
    """
    Do some work, which says how many operations it was and how many seconds they took.
    """
    before = process.cpu()
    count, seconds = work()
    return Turn(count / seconds, (process.cpu() - before) / count * 1e6)


def no_verification() -> ssl.SSLContext:
    """
    TLS 1.3 to a server whose certificate nobody signed.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    return context


def connect(port: int, tls: ssl.SSLContext | None = None, source: str = "") -> socket.socket:
    """
    A connection to a server on the loopback.
    """
    made = socket.create_connection(("127.0.0.1", port), PATIENCE, (source, 0) if source else None)
    made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return tls.wrap_socket(made) if tls is not None else made


def read_until(connection: socket.socket, end: bytes) -> bytes:
    """
    Everything up to a line that begins with C{end}.
    """
    data = b""
    while not (data.startswith(end) or b"\n" + end in data) or not data.endswith(b"\n"):
        more = connection.recv(65536)
        if not more:
            raise Unexpected(f"connection ended after {data[-200:]!r}")
        data += more
    return data


def ask(connection: socket.socket, command: bytes, tag: bytes = b"t") -> bytes:
    """
    Send a command, and give the answer, which has to be OK.
    """
    connection.sendall(tag + b" " + command + b"\r\n")
    answer = read_until(connection, tag + b" ")
    if tag + b" OK" not in answer:
        raise Unexpected(f"{command[:40]!r}: {answer[-200:]!r}")
    return answer


def log_in(
    port: int, user: str, password: str, tls: ssl.SSLContext | None = None, source: str = ""
) -> socket.socket:
    """
    A connection that is logged in.
    """
    connection = connect(port, tls, source)
    read_until(connection, b"* OK")
    ask(connection, f"LOGIN {user} {password}".encode("ascii"))
    return connection


def round_trips(connections: list[socket.socket], line: bytes, seconds: float) -> tuple[int, float]:
    """
    Round trips, and the seconds they took: every connection sends a line, waits for the answer,
    sends again.

    An answer is one line, which comes in one piece because nothing else is under way.
    """
    poller = select.epoll()
    ends: dict[int, tuple[Callable[[int], bytes], Callable[[bytes], int]]] = {}
    for each in connections:
        each.settimeout(None)
        ends[each.fileno()] = (each.recv, each.send)
        poller.register(each.fileno(), select.EPOLLIN)
    count = 0
    poll, clock = poller.poll, time.perf_counter
    began = clock()
    until = began + seconds
    for each in connections:
        each.send(line)
    while True:
        ready = poll(PATIENCE)
        now = clock()
        if now >= until or not ready:
            break
        count += len(ready)
        for descriptor, _ in ready:
            receive, send = ends[descriptor]
            receive(4096)
            send(line)
    for each in connections:
        each.settimeout(0.2)
        _drain(each)
    poller.close()
    return count, now - began


def _drain(connection: socket.socket) -> None:
    try:
        if not connection.recv(4096).endswith(b"\n"):
            raise Unexpected("an answer is cut short")
    except TimeoutError:
        return


def pipelined(
    connection: socket.socket, batch: bytes, commands: int, lines: int, seconds: float
) -> tuple[int, float]:
    """
    Commands answered, and the seconds it took, when a batch of them is written at once and
    answered before it is written again.

    @param lines: how many the answer to one command has
    """
    connection.settimeout(PATIENCE)
    count, clock, receive = 0, time.perf_counter, connection.recv
    began = now = clock()
    while now < began + seconds:
        connection.sendall(batch)
        left = commands * lines
        while left > 0:
            data = receive(1 << 18)
            if not data:
                raise Unexpected("connection ended")
            left -= data.count(b"\n")
        count += commands
        now = clock()
    return count, now - began


def visits(
    port: int,
    dialogue: tuple[tuple[bytes, bytes], ...],
    at_once: int,
    seconds: float,
    tls: ssl.SSLContext | None = None,
) -> tuple[int, float]:
    """
    Connections that were made, spoken on and closed, and the seconds it took.

    @param dialogue: what is sent, and what the answer has to hold; the last answer comes before
        the end of the connection
    """
    poller = select.epoll()
    running: dict[int, Generator[int, None, None]] = {}
    count = 0
    began = now = time.perf_counter()

    def start() -> int:
        """
        Begin a visit; how many ended already, because a server was faster than we could look.
        """
        ended = 0
        while True:
            connection = connect(port)
            connection.setblocking(False)
            descriptor = connection.fileno()
            visit = _visit(connection, dialogue, tls)
            event = next(visit, None)
            if event is not None:
                poller.register(descriptor, event)
                running[descriptor] = visit
                return ended
            ended += 1

    for _ in range(at_once):
        count += start()
    while running:
        ready = poller.poll(PATIENCE)
        if not ready:
            raise Unexpected("a visit got no answer")
        for descriptor, _ in ready:
            if next(running[descriptor], None) is not None:
                continue
            del running[descriptor]
            count += 1
            now = time.perf_counter()
            if now < began + seconds:
                count += start()
    poller.close()
    return count, now - began


def _visit(
    connection: Any, dialogue: tuple[tuple[bytes, bytes], ...], tls: ssl.SSLContext | None
) -> Generator[int, None, None]:
    """
    One connection from its first octet to its last; waits by yielding.
    """
    wait = select.EPOLLIN
    if tls is not None:
        # The descriptor stays the same.
        connection = tls.wrap_socket(connection, do_handshake_on_connect=False)
        while True:
            try:
                connection.do_handshake()
                break
            except ssl.SSLWantReadError:
                yield wait
    else:
        yield wait
    receive = connection.recv
    for request, expected in ((b"", b"* OK"), *dialogue):
        if request:
            connection.send(request)
        data = b""
        while expected not in data or not data.endswith(b"\n"):
            try:
                more = receive(4096)
            except (BlockingIOError, ssl.SSLWantReadError):
                yield wait
                continue
            if not more:
                raise Unexpected(f"connection ended after {data[-200:]!r}")
            data += more
    connection.close()
