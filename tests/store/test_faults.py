"""
Disks that fail, processes that stand still, descriptors that run out: told as they are.
"""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import apsw
import pytest

from mailaccess import errors
from mailaccess.interfaces import SEEN
from mailaccess.store.disk import Disk
from mailaccess.store.maildir import fsck, index
from mailaccess.store.options import StoreOptions

from ..torture.syncs import watch_sqlite
from .conftest import Site, message, nap, put


class Failing(Disk):
    """
    One kind of step fails from its I{n}-th on.
    """

    step = ""
    left = 0
    error = errno.EIO
    failed = 0

    def _count(self, step: str) -> None:
        if step == self.step:
            self.left -= 1
            if self.left <= 0:
                self.failed += 1
                raise OSError(self.error, os.strerror(self.error))

    def unlink(self, name: str, at: int) -> None:
        self._count("unlink")
        super().unlink(name, at)

    def fsync(self, descriptor: int) -> None:
        self._count("fsync")
        super().fsync(descriptor)

    def open_directory(self, name: str, at: int | None = None) -> int:
        self._count("open_directory")
        return super().open_directory(name, at)

    def stat(self, name: str, at: int) -> os.stat_result:
        self._count("stat")
        return super().stat(name, at)

    def read(self, name: str, at: int, limit: int = -1) -> bytes:
        self._count("read")
        return super().read(name, at, limit)


@pytest.fixture
def disk() -> Failing:
    return Failing()


@pytest.fixture
def options() -> StoreOptions:
    return StoreOptions(mirror="never")


async def _look(site: Site) -> dict[int, bytes]:
    """
    What somebody sees who comes anew.
    """
    account = await site.account()
    mailbox = await account.select("INBOX")
    found = {uid: await mailbox.octets(uid) for uid in mailbox.rows.uids}
    account.accounts.stop()
    return found


def _errors(site: Site) -> list[Any]:
    found = fsck.check(Disk(), str(site.maildir()), deep=True)
    return [each for each in found if each.level == "error"]


@pytest.mark.parametrize("step", ["unlink", "fsync", "open_directory", "stat"])
@pytest.mark.parametrize("way", ["expunge", "remove"])
async def test_a_removal_that_fails_tells_and_what_it_removed_is_gone(
    site: Site, disk: Failing, step: str, way: str
) -> None:
    """
    DS-09, DS-10: NO at every step; each message is there in full or expunged, never between, and
    what is left can be removed.
    """
    for number in range(1, 200):
        account = await site.account(f"u{number}")
        uids = await put(account, "INBOX", *[message(str(n)) for n in range(5)])
        mailbox = await account.select("INBOX")
        await mailbox.store(uids[:4], "add", ["\\Deleted"])
        disk.step, disk.left, disk.error = step, number, (errno.EIO, errno.ENOSPC)[number % 2]
        disk.failed = 0
        wanted = mailbox.expunge() if way == "expunge" else mailbox.remove(uids[:4])
        refused = None
        try:
            await wanted
        except errors.Refused as error:
            refused = error
        failed, disk.step = disk.failed, ""
        if not failed:
            assert refused is None
            break
        assert refused is not None
        assert isinstance(refused, errors.OverQuota | errors.StoreFailed)
        await _settled(mailbox)
        told = list(mailbox.rows.uids)
        assert told[-1] == uids[4]
        for uid in told:
            assert await mailbox.octets(uid)
        files = os.listdir(site.maildir(f"u{number}") / "cur")
        assert len(files) == len(told)
        await mailbox.remove(told[:-1])
        await mailbox.sync()
        assert list(mailbox.rows.uids) == uids[4:]
        account.accounts.stop()
    else:
        raise AssertionError("it always fails")
    assert number > 1


async def _settled(mailbox: Any) -> None:
    for _ in range(1000):
        await mailbox.sync()
        if not mailbox.pending(True):
            return
        await nap(0.02)
    raise AssertionError("never quiet")


# ---- SQLite's own syncs -----------------------------------------------------------------------


class Syncs:
    """
    Syncs of the record: the I{n}-th from now on fails, and all after it.
    """

    def __init__(self) -> None:
        self.left = 0
        self.count = 0

    def before(self, path: str) -> None:
        """
        Called by SQLite.
        """
        if "index.db" not in path:
            return
        self.count += 1
        if self.left:
            self.left -= 1
            if not self.left:
                self.left = 1
                raise apsw.IOError("disk failed")


@pytest.fixture
def syncs() -> Iterator[Syncs]:
    made = Syncs()
    files = watch_sqlite(made.before, lambda _path, _data: None)
    yield made
    files.unregister()


