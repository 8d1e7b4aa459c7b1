"""
Quota: what an account holds, what it may hold, and C{maildirsize}, which other programs keep to.
"""

from __future__ import annotations

import os
import time
from typing import Any

import attrs
import pytest
from twisted.internet.defer import Deferred, DeferredList

from mailaccess import errors
from mailaccess.interfaces import Identity
from mailaccess.store.disk import Disk, Tree
from mailaccess.store.maildir import maildirsize, usage
from mailaccess.store.maildir.fsck import check, repair
from mailaccess.store.quota import UNLIMITED, Allowance, Quota, parse
from tests.store.conftest import Site, message, put

LETTER = message("a")
SIZE = len(LETTER)
FILE_SIZE = len(LETTER.replace(b"\r\n", b"\n"))


def limited(site: Site, octets: int | None = None, messages: int | None = None) -> None:
    allowance = Allowance(octets, messages)
    site.options = attrs.evolve(site.options, allowance=lambda _: allowance)


def size_file(site: Site) -> list[str]:
    return (site.maildir() / "maildirsize").read_text().split("\n")[:-1]


def total(site: Site) -> tuple[int, int]:
    found = [tuple(map(int, line.split())) for line in size_file(site)[1:]]
    return sum(each[0] for each in found), sum(each[1] for each in found)


async def used(account: Any) -> tuple[int, int]:
    quota = await account.quota("INBOX")
    return quota.octets, quota.messages


# ---- how limits are written ------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "octets", "messages"),
    [
        ("5G", 5 * 2**30, None),
        (" 100m ", 100 * 2**20, None),
        ("1048576", 2**20, None),
        ("10KB", 10240, None),
        ("10KiB,5C", 10240, 5),
        ("104857600S,1000C", 104857600, 1000),
        ("1000C", None, 1000),
        ("0S,1000C", None, 1000),
        ("0", None, None),
        ("none", None, None),
        ("*:bytes=100M:messages=1000", 100 * 2**20, 1000),
        ("*:storage=1024", 2**20, None),
        ("maildir:storage=10240:messages=7", 10 * 2**20, 7),
    ],
)
def test_limits_are_understood_in_all_their_spellings(
    text: str, octets: int | None, messages: int | None
) -> None:
    assert parse(text) == Allowance(octets, messages)


@pytest.mark.parametrize(
    "text",
    ["", "lots", "5X", "-5", "5G 3C", "Trash:storage=+10%", "*:bytes=10%", "*:", "5G,", "=", "٣"],
)
def test_what_is_no_limit_is_told_apart_from_none(text: str) -> None:
    with pytest.raises(ValueError, match="no quota"):
        parse(text)


def test_the_definition_is_what_it_was_read_from() -> None:
    for allowance in (Allowance(5, 6), Allowance(5), Allowance(None, 6)):
        assert parse(allowance.definition) == allowance
    assert UNLIMITED.definition == ""
    assert not UNLIMITED


def test_the_nearest_limit_says_how_full_it_is() -> None:
    quota = Quota("", 50, 9, Allowance(100, 10), 90)
    assert (quota.percent, quota.warns) == (90, True)
    assert not attrs.evolve(quota, messages=8).warns
    assert not attrs.evolve(quota, warning=0).warns
    assert attrs.evolve(quota, allowance=UNLIMITED).percent == 0


# ---- what there is ---------------------------------------------------------------------------


