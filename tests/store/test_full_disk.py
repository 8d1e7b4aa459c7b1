"""
A disk that is full to the last octet: on a small file system where one can be mounted, else played.
"""

from __future__ import annotations

import errno
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import apsw
import attrs
import pytest

from mailaccess import errors
from mailaccess.interfaces import Identity
from mailaccess.store.disk import Disk
from mailaccess.store.maildir import reserve
from mailaccess.store.options import StoreOptions

from ..torture.syncs import watch_sqlite
from .conftest import Site, message, put

BIG = b"x" * 200_000


class Played(Disk):
    """
    Full until something is removed.
    """

    room = 1 << 40

    def write(self, descriptor: int, data: bytes) -> None:
        self.take(len(data))
        super().write(descriptor, data)

    def unlink(self, name: str, at: int) -> None:
        self.room += self.stat(name, at).st_size
        super().unlink(name, at)

    def take(self, octets: int) -> None:
        """
        Room that is used.
        """
        if self.room < octets:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        self.room -= octets


@attrs.define
class Small:
    """
    A disk with little room; C{fill} takes all of it.
    """

    root: Path
    disk: Played
    mounted: bool

    def fill(self) -> None:
        """
        To the last octet.
        """
        if not self.mounted:
            self.disk.room = 0
            return
        descriptor = os.open(self.root / "ballast", os.O_CREAT | os.O_WRONLY | os.O_APPEND)
        try:
            for size in (65536, 1):
                while os.write(descriptor, b"x" * size):
                    pass
        except OSError:
            pass
        finally:
            os.close(descriptor)


def _mount(place: Path) -> bool:
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=8m", "none", place], capture_output=True, check=False
    )
    return done.returncode == 0


@pytest.fixture(params=["mounted where possible", "played"])
def small(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Small]:
    place = tmp_path / "small"
    place.mkdir()
    disk = Played()
    if request.param != "played" and _mount(place):
        yield Small(place, disk, True)
        subprocess.run(["umount", "-l", place], check=True)
        return
    made = Small(place, disk, False)

    def writing(path: str) -> None:
        if "index.db" in path:
            try:
                disk.take(4096)
            except OSError as error:
                raise apsw.FullError("full") from error

    files = watch_sqlite(lambda _: None, lambda _path, _data: None, writing)
    real = reserve.give_up

    def give_up(tree: Any) -> bool:
        given = real(tree)
        disk.room += reserve.SIZE * given
        return given

    monkeypatch.setattr(reserve, "give_up", give_up)
    monkeypatch.setattr(reserve, "is_full", lambda _: disk.room <= reserve.SIZE)
    yield made
    files.unregister()


@pytest.fixture
def site(small: Small, on_reactor: Any) -> Iterator[Site]:
    made = Site(small.root, StoreOptions(mirror="never"), small.disk)
    for below in ("cur", "new", "tmp"):
        (made.maildir() / below).mkdir(parents=True)
    yield made

    async def stop() -> None:
        made.stop()

    on_reactor(stop)


async def _refused(account: Any) -> None:
    with pytest.raises(errors.OverQuota):
        await put(account, "INBOX", message("new", "y" * 5000))


@pytest.mark.parametrize("fresh", [False, True], ids=["in a session", "after a new login"])
async def test_on_a_full_disk_mail_is_read_and_expunged_and_not_uploaded(
    site: Site, small: Small, fresh: bool
) -> None:
    """
    DS-09.
    """
    accounts = site.accounts()
    account = await accounts.account(Identity("amy"))
    await put(account, "INBOX", message("a"), message("b", BIG.decode()), message("c"))
    mailbox = await account.select("INBOX")
    if fresh:
        accounts.stop()
    small.fill()
    if fresh:
        accounts = site.accounts()
        account = await accounts.account(Identity("amy"))
        mailbox = await account.select("INBOX")
    await _refused(account)
    assert os.listdir(site.maildir() / "tmp") == []
    assert await mailbox.octets(1) == message("a")
    stored = await mailbox.store([2, 3], "add", ["\\Deleted"])
    assert list(stored.changed) == [2, 3]
    assert list(await mailbox.expunge()) == [2, 3]
    changes = await mailbox.sync()
    assert list(changes.expunged_uids) == [2, 3]
    assert list(mailbox.rows.uids) == [1]
    if small.mounted:
        os.unlink(small.root / "ballast")
    else:
        small.disk.room = 1 << 40
    assert list(await put(account, "INBOX", message("d"))) == [4]
    assert list(await mailbox.remove([1])) == [1]
    assert (site.maildir() / "mailaccess" / reserve.FILE).stat().st_size == reserve.SIZE


async def test_what_others_changed_on_a_full_disk_does_not_keep_mail_from_being_read(
    site: Site, small: Small
) -> None:
    """
    DS-09.
    """
    account = await site.account()
    await put(account, "INBOX", message("a"), message("b"))
    mailbox = await account.select("INBOX")
    # The reserve is made by the writer, whenever it comes to it.
    small.fill()
    (site.maildir() / "mailaccess" / reserve.FILE).unlink(missing_ok=True)
    small.fill()
    name = next(iter(site.cur().values()))
    os.rename(site.maildir() / "cur" / name, site.maildir() / "cur" / f"{name}F")
    await mailbox.sync()
    assert await mailbox.octets(1) == message("a")
    assert await mailbox.octets(2) == message("b")
