"""
The end of the list of UIDs, where a process died that had given some.
"""

from __future__ import annotations

import errno
from pathlib import Path

import pytest

from mailaccess.errors import Refused
from mailaccess.store.disk import Disk, Tree
from mailaccess.store.maildir import dovecot, uidlist
from mailaccess.store.options import StoreOptions

from .conftest import Site, message, put


def listed(path: Path) -> dict[str, int]:
    found = uidlist.parse_ours(path.read_text())
    assert found is not None
    return dict(found.uids)


def test_uids_that_were_never_committed_are_taken_back(tmp_path: Path) -> None:
    """
    DS-01, DS-04: those given later as well. Their lines need not be synced: after a power cut the
    list says nothing of them, rather than what never was.
    """
    path = tmp_path / uidlist.FILE
    path.write_text("mailaccess-uidlist 1 7\nR 1001\n1 a\n2 b\n\n3 dead\n4 dead4\n5 dead5\n")
    tree = Tree(Disk(), str(tmp_path))
    size = uidlist.append(tree, "", "3 c\n", False, -1)
    after_sync = path.read_bytes()
    uidlist.append(tree, "", "4 d\n", False, size)
    assert listed(path) == {"a": 1, "b": 2, "c": 3, "d": 4}
    # The power went off: what was not synced is lost.
    path.write_bytes(after_sync)
    assert listed(path) == {"a": 1, "b": 2, "c": 3}


def test_many_lines_of_the_dead_are_found(tmp_path: Path) -> None:
    """As a copy of ten thousand messages leaves them, the last cut off."""
    path = tmp_path / uidlist.FILE
    dead = "".join(f"{uid} {uid:060}.dead\n" for uid in range(3, 10_003))
    path.write_text("mailaccess-uidlist 1 7\nR 20000\n1 a\n2 b\n\n" + dead + "10003 de")
    uidlist.append(Tree(Disk(), str(tmp_path)), "", "3 c\n", False, -1)
    assert listed(path) == {"a": 1, "b": 2, "c": 3}


def test_a_list_that_makes_no_sense_takes_no_time(tmp_path: Path) -> None:
    path = tmp_path / uidlist.FILE
    path.write_bytes(b"x" * (30 << 20))
    uidlist.append(Tree(Disk(), str(tmp_path)), "", "3 c\n", False, -1)
    assert path.read_bytes().endswith(b"\n3 c\n")


class Failing(Disk):
    """
    One file is there, and the disk does not give it.
    """

    def __init__(self, name: str, error: int) -> None:
        self.name, self.error = name, error

    def read(self, name: str, at: int, limit: int = -1) -> bytes:
        if name == self.name:
            raise OSError(self.error, "no", name)
        return super().read(name, at, limit)


@pytest.mark.parametrize("error", [errno.EIO, errno.EMFILE, errno.EACCES, errno.ENOMEM])
@pytest.mark.parametrize("name", [uidlist.FILE, dovecot.KEYWORDS])
async def test_what_cannot_be_read_now_is_not_taken_for_lost(
    tmp_path: Path, name: str, error: int
) -> None:
    """DS-04, DS-11: the record is lost; a moment without file descriptors costs no UID besides."""
    site = Site(tmp_path, StoreOptions(mirror="immediate"), Disk())
    try:
        account = await site.account()
        await put(account, "INBOX", message("1"))
        await put(account, "INBOX", message("2"), flags=["work"])
        mailbox = await account.select("INBOX")
        validity = mailbox.uid_validity
        await mailbox.remove([1])
        site.stop()
        for path in (site.maildir() / "mailaccess").glob("index.db*"):
            path.unlink()
        site.disk = Failing(name, error)
        account = await site.account()
        with pytest.raises(Refused):
            await account.select("INBOX")
        site.stop()
        site.disk = Disk()
        mailbox = await (await site.account()).select("INBOX")
        assert (mailbox.uid_validity, list(mailbox.rows.uids)) == (validity, [2])
        assert list(mailbox.keywords) == ["work"]
    finally:
        site.stop()


async def test_a_uidvalidity_that_cannot_be_read_now_is_not_taken_for_none(tmp_path: Path) -> None:
    """DS-04, DS-11: a mailbox that is made gets none that may have been given before."""
    site = Site(tmp_path, StoreOptions(), Disk())
    try:
        await (await site.account()).create("Before")
        site.stop()
        site.disk = Failing(index_validity(site), errno.EIO)
        account = await site.account()
        with pytest.raises(Refused):
            await account.create("After")
        site.stop()
        site.disk = Disk()
        await (await site.account()).create("After")
    finally:
        site.stop()


def index_validity(site: Site) -> str:
    [path] = (site.maildir() / "mailaccess").glob("uidvalidity")
    return path.name
