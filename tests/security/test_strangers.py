"""
What many hostile strangers cost a real listener on loopback.
"""

from __future__ import annotations

import gc
import socket
import tracemalloc
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from twisted.internet import reactor as any_reactor
from twisted.internet.task import deferLater

from mailaccess.services.transport import WriteThroughPort

reactor: Any = any_reactor

STRANGERS = 10
MOST = 80_000
"""Octets for each: what one read takes in, what one answer adds, and the connection itself."""

LATER = 40
"""Turns in which nothing more is taken after which nothing more will be."""

SAID = {
    "imap": {
        "half a line": b"a LOGIN " + b"x" * 8000,
        "a line that is too long": b"a LOGIN " + b"x" * 200_000,
        "half a literal": b"a LOGIN {4000+}\r\n" + b"x" * 3999,
        "a literal that is too long": b"a LOGIN {200000+}\r\n" + b"x" * 199_999,
        "half an exchange": b"a AUTHENTICATE PLAIN\r\n" + b"A" * 200_000,
        "parentheses": b"a ID " + b"(" * 8000,
        "a list": b"a ID (" + b'"a" "b" ' * 900,
        "commands whose answers are long": b"a CAPABILITY\r\n" * 20_000,
        "commands whose answers are short": b"a ID NIL\r\n" * 40_000,
    },
    "pop3": {
        "half a line": b"USER " + b"x" * 200_000,
        "half an exchange": b"AUTH PLAIN\r\n" + b"A" * 200_000,
        "commands whose answers are long": b"CAPA\r\n" * 40_000,
    },
}


@contextmanager
def listening(factory: Any) -> Iterator[int]:
    """
    A port whose sockets hold as little as possible, so that what is not read waits with us.
    """
    port = WriteThroughPort(0, factory, STRANGERS, "127.0.0.1", reactor)
    port.startListening()
    for option in (socket.SO_SNDBUF, socket.SO_RCVBUF):
        port.socket.setsockopt(socket.SOL_SOCKET, option, 4096)
    try:
        yield port.getHost().port
    finally:
        for each in list(factory.connections):
            each.abort()
        port.stopListening()


def stranger(port: int) -> socket.socket:
    """
    A client that reads nothing.
    """
    made = socket.socket()
    made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    made.connect(("127.0.0.1", port))
    made.setblocking(False)
    return made


async def say(clients: list[socket.socket], what: bytes) -> None:
    """
    As much of it as is taken; nobody reads an answer.
    """
    sent = dict.fromkeys(clients, 0)
    quiet = 0
    while quiet < LATER:
        quiet += 1
        for client, count in sent.items():
            try:
                taken = client.send(what[count : count + 65536])
            except OSError:  # not now; or the server has sent it away
                continue
            if taken:
                sent[client] = count + taken
                quiet = 0
        await deferLater(reactor, 0.001)


@pytest.mark.parametrize(
    ("service", "what"), [(service, what) for service, some in SAID.items() for what in some]
)
async def test_a_stranger_costs_little_memory(make_server: Any, service: str, what: str) -> None:
    """AB-08, PAR-01: whatever is sent, and though no answer is read."""
    server = make_server(clock=reactor)
    factory = server.factory(service)
    clients: list[socket.socket] = []
    with listening(factory) as port:
        try:
            tracemalloc.start()
            before = tracemalloc.get_traced_memory()[0]
            clients.extend(stranger(port) for _ in range(STRANGERS))
            await say(clients, SAID[service][what])
            gc.collect()
            taken = (tracemalloc.get_traced_memory()[0] - before) / STRANGERS
        finally:
            tracemalloc.stop()
            for each in clients:
                each.close()
            server.sweep.stopService()
    assert taken < MOST
