"""
SEARCH and UID SEARCH: from words to a query, and the answer.
"""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest

from mailaccess.protocols.imap.commands import EXTENSIONS
from mailaccess.protocols.imap.factory import IMAPFactory
from mailaccess.protocols.imap.registry import Extension
from mailaccess.store import query as q
from mailaccess.testing.people import entrance
from mailaccess.testing.talk import Talk
from tests.protocols.conftest import House
from tests.protocols.imap.mailboxes_of import LETTER, selected

UMLAUT = (
    b"Subject: =?utf-8?q?Gr=C3=BC=C3=9Fe?=\r\nFrom: J\xc3\xb6rg <j@example.net>\r\n\r\nna ja\r\n"
)


@pytest.fixture
def talk(house: House) -> Talk:
    """
    C{INBOX} has two messages: UIDs 1 and 2.
    """
    return selected(house, LETTER, UMLAUT)


def query_of(talk: Talk, criteria: bytes) -> Any:
    """
    What the store is asked.
    """
    asked = []

    async def search(query: Any) -> list[int]:
        asked.append(query)
        return []

    mailbox = talk.protocol.session.mailbox
    saved, mailbox.search = mailbox.search, search
    try:
        assert talk.send(b"q SEARCH " + criteria) == [b"* SEARCH", b"q OK SEARCH completed"]
    finally:
        mailbox.search = saved
    return asked[0]


DAY = date(2020, 2, 1)


@pytest.mark.parametrize(
    ("criteria", "expected"),
    [
        (b"ALL", q.All()),
        (b"answered", q.Flag("\\Answered")),
        (b"BCC x", q.Header("Bcc", "x")),
        (b"BEFORE 1-Feb-2020", q.Before(DAY)),
        (b'BODY "a b"', q.Body("a b")),
        (b"CC x", q.Header("Cc", "x")),
        (b"DELETED", q.Flag("\\Deleted")),
        (b"DRAFT", q.Flag("\\Draft")),
        (b"FLAGGED", q.Flag("\\Flagged")),
        (b"FROM a", q.Header("From", "a")),
        (b"HEADER X-Test {3+}\r\na b", q.Header("X-Test", "a b")),
        (b'HEADER Subject ""', q.Header("Subject", "")),
        (b"KEYWORD $Work", q.Flag("$Work")),
        (b"LARGER 0", q.Larger(0)),
        (b"NEW", q.And((q.Flag("\\Recent"), q.Flag("\\Seen", present=False)))),
        (b"NOT SEEN", q.Not(q.Flag("\\Seen"))),
        (b"OLD", q.Flag("\\Recent", present=False)),
        (b'ON "01-feb-2020"', q.On(DAY)),
        (b"OR SEEN DRAFT", q.Or(q.Flag("\\Seen"), q.Flag("\\Draft"))),
        (b"RECENT", q.Flag("\\Recent")),
        (b"SEEN", q.Flag("\\Seen")),
        (b"SENTBEFORE 1-Feb-2020", q.Before(DAY, internal=False)),
        (b"SENTON 1-Feb-2020", q.On(DAY, internal=False)),
        (b"SENTSINCE 1-Feb-2020", q.Since(DAY, internal=False)),
        (b"SINCE 1-Feb-2020", q.Since(DAY)),
        (b"SMALLER 4294967295", q.Smaller(4294967295)),
        (b"SUBJECT x", q.Header("Subject", "x")),
        (b"TEXT x", q.Text("x")),
        (b"TO x", q.Header("To", "x")),
        (b"UID 1,7:5", q.Uids(((1, 1),))),
        (b"UID *", q.Uids(((2, 2),))),
        (b"UNANSWERED", q.Flag("\\Answered", present=False)),
        (b"UNDELETED", q.Flag("\\Deleted", present=False)),
        (b"UNDRAFT", q.Flag("\\Draft", present=False)),
        (b"UNFLAGGED", q.Flag("\\Flagged", present=False)),
        (b"UNKEYWORD $Work", q.Flag("$Work", present=False)),
        (b"UNSEEN", q.Flag("\\Seen", present=False)),
        (b"1", q.Rows(((0, 1),))),
        (b"2:1", q.Rows(((0, 2),))),
        (b"*", q.Rows(((1, 2),))),
        (b"7:9", q.Rows(())),
        (b"2:4294967295", q.Rows(((1, 2),))),
    ],
)
def test_every_key_of_the_rfc(talk: Talk, criteria: bytes, expected: q.Query) -> None:
    """RFC 3501 section 6.4.4; sequence sets cost what is written in them (PAR-06)."""
    assert query_of(talk, criteria) == expected
    assert query_of(talk, b"CHARSET UTF-8 " + criteria) == expected


