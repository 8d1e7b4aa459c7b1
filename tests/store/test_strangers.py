"""
Mailboxes that were never looked at, taken in together while somebody asks for the STATUS of each.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import apsw
import pytest

from mailaccess.errors import Refused
from mailaccess.store.disk import Disk
from mailaccess.store.maildir import fsck, index, strangers, uidlist

from .conftest import Site, message

FOLDERS = 40


class Noting(Disk):
    """
    Notes what is synced and renamed, and commits.
    """

    def __init__(self) -> None:
        self.calls: list[tuple[str, str]] = []

    def fsync(self, descriptor: int) -> None:
        self.calls.append(("fsync", os.readlink(f"/proc/self/fd/{descriptor}")))
        super().fsync(descriptor)

    def rename(self, old: str, new: str, old_at: int, new_at: int) -> None:
        self.calls.append(("rename", f"{os.readlink(f'/proc/self/fd/{new_at}')}/{new}"))
        super().rename(old, new, old_at, new_at)


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> Noting:
    disk = Noting()
    real = index.connect

    def connect(path: str, writer: bool) -> apsw.Connection:
        connection = real(path, writer)
        if writer:

            def hook() -> bool:
                disk.calls.append(("commit", ""))
                return False

            connection.set_commit_hook(hook)
        return connection

    monkeypatch.setattr(index, "connect", connect)
    return disk


async def _account(site: Site) -> Any:
    """
    Half of the folders have a list of Dovecot's, the others none.
    """
    account = await site.account()
    for number, name in enumerate(_names()):
        folder = site.maildir() / f".{name}"
        for below in ("cur", "new", "tmp"):
            (folder / below).mkdir(parents=True)
        (folder / "cur" / f"17.{number}.host:2,S").write_bytes(message("seen"))
        (folder / "new" / f"18.{number}.host").write_bytes(message("new"))
        if number % 2:
            (folder / "dovecot-uidlist").write_text(
                f"3 V{1000 + number} N30\n7 :17.{number}.host\n"
            )
    return account


def _names() -> Iterator[str]:
    return (f"F{number:03}" for number in range(FOLDERS))


def _adopted(site: Site) -> set[Path]:
    return set(site.maildir().glob(f".F*/{uidlist.FILE}"))


async def test_they_are_counted_as_one_by_one_and_keep_their_uids(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """DS-04: whoever asks for a second one has others taken in with it."""
    monkeypatch.setattr(strangers, "_SECONDS", 60.0)
    account = await _account(site)
    validities = set()
    for number, name in enumerate(_names()):
        found = await account.status(name)
        assert (found.messages, found.unseen) == (2, 1)
        if number % 2:
            assert (found.uid_validity, found.uid_next) == (1000 + number, 31)
        else:
            assert found.uid_next == 3
        validities.add(found.uid_validity)
        if number == 1:
            with account.reading():
                assert len(account.index.adopted()) == 33
    assert len(validities) == FOLDERS
    mailbox = await account.select("F001")
    assert list(mailbox.rows.uids) == [7, 30]
    site.stop()
    wrong = [each for each in fsck.check(Disk(), str(site.maildir())) if each.level == "error"]
    assert wrong == []


async def test_new_ones_get_a_greater_uidvalidity_than_any(site: Site) -> None:
    """DS-04: also if the record and a list are lost."""
    account = await _account(site)
    for name in _names():
        await account.status(name)
    highest = max([(await account.status(name)).uid_validity for name in _names()])
    await account.create("New")
    assert (await account.status("New")).uid_validity > highest


async def test_lists_are_durable_before_the_record_is(site: Site, disk: Noting) -> None:
    """DS-01, DS-04: UIDVALIDITY outlives the record, after a power cut, too."""
    account = await _account(site)
    disk.calls.clear()
    for name in _names():
        await account.status(name)
    put = [what for step, what in disk.calls if step == "rename" and what.endswith(uidlist.FILE)]
    assert len(put) == FOLDERS
    for path in put:
        at = disk.calls.index(("rename", path))
        commit = disk.calls.index(("commit", ""), at)
        assert ("fsync", os.path.dirname(path)) in disk.calls[at:commit]
        assert any(
            step == "fsync" and what.startswith(path + ".") for step, what in disk.calls[:at]
        )


async def test_who_asks_for_one_disturbs_no_other(site: Site) -> None:
    account = await _account(site)
    await account.status("F003")
    assert _adopted(site) == {site.maildir() / ".F003" / uidlist.FILE}
    await account.status("F003")
    assert len(_adopted(site)) == 1
    with pytest.raises(Refused):
        await account.status("Nobody")
    assert len(_adopted(site)) == 1


async def test_one_that_is_broken_fails_alone(site: Site) -> None:
    """DS-11."""
    account = await _account(site)
    broken = site.maildir() / ".F004"
    os.rename(broken / "cur", broken / "elsewhere")
    os.symlink("elsewhere", broken / "cur")
    (site.maildir() / ".F006" / uidlist.FILE).mkdir()
    for name in _names():
        if name in ("F004", "F006"):
            with pytest.raises(Refused):
                await account.status(name)
        else:
            assert (await account.status(name)).messages == 2


async def test_two_sessions_may_ask_at_the_same_time(site: Site) -> None:
    from twisted.internet.defer import Deferred, gatherResults

    account = await _account(site)
    other = await site.account()

    async def sweep(one: Any) -> list[Any]:
        return [await one.status(name) for name in _names()]

    first, second = await gatherResults(
        [Deferred.fromCoroutine(sweep(each)) for each in (account, other)]
    )
    third = await sweep(account)
    for found in (second, third):
        assert [(each.uid_validity, each.uid_next, each.messages) for each in found] == [
            (each.uid_validity, each.uid_next, each.messages) for each in first
        ]


async def test_flags_that_others_set_meanwhile_are_seen(site: Site) -> None:
    account = await _account(site)
    for name in list(_names())[:3]:
        await account.status(name)
    folder = site.maildir() / ".F010"
    assert (folder / uidlist.FILE).exists()
    os.rename(folder / "cur" / "17.10.host:2,S", folder / "cur" / "17.10.host:2,")
    os.utime(folder / "cur", ns=(1, 1))
    assert (await account.status("F010")).unseen == 2
