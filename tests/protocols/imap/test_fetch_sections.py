"""
BODY[section]<partial>: octet for octet what is stored.
"""

from __future__ import annotations

import pytest

from mailaccess.testing.talk import Talk
from tests.protocols.conftest import House
from tests.protocols.imap.mailboxes_of import HEADER, LETTER, NESTED, TEXT, exchange, selected


def value(talk: Talk, item: bytes, label: bytes | None = None) -> bytes:
    """
    What stands behind the label of the only item of the only message.
    """
    label = item.replace(b".PEEK", b"") if label is None else label
    answer = exchange(talk, b"a FETCH 1 " + item)
    before, after = b"* 1 FETCH (" + label + b" ", b")\r\na OK FETCH completed\r\n"
    assert answer.startswith(before)
    assert answer.endswith(after)
    return answer[len(before) : -len(after)]


def literal(octets: bytes) -> bytes:
    """
    As a literal.
    """
    return b"{%d}\r\n%b" % (len(octets), octets)


def test_the_whole_message_is_what_is_stored(selected: Talk, corpus: list[bytes]) -> None:
    """MIME-02: all of the corpus, by each item that means the whole message."""
    for item in (b"BODY[]", b"RFC822"):
        asked = b"BODY.PEEK[]" if item == b"BODY[]" else item
        exchange(selected, b"s UID STORE 1:* +FLAGS.SILENT \\Seen")
        answer = exchange(selected, b"a FETCH 1:* " + asked)
        expected = b"".join(
            b"* %d FETCH (%b %b)\r\n" % (number, item, literal(octets))
            for number, octets in enumerate(corpus, 1)
        )
        assert answer == expected + b"a OK FETCH completed\r\n"


def test_header_and_text_make_the_message(selected: Talk, corpus: list[bytes]) -> None:
    """MIME-02: nothing between them is lost, whatever the message."""
    for number, octets in enumerate(corpus, 1):
        parts = []
        for item in (b"HEADER", b"TEXT"):
            answer = exchange(selected, b"a FETCH %d BODY.PEEK[%b]" % (number, item))
            _, _, rest = answer.partition(b"] ")
            if rest.startswith(b'""'):
                continue
            size, _, rest = rest[1:].partition(b"}\r\n")
            parts.append(rest[: int(size)])
        assert b"".join(parts) == octets


@pytest.mark.parametrize(
    ("item", "expected"),
    [
        (b"BODY.PEEK[HEADER]", literal(HEADER)),
        (b"BODY.PEEK[TEXT]", literal(TEXT)),
        (b"BODY.PEEK[1]", literal(TEXT)),
        (b"RFC822.HEADER", literal(HEADER)),
        (b"BODY.PEEK[1.MIME]", literal(HEADER)),
        (b"BODY.PEEK[HEADER.FIELDS (SUBJECT)]", literal(b"Subject: hello\r\n\r\n")),
        (b"BODY.PEEK[HEADER.FIELDS (Date Cc)]", literal(b"\r\n")),
        (
            b"BODY.PEEK[HEADER.FIELDS.NOT (subject)]",
            literal(b"From: Amy <amy@example.org>\r\n\r\n"),
        ),
        (b"BODY.PEEK[2]", b"NIL"),
        (b"BODY.PEEK[1.1]", b"NIL"),
        (b"BODY.PEEK[1.HEADER]", b"NIL"),
        (b"BODY.PEEK[1.TEXT]", b"NIL"),
    ],
)
def test_sections_of_a_plain_message(house: House, item: bytes, expected: bytes) -> None:
    """RFC 3501 section 6.4.5; a part that is not there is NIL."""
    assert value(selected(house, LETTER), item) == expected


@pytest.mark.parametrize(
    ("section", "expected"),
    [
        (b"1", literal(b"first")),
        (b"1.MIME", literal(b"Content-Type: text/plain\r\n\r\n")),
        (
            b"2.MIME",
            literal(b"Content-Type: message/rfc822\r\nContent-Description: inside\r\n\r\n"),
        ),
        (
            b"2.HEADER",
            literal(
                b'Subject: inner\r\nContent-Type: multipart/alternative; boundary="two"\r\n\r\n'
            ),
        ),
        (b"2.HEADER.FIELDS (SUBJECT)", literal(b"Subject: inner\r\n\r\n")),
        (
            b"2.HEADER.FIELDS.NOT (SUBJECT)",
            literal(b'Content-Type: multipart/alternative; boundary="two"\r\n\r\n'),
        ),
        (b"2.1", literal(b"plain")),
        (b"2.2", literal(b"<b>bold</b>")),
        (b"2.2.MIME", literal(b"Content-Type: text/html\r\n\r\n")),
        (b"2.3", b"NIL"),
        (b"3", b"NIL"),
        (b"2.1.HEADER", b"NIL"),
    ],
)
def test_sections_of_a_message_in_a_message(house: House, section: bytes, expected: bytes) -> None:
    """RFC 3501 section 6.4.5: numbers go on inside message/rfc822."""
    assert value(selected(house, NESTED), b"BODY.PEEK[%b]" % section) == expected


