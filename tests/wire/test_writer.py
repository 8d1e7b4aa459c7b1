"""
What is written reads back as the same value, whatever it is.
"""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailaccess.wire import grammar, writer
from mailaccess.wire.cursor import Cursor
from mailaccess.wire.framing import Announced, Command, Framer, FramingLimits

NO_NUL = st.binary(max_size=60).map(lambda value: value.replace(b"\x00", b""))
NEARLY_WIRE = st.lists(
    st.sampled_from([b'"', b"\\", b"\r\n", b"{5}", b"{3+}\r\n", b"abc", b" ", b"(", b")", b"\xff"])
).map(b"".join)
NAMES = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)


def read_back(rule: object, wire: bytes) -> object:
    cursor = Cursor(wire)
    value = rule(cursor)  # type: ignore[operator]
    cursor.end()
    return value


@given(st.one_of(NO_NUL, NEARLY_WIRE))
def test_strings_read_back(value: bytes) -> None:
    """MIME-07: quotes, backslashes, line ends and braces come through as data."""
    assert read_back(grammar.string, writer.string(value)) == value
    assert read_back(grammar.nstring, writer.nstring(value)) == value
    assert read_back(grammar.astring, writer.astring(value)) == value


@given(st.one_of(NO_NUL, NEARLY_WIRE))
def test_a_string_is_one_string_for_who_frames_it(value: bytes) -> None:
    """MIME-07: it neither ends the line nor begins a literal that is not there."""
    framer = Framer(FramingLimits(1000, 1000, 1000, 10))
    framer.feed(b"* X " + writer.string(value) + b"\r\nnext\r\n")
    event = framer.next()
    if isinstance(event, Announced):
        framer.accept()
        event = framer.next()
    assert event == Command(b"* X " + writer.string(value))
    assert framer.next() == Command(b"next")


@pytest.mark.parametrize(
    ("value", "wire"),
    [
        (b"", b'""'),
        (b"a b", b'"a b"'),
        (b'say "hi" \\o/', rb'"say \"hi\" \\o/"'),
        (b"a\r\nb", b"{4}\r\na\r\nb"),
        (b"\xc3\xa9", b"{2}\r\n\xc3\xa9"),
        (b"\x00", b"{1}\r\n\x00"),
        (b"\x1b[", b"{2}\r\n\x1b["),
        (b"\x7f", b"{1}\r\n\x7f"),
        (b"x" * 1001, b"{1001}\r\n" + b"x" * 1001),
        (b'"\r\n* BYE {5}', b'{12}\r\n"\r\n* BYE {5}'),
    ],
)
def test_what_cannot_be_quoted_is_a_literal(value: bytes, wire: bytes) -> None:
    """MIME-07."""
    assert writer.string(value) == wire


def test_quoting_what_cannot_be_quoted_is_an_error() -> None:
    assert writer.quoted('a"b\\') == b'"a\\"b\\\\"'
    assert writer.quoted(b"x") == b'"x"'
    for value in (b"a\r", b"a\n", b"\x00", b"\xff", "é", b"\x7f"):
        with pytest.raises(ValueError, match=r"."):
            writer.quoted(value)


def test_nil_and_the_string_nil_are_different() -> None:
    assert writer.nstring(None) == b"NIL"
    assert writer.nstring(b"NIL") == b'"NIL"'
    assert writer.astring(b"nil") == b'"nil"'
    assert writer.astring(b"a]b") == b"a]b"
    assert writer.astring(b"") == b'""'
    assert writer.astring(b"a(b") == b'"a(b"'


@given(NAMES)
def test_mailbox_names_read_back(name: str) -> None:
    expected = "INBOX" if name.upper() == "INBOX" and name.isascii() else name
    wire = writer.mailbox(name)
    assert wire.isascii()
    assert not re.search(rb"[\x00-\x1f]", wire)
    assert read_back(grammar.mailbox, wire) == expected


@pytest.mark.parametrize(
    ("name", "wire"),
    [
        ("INBOX", b"INBOX"),
        ("a/b", b"a/b"),
        ("a b", b'"a b"'),
        ("R&D", b"R&-D"),
        ("日本語", b"&ZeVnLIqe-"),
        ('x"y', b'"x\\"y"'),
        ("a*", b'"a*"'),
    ],
)
def test_mailbox_names_are_quoted_if_needed(name: str, wire: bytes) -> None:
    assert writer.mailbox(name) == wire


def test_flag_lists_and_number_lists() -> None:
    assert writer.flag_list([]) == b"()"
    assert writer.flag_list(["\\Seen", "x"]) == b"(\\Seen x)"
    assert writer.number_list([]) == b""
    assert writer.number_list(range(1, 4)) == b"1 2 3"


@pytest.mark.parametrize(
    ("seconds", "wire"),
    [
        (0, b'" 1-Jan-1970 00:00:00 +0000"'),
        (837571465, b'"17-Jul-1996 02:44:25 +0000"'),
        (-1, b'"31-Dec-1969 23:59:59 +0000"'),
        (10**15, b'"31-Dec-9999 23:59:59 +0000"'),
        (-(10**15), b'" 1-Jan-0001 00:00:00 +0000"'),
    ],
)
def test_dates_are_written_in_fixed_width(seconds: int, wire: bytes) -> None:
    assert writer.date_time(seconds) == wire


@given(st.integers(-62135596800, 253402300799))
def test_dates_read_back(seconds: int) -> None:
    wire = writer.date_time(seconds)
    assert len(wire) == 28
    assert read_back(grammar.date_time, wire) == seconds
