"""
Each invariant, broken once by hand: found, and mended without losing a message (DS-19).
"""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mailaccess.cli import main
from mailaccess.interfaces import SEEN
from mailaccess.store.disk import Disk
from mailaccess.store.maildir import derived, fsck, index, kinds, uidlist
from mailaccess.store.options import StoreOptions

from .conftest import Site, message, nap, put, until

LONG_AGO = 1_600_000_000


@pytest.fixture
def options() -> StoreOptions:
    return StoreOptions(mirror="immediate", subdirectory="")


class Mail(Site):
    """
    As the configuration of the command has it.
    """

    def maildir(self, user: str = "amy") -> Path:
        return self.root / user


@pytest.fixture
def site(tmp_path: Path, options: StoreOptions, disk: Disk, on_reactor: Any) -> Any:
    made = Mail(tmp_path, options, disk)
    yield made

    async def stop() -> None:
        made.stop()

    on_reactor(stop)


async def _filled(site: Site) -> Path:
    """
    A mailbox that nobody has open, with everything in it.
    """
    account = await site.account()
    await account.create("Work")
    await account.subscribe("Work")
    await put(account, "INBOX", message("a"), message("b"), message("c"), flags=["$K"])
    mailbox = await account.select("INBOX")
    await mailbox.store([2], "add", ["\\Seen"])
    await mailbox.remove([1])
    await mailbox.copy([2], "Work")
    await mailbox.describe([2, 3])
    await until(lambda: any(name.endswith(":2,Sa") for name in site.cur().values()))
    await _looked(mailbox)
    site.stop()
    top = site.maildir()
    assert fsck.check(Disk(), str(top), deep=True) == []
    return top


async def _looked(mailbox: Any) -> None:
    for _ in range(1000):
        await mailbox.sync()
        if not mailbox.pending(True):
            return
        await nap(0.02)
    raise AssertionError("never quiet")


async def _contents(site: Site) -> list[tuple[int, int, bytes]]:
    mailbox = await (await site.account()).select("INBOX")
    found = [
        (uid, flags, await mailbox.octets(uid))
        for uid, flags in zip(mailbox.rows.uids, mailbox.rows.flags, strict=True)
    ]
    site.stop()
    return found


def _sql(statement: str) -> Callable[[Path], None]:
    def harm(top: Path) -> None:
        # The standard library's SQLite knows nothing of the locks of apsw's: closing a file in the
        # same process would take them away.
        connection = index.connect(str(top / "mailaccess" / "index.db"), writer=True)
        connection.execute(statement)
        assert connection.changes() > 0
        connection.close()

    return harm


def _garble_list(top: Path) -> None:
    (top / uidlist.FILE).write_bytes(os.urandom(100))


def _other_validity(top: Path) -> None:
    text = (top / uidlist.FILE).read_text().split(" ", 2)
    (top / uidlist.FILE).write_text(f"{text[0]} {text[1]} 7\n" + text[2].partition("\n")[2])


def _other_uid(top: Path) -> None:
    path = top / uidlist.FILE
    path.write_text(path.read_text().replace("\n2 ", "\n2 other\n999 "))


def _lower_validity(top: Path) -> None:
    (top / "mailaccess" / "uidvalidity").write_text("5")


def _other_keywords(top: Path) -> None:
    (top / "dovecot-keywords").write_text("0 Other\n")


def _odd_subscription(top: Path) -> None:
    with (top / "subscriptions").open("a") as file:
        file.write("~bad\n")


def _leftover(top: Path) -> None:
    path = top / "tmp" / "1600000000.M1P1.left"
    path.touch()
    os.utime(path, (LONG_AGO, LONG_AGO))


def _remove_directory(top: Path) -> None:
    for below in ("cur", "new", "tmp"):
        for each in (top / ".Work" / below).iterdir():
            each.unlink()
        (top / ".Work" / below).rmdir()
    for each in (top / ".Work").iterdir():
        each.unlink()
    (top / ".Work").rmdir()


def _names(top: Path) -> list[str]:
    return sorted(os.listdir(top / "cur"))


def _in_place(top: Path, change: Callable[[], None]) -> None:
    """
    Change C{cur} so that its time does not tell.
    """
    before = os.stat(top / "cur")
    seen = f"suspect = 0, cur_seen = {before.st_mtime_ns}"
    _sql(f"UPDATE mailbox SET {seen} WHERE directory = ''")(top)
    change()
    os.utime(top / "cur", ns=(before.st_atime_ns, before.st_mtime_ns))


def _strange_file(top: Path) -> None:
    path = top / "cur" / "1.strange:2,F"
    _in_place(top, lambda: path.write_bytes(b"a: b\n\n") and None)


def _renamed_file(top: Path) -> None:
    old = next(name for name in _names(top) if name.endswith(":2,Sa"))
    _in_place(top, lambda: os.rename(top / "cur" / old, top / "cur" / f"{old}F"))


