"""
SELECT, EXAMINE, CLOSE and UNSELECT as conversations.
"""

from __future__ import annotations

from array import array
from typing import Any

import pytest

from mailaccess.errors import NoSuchMailbox, StoreFailed
from mailaccess.protocols.imap.commands.select import first_unseen
from mailaccess.protocols.imap.registry import State
from mailaccess.testing.memory import MemoryAccount
from mailaccess.testing.talk import Talk


def test_select_says_what_the_mailbox_has(talk: Talk, account: MemoryAccount) -> None:
    """
    RFC 3501 section 6.3.1: all of the required and of the OK untagged responses.
    """
    inbox = account.folder("INBOX")
    inbox.change_flags([1, 2], "add", ["\\Seen"])
    inbox.change_flags([3], "add", ["$Forwarded"])
    flags = b"\\Seen \\Answered \\Flagged \\Deleted \\Draft $Forwarded"
    assert talk.send(b"a SELECT INBOX") == [
        b"* FLAGS (" + flags + b")",
        b"* OK [PERMANENTFLAGS (" + flags + b" \\*)] Flags kept",
        b"* 64 EXISTS",
        b"* 64 RECENT",
        b"* OK [UNSEEN 3] First unseen message",
        b"* OK [UIDVALIDITY 1] UIDs valid",
        b"* OK [UIDNEXT 65] Predicted next UID",
        b"a OK [READ-WRITE] SELECT completed",
    ]


def test_examine_is_read_only_and_keeps_no_flags(talk: Talk) -> None:
    """
    RFC 3501 section 6.3.2.
    """
    lines = talk.send(b"a EXAMINE INBOX")
    assert b"* OK [PERMANENTFLAGS ()] Flags kept" in lines
    assert b"* 64 EXISTS" in lines
    assert lines[-1] == b"a OK [READ-ONLY] EXAMINE completed"


def test_examine_leaves_messages_recent_for_who_selects_later(talk: Talk) -> None:
    """
    RFC 3501 section 6.3.2: it must not cause messages to lose \\Recent.
    """
    assert b"* 64 RECENT" in talk.send(b"a EXAMINE INBOX")
    assert b"* 64 RECENT" in talk.send(b"b SELECT INBOX")
    assert b"* 0 RECENT" in talk.send(b"c SELECT INBOX")


def test_an_empty_mailbox_has_no_unseen_code(talk: Talk, account: MemoryAccount) -> None:
    account.make("Empty")
    lines = talk.send(b"a SELECT Empty")
    assert b"* 0 EXISTS" in lines
    assert not any(b"UNSEEN" in each for each in lines)


def test_where_all_is_seen_there_is_no_unseen_code(talk: Talk, account: MemoryAccount) -> None:
    account.folder("INBOX").change_flags(range(1, 65), "add", ["\\Seen"])
    assert not any(b"UNSEEN" in each for each in talk.send(b"a SELECT INBOX"))


@pytest.mark.parametrize("seen", [0, 1, 4095, 4096, 9000])
def test_the_first_unseen_message_is_found_in_any_kind_of_column(seen: int) -> None:
    flags = array("q", [1 | 8 | 1 << 40] * seen + [8, 1, 0])
    assert first_unseen(flags) == seen + 1
    assert first_unseen(memoryview(flags)) == seen + 1
    assert first_unseen(list(flags)) == seen + 1
    assert first_unseen(memoryview(array("q", [1] * seen))) == 0
    assert first_unseen([1] * seen) == 0


@pytest.mark.parametrize("name", [b"inbox", b"Inbox", b'"iNbOx"'])
def test_inbox_is_the_same_in_any_case(talk: Talk, name: bytes) -> None:
    """
    RFC 3501 section 5.1.
    """
    assert b"* 64 EXISTS" in talk.send(b"a SELECT " + name)


def test_other_names_have_a_case(talk: Talk, account: MemoryAccount) -> None:
    account.make("Work")
    assert talk.send(b"a SELECT work") == [b"a NO [NONEXISTENT] No such mailbox"]


@pytest.mark.parametrize("command", [b"SELECT", b"EXAMINE"])
def test_after_a_failed_select_nothing_is_selected(selected: Talk, command: bytes) -> None:
    """
    RFC 3501 section 6.3.1.
    """
    assert selected.send(b"a " + command + b" Missing") == [b"a NO [NONEXISTENT] No such mailbox"]
    assert selected.protocol.session.state is State.AUTHENTICATED
    assert selected.send(b"b CHECK") == [b"b BAD not in this state"]
    assert selected.send(b"c SELECT INBOX")[-1] == b"c OK [READ-WRITE] SELECT completed"


