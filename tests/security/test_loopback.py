"""
A real listener on loopback, with TLS and a Maildir: what clients leave behind, and where long work
is done.
"""

from __future__ import annotations

import gc
import os
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import attrs
import pytest
from twisted.cred.portal import Portal
from twisted.internet import reactor as any_reactor
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import TCP4ClientEndpoint, connectProtocol
from twisted.internet.protocol import Protocol
from twisted.internet.task import deferLater

from mailaccess.auth.connections import Connections
from mailaccess.interfaces import Identity
from mailaccess.message import header
from mailaccess.message.scan import scan
from mailaccess.protocols.imap.commands.fetch import items
from mailaccess.protocols.imap.factory import IMAPFactory
from mailaccess.protocols.imap.server import IMAPServer
from mailaccess.protocols.sweep import Sweep
from mailaccess.services.demo.certificate import ensure_certificate
from mailaccess.services.listeners import ImplicitTLSFactory
from mailaccess.services.realm import MailRealm
from mailaccess.services.settings import TLSSettings
from mailaccess.services.tls import ServerTLS
from mailaccess.services.transport import WriteThroughPort
from mailaccess.store.accounts import MaildirAccounts
from mailaccess.store.maildir import reading
from mailaccess.testing.people import MemoryChecker, entrance

reactor: Any = any_reactor


class Client(Protocol):
    """
    Says what it is told to, and remembers what it hears.
    """

    def __init__(self) -> None:
        self.heard = b""
        self.waiting: tuple[bytes, Deferred[None]] | None = None

    def dataReceived(self, data: bytes) -> None:
        self.heard += data
        if self.waiting is not None and self.waiting[0] in self.heard:
            (_, waiter), self.waiting = self.waiting, None
            waiter.callback(None)

    async def say(self, what: bytes, until: bytes) -> bytes:
        """
        Write, and wait for some octets to come.
        """
        self.heard = b"" if what else self.heard
        if what:
            self.transport.write(what)  # type: ignore[union-attr]
        if until not in self.heard:
            self.waiting = until, Deferred()
            await self.waiting[1]
        return self.heard


@attrs.define(eq=False)
class Place:
    """
    The server.
    """

    factory: IMAPFactory
    accounts: MaildirAccounts
    explicit: int
    implicit: int

    async def client(self, port: int, greeting: bytes = b"\r\n") -> Client:
        """
        Somebody who has connected.
        """
        client = await connectProtocol(TCP4ClientEndpoint(reactor, "127.0.0.1", port), Client())
        await client.say(b"", greeting)
        return client

    async def empty(self) -> None:
        """
        Wait until all have gone.
        """
        while self.factory.connections:
            await deferLater(reactor, 0.005)


@asynccontextmanager
async def serving(path: Path) -> AsyncIterator[Place]:
    ensure_certificate(path / "cert.pem", path / "key.pem", datetime.now(UTC))
    tls = ServerTLS(
        TLSSettings(certificate=str(path / "cert.pem"), key=str(path / "key.pem")), reactor
    )
    accounts = MaildirAccounts(f"{path}/mail/{{user}}", reactor)
    (path / "mail").mkdir()
    sweep = Sweep(reactor)
    sweep.startService()
    way_in = entrance(
        MemoryChecker({"amy": b"secret"}), lambda _: None, reactor, tls=tls.factory_for("imap")
    )
    way_in.portal = Portal(MailRealm(accounts), [way_in.guard])
    factory = IMAPFactory(way_in, reactor, sweep, places=Connections())
    over_tls = ImplicitTLSFactory(tls.factory_for("imap"), False, factory, reactor)
    ports = [WriteThroughPort(0, each, 50, "127.0.0.1", reactor) for each in (factory, over_tls)]
    for each in ports:
        each.startListening()
    try:
        yield Place(factory, accounts, *(each.getHost().port for each in ports))
    finally:
        for each in ports:
            await each.stopListening()
        for each in list(factory.connections):
            each.abort()
        sweep.stopService()
        tls.deadline.stop()
        accounts.stop()


async def greeting(_client: Client) -> None:
    pass


async def half_a_handshake(client: Client) -> None:
    await client.say(b"a STARTTLS\r\n", b"a OK")
    client.transport.write(b"\x16\x03\x01\x02\x00\x01")  # type: ignore[union-attr]


async def no_handshake(client: Client) -> None:
    await client.say(b"a STARTTLS\r\n", b"a OK")
    client.transport.write(b"b NOOP\r\n")  # type: ignore[union-attr]


async def exchange(client: Client) -> None:
    await client.say(b"a AUTHENTICATE LOGIN\r\n", b"+ ")


async def a_message(client: Client) -> None:
    await client.say(b"a LOGIN amy secret\r\nb APPEND INBOX {50000}\r\n", b"\n+ ")
    client.transport.write(b"Subject: half")  # type: ignore[union-attr]


async def a_fetch(client: Client) -> None:
    await client.say(b"a LOGIN amy secret\r\nb SELECT INBOX\r\nc FETCH 1 BODY[]\r\n", b"FETCH (")


async def an_idle(client: Client) -> None:
    await client.say(b"a LOGIN amy secret\r\nb SELECT INBOX\r\nc IDLE\r\n", b"\n+ ")


