"""
Taking over Maildirs and giving them back: what is kept, what is told, and what a fault leaves.

That real servers' mail is taken over is shown in tests/programs/test_take_over.py.
"""

from __future__ import annotations

import errno
import gzip
import json
import os
from pathlib import Path
from typing import Any

import apsw
import pytest

from mailaccess.cli import main
from mailaccess.cli.owners import as_owner
from mailaccess.errors import Refused
from mailaccess.store.disk import Disk
from mailaccess.store.maildir import before, index, uidlist, uniqueids
from mailaccess.store.maildir.release import release
from mailaccess.store.maildir.takeover import NoMaildir, survey, take_over
from mailaccess.store.maildir.uniqueids import Pattern
from mailaccess.store.options import StoreOptions

from .conftest import Site, message, put

MESSAGE = b"Subject: x\n\nx\n"


def maildir(top: Path, *files: str) -> Path:
    for part in ("cur", "new", "tmp"):
        (top / part).mkdir(parents=True, exist_ok=True)
    for name in files:
        (top / "cur" / name).write_bytes(MESSAGE)
    return top


@pytest.fixture
def dovecot(site: Site) -> Path:
    """
    As Dovecot left it: three messages, of which one is not listed yet, and a folder.
    """
    top = maildir(site.maildir(), "a.host:2,S", "b.host,S=12:2,a", "late.host:2,")
    (top / "dovecot-uidlist").write_text(
        "3 V1234 N30 G0123\n3 P00aa :a.host\n7 W14 G77 :b.host,S=12\n8 :gone.host\n"
    )
    (top / "dovecot-keywords").write_text("0 Work\n")
    (top / "dovecot-uidvalidity").write_text("7fffffff")
    (top / "dovecot-uidvalidity.7fffffff").touch()
    (top / "subscriptions").write_text("V\t2\n\nINBOX\nWork\n")
    work = maildir(top / ".Work", "c.host:2,")
    (work / "dovecot-uidlist").write_text("3 V1235 N9 G4567\n4 :c.host\n")
    (work / "dovecot-acl").write_text("user=bob lr\n")
    return top


def courier(top: Path) -> Path:
    maildir(top, "a.host:2,S", "b.host:2,", "c.host:2,F")
    (top / "courierimapuiddb").write_text("1 555 30\n3 a.host\n7 b.host\n9 c.host\n")
    (top / "courierimapsubscribed").write_text("INBOX\nINBOX.Entwürfe\nINBOX.A & B\n")
    (top / "courierpop3dsizelist").write_text(
        "/3 3 999\na.host:2,S 15 1:999:0\nb.host 15 2:999:0\n"
    )
    keywords = top / "courierimapkeywords"
    keywords.mkdir()
    (keywords / ":list").write_text("Work\n$Label1\n\na.host:0\nb.host:0 1\n")
    (keywords / ".17.b.host").write_text("Work\n")
    (keywords / ".18.b.host").write_text("$Label1\nNew\n")
    (keywords / "c.host").write_text("Work\n")
    (keywords / ".19.c.host").write_text("")
    (keywords / "gone.host").write_text("Old\n")
    folder = maildir(top / ".Entwürfe", "d.host:2,")
    (folder / "courierimapuiddb").write_text("1 556 2\n1 d.host\n")
    maildir(top / ".A & B")
    (top / ".A & B" / "courierimapacl").write_text("owner aceilrstwx\nadministrators aceilrstwx\n")
    return top


def everything(top: Path) -> dict[str, bytes | None]:
    return {
        str(path.relative_to(top)): path.read_bytes() if path.is_file() else None
        for path in top.rglob("*")
    }


def told(capsys: pytest.CaptureFixture[str], *words: str | Path) -> tuple[int, Any]:
    status = main([str(word) for word in words])
    return status, json.loads(capsys.readouterr().out)


async def uids(site: Site, mailbox: str = "INBOX") -> tuple[int, dict[str, int]]:
    account = await site.account()
    opened = await account.select(mailbox)
    names = {uid: opened._reader.name(uid) for uid in opened.rows.uids}
    found = {name.partition(":")[0]: uid for uid, name in names.items()}
    validity = opened.uid_validity
    account.accounts.stop()
    return validity, found


