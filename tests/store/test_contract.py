"""
What every store must do, whatever it keeps mail in: L{mailaccess.interfaces} as tests.

Another back end is added to the fixture C{stores}: two stores that keep the same mail, in the
Maildir store over the same files, as in two processes.
"""

from __future__ import annotations

from typing import Any

import pytest
from zope.interface.verify import verifyObject

from mailaccess import errors
from mailaccess.interfaces import (
    ANSWERED,
    DELETED,
    FLAGGED,
    KEYWORD_BIT,
    SEEN,
    IAccount,
    IAccounts,
    IMailbox,
    IMovesMessages,
    IUpload,
)

from .conftest import both, message, put, until

MANY = 300


async def test_all_objects_provide_what_they_promise(stores: Any) -> None:
    account, _ = await both(stores)
    assert verifyObject(IAccounts, stores[0])
    assert verifyObject(IAccount, account)
    mailbox = await account.select("INBOX")
    assert verifyObject(IMailbox, mailbox)
    assert IMovesMessages in account.powers
    assert verifyObject(IMovesMessages, mailbox)
    assert verifyObject(IUpload, await account.upload("INBOX"))


async def test_a_new_account_has_an_empty_inbox(stores: Any) -> None:
    account, _ = await both(stores)
    assert [info.name for info in await account.mailboxes()] == ["INBOX"]
    mailbox = await account.select("INBOX")
    assert mailbox.name == "INBOX"
    assert len(mailbox.rows) == 0
    assert mailbox.uid_validity > 0


async def test_what_is_uploaded_comes_back_octet_for_octet(stores: Any) -> None:
    account, other = await both(stores)
    odd = b"Subject: x\r\n\r\nbare \r inside\r\n\0 and \xff\r\nno end"
    uids = await put(account, "INBOX", message("one"), odd, flags=["\\Seen", "$Work"], date=1234567)
    for each in (account, other):
        mailbox = await each.select("INBOX")
        assert list(mailbox.rows.uids) == uids
        assert await mailbox.octets(uids[0]) == message("one")
        assert await mailbox.octets(uids[1]) == odd
        assert list(mailbox.rows.sizes) == [len(message("one")), len(odd)]
        assert list(mailbox.rows.dates) == [1234567, 1234567]
        assert list(mailbox.rows.flags) == [SEEN | 1 << KEYWORD_BIT] * 2
        assert list(mailbox.keywords) == ["$Work"]


async def test_uids_ascend_and_are_never_given_twice(stores: Any) -> None:
    account, _ = await both(stores)
    first = await put(account, "INBOX", message("a"), message("b"))
    mailbox = await account.select("INBOX")
    await mailbox.remove(first)
    second = await put(account, "INBOX", message("c"))
    assert min(second) > max(first)
    await mailbox.sync()
    assert mailbox.uid_next > max(second)
    assert list(mailbox.rows.uids) == second


async def test_an_upload_of_several_is_all_or_none(stores: Any) -> None:
    account, _ = await both(stores)
    upload = await account.upload("INBOX")
    upload.begin(3, (), None)
    upload.write(b"a\r\n")
    upload.begin(3, (), None)
    upload.write(b"b\r\n")
    upload.abort()
    mailbox = await account.select("INBOX")
    assert len(mailbox.rows) == 0


async def test_upload_into_a_missing_mailbox_says_so(stores: Any) -> None:
    account, _ = await both(stores)
    with pytest.raises(errors.NoSuchMailbox):
        await account.upload("Missing")
    with pytest.raises(errors.NoSuchMailbox):
        await account.select("Missing")
    with pytest.raises(errors.NoSuchMailbox):
        await account.status("Missing")


async def test_other_sessions_are_told_of_arrivals_once(stores: Any) -> None:
    account, other = await both(stores)
    watching = await other.select("INBOX")
    await put(account, "INBOX", message("a"), message("b"))
    assert watching.pending(False)
    assert len(watching.rows) == 0
    changes = await watching.sync()
    assert changes.exists == 2
    assert len(watching.rows) == 2
    assert not await watching.sync()