def test_keys_combine(talk: Talk) -> None:
    """AND by standing side by side, OR of two, NOT of one, parentheses."""
    seen, draft, small = q.Flag("\\Seen"), q.Flag("\\Draft"), q.Smaller(5)
    assert query_of(talk, b"SEEN DRAFT") == q.And((seen, draft))
    assert query_of(talk, b"((SEEN))") == seen
    assert query_of(talk, b"OR (SEEN DRAFT) NOT (NOT SMALLER 5)") == (
        q.Or(q.And((seen, draft)), q.Not(q.Not(small)))
    )
    assert query_of(talk, b"OR OR SEEN DRAFT SMALLER 5 SEEN") == (
        q.And((q.Or(q.Or(seen, draft), small), seen))
    )
    assert query_of(talk, b"NOT OR SEEN (DRAFT) 1") == (
        q.And((q.Not(q.Or(seen, draft)), q.Rows(((0, 1),))))
    )


@pytest.mark.parametrize(
    "criteria",
    [
        b"",
        b"()",
        b"(SEEN",
        b"SEEN)",
        b"(SEEN))",
        b"SEEN  DRAFT",
        b"SEEN ",
        b"NOT",
        b"NOT ",
        b"OR SEEN",
        b"OR (SEEN DRAFT)",
        b"NOSUCH",
        b"SEEN NOSUCH",
        b"FROM",
        b'FROM "x',
        b'FROM "\xe4"',
        b"FROM x\x00",
        b"HEADER x",
        b'HEADER "" x',
        b"KEYWORD",
        b"KEYWORD \\Seen",
        b'KEYWORD "x"',
        b"LARGER -1",
        b"LARGER 9223372036854775808",
        b"SINCE 31-Feb-2020",
        b"SINCE 2020-02-01",
        b"SINCE 1-Feb-20",
        b"0",
        b"1:",
        b"1,,2",
        b"4294967296",
        b"UID 0",
        b"UID x",
        b"CHARSET UTF-8",
        b"CHARSET",
        b"NOTSEEN",
    ],
)
def test_bad_searches_are_bad(talk: Talk, criteria: bytes) -> None:
    """PAR-05, PAR-06: and nothing of the state is lost."""
    (reply,) = talk.send(b"a SEARCH " + criteria)
    assert reply.startswith(b"a BAD ")
    assert talk.send(b"b SEARCH ALL") == [b"* SEARCH 1 2", b"b OK SEARCH completed"]


@pytest.mark.parametrize(
    "criteria",
    [
        b"(" * 60_000,
        b"(" * 60 + b"ALL" + b")" * 60,
        b"NOT " * 3000 + b"ALL",
        b"OR " * 3000 + b"ALL " * 3001,
    ],
    ids=["parentheses", "nested", "NOT", "OR"],
)
def test_keys_too_deep_in_one_another_are_bad(talk: Talk, criteria: bytes) -> None:
    """PAR-03, PAR-09: at most 50 deep, and read without recursion."""
    (reply,) = talk.send(b"a SEARCH " + criteria.strip())
    assert reply.startswith(b"a BAD ")
    assert len(reply) < 200


def test_too_many_keys_reach_a_limit(talk: Talk) -> None:
    """PAR-09: at most 1000 nodes."""
    assert len(query_of(talk, b"SEEN " * 998 + b"SEEN").parts) == 999

    async def search(_query: Any) -> list[int]:
        raise AssertionError("the store is not asked")

    talk.protocol.session.mailbox.search = search
    (reply,) = talk.send(b"a SEARCH" + b" TEXT x" * 1000)
    assert reply == b"a NO [LIMIT] Too many search keys"


def test_a_query_is_never_deeper_or_larger_than_the_store_takes(talk: Talk) -> None:
    """PAR-09: the deepest that is read, and NEW, which is two deep itself."""
    depth = 0
    waiting = [(query_of(talk, b"NOT " * 47 + b"NEW"), 1)]
    while waiting:
        node, level = waiting.pop()
        depth = max(depth, level)
        parts = [getattr(node, "part", None), *getattr(node, "parts", ())]
        waiting.extend((each, level + 1) for each in parts if each is not None)
    assert 40 < depth <= q.MAX_DEPTH
    assert talk.send(b"a SEARCH " + b"NOT " * 48 + b"NEW")[0].startswith(b"a BAD ")


# ---- answers ---------------------------------------------------------------------------------


def test_default_searches_work(talk: Talk) -> None:
    """The two that twisted.mail could not do: FROM and SINCE; and TEXT, which finds headers."""
    assert talk.send(b"a SEARCH FROM amy")[0] == b"* SEARCH 1"
    assert talk.send(b"b SEARCH SINCE 1-Jan-2000")[0] == b"* SEARCH 1 2"
    assert talk.send(b"c SEARCH TEXT hello")[0] == b"* SEARCH 1"
    assert talk.send(b"d SEARCH BODY hello")[0] == b"* SEARCH"
    talk.send(b"e STORE 2 +FLAGS ($Work)")
    assert talk.send(b"f SEARCH KEYWORD $work")[0] == b"* SEARCH 2"
    assert talk.send(b"g SEARCH UNKEYWORD $Work")[0] == b"* SEARCH 1"


