"""
The words of commands: what they mean, and what is none of them.
"""

from __future__ import annotations

import datetime
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailaccess.errors import BadSyntax
from mailaccess.wire import grammar
from mailaccess.wire.cursor import Cursor
from mailaccess.wire.grammar import Section


def read(rule: Callable[[Cursor], Any], text: bytes, *, utf8: bool = False) -> Any:
    """
    The value of C{text}, all of which has to be read.
    """
    cursor = Cursor(text, utf8=utf8)
    value = rule(cursor)
    cursor.end()
    return value


def refusal(rule: Callable[[Cursor], Any], text: bytes, *, utf8: bool = False) -> BadSyntax | None:
    try:
        read(rule, text, utf8=utf8)
    except BadSyntax as wrong:
        return wrong
    return None


def refused(rule: Callable[[Cursor], Any], text: bytes, *, utf8: bool = False) -> bool:
    wrong = refusal(rule, text, utf8=utf8)
    assert wrong is None or 0 <= wrong.position <= len(text)
    return wrong is not None


def test_a_cursor_says_where_and_what_was_expected() -> None:
    cursor = Cursor(b"a NOOP x")
    assert grammar.tag(cursor) == b"a"
    cursor.space()
    assert cursor.peek() == ord("N")
    cursor.expect(b"NOOP")
    with pytest.raises(BadSyntax) as caught:
        cursor.end()
    assert (caught.value.expected, caught.value.position) == ("end of command", 6)
    cursor.space()
    assert not cursor.at_end()
    assert cursor.take(b"X")
    assert cursor.at_end()
    assert cursor.peek() == -1
    with pytest.raises(BadSyntax):
        cursor.space()


def test_keywords_are_read_in_any_case() -> None:
    assert Cursor(b"uId FETCH").take(b"UID")
    assert not Cursor(b"uI").take(b"UID")


def test_a_cursor_does_not_show_its_text() -> None:
    """A command may hold a password."""
    assert "secret" not in repr(Cursor(b"a LOGIN bob secret"))


@pytest.mark.parametrize("text", [b"a", b"A001", b"~!@#$", b"]x", b"a.b:c"])
def test_tags(text: bytes) -> None:
    assert read(grammar.tag, text) == text


@pytest.mark.parametrize("text", [b"", b"+", b"a+", b" a", b"a(", b"a\x00", b"a\x80", b"{", b"a\\"])
def test_what_is_no_tag(text: bytes) -> None:
    """PAR-05."""
    assert refused(grammar.tag, text)


@pytest.mark.parametrize("char", [bytes([c]) for c in range(256)])
def test_which_octets_make_atoms_and_astrings(char: bytes) -> None:
    """PAR-05: NUL, controls, 8-bit and specials are in no atom."""
    special = not 0x20 < char[0] < 0x7F or char in b'(){%*"\\'
    assert refused(grammar.astring, b"x" + char) == special
    assert refused(grammar.atom, b"x" + char) == (special or char == b"]")


@pytest.mark.parametrize(
    ("text", "value"),
    [
        (b'""', b""),
        (b'"a b"', b"a b"),
        (rb'"pa\"ss\\w"', rb"pa" + b'"ss\\w'),
        (b'"{5}"', b"{5}"),
        (b"{0}\r\n", b""),
        (b"{3}\r\na\r\n", b"a\r\n"),
        (b"{3+}\r\n\xff\n)", b"\xff\n)"),
        (b"{03}\nabc", b"abc"),
    ],
)
def test_strings_are_decoded(text: bytes, value: bytes) -> None:
    assert read(grammar.string, text) == value
    assert read(grammar.astring, text) == value
    assert read(grammar.nstring, text) == value


@pytest.mark.parametrize(
    "text",
    [
        b'"',
        b'"a',
        b'"a\\"',
        b'"a\\',
        b'"a\\x"',
        b'"a\x00b"',
        b'"a\rb"',
        b'"a\nb"',
        b'"\xc3\xa9"',
        b"{5}\r\nabc",
        b"{5}abcde",
        b"{9999999999999999999999}\r\nx",
        b"{1}\r\n\x00",
        b"{-1}\r\nx",
        b"{}\r\n",
        b'"a"b',
        b"a",
        b"",
    ],
)
def test_what_is_no_string(text: bytes) -> None:
    """PAR-05: NUL, 8-bit, bare CR or LF, unbalanced quotes, a backslash at the end."""
    assert refused(grammar.string, text)


