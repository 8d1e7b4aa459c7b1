"""The octets that BODY[section] names (RFC 3501 section 6.4.5)."""

from __future__ import annotations

import pytest

from mailaccess.message.section import section

MESSAGE = b"""\
Subject: outer
Content-Type: multipart/mixed; boundary=x

preamble
--x

one
--x
Content-Type: message/rfc822
X-Part: yes

Subject: inner
From: a@b.example
Content-Type: multipart/alternative; boundary=y

--y

two
--y
Content-Type: text/html

<p>
--y--
--x
Content-Type: message/rfc822

Subject: plain

three
--x--
""".replace(b"\n", b"\r\n")

NESTED = b"Content-Type: message/rfc822\r\n\r\nSubject: in\r\n\r\ntext"


@pytest.mark.parametrize(
    ("parts", "kind", "expected"),
    [
        ((), "", MESSAGE),
        ((), "HEADER", MESSAGE[: MESSAGE.index(b"preamble")]),
        ((), "TEXT", MESSAGE[MESSAGE.index(b"preamble") :]),
        ((), "MIME", None),
        ((1,), "", b"one"),
        ((1,), "MIME", b"\r\n"),
        ((1,), "HEADER", None),
        ((1,), "TEXT", None),
        ((1, 1), "", None),
        ((0,), "", None),
        ((4,), "", None),
        ((2,), "MIME", b"Content-Type: message/rfc822\r\nX-Part: yes\r\n\r\n"),
        ((2,), "", MESSAGE[MESSAGE.index(b"Subject: inner") : MESSAGE.index(b"--y--") + 5]),
        ((2,), "TEXT", MESSAGE[MESSAGE.index(b"--y\r\n") : MESSAGE.index(b"--y--") + 5]),
        ((2,), "HEADER", MESSAGE[MESSAGE.index(b"Subject: inner") : MESSAGE.index(b"--y\r\n")]),
        ((2, 1), "", b"two"),
        ((2, 2), "", b"<p>"),
        ((2, 2), "MIME", b"Content-Type: text/html\r\n\r\n"),
        ((2, 3), "", None),
        ((3, 1), "", b"three"),
        ((3, 1), "MIME", b"Subject: plain\r\n\r\n"),
        ((3, 2), "", None),
        ((3, 1, 1), "", None),
        ((3,), "HEADER", b"Subject: plain\r\n\r\n"),
    ],
)
def test_a_section_is_cut_out(parts: tuple[int, ...], kind: str, expected: bytes | None) -> None:
    assert section(MESSAGE, parts, kind) == expected


def test_header_fields_of_an_inner_message() -> None:
    assert section(MESSAGE, (2,), "HEADER.FIELDS", [b"SUBJECT"]) == b"Subject: inner\r\n\r\n"
    assert section(MESSAGE, (), "HEADER.FIELDS", [b"subject"]) == b"Subject: outer\r\n\r\n"
    left = section(MESSAGE, (2,), "HEADER.FIELDS.NOT", [b"content-type", b"subject"])
    assert left == b"From: a@b.example\r\n\r\n"


def test_part_one_of_a_simple_message_is_its_body() -> None:
    assert section(b"A: b\r\n\r\nbody", (1,), "") == b"body"
    assert section(b"A: b\r\n\r\nbody", (1,), "MIME") == b"A: b\r\n\r\n"
    assert section(b"A: b\r\n\r\nbody", (2,), "") is None


def test_a_message_that_is_a_message() -> None:
    assert section(NESTED, (1,), "") == b"Subject: in\r\n\r\ntext"
    assert section(NESTED, (1,), "HEADER") == b"Subject: in\r\n\r\n"
    assert section(NESTED, (1, 1), "") == b"text"
    assert section(NESTED, (1, 1, 1), "") is None


def test_a_path_of_a_hundred_thousand_numbers_ends() -> None:
    """MIME-01"""
    assert section(MESSAGE, (1,) * 100_000, "") is None
