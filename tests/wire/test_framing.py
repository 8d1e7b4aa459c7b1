"""
Commands and literals are found wherever the network cuts the stream.
"""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailaccess.wire.framing import (
    POST_AUTH,
    PRE_AUTH,
    Announced,
    BadLiteral,
    Chunk,
    Command,
    Event,
    Framer,
    FramingLimits,
    Overlong,
)

SMALL = FramingLimits(40, 20, 30, 2)


def events(
    pieces: list[bytes], decisions: str = "a", limits: FramingLimits = SMALL, bare_lf: bool = True
) -> list[Event]:
    """
    All events, with the n-th literal treated as the n-th letter says (accept, stream, refuse),
    and over again. Chunks of one literal are joined: how they are cut is not promised.
    """
    framer = Framer(limits, bare_lf=bare_lf)
    seen: list[Event] = []
    literals = 0
    for piece in pieces:
        framer.feed(piece)
        while (event := framer.next()) is not None:
            if isinstance(event, Announced):
                decision = decisions[literals % len(decisions)]
                literals += 1
                {"a": framer.accept, "s": framer.stream, "r": framer.refuse}[decision]()
            if isinstance(event, Chunk) and seen and isinstance(seen[-1], Chunk):
                before = seen[-1]
                if not before.last:
                    seen[-1] = Chunk(before.data + event.data, event.last)
                    continue
            seen.append(event)
    return seen


def commands(data: bytes, decisions: str = "a", limits: FramingLimits = SMALL) -> list[bytes]:
    return [e.text for e in events([data], decisions, limits) if isinstance(e, Command)]


def test_each_line_is_a_command() -> None:
    assert commands(b"a NOOP\r\nb NOOP\r\n\r\nc LOG") == [b"a NOOP", b"b NOOP", b""]


def test_lf_alone_ends_a_line_only_if_that_is_tolerated() -> None:
    assert commands(b"a NOOP\nb NOOP\n") == [b"a NOOP", b"b NOOP"]
    strict = events([b"a NOOP\nb NO", b"OP\r", b"\n"], bare_lf=False)
    assert strict == [Command(b"a NOOP\nb NOOP")]


def test_cr_alone_never_ends_a_line() -> None:
    assert commands(b"a NOOP\rb NOOP\r\r\n") == [b"a NOOP\rb NOOP\r"]


def test_an_accepted_literal_stays_where_it_was() -> None:
    data = b"a LOGIN {3}\r\nb\r\n {2+}\r\npw\r\n"
    assert events([data]) == [
        Announced(b"a LOGIN {3}\r\n", 3, True, False),
        Announced(b"a LOGIN {3}\r\nb\r\n {2+}\r\n", 2, False, False),
        Command(b"a LOGIN {3}\r\nb\r\n {2+}\r\npw"),
    ]


def test_an_accepted_literal_may_end_in_what_looks_like_a_line_end_or_a_literal() -> None:
    assert commands(b"a X {3}\r\n{9}\r\nb X {3}\r\n{9}\n") == [
        b"a X {3}\r\n{9}",
        b"b X {3}\r\n{9}",
    ]
    assert commands(b"a X {1}\r\n\r\nb NOOP\r\n") == [b"a X {1}\r\n\r", b"b NOOP"]


def test_a_streamed_literal_comes_in_chunks_and_then_what_follows() -> None:
    data = b"a APPEND x {5}\r\nhe\r\nl {0+}\r\n\r\nb NOOP\r\n"
    assert events([data], "s") == [
        Announced(b"a APPEND x {5}\r\n", 5, True, False),
        Chunk(b"he\r\nl", True),
        Announced(b" {0+}\r\n", 0, False, False),
        Chunk(b"", True),
        Command(b""),
        Command(b"b NOOP"),
    ]


def test_a_literal8_is_told_apart() -> None:
    assert events([b"a X ~{3}\r\n\x00\x01\x02\r\n"])[0] == Announced(
        b"a X ~{3}\r\n", 3, True, binary=True
    )


def test_after_a_refused_synchronising_literal_comes_the_next_command() -> None:
    """PAR-04: the client waits, and is told no."""
    assert commands(b"a X {9}\r\nb NOOP\r\n", "r") == [b"b NOOP"]


