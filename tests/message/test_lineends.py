"""Line ends are made CRLF on the way out and nothing else changes (MIME-02)."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailaccess.message.lineends import crlf_size, to_crlf, to_lf

MIXTURES = st.lists(st.sampled_from([b"a", b"\r", b"\n", b"\r\n", b"text"]), max_size=30).map(
    b"".join
)


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"", b""),
        (b"a", b"a"),
        (b"a\nb\n", b"a\r\nb\r\n"),
        (b"a\r\nb\r\n", b"a\r\nb\r\n"),
        (b"a\r\nb\nc", b"a\r\nb\r\nc"),
        (b"\n\n", b"\r\n\r\n"),
        (b"a\rb\n", b"a\rb\r\n"),
        (b"a\r\r\n", b"a\r\r\n"),
    ],
)
def test_bare_line_feeds_become_crlf(data: bytes, expected: bytes) -> None:
    assert to_crlf(data) == expected


@given(MIXTURES)
def test_to_crlf_says_what_a_pattern_says(data: bytes) -> None:
    assert to_crlf(data) == re.sub(rb"(?<!\r)\n", b"\r\n", data)


@given(MIXTURES)
def test_the_size_is_that_of_the_converted_message(data: bytes) -> None:
    assert crlf_size(data) == len(to_crlf(data))


def test_a_message_that_has_crlf_is_not_copied() -> None:
    data = b"a: b\r\n\r\nc\r\n" * 10
    assert to_crlf(data) is data


@given(MIXTURES)
def test_to_lf_is_undone_by_to_crlf_or_refused(data: bytes) -> None:
    short = to_lf(data)
    undone = [to_crlf(data.replace(b"\r\n", b"\n"))] if short is None else [to_crlf(short)]
    if short is None:
        assert undone != [data]
    else:
        assert undone == [data]
        assert b"\r\n" not in short