async def test_the_sums_follow_everything_that_comes_and_goes(site: Site) -> None:
    """Uploads, deliveries, copies, moves, expunges, mailboxes, other programs."""
    limited(site, 10**6)
    account = await site.account()
    await account.create("Work")
    uids = await put(account, "INBOX", LETTER, LETTER, LETTER)
    assert await used(account) == (3 * SIZE, 3)
    inbox = await account.select("INBOX")
    await inbox.copy(uids[:2], "Work")
    assert await used(account) == (5 * SIZE, 5)
    await inbox.move(uids[:1], "Work")
    assert await used(account) == (5 * SIZE, 5)
    name = site.deliver(b"x: y\n\n")
    site.deliver(b"x: y\n\n", ".Work")
    assert await used(account) == (5 * SIZE + 2 * 8, 7)
    os.unlink(site.maildir() / "cur" / f"{name}:2,")
    assert await used(account) == (5 * SIZE + 8, 6)
    await inbox.store(uids[1:2], "add", ["\\Deleted"])
    await inbox.sync()
    await inbox.expunge()
    assert await used(account) == (4 * SIZE + 8, 5)
    await account.rename("Work", "Play")
    assert await used(account) == (4 * SIZE + 8, 5)
    await account.rename("INBOX", "Old")
    assert await used(account) == (4 * SIZE + 8, 5)
    await account.delete("Play")
    assert await used(account) == (SIZE, 1)
    assert check(Disk(), str(site.maildir())) == []


async def test_two_processes_and_a_lost_record_see_the_same(site: Site) -> None:
    """DS-04: the sums come back with the record."""
    limited(site, 10**6)
    mine, theirs = await site.account(), await site.account()
    await put(mine, "INBOX", LETTER)
    await put(theirs, "INBOX", LETTER)
    assert await used(mine) == await used(theirs) == (2 * SIZE, 2)
    site.stop()
    for path in (site.maildir() / "mailaccess").glob("index.db*"):
        path.unlink()
    assert await used(await site.account()) == (2 * SIZE, 2)


async def test_sums_that_are_wrong_are_found_and_mended(site: Site) -> None:
    account = await site.account()
    await put(account, "INBOX", LETTER)
    account.ledger.index.run("UPDATE used SET octets = 7")
    site.stop()
    path = str(site.maildir())
    (found,) = check(Disk(), path)
    assert (found.level, found.what) == ("error", "used")
    assert [each.mended for each in repair(Disk(), path)] == [True]
    assert check(Disk(), path) == []


# ---- what there may be -----------------------------------------------------------------------


async def test_an_upload_that_cannot_fit_is_refused_before_it_is_sent(site: Site) -> None:
    """PAR-02: looked at before the client is asked to send; all messages of one upload count."""
    limited(site, 2 * SIZE)
    account = await site.account()
    upload = await account.upload("INBOX")
    upload.begin(2 * SIZE, (), None)
    with pytest.raises(errors.OverQuota):
        upload.begin(1, (), None)
    upload.abort()
    await put(account, "INBOX", LETTER)
    with pytest.raises(errors.OverQuota):
        await put(account, "INBOX", LETTER, LETTER)
    await put(account, "INBOX", LETTER)
    with pytest.raises(errors.OverQuota):
        await put(account, "INBOX", b"x")


async def test_messages_are_counted_too(site: Site) -> None:
    limited(site, messages=2)
    account = await site.account()
    await put(account, "INBOX", LETTER, LETTER)
    with pytest.raises(errors.OverQuota):
        await put(account, "INBOX", LETTER)


async def test_deliveries_count_before_an_upload(site: Site) -> None:
    """What an MDA put into C{new/} of any mailbox."""
    limited(site, messages=2)
    account = await site.account()
    await account.create("Work")
    site.deliver(b"x: y\n\n")
    site.deliver(b"x: y\n\n", ".Work")
    with pytest.raises(errors.OverQuota):
        await put(account, "INBOX", LETTER)


async def test_of_two_that_race_for_the_last_room_one_gets_it(site: Site) -> None:
    """Both are admitted; the transaction that makes them durable decides."""
    limited(site, SIZE)
    accounts = site.accounts(), site.accounts()
    uploads = []
    for each in accounts:
        upload = await (await each.account(Identity("amy"))).upload("INBOX")
        upload.begin(SIZE, (), None)
        upload.write(LETTER)
        uploads.append(upload)
    outcomes = await DeferredList(
        [Deferred.fromCoroutine(each.commit()) for each in uploads], consumeErrors=True
    )
    assert sorted(good for good, _ in outcomes) == [False, True]
    (failure,) = [result for good, result in outcomes if not good]
    assert failure.check(errors.OverQuota)
    assert len(site.cur()) == 1
    assert not os.listdir(site.maildir() / "tmp")