async def unique_ids(site: Site) -> dict[int, bytes]:
    account = await site.account()
    opened = await account.select("INBOX")
    found = dict(await opened.unique_ids())
    account.accounts.stop()
    return found


SEPARATOR = (
    "Dovecot's clients know folders as Work.2024, unless separator or prefix of its namespace say"
    ' otherwise; so that none loads them again, add delimiter = "." to [mail]'
)
INBOX_BEFORE = (
    "Courier's clients know folders as INBOX.Work.2024; so that none loads them again,"
    ' add delimiter = "." and prefix = "INBOX." to [mail]'
)


# ---- adopt -------------------------------------------------------------------------------------


async def test_adopt_tells_what_it_kept(
    site: Site, dovecot: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    status, found = told(capsys, "adopt", "--json", dovecot)
    inbox, work = found["mailboxes"]
    # Bob may not read it any more: that is something to know.
    assert status == 1
    assert (inbox["source"], inbox["uid_validity"], inbox["uid_next"]) == ("dovecot", 1234, 31)
    assert (inbox["messages"], inbox["kept"], inbox["keywords"], inbox["unique_ids"]) == (
        3,
        2,
        1,
        1,
    )
    assert inbox["doubts"] == []
    assert work["doubts"] == ["dovecot-acl gives rights to others, which are not taken over"]
    assert (found["subscriptions"], found["failure"]) == (2, "")
    assert found["notes"] == [SEPARATOR]
    assert await uids(site) == (1234, {"a.host": 3, "b.host,S=12": 7, "late.host": 30})
    assert await uids(site, "Work") == (1235, {"c.host": 4})
    assert await unique_ids(site) == {3: b"00aa"}


async def test_a_dry_run_changes_nothing_and_tells_the_same(
    site: Site, dovecot: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    untouched = everything(dovecot)
    _, planned = told(capsys, "adopt", "--dry-run", "--json", dovecot)
    assert everything(dovecot) == untouched
    _, done = told(capsys, "adopt", "--json", dovecot)
    for each in (*planned["mailboxes"], *done["mailboxes"]):
        del each["uid_next"]  # of messages that nobody listed yet
    assert planned == done


def test_adopt_speaks_to_people(dovecot: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["adopt", str(dovecot)]) == 1
    said = capsys.readouterr().out.splitlines()
    assert said == [
        f"{dovecot}: INBOX: Dovecot's UIDs, 2 of 3 kept; UIDVALIDITY 1234, next UID 31;"
        " 1 keyword; 1 unique-id for POP3",
        f"{dovecot}: Work: Dovecot's UIDs, 1 of 1 kept; UIDVALIDITY 1235, next UID 9",
        f"{dovecot}: Work: dovecot-acl gives rights to others, which are not taken over",
        f"{dovecot}: taken over: 2 mailboxes, 3 of 4 messages with the UIDs they had,"
        " 2 subscriptions",
        SEPARATOR,
    ]
    assert main(["adopt", str(dovecot)]) == 1
    assert "mailaccess's UIDs, 3 of 3 kept" in capsys.readouterr().out


def test_adopt_takes_accounts_of_a_configuration(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("amy", "bob"):
        top = maildir(tmp_path / "mail" / name, "a.host:2,")
        (top / "dovecot-uidlist").write_text("3 V1234 N30 G0\n3 :a.host\n")
    config = tmp_path / "mailaccess.toml"
    config.write_text(
        f'[mail]\nhome = "{tmp_path}/mail/{{user}}"\npop3_uidl_format = "%v.%u"\n'
        f'[[users]]\ntype = "file"\npath = "{tmp_path}/users"\n'
        '[[listener]]\nprotocol = "imap"\naddress = "127.0.0.1"\ntls = "none"\n'
        'cleartext = "allow"\n'
    )
    (tmp_path / "users").write_text("amy:x\nbob:x\n")
    assert main(["adopt", "--config", str(config), "--all"]) == 0
    assert capsys.readouterr().out.count("taken over: 1 mailbox, 1 of 1 message ") == 2
    for name in ("amy", "bob"):
        found = (tmp_path / "mail" / name / uniqueids.FILE).read_text()
        assert found.splitlines()[1:] == ["3 1234.3"]
    assert main(["release", "--config", str(config), "bob"]) == 0
    assert not (tmp_path / "mail" / "bob" / uidlist.FILE).exists()
    assert (tmp_path / "mail" / "amy" / uidlist.FILE).exists()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["adopt"], "give names"),
        (["adopt", "--all"], "--all needs --config"),
        (["adopt", "--all", "x"], "give names"),
        (["adopt", "--pop3-uidl-format", "%v", "x"], "does not tell messages apart"),
        (["release"], "give names"),
        (["adopt", "{top}/nowhere"], "No such file"),
        (["adopt", "{top}"], "is no Maildir: it has no directory cur"),
        (["release", "{top}"], "was not taken over"),
    ],
)
def test_what_cannot_be_done_is_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], words: list[str], said: str
) -> None:
    status = main([word.format(top=tmp_path) for word in words])
    assert status == (2 if words[-1].startswith("{") else 1)
    assert said in capsys.readouterr().err
    assert everything(tmp_path) == {}


