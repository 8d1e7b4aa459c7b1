"""What SEARCH looks at."""

from __future__ import annotations

import datetime

import pytest

from mailaccess.message import text
from mailaccess.message.scan import scan

MESSAGE = b"""\
Subject: =?iso-8859-1?q?Gr=FC=DFe?=
Received: one
Received: two
Content-Type: multipart/mixed; boundary=x

preamble
--x
Content-Type: text/plain; charset=utf-8
Content-Transfer-Encoding: base64

SMOkbGxv
--x
Content-Type: image/png

picture
--x
Content-Type: message/rfc822

Subject: =?utf-8?q?inn=C3=A4r?=

deep text
--x--
epilogue
""".replace(b"\n", b"\r\n")


def test_headers_are_decoded_one_on_a_line() -> None:
    assert text.header_text(MESSAGE) == (
        "Subject: Gr\xfc\xdfe\nReceived: one\nReceived: two\n"
        "Content-Type: multipart/mixed; boundary=x\n"
    )
    assert text.header_value(MESSAGE, b"RECEIVED") == ["one", "two"]
    assert text.header_value(MESSAGE, b"subject") == ["Gr\xfc\xdfe"]
    assert text.header_value(MESSAGE, b"to") == []


def test_the_body_is_that_of_text_parts_and_messages_inside() -> None:
    found = text.body_text(MESSAGE, scan(MESSAGE))
    assert found == "H\xe4llo\nSubject: inn\xe4r\n\ndeep text"


def test_the_body_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(text, "MAX_TEXT", 5)
    data = b"A: b\r\n\r\n0123456789"
    assert text.body_text(data, scan(data)) == "01234"
    parts = b"Content-Type: multipart/mixed; boundary=x\r\n\r\n" + b"--x\r\n\r\n0123\r\n" * 3
    assert text.body_text(parts, scan(parts)) == "0123\n0"


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Stra\xdfe", "STRASSE"),
        ("J\xfcrgen", "JU\u0308RGEN"),
        ("\uff21\uff22", "ab"),
        (
            "\u03a3\u03af\u03c3\u03c5\u03c6\u03bf\u03c2",
            "\u03c3\u03af\u03c3\u03c5\u03c6\u03bf\u03c3",
        ),
        ("ABC", "abc"),
    ],
)
def test_folding_is_blind_to_case_and_to_ways_of_writing(one: str, other: str) -> None:
    assert text.fold(one) == text.fold(other)
    assert text.fold(text.fold(one)) == text.fold(one)


@pytest.mark.parametrize(
    ("value", "day"),
    [
        (b"Mon, 1 Jan 2001 23:59:59 -0800", (2001, 1, 1)),
        (b"1 Jan 2001 23:59 +0000", (2001, 1, 1)),
        (b"Fri, 21 Nov 97 09:55:06 -0600", (1997, 11, 21)),
        (b"21 Nov 03 09:55 GMT", (2003, 11, 21)),
        (b"21 Nov 103 09:55 GMT", (2003, 11, 21)),
        (b"Mon (day),\r\n 1 (x) JANUARY 2001 (y) 10:00", (2001, 1, 1)),
        (b"Monday, 01-Jan-01 10:00:00 GMT", (2001, 1, 1)),
        (b"Mon Jan  1 10:00:00 2001", (2001, 1, 1)),
        (b"Mon Jan  1 10:00:00 PST 2001", (2001, 1, 1)),
        (b"January 5, 2001 10:00", (2001, 1, 5)),
        (b"2001-02-03T04:05:06Z", (2001, 2, 3)),
        (b"31 Feb 2001 00:00:00 +0000", None),
        (b"yesterday", None),
        (b"", None),
        (b"(((", None),
    ],
)
def test_the_day_of_a_date_field(value: bytes, day: tuple[int, int, int] | None) -> None:
    expected = None if day is None else datetime.date(*day)
    assert text.sent_date(b"Subject: x\r\nDate: " + value + b"\r\n\r\nDate: no") == expected


def test_a_message_without_a_date_has_none() -> None:
    assert text.sent_date(b"Subject: x\r\n\r\nDate: 1 Jan 2001") is None