async def test_other_sessions_are_told_of_flags_and_the_own_is_not(stores: Any) -> None:
    account, other = await both(stores)
    uids = await put(account, "INBOX", message("a"), message("b"))
    mine, theirs = await account.select("INBOX"), await other.select("INBOX")
    stored = await mine.store(uids[1:], "add", ["\\Flagged"])
    assert list(stored.changed) == [2]
    assert list(mine.rows.flags) == [0, FLAGGED]
    assert not (await mine.sync()).changed
    assert list((await theirs.sync()).changed) == [2]
    assert list(theirs.rows.flags) == [0, FLAGGED]


async def test_flags_are_added_removed_and_set(stores: Any) -> None:
    account, _ = await both(stores)
    uids = await put(account, "INBOX", message("a"), flags=["\\Seen"])
    mailbox = await account.select("INBOX")
    await mailbox.store(uids, "add", ["\\answered"])
    assert mailbox.rows.flags[0] == SEEN | ANSWERED
    await mailbox.store(uids, "remove", ["\\Seen", "unknown"])
    assert mailbox.rows.flags[0] == ANSWERED
    await mailbox.store(uids, "set", ["\\Deleted"])
    assert mailbox.rows.flags[0] == DELETED
    again = await mailbox.store(uids, "set", ["\\Deleted"])
    assert list(again.changed) == [1]


async def test_a_new_keyword_is_reported_and_its_case_does_not_matter(stores: Any) -> None:
    account, other = await both(stores)
    uids = await put(account, "INBOX", message("a"), message("b"))
    mine, theirs = await account.select("INBOX"), await other.select("INBOX")
    await mine.store(uids[:1], "add", ["$Label"])
    await mine.store(uids[1:], "add", ["$LABEL"])
    changes = await theirs.sync()
    assert changes.keywords
    assert list(theirs.keywords) == ["$Label"]
    assert list(theirs.rows.flags) == [1 << KEYWORD_BIT] * 2


async def test_keywords_are_limited(stores: Any) -> None:
    account, _ = await both(stores)
    uids = await put(account, "INBOX", message("a"))
    mailbox = await account.select("INBOX")
    with pytest.raises(errors.LimitReached):
        await mailbox.store(uids, "add", [f"k{number}" for number in range(60)])
    assert mailbox.rows.flags[0] == 0


async def test_a_conditional_store_leaves_alone_what_changed(stores: Any) -> None:
    account, other = await both(stores)
    uids = await put(account, "INBOX", message("a"), message("b"))
    mine, theirs = await account.select("INBOX"), await other.select("INBOX")
    known = mine.highest_modseq
    await theirs.store(uids[:1], "add", ["\\Seen"])
    stored = await mine.store(uids, "add", ["\\Flagged"], unchanged_since=known)
    assert list(stored.conflicts) == uids[:1]
    assert list(stored.changed) == [2]
    await mine.sync()
    assert list(mine.rows.flags) == [SEEN, FLAGGED]


async def test_modseqs_grow_with_every_change(stores: Any) -> None:
    account, _ = await both(stores)
    uids = await put(account, "INBOX", message("a"), message("b"))
    mailbox = await account.select("INBOX")
    seen = [mailbox.highest_modseq]
    await mailbox.store(uids[:1], "add", ["\\Seen"])
    seen.append(mailbox.highest_modseq)
    assert mailbox.rows.modseqs[0] == seen[-1] > mailbox.rows.modseqs[1]
    await mailbox.remove(uids[:1])
    seen.append(mailbox.highest_modseq)
    await put(account, "INBOX", message("c"))
    await mailbox.sync()
    seen.append(mailbox.highest_modseq)
    assert seen == sorted(set(seen))