def _moved_to_new(top: Path) -> None:
    old = _names(top)[0]
    _in_place(top, lambda: os.rename(top / "cur" / old, top / "new" / old.partition(":")[0]))


def _garble_description(top: Path) -> None:
    path = str(top / "mailaccess" / derived.FILE)
    connection = index.connect(str(top / "mailaccess" / "index.db"), writer=False)
    (token,) = connection.execute("SELECT token FROM mailbox WHERE directory = ''").fetchone()
    connection.close()
    kept = derived.to_write(path)
    kept.keep(token, {kinds.DESCRIPTION: {2: (b"x", b"y", b"z")}})
    kept.close()


HARMS: dict[str, tuple[str, Callable[[Path], None]]] = {
    "UIDNEXT below a UID": ("numbers", _sql("UPDATE mailbox SET uid_next = 3")),
    "UIDs not reserved": ("numbers", _sql("UPDATE mailbox SET reserved = 2")),
    "a mod-sequence from the future": ("numbers", _sql("UPDATE message SET modseq = modseq * 2")),
    "flags without a name": ("keywords", _sql("UPDATE message SET flags = flags | 4096")),
    "keywords twice": ("keywords", _sql("""UPDATE mailbox SET keywords = '["$K", "$k"]'""")),
    "other keywords in the file": ("keywords", _other_keywords),
    "expunged and there": (
        "expunged",
        _sql("INSERT INTO expunged SELECT mailbox, modseq, uid FROM message"),
    ),
    "a row without a name": ("pairs", _sql("DELETE FROM file WHERE uid = 2")),
    "a name without a row": ("pairs", _sql("DELETE FROM message WHERE uid = 2")),
    "two rows for one file": (
        "pairs",
        _sql("UPDATE file SET name = (SELECT name FROM file WHERE uid = 2) WHERE uid = 3"),
    ),
    "a wrong size": ("sizes", _sql("UPDATE message SET size = 5 WHERE uid = 2")),
    "flags and name differ": ("flags", _sql("UPDATE message SET flags = flags | 4 WHERE uid = 2")),
    "no list": ("list", lambda top: os.unlink(top / uidlist.FILE)),
    "a garbled list": ("list", _garble_list),
    "another UIDVALIDITY in the list": ("list", _other_validity),
    "another file for a UID in the list": ("list", _other_uid),
    "a lower UIDVALIDITY noted": ("validity", _lower_validity),
    "a subscription that is no name": ("subscriptions", _odd_subscription),
    "a leftover": ("temporary", _leftover),
    "a mailbox without a directory": ("directory", _remove_directory),
    "rows of no mailbox": ("orphans", _sql("INSERT INTO expunged VALUES(99, 1, 1)")),
    "a file that is not in the record": ("files", _strange_file),
    "a file renamed behind the record's back": ("files", _renamed_file),
    "a file moved back to new": ("files", _moved_to_new),
    "a structure of another message": ("described", _garble_description),
}


@pytest.mark.parametrize("name", HARMS)
async def test_what_is_broken_is_found_and_mended(site: Site, name: str) -> None:
    """
    DS-19.
    """
    what, harm = HARMS[name]
    top = await _filled(site)
    before = sorted(path.read_bytes() for path in (top / "cur").iterdir())
    before_uids = [uid for uid, _, _ in await _contents_quietly(site)]
    harm(top)
    found = fsck.check(Disk(), str(top), deep=True)
    assert {each.what for each in found if each.level == "error"} >= {what}
    mended = fsck.repair(Disk(), str(top), deep=True)
    assert any(each.what == what and each.mended for each in mended)
    assert [each for each in mended if each.level == "error" and not each.mended] == []
    assert [e for e in fsck.check(Disk(), str(top), deep=True) if e.level == "error"] == []
    after = await _contents(site)
    texts = sorted(data.replace(b"\r\n", b"\n") for _, _, data in after)
    assert [text for text in texts if text != b"a: b\n\n"] == before
    if name not in ("a row without a name", "two rows for one file"):
        assert [uid for uid, _, _ in after][: len(before_uids)] == before_uids
        assert after[0][1] & SEEN


async def _contents_quietly(site: Site) -> list[tuple[int, int, bytes]]:
    found = await _contents(site)
    # The look of that session must not be newer than the harm that follows.
    assert fsck.check(Disk(), str(site.maildir())) == []
    return found


async def test_a_damaged_record_is_made_anew(site: Site) -> None:
    top = await _filled(site)
    before = await _contents(site)
    path = top / "mailaccess" / "index.db"
    path.write_bytes(os.urandom(40_000))
    for more in (top / "mailaccess").glob("index.db-*"):
        more.unlink()
    (found,) = fsck.check(Disk(), str(top))
    assert (found.level, found.what) == ("error", "record")
    assert not any(
        each.level == "error" and not each.mended for each in fsck.repair(Disk(), str(top))
    )
    assert await _contents(site) == before


