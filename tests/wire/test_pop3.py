"""
POP3 lines, words and dots.
"""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailaccess.errors import BadSyntax
from mailaccess.wire.framing import Overlong
from mailaccess.wire.pop3 import (
    DotStuffer,
    LineFramer,
    dot_stuff,
    line_count,
    message_number,
    parse,
)


def lines(pieces: list[bytes], limit: int = 255) -> list[bytes | Overlong]:
    framer = LineFramer(limit)
    seen: list[bytes | Overlong] = []
    for piece in pieces:
        framer.feed(piece)
        while (line := framer.next()) is not None:
            seen.append(line)
    return seen


def test_lines_end_in_crlf_or_lf() -> None:
    assert lines([b"STAT\r\nLIST\nQU", b"IT\r", b"\n"]) == [b"STAT", b"LIST", b"QUIT"]


def test_lf_alone_ends_a_line_only_if_that_is_tolerated() -> None:
    framer = LineFramer(bare_lf=False)
    framer.feed(b"PASS a\nb\r\n")
    assert framer.next() == b"PASS a\nb"


def test_a_line_has_255_octets_with_its_end() -> None:
    """RFC 2449 section 4."""
    assert lines([b"x" * 253 + b"\r\n" + b"y" * 254 + b"\r\nSTAT\r\n"]) == [
        b"x" * 253,
        Overlong(b"y" * 253),
        b"STAT",
    ]


def test_a_sasl_line_may_be_longer() -> None:
    """SASL-02: the limit is lifted for continuation lines."""
    framer = LineFramer()
    framer.feed(b"AUTH PLAIN\r\n" + b"x" * 1000 + b"\r\n" + b"y" * 254 + b"\r\n")
    assert framer.next() == b"AUTH PLAIN"
    framer.limit = 8192
    assert framer.next() == b"x" * 1000
    framer.limit = 255
    assert isinstance(framer.next(), Overlong)


def test_what_came_behind_stls_is_taken_away() -> None:
    """TLS-01."""
    framer = LineFramer()
    framer.feed(b"STLS\r\nUSER x\r\n")
    assert framer.next() == b"STLS"
    assert framer.buffered == 8
    assert framer.take_rest() == b"USER x\r\n"
    assert framer.next() is None


def test_an_endless_line_takes_no_memory() -> None:
    framer = LineFramer()
    framer.feed(b"x" * 1000)
    assert framer.next() == Overlong(b"x" * 253)
    for _ in range(50):
        framer.feed(b"x" * 65536)
        assert framer.next() is None
        assert framer.buffered == 0
    framer.feed(b"\r\nQUIT\r\n")
    assert framer.next() == b"QUIT"


@given(
    st.lists(
        st.sampled_from([b"STAT\r\n", b"\r", b"\n", b"x" * 30, b"x" * 31, b"{3+}\r\n"]), max_size=12
    ),
    st.lists(st.integers(1, 9), min_size=1),
)
def test_chunking_never_matters(parts: list[bytes], cuts: list[int]) -> None:
    data = b"".join(parts)
    pieces, position = [], 0
    while position < len(data):
        size = cuts[len(pieces) % len(cuts)]
        pieces.append(data[position : position + size])
        position += size
    assert lines(pieces, 32) == lines([data], 32)


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (b"quit", ("QUIT", [], b"")),
        (b"TOP 1 10", ("TOP", [b"1", b"10"], b"1 10")),
        (b"PASS  a b  c ", ("PASS", [b"a", b"b", b"c"], b" a b  c ")),
        (b"PASS", ("PASS", [], b"")),
        (b"PASS ", ("PASS", [], b"")),
        (b"UTF8", ("UTF8", [], b"")),
        (b"USER \xc3\xa9", ("USER", [b"\xc3\xa9"], b"\xc3\xa9")),
        (
            b"APOP al c4c9334bac560ecc979e58001b3e22fb",
            (
                "APOP",
                [b"al", b"c4c9334bac560ecc979e58001b3e22fb"],
                b"al c4c9334bac560ecc979e58001b3e22fb",
            ),
        ),
    ],
)
def test_commands_have_a_keyword_arguments_and_a_rest(
    line: bytes, expected: tuple[str, list[bytes], bytes]
) -> None:
    """RFC 1939 section 7: a password may hold spaces."""
    assert parse(line) == expected


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b" STAT",
        b"ST",
        b"STAT\x00",
        b"USER a\x00b",
        b"USER a\rb",
        b"\xffSTAT",
        b"S\tT x",
        b"STAT\t1",
    ],
)
def test_what_is_no_command(line: bytes) -> None:
    """PAR-05."""
    with pytest.raises(BadSyntax):
        parse(line)