def test_the_octets_of_a_refused_literal_are_never_read_as_commands() -> None:
    """PAR-04: neither the literal nor the literals that follow it in the same command."""
    data = b"a X {8+}\r\nEVIL 1\r\n (~{8+}\r\nEVIL 2\r\n {8}\r\nb NOOP\r\n"
    assert commands(data, "r") == [b"b NOOP"]


def test_a_refused_literal_is_dropped_in_no_memory() -> None:
    """PAR-04: O(1) memory for {4294967295+} and for an endless line."""
    framer = Framer(PRE_AUTH)
    framer.feed(b"a X {4294967295+}\r\n")
    event = framer.next()
    assert isinstance(event, Announced)
    assert framer.over_limit(event.size)
    framer.refuse()
    for _ in range(100):
        framer.feed(b"a LOGIN x y\r\n" * 1000)
        assert framer.next() is None
        assert framer.buffered == 0
    framer = Framer(PRE_AUTH)
    framer.feed(b"a" * 8193)
    framer.feed(b"x")
    assert framer.next() == Overlong(b"a" * 1024)
    for _ in range(100):
        framer.feed(b"y" * 65536)
        assert framer.next() is None
        assert framer.buffered == 0
    framer.feed(b"\r\nb NOOP\r\n")
    assert framer.next() == Command(b"b NOOP")


@pytest.mark.parametrize(
    ("end", "expected"),
    [
        (b"{0}", 0),
        (b"{007}", 7),
        (b"{00000000000000000000000000000000005}", 5),
        (b"{4294967296+}", 2**32),
        (b"{999999999999}", 999999999999),
        (b"{9223372036854775807}", 2**63 - 1),
        (b"{9223372036854775808}", None),
        (b"{99999999999999999999}", None),
        (b"{-5}", None),
        (b"{1 }", None),
        (b"{ 1}", None),
        (b"{}", None),
        (b"{+}", None),
        (b"{+5}", None),
        (b"{5++}", None),
        (b"{5-}", None),
        (b"{0x5}", None),
        (b"{\xd9\xa3}", None),
    ],
)
def test_a_size_is_a_number_of_63_bits_and_nothing_else(end: bytes, expected: int | None) -> None:
    """PAR-04, PAR-06."""
    framer = Framer(POST_AUTH)
    framer.feed(b"a X " + end + b"\r\n")
    event = framer.next()
    if expected is None:
        assert isinstance(event, BadLiteral)
        assert event.text == b"a X " + end
    else:
        assert isinstance(event, Announced)
        assert event.size == expected
        assert event.synchronising == (b"+" not in end)


def test_after_a_bad_literal_the_conversation_goes_on() -> None:
    """PAR-04: a client that waits for a continuation has sent nothing more."""
    assert commands(b"a X {-5}\r\nb NOOP\r\n") == [b"b NOOP"]


def test_after_a_literal_of_unknown_size_nothing_is_a_command() -> None:
    """PAR-04: the client does not wait, and nobody knows where its literal ends."""
    seen = events([b"a X {99999999999999999999+}\r\nb EVIL\r\n"])
    assert [type(e) for e in seen] == [BadLiteral]
    assert seen[0].synchronising is False  # type: ignore[union-attr]


@pytest.mark.parametrize(
    "line",
    [b'a LOGIN x "{5}"', b'a X "{5}', b'a X "\\"{5}', b"a X {5} ", b"a X 5}", b'a X "a" "b {5+}'],
)
def test_braces_in_quotes_or_within_a_line_are_no_literal(line: bytes) -> None:
    assert events([line + b"\r\nb NOOP\r\n"]) == [Command(line), Command(b"b NOOP")]


@pytest.mark.parametrize("line", [b'a X "\\"" {1}', b'a X "\\\\" {1}', b'a X "" "{" {1}'])
def test_quotes_that_are_closed_do_not_hide_a_literal(line: bytes) -> None:
    assert commands(line + b"\r\nx\r\n") == [line + b"\r\nx"]


