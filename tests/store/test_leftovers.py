"""
What a crash leaves that no intent tells of, and jobs that meet in one transaction.
"""

from __future__ import annotations

import os

import pytest
from twisted.internet.defer import Deferred, DeferredList

from mailaccess import errors
from mailaccess.interfaces import FLAGGED, KEYWORD_BIT, SEEN
from mailaccess.store.disk import Disk
from mailaccess.store.options import StoreOptions

from .conftest import Site, message, nap, put, until


class Stuck(Disk):
    """
    Directories cannot be synced.
    """

    failing = False

    def fsync(self, descriptor: int) -> None:
        if self.failing and os.path.isdir(f"/proc/self/fd/{descriptor}"):
            raise OSError(5, "disk failed")
        super().fsync(descriptor)


@pytest.fixture
def disk() -> Stuck:
    return Stuck()


@pytest.fixture
def options() -> StoreOptions:
    return StoreOptions(mirror="never")


async def test_a_delivery_whose_move_was_lost_keeps_its_uid_and_flags(site: Site) -> None:
    """
    DS-01: moving from new/ to cur/ is not synced; the file is found in new/ again.
    """
    account = await site.account()
    base = site.deliver(message("a"))
    mailbox = await account.select("INBOX")
    await mailbox.store([1], "add", ["\\Flagged"])
    site.stop()
    top = site.maildir()
    os.rename(top / "cur" / f"{base}:2,", top / "new" / base)
    site.deliver(message("b"))
    mailbox = await (await site.account()).select("INBOX")
    assert list(mailbox.rows.uids) == [1, 2]
    assert list(mailbox.rows.flags) == [FLAGGED, 0]
    assert await mailbox.octets(1) == message("a")


async def test_a_keyword_whose_first_message_was_not_committed_keeps_its_name(site: Site) -> None:
    """
    DS-02: the file of keywords is written before the commit.
    """
    account = await site.account()
    mailbox = await account.select("INBOX")
    (site.maildir() / "dovecot-keywords").write_text("0 $Junk\n")
    (site.maildir() / "cur" / "1.left.behind:2,Sa").write_bytes(b"a: b\n\n")
    await until_rows(mailbox)
    assert list(mailbox.keywords) == ["$Junk"]
    assert list(mailbox.rows.flags) == [SEEN | 1 << KEYWORD_BIT]


async def until_rows(mailbox: object) -> None:
    for _ in range(1000):
        await mailbox.sync()  # type: ignore[attr-defined]
        if len(mailbox.rows):  # type: ignore[attr-defined]
            return
        await nap(0.01)
    raise AssertionError("nothing came")


async def test_flags_whose_mirroring_failed_are_not_taken_back(site: Site, disk: Stuck) -> None:
    """
    DS-10: a name that the record does not know would look like somebody else's change.
    """
    site.options = StoreOptions(mirror="immediate")
    account = await site.account()
    await put(account, "INBOX", message("a"))
    mailbox = await account.select("INBOX")
    failed: list[object] = []
    account.failed = lambda failure, what: failed.append(failure)
    disk.failing = True
    await mailbox.store([1], "add", ["\\Flagged"])
    await until(lambda: failed)
    disk.failing = False
    await mailbox.store([1], "remove", ["\\Flagged"])
    for _ in range(5):
        os.utime(site.maildir() / "cur")
        await mailbox.sync()
    assert list(mailbox.rows.flags) == [0]


async def test_a_mailbox_is_renamed_in_the_transaction_that_delivers_into_it(site: Site) -> None:
    account = await site.account()
    await account.create("Work")
    work = await account.select("Work")
    await put(account, "Work", message("a"))
    await work.sync()
    waiting = [
        Deferred.fromCoroutine(each)
        for each in (
            put(account, "Work", message("b")),
            work.store([1], "add", ["\\Seen"]),
            account.rename("Work", "Done"),
            account.create("Else"),
            account.delete("Else"),
        )
    ]
    results = await DeferredList(waiting, consumeErrors=True)
    assert [good for good, _ in results] == [True] * 5
    mailbox = await account.select("Done")
    assert list(mailbox.rows.uids) == [1, 2]
    assert mailbox.rows.flags[0] == SEEN


async def test_deleted_mailboxes_are_not_removed_before_the_commit(site: Site) -> None:
    """
    DS-10: a DELETE that is refused leaves the mailbox, whatever another process tidies up.
    """
    account = await site.account()
    await account.create("Work")
    await put(account, "Work", message("a"))
    going = site.maildir() / "mailaccess" / "going.1234"
    going.mkdir()
    disk = account.tree.disk
    disk.failing = True
    with pytest.raises(errors.StoreFailed):
        await account.delete("Work")
    disk.failing = False
    other = await site.account()
    assert going.exists()
    assert len((await other.select("Work")).rows) == 1