@pytest.mark.parametrize(
    ("word", "number"),
    [(b"1", 1), (b"4294967295", 2**32 - 1)],
)
def test_message_numbers(word: bytes, number: int) -> None:
    assert message_number(word) == number
    assert line_count(word) == number


@pytest.mark.parametrize(
    "word",
    [
        b"",
        b"-1",
        b"+1",
        b"01",
        b"1.0",
        b"zzz",
        b"4294967296",
        b"9" * 5000,
        b"\xd9\xa3",
        b"1 ",
        b"1_0",
    ],
)
def test_what_is_no_number(word: bytes) -> None:
    """PAR-06."""
    for rule in (message_number, line_count):
        with pytest.raises(BadSyntax):
            rule(word)


def test_no_message_has_number_zero_but_top_may_show_no_lines() -> None:
    assert line_count(b"0") == 0
    with pytest.raises(BadSyntax):
        message_number(b"0")


@pytest.mark.parametrize(
    ("data", "wire"),
    [
        (b"", b".\r\n"),
        (b"a\r\n", b"a\r\n.\r\n"),
        (b"a", b"a\r\n.\r\n"),
        (b".", b"..\r\n.\r\n"),
        (b".\r\n", b"..\r\n.\r\n"),
        (b"a\r\n.\r\n..\r\nb.\r\n", b"a\r\n..\r\n...\r\nb.\r\n.\r\n"),
        (b"\r\n.\r\n.\r\n", b"\r\n..\r\n..\r\n.\r\n"),
        (b"a\r", b"a\r\r\n.\r\n"),
        (b"\n", b"\n\r\n.\r\n"),
    ],
)
def test_dots_at_the_start_of_lines_are_doubled(data: bytes, wire: bytes) -> None:
    """RFC 1939 section 3."""
    assert dot_stuff(data) == wire


MESSAGES = st.lists(st.sampled_from([b".", b"\r\n", b"\r", b"\n", b"a", b"..", b"\r\n."])).map(
    b"".join
)


def unstuffed(wire: bytes) -> bytes:
    """
    What a client reads: it ends at the first line that is a dot.
    """
    message = b""
    while True:
        line, _, wire = wire.partition(b"\r\n")
        if line == b".":
            assert wire == b""
            return message
        message += (line[1:] if line.startswith(b".") else line) + b"\r\n"


@given(MESSAGES)
def test_a_client_reads_what_was_sent(data: bytes) -> None:
    complete = data if data.endswith(b"\r\n") or not data else data + b"\r\n"
    assert unstuffed(dot_stuff(data)) == complete


@given(MESSAGES, st.lists(st.integers(0, 3), min_size=1))
def test_chunks_are_stuffed_as_the_whole_is(data: bytes, cuts: list[int]) -> None:
    """At every edge: between CR and LF, between LF and dot, at empty chunks."""
    stuffer, position, turn, wire = DotStuffer(), 0, 0, b""
    while position < len(data):
        size = cuts[turn % len(cuts)] if any(cuts) else 1
        wire += stuffer.feed(data[position : position + size])
        position += size
        turn += 1
    assert wire + stuffer.end() == dot_stuff(data)
    assert stuffer.feed(b".") + stuffer.end() == dot_stuff(b".")


def test_each_pair_of_edges_is_right() -> None:
    """Every way to cut a message into three."""
    data = b".a\r\n.b\r\n..\r\n.\r\n\n.\r.\r\n"
    for first in range(len(data) + 1):
        for second in range(first, len(data) + 1):
            stuffer = DotStuffer()
            pieces = (data[:first], data[first:second], data[second:])
            wire = b"".join(map(stuffer.feed, pieces)) + stuffer.end()
            assert wire == b"..a\r\n..b\r\n...\r\n..\r\n\n.\r.\r\n.\r\n"


def test_a_chunk_without_dots_is_not_copied() -> None:
    chunk = b"some text\r\n" * 1000
    assert DotStuffer().feed(chunk) is chunk
