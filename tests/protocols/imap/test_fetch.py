"""
FETCH and UID FETCH: items, macros, flags, what is gone.
"""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from mailaccess.errors import StoreFailed
from mailaccess.message.structure import describe
from mailaccess.protocols.imap.commands import EXTENSIONS
from mailaccess.protocols.imap.commands.fetch.items import Column, OfOctets
from mailaccess.protocols.imap.factory import IMAPFactory
from mailaccess.protocols.imap.registry import Extension
from mailaccess.testing.memory import MemoryAccount
from mailaccess.testing.people import entrance
from mailaccess.testing.talk import Talk
from tests.protocols.conftest import House
from tests.protocols.imap.mailboxes_of import HEADER, LETTER, NESTED, TEXT, exchange, selected

DATE = b'INTERNALDATE " 9-Sep-2001 01:46:40 +0000"'
SIZE = b"RFC822.SIZE %d" % len(LETTER)


def test_items_of_columns_come_in_the_order_asked_for(house: House) -> None:
    """RFC 3501 section 6.4.5."""
    talk = selected(house, LETTER, LETTER)
    house.accounts.of("amy").folder("INBOX").change_flags([2], "add", ["\\Seen", "$Work"])
    talk.send(b"in NOOP")
    assert talk.send(b"a FETCH 1:2 (UID FLAGS RFC822.SIZE INTERNALDATE)") == [
        b"* 1 FETCH (UID 1 FLAGS () %b %b)" % (SIZE, DATE),
        b"* 2 FETCH (UID 2 FLAGS (\\Seen $Work) %b %b)" % (SIZE, DATE),
        b"a OK FETCH completed",
    ]


def test_macros_stand_for_their_items(house: House) -> None:
    """RFC 3501 section 6.4.5: ALL, FAST and FULL, in any case."""
    talk = selected(house, LETTER)
    known = describe(LETTER)
    fast = b"FLAGS () %b %b" % (DATE, SIZE)
    with_envelope = fast + b" ENVELOPE " + known.envelope
    expected = {
        b"fast": fast,
        b"ALL": with_envelope,
        b"Full": with_envelope + b" BODY " + known.body,
    }
    for macro, items in expected.items():
        assert exchange(talk, b"a FETCH 1 " + macro) == (
            b"* 1 FETCH (%b)\r\na OK FETCH completed\r\n" % items
        )


@pytest.mark.parametrize(
    "items",
    [
        b"(FAST)",
        b"(FLAGS ALL)",
        b"ALL FLAGS",
        b"FLAGS UID",
        b"()",
        b"(FLAGS  UID)",
        b"(FLAGS",
        b"FLAGS)",
        b"NOSUCH",
        b"(FLAGS NOSUCH)",
        b"",
        b"BODY[",
        b"BODY[]]",
        b"BODY[0]",
        b"BODY[HEADER.FIELDS]",
        b"BODY[HEADER.FIELDS ()]",
        b"BODY[MIME]",
        b"BODY[1.]",
        b"BODY[]<0>",
        b"BODY[]<0.0>",
        b"BODY[]<-1.5>",
        b"BODY[]<9223372036854775808.5>",
        b"BODY.PEEK",
        b"BODYSTRUCTURE[]",
        b"UID[]",
    ],
)
def test_what_is_no_item_is_bad(house: House, items: bytes) -> None:
    """PAR-06, and an item nobody declared: BAD, and the conversation goes on."""
    talk = selected(house, LETTER)
    (reply,) = talk.send(b"a FETCH 1 " + items)
    assert reply.startswith(b"a BAD ")
    assert talk.send(b"b NOOP") == [b"b OK NOOP completed"]


@pytest.mark.parametrize("set_", [b"2", b"1:2", b"0", b"4294967296", b"1,", b"a", b"1:2:3", b"01"])
def test_bad_sequence_numbers_are_bad(house: House, set_: bytes) -> None:
    """PAR-06: numbers that no message has, and what is no number (RFC 9051 section 9)."""
    talk = selected(house, LETTER)
    (reply,) = talk.send(b"a FETCH %b FLAGS" % set_)
    assert reply.startswith(b"a BAD ")