async def test_who_is_over_the_limit_can_make_room(site: Site) -> None:
    """A move frees what it takes; flags and expunges always work; a copy does not."""
    account = await site.account()
    await account.create("Trash")
    uids = await put(account, "INBOX", LETTER, LETTER, LETTER)
    site.stop()
    limited(site, SIZE, 1)
    account = await site.account()
    inbox = await account.select("INBOX")
    with pytest.raises(errors.OverQuota):
        await inbox.copy(uids[:1], "Trash")
    await inbox.move(uids[:1], "Trash")
    await inbox.sync()
    await inbox.store(uids[1:], "add", ["\\Deleted"])
    assert await inbox.expunge() == uids[1:]
    await account.delete("Trash")
    assert await used(account) == (0, 0)
    await put(account, "INBOX", LETTER)


async def test_without_limits_there_is_nothing_to_be_seen(site: Site) -> None:
    account = await site.account()
    await put(account, "INBOX", LETTER)
    assert account.quota_now("INBOX") is None
    assert (await account.quota("INBOX")).allowance == UNLIMITED
    assert not (site.maildir() / "maildirsize").exists()


# ---- maildirsize -----------------------------------------------------------------------------


async def test_maildirsize_is_written_and_kept_up_to_date(site: Site) -> None:
    """A definition, a count, and a line per change; octets of files; a name need not tell them."""
    limited(site, 10**6, 1000)
    account = await site.account()
    await account.create("Work")
    site.deliver(b"x: y\n\n")
    await account.quota("INBOX")
    assert size_file(site)[0] == "1000000S,1000C"
    assert total(site) == (6, 1)
    uids = await put(account, "INBOX", LETTER, LETTER)
    assert size_file(site)[2:] == [f"{f'{2 * FILE_SIZE} 2':<13}"]
    inbox = await account.select("INBOX")
    await inbox.copy([1, *uids], "Work")
    assert total(site) == (2 * (6 + 2 * FILE_SIZE), 6)
    await inbox.move(uids[:1], "Work")
    assert total(site) == (2 * (6 + 2 * FILE_SIZE), 6)
    await inbox.remove([1])
    assert total(site) == (6 + 4 * FILE_SIZE, 5)
    await account.create("Empty")
    await account.delete("Empty")
    lines = size_file(site)
    await account.quota("INBOX")
    assert size_file(site) == lines


async def test_a_failed_upload_is_not_in_maildirsize(site: Site) -> None:
    limited(site, SIZE)
    account = await site.account()
    await account.quota("INBOX")
    upload = await account.upload("INBOX")
    upload.begin(1, (), None)
    upload.write(LETTER + LETTER)
    with pytest.raises(errors.OverQuota):
        await upload.commit()
    assert total(site) == (0, 0)
    assert await used(account) == (0, 0)


async def test_limits_come_from_maildirsize_where_nobody_else_says_any(site: Site) -> None:
    """As Courier, Dovecot and MTAs leave it."""
    (site.maildir() / "maildirsize").write_text("1000S,2C\n0 0\n")
    account = await site.account()
    assert (await account.quota("INBOX")).allowance == Allowance(1000, 2)
    with pytest.raises(errors.OverQuota):
        await put(account, "INBOX", LETTER, LETTER, LETTER)
    await put(account, "INBOX", LETTER)
    assert total(site) == (FILE_SIZE, 1)
    (site.maildir() / "maildirsize").write_text("1000S,3C\n0 0\n")
    assert (await account.quota("INBOX")).allowance == Allowance(1000, 3)