def test_uid_search_answers_uids(house: House, talk: Talk) -> None:
    """RFC 3501 section 6.4.8: a set without UID still means sequence numbers."""
    talk.send(b"in STORE 1 +FLAGS.SILENT (\\Deleted)", b"in EXPUNGE")
    assert talk.send(b"a SEARCH ALL")[0] == b"* SEARCH 1"
    assert talk.send(b"b UID SEARCH 1")[0] == b"* SEARCH 2"
    assert talk.send(b"c UID SEARCH UID 1:2")[0] == b"* SEARCH 2"
    assert talk.send(b"d SEARCH UID 1")[0] == b"* SEARCH"


def test_nothing_is_found_in_an_empty_mailbox(house: House) -> None:
    """And a set that means nothing there is no error."""
    talk = selected(house)
    assert talk.send(b"a SEARCH ALL")[0] == b"* SEARCH"
    assert talk.send(b"b SEARCH 1:*")[0] == b"* SEARCH"
    assert talk.send(b"c UID SEARCH UID 1:*")[0] == b"* SEARCH"


def test_a_long_answer_is_one_line(talk: Talk) -> None:
    """RFC 3501 section 7.2.5; written in pieces."""
    found = list(range(1, 20_001))

    async def search(_query: Any) -> list[int]:
        return found

    talk.protocol.session.mailbox.search = search
    line, _ = talk.send(b"a SEARCH ALL")
    assert line.split() == [b"*", b"SEARCH", *[b"%d" % each for each in found]]


# ---- character sets --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("charset", "octets"),
    [
        (b"UTF-8", "grüß".encode()),
        (b"utf-8", "GRÜSS".encode()),
        (b"ISO-8859-1", "grüß".encode("latin-1")),
        (b"windows-1252", "grüß".encode("cp1252")),
        (b'"ISO-8859-15"', "grüß".encode("iso8859-15")),
        (b"UTF-7", b"gr+APwA3w-"),
        (b"IBM850", "grüß".encode("cp850")),
    ],
)
def test_strings_are_read_in_the_character_set_given(
    talk: Talk, charset: bytes, octets: bytes
) -> None:
    """RFC 3501 section 6.4.4; twisted.mail ignored CHARSET."""
    command = b"a SEARCH CHARSET %b SUBJECT {%d+}\r\n%b" % (charset, len(octets), octets)
    assert talk.send(command)[0] == b"* SEARCH 2"


def test_without_a_character_set_strings_are_utf_8(talk: Talk) -> None:
    """ASCII by the RFC; clients that send more mean UTF-8."""
    assert talk.send(b"a SEARCH SUBJECT {6+}\r\n" + "grüß".encode())[0] == b"* SEARCH 2"


@pytest.mark.parametrize("charset", [b"NOSUCH", b"rot13", b"zip", b'""', b"hex", b"x" * 100])
def test_an_unknown_character_set_is_refused_with_those_known(talk: Talk, charset: bytes) -> None:
    """RFC 3501 section 7.1, BADCHARSET; codecs that are none of text are not reached (MIME-06)."""
    (reply,) = talk.send(b"a SEARCH CHARSET %b ALL" % charset)
    assert reply.startswith(b"a NO [BADCHARSET (US-ASCII UTF-8 ")
    assert reply.endswith(b")] Unknown character set")


def test_octets_that_the_character_set_has_not_are_bad(talk: Talk) -> None:
    """MIME-06: no guessing in what a client asks for."""
    (reply,) = talk.send(b"a SEARCH CHARSET UTF-8 SUBJECT {1+}\r\n\xff")
    assert reply.startswith(b"a BAD ")


# ---- the seam for extensions ------------------------------------------------------------------


def test_a_key_of_an_extension_is_one_declaration(house: House) -> None:
    """RFC 5032 in two lines, at any depth."""
    extension = Extension(
        "WITHIN", search_keys={b"YOUNGER": lambda terms: q.Younger(terms.number())}
    )
    way_in = entrance(house.checker, house.accounts.enter, house.clock)
    factory = IMAPFactory(way_in, house.clock, house.sweep, extensions=(*EXTENSIONS, extension))
    talk = selected(house, LETTER, factory=factory)
    assert query_of(talk, b"NOT (YOUNGER 60)") == q.Not(q.Younger(60))
    assert selected(house).send(b"a SEARCH YOUNGER 60")[0].startswith(b"a BAD ")