def test_uids_that_are_not_there_are_no_error(house: House) -> None:
    """RFC 3501 section 6.4.8; a range to the largest UID costs nothing (PAR-06)."""
    talk = selected(house, LETTER)
    assert talk.send(b"a UID FETCH 7:9 FLAGS") == [b"a OK UID FETCH completed"]
    assert talk.send(b"b UID FETCH 1:4294967295 FLAGS") == [
        b"* 1 FETCH (UID 1 FLAGS ())",
        b"b OK UID FETCH completed",
    ]
    assert talk.send(b"c UID FETCH 4294967295:* (FLAGS UID)") == [
        b"* 1 FETCH (UID 1 FLAGS ())",
        b"c OK UID FETCH completed",
    ]


def test_uid_fetch_answers_the_uid_once_whether_asked_for_or_not(house: House) -> None:
    """RFC 3501 section 6.4.8."""
    talk = selected(house, LETTER)
    for items in (b"FLAGS", b"(FLAGS UID)", b"(UID FLAGS FLAGS)"):
        (fetched, _) = talk.send(b"a UID FETCH 1 " + items)
        assert fetched == b"* 1 FETCH (UID 1 FLAGS ())"


def test_recent_is_shown(house: House) -> None:
    """RFC 3501 section 2.3.2: only to the session that was told first."""
    first = selected(house, LETTER)
    house.accounts.of("amy").deliver("INBOX", LETTER)
    assert first.send(b"a NOOP")[-1] == b"a OK NOOP completed"
    second = house.login()
    second.send(b"a SELECT INBOX")
    assert first.send(b"a FETCH 1:2 FLAGS")[:2] == [
        b"* 1 FETCH (FLAGS ())",
        b"* 2 FETCH (FLAGS (\\Recent))",
    ]
    assert second.send(b"a FETCH 2 FLAGS")[0] == b"* 2 FETCH (FLAGS ())"


def test_body_and_bodystructure_are_the_stored_descriptions(
    selected: Talk, corpus: list[bytes]
) -> None:
    """All of the corpus, over several batches."""
    answer = exchange(selected, b"a UID FETCH 1:* (ENVELOPE BODY BODYSTRUCTURE)")
    expected = b""
    for number, message in enumerate(corpus, 1):
        known = describe(message)
        expected += b"* %d FETCH (UID %d ENVELOPE %b BODY %b BODYSTRUCTURE %b)\r\n" % (
            number,
            number,
            known.envelope,
            known.body,
            known.bodystructure,
        )
    assert answer == expected + b"a OK UID FETCH completed\r\n"


def test_header_values_cannot_end_the_response(house: House) -> None:
    """MIME-07: quotes, backslashes and what looks like a literal stay inside the string."""
    talk = selected(house, b'Subject: "a" \\ {5}\r\nX: y\r\n\r\n')
    (fetched, _) = talk.send(b"a FETCH 1 ENVELOPE")
    assert b'"\\"a\\" \\\\ {5}"' in fetched


def test_names_in_bodystructure_keep_their_case(house: House) -> None:
    """twisted.mail gave "a b.txt" and NIL for a missing encoding."""
    talk = selected(house, b'Content-Type: text/plain; name="A b.TXT"\r\n\r\nx\r\n')
    (fetched, _) = talk.send(b"a FETCH 1 BODYSTRUCTURE")
    assert b'"name" "A b.TXT"' in fetched
    assert b' "7BIT" ' in fetched


# ---- \Seen -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "item", [b"BODY[]", b"BODY[TEXT]", b"BODY[HEADER]", b"BODY[1]", b"RFC822", b"RFC822.TEXT"]
)
def test_reading_sets_seen_and_says_so_in_the_same_response(house: House, item: bytes) -> None:
    """RFC 3501 section 6.4.5."""
    talk = selected(house, LETTER)
    answer = exchange(talk, b"a FETCH 1 " + item)
    assert answer.startswith(b"* 1 FETCH (" + item)
    assert answer.endswith(b" FLAGS (\\Seen))\r\na OK FETCH completed\r\n")
    assert b"FLAGS" not in exchange(talk, b"b FETCH 1 " + item)
    assert talk.send(b"c FETCH 1 FLAGS")[0] == b"* 1 FETCH (FLAGS (\\Seen))"


def test_flags_asked_for_with_a_body_are_the_new_ones(house: House) -> None:
    """Told once, as they are after the reading."""
    talk = selected(house, LETTER)
    answer = exchange(talk, b"a FETCH 1 (FLAGS BODY[])")
    assert answer.startswith(b"* 1 FETCH (FLAGS (\\Seen) BODY[] {")
    assert answer.count(b"FLAGS") == 1


