"""
A process that dies between any two steps on files: what it had not committed is put back (DS-16).
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from typing import Any

import pytest

from mailaccess.store.disk import Disk, Tree
from mailaccess.store.maildir import index, intents
from mailaccess.store.maildir.deliver import Deliver, Part, Transfer
from mailaccess.store.maildir.folders import Delete, Rename
from mailaccess.store.maildir.ledger import Job, Ledger
from mailaccess.store.options import StoreOptions

from .conftest import Site, message, put


class Died(BaseException):
    """
    The process is gone: nothing of it runs any more.
    """


class Mortal(Disk):
    """
    Dies before the I{n}-th rename or link.
    """

    left = 0
    links = True

    def _step(self) -> None:
        self.left -= 1
        if not self.left:
            raise Died

    def rename(self, old: str, new: str, old_at: int, new_at: int) -> None:
        self._step()
        super().rename(old, new, old_at, new_at)

    def link(self, old: str, new: str, old_at: int, new_at: int) -> None:
        if not self.links:
            raise OSError(errno.EPERM, os.strerror(errno.EPERM))
        self._step()
        super().link(old, new, old_at, new_at)


@pytest.fixture
def options() -> StoreOptions:
    # No name tells flags: they are lost with a name that the record does not know.
    return StoreOptions(mirror="never")


JOBS: dict[str, Callable[[int, int], Job]] = {
    "upload": lambda inbox, work: Deliver(
        inbox, "", [Part(("\\Seen",), None, [message(str(number))]) for number in range(3)]
    ),
    "copy": lambda inbox, work: Transfer(inbox, [1, 2, 3], work, move=False),
    "move": lambda inbox, work: Transfer(inbox, [1, 2, 3], work, move=True),
    "rename": lambda inbox, work: Rename("Work", "Other"),
    "delete": lambda inbox, work: Delete("Work"),
}


async def _everything(site: Site) -> dict[str, Any]:
    account = await site.account()
    found: dict[str, Any] = {}
    for info in await account.mailboxes():
        if not info.selectable:
            continue
        mailbox = await account.select(info.name)
        found[info.name] = [
            (uid, flags, await mailbox.octets(uid))
            for uid, flags in zip(mailbox.rows.uids, mailbox.rows.flags, strict=True)
        ]
    account.accounts.stop()
    return found


async def _filled(site: Site) -> tuple[int, int]:
    account = await site.account()
    await account.create("Work/Below")
    await put(account, "INBOX", *[message(mark) for mark in "abc"])
    await put(account, "Work", message("d"))
    await put(account, "Work/Below", message("e"))
    for name in ("INBOX", "Work", "Work/Below"):
        mailbox = await account.select(name)
        await mailbox.store([1], "add", ["\\Flagged", "$Kept"])
    boxes = (await account.box("INBOX")).id, (await account.box("Work")).id
    account.accounts.stop()
    return boxes


def _die(site: Site, disk: Mortal, job: Job) -> bool:
    """
    Whether the process died before it was done.
    """
    ledger = Ledger(Tree(disk, str(site.maildir())))
    ledger.inode = index.inode_of(ledger.path)
    try:
        ledger.run([job])
    except Died:
        return True
    finally:
        ledger.close()
    return False


@pytest.mark.parametrize("links", [True, False], ids=["with links", "without links"])
@pytest.mark.parametrize("name", JOBS)
async def test_what_a_dead_process_left_half_done_is_put_back(
    site: Site, name: str, links: bool
) -> None:
    """
    DS-02, DS-16: at every step, with all UIDs and flags as they were.
    """
    boxes = await _filled(site)
    before = await _everything(site)
    disk = Mortal()
    disk.links = links
    states = []
    for number in range(1, 20):
        disk.left = number
        if not _die(site, disk, JOBS[name](*boxes)):
            break
        states.append(await _everything(site))
        assert not intents.pending(Tree(Disk(), str(site.maildir())))
    after = await _everything(site)
    assert after != before
    assert states[0] == before
    # Behind the commit there is nothing left to be put back.
    assert all(state in (before, after) for state in states)


async def test_another_process_puts_back_what_a_dead_one_left(site: Site) -> None:
    """
    DS-16: one that had the account open all the time.
    """
    boxes = await _filled(site)
    account = await site.account()
    mailbox = await account.select("INBOX")
    disk = Mortal()
    disk.left = 3
    assert _die(site, disk, JOBS["upload"](*boxes))
    await mailbox.sync()
    assert list(mailbox.rows.uids) == [1, 2, 3]
    assert len(site.cur()) == 3
    assert list(await put(account, "INBOX", message("x"))) == [4]


async def test_an_old_intent_takes_nothing_away(site: Site) -> None:
    """
    DS-02: one that comes back after a power cut, of a job that was committed.
    """
    boxes = await _filled(site)
    tree = Tree(Disk(), str(site.maildir()))
    noted: list[bytes] = []
    real = intents.clear
    path = site.maildir() / index.DIRECTORY / intents.FILE
    ledger = Ledger(tree)
    ledger.inode = index.inode_of(ledger.path)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(intents, "clear", lambda t: noted.append(path.read_bytes()) or real(t))
        for name in ("upload", "copy", "rename"):
            ledger.run([JOBS[name](*boxes)])
    ledger.close()
    before = await _everything(site)
    path.write_bytes(b"".join(noted) + b'\n{"torn')
    assert len(intents.load(tree)) == 4
    assert await _everything(site) == before
    assert not intents.pending(tree)