def test_utf8_in_quotes_is_a_switch() -> None:
    """RFC 6855 section 3."""
    assert read(grammar.string, b'"\xc3\xa9"', utf8=True) == "é".encode()
    assert refused(grammar.string, b'"\xc3"', utf8=True)
    assert refused(grammar.string, b'"\xc0\xaf"', utf8=True)
    assert read(grammar.mailbox, b'"\xc3\xa9"', utf8=True) == "é"
    assert refused(grammar.mailbox, b"{1}\r\n\xc3", utf8=True)


def test_nil_is_nothing_and_quoted_nil_is_a_string() -> None:
    assert read(grammar.nstring, b"nil") is None
    assert read(grammar.nstring, b'"NIL"') == b"NIL"
    assert refused(grammar.nstring, b"NOPE")


def test_a_literal8_may_hold_nul() -> None:
    """RFC 3516 section 4.4."""
    assert read(grammar.literal, b"~{2}\r\n\x00\x01") == b"\x00\x01"


M32, M63 = 2**32 - 1, 2**63 - 1


@pytest.mark.parametrize(
    ("rule", "text", "value"),
    [
        (grammar.number, b"0", 0),
        (grammar.number, b"4294967295", M32),
        (grammar.number, b"4294967296", None),
        (grammar.number, b"007", 7),
        (grammar.number, b"-1", None),
        (grammar.number, b"", None),
        (grammar.number, b"\xd9\xa3", None),
        (grammar.number, b"9" * 6000, None),
        (grammar.number, b"0" * 6000 + b"1", 1),
        (grammar.nz_number, b"1", 1),
        (grammar.nz_number, b"0", None),
        (grammar.nz_number, b"01", None),
        (grammar.nz_number, b"4294967295", M32),
        (grammar.nz_number, b"4294967296", None),
        (grammar.number64, b"0", 0),
        (grammar.number64, b"9223372036854775807", M63),
        (grammar.number64, b"9223372036854775808", None),
        (grammar.nz_number64, b"9223372036854775807", M63),
        (grammar.nz_number64, b"0", None),
    ],
)
def test_numbers_and_their_bounds(
    rule: Callable[[Cursor], int], text: bytes, value: int | None
) -> None:
    """PAR-06."""
    if value is None:
        assert refused(rule, text)
    else:
        assert read(rule, text) == value


def test_flags_have_their_usual_spelling() -> None:
    assert read(grammar.flag_list, b"(\\seen \\DELETED $Junk x)") == [
        "\\Seen",
        "\\Deleted",
        "$Junk",
        "x",
    ]
    assert read(grammar.flag_list, b"()") == []
    assert read(grammar.flags, b"\\Draft \\flagged") == ["\\Draft", "\\Flagged"]
    assert read(grammar.flags, b"(a)") == ["a"]
    assert read(grammar.flag_perm, b"\\*") == "\\*"


@pytest.mark.parametrize("text", [b"\\Recent", b"\\Foo", b"\\", b"\\*", b"a b", b"a]", b'"a"'])
def test_what_is_no_flag(text: bytes) -> None:
    assert refused(grammar.flag, text)


@pytest.mark.parametrize("text", [b"( a)", b"(a )", b"(a  b)", b"(a", b"a)", b"(" + b"x " * 2000])
def test_what_is_no_flag_list(text: bytes) -> None:
    assert refused(grammar.flag_list, text)


def test_flags_have_a_limit() -> None:
    assert len(read(grammar.flags, b"x" + b" x" * 999)) == 1000
    assert refused(grammar.flags, b"x" + b" x" * 1000)
    assert refused(grammar.flag_list, b"(x" + b" x" * 1000 + b")")