async def test_expunge_removes_what_is_deleted_and_nothing_else(stores: Any) -> None:
    account, other = await both(stores)
    uids = await put(account, "INBOX", *(message(str(number)) for number in range(5)))
    mine, theirs = await account.select("INBOX"), await other.select("INBOX")
    await mine.store([uids[1], uids[3], uids[4]], "add", ["\\Deleted"])
    assert list(await mine.expunge([uids[0], uids[3]])) == [uids[3]]
    assert list(await mine.expunge()) == [uids[1], uids[4]]
    for mailbox in (mine, theirs):
        changes = await mailbox.sync()
        left = list(range(1, 6))
        for number in changes.expunged:
            del left[number - 1]
        assert left == [1, 3]
        assert list(changes.expunged_uids) == [uids[1], uids[3], uids[4]]
        assert list(mailbox.rows.uids) == [uids[0], uids[2]]
        with pytest.raises(errors.MessageGone):
            await mailbox.octets(uids[1])


async def test_expunged_messages_keep_their_rows_until_they_may_be_reported(stores: Any) -> None:
    account, other = await both(stores)
    uids = await put(account, "INBOX", message("a"), message("b"), message("c"))
    mine, theirs = await account.select("INBOX"), await other.select("INBOX")
    await mine.remove(uids[:1])
    uids += await put(account, "INBOX", message("d"))
    changes = await theirs.sync(expunges=False)
    assert not changes.expunged
    assert changes.exists == 4
    assert list(theirs.rows.uids) == uids
    await mine.sync()
    await mine.store(uids[3:], "add", ["\\Seen"])
    assert list((await theirs.sync(expunges=False)).changed) == [4]
    assert theirs.rows.flags[3] == SEEN
    assert theirs.pending(True)
    changes = await theirs.sync()
    assert list(changes.expunged) == [1]
    assert changes.exists is None
    assert list(theirs.rows.uids) == uids[1:]


async def test_a_store_on_messages_that_others_removed_says_so(stores: Any) -> None:
    account, other = await both(stores)
    uids = await put(account, "INBOX", message("a"), message("b"))
    mine, theirs = await account.select("INBOX"), await other.select("INBOX")
    await theirs.remove(uids[:1])
    stored = await mine.store(uids, "add", ["\\Seen"])
    assert stored.gone
    assert 2 in stored.changed


async def test_a_read_only_session_changes_nothing(stores: Any) -> None:
    account, _ = await both(stores)
    uids = await put(account, "INBOX", message("a"))
    mailbox = await account.select("INBOX", read_only=True)
    assert mailbox.read_only
    with pytest.raises(errors.MailboxReadOnly):
        await mailbox.store(uids, "add", ["\\Seen"])
    with pytest.raises(errors.MailboxReadOnly):
        await mailbox.expunge()
    with pytest.raises(errors.MailboxReadOnly):
        await mailbox.remove(uids)
    with pytest.raises(errors.MailboxReadOnly):
        await mailbox.move(uids, "INBOX")


async def test_recent_belongs_to_the_first_session_that_may_write(stores: Any) -> None:
    account, _ = await both(stores)
    uids = await put(account, "INBOX", message("a"))
    looking = await account.select("INBOX", read_only=True)
    assert looking.recent == 1
    first = await account.select("INBOX")
    second = await account.select("INBOX")
    assert (first.recent, second.recent) == (1, 0)
    assert first.is_recent(uids[0])
    assert not second.is_recent(uids[0])
    more = await put(account, "INBOX", message("b"))
    changes = await second.sync()
    assert changes.recent == 1
    assert second.is_recent(more[0])
    assert (await first.sync()).recent is None
    assert (await account.status("INBOX")).recent == 0