def test_a_line_may_be_as_long_as_the_limit_and_no_longer() -> None:
    """PAR-01, PAR-02: a line of the limit passes, one octet more does not."""
    for limits in (SMALL, PRE_AUTH, POST_AUTH):
        at, over = b"x" * limits.line, b"x" * (limits.line + 1)
        assert commands(at + b"\r\n", limits=limits) == [at]
        assert events([over + b"\r\n"], limits=limits) == [Overlong(over[: min(1024, limits.line)])]


def test_literals_do_not_count_as_part_of_the_line() -> None:
    """PAR-02: lines and literals have limits of their own."""
    data = b"a " + b"x" * 30 + b" {20}\r\n" + b"y" * 20 + b"\r\n"
    assert commands(data) == [data[:-2]]


def test_the_line_limit_counts_all_lines_of_a_command() -> None:
    """PAR-02: many small literals do not lift the limit on what stands between them."""
    data = b"a " + b"x" * 20 + b" {1+}\r\ny" + b"x" * 20 + b" {1+}\r\ny\r\nb NOOP\r\n"
    assert [type(e) for e in events([data])] == [Announced, Overlong, Command]


def test_literals_behind_an_overlong_line_are_dropped_with_it() -> None:
    """PAR-04: a non-synchronising literal at its end is not read as commands."""
    data = b"a " + b"x" * 99 + b" {8+}\r\nEVIL 1\r\n {8+}\r\nEVIL 2\r\n\r\nb NOOP\r\n"
    assert [type(e) for e in events([data])] == [Overlong, Command]
    assert commands(data) == [b"b NOOP"]
    lost = b"a " + b"x" * 99 + b" {" + b"9" * 99 + b"+}\r\nEVIL\r\n"
    assert commands(lost) == []
    assert commands(b"a" * 99 + b" {1" + b"0" * 80 + b"5+}\r\n12345\r\nb EVIL\r\n") == []
    assert commands(b"a" * 99 + b"\r\nb NOOP\r\n") == [b"b NOOP"]
    assert commands(b"a" * 99 + b"5+}\r\nb NOOP\r\n") == [b"b NOOP"]


def test_limits_that_a_literal_lifted_fall_back_with_its_command() -> None:
    """PAR-02: also when the command ends as overlong, refused or streamed."""
    over = b"x" * 41
    literal = b"a {20+}\r\n" + b"y" * 20
    assert events([literal + over + b"\r\n" + over + b"\r\n"])[1:] == [
        Overlong((literal + over)[:60]),
        Overlong(over[:40]),
    ]
    for decisions in ("ar", "as"):
        data = literal + b" {0}\r\n" + over + b"\r\n"
        assert events([data], decisions)[-1] == Overlong(over[:40])


def test_an_overlong_line_ends_where_lines_end() -> None:
    strict = events([b"x" * 50 + b"\nb EVIL\n\r\nc NOOP\r\n"], bare_lf=False)
    assert strict == [Overlong(b"x" * 40), Command(b"c NOOP")]
    tolerant = events([b"x" * 50 + b"\nb NOOP\n"])
    assert tolerant == [Overlong(b"x" * 40), Command(b"b NOOP")]


def test_a_quote_within_a_literal_is_no_quote() -> None:
    assert commands(b'a X {1+}\r\n" {1+}\r\n"\r\n') == [b'a X {1+}\r\n" {1+}\r\n"']


def test_a_tilde_at_the_end_of_a_streamed_literal_makes_no_literal8() -> None:
    assert events([b"a {1+}\r\n~{1+}\r\nx\r\n"], "s")[2] == Announced(b"{1+}\r\n", 1, False, False)


def test_literal_limits_are_per_literal_in_total_and_by_count() -> None:
    """PAR-01, PAR-02: 4 KiB, 64 KiB and 10 before login; 128 KiB, 1 MiB and 1000 after."""
    assert (PRE_AUTH.line, PRE_AUTH.literal) == (8192, 4096)
    assert (PRE_AUTH.literals_total, PRE_AUTH.literals_count) == (65536, 10)
    assert (POST_AUTH.line, POST_AUTH.literal) == (65536, 131072)
    assert (POST_AUTH.literals_total, POST_AUTH.literals_count) == (1048576, 1000)
    framer = Framer(FramingLimits(100, 20, 30, 2))
    assert not framer.over_limit(20)
    assert framer.over_limit(21)
    framer.feed(b"a {20}\r\n" + b"x" * 20 + b" {10}\r\n" + b"y" * 10 + b" {0}\r\n\r\nb {20}\r\n")
    assert isinstance(framer.next(), Announced)
    framer.accept()
    assert isinstance(framer.next(), Announced)
    assert not framer.over_limit(10)
    assert framer.over_limit(11)
    framer.accept()
    assert isinstance(framer.next(), Announced)
    assert framer.over_limit(0)
    framer.accept()
    assert isinstance(framer.next(), Command)
    assert isinstance(framer.next(), Announced)
    assert not framer.over_limit(20)