def test_a_select_that_is_not_understood_changes_nothing(selected: Talk) -> None:
    assert selected.send(b"a SELECT")[-1].startswith(b"a BAD ")
    assert selected.send(b"b CHECK") == [b"b OK CHECK completed"]


def test_a_name_that_only_has_children_cannot_be_selected(
    talk: Talk, account: MemoryAccount
) -> None:
    account.make("a/b")
    assert talk.send(b"a SELECT a") == [b"a NO [NONEXISTENT] No such mailbox"]


def test_selecting_another_mailbox_lets_go_of_the_first_and_expunges_nothing(
    selected: Talk, account: MemoryAccount
) -> None:
    account.make("Work")
    first = selected.protocol.session.mailbox
    account.folder("INBOX").change_flags([1], "add", ["\\Deleted"])
    selected.send(b"a SELECT Work")
    assert first.closed
    assert len(account.folder("INBOX").messages) == 64
    account.deliver("INBOX", b"\r\n")
    assert selected.send(b"b NOOP") == [b"b OK NOOP completed"]


def test_close_expunges_without_a_word(selected: Talk, account: MemoryAccount) -> None:
    """
    RFC 3501 section 6.4.2.
    """
    account.folder("INBOX").change_flags([1, 5], "add", ["\\Deleted"])
    selected.send(b"a NOOP")
    mailbox = selected.protocol.session.mailbox
    assert selected.send(b"b CLOSE") == [b"b OK CLOSE completed"]
    assert mailbox.closed
    assert len(account.folder("INBOX").messages) == 62
    assert selected.send(b"c CLOSE") == [b"c BAD not in this state"]


def test_close_of_an_examined_mailbox_expunges_nothing(talk: Talk, account: MemoryAccount) -> None:
    account.folder("INBOX").change_flags([1, 5], "add", ["\\Deleted"])
    talk.send(b"a EXAMINE INBOX")
    assert talk.send(b"b CLOSE") == [b"b OK CLOSE completed"]
    assert len(account.folder("INBOX").messages) == 64


def test_unselect_expunges_nothing(selected: Talk, account: MemoryAccount) -> None:
    """
    RFC 3691 section 2.
    """
    account.folder("INBOX").change_flags([1, 5], "add", ["\\Deleted"])
    assert selected.send(b"b UNSELECT") == [b"b OK UNSELECT completed"]
    assert len(account.folder("INBOX").messages) == 64
    assert selected.protocol.session.state is State.AUTHENTICATED


def test_a_disk_that_fails_on_close_leaves_the_mailbox_selected(
    selected: Talk, account: MemoryAccount
) -> None:
    account.folder("INBOX").change_flags([1], "add", ["\\Deleted"])
    selected.send(b"a NOOP")

    async def fails() -> None:
        raise StoreFailed(detail="EIO /var/mail/amy")

    account.before = fails
    reply = selected.send(b"b CLOSE")
    assert reply == [b"b NO [UNAVAILABLE] Temporary failure, try again later"]
    account.before = None
    assert selected.protocol.session.state is State.SELECTED
    assert len(account.folder("INBOX").messages) == 64


def test_close_of_a_mailbox_that_another_connection_deleted_is_ok(
    talk: Talk, account: MemoryAccount
) -> None:
    """
    RFC 3501 section 6.4.2: CLOSE has no NO, and the selected state is left.
    """
    account.make("Work")
    account.deliver("Work", b"\r\n", flags=["\\Deleted"])
    talk.send(b"a SELECT Work")
    mailbox = talk.protocol.session.mailbox

    async def gone() -> None:
        raise NoSuchMailbox(detail="mailbox Work was deleted")

    account.before = gone
    assert talk.send(b"b CLOSE") == [b"b OK CLOSE completed"]
    account.before = None
    assert mailbox.closed
    assert talk.protocol.session.state is State.AUTHENTICATED
    assert talk.send(b"c SELECT INBOX")[-1].startswith(b"c OK ")


def test_a_client_that_goes_away_leaves_its_mailbox_and_account(
    selected: Talk, account: MemoryAccount, house: Any
) -> None:
    mailbox = selected.protocol.session.mailbox
    assert account.sessions == 1
    selected.hang_up()
    assert mailbox.closed
    assert account.sessions == 0