async def test_a_copy_takes_flags_keywords_and_date_along(stores: Any) -> None:
    account, _ = await both(stores)
    await account.create("Work")
    await put(account, "Work", message("x"), flags=["other"])
    uids = await put(account, "INBOX", message("a"), message("b"), flags=["$A", "\\Seen"], date=77)
    mailbox = await account.select("INBOX")
    copied = await mailbox.copy(uids, "Work")
    target = await account.select("Work")
    assert copied.uid_validity == target.uid_validity
    assert list(copied.sources) == uids
    assert list(target.rows.uids)[1:] == list(copied.targets)
    assert await target.octets(copied.targets[1]) == message("b")
    assert list(target.rows.dates)[1:] == [77, 77]
    bit = 1 << (KEYWORD_BIT + list(target.keywords).index("$A"))
    assert list(target.rows.flags)[1:] == [bit | SEEN] * 2
    assert target.is_recent(copied.targets[0])
    assert len(mailbox.rows) == 2
    assert not (await mailbox.sync()).expunged


async def test_a_copy_into_the_same_mailbox_arrives_there(stores: Any) -> None:
    account, _ = await both(stores)
    uids = await put(account, "INBOX", message("a"))
    mailbox = await account.select("INBOX")
    await mailbox.copy(uids, "INBOX")
    assert (await mailbox.sync()).exists == 2


async def test_a_move_leaves_nothing_behind(stores: Any) -> None:
    account, _ = await both(stores)
    await account.create("Done")
    uids = await put(account, "INBOX", message("a"), message("b"), flags=["\\Flagged"])
    mailbox = await account.select("INBOX")
    moved = await mailbox.move(uids[:1], "Done")
    assert list((await mailbox.sync()).expunged) == [1]
    target = await account.select("Done")
    assert list(target.rows.uids) == list(moved.targets)
    assert await target.octets(moved.targets[0]) == message("a")
    assert target.rows.flags[0] == FLAGGED
    with pytest.raises(errors.NoSuchMailbox):
        await mailbox.move(uids[1:], "Nowhere")
    with pytest.raises(errors.NoSuchMailbox):
        await mailbox.copy(uids[1:], "Nowhere")


async def test_status_counts_without_opening(stores: Any) -> None:
    account, _ = await both(stores)
    await put(account, "INBOX", message("a"), flags=["\\Seen"])
    await put(account, "INBOX", message("bb"), flags=["\\Deleted"])
    status = await account.status("INBOX")
    assert (status.messages, status.unseen, status.deleted, status.recent) == (2, 1, 1, 2)
    assert status.size == len(message("a")) + len(message("bb"))
    mailbox = await account.select("INBOX")
    assert status.uid_next == mailbox.uid_next
    assert status.uid_validity == mailbox.uid_validity
    assert status.highest_modseq == mailbox.highest_modseq


async def test_mailboxes_are_made_listed_renamed_and_removed(stores: Any) -> None:
    account, other = await both(stores)
    await account.create("Work")
    await account.create("Work/2024")
    await account.create("Work/2024/May")
    await account.create("Größe & Co")
    with pytest.raises(errors.MailboxExists):
        await other.create("Work/2024/May")
    with pytest.raises(errors.MailboxExists):
        await account.create("INBOX")
    listed = {info.name: info for info in await other.mailboxes()}
    assert next(iter(listed)) == "INBOX"
    assert set(listed) == {"INBOX", "Größe & Co", "Work", "Work/2024", "Work/2024/May"}
    assert listed["Work"].has_children
    assert not listed["Work/2024/May"].has_children
    await put(account, "Work/2024/May", message("a"))
    validity = (await account.status("Work/2024/May")).uid_validity
    await account.rename("Work", "Past")
    assert [info.name for info in await other.mailboxes()] == [
        "INBOX",
        "Größe & Co",
        "Past",
        "Past/2024",
        "Past/2024/May",
    ]
    status = await other.status("Past/2024/May")
    assert (status.messages, status.uid_validity) == (1, validity)
    await account.delete("Past/2024")
    listed = {info.name: info for info in await other.mailboxes()}
    assert not listed["Past/2024"].selectable
    assert listed["Past/2024/May"].selectable
    with pytest.raises(errors.NoSuchMailbox):
        await account.select("Past/2024")
    with pytest.raises(errors.MailboxHasChildren):
        await account.delete("Past/2024")
    await account.delete("Past/2024/May")
    assert "Past/2024" not in {info.name for info in await other.mailboxes()}
    with pytest.raises(errors.NoSuchMailbox):
        await account.delete("Nowhere")
    with pytest.raises(errors.NoSuchMailbox):
        await account.rename("Nowhere", "X")
    with pytest.raises(errors.Refused):
        await account.delete("INBOX")


