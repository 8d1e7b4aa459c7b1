"""Header blocks: their end, their fields, and the subset that FETCH asks for."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailaccess.message import header

BLOCK = (
    b"Received: from a\r\n\tby b;\r\n date\r\n"
    b"Subject: one\r\n"
    b"X-Subject: no\r\n"
    b"subject : two\r\n"
    b"this is no field\r\n"
    b"To: a@b.example,\r\n c@d.example\r\n"
    b"\r\n"
)


@pytest.mark.parametrize(
    ("data", "end"),
    [
        (b"", 0),
        (b"\r\nx", 2),
        (b"\nx", 1),
        (b"a: b\r\n\r\nx", 8),
        (b"a: b\n\nx", 6),
        (b"a: b\r\n\nx", 7),
        (b"a: b\n\r\nx", 7),
        (b"a: b\r\n \r\n\r\nx", 11),
        (b"a: b\r\n", 6),
        (b"a: b\n\nx\r\n\r\n", 6),
    ],
)
def test_the_header_ends_after_the_first_empty_line(data: bytes, end: int) -> None:
    assert header.header_end(data) == end
    assert header.header_end(b"123" + data + b"\r\n\r\n", 3, 3 + len(data)) == 3 + end


def test_fields_are_found_with_their_places() -> None:
    found = [
        (name, BLOCK[start:end], BLOCK[at:after])
        for name, start, end, at, after in header.fields(BLOCK, 0, len(BLOCK))
    ]
    assert found == [
        (
            b"Received",
            b" from a\r\n\tby b;\r\n date",
            b"Received: from a\r\n\tby b;\r\n date\r\n",
        ),
        (b"Subject", b" one", b"Subject: one\r\n"),
        (b"X-Subject", b" no", b"X-Subject: no\r\n"),
        (b"subject", b" two", b"subject : two\r\n"),
        (b"this is no field", b"", b"this is no field\r\n"),
        (b"To", b" a@b.example,\r\n c@d.example", b"To: a@b.example,\r\n c@d.example\r\n"),
    ]


def test_fields_are_bounded() -> None:
    """MIME-03"""
    block = b"From: a\r\n" * (header.MAX_FIELDS + 5)
    assert len(header.fields(block, 0, len(block))) == header.MAX_FIELDS
    assert len(header.every(block, 0, len(block), b"from")) == header.MAX_FIELDS


def test_first_unfolds_and_does_not_look_at_case() -> None:
    assert header.first(BLOCK, 0, len(BLOCK), b"SUBJECT") == b"one"
    assert header.first(BLOCK, 0, len(BLOCK), b"to") == b"a@b.example, c@d.example"
    assert header.first(BLOCK, 0, len(BLOCK), b"cc") is None
    assert header.first(b"Cc:\r\n\r\nTo: x", 0, 7, b"to") is None
    assert header.every(BLOCK, 0, len(BLOCK), b"subject") == [b"one", b"two"]


def test_no_nul_leaves_the_header() -> None:
    """MIME-06: RFC 3501 section 4.3, no string may hold one"""
    assert header.unfold(b" a\0b\r\n c ") == b"a\x80b c"


@pytest.mark.parametrize(
    ("names", "negate", "expected"),
    [
        ([b"SUBJECT"], False, b"Subject: one\r\nsubject : two\r\n\r\n"),
        ([b"to", b"TO"], False, b"To: a@b.example,\r\n c@d.example\r\n\r\n"),
        ([b"cc"], False, b"\r\n"),
        ([], False, b"\r\n"),
        ([], True, BLOCK),
        (
            [b"received", b"to", b"x-subject"],
            True,
            b"Subject: one\r\nsubject : two\r\nthis is no field\r\n\r\n",
        ),
        ([b"s.bject"], False, b"\r\n"),
    ],
)
def test_pick_takes_fields_as_stored(names: list[bytes], negate: bool, expected: bytes) -> None:
    """RFC 3501 section 6.4.5"""
    assert header.pick(BLOCK, names, negate) == expected


@pytest.mark.parametrize("block", [b"", b"\r\n", b"A: b", b"A: b\r\n", b"A: b\r\n\r\n"])
def test_what_is_picked_ends_with_one_empty_line(block: bytes) -> None:
    rest = b"A: b\r\n\r\n" if block.startswith(b"A") else b"\r\n"
    assert header.pick(block, [b"a"], False) == rest
    assert header.pick(block, [b"a"], True) == b"\r\n"
    assert header.pick(block, [b"x"], True) == rest


LINES = st.sampled_from(
    [b"Subject: x", b"TO: y", b" folded", b"\tfolded", b"no colon", b": empty", b"a : b", b"\0"]
)


@given(st.lists(LINES, max_size=12), st.sets(st.sampled_from([b"subject", b"to", b"a"])))
def test_both_picks_together_hold_every_line_once(lines: list[bytes], names: set[bytes]) -> None:
    block = b"".join(line + b"\r\n" for line in lines) + b"\r\n"
    chosen = header.pick(block, names, False).split(b"\r\n")
    left = header.pick(block, names, True).split(b"\r\n")
    assert sorted(chosen[:-2] + left[:-2]) == sorted(lines)
