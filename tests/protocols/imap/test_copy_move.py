"""
COPY, MOVE, EXPUNGE and their UID forms.
"""

from __future__ import annotations

import pytest

from mailaccess.interfaces import IMovesMessages
from mailaccess.testing.talk import Talk
from tests.protocols.conftest import INTERNAL_DATE, House
from tests.protocols.imap.mailboxes_of import LETTER, selected


@pytest.fixture
def three(house: House) -> Talk:
    """
    Three messages in C{INBOX}, and an empty C{Archive}.
    """
    house.accounts.of("amy").make("Archive")
    return selected(house, LETTER, LETTER, b"Subject: third\r\n\r\n")


def test_copy_says_what_became_what(house: House, three: Talk) -> None:
    """RFC 3501 section 6.4.7, RFC 4315 section 3: octets, flags and date go along."""
    three.send(b"in STORE 3 +FLAGS (\\Seen $Work)")
    assert three.send(b"a COPY 2:3 Archive") == [b"a OK [COPYUID 2 2:3 1:2] Copied"]
    archive = house.accounts.of("amy").folder("Archive")
    third = archive.messages[2]
    assert third.octets == b"Subject: third\r\n\r\n"
    assert third.date == INTERNAL_DATE
    assert archive.names(third.flags) == ["\\Seen", "$Work"]
    assert three.send(b"b UID COPY 1,3 archive")[0] == b"b NO [TRYCREATE] No such mailbox"
    assert three.send(b"c UID COPY 1,3 {7+}\r\nArchive") == [b"c OK [COPYUID 2 1,3 3:4] Copied"]


def test_copy_to_the_same_mailbox_is_seen_at_once(three: Talk) -> None:
    """RFC 3501 section 7.3.1."""
    assert three.send(b"a COPY 1 INBOX") == [
        b"* 4 EXISTS",
        b"* 1 RECENT",
        b"a OK [COPYUID 1 1 4] Copied",
    ]


def test_a_missing_destination_is_to_be_made(three: Talk) -> None:
    """RFC 3501 section 6.4.7; twisted.mail answered BAD."""
    for command in (b"COPY 1", b"UID COPY 1", b"MOVE 1", b"UID MOVE 1"):
        assert three.send(b"a %b Nowhere" % command) == [b"a NO [TRYCREATE] No such mailbox"]
    assert three.send(b"b NOOP") == [b"b OK NOOP completed"]


@pytest.mark.parametrize("command", [b"COPY", b"MOVE"])
def test_wrong_numbers_are_bad_and_missing_uids_are_nothing(three: Talk, command: bytes) -> None:
    """PAR-06; RFC 3501 section 6.4.8."""
    assert three.send(b"a %b 4 Archive" % command)[0].startswith(b"a BAD ")
    assert three.send(b"a %b 1" % command)[0].startswith(b"a BAD ")
    (reply,) = three.send(b"a UID %b 9 Archive" % command)
    assert reply.startswith(b"a OK Nothing to ")


def test_a_copy_of_what_is_gone_is_all_or_nothing(house: House, three: Talk) -> None:
    """RFC 3501 section 6.4.7; RFC 2180 section 4.4."""
    house.accounts.of("amy").folder("INBOX").remove([2])
    assert three.send(b"a COPY 1:3 Archive") == [
        b"a NO [EXPUNGEISSUED] Some of the messages no longer exist"
    ]
    assert not house.accounts.of("amy").folder("Archive").messages


# ---- MOVE ------------------------------------------------------------------------------------


def test_copyuid_comes_before_the_expunges(house: House, three: Talk) -> None:
    """RFC 6851 section 4.3: a client matches COPYUID to messages it still knows."""
    assert three.send(b"a MOVE 1:2 Archive") == [
        b"* OK [COPYUID 2 1:2 1:2] Moved",
        b"* 1 EXPUNGE",
        b"* 1 EXPUNGE",
        b"a OK Done",
    ]
    assert three.send(b"b UID MOVE 3 Archive") == [
        b"* OK [COPYUID 2 3 3] Moved",
        b"* 1 EXPUNGE",
        b"b OK Done",
    ]
    assert len(house.accounts.of("amy").folder("Archive").messages) == 3


