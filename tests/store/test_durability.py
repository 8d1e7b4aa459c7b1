"""
What an OK is worth: the order of syncs, failures at every step, lost and damaged records.
"""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from subprocess import PIPE, Popen
from typing import Any

import apsw
import pytest

from mailaccess import errors
from mailaccess.interfaces import FLAGGED, SEEN
from mailaccess.store.disk import Disk
from mailaccess.store.maildir import index
from mailaccess.store.options import StoreOptions

from .conftest import Site, message, put

STEPS = ("create", "write", "fsync", "rename", "link", "unlink", "open_directory", "mkdir")


class Recording(Disk):
    """
    Notes calls, and fails at one of them.
    """

    def __init__(self) -> None:
        self.calls: list[str] = []
        self.fail_at = 0
        self.failing = ""
        self.error = errno.EIO

    def note(self, step: str, what: str = "") -> None:
        """
        Called before each step.
        """
        self.calls.append(f"{step} {what}".strip())
        if self.fail_at and step == self.failing:
            self.fail_at -= 1
            if not self.fail_at:
                raise OSError(self.error, os.strerror(self.error))


def _wrap(step: str) -> Callable[..., Any]:
    real = getattr(Disk, step)

    def wrapped(self: Recording, *arguments: Any) -> Any:
        what = ""
        if step == "fsync":
            path = os.readlink(f"/proc/self/fd/{arguments[0]}")
            what = Path(path).name if os.path.isdir(path) else Path(path).parent.name + "/file"
        self.note(step, what)
        return real(self, *arguments)

    return wrapped


for _step in STEPS:
    setattr(Recording, _step, _wrap(_step))


@pytest.fixture
def disk() -> Recording:
    return Recording()


@pytest.fixture
def options() -> StoreOptions:
    return StoreOptions(mirror="never")


@pytest.fixture
def commits(disk: Recording, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[bool]]:
    """
    Notes commits among the calls; they fail while there is something in the list.
    """
    real = index.connect
    failing: list[bool] = []

    def connect(path: str, writer: bool) -> apsw.Connection:
        connection = real(path, writer)
        if writer:

            def hook() -> bool:
                disk.calls.append("commit")
                return bool(failing and failing.pop())

            connection.set_commit_hook(hook)
        return connection

    monkeypatch.setattr(index, "connect", connect)
    return iter([failing])  # type: ignore[return-value]


@pytest.mark.usefixtures("commits")
async def test_an_upload_is_synced_before_it_is_named_and_committed_last(
    site: Site, disk: Recording
) -> None:
    """
    DS-01.
    """
    account = await site.account()
    await put(account, "INBOX", message("first"))
    disk.calls.clear()
    await put(account, "INBOX", message("a"), message("b"))
    wanted = {"create", "fsync tmp/file", "rename", "fsync cur", "commit"}
    steps = [call for call in disk.calls if call in wanted]
    assert steps == [
        *["create", "fsync tmp/file"] * 2,
        *["rename"] * 2,
        "fsync cur",
        "commit",
    ]


@pytest.mark.usefixtures("commits")
async def test_copies_moves_and_removals_are_synced_before_the_commit(
    site: Site, disk: Recording
) -> None:
    """
    DS-01, DS-16.
    """
    account = await site.account()
    await account.create("Work")
    uids = await put(account, "INBOX", message("a"), message("b"), message("c"))
    mailbox = await account.select("INBOX")
    for change, step in (
        (lambda: mailbox.copy(uids[:1], "Work"), "link"),
        (lambda: mailbox.move(uids[1:2], "Work"), "rename"),
        (lambda: mailbox.remove(uids[2:]), "unlink"),
    ):
        disk.calls.clear()
        await change()
        last = [call for call in disk.calls if call in {step, "fsync cur", "commit"}]
        while last[0] == "commit":
            # That the session took the recent messages for itself.
            del last[0]
        assert last[0] == step
        assert set(last[1:-1]) == {"fsync cur"}
        assert last[-1] == "commit"


async def test_uploads_that_wait_together_are_committed_together(site: Site) -> None:
    account = await site.account()
    await put(account, "INBOX", message("first"))
    from twisted.internet.defer import Deferred, gatherResults

    runs: list[int] = []
    real = account.ledger.run

    def run(jobs: Any) -> Any:
        runs.append(len(jobs))
        return real(jobs)

    account.ledger.run = run
    uploads = [
        Deferred.fromCoroutine(put(account, "INBOX", message(str(number)))) for number in range(40)
    ]
    found = await gatherResults(uploads)
    assert sorted(uid for (uid,) in found) == list(range(2, 42))
    assert len(runs) < 20