def test_the_text_of_an_inner_message_is_its_body(house: House) -> None:
    """RFC 3501 section 6.4.5."""
    talk = selected(house, NESTED)
    text = value(talk, b"BODY.PEEK[2.TEXT]")
    assert text.endswith(b"--two\r\nContent-Type: text/html\r\n\r\n<b>bold</b>\r\n--two--")
    inner = value(talk, b"BODY.PEEK[2]")
    assert inner.endswith(text.partition(b"\r\n")[2])
    assert inner.partition(b"\r\n")[2].startswith(b"Subject: inner\r\n")


def test_the_section_is_echoed_as_it_was_asked_for(house: House) -> None:
    """Keywords in capitals, names as they came, quoted where an atom could not hold them."""
    talk = selected(house, LETTER)
    asked = b'BODY.PEEK[header.fields ({7}\r\nSubject "x(y" "%s%n")]<0.3>'
    label = b'BODY[HEADER.FIELDS (Subject "x(y" "%s%n")]<0>'
    assert value(talk, asked.replace(b"{7}", b"{7+}"), label) == literal(b"Sub")


# ---- partial ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("origin", "count"),
    [(0, 5), (0, 1), (3, 4), (0, 10_000), (60, 1000), (10, 4294967295), (2, 2**63 - 1)],
)
@pytest.mark.parametrize("whole", [LETTER, TEXT, HEADER], ids=["", "TEXT", "HEADER"])
def test_a_partial_is_exact(house: House, whole: bytes, origin: int, count: int) -> None:
    """RFC 3501 section 6.4.5; twisted.mail gave the whole message and no origin."""
    section = {LETTER: b"", TEXT: b"TEXT", HEADER: b"HEADER"}[whole]
    octets = whole[origin : origin + count]
    expected = literal(octets) if octets else b'""'
    got = value(
        selected(house, LETTER),
        b"BODY.PEEK[%b]<%d.%d>" % (section, origin, count),
        b"BODY[%b]<%d>" % (section, origin),
    )
    assert got == expected


def test_the_first_five_octets_of_a_message_of_101(house: House) -> None:
    """The message with which twisted.mail broke iOS Mail."""
    talk = selected(house, b"x" * 101)
    assert value(talk, b"BODY.PEEK[]<0.5>", b"BODY[]<0>") == literal(b"xxxxx")
    assert value(talk, b"BODY.PEEK[]<101.5>", b"BODY[]<101>") == b'""'
    assert value(talk, b"BODY.PEEK[]<9223372036854775807.1>", b"BODY[]<9223372036854775807>") == (
        b'""'
    )


def test_a_partial_ends_with_its_part(house: House) -> None:
    """Not with the message: nothing of what follows the part is given."""
    talk = selected(house, NESTED)
    assert value(talk, b"BODY.PEEK[1]<3.100>", b"BODY[1]<3>") == literal(b"st")
    assert value(talk, b"BODY.PEEK[2.1]<0.5>", b"BODY[2.1]<0>") == literal(b"plain")
    assert value(talk, b"BODY.PEEK[2.1]<5.5>", b"BODY[2.1]<5>") == b'""'
    assert value(talk, b"BODY.PEEK[2.1]<6.5>", b"BODY[2.1]<6>") == b'""'
    fields = b"[2.HEADER.FIELDS (SUBJECT)]"
    assert value(talk, b"BODY.PEEK%b<14.9>" % fields, b"BODY%b<14>" % fields) == (
        literal(b"\r\n\r\n")
    )


def test_two_partials_of_one_origin_are_two_items(house: House) -> None:
    """Their labels are the same, their octets are not."""
    talk = selected(house, LETTER)
    answer = exchange(talk, b"a FETCH 1 (BODY.PEEK[]<0.2> BODY.PEEK[]<0.4>)")
    assert b"(BODY[]<0> {2}\r\nSu BODY[]<0> {4}\r\nSubj)" in answer


def test_a_partial_of_a_missing_part_is_nil(house: House) -> None:
    """NIL, as for the part itself."""
    assert value(selected(house, LETTER), b"BODY.PEEK[7]<0.5>", b"BODY[7]<0>") == b"NIL"


def test_an_empty_text_is_an_empty_string(house: House) -> None:
    """There, but without octets: not NIL."""
    talk = selected(house, b"Subject: nothing\r\n\r\n")
    assert value(talk, b"BODY.PEEK[TEXT]") == b'""'
    assert value(talk, b"BODY.PEEK[1]") == b'""'


def test_octets_of_any_kind_are_given_as_they_are(house: House) -> None:
    """MIME-02: NUL, bare CR and LF, 8-bit."""
    octets = b"Subject: \xe4\r\n\r\n\x00\r\rbare\n\xff)\r\na BAD x\r\n"
    assert value(selected(house, octets), b"BODY.PEEK[]") == literal(octets)
