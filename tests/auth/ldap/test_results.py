"""
What answers to binds mean, and entries: tables without a server.
"""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailaccess.auth.ldap.ber import BadBER, elements, header
from mailaccess.auth.ldap.connection import Entry
from mailaccess.auth.ldap.entry import fields_of, identity_of, mark_of
from mailaccess.auth.ldap.escape import CannotName, bind_name, same_dn_form, search_filter
from mailaccess.auth.ldap.options import Finding, parse_uri
from mailaccess.auth.ldap.results import EXPIRED, EXPIRING, PPOLICY, Outcome, judge
from mailaccess.errors import ContactAdmin


def ad(code: str) -> str:
    return f"80090308: LdapErr: DSID-0C09, comment: AcceptSecurityContext error, data {code}, v1"


@pytest.mark.parametrize(
    ("code", "message", "outcome"),
    [
        (0, "", Outcome.RIGHT),
        (49, "", Outcome.WRONG),
        (49, ad("525"), Outcome.WRONG),
        (49, ad("52e"), Outcome.WRONG),
        (49, ad("530"), Outcome.REFUSED),
        (49, ad("531"), Outcome.REFUSED),
        (49, ad("532"), Outcome.EXPIRED),
        (49, ad("533"), Outcome.UNUSABLE),
        (49, ad("701"), Outcome.EXPIRED),
        (49, ad("773"), Outcome.EXPIRED),
        (49, ad("775"), Outcome.UNUSABLE),
        (49, ad("9999"), Outcome.WRONG),
        (32, "", Outcome.WRONG),
        (48, "", Outcome.WRONG),
        (19, "Exceed password retry limit. Please try later.", Outcome.UNUSABLE),
        (53, "Account inactivated. Contact system administrator.", Outcome.UNUSABLE),
        (53, "", Outcome.MISCONFIGURED),
        (8, "", Outcome.MISCONFIGURED),
        (13, "", Outcome.MISCONFIGURED),
        (10, "", Outcome.UNAVAILABLE),
        (51, "", Outcome.UNAVAILABLE),
        (52, "", Outcome.UNAVAILABLE),
        (80, "", Outcome.UNAVAILABLE),
        (81, "", Outcome.UNAVAILABLE),
        (85, "", Outcome.UNAVAILABLE),
        (91, "", Outcome.UNAVAILABLE),
        (14, "", Outcome.UNAVAILABLE),
        (12345, "", Outcome.UNAVAILABLE),
    ],
)
def test_results_of_binds(code: int, message: str, outcome: Outcome) -> None:
    """LD-11."""
    assert judge({"result": code, "message": message}).outcome is outcome


@given(st.integers(1, 2**31), st.text())
def test_nothing_but_0_is_a_success(code: int, message: str) -> None:
    """LD-11: never by default."""
    assert judge({"result": code, "message": message}).outcome is not Outcome.RIGHT
    assert judge({}).outcome is not Outcome.RIGHT


def policy(value: bytes) -> dict[str, Any]:
    return {PPOLICY: {"value": value}}


@pytest.mark.parametrize(
    ("value", "code", "outcome"),
    [
        (b"\x30\x03\x81\x01\x00", 49, Outcome.EXPIRED),
        (b"\x30\x03\x81\x01\x01", 49, Outcome.UNUSABLE),
        (b"\x30\x03\x81\x01\x02", 0, Outcome.EXPIRED),
        (b"\x30\x00", 0, Outcome.RIGHT),
        (b"\x30\x00", 49, Outcome.WRONG),
        (b"\x30\x05\xa0\x03\x80\x01\x3c", 0, Outcome.RIGHT),
        (b"\x30\x03\x81\x01\x09", 0, Outcome.UNAVAILABLE),
        (b"\x30\x82", 49, Outcome.WRONG),
        (b"\x30\x82", 0, Outcome.RIGHT),
        (b"\x30\x03\x81\x01\x01", 52, Outcome.UNAVAILABLE),
    ],
)
def test_the_password_policy_control(value: bytes, code: int, outcome: Outcome) -> None:
    """LD-13: raw BER."""
    assert judge({"result": code, "controls": policy(value)}).outcome is outcome


def test_warnings_are_for_the_log_alone() -> None:
    """LD-13: time before expiry, and logins left."""
    soon = judge({"result": 0, "controls": policy(b"\x30\x06\xa0\x04\x80\x02\x0e\x10")})
    assert (soon.outcome, soon.warning) == (Outcome.RIGHT, "password expires in 3600 seconds")
    grace = judge({"result": 0, "controls": policy(b"\x30\x05\xa0\x03\x81\x01\x02")})
    assert (grace.outcome, grace.warning) == (Outcome.RIGHT, "password expired, 2 logins left")
    assert judge({"result": 0, "controls": {EXPIRED: {}}}).outcome is Outcome.EXPIRED
    assert judge({"result": 0, "controls": {EXPIRING: {}}}).warning


def test_what_a_server_says_cannot_forge_log_lines() -> None:
    """AUTH-10."""
    reason = judge({"result": 49, "message": "a\r\nlogin ok\x1b[0m" + "x" * 1000}).reason
    assert reason.isprintable()
    assert len(reason) < 300


@given(st.binary(max_size=60))
def test_any_octets_are_ber_or_are_not(data: bytes) -> None:
    """Nothing but L{BadBER}, and never more than there is."""
    try:
        found = elements(data)
    except BadBER:
        return
    assert sum(len(content) for _, content in found) <= len(data)


