"""
SASL exchanges, fed by hand.
"""

from __future__ import annotations

import base64
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailaccess.auth.passwords import ScramKeys
from mailaccess.auth.sasl import (
    MECHANISMS,
    Challenge,
    Done,
    Failed,
    Finished,
    LoginExchange,
    Lookup,
    PlainExchange,
    mechanisms,
)

KEYS = ScramKeys(b"salt", 4096, b"k" * 32, b"s" * 32)
responses = st.one_of(
    st.none(),
    st.binary(max_size=20),
    st.sampled_from([b"", b"\0", b"amy", b"\0amy\0pw", b"x\0amy\0pw", b"a" * 256, b"p" * 2000]),
    st.sampled_from([b"n,,n=amy,r=x", b"c=biws,r=x,p=AAAA", b"amy " + b"0" * 32, b"n,,n=,r="]),
    st.lists(st.sampled_from([b"\0", b"amy", b"\xff", b"\xc3\xa9", b"a" * 255]), max_size=6).map(
        b"".join
    ),
)


@given(st.sampled_from(sorted(MECHANISMS)), st.booleans(), st.lists(responses, max_size=6))
def test_whatever_a_client_sends_an_exchange_answers(
    name: str, tolerant: bool, sent: list[bytes | None]
) -> None:
    """SASL-05: zero-length, over-long and out-of-order responses fail cleanly, and stay failed."""
    exchange: Any = mechanisms(login_initial_is_name=tolerant)[name].start()
    over = False
    for each in sent:
        step = exchange.step(each)
        if isinstance(step, Lookup):
            step = exchange.found(KEYS)
        assert isinstance(step, Challenge | Finished | Done | Failed)
        if over:
            assert isinstance(step, Failed)
        over = over or not isinstance(step, Challenge)
        if isinstance(step, Finished):
            assert step.name
            assert 0 < len(step.secret) <= 1024
            assert b"\0" not in step.secret


def test_plain_takes_the_message_with_the_command_or_after_an_empty_challenge() -> None:
    """SASL-02"""
    assert PlainExchange().step(b"\0tim\0tanstaaftanstaaf") == Finished("tim", b"tanstaaftanstaaf")
    asked = PlainExchange()
    assert asked.step(None) == Challenge(b"")
    assert asked.step(b"Ursel\0Kurt\0xipj3plmq") == Finished("Kurt", b"xipj3plmq", "Ursel")


@pytest.mark.parametrize(
    "message",
    [
        b"",
        b"amy",
        b"amy\0pw",
        b"\0amy\0pw\0",
        b"\0amy\0p\0w",
        b"\0\0pw",
        b"\0amy\0",
        b"\0\0",
        b"x\0\0pw",
        b"\0am\xc1\xb9\0pw",
        b"\0amy\0\xc0\x80",
        b"\0amy\0\xff",
        b"\xff\0amy\0pw",
        b"\n\0amy\0pw",
        b"\0amy\r\n\0pw",
        b"\0" + b"a" * 256 + b"\0pw",
        b"z" * 256 + b"\0amy\0pw",
        b"\0amy\0" + b"p" * 1025,
        b"\0\xc2\xad\0pw",
    ],
)
def test_plain_refuses_all_other_messages(message: bytes) -> None:
    """SASL-03, AUTH-01: RFC 4616 section 2"""
    assert PlainExchange().step(message) == Failed()


def test_plain_takes_255_octets_of_each() -> None:
    """SASL-03"""
    step = PlainExchange().step(b"\0".join((b"z" * 255, b"a" * 255, b"p" * 255)))
    assert step == Finished("a" * 255, b"p" * 255, "z" * 255)


def test_plain_keeps_who_one_is_and_who_one_acts_as_apart() -> None:
    """SASL-03"""
    assert PlainExchange().step(b"boss\0amy\0pw") == Finished("amy", b"pw", "boss")


def test_login_asks_with_the_prompts_that_clients_know() -> None:
    exchange = LoginExchange()
    first = exchange.step(None)
    assert isinstance(first, Challenge)
    assert base64.b64encode(first.data) == b"VXNlcm5hbWU6"
    second = exchange.step(b"amy")
    assert isinstance(second, Challenge)
    assert base64.b64encode(second.data) == b"UGFzc3dvcmQ6"
    assert exchange.step(b"pw \n%") == Finished("amy", b"pw \n%")


def test_login_tells_the_name_before_it_asks_for_the_password() -> None:
    """POL-03, POL-04: so that the policy can refuse in time."""
    exchange = LoginExchange()
    assert exchange.known_name is None
    exchange.step(None)
    assert exchange.known_name is None
    exchange.step(b"Amy")
    assert exchange.known_name == "Amy"


def test_login_with_an_initial_response_is_malformed() -> None:
    """SASL-02: the server speaks first."""
    step = LoginExchange().step(b"amy")
    assert isinstance(step, Failed)
    assert step.malformed
    assert not MECHANISMS["LOGIN"].initial_response


def test_login_takes_an_initial_response_for_the_name_where_that_is_switched_on() -> None:
    mechanism = mechanisms(login_initial_is_name=True)["LOGIN"]
    assert mechanism.initial_response
    exchange = mechanism.start()
    assert exchange.step(b"amy") == Challenge(b"Password:")
    assert exchange.known_name == "amy"
    assert exchange.step(b"pw") == Finished("amy", b"pw")


@pytest.mark.parametrize("name", [b"", b"\xff", b"a\0b", b"a" * 256, b" "])
def test_login_asks_no_password_of_a_name_that_can_be_nobodys(name: bytes) -> None:
    """AUTH-01"""
    exchange = LoginExchange()
    exchange.step(None)
    assert exchange.step(name) == Failed()
    assert exchange.step(b"pw") == Failed()


@pytest.mark.parametrize("secret", [b"", b"p\0", b"p" * 1025])
def test_login_refuses_passwords_that_no_checker_may_see(secret: bytes) -> None:
    """AUTH-01, AUTH-03"""
    exchange = LoginExchange()
    exchange.step(None)
    exchange.step(b"amy")
    assert exchange.step(secret) == Failed()


def test_two_exchanges_share_nothing() -> None:
    """SASL-01, AUTH-13: a failed login leaves others alone."""
    one, two = MECHANISMS["LOGIN"].start(), MECHANISMS["LOGIN"].start()
    one.step(None)
    two.step(None)
    one.step(b"amy")
    assert isinstance(one.step(b""), Failed)
    two.step(b"bob")
    assert two.step(b"pw") == Finished("bob", b"pw")


def test_a_finished_exchange_does_not_show_the_password() -> None:
    """AUTH-10"""
    assert "hunter2" not in repr(PlainExchange().step(b"\0amy\0hunter2"))