Change = Callable[[Any, Any, list[int]], Awaitable[Any]]


async def _upload(account: Any, mailbox: Any, uids: list[int]) -> None:
    await put(account, "INBOX", message("new"), message("newer"))


async def _copy(account: Any, mailbox: Any, uids: list[int]) -> None:
    await mailbox.copy(uids, "Work")


async def _move(account: Any, mailbox: Any, uids: list[int]) -> None:
    await mailbox.move(uids, "Work")


async def _store(account: Any, mailbox: Any, uids: list[int]) -> None:
    await mailbox.store(uids, "add", ["\\Flagged", "$New"])


async def _create(account: Any, mailbox: Any, uids: list[int]) -> None:
    await account.create("A/b")


async def _rename(account: Any, mailbox: Any, uids: list[int]) -> None:
    await account.rename("Work", "A")


async def _subscribe(account: Any, mailbox: Any, uids: list[int]) -> None:
    await account.subscribe("Work")


async def _remove(account: Any, mailbox: Any, uids: list[int]) -> None:
    await mailbox.remove(uids)


async def _refused(change: Awaitable[Any]) -> errors.Refused | None:
    try:
        await change
    except errors.Refused as refused:
        return refused
    return None


async def _snapshot(site: Site) -> dict[str, Any]:
    """
    What somebody sees who comes anew.
    """
    account = await site.account()
    found: dict[str, Any] = {"subscribed": await account.subscriptions()}
    for info in await account.mailboxes():
        if info.selectable:
            mailbox = await account.select(info.name)
            found[info.name] = [
                (uid, flags & 31, await mailbox.octets(uid))
                for uid, flags in zip(mailbox.rows.uids, mailbox.rows.flags, strict=True)
            ]
    # Nothing of its own is to be committed later.
    site.opened.pop().stop()
    return found


@pytest.mark.parametrize("step", ["create", "write", "fsync", "rename", "link", "open_directory"])
@pytest.mark.parametrize(
    "change",
    [_upload, _copy, _move, _store, _create, _rename, _subscribe],
    ids=lambda f: f.__name__,
)
async def test_a_failure_at_any_step_is_told_and_changes_nothing(
    site: Site, disk: Recording, change: Change, step: str
) -> None:
    """
    DS-09, DS-10: NO, nothing kept, and the next try works.
    """
    account = await site.account()
    await account.create("Work")
    uids = await put(account, "INBOX", message("a"), message("b"))
    mailbox = await account.select("INBOX")
    before = await _snapshot(site)
    number = 0
    while True:
        number += 1
        disk.failing, disk.fail_at, disk.error = step, number, (errno.ENOSPC, errno.EIO)[number % 2]
        refused = await _refused(change(account, mailbox, uids))
        if refused is None:
            break
        full = number % 2 == 0
        assert isinstance(refused, errors.OverQuota if full else errors.StoreFailed)
        assert disk.fail_at == 0
        assert await _snapshot(site) == before
        assert os.listdir(site.maildir() / "tmp") == []
        assert number < 200
    disk.fail_at = 0
    assert await _snapshot(site) != before


@pytest.mark.parametrize(
    "change",
    [_upload, _copy, _move, _store, _create, _rename],
    ids=lambda f: f.__name__,
)
async def test_a_failed_commit_is_told_and_changes_nothing(
    site: Site, commits: Iterator[list[bool]], change: Change
) -> None:
    """
    DS-10.
    """
    failing = next(commits)
    account = await site.account()
    await account.create("Work")
    uids = await put(account, "INBOX", message("a"))
    mailbox = await account.select("INBOX")
    before = await _snapshot(site)
    failing.append(True)
    with pytest.raises(errors.StoreFailed):
        await change(account, mailbox, uids)
    assert await _snapshot(site) == before
    await change(account, mailbox, uids)
    assert await _snapshot(site) != before


async def test_what_failed_does_not_fail_others_in_the_same_commit(site: Site) -> None:
    from twisted.internet.defer import Deferred, DeferredList

    account = await site.account()
    mailbox = await account.select("INBOX")
    uids = await put(account, "INBOX", message("a"))
    jobs = [
        mailbox.store(uids, "add", [f"k{number}" for number in range(99)]),
        mailbox.store(uids, "add", ["\\Seen"]),
        account.create("INBOX"),
        account.create("New"),
    ]
    waiting = [Deferred.fromCoroutine(job) for job in jobs]
    results = await DeferredList(waiting, consumeErrors=True)
    assert [good for good, _ in results] == [False, True, False, True]
    await mailbox.sync()
    assert list(mailbox.rows.flags) == [SEEN]
    assert list(mailbox.keywords) == []