@pytest.mark.parametrize("item", [b"BODY.PEEK[]", b"BODY.PEEK[HEADER]", b"RFC822.HEADER", b"BODY"])
def test_peeking_sets_nothing(house: House, item: bytes) -> None:
    """RFC 3501 section 6.4.5."""
    talk = selected(house, LETTER)
    assert b"FLAGS" not in exchange(talk, b"a FETCH 1 " + item)
    assert talk.send(b"c FETCH 1 FLAGS")[0] == b"* 1 FETCH (FLAGS ())"


def test_an_examined_mailbox_stays_as_it_is(house: House) -> None:
    """RFC 3501 section 6.3.2."""
    talk = selected(house, LETTER)
    talk.send(b"in EXAMINE INBOX")
    assert b"FLAGS" not in exchange(talk, b"a FETCH 1 BODY[]")
    assert talk.send(b"c FETCH 1 FLAGS")[0] == b"* 1 FETCH (FLAGS ())"


def test_other_sessions_hear_of_seen(house: House) -> None:
    """The reading session is not told twice."""
    other = selected(house, LETTER)
    talk = selected(house)
    exchange(talk, b"a FETCH 1 BODY[]")
    assert talk.send(b"b NOOP") == [b"b OK NOOP completed"]
    assert other.send(b"b NOOP") == [b"* 1 FETCH (FLAGS (\\Seen))", b"b OK NOOP completed"]