def test_streamed_literals_count_against_no_limit() -> None:
    """PAR-02: the messages of APPEND are counted by others."""
    data = b"a {20}\r\n" + b"x" * 20 + (b" {20}\r\n" + b"y" * 20) * 50 + b"\r\n"
    seen = events([data], "s")
    assert sum(isinstance(e, Chunk) for e in seen) == 51
    assert seen[-1] == Command(b"")


def test_new_limits_hold_for_what_is_not_yet_framed() -> None:
    framer = Framer(SMALL)
    framer.feed(b"a LOGIN x y\r\nb " + b"x" * 50 + b"\r\n")
    assert framer.next() == Command(b"a LOGIN x y")
    framer.limits = POST_AUTH
    assert framer.next() == Command(b"b " + b"x" * 50)


def test_raw_lines_have_no_literals() -> None:
    """Responses of AUTHENTICATE and the DONE of IDLE."""
    framer = Framer()
    framer.feed(b"a AUTHENTICATE LOGIN\r\nYg==\r\n{5}\r\nDO")
    assert framer.next() == Command(b"a AUTHENTICATE LOGIN")
    assert framer.line(100) == b"Yg=="
    assert framer.line(100) == b"{5}"
    assert framer.line(100) is None
    framer.feed(b"NE\r\nb NOOP\r\n")
    assert framer.line(100) == b"DONE"
    assert framer.next() == Command(b"b NOOP")


def test_an_overlong_raw_line_is_dropped_with_no_regard_to_braces() -> None:
    for cut in (1, 7, 1000):
        data = b"x" * 10 + b"\r\n" + b"y" * 30 + b"{3+}\r\nabc\r\n"
        framer = Framer()
        seen = []
        for start in range(0, len(data), cut):
            framer.feed(data[start : start + cut])
            while (line := framer.line(10)) is not None:
                seen.append(line)
        assert seen == [b"x" * 10, Overlong(b"y" * 10), b"abc"]


def test_what_was_not_consumed_can_be_taken_away() -> None:
    """TLS-01: what came behind STARTTLS goes to the TLS layer and is not kept."""
    framer = Framer()
    framer.feed(b"a STARTTLS\r\nb LOGIN x y\r\n\x16\x03")
    assert framer.next() == Command(b"a STARTTLS")
    assert framer.buffered == 15
    assert framer.take_rest() == b"b LOGIN x y\r\n\x16\x03"
    assert framer.buffered == 0
    assert framer.next() is None
    framer.feed(b"c X {99+}\r\n")
    framer.next()
    framer.refuse()
    assert framer.next() is None
    assert framer.take_rest() == b""
    framer.feed(b"d NOOP\r\n")
    assert framer.next() == Command(b"d NOOP")


def test_a_decision_is_due_exactly_after_an_announcement() -> None:
    framer = Framer()
    for decide in (framer.accept, framer.stream, framer.refuse):
        with pytest.raises(RuntimeError):
            decide()
    framer.feed(b"a X {5}\r\n")
    framer.next()
    with pytest.raises(RuntimeError):
        framer.next()
    with pytest.raises(RuntimeError):
        framer.line(10)


def test_many_literals_do_not_copy_the_command_each_time() -> None:
    """PAR-02: a thousand small literals behind a big one are linear work."""
    big = b"a X {131072+}\r\n" + b"y" * 131072
    data = big + b" {1+}\r\nz" * 900 + b"\r\n"
    seen = events([data], limits=POST_AUTH)
    assert len(seen) == 902
    assert all(e.text == data[:65536] for e in seen[1:-1] if isinstance(e, Announced))
    assert seen[-1] == Command(data[:-2])