async def test_an_account_that_is_nobody_s_keeps_to_its_maildirsize_too(site: Site) -> None:
    (site.maildir() / "maildirsize").write_text("2C\n0 0\n")
    accounts = site.accounts()
    account = await accounts.account_at("Public/", str(site.maildir()))
    await account.create("Work")
    uids = await put(account, "INBOX", LETTER, LETTER)
    with pytest.raises(errors.OverQuota):
        await (await account.select("INBOX")).copy(uids[:1], "Work")


async def test_limits_that_changed_are_written_at_the_next_login(site: Site) -> None:
    limited(site, 1000)
    await (await site.account()).quota("INBOX")
    site.stop()
    limited(site, 2000, 5)
    await (await site.account()).quota("INBOX")
    assert size_file(site)[0] == "2000S,5C"


@pytest.mark.parametrize(
    "text",
    [
        "1000000S\n0 0\n" + "1 0\n" * 2000,
        "1000000S\n17 9\n",
        "1000000S\n-5 0\n",
        "1000000S\nwhat\n",
        "1000000S\n6 1",
        "999S\n6 1\n",
        "",
    ],
)
async def test_a_file_that_cannot_be_right_is_made_anew(site: Site, text: str) -> None:
    """Too long, other counts than ours, less than nothing, half a line, other limits."""
    limited(site, 1000000)
    site.deliver(b"x: y\n\n")
    (site.maildir() / "maildirsize").write_text(text)
    await (await site.account()).quota("INBOX")
    assert size_file(site) == ["1000000S", f"{'6 1':<13}"]


async def test_lines_that_a_crash_took_are_missed_where_their_messages_level_out(
    site: Site,
) -> None:
    """DS-02: one came and a larger one went: the count is right, the octets are not."""
    limited(site, 1000000)
    account = await site.account()
    await put(account, "INBOX", b"x: y\r\n\r\n")
    (site.maildir() / "maildirsize").write_text("1000000S\n900 1\n")
    site.stop()
    await (await site.account()).quota("INBOX")
    assert size_file(site) == ["1000000S", f"{'6 1':<13}"]


async def test_in_a_large_account_they_are_looked_for_after_a_crash(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """DS-02: a process that has not closed its record is what is left of one."""
    monkeypatch.setattr(usage, "_FEW", 0)
    limited(site, 1000000)
    account = await site.account()
    await put(account, "INBOX", b"x: y\r\n\r\n")
    (site.maildir() / "maildirsize").write_text("1000000S\n900 1\n")
    await (await site.account()).quota("INBOX")
    assert size_file(site) == ["1000000S", f"{'6 1':<13}"]


def test_over_the_limit_an_old_sum_is_not_believed() -> None:
    """README.maildirquota: made anew after a quarter of an hour, unless it was counted at once."""
    tally = maildirsize.Tally("5S", 6, 1, lines=2, age=16 * 60, whole=True)
    limit = Allowance(5)
    assert maildirsize.has_to_be_counted(tally, limit, 1)
    assert not maildirsize.has_to_be_counted(attrs.evolve(tally, age=60), limit, 1)
    assert not maildirsize.has_to_be_counted(attrs.evolve(tally, lines=1), limit, 1)
    assert not maildirsize.has_to_be_counted(attrs.evolve(tally, octets=5), limit, 1)


def test_what_was_counted_while_mail_came_is_not_kept(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    tree = Tree(Disk(), str(site.maildir()))
    counted = maildirsize.measure

    def measure(tree: Tree) -> tuple[int, int]:
        found = counted(tree)
        site.deliver(b"x: y\n\n")
        return found

    assert maildirsize.count(tree, Allowance(5))
    past = time.time() - 100
    for below in ("new", "cur"):
        os.utime(site.maildir() / below, (past, past))
    monkeypatch.setattr(maildirsize, "measure", measure)
    assert not maildirsize.count(tree, Allowance(5))
    assert not (site.maildir() / "maildirsize").exists()
