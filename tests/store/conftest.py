"""
Stores for tests: a Maildir under C{tmp_path}, and what other programs do to it.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Awaitable, Callable, Collection, Iterator, Sequence
from pathlib import Path
from typing import Any

import attrs
import pytest
from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.task import deferLater

from mailaccess.interfaces import Identity
from mailaccess.store.accounts import MaildirAccounts
from mailaccess.store.branch import Namespace
from mailaccess.store.disk import Disk
from mailaccess.store.namespaces import NamespaceAccounts
from mailaccess.store.options import StoreOptions
from mailaccess.store.rightsfile import ForAll
from mailaccess.testing.memory import MemoryAccounts

_numbers = itertools.count(1)


def message(subject: str, body: str = "hello") -> bytes:
    """
    A small message with CRLF.
    """
    return f"Subject: {subject}\r\nFrom: a@example.org\r\n\r\n{body}\r\n".encode()


async def put(
    account: Any,
    mailbox: str,
    *messages: bytes,
    flags: Collection[str] = (),
    date: int | None = None,
) -> Sequence[int]:
    """
    Upload messages in one go; their UIDs.
    """
    upload = await account.upload(mailbox)
    for data in messages:
        upload.begin(len(data), flags, date)
        waiting = upload.write(data)
        if waiting is not None:
            await waiting
    appended = await upload.commit()
    return list(appended.uids)


def nap(seconds: float = 0.0) -> Deferred[None]:
    """
    Let the reactor turn.
    """
    return deferLater(reactor, seconds, lambda: None)


async def until(condition: Callable[[], Any], deadline: float = 30.0) -> None:
    """
    Wait for something to become true, however slow the machine is.
    """
    start = reactor.seconds()  # type: ignore[attr-defined]
    while not condition():
        assert reactor.seconds() - start < deadline  # type: ignore[attr-defined]
        await nap(0.01)


@attrs.define
class Site:
    """
    A store on the disk, and other programs' ways to change it.
    """

    root: Path
    options: StoreOptions
    disk: Disk
    opened: list[MaildirAccounts] = attrs.field(factory=list)

    def accounts(self) -> MaildirAccounts:
        """
        A store over the same files: as another process would have it.
        """
        made = MaildirAccounts(f"{self.root}/{{user}}", reactor, self.options, disk=self.disk)
        self.opened.append(made)
        return made

    async def account(self, user: str = "amy") -> Any:
        """
        An account in a store of its own.
        """
        return await self.accounts().account(Identity(user))

    def stop(self) -> None:
        """
        End what was opened.
        """
        for accounts in self.opened:
            accounts.stop()
        self.opened.clear()

    def maildir(self, user: str = "amy") -> Path:
        """
        Where the mail of a user is.
        """
        return self.root / user / "Maildir"

    def deliver(self, data: bytes, folder: str = "", user: str = "amy") -> str:
        """
        What an MDA does.
        """
        name = f"1700000000.M{next(_numbers)}P1.mda"
        top = self.maildir(user) / folder
        (top / "tmp" / name).write_bytes(data)
        os.rename(top / "tmp" / name, top / "new" / name)
        return name

    def cur(self, folder: str = "") -> dict[str, str]:
        """
        Names in C{cur} by their base.
        """
        return {
            name.partition(":")[0]: name
            for name in sorted(os.listdir(self.maildir() / folder / "cur"))
        }

    def rename(self, old: str, new: str) -> None:
        """
        What mutt does when flags change.
        """
        cur = self.maildir() / "cur"
        os.rename(cur / old, cur / new)


@pytest.fixture
def options() -> StoreOptions:
    return StoreOptions(mirror="immediate")


@pytest.fixture
def disk() -> Disk:
    return Disk()


@pytest.fixture
def site(
    tmp_path: Path,
    options: StoreOptions,
    disk: Disk,
    on_reactor: Callable[[Callable[[], Awaitable[Any]]], Any],
) -> Iterator[Site]:
    made = Site(tmp_path, options, disk)
    for below in ("cur", "new", "tmp"):
        (made.maildir() / below).mkdir(parents=True)
    yield made

    async def stop() -> None:
        made.stop()

    on_reactor(stop)


@pytest.fixture(params=["maildir", "namespaces", "memory"])
def stores(request: pytest.FixtureRequest, site: Site) -> Any:
    """
    Two stores that keep the same mail.
    """
    if request.param == "memory":
        one = MemoryAccounts()
        return one, one
    if request.param == "namespaces":
        public = Namespace("Public/", str(site.root / "public"), ForAll.of("Public/", "lrs"))
        return tuple(NamespaceAccounts(site.accounts(), [public]) for _ in "12")
    return site.accounts(), site.accounts()


async def both(stores: Any) -> tuple[Any, Any]:
    """
    An account of each of two stores that keep the same mail.
    """
    one, two = stores
    return await one.account(Identity("amy")), await two.account(Identity("amy"))
