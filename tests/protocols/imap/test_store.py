"""
STORE and UID STORE.
"""

from __future__ import annotations

import pytest

from tests.protocols.conftest import House
from tests.protocols.imap.mailboxes_of import LETTER, selected


def test_flags_are_set_added_and_removed_and_answered(house: House) -> None:
    """RFC 3501 section 6.4.6."""
    talk = selected(house, LETTER, LETTER)
    assert talk.send(b"a STORE 1:2 FLAGS (\\Seen \\Draft)") == [
        b"* 1 FETCH (FLAGS (\\Seen \\Draft))",
        b"* 2 FETCH (FLAGS (\\Seen \\Draft))",
        b"a OK STORE completed",
    ]
    assert talk.send(b"b STORE 2 +FLAGS \\Deleted \\Answered")[0] == (
        b"* 2 FETCH (FLAGS (\\Seen \\Answered \\Deleted \\Draft))"
    )
    assert talk.send(b"c STORE 2 -flags (\\SEEN \\answered)")[0] == (
        b"* 2 FETCH (FLAGS (\\Deleted \\Draft))"
    )
    assert talk.send(b"d STORE 2 FLAGS ()")[0] == b"* 2 FETCH (FLAGS ())"
    assert talk.send(b"e FETCH 1:2 FLAGS")[:2] == [
        b"* 1 FETCH (FLAGS (\\Seen \\Draft))",
        b"* 2 FETCH (FLAGS ())",
    ]


def test_silent_answers_nothing_of_its_own(house: House) -> None:
    """RFC 3501 section 6.4.6."""
    talk = selected(house, LETTER)
    for each in (b"FLAGS.SILENT", b"+FLAGS.SILENT", b"-flags.silent"):
        assert talk.send(b"a STORE 1 %b (\\Seen)" % each) == [b"a OK STORE completed"]


def test_silent_still_tells_what_others_changed(house: House) -> None:
    """RFC 3501 section 6.4.6: changes by others come whether silent or not."""
    talk = selected(house, LETTER, LETTER)
    house.accounts.of("amy").folder("INBOX").change_flags([1, 2], "add", ["\\Flagged"])
    assert talk.send(b"a STORE 1 +FLAGS.SILENT (\\Seen)") == [
        b"* 1 FETCH (FLAGS (\\Seen \\Flagged))",
        b"* 2 FETCH (FLAGS (\\Flagged))",
        b"a OK STORE completed",
    ]


def test_uid_store_answers_with_uids(house: House) -> None:
    """RFC 3501 section 6.4.8; UIDs that are not there are no error."""
    talk = selected(house, LETTER, LETTER, LETTER)
    assert talk.send(b"in STORE 1 +FLAGS.SILENT \\Deleted", b"in EXPUNGE")[-1] == (
        b"in OK EXPUNGE completed"
    )
    assert talk.send(b"a UID STORE 1:3,99 +FLAGS (\\Seen)") == [
        b"* 1 FETCH (UID 2 FLAGS (\\Seen))",
        b"* 2 FETCH (UID 3 FLAGS (\\Seen))",
        b"a OK UID STORE completed",
    ]
    assert talk.send(b"b UID STORE 99 +FLAGS (\\Seen)") == [b"b OK UID STORE completed"]


def test_other_sessions_are_told(house: House) -> None:
    """And the one that did it is not told again."""
    other = selected(house, LETTER)
    talk = selected(house)
    talk.send(b"a STORE 1 +FLAGS (\\Seen)")
    assert other.send(b"a NOOP") == [b"* 1 FETCH (FLAGS (\\Seen))", b"a OK NOOP completed"]
    assert talk.send(b"b NOOP") == [b"b OK NOOP completed"]


def test_a_new_keyword_is_announced_before_a_message_has_it(house: House) -> None:
    """RFC 3501 section 7.2.6."""
    talk = selected(house, LETTER)
    flags = b"\\Seen \\Answered \\Flagged \\Deleted \\Draft $Work"
    assert talk.send(b"a STORE 1 +FLAGS ($Work)") == [
        b"* FLAGS (%b)" % flags,
        b"* OK [PERMANENTFLAGS (%b \\*)] New keywords" % flags,
        b"* 1 FETCH (FLAGS ($Work))",
        b"a OK STORE completed",
    ]
    assert talk.send(b"b STORE 1 +FLAGS ($work)")[0] == b"* 1 FETCH (FLAGS ($Work))"
    assert talk.send(b"c STORE 1 -FLAGS ($WORK)")[0] == b"* 1 FETCH (FLAGS ())"


def test_one_keyword_too_many_is_refused(house: House) -> None:
    """The limit is said, and nothing is changed."""
    talk = selected(house, LETTER)
    many = b" ".join(b"k%d" % each for each in range(60))
    assert talk.send(b"a STORE 1 +FLAGS (%b)" % many)[-1].startswith(b"a NO [LIMIT] ")
    assert talk.send(b"b FETCH 1 FLAGS")[0] == b"* 1 FETCH (FLAGS ())"


@pytest.mark.parametrize(
    "arguments",
    [
        b"1 +FLAGS (\\Recent)",
        b"1 FLAGS (\\*)",
        b"1 FLAGS (\\NoSuch)",
        b"1 FLAGS (a b",
        b"1 FLAGS",
        b"1 FLAGS ",
        b"1 FLAGS (a]b)",
        b'1 FLAGS ("quoted")',
        b"1 *FLAGS (a)",
        b"1 FLAGS.LOUD (a)",
        b"1 FLAGS (\\Seen) x",
        b"2 FLAGS (\\Seen)",
        b"0 FLAGS (\\Seen)",
        b"1 FLAGS " + b"(" * 60_000,
    ],
)
def test_bad_stores_are_bad(house: House, arguments: bytes) -> None:
    """PAR-03, PAR-06; \\Recent is not a client's to set (RFC 3501 section 2.3.2)."""
    talk = selected(house, LETTER)
    (reply,) = talk.send(b"a STORE " + arguments)
    assert reply.startswith(b"a BAD ")


def test_an_examined_mailbox_is_not_changed(house: House) -> None:
    """RFC 3501 section 6.3.2."""
    talk = selected(house, LETTER)
    talk.send(b"in EXAMINE INBOX")
    assert talk.send(b"a STORE 1 +FLAGS (\\Seen)") == [b"a NO [NOPERM] Mailbox is read-only"]
    assert talk.send(b"b UID STORE 9 +FLAGS (\\Seen)") == [b"b NO [NOPERM] Mailbox is read-only"]


def test_what_others_expunged_is_said_and_the_rest_is_changed(house: House) -> None:
    """RFC 2180 section 4.2; no EXPUNGE in the answer to STORE (RFC 3501 section 7.4.1)."""
    talk = selected(house, LETTER, LETTER)
    house.accounts.of("amy").folder("INBOX").remove([1])
    assert talk.send(b"a STORE 1:2 +FLAGS (\\Seen)") == [
        b"* 2 FETCH (FLAGS (\\Seen))",
        b"a NO [EXPUNGEISSUED] Some of the messages no longer exist",
    ]
    assert talk.send(b"b UID STORE 1:2 +FLAGS (\\Draft)") == [
        b"* 2 FETCH (UID 2 FLAGS (\\Seen \\Draft))",
        b"* 1 EXPUNGE",
        b"b OK [EXPUNGEISSUED] Some of the messages no longer exist",
    ]
