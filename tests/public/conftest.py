"""
IMAP conversations over real Maildirs, with a namespace C{Public/} that all share.

C{hall} has accounts of amy, bob, eve and others on the disk, and a namespace whose rights are in a
file. C{await hall.login("amy")} gives a L{Wire}; C{await wire.send(b"SELECT INBOX")} the lines that
came back, the tag taken off the last.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Awaitable, Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import attrs
import pytest
from twisted.cred.portal import Portal
from twisted.internet import reactor

from mailaccess.interfaces import Identity
from mailaccess.protocols.imap.factory import IMAPFactory
from mailaccess.protocols.pop3.factory import POP3Factory
from mailaccess.protocols.sweep import Sweep
from mailaccess.services.realm import MailRealm
from mailaccess.store.accounts import MaildirAccounts
from mailaccess.store.branch import Namespace
from mailaccess.store.names import directory_of
from mailaccess.store.namespaces import NamespaceAccounts
from mailaccess.store.options import StoreOptions
from mailaccess.store.rightsfile import ForAll, RightsFile
from mailaccess.testing.people import MemoryChecker, entrance
from mailaccess.testing.talk import MemoryTransport
from tests.store.conftest import message, nap, until

PEOPLE = ("amy", "bob", "eve", "anonymous")
GROUPS = {"amy": {"groups": "Staff,board"}, "bob": {"groups": "staff"}}
_numbers = itertools.count(1)


class Wire:
    """
    One conversation with a server, all in memory, on the real reactor.
    """

    def __init__(self, factory: IMAPFactory) -> None:
        self.transport = MemoryTransport()
        self.protocol: Any = factory.buildProtocol(None)
        self.protocol.factory = factory
        self.protocol.makeConnection(self.transport)
        self._tags = itertools.count(1)
        self._seen = 0

    def _lines(self) -> list[bytes]:
        value: bytes = self.transport.value()  # type: ignore[no-untyped-call]
        return value[self._seen :].split(b"\r\n")

    def put(self, data: bytes) -> None:
        """
        Octets to the server.
        """
        self.protocol.dataReceived(data)

    async def line(self, wanted: bytes) -> list[bytes]:
        """
        What came up to the first line that begins so, that one included.
        """
        found: list[bytes] = []

        def there() -> bool:
            lines = self._lines()[:-1]
            for number, each in enumerate(lines):
                if each.startswith(wanted):
                    found[:] = lines[: number + 1]
                    return True
            return False

        try:
            await until(there, 20.0)
        except AssertionError:
            raise AssertionError(f"no {wanted!r} in {self._lines()}") from None
        self._seen += sum(len(each) + 2 for each in found)
        return found

    async def send(self, command: bytes) -> list[bytes]:
        """
        One command; the answer without its tag.
        """
        tag = b"t%d " % next(self._tags)
        self.put(tag + command + b"\r\n")
        lines = await self.line(tag)
        return [*lines[:-1], lines[-1].removeprefix(tag)]

    async def ok(self, command: bytes) -> list[bytes]:
        """
        One command that has to succeed; the untagged lines.
        """
        *untagged, last = await self.send(command)
        assert last.startswith(b"OK "), (command, last)
        return untagged

    async def said(self, command: bytes) -> bytes:
        """
        The tagged line alone.
        """
        return (await self.send(command))[-1]

    async def append(self, mailbox: bytes, data: bytes, flags: bytes = b"") -> bytes:
        """
        APPEND; the tagged line.
        """
        flags = b"(%b) " % flags if flags else b""
        return await self.said(b'APPEND "%b" %b{%d+}\r\n%b' % (mailbox, flags, len(data), data))


@attrs.define
class Hall:
    """
    The server.
    """

    root: Path
    stores: list[MaildirAccounts] = attrs.field(factory=list)
    factories: list[IMAPFactory] = attrs.field(factory=list)
    sweeps: list[Sweep] = attrs.field(factory=list)
    wires: list[Wire] = attrs.field(factory=list)
    fields: Mapping[str, Mapping[str, str]] = attrs.field(factory=lambda: GROUPS)
    options: StoreOptions = attrs.field(factory=lambda: StoreOptions(mirror="never"))

    @property
    def rights(self) -> Path:
        """
        The file of rights.
        """
        return self.root / "rights"

    @property
    def public(self) -> Path:
        """
        The Maildir of C{Public/}.
        """
        return self.root / "public"

    def grant(self, *lines: str) -> None:
        """
        Write the file of rights, in place of what is there.
        """
        made = self.root / f"rights.{next(_numbers)}"
        made.write_text("".join(f"{line}\n" for line in lines), "utf-8")
        os.rename(made, self.rights)

    def folder(self, *names: str) -> None:
        """
        Make public folders as an administrator does.
        """
        for name in ("", *names):
            directory = self.public / (directory_of(name) if name else "")
            for below in ("cur", "new", "tmp"):
                (directory / below).mkdir(parents=True, exist_ok=True)

    def deliver(self, folder: str, data: bytes, info: str = "") -> None:
        """
        Deliver as an MDA does; with C{info} as if it had been there.
        """
        name = f"1700000000.M{next(_numbers)}P1.mda"
        top = self.public / directory_of(folder)
        (top / "tmp" / name).write_bytes(data)
        where = f"cur/{name}:2,{info}" if info else f"new/{name}"
        os.rename(top / "tmp" / name, top / where)

    def factory(self, *, read_only: bool = False, service: str = "imap") -> IMAPFactory:
        """
        A server over the files: as another process would be.
        """
        store = MaildirAccounts(f"{self.root}/users/{{user}}", reactor, self.options)
        self.stores.append(store)
        rights: Any = ForAll.of("Public/", "lrs")
        if not read_only:
            rights = RightsFile(str(self.rights), "Public/", reactor, str.lower, "anonymous")
        accounts = NamespaceAccounts(store, [Namespace("Public/", str(self.public), rights)])
        checker = MemoryChecker(dict.fromkeys(PEOPLE, b"pw"), self.fields)
        nobody: Callable[[Identity], Any] = lambda _: None  # noqa: E731
        way_in = entrance(checker, nobody, reactor, service=service)  # type: ignore[arg-type]
        way_in = attrs.evolve(way_in, portal=Portal(MailRealm(accounts), [way_in.guard]))
        sweep = Sweep(reactor)  # type: ignore[arg-type]
        sweep.startService()
        self.sweeps.append(sweep)
        made: Any = IMAPFactory if service == "imap" else POP3Factory
        factory: IMAPFactory = made(way_in, reactor, sweep)
        self.factories.append(factory)
        return factory

    async def login(self, name: str, factory: IMAPFactory | None = None) -> Wire:
        """
        A conversation of somebody.
        """
        if factory is None:
            factory = self.factories[0] if self.factories else self.factory()
        wire = Wire(factory)
        self.wires.append(wire)
        await wire.line(b"* OK")
        await wire.ok(f"LOGIN {name} pw".encode())
        return wire

    async def stop(self) -> None:
        """
        End all of it.
        """
        for wire in self.wires:
            if not wire.transport.disconnecting:
                await wire.send(b"LOGOUT")
        await nap(0.01)
        for sweep in self.sweeps:
            sweep.stopService()
        for store in self.stores:
            store.stop()


@pytest.fixture
def hall(
    tmp_path: Path, on_reactor: Callable[[Callable[[], Awaitable[Any]]], Any]
) -> Iterator[Hall]:
    made = Hall(tmp_path)
    made.folder()
    yield made
    on_reactor(made.stop)


LETTER = message("a letter")
