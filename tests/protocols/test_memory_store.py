"""
The store in memory: what tests rely on when they use it for a real one.
"""

from __future__ import annotations

import datetime
from collections.abc import Coroutine
from typing import Any

import pytest
from zope.interface.verify import verifyObject

from mailaccess.errors import (
    InUse,
    LimitReached,
    MailboxReadOnly,
    MessageGone,
    NoSuchMailbox,
    OverQuota,
    TooBig,
)
from mailaccess.interfaces import (
    IAccount,
    IAccounts,
    Identity,
    IMailbox,
    IMovesMessages,
    IRows,
    IUpload,
)
from mailaccess.store import query as q
from mailaccess.testing.memory import MemoryAccount, MemoryAccounts


def now(work: Coroutine[Any, Any, Any]) -> Any:
    """
    The result of a coroutine that waits for nothing.
    """
    with pytest.raises(StopIteration) as stopped:
        work.send(None)
    return stopped.value.value


@pytest.fixture
def amy() -> MemoryAccount:
    account = MemoryAccount(now=lambda: 1000.0)
    for number in range(1, 6):
        account.deliver("INBOX", b"Subject: letter %d\r\n\r\nBody %d\r\n" % (number, number))
    return account


def test_it_provides_what_it_says(amy: MemoryAccount) -> None:
    accounts = MemoryAccounts()
    mailbox = now(amy.select("INBOX"))
    for interface, provider in (
        (IAccounts, accounts),
        (IAccount, amy),
        (IMailbox, mailbox),
        (IMovesMessages, mailbox),
        (IRows, mailbox.rows),
        (IUpload, now(amy.upload("INBOX"))),
    ):
        assert verifyObject(interface, provider)
    account = now(accounts.account(Identity("amy")))
    assert (account.name, account.sessions) == ("amy", 1)
    account.release()
    assert account.sessions == 0


def test_a_session_is_not_told_its_own_changes_but_those_of_others(amy: MemoryAccount) -> None:
    mine, theirs = now(amy.select("INBOX")), now(amy.select("INBOX"))
    assert (mine.recent, theirs.recent) == (5, 0)
    stored = now(mine.store([2, 3], "add", ["\\Seen"]))
    assert list(stored.changed) == [2, 3]
    assert not mine.pending(True)
    assert theirs.pending(False)
    assert now(theirs.sync()).changed == [2, 3]
    amy.folder("INBOX").change_flags([2], "add", ["\\Flagged"])
    now(mine.store([2], "add", ["\\Answered"]))
    assert now(mine.sync()).changed == [2]


def test_expunges_wait_until_they_may_be_told(amy: MemoryAccount) -> None:
    mailbox = now(amy.select("INBOX"))
    amy.folder("INBOX").remove([1, 3])
    amy.deliver("INBOX", b"\r\n")
    held = now(mailbox.sync(expunges=False))
    assert (list(held.expunged), held.exists) == ([], 6)
    assert list(mailbox.rows.uids) == [1, 2, 3, 4, 5, 6]
    assert not mailbox.pending(False)
    assert mailbox.pending(True)
    with pytest.raises(MessageGone):
        now(mailbox.octets(1))
    told = now(mailbox.sync())
    assert (list(told.expunged), list(told.expunged_uids)) == ([1, 2], [1, 3])
    assert list(mailbox.rows.uids) == [2, 4, 5, 6]


def test_an_examined_mailbox_takes_nothing(amy: MemoryAccount) -> None:
    mailbox = now(amy.select("INBOX", read_only=True))
    for work in (
        mailbox.store([1], "add", ["\\Seen"]),
        mailbox.expunge(),
        mailbox.move([1], "INBOX"),
    ):
        with pytest.raises(MailboxReadOnly):
            work.send(None)
    assert now(amy.select("INBOX")).recent == 5