async def test_what_others_did_since_the_last_look_is_no_error(site: Site) -> None:
    top = await _filled(site)
    site.deliver(message("new"))
    name = _names(top)[0]
    os.rename(top / "cur" / name, top / "cur" / f"{name}F")
    found = fsck.check(Disk(), str(top))
    assert {each.what for each in found} >= {"files", "new"}
    assert {each.level for each in found} == {"note"}


async def test_an_account_may_be_in_use_while_it_is_checked_and_mended(site: Site) -> None:
    """
    DS-19: online.
    """
    account = await site.account()
    await put(account, "INBOX", message("a"), message("b"))
    mailbox = await account.select("INBOX")
    await _looked(mailbox)
    top = site.maildir()
    _sql("UPDATE message SET flags = flags | 4 WHERE uid = 2")(top)
    assert [f.what for f in fsck.check(Disk(), str(top)) if f.level == "error"] == ["flags"]
    assert all(each.mended for each in fsck.repair(Disk(), str(top)) if each.level == "error")
    await mailbox.store([1], "add", ["\\Seen"])
    await mailbox.sync()
    assert len(mailbox.rows) == 2
    found = fsck.check(Disk(), str(top), deep=True)
    assert [each for each in found if each.level == "error"] == []


async def test_a_pop3_session_is_told_of(site: Site) -> None:
    top = await _filled(site)
    path = top / "mailaccess" / "maildrop.lock"
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        (found,) = fsck.check(Disk(), str(top))
    assert (found.level, found.what) == ("note", "maildrop")


async def test_old_unfinished_work_is_removed(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    top = await _filled(site)
    (top / "mailaccess" / "new.1234").mkdir()
    assert fsck.check(Disk(), str(top)) == []
    monkeypatch.setattr("mailaccess.store.maildir.folders.LEFTOVER_AGE", -10)
    monkeypatch.setattr("mailaccess.store.maildir.scan._TEMPORARY", 36 * 3600)
    (found,) = fsck.check(Disk(), str(top))
    assert found.what == "leftovers"
    (mended,) = fsck.repair(Disk(), str(top))
    assert mended.mended
    assert not (top / "mailaccess" / "new.1234").exists()


async def test_many_findings_of_one_kind_are_counted(site: Site) -> None:
    account = await site.account()
    await put(account, "INBOX", *[message(str(number)) for number in range(60)])
    mailbox = await account.select("INBOX")
    await _looked(mailbox)
    site.stop()
    _sql("UPDATE message SET size = 1")(site.maildir())
    found = [each for each in fsck.check(Disk(), str(site.maildir())) if each.what == "sizes"]
    assert len(found) < 25
    assert "more" in found[-1].text


# ---- the command -----------------------------------------------------------------------------


def _configuration(root: Path) -> str:
    users = root / "users"
    users.write_text("amy:{SSHA256}x\nbob:{SSHA256}x\nnobody:{SSHA256}x\n")
    path = root / "m.toml"
    path.write_text(
        f'[mail]\nhome = "{root}/{{user}}"\n[[users]]\ntype = "file"\npath = "{users}"\n'
        '[[listener]]\nprotocol = "imap"\ntls = "none"\ncleartext = "allow"\n'
    )
    return str(path)


async def _two(site: Site) -> None:
    await _filled(site)
    account = await site.account("bob")
    await put(account, "INBOX", message("x"))
    mailbox = await account.select("INBOX")
    await _looked(mailbox)
    site.stop()


def test_the_command_tells_and_mends(
    site: Site, on_reactor: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    """
    DS-19: exit status 0, 1, 2.
    """
    on_reactor(lambda: _two(site))
    file = _configuration(site.root)
    assert main(["fsck", file, "--all"]) == 0
    assert capsys.readouterr().out == "amy: all well\nbob: all well\n"
    _sql("UPDATE message SET size = 5 WHERE uid = 2")(site.maildir())
    assert main(["fsck", file, "amy"]) == 1
    assert "amy: INBOX: error: UID 2 has size 5" in capsys.readouterr().out
    assert main(["fsck", file, "bob"]) == 0
    assert main(["fsck", file, "--all", "--repair"]) == 0
    assert "amy: INBOX: mended: UID 2 has size 5" in capsys.readouterr().out
    assert main(["fsck", file, "amy", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["findings"] == []
    assert main(["fsck", file, "nobody"]) == 2
    assert "cannot be checked" in capsys.readouterr().err
    assert main(["fsck", file]) == 1


def test_all_finds_accounts_that_no_file_names(
    site: Site, on_reactor: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    on_reactor(lambda: _two(site))
    file = _configuration(site.root)
    (site.root / "users").write_text("bob:{SSHA256}x\n")
    assert main(["fsck", file, "--all", "--deep"]) == 0
    assert capsys.readouterr().out == "bob: all well\namy: all well\n"