def test_events_do_not_show_what_was_sent() -> None:
    """A command may hold a password."""
    data = b"a LOGIN bob secret\r\nsecret {6}\r\nsecret\r\nsecret {x}\r\n" + b"secret" * 20
    seen = events([data], "s")
    assert len({type(e) for e in seen}) == 5
    assert "secret" not in repr(seen)


LINES = st.sampled_from(
    [
        b"a NOOP",
        b"",
        b'b LOGIN "x\\"{3}" y',
        b"c X {3}\r\nabc {4+}\r\n\r\n\r\n",
        b"d X {7+}\r\n{2}\r\n\r\n z",
        b"e X (~{3}\r\n{5} ~{0+}\r\n)",
        b"f " + b"x" * 38,
        b"f " + b"x" * 39,
        b"g " + b"x" * 60 + b"{6+}\r\nab\r\ncd",
        b"h {-1}",
        b'i "{3}',
        b"j {25+}\r\n" + b"a NOOP\r\n" * 3 + b"a",
        b"k \r\rx",
        b"l {3",
        b"m 3}",
    ]
)


@given(
    lines=st.lists(st.tuples(LINES, st.sampled_from([b"\r\n", b"\n", b"\r\r\n"])), max_size=8),
    decisions=st.text("asr", min_size=1, max_size=4),
    cuts=st.lists(st.integers(1, 20), min_size=1, max_size=10),
    bare_lf=st.booleans(),
)
def test_chunking_never_matters(
    lines: list[tuple[bytes, bytes]], decisions: str, cuts: list[int], bare_lf: bool
) -> None:
    data = b"".join(line + end for line, end in lines)
    pieces, position = [], 0
    while position < len(data):
        size = cuts[len(pieces) % len(cuts)]
        pieces.append(data[position : position + size])
        position += size
    whole = events([data], decisions, bare_lf=bare_lf)
    assert events(pieces, decisions, bare_lf=bare_lf) == whole


@given(st.lists(st.binary(max_size=30), max_size=10), st.text("asr", min_size=1, max_size=3))
def test_no_octets_at_all_break_the_framer(pieces: list[bytes], decisions: str) -> None:
    """PAR-05."""
    assert events(pieces, decisions) == events([b"".join(pieces)], decisions)


class CountedBytes(bytes):
    """
    Counts how many octets are searched for a line end.
    """

    searched = 0

    def find(self, what: bytes, start: int = 0, end: int | None = None) -> int:  # type: ignore[override]
        found = super().find(what, start, len(self) if end is None else end)
        CountedBytes.searched += (found if found >= 0 else len(self)) - start
        return found


def test_a_thousand_commands_in_one_packet_are_searched_once() -> None:
    CountedBytes.searched = 0
    data = CountedBytes(b"a0001 NOOP\r\n" * 1000)
    framer = Framer()
    framer.feed(data)
    count = 0
    while framer.next() is not None:
        count += 1
    assert count == 1000
    assert CountedBytes.searched <= len(data)


def test_a_long_line_octet_by_octet_is_looked_at_once() -> None:
    """Each feed leaves the scan position at the end: nothing is searched twice."""
    framer = Framer(POST_AUTH)
    for count in range(1, 60001):
        framer.feed(b"x")
        assert framer.next() is None
        assert framer._scan == count
    framer.feed(b"\r\n")
    assert framer.next() == Command(b"x" * 60000)
    assert framer.buffered == 0


def test_a_backlog_that_is_read_slowly_does_not_grow() -> None:
    """What was given out is let go of, also if the buffer is never empty."""
    framer = Framer()
    framer.feed(b"a NOOP\r\nb")
    for _ in range(30000):
        framer.feed(b" NOOP\r\nb")
        assert framer.next() in (Command(b"a NOOP"), Command(b"b NOOP"))
    assert framer.buffered == 9
    assert len(framer._data) < 200000
    assert framer.next() == Command(b"b NOOP")
    assert framer.take_rest() == b"b"


def test_an_idle_framer_holds_no_buffer() -> None:
    framer = Framer()
    framer.feed(b"a NOOP\r\n" * 1000)
    while framer.next() is not None:
        pass
    assert framer._data == b""