async def test_crash_between_rename_and_commit_keeps_the_message(site: Site) -> None:
    """
    A file that has its name but no row is a message: with the flags of its name.
    """
    account = await site.account()
    (site.maildir() / "cur" / "1.left.behind:2,F").write_bytes(b"a: b\n\n")
    mailbox = await account.select("INBOX")
    assert list(mailbox.rows.flags) == [FLAGGED]


PROCESS = """
import sys
from twisted.internet import reactor
from twisted.internet.defer import Deferred
from mailaccess.interfaces import Identity
from mailaccess.store.accounts import MaildirAccounts
root, mark, count = sys.argv[1], sys.argv[2], int(sys.argv[3])

async def main():
    account = await MaildirAccounts(root + "/{user}", reactor).account(Identity("amy"))
    mailbox = await account.select("INBOX")
    for number in range(count):
        upload = await account.upload("INBOX")
        upload.begin(100, ["\\\\Seen"], None)
        upload.write(f"Subject: {mark} {number}\\r\\n\\r\\n".encode())
        uid = (await upload.commit()).uids[0]
        print("put", uid, mark, number, flush=True)
        await mailbox.sync()
        await mailbox.store([uid], "add", ["\\\\Flagged"])
        print("flag", uid, mark, number, flush=True)
        if number % 3 == 0:
            await mailbox.remove([uid])
            print("gone", uid, mark, number, flush=True)

def done(result):
    if result is not None:
        print(result)
    reactor.stop()

reactor.callWhenRunning(lambda: Deferred.fromCoroutine(main()).addBoth(done))
reactor.run()
"""


def _process(site: Site, mark: str, count: int) -> Popen[str]:
    root = Path(__file__).resolve().parent.parent.parent
    return Popen(
        [sys.executable, "-c", PROCESS, str(site.root), mark, str(count)],
        stdout=PIPE,
        text=True,
        cwd=root,
    )


def _check(output: str, found: dict[str, tuple[int, int]]) -> None:
    """
    Everything acknowledged is there, and what was removed is not.
    """
    told: dict[str, list[str]] = {}
    uids: dict[str, int] = {}
    for line in output.splitlines():
        what, uid, mark, number = line.split()
        told.setdefault(f"{mark} {number}", []).append(what)
        uids[f"{mark} {number}"] = int(uid)
    for subject, steps in told.items():
        if "gone" in steps:
            assert subject not in found
        elif "put" in steps and subject in found:
            uid, flags = found[subject]
            assert uid == uids[subject]
            assert flags & SEEN
            assert flags & FLAGGED or "flag" not in steps
        else:
            # Removed, and killed before it could say so.
            assert int(subject.split()[1]) % 3 == 0


async def _subjects(site: Site) -> dict[str, tuple[int, int]]:
    mailbox = await (await site.account()).select("INBOX")
    found = {}
    for uid, flags in zip(mailbox.rows.uids, mailbox.rows.flags, strict=True):
        data = await mailbox.octets(uid)
        found[data.decode().partition(":")[2].strip()] = (uid, flags)
    assert len(found) == len(mailbox.rows)
    return found


def test_two_processes_share_an_account(
    site: Site, on_reactor: Callable[[Callable[[], Awaitable[Any]]], Any]
) -> None:
    """
    DS-06: no message lost or double, no UID given twice.
    """
    processes = [_process(site, mark, 40) for mark in ("a", "b")]
    outputs = [process.communicate(timeout=60)[0] for process in processes]
    found = on_reactor(lambda: _subjects(site))
    assert len(found) == 2 * (40 - 14)
    for output in outputs:
        assert output.count("\n") == 40 + 40 + 14
        _check(output, found)
    every = [line.split()[1] for output in outputs for line in output.splitlines() if "put" in line]
    assert len(every) == len(set(every))


@pytest.mark.parametrize("lines", [3, 17, 31])
def test_a_killed_process_loses_nothing_that_it_acknowledged(
    site: Site, on_reactor: Callable[[Callable[[], Awaitable[Any]]], Any], lines: int
) -> None:
    """
    DS-02.
    """
    process = _process(site, "k", 1000)
    assert process.stdout is not None
    output = "".join(process.stdout.readline() for _ in range(lines))
    process.kill()
    output += process.communicate()[0]
    whole = output[: output.rfind("\n") + 1]
    _check(whole, on_reactor(lambda: _subjects(site)))