def test_copies_keep_flags_keywords_and_date(amy: MemoryAccount) -> None:
    amy.make("Work")
    amy.folder("Work").mask(["other"])
    mailbox = now(amy.select("INBOX"))
    now(mailbox.store([2], "set", ["\\Seen", "mine"]))
    copied = now(mailbox.copy([2, 4], "Work"))
    assert (copied.sources, copied.targets) == ([2, 4], [1, 2])
    work = amy.folder("Work")
    assert work.names(work.messages[1].flags) == ["\\Seen", "mine"]
    assert work.messages[1].date == 1000
    now(mailbox.move([5], "Work"))
    assert list(now(mailbox.sync()).expunged_uids) == [5]
    with pytest.raises(NoSuchMailbox):
        mailbox.copy([1], "missing").send(None)


def test_keywords_have_an_end(amy: MemoryAccount) -> None:
    mailbox = now(amy.select("INBOX"))
    now(mailbox.store([1], "add", [f"k{number}" for number in range(59)]))
    with pytest.raises(LimitReached):
        mailbox.store([1], "add", ["one-too-many"]).send(None)


def test_an_upload_is_all_or_nothing(amy: MemoryAccount) -> None:
    upload = now(amy.upload("INBOX"))
    upload.begin(3, ["\\Seen"], 7)
    upload.write(b"a\r\n")
    upload.begin(3, [], None)
    upload.write(b"b\r\n")
    assert len(amy.folder("INBOX").messages) == 5
    assert list(now(upload.commit()).uids) == [6, 7]
    assert [each.date for each in amy.folder("INBOX").messages.values()][5:] == [7, 1000]
    amy.largest, amy.room = 10, amy.octets() + 5
    with pytest.raises(TooBig):
        upload.begin(11, [], None)
    with pytest.raises(OverQuota):
        upload.begin(6, [], None)
    late = now(amy.upload("INBOX"))
    late.begin(1, [], None)
    late.abort()
    assert len(amy.folder("INBOX").messages) == 7


def test_the_maildrop_has_one_lock(amy: MemoryAccount) -> None:
    release = now(amy.lock_maildrop())
    with pytest.raises(InUse):
        amy.lock_maildrop().send(None)
    release()
    now(amy.lock_maildrop())


@pytest.mark.parametrize(
    ("query", "found"),
    [
        (q.All(), [1, 2, 3, 4, 5]),
        (q.And([]), [1, 2, 3, 4, 5]),
        (q.And([q.Rows([(1, 4)]), q.Not(q.Uids([(3, 3)]))]), [2, 4]),
        (q.Or(q.Header("subject", "LETTER 2"), q.Text("body 5")), [2, 5]),
        (q.Body("letter"), []),
        (q.Header("Subject", ""), [1, 2, 3, 4, 5]),
        (q.Flag("\\Recent"), [1, 2, 3, 4, 5]),
        (q.Flag("\\seen"), [1]),
        (q.Flag("Nowhere", present=False), [1, 2, 3, 4, 5]),
        (q.On(datetime.date(1970, 1, 1)), [1, 2, 3, 4, 5]),
        (q.Before(datetime.date(1970, 1, 1)), []),
        (q.Older(0), [1, 2, 3, 4, 5]),
        (q.Older(1), []),
        (q.Larger(28), [1, 2, 3, 4, 5]),
        (q.Smaller(29), []),
    ],
)
def test_searches_find_what_they_say(amy: MemoryAccount, query: Any, found: list[int]) -> None:
    amy.folder("INBOX").change_flags([1], "add", ["\\Seen"])
    assert list(now(now(amy.select("INBOX")).search(query))) == found


def test_a_query_that_is_too_large_is_refused(amy: MemoryAccount) -> None:
    mailbox = now(amy.select("INBOX"))
    with pytest.raises(LimitReached):
        mailbox.search(q.And([q.All()] * 1001)).send(None)


def test_uidvalidity_grows_when_a_name_is_used_again(amy: MemoryAccount) -> None:
    now(amy.create("a"))
    first = amy.folder("a").uid_validity
    now(amy.delete("a"))
    now(amy.create("a"))
    assert amy.folder("a").uid_validity > first