async def test_renaming_inbox_moves_its_messages(stores: Any) -> None:
    account, _ = await both(stores)
    await put(account, "INBOX", message("a"), message("b"))
    await account.rename("INBOX", "Old")
    assert (await account.status("INBOX")).messages == 0
    assert (await account.status("Old")).messages == 2


async def test_a_mailbox_made_again_has_a_greater_uidvalidity(stores: Any) -> None:
    """
    DS-04.
    """
    account, _ = await both(stores)
    await account.create("A")
    first = (await account.status("A")).uid_validity
    await account.delete("A")
    await account.create("A")
    assert (await account.status("A")).uid_validity > first


async def test_subscriptions_outlive_mailboxes(stores: Any) -> None:
    account, other = await both(stores)
    await account.create("A/b")
    await account.subscribe("A/b")
    await account.subscribe("Gone")
    await account.subscribe("INBOX")
    assert sorted(await other.subscriptions()) == ["A/b", "Gone", "INBOX"]
    listed = {info.name: info for info in await other.mailboxes()}
    assert listed["A/b"].subscribed
    assert not listed["A"].subscribed
    await account.unsubscribe("Gone")
    await account.unsubscribe("Gone")
    await account.delete("A/b")
    assert sorted(await other.subscriptions()) == ["A/b", "INBOX"]


@pytest.mark.parametrize(
    "name", ["", "/", "A//B", "A/", "/A", "..", "A/../B", "a\0b", "a\nb", "x" * 2000]
)
async def test_impossible_names_are_refused(stores: Any, name: str) -> None:
    """
    PATH-01.
    """
    account, _ = await both(stores)
    with pytest.raises(errors.Refused):
        await account.create(name)


async def test_one_pop3_session_at_a_time(stores: Any) -> None:
    account, other = await both(stores)
    release = await account.lock_maildrop()
    with pytest.raises(errors.InUse):
        await other.lock_maildrop()
    with pytest.raises(errors.InUse):
        await account.lock_maildrop()
    release()
    release()
    (await other.lock_maildrop())()


async def test_a_watcher_is_called_when_others_change_something(stores: Any) -> None:
    account, other = await both(stores)
    watching = await other.select("INBOX")
    called: list[int] = []
    end = watching.watch(lambda: called.append(1))
    uids = await put(account, "INBOX", message("a"))
    await until(lambda: called)
    await watching.sync()
    called.clear()
    mailbox = await account.select("INBOX")
    await mailbox.store(uids, "add", ["\\Seen"])
    await until(lambda: called)
    await watching.sync()
    assert list(watching.rows.flags) == [SEEN]
    end()
    end()
    watching.close()
    watching.close()


async def test_structure_and_headers_are_those_of_the_message(stores: Any) -> None:
    account, _ = await both(stores)
    uids = await put(account, "INBOX", message("one"), message("two", "x" * 40000))
    mailbox = await account.select("INBOX")
    for _ in range(2):
        found = await mailbox.describe([*uids, 999])
        assert found[2] is None
        assert b'"one"' in found[0].envelope
        assert found[1].body.startswith(b"(")
        assert found[1].bodystructure.startswith(b"(")
    headers = await mailbox.headers([uids[1], 999])
    assert headers == [b"Subject: two\r\nFrom: a@example.org\r\n\r\n", None]
    bare = [b"Subject: no body\r\n", b"Subject: no line end", b""]
    uids = await put(account, "INBOX", *bare)
    assert await (await account.select("INBOX")).headers(uids) == bare