@pytest.mark.parametrize(
    ("text", "name"),
    [
        (b"inbox", "INBOX"),
        (b'"InBox"', "INBOX"),
        (b"{5}\r\nINBOX", "INBOX"),
        (b"inbox/x", "inbox/x"),
        (b"&ATE-nbox", "\u0131nbox"),
        (b"&ZeVnLIqe-", "日本語"),
        (b'"a &- b"', "a & b"),
        (b"a]b", "a]b"),
    ],
)
def test_mailbox_names(text: bytes, name: str) -> None:
    assert read(grammar.mailbox, text) == name


@pytest.mark.parametrize("text", [b"&", b"&AGE-", b"{2}\r\n\xc3\xa9", b'"a&b"', b"a*", b"a%"])
def test_what_is_no_mailbox_name(text: bytes) -> None:
    """PAR-11."""
    assert refused(grammar.mailbox, text)


def test_patterns_may_hold_wildcards_without_quotes() -> None:
    assert read(grammar.list_mailbox, b"a/%*]") == "a/%*]"
    assert read(grammar.list_mailbox, b'""') == ""
    assert read(grammar.list_mailbox, b"&AOk-*") == "é*"
    assert refused(grammar.list_mailbox, b"a(b")


@pytest.mark.parametrize(
    ("text", "day"),
    [
        (b"1-Feb-1994", datetime.date(1994, 2, 1)),
        (b'"29-FEB-2024"', datetime.date(2024, 2, 29)),
        (b"01-dec-0001", datetime.date(1, 12, 1)),
    ],
)
def test_dates(text: bytes, day: datetime.date) -> None:
    assert read(grammar.date, text) == day


@pytest.mark.parametrize(
    "text",
    [b"29-Feb-2023", b"0-Jan-2000", b"1-Foo-2000", b"1-Jan-0000", b'"1-Jan-2000', b"1-Jan-20"],
)
def test_what_is_no_date(text: bytes) -> None:
    assert refused(grammar.date, text)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        (b'"01-Jan-1970 00:00:00 +0000"', 0),
        (b'" 1-Jan-1970 00:00:00 -0130"', 5400),
        (b'"17-Jul-1996 02:44:25 -0700"', 837596665),
        (b'"31-Dec-1969 23:59:59 +0000"', -1),
        (b'"31-Dec-1998 23:59:60 +0000"', 915148800),
    ],
)
def test_dates_with_times(text: bytes, seconds: int) -> None:
    assert read(grammar.date_time, text) == seconds


@pytest.mark.parametrize(
    "text",
    [
        b'"1-Jan-1970 00:00:00 +0000"',
        b'"01-Jan-1970 24:00:00 +0000"',
        b'"01-Jan-1970 00:60:00 +0000"',
        b'"01-Jan-1970 00:00:61 +0000"',
        b'"01-Jan-1970 00:00:00 +2400"',
        b'"01-Jan-1970 00:00:00 +0060"',
        b'"01-Jan-1970 00:00:00 GMT"',
        b'"31-Apr-1970 00:00:00 +0000"',
        b"01-Jan-1970 00:00:00 +0000",
    ],
)
def test_what_is_no_date_with_time(text: bytes) -> None:
    assert refused(grammar.date_time, text)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        (b"[]", Section()),
        (b"[text]", Section((), "TEXT")),
        (b"[HEADER]", Section((), "HEADER")),
        (b"[1]", Section((1,))),
        (b"[1.2.3.mime]", Section((1, 2, 3), "MIME")),
        (b"[4.TEXT]", Section((4,), "TEXT")),
        (b"[Header.Fields (a B)]", Section((), "HEADER.FIELDS", (b"a", b"B"))),
        (b'[2.HEADER.FIELDS.NOT ("x")]', Section((2,), "HEADER.FIELDS.NOT", (b"x",))),
    ],
)
def test_sections(text: bytes, value: Section) -> None:
    assert read(grammar.section, text) == value


