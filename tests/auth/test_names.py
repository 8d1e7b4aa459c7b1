"""
Names and passwords as they may come.
"""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from mailaccess.auth.names import (
    BadName,
    BadPassword,
    canonical_name,
    decode_name,
    prepare_password,
    saslprep,
)


@pytest.mark.parametrize(
    "spelling",
    ["amy", "AMY", " AMY ", "  AMY  ", "\N{NO-BREAK SPACE}Amy", "ＡＭＹ", "a\N{SOFT HYPHEN}my"],
)
def test_all_spellings_of_a_name_are_one_person(spelling: str) -> None:
    """AUTH-08"""
    assert canonical_name(spelling) == "amy"


def test_a_default_domain_makes_the_short_name_and_the_long_one_the_same() -> None:
    """AUTH-08"""
    assert canonical_name("Amy", "Example.ORG") == "amy@example.org"
    assert canonical_name("AMY@Example.org", "example.org") == "amy@example.org"
    assert canonical_name("amy@other.example", "example.org") == "amy@other.example"


def test_spaces_within_a_name_count_once_as_in_a_directory() -> None:
    """AUTH-08: RFC 4518 section 2.6.1"""
    assert canonical_name("amy   smith") == canonical_name("amy smith")
    assert canonical_name("amysmith") != canonical_name("amy smith")


@pytest.mark.parametrize(
    "name",
    [
        "",
        " ",
        "\N{SOFT HYPHEN}",
        "amy\n",
        "amy\r\nlogin ok",
        "amy\0",
        "a\tb",
        "\x1b[31mamy",
        "\x7f",
        "amy\u202e",
        "amy\u2066",
        "amy\ue000",
        "a\u2028b",
        "\u0627a",
        "\u06271",
        "a" * 256,
        "é" * 128,
        "x\ud800",
    ],
)
def test_a_name_that_can_be_nobodys_is_refused(name: str) -> None:
    """AUTH-01, AUTH-08, AUTH-10: RFC 4013 section 2.3"""
    with pytest.raises(BadName):
        canonical_name(name)


def test_255_octets_are_a_name() -> None:
    """SASL-03"""
    assert canonical_name("a" * 255) == "a" * 255
    assert decode_name(b"a" * 255) == "a" * 255
    with pytest.raises(BadName):
        decode_name(b"a" * 256)
    with pytest.raises(BadName):
        canonical_name("a" * 250, "example.org")


@pytest.mark.parametrize(
    ("given_", "prepared"),
    [("I\xadX", "IX"), ("user", "user"), ("USER", "USER"), ("\xaa", "a"), ("\u2168", "IX")],
)
def test_saslprep_does_what_its_rfc_shows(given_: str, prepared: str) -> None:
    """RFC 4013 section 3"""
    assert saslprep(given_) == prepared


def test_saslprep_refuses_what_its_rfc_shows() -> None:
    """RFC 4013 section 3"""
    for text in ("\x07", "\u06271"):
        with pytest.raises(BadName):
            saslprep(text)


@pytest.mark.parametrize(
    "name", ["%{u}", "*", "a*(b)\\c", "../../etc", "a'b\"c", "$HOME", "{x}", "%n"]
)
def test_characters_that_mean_something_elsewhere_are_data(name: str) -> None:
    """AUTH-09"""
    assert canonical_name(name) == name.lower()


@pytest.mark.parametrize(
    "raw", [b"\xff", b"\xc0\xaf", b"\xed\xa0\x80", b"am\xe9", b"\xf4\x90\x80\x80"]
)
def test_what_is_not_utf8_is_no_name(raw: bytes) -> None:
    """AUTH-08, SASL-03"""
    with pytest.raises(BadName):
        decode_name(raw)


@given(
    st.one_of(
        st.text(max_size=300),
        st.text(
            alphabet="aAßςΣİıǅﬁ\u0345\u0130\u0307\u00a8\u0627\u061b\u05d0 \u00a0\u00ad", max_size=8
        ),
    )
)
@example("\u061b")
def test_a_canonical_name_is_its_own_canonical_name(text: str) -> None:
    """AUTH-08"""
    try:
        name = canonical_name(text)
    except BadName:
        return
    assert name
    assert len(name.encode()) <= 255
    assert not any(unicodedata.category(each) == "Cc" for each in name)
    assert canonical_name(name) == name
    assert canonical_name(f" {name} ") == name


@given(st.binary(max_size=300))
def test_decoding_gives_a_name_or_says_no(raw: bytes) -> None:
    """SASL-05"""
    try:
        typed = decode_name(raw)
    except BadName:
        return
    assert typed.encode() == raw


@pytest.mark.parametrize("raw", [b"", b"\0", b"a\0b", b"x" * 1025])
def test_some_passwords_never_reach_a_checker(raw: bytes) -> None:
    """AUTH-01, AUTH-03"""
    with pytest.raises(BadPassword) as caught:
        prepare_password(raw)
    assert "a\\x00b" not in str(caught.value)


@pytest.mark.parametrize("raw", [b" ", b"\t\n%{}*(\\", b"\xff\xfe", b"x" * 1024])
def test_other_passwords_stay_as_they_are(raw: bytes) -> None:
    """AUTH-09"""
    assert prepare_password(raw) == raw
