"""
What other processes changed, in big mailboxes and after long absences.
"""

from __future__ import annotations

import random
from typing import Any

import pytest

from mailaccess.interfaces import FLAGGED, SEEN
from mailaccess.store.maildir import ledger, shared

from .conftest import Site, message, put


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """
    Mailboxes count as big, and expunges are soon forgotten.
    """
    monkeypatch.setattr(shared, "_SMALL", 10)
    monkeypatch.setattr(shared, "_FLAG_SLICE", 7)
    monkeypatch.setattr(ledger, "_TRIM_ABOUT", 1)
    monkeypatch.setattr(ledger, "MOST_EXPUNGES", 5)


def _seen(mailbox: Any) -> list[tuple[int, int]]:
    return list(zip(mailbox.rows.uids, mailbox.rows.flags, strict=True))


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize("seed", range(5))
async def test_two_processes_see_the_same_in_the_end(site: Site, seed: int) -> None:
    """
    DS-06: flags, arrivals and expunges of both, also more expunges than are remembered.
    """
    chance = random.Random(seed)
    one, two = await site.account(), await site.account()
    await put(one, "INBOX", *[message(str(number)) for number in range(80)])
    mailboxes = [await account.select("INBOX") for account in (one, two)]
    for _ in range(12):
        account, mailbox = chance.choice([(one, mailboxes[0]), (two, mailboxes[1])])
        for _ in range(chance.randrange(1, 4)):
            uids = sorted(chance.sample(list(mailbox.rows.uids), min(20, len(mailbox.rows))))
            what = chance.randrange(4)
            if what == 0:
                await put(account, "INBOX", message("new"), message("new"))
            elif what == 1:
                await mailbox.remove(uids[: chance.randrange(1, 12)])
            else:
                flag = chance.choice(["\\Seen", "\\Flagged", "word"])
                await mailbox.store(uids, chance.choice(["add", "remove"]), [flag])
            await mailbox.sync()
        before = [set(each.rows.uids) for each in mailboxes]
        changes = [await each.sync() for each in mailboxes]
        assert _seen(mailboxes[0]) == _seen(mailboxes[1])
        fresh = await (await site.account()).select("INBOX")
        assert _seen(mailboxes[0]) == _seen(fresh)
        site.opened.pop().stop()
        for old, mailbox, change in zip(before, mailboxes, changes, strict=True):
            assert set(change.expunged_uids) == old - set(mailbox.rows.uids)


@pytest.mark.usefixtures("small")
async def test_many_flags_that_others_changed_are_told(site: Site) -> None:
    one, two = await site.account(), await site.account()
    uids = await put(one, "INBOX", *[message(str(number)) for number in range(50)])
    mine, others = await one.select("INBOX"), await two.select("INBOX")
    await others.store(uids, "add", ["\\Seen"])
    await others.store(uids[::2], "add", ["\\Flagged"])
    changes = await mine.sync()
    assert list(changes.changed) == list(range(1, 51))
    assert list(mine.rows.flags) == [SEEN | FLAGGED, SEEN] * 25


@pytest.mark.usefixtures("small")
async def test_expunges_are_remembered_for_a_while_only(site: Site) -> None:
    """
    The horizon says since when all of them are known.
    """
    account = await site.account()
    uids = await put(account, "INBOX", *[message(str(number)) for number in range(40)])
    mailbox = await account.select("INBOX")
    begin = mailbox.highest_modseq
    await mailbox.remove(uids[:3])
    known = mailbox.highest_modseq
    box = account.index.box(mailbox._shared.box.id)
    assert box.horizon < begin
    for uid in uids[3:30]:
        await mailbox.remove([uid])
    box = account.index.box(box.id)
    assert known < box.horizon < box.modseq
    rows = account.index.run("SELECT modseq, uid FROM expunged").fetchall()
    assert [uid for _, uid in rows] == list(uids[25:30])
    assert min(modseq for modseq, _ in rows) > box.horizon


async def test_status_counts_the_same_in_a_thread(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    account = await site.account()
    await put(account, "INBOX", *[message(str(number)) for number in range(9)], flags=["\\Seen"])
    await put(account, "INBOX", message("new"))
    expected = await account.status("INBOX")
    assert (expected.messages, expected.unseen, expected.recent) == (10, 1, 10)
    monkeypatch.setattr("mailaccess.store.maildir.counting._LONG", 1)
    assert await account.status("INBOX") == expected


async def test_status_counts_again_when_something_changed(site: Site) -> None:
    one, two = await site.account(), await site.account()
    uids = await put(one, "INBOX", *[message(str(number)) for number in range(9)])
    for number, (account, other) in enumerate(((one, two), (two, one), (one, one))):
        before = await account.status("INBOX")
        assert await account.status("INBOX") == before
        mailbox = await other.select("INBOX")
        await mailbox.store(uids[number : number + 1], "add", ["\\Seen"])
        assert (await account.status("INBOX")).unseen == before.unseen - 1
        await mailbox.store(uids[-1 - number :], "add", ["\\Deleted"])
        assert (await account.status("INBOX")).deleted == 1
        await mailbox.expunge()
        after = await account.status("INBOX")
        assert (after.messages, after.deleted) == (before.messages - 1, 0)
        await put(other, "INBOX", message("new"))
        assert (await account.status("INBOX")).messages == before.messages
        await mailbox.sync()
        await mailbox.remove([mailbox.rows.uids[-1]])