async def test_a_list_that_cannot_be_read_as_one_gives_new_uids_and_says_so(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Too long, or no file: nothing of it is believed, and the mail is there all the same."""
    for name, make in {
        "long": lambda path: path.write_text("3 V1234 N30 G0\n3 :a.host\n" * 100),
        "link": lambda path: path.symlink_to("/etc/passwd"),
        "broken": lambda path: path.write_bytes(os.urandom(200)),
    }.items():
        monkeypatch.setattr(before, "LARGEST", 1000)
        top = maildir(site.root / name, "a.host:2,")
        make(top / "dovecot-uidlist")
        (found,) = take_over(Disk(), str(top))
        assert (found.messages, found.kept, found.uid_validity > 10**9) == (1, 0, True)
        assert found.doubts == ("header cannot be read: the mailbox gets new UIDs (line 1)",)


async def test_a_list_that_the_disk_does_not_give_is_not_taken_for_none(
    site: Site, dovecot: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """DS-11: UIDs are not given anew because of an error."""
    read = Disk.read_short

    def fail(self: Disk, name: str, at: int, most: int) -> bytes | None:
        if name == "dovecot-uidlist":
            raise OSError(errno.EIO, "broken", name)
        return read(self, name, at, most)

    monkeypatch.setattr(Disk, "read_short", fail)
    with pytest.raises((Refused, NoMaildir)):
        list(take_over(Disk(), str(dovecot)))
    account = await site.account()
    with pytest.raises(Refused):
        await account.select("INBOX")
    account.accounts.stop()
    monkeypatch.undo()
    assert (await uids(site))[1]["a.host"] == 3


def test_messages_that_only_dovecot_can_read_are_told(
    dovecot: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Before somebody gets them as they are."""
    (dovecot / "cur" / "z.host,S=12:2,").write_bytes(gzip.compress(MESSAGE))
    (dovecot / "cur" / "y.host,S=12:2,").write_bytes(b"CRYPTED\x03\x07" + bytes(99))
    status, found = told(capsys, "adopt", "--dry-run", "--json", dovecot)
    assert status == 1
    doubts = sorted(found["mailboxes"][0]["doubts"])
    assert [each.partition(";")[0] for each in doubts] == [
        "messages are compressed, which only Dovecot reads: 1 of 5 that were looked at",
        "messages are encrypted, which only Dovecot reads: 1 of 5 that were looked at",
    ]


def test_a_list_that_is_kept_elsewhere_is_missed(
    dovecot: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Before clients download everything again."""
    (dovecot / "dovecot.index.log").touch()
    (dovecot / "dovecot-uidlist").rename(dovecot / "elsewhere")
    status, found = told(capsys, "adopt", "--dry-run", "--json", dovecot)
    assert status == 1
    assert "copy what its CONTROL= says to here" in found["mailboxes"][0]["doubts"][0]


async def test_doubts_are_logged_at_the_first_login(
    site: Site, dovecot: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (dovecot / "dovecot-uidlist").write_text("3 V1234 N30 G0\n3 :a.host\n7 :x\n7 :b.host,S=12\n")
    said: list[str] = []
    account = await site.account()
    monkeypatch.setattr(account, "log", Log(said))
    await account.select("INBOX")
    assert said == [
        "amy: dovecot in INBOX: UID was given before: both messages get new ones (line 4)"
    ]


class Log:
    def __init__(self, said: list[str]) -> None:
        self.said = said

    def warn(self, form: str, **fields: str) -> None:
        self.said.append(form.format(**fields))


async def test_a_new_mailbox_gets_a_uidvalidity_above_all_of_dovecot_s(
    site: Site, dovecot: Path
) -> None:
    """A mailbox that is deleted and made again is never taken for the old one."""
    account = await site.account()
    await account.delete("Work")
    await account.create("Work")
    assert (await account.status("Work")).uid_validity == 0x80000000


async def test_unique_ids_outlive_the_record(site: Site, dovecot: Path) -> None:
    """DS-05, DS-15."""
    site.options = StoreOptions(unique_ids=Pattern("%v.%u"))
    assert await unique_ids(site) == {3: b"00aa", 7: b"1234.7", 8: b"1234.8"}
    for path in (dovecot / "mailaccess").glob("index.db*"):
        path.unlink()
    # The other server's files are not looked at any more.
    (dovecot / "dovecot-uidlist").write_text("3 V1 N2 G0\n1 Pother :a.host\n")
    assert await unique_ids(site) == {3: b"00aa", 7: b"1234.7", 8: b"1234.8"}
    assert (await uids(site))[0] == 1234


# ---- release -----------------------------------------------------------------------------------


async def test_release_writes_what_dovecot_wants(
    site: Site, dovecot: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Fields of the list that are not ours come back; flags are in names, even where none is."""
    site.options = StoreOptions(mirror="never")
    account = await site.account()
    mailbox = await account.select("INBOX")
    await mailbox.store([3], "add", ["\\Answered", "Work", "New"])
    await mailbox.remove([30])
    await put(account, "INBOX", message("new"), flags=["\\Seen"])
    await account.subscribe("Später")
    account.accounts.stop()
    site.deliver(message("later"))
    status, found = told(capsys, "release", "--json", dovecot)
    assert (status, found["failure"]) == (0, "")
    lines = (dovecot / "dovecot-uidlist").read_text().splitlines()
    assert lines[0] == "3 V1234 N33 G0123"
    assert lines[1:3] == ["3 P00aa :a.host", "7 W14 G77 P00000007000004d2 :b.host,S=12"]
    assert [line.partition(" :")[0] for line in lines[3:]] == [
        "31 P0000001f000004d2",
        "32 P00000020000004d2",
    ]
    assert (dovecot / ".Work" / "dovecot-uidlist").read_text() == "3 V1235 N9 G4567\n4 :c.host\n"
    assert (dovecot / "dovecot-keywords").read_text() == "0 Work\n1 New\n"
    assert site.cur()["a.host"] == "a.host:2,RSab"
    assert (dovecot / "subscriptions").read_text() == "V\t2\n\nINBOX\nWork\nSp&AOQ-ter\n"
    assert (dovecot / "dovecot-uidvalidity").read_text() == "7fffffff"
    assert os.listdir(dovecot / "new") == []
    assert [name for name in everything(dovecot) if "mailaccess" in name] == []


async def test_what_was_given_back_is_taken_over_again_as_it_was(site: Site) -> None:
    courier(site.maildir())
    first = list(take_over(Disk(), str(site.maildir())))
    list(release(Disk(), str(site.maildir())))
    second = list(take_over(Disk(), str(site.maildir())))
    for one, other in zip(first, second, strict=True):
        assert other.source == "dovecot"
        assert (other.uid_validity, other.uid_next) == (one.uid_validity, one.uid_next)
        assert (other.kept, other.keywords) == (one.messages, one.keywords)
        assert other.unique_ids == one.unique_ids


async def test_release_waits_for_nobody_who_has_the_account_open(
    site: Site, dovecot: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    list(take_over(Disk(), str(dovecot)))
    untouched = everything(dovecot)
    other = index.connect(str(dovecot / "mailaccess" / "index.db"), writer=False)
    other.execute("SELECT 1 FROM mailbox").fetchall()
    status, found = told(capsys, "release", "--json", dovecot)
    assert (status, found["mailboxes"]) == (2, [])
    assert found["failure"] == "another process has the account open: stop the server first"
    lists = [name for name in untouched if "uidlist" in name]
    assert {name: everything(dovecot)[name] for name in lists} == {
        name: untouched[name] for name in lists
    }
    other.close()
    assert main(["release", str(dovecot)]) == 0
    with pytest.raises(NoMaildir):
        list(release(Disk(), str(dovecot)))


async def test_while_release_writes_nobody_else_gets_at_the_record(
    dovecot: Path,
) -> None:
    list(take_over(Disk(), str(dovecot)))
    running = release(Disk(), str(dovecot))
    next(running)
    with pytest.raises(apsw.BusyError):
        index.connect(str(dovecot / "mailaccess" / "index.db"), writer=False)
    # Broken off here it is still ours.
    running.close()
    assert (dovecot / uidlist.FILE).exists()
    assert all(each.source == "mailaccess" for each in survey(Disk(), str(dovecot)))
    list(release(Disk(), str(dovecot)))
    assert not (dovecot / "mailaccess").exists()


async def test_release_tells_what_dovecot_will_not_know(
    site: Site, capsys: pytest.CaptureFixture[str]
) -> None:
    account = await site.account()
    await account.create("a.b")
    await put(account, "INBOX", message("x"), flags=[f"k{number}" for number in range(30)])
    account.accounts.stop()
    (site.maildir() / "mailaccess" / "of-somebody-else").touch()
    assert main(["release", str(site.maildir())]) == 1
    said = capsys.readouterr().out
    assert "INBOX: 4 keywords, which 1 messages have, are too many for it" in said
    assert "a.b: Dovecot may not show it: its name has a full stop in it" in said
    assert (site.maildir() / "dovecot-keywords").read_text().count("\n") == 26
    assert os.listdir(site.maildir() / "mailaccess") == ["of-somebody-else"]


def test_root_works_as_the_owner_of_the_maildir(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What root makes would be nothing that the server could write (AB-15)."""
    done: list[tuple[str, int]] = []
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    for name in ("seteuid", "setegid"):
        monkeypatch.setattr(os, name, lambda value, name=name: done.append((name, value)))
    found = os.stat(tmp_path)
    values = [*found]
    values[4], values[5] = 1234, 5678
    monkeypatch.setattr(os, "stat", lambda path: os.stat_result(values))
    with as_owner(str(tmp_path)):
        assert done == [("setegid", 5678), ("seteuid", 1234)]
    assert done[2:] == [("seteuid", 0), ("setegid", os.getegid())]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ("", [INBOX_BEFORE, SEPARATOR]),
        ('delimiter = "."\n', [INBOX_BEFORE]),
        ('delimiter = "."\nprefix = "INBOX."\n', []),
        ('prefix = "INBOX/"\n', [INBOX_BEFORE]),
    ],
)
def test_adopt_says_what_to_set_for_the_names_that_clients_know(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], options: str, said: list[str]
) -> None:
    """Once for all accounts, and not where it is set or where there are no folders."""
    for user in "abcde":
        top = maildir(tmp_path / user, "a.host:2,")
        list_of = "courierimapuiddb" if user < "d" else "dovecot-uidlist"
        (top / list_of).write_text("1 5 6\n5 a.host\n")
        if user != "a":
            maildir(top / ".Work")
    users = tmp_path / "users"
    users.write_text("")
    users.chmod(0o600)
    config = tmp_path / "m.toml"
    config.write_text(
        f'[mail]\nhome = "{tmp_path}/{{user}}"\n{options}[[users]]\ntype = "file"\n'
        f'path = "{users}"\n[[listener]]\nprotocol = "imap"\ntls = "none"\nport = 0\n'
        'private = ["loopback"]\n'
    )
    assert main(["adopt", "--config", str(config), *"abcde"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [each for each in lines if "clients know folders" in each] == said
    # They are mailaccess's now.
    assert main(["adopt", "--config", str(config), *"abcde"]) == 0
    assert "clients know" not in capsys.readouterr().out