@pytest.mark.parametrize(
    "text",
    [
        b"[",
        b"[MIME]",
        b"[0]",
        b"[1.]",
        b"[.1]",
        b"[01]",
        b"[1..2]",
        b"[1.0]",
        b"[4294967296]",
        b"[HEADER.FIELDS]",
        b"[HEADER.FIELDS ()]",
        b"[HEADER.FIELDS (a  b)]",
        b"[HEADER.FIELDS.NOT]",
        b"[HEADER (a)]",
        b'[HEADER.FIELDS ("a b")]',
        b'[HEADER.FIELDS ("a:")]',
        b'[HEADER.FIELDS ("")]',
        b"[HEADER.FIELDS ({2}\r\n\r\n)]",
        b"[TEXT.1]",
        b"[" + b"1." * 200 + b"1]",
        b"[" + b"1." * 30000 + b"1]",
    ],
)
def test_what_is_no_section(text: bytes) -> None:
    assert refused(grammar.section, text)


def test_partials() -> None:
    """PAR-06."""
    assert read(grammar.partial, b"<0.1>") == (0, 1)
    assert read(grammar.partial, b"<9223372036854775807.1>") == (M63, 1)
    assert read(grammar.partial, b"") is None
    for text in (b"<0.0>", b"<0>", b"<.1>", b"<-1.1>", b"<0.1", b"<9223372036854775808.1>"):
        assert refused(grammar.partial, text)


@pytest.mark.parametrize("text", [b"", b"AA==", b"AGJvYgBwdw==", b"AAA=", b"AAAA"])
def test_base64(text: bytes) -> None:
    import base64

    assert read(grammar.base64, text) == base64.b64decode(text)


NOT_BASE64 = b"= =AAA AAA=BBB AAA=BBB= AAA A A=== AA= AA==AA== AAA== AB== AAB= AA-_ AAAA==== *"


@pytest.mark.parametrize("text", [*NOT_BASE64.split(), b"A A=", b"AA\r\n==", b"AA==\n"])
def test_what_is_no_base64(text: bytes) -> None:
    """SASL-01: strict: alphabet, padding and unused bits."""
    assert refused(grammar.base64, text)
    with pytest.raises(BadSyntax):
        grammar.decode_base64(text)


def test_parenthesised_lists_have_a_limit() -> None:
    assert read(lambda c: grammar.parenthesised(c, grammar.atom, 3), b"(a b c)") == [
        b"a",
        b"b",
        b"c",
    ]
    assert refused(lambda c: grammar.parenthesised(c, grammar.atom, 3), b"(a b c d)")
    assert refused(lambda c: grammar.parenthesised(c, grammar.atom, 3), b"()")
    assert read(lambda c: grammar.parenthesised(c, grammar.atom, 3, empty=True), b"()") == []


@pytest.mark.parametrize("count", [101, 8000, 60000])
def test_parentheses_nest_a_hundred_deep_and_no_deeper(count: int) -> None:
    """PAR-03."""

    def open_all(cursor: Cursor) -> None:
        while not cursor.at_end():
            cursor.open()

    wrong = refusal(open_all, b"(" * count)
    assert wrong is not None
    assert wrong.position == 100
    cursor = Cursor(b"(" * 100 + b")" * 100)
    for _ in range(100):
        cursor.open()
    for _ in range(100):
        cursor.close()
    assert cursor.depth == 0
    assert cursor.at_end()


RULES = [getattr(grammar, name) for name in grammar.__all__ if name.islower()]
RULES = [r for r in RULES if r not in (grammar.parenthesised, grammar.decode_base64)]
PIECES = rb"""" \ {3} abc ( ) [ ] < > . 1 0 * : , & - = ~ MIME NIL 4294967296 1-Jan-2020 \Seen"""
NEARLY = st.lists(
    st.sampled_from(
        [*PIECES.split(), b" ", b"\x00", b"\xff", b"\r", b"\n", b"{3}\r\n", b"HEADER.FIELDS "]
    ),
    max_size=12,
).map(b"".join)


@given(st.sampled_from(RULES), NEARLY, st.booleans())
def test_nothing_but_bad_syntax_comes_of_bad_syntax(
    rule: Callable[[Cursor], Any], text: bytes, utf8: bool
) -> None:
    """PAR-05."""
    refused(rule, text, utf8=utf8)