def test_a_full_disk_does_not_keep_anybody_from_reading(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The flag is not set, the message is given."""
    talk = selected(house, LETTER)

    async def fails(*_arguments: object) -> None:
        raise StoreFailed

    monkeypatch.setattr(talk.protocol.session.mailbox, "store", fails)
    assert exchange(talk, b"a FETCH 1 BODY[]") == (
        b"* 1 FETCH (BODY[] {%d}\r\n%b)\r\na OK FETCH completed\r\n" % (len(LETTER), LETTER)
    )


# ---- messages that are gone -------------------------------------------------------------------


@pytest.mark.parametrize("items", [b"BODY.PEEK[]", b"ENVELOPE", b"BODY.PEEK[HEADER]", b"BODY[1]"])
def test_what_others_expunged_is_left_out_and_said_at_the_end(house: House, items: bytes) -> None:
    """RFC 2180 section 4.1.2; no EXPUNGE in the answer to FETCH (RFC 3501 section 7.4.1)."""
    talk = selected(house, LETTER, LETTER, LETTER)
    house.accounts.of("amy").folder("INBOX").remove([2])
    answer = exchange(talk, b"a FETCH 1:3 " + items)
    assert answer.count(b" FETCH (") == 2
    assert b"* 2 FETCH" not in answer
    assert b"EXPUNGE\r\n" not in answer
    assert answer.endswith(b"\r\na NO [EXPUNGEISSUED] Some of the messages no longer exist\r\n")
    assert talk.send(b"b NOOP")[0] == b"* 2 EXPUNGE"


def test_uid_fetch_of_what_is_gone_is_ok_and_expunges_are_told(house: House) -> None:
    """RFC 3501 section 6.4.8: a UID that is not there is no error."""
    talk = selected(house, LETTER, LETTER)
    house.accounts.of("amy").folder("INBOX").remove([1])
    answer = exchange(talk, b"a UID FETCH 1:2 BODY.PEEK[HEADER]")
    assert answer == (
        b"* 2 FETCH (UID 2 BODY[HEADER] {%d}\r\n%b)\r\n"
        b"* 1 EXPUNGE\r\n"
        b"a OK [EXPUNGEISSUED] Some of the messages no longer exist\r\n" % (len(HEADER), HEADER)
    )


# ---- the seam for extensions ------------------------------------------------------------------


def test_an_item_of_an_extension_is_one_declaration(house: House) -> None:
    """Columns and octets, seen only while the extension is active."""
    active = True

    def modseqs(batch: object) -> Sequence[int]:
        return batch.of(batch.mailbox.rows.modseqs)  # type: ignore[attr-defined]

    extension = Extension(
        "TEST",
        condition=lambda _session: active,
        fetch_items={
            b"MODSEQ": lambda _cursor: Column(b"MODSEQ", modseqs, b"(%d)"),
            b"LINES": lambda _cursor: OfOctets(
                b"LINES", lambda message: b"%d" % message.data.count(b"\n"), rendered=True
            ),
        },
    )
    way_in = entrance(house.checker, house.accounts.enter, house.clock)
    factory = IMAPFactory(way_in, house.clock, house.sweep, extensions=(*EXTENSIONS, extension))
    talk = selected(house, LETTER, factory=factory)
    assert talk.send(b"a FETCH 1 (MODSEQ FLAGS LINES)")[0] == (
        b"* 1 FETCH (MODSEQ (2) FLAGS () LINES 5)"
    )
    active = False
    (reply,) = talk.send(b"b FETCH 1 MODSEQ")
    assert reply.startswith(b"b BAD ")


def test_columns_come_before_bodies(house: House) -> None:
    """The order within a response is the server's; every item is there once."""
    talk = selected(house, LETTER)
    answer = exchange(talk, b"a FETCH 1 (BODY.PEEK[TEXT] UID RFC822.HEADER RFC822.SIZE)")
    assert answer == (
        b"* 1 FETCH (UID 1 %b BODY[TEXT] {%d}\r\n%b RFC822.HEADER {%d}\r\n%b)\r\n"
        b"a OK FETCH completed\r\n" % (SIZE, len(TEXT), TEXT, len(HEADER), HEADER)
    )


def test_fetch_needs_a_mailbox(house: House, account: MemoryAccount) -> None:
    """RFC 3501 section 6.4."""
    (reply,) = house.login().send(b"a FETCH 1 FLAGS")
    assert reply == b"a BAD not in this state"


def test_many_rows_are_answered_in_order(house: House) -> None:
    """More than a batch of columns, by a set with holes and by a range."""
    talk = selected(house, *[LETTER] * 2500)
    lines = talk.send(b"a FETCH 1:* UID")
    assert lines[:-1] == [b"* %d FETCH (UID %d)" % (n, n) for n in range(1, 2501)]
    lines = talk.send(b"a FETCH 1,5:2000,2400 UID")
    wanted = [1, *range(5, 2001), 2400]
    assert lines[:-1] == [b"* %d FETCH (UID %d)" % (n, n) for n in wanted]


def test_nested_message_is_one_fetch(house: House) -> None:
    """Sections of several depths in one answer, one reading."""
    talk = selected(house, NESTED)
    reads = []
    octets = talk.protocol.session.mailbox.octets

    async def counted(uid: int) -> bytes:
        reads.append(uid)
        return await octets(uid)

    talk.protocol.session.mailbox.octets = counted
    answer = exchange(talk, b"a FETCH 1 (BODY.PEEK[1] BODY.PEEK[2.1] BODY.PEEK[] BODY.PEEK[])")
    assert b"BODY[1] {5}\r\nfirst" in answer
    assert b"BODY[2.1] {5}\r\nplain" in answer
    assert answer.count(b"BODY[] {") == 1
    assert reads == [1]


def test_recent_messages_are_found_wherever_they_are(house: House) -> None:
    """Over several batches: recent ones at both ends and in between."""
    talk = selected(house, *[LETTER] * 3000)
    mailbox = talk.protocol.session.mailbox
    mailbox._recent = {1, 1500, 3000}
    lines = talk.send(b"a FETCH 1:* FLAGS")
    shown = [at for at, line in enumerate(lines[:-1], 1) if b"(FLAGS (\\Recent))" in line]
    assert shown == [1, 1500, 3000]
    mailbox._recent = {3000}
    lines = talk.send(b"a FETCH 1:* FLAGS")
    assert lines[2998:3000] == [b"* 2999 FETCH (FLAGS ())", b"* 3000 FETCH (FLAGS (\\Recent))"]


def test_a_fault_within_a_response_does_not_swallow_the_tagged_reply(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """PAR-12: the response is ended before the command is."""
    talk = selected(house, LETTER)

    def broken(*_arguments: object) -> None:
        raise RuntimeError("broken")

    monkeypatch.setattr("mailaccess.protocols.imap.commands.fetch.standard.cut", broken)
    fetched, reply = talk.send(b"a FETCH 1 (UID BODY.PEEK[1])")
    assert fetched == b"* 1 FETCH (UID 1 BODY[1] NIL)"
    assert reply.startswith(b"a NO [SERVERBUG] ")