def test_headers_wait_for_more() -> None:
    assert header(b"") is None
    assert header(b"\x30\x84\x00") is None
    assert header(b"\x30\x84\x00\x00\x00\x05") == (0x30, 6, 5)
    with pytest.raises(BadBER):
        header(b"\x30\x80")


# ---- names --------------------------------------------------------------------------------------


@given(st.text(min_size=1))
def test_a_name_adds_nothing_to_a_filter(name: str) -> None:
    """LD-03: as many parentheses, and no wildcard, whatever the name."""
    made = search_filter("(&(objectClass=person)(uid={user}))", name)
    assert made.count("(") == 3
    assert made.count(")") == 3
    assert "*" not in made
    assert "\0" not in made


@given(st.text(min_size=1, alphabet=st.characters(exclude_characters="\0")))
def test_a_name_adds_no_part_to_a_dn(name: str) -> None:
    """LD-03: unescaped separators are those of the template."""
    made = bind_name("uid={user},ou=people,dc=corp", name).removesuffix(",ou=people,dc=corp")
    plain = made.removeprefix("uid=")
    while "\\" in plain:
        at = plain.index("\\")
        plain = plain[:at] + plain[at + 2 :]
    assert not set(plain) & set(',+"<>;=')


@pytest.mark.parametrize("name", ["", "a\\b", "cn=x", "CORP/amy", "a,b", "a*b", "a\0b"])
def test_names_that_would_be_another_kind_of_name_are_none(name: str) -> None:
    with pytest.raises(CannotName):
        bind_name("{user}@corp.example", name)
    assert bind_name("{local}@corp.example", "amy@x") == "amy@corp.example"


def test_spellings_of_a_dn_are_one() -> None:
    assert same_dn_form("CN=A  b , OU=x") == same_dn_form("cn=a b,ou=X")
    assert same_dn_form("cn=a\\,b") != same_dn_form("cn=a,b=c")


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("ldaps://h", ("ldaps", "h", 636)),
        ("ldap://h:1389/", ("ldap", "h", 1389)),
        ("LDAP://[::1]:390", ("ldap", "::1", 390)),
        ("ldapi://%2Frun%2Fldapi", ("ldapi", "/run/ldapi", 0)),
    ],
)
def test_uris(text: str, parts: tuple[str, str, int]) -> None:
    found = parse_uri(text)
    assert (found.scheme, found.host, found.port) == parts


@pytest.mark.parametrize(
    "text",
    [
        "http://h",
        "ldap://",
        "ldap://h:0",
        "ldap://h:99999",
        "ldap://u@h",
        "ldapi://x",
        "ldap://h/dc=x",
    ],
)
def test_what_is_no_uri(text: str) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        parse_uri(text)


# ---- entries ------------------------------------------------------------------------------------


def entry(**values: str) -> Entry:
    return Entry("cn=x", {name.lower(): [each.encode()] for name, each in values.items()})


@pytest.mark.parametrize(
    ("values", "fields"),
    [
        ({"userAccountControl": "512"}, {}),
        ({"userAccountControl": "514"}, {"disabled": "userAccountControl = 514"}),
        ({"userAccountControl": "many"}, {"disabled": "userAccountControl = many"}),
        ({"nsAccountLock": "true"}, {"disabled": "nsAccountLock = true"}),
        ({"nsAccountLock": "FALSE"}, {}),
        ({"accountExpires": "0"}, {}),
        ({"accountExpires": "9223372036854775807"}, {}),
        ({"accountExpires": "132539328000000000"}, {"expires": "1609459200"}),
        ({"accountExpires": "soon"}, {"expires": "soon"}),
        ({"shadowExpire": "1"}, {"expires": "86400"}),
        ({"shadowExpire": "-1"}, {}),
        ({"shadowExpire": "0"}, {"expires": "0"}),
        ({"krbPrincipalExpiration": "20210101000000Z"}, {"expires": "1609459200"}),
        ({"shadowExpire": "1", "accountExpires": "132539328000000000"}, {"expires": "86400"}),
        (
            {"pwdAccountLockedTime": "20210101000000Z"},
            {"disabled": "pwdAccountLockedTime = 20210101000000Z"},
        ),
    ],
)
def test_account_states_become_what_the_gate_reads(
    values: dict[str, str], fields: dict[str, str]
) -> None:
    """LD-14, AUTH-11."""
    assert fields_of(entry(**values), Finding(), bound=False) == fields


def test_a_bind_shows_that_a_lock_is_over() -> None:
    """LD-14: but not one for ever."""
    over = entry(pwdAccountLockedTime="20210101000000Z")
    assert fields_of(over, Finding(), bound=True) == {}
    for_ever = entry(pwdAccountLockedTime="000001010000Z")
    assert "disabled" in fields_of(for_ever, Finding(), bound=True)


def test_names_of_entries_are_data_from_outside() -> None:
    """LD-15, AUTH-08."""
    found = identity_of(entry(uid=" AMY "), Finding(), "amy", "x", bound=True)
    assert found.name == "amy"
    for value in ("a\x00b", "", "a" * 300):
        with pytest.raises(ContactAdmin):
            identity_of(entry(uid=value), Finding(), "amy", "x", bound=True)


def test_marks_change_with_the_password() -> None:
    assert mark_of(entry(pwdLastSet="1")) != mark_of(entry(pwdLastSet="2"))
    assert mark_of(entry(pwdChangedTime="1", modifyTimestamp="1")) == mark_of(
        entry(pwdChangedTime="1", modifyTimestamp="2")
    )
    assert mark_of(entry(uid="x")) == ""
