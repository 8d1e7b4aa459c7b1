"""
Accounts of Courier that are taken over, and takings over that break off.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mailaccess.errors import Refused
from mailaccess.interfaces import KEYWORD_BIT, SEEN
from mailaccess.store.disk import Disk
from mailaccess.store.maildir import fsck
from mailaccess.store.maildir.takeover import NoMaildir, take_over

from .conftest import Site
from .test_take_over import (
    courier,
    maildir,
    told,
    uids,
)


async def test_courier_s_keywords_folders_and_subscriptions_are_kept(site: Site) -> None:
    top = courier(site.maildir())
    account = await site.account()
    mailbox = await account.select("INBOX")
    assert list(mailbox.rows.uids) == [3, 7, 9]
    flags = [
        {name for bit, name in enumerate(mailbox.keywords) if mask >> (KEYWORD_BIT + bit) & 1}
        for mask in mailbox.rows.flags
    ]
    # The newest note of a message counts; one without a number is the newest.
    assert flags == [{"Work"}, {"$Label1", "New"}, {"Work"}]
    assert mailbox.rows.flags[0] & SEEN
    assert [info.name for info in await account.mailboxes()] == ["INBOX", "A & B", "Entwürfe"]
    assert await account.subscriptions() == ["A & B", "Entwürfe", "INBOX"]
    assert list((await account.select("Entwürfe")).rows.uids) == [1]
    assert dict(await mailbox.unique_ids()) == {3: b"UID1-999", 7: b"UID2-999"}
    await account.unsubscribe("A & B")
    assert await account.subscriptions() == ["Entwürfe", "INBOX"]
    assert (top / "courierimapsubscribed").read_text().count("\n") == 3


async def test_keywords_that_were_taken_off_do_not_come_back_with_a_new_record(site: Site) -> None:
    """Courier's files are looked at once."""
    top = courier(site.maildir())
    account = await site.account()
    mailbox = await account.select("INBOX")
    await mailbox.store([3, 7, 9], "remove", list(mailbox.keywords))
    account.accounts.stop()
    for path in (top / "mailaccess").glob("index.db*"):
        path.unlink()
    account = await site.account()
    mailbox = await account.select("INBOX")
    assert [mask >> KEYWORD_BIT for mask in mailbox.rows.flags] == [0, 0, 0]


def test_of_too_many_keywords_the_most_used_are_kept(tmp_path: Path) -> None:
    names = [f"k{number}" for number in range(40)]
    top = maildir(tmp_path / "mail", *(f"{number}.host:2," for number in range(40)))
    (top / "courierimapuiddb").write_text("1 5 6\n")
    (top / "courierimapkeywords").mkdir()
    lines = [f"{number}.host:39 {number}\n" for number in range(40)]
    (top / "courierimapkeywords" / ":list").write_text("\n".join(names) + "\n\n" + "".join(lines))
    (found,) = take_over(Disk(), str(top))
    assert found.doubts == ("14 keywords are too many to be kept",)
    assert (top / "dovecot-keywords").read_text().startswith("0 k39\n")
    assert all("a" in name.partition(":2,")[2] for name in os.listdir(top / "cur"))


def test_a_folder_in_utf_8_stays_where_its_name_is_taken(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """No message goes, and it is said which are not served."""
    top = maildir(tmp_path / "mail")
    maildir(top / ".Entwürfe", "a.host:2,")
    maildir(top / ".Entw&APw-rfe", "b.host:2,")
    maildir(top / ".x&y", "c.host:2,")
    maildir(top / ".~no", "d.host:2,")
    maildir(top / "Archive", "e.host:2,")
    status, found = told(capsys, "adopt", "--json", top)
    assert sorted(each["mailbox"] for each in found["mailboxes"]) == ["Entwürfe", "INBOX", "x&y"]
    assert status == 0
    assert found["notes"] == [
        "'.Entwürfe' stays as it is and is not served: '.Entw&APw-rfe' is there, too",
        "'.x&y' gets the name '.x&-y', from UTF-8",
        "'.~no' is not served: its name is none that a mailbox can have",
        "'Archive' is not served: folders in folders, as with Dovecot's LAYOUT=fs, are not read",
    ]
    assert (top / ".Entwürfe" / "cur" / "a.host:2,").exists()
    assert (top / ".x&-y" / "cur" / "c.host:2,").exists()


async def test_a_folder_that_cannot_be_renamed_does_not_shut_anybody_out(
    site: Site, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    top = courier(site.maildir())
    rename = Disk.rename

    def refuse(self: Disk, old: str, new: str, old_at: int, new_at: int) -> None:
        if old == ".Entwürfe":
            raise OSError(errno.EACCES, "not yours")
        rename(self, old, new, old_at, new_at)

    monkeypatch.setattr(Disk, "rename", refuse)
    status, found = told(capsys, "adopt", "--json", top)
    said = "'.Entwürfe' is not served: the system does not let its directory be renamed"
    assert (status, found["mailboxes"][-1]["doubts"]) == (1, [said])
    assert sorted((await uids(site))[1].values()) == [3, 7, 9]


def _fails_at(monkeypatch: pytest.MonkeyPatch, step: str, number: int) -> list[int]:
    whole: Callable[..., Any] = getattr(Disk, step)
    count = [0]

    def fail(self: Disk, *arguments: Any) -> Any:
        count[0] += 1
        if count[0] == number:
            raise OSError(errno.EIO, "broken")
        return whole(self, *arguments)

    monkeypatch.setattr(Disk, step, fail)
    return count


@pytest.mark.parametrize("step", ["fsync", "rename", "create", "write"])
def test_taking_over_may_break_off_anywhere_and_be_done_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    """DS-10: whatever fails, the next attempt keeps the same, and Courier's files are untouched."""
    wanted = list(take_over(Disk(), str(courier(tmp_path / "whole"))))
    for number in range(1, 60):
        top = courier(tmp_path / f"{step}{number}")
        kept = {
            name: (top / name).read_bytes()
            for name in os.listdir(top)
            if "courier" in name and (top / name).is_file()
        }
        count = _fails_at(monkeypatch, step, number)
        try:
            list(take_over(Disk(), str(top)))
            failed = False
        except (Refused, NoMaildir, OSError):
            failed = True
        monkeypatch.undo()
        found = {each.mailbox: each for each in take_over(Disk(), str(top))}
        for each in wanted:
            other = found[each.mailbox]
            assert (other.uid_validity, other.messages, other.kept) == (
                (each.uid_validity if other.kept else other.uid_validity),
                each.messages,
                each.kept,
            )
            assert (other.keywords, other.unique_ids) == (each.keywords, each.unique_ids)
        assert {name: (top / name).read_bytes() for name in kept} == kept
        errors = [each for each in fsck.check(Disk(), str(top), deep=True) if each.level == "error"]
        assert errors == []
        if not failed and count[0] < number:
            return
    raise AssertionError("there is always one more")
