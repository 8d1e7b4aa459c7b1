"""
What the documentation promises of flags and of network file systems.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from typing import Any

import pytest

from mailaccess import errors
from mailaccess.interfaces import SEEN
from mailaccess.store.disk import Disk
from mailaccess.store.options import Mirror, StoreOptions

from ..torture.syncs import watch_sqlite
from .conftest import Site, message, put


@pytest.fixture
def events() -> Iterator[list[str]]:
    """
    Syncs of the record, in their order.
    """
    made: list[str] = []
    files = watch_sqlite(
        lambda _: None, lambda path, _: made.append("synced") if path.endswith("-wal") else None
    )
    yield made
    files.unregister()


@pytest.mark.parametrize("mirror", ["immediate", "lazy", "never"])
async def test_flags_are_on_the_disk_before_the_ok_whenever_names_tell_them(
    site: Site, events: list[str], mirror: Mirror
) -> None:
    """
    DS-03: there is one class of durability, and C{mirror} does not change it.
    """
    site.options = StoreOptions(mirror=mirror)
    account = await site.account()
    uids = await put(account, "INBOX", message("a"))
    mailbox = await account.select("INBOX")
    for flag in ("\\Seen", "\\Flagged", "$Work"):
        events.clear()
        await mailbox.store(uids, "add", [flag])
        assert "synced" in events


class Stale(Disk):
    """
    Says, once, that what it was asked for is not what it was: ESTALE.
    """

    step = ""

    def _may_be(self, step: str) -> None:
        if self.step == step:
            self.step = ""
            raise OSError(errno.ESTALE, os.strerror(errno.ESTALE))

    def open_directory(self, name: str, at: int | None = None) -> int:
        self._may_be("open_directory")
        return super().open_directory(name, at)

    def listdir(self, at: int) -> Any:
        self._may_be("listdir")
        return super().listdir(at)

    def rename(self, old: str, new: str, old_at: int, new_at: int) -> None:
        self._may_be("rename")
        super().rename(old, new, old_at, new_at)

    def fsync(self, descriptor: int) -> None:
        self._may_be("fsync")
        super().fsync(descriptor)


@pytest.fixture
def disk() -> Stale:
    return Stale()


@pytest.mark.parametrize("step", ["open_directory", "listdir", "rename", "fsync"])
async def test_a_stale_handle_is_a_refusal_and_never_an_expunge(
    site: Site, disk: Stale, step: str
) -> None:
    """
    DS-14, DS-11: as a network file system says of a directory that was replaced. The next try
    works.
    """
    site.options = StoreOptions(mirror="never")
    account = await site.account()
    uids = await put(account, "INBOX", message("a"), message("b"), flags=["\\Seen"])
    mailbox = await account.select("INBOX")

    async def change() -> None:
        site.deliver(message("c"))
        os.utime(site.maildir() / "cur")
        await mailbox.sync()
        await put(account, "INBOX", message("d"))

    disk.step = step
    with pytest.raises(errors.StoreFailed):
        await change()
    assert not disk.step
    assert list(mailbox.rows.uids)[:2] == list(uids)
    await change()
    await mailbox.sync()
    fresh = await (await site.account()).select("INBOX")
    assert list(fresh.rows.uids)[:2] == list(uids)
    assert list(fresh.rows.flags)[:2] == [SEEN, SEEN]
    assert len(fresh.rows) >= 5