def test_other_sessions_see_a_move_as_an_expunge(house: House, three: Talk) -> None:
    """RFC 6851 section 3.1."""
    other = selected(house)
    three.send(b"a MOVE 2 Archive")
    assert other.send(b"a NOOP") == [b"* 2 EXPUNGE", b"a OK NOOP completed"]


def test_a_store_that_cannot_move_has_no_move(house: House) -> None:
    """Advertised and accepted come and go together."""
    talk = selected(house, LETTER)
    assert b"MOVE" in talk.send(b"a CAPABILITY")[0].split()
    account = house.accounts.of("amy")
    account.powers = account.powers - {IMovesMessages}
    assert b"MOVE" not in talk.send(b"b CAPABILITY")[0].split()
    assert talk.send(b"c MOVE 1 Archive") == [b"c BAD unknown command"]
    assert talk.send(b"d UID MOVE 1 Archive") == [b"d BAD unknown command"]


# ---- EXPUNGE ---------------------------------------------------------------------------------


def test_expunge_removes_what_is_deleted(house: House, three: Talk) -> None:
    """RFC 3501 section 6.4.3: each number counted after those before it."""
    three.send(b"in STORE 1,3 +FLAGS.SILENT (\\Deleted)")
    assert three.send(b"a EXPUNGE") == [b"* 1 EXPUNGE", b"* 2 EXPUNGE", b"a OK EXPUNGE completed"]
    assert list(house.accounts.of("amy").folder("INBOX").messages) == [2]


def test_uid_expunge_removes_only_what_is_named_and_deleted(house: House, three: Talk) -> None:
    """RFC 4315 section 2.1."""
    three.send(b"in STORE 1,3 +FLAGS.SILENT (\\Deleted)")
    assert three.send(b"a UID EXPUNGE 2:9") == [b"* 3 EXPUNGE", b"a OK UID EXPUNGE completed"]
    assert three.send(b"b UID EXPUNGE 7") == [b"b OK UID EXPUNGE completed"]
    assert list(house.accounts.of("amy").folder("INBOX").messages) == [1, 2]
    assert b"UIDPLUS" in three.send(b"c CAPABILITY")[0].split()


def test_an_examined_mailbox_loses_nothing(house: House, three: Talk) -> None:
    """RFC 3501 section 6.3.2."""
    three.send(b"in STORE 1 +FLAGS.SILENT (\\Deleted)", b"in EXAMINE INBOX")
    for command in (b"EXPUNGE", b"UID EXPUNGE 1", b"MOVE 1 Archive", b"UID MOVE 1 Archive"):
        assert three.send(b"a " + command) == [b"a NO [NOPERM] Mailbox is read-only"]
    assert three.send(b"b COPY 1 Archive")[0].startswith(b"b OK [COPYUID ")
    assert len(house.accounts.of("amy").folder("INBOX").messages) == 3


@pytest.mark.parametrize(
    "command", [b"EXPUNGE 1", b"UID EXPUNGE", b"UID EXPUNGE x", b"UID EXPUNGE 1 2"]
)
def test_bad_expunges_are_bad(three: Talk, command: bytes) -> None:
    """Arguments that do not belong there."""
    assert three.send(b"a " + command)[0].startswith(b"a BAD ")


def test_no_expunge_is_told_while_sequence_numbers_are_used(house: House, three: Talk) -> None:
    """RFC 3501 section 7.4.1: not with FETCH, STORE or SEARCH; nor with COPY, which counts too."""
    house.accounts.of("amy").folder("INBOX").remove([1])
    for command in (b"FETCH 2 FLAGS", b"STORE 2 +FLAGS.SILENT x", b"SEARCH ALL", b"COPY 2 Archive"):
        lines = three.send(b"a " + command)
        assert not [each for each in lines if b"EXPUNGE" in each]
        assert lines[-1].startswith(b"a OK ")
    assert three.send(b"b UID FETCH 2 FLAGS")[1] == b"* 1 EXPUNGE"
