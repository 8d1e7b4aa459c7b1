"""
Maildirs that other programs use too: deliveries, mutt, Dovecot's and Courier's files.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from mailaccess import errors
from mailaccess.interfaces import FLAGGED, KEYWORD_BIT, SEEN, Identity
from mailaccess.message.lineends import to_crlf
from mailaccess.store.maildir.filename import base_of, flags_of, sizes_of, with_flags
from mailaccess.store.maildir.scan import look
from mailaccess.store.options import StoreOptions

from .conftest import Site, message, nap, put, until

CORPUS = Path(__file__).parent.parent / "data" / "corpus"


async def _looked(mailbox: Any) -> None:
    """
    Until nothing another program did can be unseen.
    """

    async def step() -> bool:
        await mailbox.sync()
        return not mailbox.pending(True)

    for _ in range(1000):
        if await step():
            return
        await nap(0.02)
    raise AssertionError("never quiet")


async def test_a_delivery_is_seen_with_crlf_and_moved(site: Site) -> None:
    account = await site.account()
    mailbox = await account.select("INBOX")
    base = site.deliver(b"Subject: x\n\nline\n")
    assert mailbox.pending(False)
    changes = await mailbox.sync()
    assert changes.exists == 1
    assert await mailbox.octets(1) == b"Subject: x\r\n\r\nline\r\n"
    assert mailbox.rows.sizes[0] == len(b"Subject: x\r\n\r\nline\r\n")
    assert mailbox.is_recent(1)
    assert site.cur() == {base: f"{base}:2,"}
    assert not os.listdir(site.maildir() / "new")


async def test_every_message_of_the_corpus_comes_back_as_uploaded(site: Site) -> None:
    account = await site.account()
    files = sorted(CORPUS.rglob("*.eml"))
    assert len(files) > 30
    sent = [to_crlf(path.read_bytes()) for path in files]
    uids = await put(account, "INBOX", *sent)
    fresh = await site.account()
    mailbox = await fresh.select("INBOX")
    assert [await mailbox.octets(uid) for uid in uids] == sent
    assert list(mailbox.rows.sizes) == [len(data) for data in sent]


async def test_files_have_lf_where_crlf_can_be_restored_and_their_sizes_in_the_name(
    site: Site,
) -> None:
    account = await site.account()
    await put(account, "INBOX", b"a: b\r\n\r\nx\r\n")
    odd = b"a: b\r\n\r\nx\r\r\n"
    uids = await put(account, "INBOX", odd)
    first, second = (site.maildir() / "cur" / name for name in site.cur().values())
    assert first.read_bytes() == b"a: b\n\nx\n"
    assert sizes_of(first.name) == (8, 11)
    assert second.read_bytes() == odd
    mailbox = await account.select("INBOX")
    assert await mailbox.octets(uids[0]) == odd


async def test_flags_go_into_names_and_come_back_from_them(site: Site) -> None:
    account = await site.account()
    uids = await put(account, "INBOX", message("a"))
    mailbox = await account.select("INBOX")
    await mailbox.store(uids, "add", ["\\Seen", "\\Flagged", "$Work"])
    await until(lambda: [name[-6:] for name in site.cur().values()] == [":2,FSa"])
    assert (site.maildir() / "dovecot-keywords").read_text() == "0 $Work\n"
    ((base, name),) = site.cur().items()
    site.rename(name, f"{base}:2,Sa")
    # It may be within the tick of our own renaming: then it is seen a little later.
    changed: list[int] = []
    while not changed:
        await nap(0.01)
        changed = list((await mailbox.sync()).changed)
    assert changed == [1]
    assert mailbox.rows.flags[0] == SEEN | 1 << KEYWORD_BIT


async def test_changes_by_name_and_by_imap_are_both_kept(tmp_path: Path, site: Site) -> None:
    """
    Merged three ways: the name turned Seen on, the record turned Flagged on.
    """
    site.options = StoreOptions(mirror="never")
    account = await site.account()
    uids = await put(account, "INBOX", message("a"), flags=["\\Answered"])
    mailbox = await account.select("INBOX")
    await mailbox.store(uids, "add", ["\\Flagged"])
    ((base, name),) = site.cur().items()
    assert name.endswith(":2,R")
    site.rename(name, f"{base}:2,S")
    await _looked(mailbox)
    assert mailbox.rows.flags[0] == SEEN | FLAGGED


async def test_a_file_that_is_removed_is_an_expunge(site: Site) -> None:
    account = await site.account()
    uids = await put(account, "INBOX", message("a"), message("b"))
    mailbox = await account.select("INBOX")
    await _looked(mailbox)
    names = list(site.cur().values())
    os.unlink(site.maildir() / "cur" / names[0])
    changes = await mailbox.sync()
    assert list(changes.expunged_uids) == uids[:1]
    assert await mailbox.octets(uids[1]) == message("b")


async def test_a_message_that_was_renamed_is_found_before_it_is_called_gone(site: Site) -> None:
    account = await site.account()
    uids = await put(account, "INBOX", message("a"))
    mailbox = await account.select("INBOX")
    assert await mailbox.octets(uids[0]) == message("a")
    ((base, name),) = site.cur().items()
    site.rename(name, f"{base}:2,FRS")
    assert await mailbox.octets(uids[0]) == message("a")
    assert await mailbox.headers(uids) == [b"Subject: a\r\nFrom: a@example.org\r\n\r\n"]
    copied = await mailbox.copy(uids, "INBOX")
    assert len(copied.targets) == 1
    await mailbox.remove(uids)
    assert list(site.cur()) != [base]
    assert len(site.cur()) == 1


class Hiding:
    """
    A C{readdir} that misses a file which is renamed while it runs.
    """

    def __init__(self, site: Site, times: int) -> None:
        self.site = site
        self.times = times
        self.real = site.disk.listdir

    def __call__(self, at: int) -> list[str]:
        names = list(self.real(at))
        if self.times and any(":2," in name for name in names):
            self.times -= 1
            ((base, name),) = self.site.cur().items()
            self.site.rename(name, f"{base}:2,{'' if name.endswith('S') else 'S'}")
            return [each for each in names if base_of(each) != base]
        return names


@pytest.mark.parametrize("times", [1, 2, 3])
async def test_a_file_that_readdir_misses_is_not_expunged(site: Site, times: int) -> None:
    """
    DS-06.
    """
    account = await site.account()
    uids = await put(account, "INBOX", message("a"))
    mailbox = await account.select("INBOX")
    await _looked(mailbox)
    hiding = Hiding(site, times)
    site.disk.listdir = hiding  # type: ignore[method-assign]
    ((base, name),) = site.cur().items()
    site.rename(name, f"{base}:2,F")
    await mailbox.sync()
    await _looked(mailbox)
    assert hiding.times == 0
    assert list(mailbox.rows.uids) == uids
    assert mailbox.rows.flags[0] == (SEEN if times % 2 else 0)


async def test_a_directory_that_cannot_be_read_expunges_nothing(site: Site) -> None:
    """
    DS-11.
    """
    account = await site.account()
    uids = await put(account, "INBOX", message("a"))
    mailbox = await account.select("INBOX")
    await _looked(mailbox)
    real = site.disk.listdir

    def failing(at: int) -> list[str]:
        raise OSError(24, "Too many open files")

    site.disk.listdir = failing  # type: ignore[method-assign]
    site.deliver(b"a: b\n\n")
    with pytest.raises(errors.StoreFailed):
        await mailbox.sync()
    assert list(mailbox.rows.uids) == uids
    site.disk.listdir = real  # type: ignore[method-assign]
    assert (await mailbox.sync()).exists == 2


async def test_a_delivery_right_after_a_look_is_seen(site: Site) -> None:
    """
    DS-07: also where it leaves the time of the directory as it is.
    """
    account = await site.account()
    mailbox = await account.select("INBOX")
    for number in range(1, 21):
        site.deliver(message(str(number)))
        await mailbox.sync()
        new = site.maildir() / "new"
        before = os.stat(new)
        site.deliver(message("in the same tick"))
        os.utime(new, ns=(before.st_atime_ns, before.st_mtime_ns))
        while len(mailbox.rows) < 2 * number:
            await nap(0.01)
            await mailbox.sync()
    assert len(set(mailbox.rows.uids)) == 40


async def test_names_of_other_programs_are_kept(site: Site) -> None:
    """
    DS-08.
    """
    cur = site.maildir() / "cur"
    names = [
        "1.a.host,S=8:2,PS",
        "2.b.host:2,S,extra",
        "3.c.host",
        "4.d.host:1,exp",
        "5.e.host,S=8,W=11:2,Sz",
        "6.f.host,S=99,W=999:2,",
        os.fsdecode(b"7.g\xff.host:2,"),
    ]
    for name in names:
        (cur / name).write_bytes(b"a: b\n\nx\n")
    (cur / ".hidden").write_bytes(b"x")
    (cur / "directory").mkdir()
    account = await site.account()
    mailbox = await account.select("INBOX")
    assert len(mailbox.rows) == len(names)
    assert set(mailbox.rows.sizes) == {11}
    assert [await mailbox.octets(uid) for uid in mailbox.rows.uids] == [b"a: b\r\n\r\nx\r\n"] * 7
    assert sorted(mask & 31 for mask in mailbox.rows.flags) == [0, 0, 0, 0, 1, 1, 1]
    await mailbox.store(mailbox.rows.uids, "add", ["\\Flagged"])
    await until(lambda: sum("F" in name for name in site.cur().values()) == len(names))
    kept = set(site.cur().values())
    assert {"1.a.host,S=8:2,FPS", "2.b.host:2,FS,extra", "3.c.host:2,F"} <= kept
    assert "5.e.host,S=8,W=11:2,FSz" in kept


async def test_two_files_with_one_base_are_two_messages(site: Site) -> None:
    """
    DS-08.
    """
    cur = site.maildir() / "cur"
    (cur / "1.a.host:2,").write_bytes(b"a: first\n\n")
    account = await site.account()
    mailbox = await account.select("INBOX")
    (cur / "1.a.host:2,S").write_bytes(b"a: second\n\n")
    (site.maildir() / "new" / "1.a.host").write_bytes(b"a: third\n\n")
    await _looked(mailbox)
    found = [await mailbox.octets(uid) for uid in mailbox.rows.uids]
    assert sorted(found) == [b"a: first\r\n\r\n", b"a: second\r\n\r\n", b"a: third\r\n\r\n"]
    assert await mailbox.octets(1) == b"a: first\r\n\r\n"
    assert len(site.cur()) == 3


async def test_dovecot_s_maildir_is_taken_over_with_uids_and_keywords(site: Site) -> None:
    top = site.maildir()
    (top / "cur" / "b.host,S=8:2,Sb").write_bytes(b"a: b\n\nx\n")
    (top / "cur" / "a.host:2,a").write_bytes(b"a: a\n\nx\n")
    (top / "new" / "c.host").write_bytes(b"a: c\n\nx\n")
    (top / "dovecot-uidlist").write_text(
        "3 V1234 N900 Gabcdef\n17 W11 S8 :b.host,S=8\n20 :a.host\n21 :gone.host\n"
    )
    (top / "dovecot-keywords").write_text("0 $Forwarded\n1 NonJunk\n")
    (top / "subscriptions").write_text("V\t2\n\nINBOX\nWork\tB&-C\n")
    (top / ".Work.B&-C" / "cur").mkdir(parents=True)
    account = await site.account()
    mailbox = await account.select("INBOX")
    assert mailbox.uid_validity == 1234
    assert list(mailbox.rows.uids) == [17, 20, 900]
    assert list(mailbox.keywords) == ["$Forwarded", "NonJunk"]
    bit = 1 << KEYWORD_BIT
    assert list(mailbox.rows.flags) == [SEEN | bit << 1, bit, 0]
    assert await account.subscriptions() == ["INBOX", "Work/B&C"]
    assert [info.name for info in await account.mailboxes()] == ["INBOX", "Work", "Work/B&C"]
    await account.subscribe("New/x.y")
    assert (top / "subscriptions").read_text().endswith("Work\tB&-C\nNew\tx&AC4-y\n")
    assert len((await (await site.account()).select("Work/B&C")).rows) == 0


async def test_courier_s_uids_and_subscriptions_of_the_first_version_are_read(site: Site) -> None:
    top = site.maildir()
    (top / "cur" / "a.host:2,").write_bytes(b"a: a\n\nx\n")
    (top / "courierimapuiddb").write_text("1 555 30\n7 a.host\n")
    (top / "subscriptions").write_text("INBOX\nWork.Old\n")
    account = await site.account()
    mailbox = await account.select("INBOX")
    assert (mailbox.uid_validity, list(mailbox.rows.uids)) == (555, [7])
    assert mailbox.uid_next == 30
    assert await account.subscriptions() == ["INBOX", "Work/Old"]


async def test_a_watcher_hears_of_a_delivery_by_another_program(site: Site) -> None:
    account = await site.account()
    mailbox = await account.select("INBOX")
    called: list[int] = []
    mailbox.watch(lambda: called.append(1))
    await _looked(mailbox)
    await nap(0.3)
    called.clear()
    site.deliver(message("a"))
    await until(lambda: called)
    assert (await mailbox.sync()).exists == 1


async def test_without_watches_of_the_kernel_the_directories_are_polled(site: Site) -> None:
    site.options = StoreOptions(poll_interval=0.05)
    accounts = site.accounts()
    accounts.kernel.add = lambda *_: None  # type: ignore[method-assign]
    account = await accounts.account(Identity("amy"))
    mailbox = await account.select("INBOX")
    called: list[int] = []
    end = mailbox.watch(lambda: called.append(1))
    await _looked(mailbox)
    called.clear()
    site.deliver(message("a"))
    await until(lambda: called)
    end()


async def test_inbox_is_found_in_any_case(site: Site) -> None:
    account = await site.account()
    await put(account, "inbox", message("a"))
    assert (await account.select("Inbox")).name == "INBOX"
    assert (await account.status("iNBOX")).messages == 1


async def test_special_uses_are_told_by_name(site: Site) -> None:
    account = await site.account()
    for name in ("Sent", "Drafts", "Trash", "Junk", "Archive", "Other"):
        await account.create(name)
    uses = {info.name: info.special_use for info in await account.mailboxes()}
    assert uses == {
        "INBOX": "",
        "Archive": "\\Archive",
        "Drafts": "\\Drafts",
        "Junk": "\\Junk",
        "Other": "",
        "Sent": "\\Sent",
        "Trash": "\\Trash",
    }


async def test_a_renamed_mailbox_stays_open_under_its_new_name(site: Site) -> None:
    account = await site.account()
    await account.create("A/b")
    uids = await put(account, "A/b", message("a"))
    mailbox = await account.select("A/b")
    other = await (await site.account()).select("A/b")
    await account.rename("A", "Z")
    for each in (mailbox, other):
        await each.sync()
        assert await each.octets(uids[0]) == message("a")
        await each.store(uids, "add", ["\\Seen"])
    assert mailbox.name == "Z/b"
    site.deliver(b"x: y\n\n", ".Z.b")
    assert (await other.sync()).exists == 2


async def test_a_deleted_mailbox_tells_its_sessions(site: Site) -> None:
    account = await site.account()
    await account.create("A")
    uids = await put(account, "A", message("a"))
    mailbox = await account.select("A")
    other = await (await site.account()).select("A")
    await account.delete("A")
    for each in (mailbox, other):
        with pytest.raises(errors.NoSuchMailbox):
            await each.sync()
    with pytest.raises(errors.Refused):
        await mailbox.store(uids, "add", ["\\Seen"])
    await until(lambda: not list((site.maildir() / "mailaccess").glob("gone.*")))
    await account.create("A")
    assert len((await account.select("A")).rows) == 0


async def test_an_upload_into_a_mailbox_deleted_meanwhile_says_that_it_is_missing(
    site: Site,
) -> None:
    account = await site.account()
    await account.create("A")
    upload = await account.upload("A")
    upload.begin(3, (), None)
    upload.write(b"a\r\n")
    await account.delete("A")
    with pytest.raises(errors.NoSuchMailbox):
        await upload.commit()


async def test_a_session_that_fell_far_behind_is_told_that_all_may_have_changed(
    site: Site,
) -> None:
    accounts = site.accounts()
    account = await accounts.account(Identity("amy"))
    uids = await put(account, "INBOX", message("a"), message("b"), message("c"))
    mine, theirs = await account.select("INBOX"), await account.select("INBOX")
    await mine.store(uids[:1], "add", ["\\Seen"])
    await theirs.sync()
    for number in range(1001):
        await mine.store(uids[:1], ("add", "remove")[number % 2], ["\\Flagged"])
    assert len(theirs._shared.log) == 1000
    assert list((await theirs.sync()).changed) == [1, 2, 3]
    await mine.store(uids[1:2], "add", ["\\Seen"])
    assert list((await theirs.sync()).changed) == [2]


async def test_what_died_while_it_was_written_is_removed_after_a_while(site: Site) -> None:
    tmp = site.maildir() / "tmp"
    (tmp / "old").write_bytes(b"x")
    (tmp / "young").write_bytes(b"x")
    os.utime(tmp / "old", (1, 1))
    account = await site.account()
    await account.select("INBOX")
    assert os.listdir(tmp) == ["young"]


async def test_the_list_of_uids_is_shortened_when_most_messages_went(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mailaccess.store.maildir.ledger._LONG_LIST", 1000)
    monkeypatch.setattr("mailaccess.store.maildir.uidlist.RESERVE", 10)
    account = await site.account()
    mailbox = await account.select("INBOX")
    for _ in range(6):
        uids = await put(account, "INBOX", *(message(str(number)) for number in range(20)))
        await mailbox.remove(uids[1:])
    listed = (site.maildir() / "mailaccess-uidlist").read_text().splitlines()
    assert len(listed) < 100
    for path in (site.maildir() / "mailaccess").glob("index.db*"):
        path.unlink()
    again = await (await site.account()).select("INBOX")
    assert list(again.rows.uids) == [1, 21, 41, 61, 81, 101]


async def test_idle_accounts_let_go_and_wake_up(site: Site) -> None:
    site.options = StoreOptions(open_indexes=2, idle_accounts=1)
    accounts = site.accounts()
    users = [await accounts.account(Identity(f"user{number}")) for number in range(5)]
    views = []
    for account in users:
        await put(account, "INBOX", message(account.name))
        views.append(await account.select("INBOX"))
    assert sum(account._index is not None for account in users) == 2
    for account, view in zip(users, views, strict=True):
        assert not await view.sync()
        assert view.recent == 1
        assert await view.octets(1) == message(account.name)
        await view.store([1], "add", ["\\Seen"])
        view.close()
        account.release()
    assert len(accounts._accounts) == 1
    again = await accounts.account(Identity("user0"))
    assert again is not users[0]
    assert list((await again.select("INBOX")).rows.flags) == [SEEN]
    same = await accounts.account(Identity("user0"))
    assert same is again


def test_names_with_flags_keep_what_is_not_understood() -> None:
    letters = {"a": 1 << KEYWORD_BIT}
    assert with_flags("x", SEEN, letters) == "x:2,S"
    assert with_flags("x:2,PSab,more", FLAGGED | 1 << KEYWORD_BIT, letters) == "x:2,FPab,more"
    assert flags_of("x:2,Sab,FR", letters) == SEEN | 1 << KEYWORD_BIT
    assert flags_of("x:1,S", letters) == 0


async def test_the_look_of_a_mailbox_that_is_gone_is_none(site: Site) -> None:
    account = await site.account()
    assert await account.in_thread(look, account.tree, account.ledger.path, 999, True) is None