CHANGES: dict[str, Callable[[Any, Any], Any]] = {
    "upload": lambda account, mailbox: put(account, "INBOX", message("new"), message("newer")),
    "store": lambda account, mailbox: mailbox.store([1], "add", ["\\Flagged"]),
    "copy": lambda account, mailbox: mailbox.copy([1, 2], "Work"),
    "move": lambda account, mailbox: mailbox.move([1, 2], "Work"),
    "create": lambda account, mailbox: account.create("New"),
    "rename": lambda account, mailbox: account.rename("Work", "Other"),
    "delete": lambda account, mailbox: account.delete("Work"),
}


async def _everything(site: Site) -> dict[str, Any]:
    account = await site.account()
    found: dict[str, Any] = {"subscribed": await account.subscriptions()}
    for info in await account.mailboxes():
        mailbox = await account.select(info.name)
        found[info.name] = [
            (uid, flags, await mailbox.octets(uid))
            for uid, flags in zip(mailbox.rows.uids, mailbox.rows.flags, strict=True)
        ]
    account.accounts.stop()
    return found


@pytest.mark.parametrize("name", CHANGES)
async def test_a_commit_that_cannot_be_synced_is_refused_and_nothing_is_changed(
    site: Site, syncs: Syncs, name: str
) -> None:
    """
    DS-10: SQLite's fsync, failing at the first, the second and so on; the connection that saw it is
    not used again.
    """
    account = await site.account()
    await account.create("Work")
    await put(account, "INBOX", message("a"), message("b"))
    mailbox = await account.select("INBOX")
    await _settled(mailbox)
    before = await _everything(site)
    for number in range(1, 20):
        record = account.ledger.index
        syncs.count, syncs.left = 0, number
        try:
            await CHANGES[name](account, mailbox)
        except errors.StoreFailed:
            assert syncs.count >= number
        else:
            assert syncs.count < number
            break
        finally:
            syncs.left = 0
        assert account.ledger.index is not record
        assert await _everything(site) == before
    assert number > 1
    assert await _everything(site) != before
    await _settled(mailbox)
    account.accounts.stop()
    assert _errors(site) == []


async def test_an_expunge_that_cannot_be_committed_is_refused(site: Site, syncs: Syncs) -> None:
    """
    DS-10: the files are gone already; the next look says so, and nobody is told OK.
    """
    account = await site.account()
    uids = await put(account, "INBOX", message("a"), message("b"))
    mailbox = await account.select("INBOX")
    await _settled(mailbox)
    syncs.left = 1
    with pytest.raises(errors.StoreFailed):
        await mailbox.remove(uids[:1])
    syncs.left = 0
    await _settled(mailbox)
    assert list(mailbox.rows.uids) == uids[1:]
    assert list(await _look(site)) == uids[1:]


# ---- locks ------------------------------------------------------------------------------------

HOLD_MAILDROP = """
import fcntl, sys
file = open(sys.argv[1], "w")
fcntl.flock(file, fcntl.LOCK_EX)
print("held", flush=True)
sys.stdin.read()
"""
HOLD_RECORD = """
import sys, apsw
connection = apsw.Connection(sys.argv[1])
connection.set_busy_timeout(10_000)
connection.execute("BEGIN IMMEDIATE")
print("held", flush=True)
sys.stdin.read()
"""


