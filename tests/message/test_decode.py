"""Octets made text: encoded words, character sets, transfer encodings."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailaccess.message.decode import charset_decode, part_text, text_codec, unstructured
from mailaccess.message.scan import scan


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (b"plain", "plain"),
        (b" folded\r\n text ", "folded text"),
        (b"=?iso-8859-1?q?J=FCrgen?= Smith", "J\xfcrgen Smith"),
        (b"=?utf-8?B?SsO8cmdlbg==?=", "J\xfcrgen"),
        (b"=?utf-8?Q?a_b=5F?= =?UTF-8?q?c?=", "a b_c"),
        (b"=?utf-8?q?a?=\r\n =?iso-8859-1?q?=FC?= x", "a\xfc x"),
        (b"=?utf-8?q?a?= b =?utf-8?q?c?=", "a b c"),
        (b"=?utf-8?b?w7w?= =?utf-8?b?w?=", "\xfc"),
        (b"=?utf-8?q?=C3?= =?utf-8?q?=BC?=", "\xfc"),
        (b"=?utf-8*en?q?x?=", "x"),
        (b"=?no-such-set?q?=C3=BC?=", "\xfc"),
        (b"=?hex?q?6162?=", "6162"),
        (b"=?utf-8?x?abc?=", "=?utf-8?x?abc?="),
        (b"=?utf-8?q?unfinished", "=?utf-8?q?unfinished"),
        (b"J\xc3\xbcrgen", "J\xfcrgen"),
        (b"J\xfcrgen", "J\xfcrgen"),
        (b"=?utf-8?q?=ZZ=4?=", "=ZZ=4"),
        (b"=?gb2312?b?xOO6ww==?=", "\u4f60\u597d"),
        (b"=?iso-2022-jp?b?GyRCRnxLXBsoQg==?=", "\u65e5\u672c"),
        (b"=?windows-1252?q?=80?=", "\u20ac"),
    ],
)
def test_header_text_is_decoded(value: bytes, text: str) -> None:
    """MIME-04, MIME-06; RFC 2047 section 6"""
    assert unstructured(value) == text


@pytest.mark.parametrize(
    "name",
    [
        "rot13",
        "hex",
        "zip",
        "bz2",
        "base64",
        "uu",
        "quopri",
        "idna",
        "punycode",
        "unicode_escape",
        "raw_unicode_escape",
        "undefined",
        "mbcs",
        "",
        "../x",
        "a" * 100,
        "utf-8\0",
    ],
)
def test_only_character_sets_are_looked_up(name: str) -> None:
    """MIME-06: a message must not choose a codec that unpacks or runs anything."""
    assert text_codec(name) is None
    assert charset_decode(b"6162", name.encode()) == "6162"


@pytest.mark.parametrize(
    ("name", "raw", "text"),
    [
        ("ISO-8859-1", b"\x80", "\u20ac"),
        ("ansi_x3.4-1968", b"a", "a"),
        ("ks_c_5601-1987", b"\xb0\xa1", "\uac00"),
        ("x-sjis", b"\x82\xa0", "\u3042"),
        ("windows1251", b"\xe0", "\u0430"),
        ("cp-850", b"\x81", "\xfc"),
        ("utf8", b"\xc3\xbc", "\xfc"),
        ("us-ascii", b"\xfc", "\xfc"),
        ("utf-8", b"\xff", "\xff"),
        ("utf-16", b"a", "\ufffd"),
        ("koi8-r", b"\xc1", "\u0430"),
    ],
)
def test_names_of_character_sets_that_are_in_use(name: str, raw: bytes, text: str) -> None:
    assert charset_decode(raw, name.encode()) == text


def text_of(header: bytes, body: bytes) -> str:
    data = header + b"\r\n\r\n" + body
    return part_text(data, scan(data))


@pytest.mark.parametrize(
    ("encoding", "body", "text"),
    [
        (b"base64", b"SGVs\r\nbG8=\r\n", "Hello"),
        (b"base64", b"SGVsbG", "Hell"),
        (b"base64", b"SGVsb", "Hel"),
        (b"BASE64", b"SG!Vs*bG8", "Hello"),
        (b"base64", b"", ""),
        (b"quoted-printable", b"J=FCrgen=\r\n!", "J\xfcrgen!"),
        (b"quoted-printable", b"a=", "a"),
        (b"quoted-printable", b"a=2", "a=2"),
        (b"quoted-printable", b"a=zz b= \r\nc", "a=zz bc"),
        (b"x-unknown", b"=41", "=41"),
    ],
)
def test_transfer_encodings_are_undone_even_if_cut_off(
    encoding: bytes, body: bytes, text: str
) -> None:
    """MIME-06"""
    header = b"Content-Type: text/plain; charset=iso-8859-1\r\nContent-Transfer-Encoding: "
    assert text_of(header + encoding, body) == text


def test_entities_of_html_are_decoded() -> None:
    assert (
        text_of(b"Content-Type: text/html", b"<p>J&uuml;rgen &#8364;</p>")
        == "<p>J\xfcrgen \u20ac</p>"
    )
    assert text_of(b"Content-Type: text/plain", b"&uuml;") == "&uuml;"


PIECES = st.sampled_from(
    [
        b"=?",
        b"?=",
        b"?q?",
        b"?b?",
        b"utf-8",
        b"?",
        b"=",
        b" ",
        b"\r\n ",
        b"w7",
        b"\xfc",
        b"hz",
        b"*",
    ]
)


@given(st.lists(PIECES, max_size=30).map(b"".join))
def test_no_value_fails(value: bytes) -> None:
    """MIME-06"""
    assert "\n" not in unstructured(value.replace(b"hz", b"x"))
    assert isinstance(unstructured(value), str)


@given(
    st.binary(max_size=60),
    st.sampled_from([b"base64", b"quoted-printable", b"8bit"]),
    st.sampled_from([b"utf-7", b"hz", b"iso-2022-jp", b"utf-16", b"utf-32", b"gb18030", b"x"]),
)
def test_no_body_fails(body: bytes, encoding: bytes, charset: bytes) -> None:
    """MIME-06"""
    header = b"Content-Type: text/plain; charset=" + charset
    assert isinstance(text_of(header + b"\r\nContent-Transfer-Encoding: " + encoding, body), str)