WAYS = [greeting, half_a_handshake, no_handshake, exchange, a_message, a_fetch, an_idle]


async def deliver(place: Place, data: bytes) -> None:
    account = await place.accounts.account(Identity("amy"))
    upload = await account.upload("INBOX")
    upload.begin(len(data), (), None)
    for at in range(0, len(data), 1 << 16):
        waiting = upload.write(data[at : at + (1 << 16)])
        if waiting is not None:
            await waiting
    await upload.commit()
    account.release()


def left() -> tuple[int, int]:
    """
    Open descriptors, and connections that somebody still refers to. Of threads there are as many as
    the pools have.
    """
    gc.collect()
    assert threading.active_count() < 24
    there = sum(type(each) is IMAPServer for each in gc.get_objects())
    return len(os.listdir("/proc/self/fd")), there


@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.__name__)
async def test_who_is_cut_off_leaves_nothing(tmp_path: Path, way: Callable[..., Any]) -> None:
    """AB-11, TLS-11: resets in the middle of everything leave no descriptor, thread or object."""
    async with serving(tmp_path) as place:
        await deliver(place, b"Subject: x\r\n\r\n" + b"x" * 78 + b"\r\n" * 40_000)

        async def some(count: int) -> None:
            for _ in range(count):
                client = await place.client(place.explicit)
                await way(client)
                client.transport.abortConnection()  # type: ignore[union-attr]
            await place.empty()

        await some(100)
        before = left()
        await some(100)
        after = left()
        assert all(now <= then for then, now in zip(before, after, strict=True)), (before, after)
        assert place.factory.places is not None
        assert place.factory.places.counted() == 0


async def test_a_handshake_that_is_none_leaves_nothing(tmp_path: Path) -> None:
    """AB-11, AB-01: on the port that begins with TLS."""
    async with serving(tmp_path) as place:

        async def some(count: int) -> None:
            for number in range(count):
                client = await connectProtocol(
                    TCP4ClientEndpoint(reactor, "127.0.0.1", place.implicit), Client()
                )
                client.transport.write(b"a NOOP\r\n" if number % 2 else b"\x16\x03\x01")
                client.transport.abortConnection()
            # The last ones may not have been accepted yet.
            last = await place.client(place.explicit)
            last.transport.abortConnection()  # type: ignore[union-attr]
            await place.empty()

        await some(100)
        before = left()
        await some(100)
        after = left()
        assert all(now <= then for then, now in zip(before, after, strict=True)), (before, after)
        assert place.factory.places is not None
        assert place.factory.places.counted() == 0


async def test_a_large_message_is_taken_apart_in_a_thread(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """AB-09: its structure, its parts and its header; a small one where it is quicker, at once."""
    here = threading.get_ident()
    done: list[bool] = []

    def noted(work: Callable[..., Any]) -> Callable[..., Any]:
        def note(*arguments: Any) -> Any:
            done.append(threading.get_ident() == here)
            return work(*arguments)

        return note

    monkeypatch.setattr(items, "scan", noted(scan))
    monkeypatch.setattr(reading, "describe", noted(reading.describe))
    head = b"Subject: x\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\n"
    async with serving(tmp_path) as place:
        for body in (b"small\r\n", (b"x" * 78 + b"\r\n") * 30_000):
            await deliver(place, head + body + b"--b--\r\n")
        client = await place.client(place.explicit)
        await client.say(b"a LOGIN amy secret\r\nb SELECT INBOX\r\n", b"b OK")
        for number, at_once in ((1, True), (2, False)):
            for what in (b"BODYSTRUCTURE", b"BODY[1]<0.10>"):
                done.clear()
                said = await client.say(b"c FETCH %d %b\r\n" % (number, what), b"c OK")
                assert b"* %d FETCH (" % number in said
                assert done == [at_once], (number, what)
        client.transport.abortConnection()  # type: ignore[union-attr]


async def test_a_large_header_is_read_in_a_thread(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """AB-09, MIME-03: for fields that are kept, and for others; a small one at once."""
    here = threading.get_ident()
    done: list[bool] = []

    def picker(*arguments: Any) -> Callable[[bytes], bytes]:
        pick = header.picker(*arguments)

        def noted(data: bytes) -> bytes:
            done.append(threading.get_ident() == here)
            return pick(data)

        return noted

    monkeypatch.setattr(reading, "picker", picker)
    async with serving(tmp_path) as place:
        for count in (1, 300_000):
            await deliver(place, b"Subject: x\r\n" + b"X: y\r\n" * count + b"\r\nbody\r\n")
        client = await place.client(place.explicit)
        await client.say(b"a LOGIN amy secret\r\nb SELECT INBOX\r\n", b"b OK")
        for number, at_once in ((1, True), (2, False)):
            for name in (b"Subject", b"X-Other"):
                done.clear()
                command = b"c FETCH %d BODY.PEEK[HEADER.FIELDS (%b)]\r\n" % (number, name)
                await client.say(command, b"c OK")
                assert done == [at_once], (number, name)
        client.transport.abortConnection()  # type: ignore[union-attr]