def _hold(script: str, path: Path) -> subprocess.Popen[str]:
    holder = subprocess.Popen(
        [sys.executable, "-c", script, str(path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert holder.stdout is not None
    assert holder.stdout.readline() == "held\n"
    return holder


def _end(holder: subprocess.Popen[str]) -> None:
    holder.kill()
    holder.communicate()


async def test_a_lock_held_by_a_process_that_stands_still_is_waited_for_so_long(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    DS-13: NO [INUSE], reading goes on, and all is well when the holder dies: the kernel breaks its
    lock.
    """
    assert index.BUSY_MILLISECONDS == 30_000
    monkeypatch.setattr(index, "BUSY_MILLISECONDS", 300)
    account = await site.account()
    await put(account, "INBOX", message("a"))
    mailbox = await account.select("INBOX")
    await _settled(mailbox)
    account.doze()
    holder = _hold(HOLD_RECORD, site.maildir() / "mailaccess" / "index.db")
    try:
        holder.send_signal(signal.SIGSTOP)
        with pytest.raises(errors.InUse):
            await mailbox.store([1], "add", ["\\Seen"])
        await mailbox.sync()
        assert await mailbox.octets(1) == message("a")
        assert mailbox.rows.flags[0] == 0
    finally:
        _end(holder)
    await mailbox.store([1], "add", ["\\Seen"])
    assert mailbox.rows.flags[0] == SEEN


async def test_a_maildrop_held_by_a_process_that_died_is_free(site: Site) -> None:
    """
    DS-13, DS-15.
    """
    account = await site.account()
    path = site.maildir() / "mailaccess" / "maildrop.lock"
    holder = _hold(HOLD_MAILDROP, path)
    with pytest.raises(errors.InUse):
        await account.lock_maildrop()
    _end(holder)
    (await account.lock_maildrop())()


@pytest.mark.parametrize("jump", [-3600, 3600])
async def test_a_clock_that_jumps_does_no_harm(
    site: Site, monkeypatch: pytest.MonkeyPatch, jump: int
) -> None:
    """
    DS-13: deliveries are seen, mod-sequences and UIDVALIDITY grow on.
    """
    import time

    account = await site.account()
    await put(account, "INBOX", message("a"))
    await account.create("One")
    first = await account.status("One")
    mailbox = await account.select("INBOX")
    modseq = mailbox.highest_modseq
    real, real_ns = time.time, time.time_ns
    monkeypatch.setattr(time, "time", lambda: real() + jump)
    monkeypatch.setattr(time, "time_ns", lambda: real_ns() + jump * 10**9)
    site.deliver(message("b"))
    await until_rows(mailbox, 2)
    await put(account, "INBOX", message("c"))
    await mailbox.store([1], "add", ["\\Seen"])
    await mailbox.sync()
    assert list(mailbox.rows.uids) == [1, 2, 3]
    assert mailbox.highest_modseq >= modseq + 3
    await account.create("Two")
    assert (await account.status("Two")).uid_validity > first.uid_validity
    (await account.lock_maildrop())()


async def until_rows(mailbox: Any, count: int) -> None:
    for _ in range(1000):
        await mailbox.sync()
        if len(mailbox.rows) == count:
            return
        await nap(0.01)
    raise AssertionError(f"{len(mailbox.rows)} messages")


# ---- no descriptors ---------------------------------------------------------------------------


@pytest.mark.parametrize("number", [errno.EMFILE, errno.ENFILE, errno.ENOMEM])
async def test_a_failed_open_is_never_taken_for_an_expunge(
    site: Site, disk: Failing, number: int
) -> None:
    """
    DS-11: at every open and stat of a look.
    """
    account = await site.account()
    uids = await put(account, "INBOX", message("a"), message("b"))
    mailbox = await account.select("INBOX")
    await _settled(mailbox)
    disk.error = number
    for step in ("open_directory", "stat", "read"):
        for left in range(1, 12):
            # Something to look at: a file that another program wrote.
            os.utime(site.maildir() / "cur")
            os.utime(site.maildir() / "new")
            disk.step, disk.left = step, left
            try:
                await mailbox.sync()
            except errors.StoreFailed:
                pass
            finally:
                disk.step = ""
            assert list(mailbox.rows.uids) == uids
            assert len(os.listdir(site.maildir() / "cur")) == 2
    await _settled(mailbox)
    assert list(mailbox.rows.uids) == uids


EXHAUSTED = """
import os, resource, sys
from twisted.internet import reactor
from twisted.internet.defer import Deferred
from mailaccess.errors import Refused
from mailaccess.interfaces import Identity
from mailaccess.store.accounts import MaildirAccounts

async def main():
    account = await MaildirAccounts(sys.argv[1] + "/{user}", reactor).account(Identity("amy"))
    mailbox = await account.select("INBOX")
    await mailbox.sync()
    taken = []
    resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))
    try:
        while True:
            taken.append(os.open("/dev/null", os.O_RDONLY))
    except OSError:
        pass
    os.utime(sys.argv[1] + "/amy/Maildir/cur")
    refused = 0
    for call in (
        mailbox.sync,
        lambda: mailbox.octets(3),
        lambda: mailbox.copy([1], "INBOX"),
        lambda: mailbox.remove([2]),
        lambda: account.select("Work"),
        lambda: account.create("New"),
    ):
        try:
            await call()
        except Refused as error:
            refused += error.code == "UNAVAILABLE"
    there = len(mailbox.rows)
    for each in taken:
        os.close(each)
    await mailbox.sync()
    print(refused > 2, there, len(mailbox.rows), len(await mailbox.octets(3)) > 0)

def done(result):
    if result is not None:
        print(result)
    reactor.stop()

reactor.callWhenRunning(lambda: Deferred.fromCoroutine(main()).addBoth(done))
reactor.run()
"""


def test_a_process_without_descriptors_refuses_and_recovers(
    site: Site, on_reactor: Callable[[Callable[[], Any]], Any]
) -> None:
    """
    DS-11: RLIMIT_NOFILE is reached in the middle of a session; what cannot be opened is not gone.
    """

    async def fill() -> None:
        account = await site.account()
        await account.create("Work")
        await put(account, "INBOX", *[message(str(number)) for number in range(5)])
        site.stop()

    on_reactor(fill)
    done = subprocess.run(
        [sys.executable, "-c", EXHAUSTED, str(site.root)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        cwd=Path(__file__).parents[2],
    )
    assert done.stdout in ("True 5 5 True\n",), done.stdout + done.stderr
