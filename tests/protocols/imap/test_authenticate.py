"""
AUTHENTICATE: SASL exchanges as conversations.
"""

from __future__ import annotations

from base64 import b64encode
from typing import Any

import pytest
from twisted.internet.task import deferLater
from twisted.logger import capturedLogs

from mailaccess.policy.tls import ListenerRule, Verdict
from mailaccess.testing.people import MemoryChecker

CLOSED = ListenerRule(cleartext=Verdict.REFUSE)
PRIVACY = b" NO [PRIVACYREQUIRED] Login in the clear is refused here: use TLS"
INVALID = b" NO [AUTHENTICATIONFAILED] Invalid credentials"


def plain(name: bytes, password: bytes, acting_as: bytes = b"") -> bytes:
    return b64encode(b"\0".join((acting_as, name, password)))


AMY = plain(b"amy", b"secret")


def test_plain_asks_with_an_empty_challenge(house: Any) -> None:
    talk = house.connect()
    assert talk.send(b"a AUTHENTICATE PLAIN") == [b"+ "]
    (reply,) = talk.send(AMY)
    assert reply.startswith(b"a OK [CAPABILITY IMAP4rev1 ")
    assert talk.send(b"b SELECT INBOX")[-1].startswith(b"b OK ")


def test_an_initial_response_saves_a_round_trip(house: Any) -> None:
    """
    RFC 4959 section 3.
    """
    assert house.connect().send(b"a authenticate plain " + AMY)[0].startswith(b"a OK ")


def test_login_asks_for_the_name_and_then_for_the_password(house: Any) -> None:
    talk = house.connect()
    assert talk.send(b"a AUTHENTICATE LOGIN") == [b"+ " + b64encode(b"Username:")]
    assert talk.send(b64encode(b"amy")) == [b"+ " + b64encode(b"Password:")]
    assert talk.send(b64encode(b"secret"))[0].startswith(b"a OK ")


def test_a_mechanism_that_is_not_there_is_refused(house: Any) -> None:
    """
    SASL-01: RFC 3501 section 6.2.2.
    """
    talk = house.connect()
    assert talk.send(b"a AUTHENTICATE DIGEST-MD5") == [b"a NO Mechanism not supported"]
    assert talk.send(b"b AUTHENTICATE PLAIN " + AMY)[0].startswith(b"b OK ")


def test_a_client_may_cancel(house: Any) -> None:
    """
    SASL-01: BAD, and other logins go on.
    """
    talk = house.connect()
    talk.send(b"a AUTHENTICATE PLAIN")
    assert talk.send(b"*") == [b"a BAD expected no cancellation"]
    assert talk.send(b"b LOGIN amy secret")[0].startswith(b"b OK ")


@pytest.mark.parametrize(
    "response",
    [b"=AAA", b"AAA=BBB", b"AAA", b"A", b"AA==AA==", b"AB==", b"!!!!", b"AAAA\x00", b" "],
)
def test_what_is_not_base64_is_bad(house: Any, response: bytes) -> None:
    """
    SASL-01: also as an initial response; the other sessions never notice.
    """
    other = house.connect()
    other.send(b"o AUTHENTICATE PLAIN")
    talk = house.connect()
    talk.send(b"a AUTHENTICATE PLAIN")
    assert talk.send(response)[0].startswith(b"a BAD expected ")
    assert talk.send(b"b AUTHENTICATE PLAIN " + response)[0].startswith(b"b BAD expected ")
    assert house.checker.asked == []
    assert other.send(AMY)[0].startswith(b"o OK ")


def test_an_equals_sign_is_an_empty_response(house: Any) -> None:
    """
    SASL-02: RFC 4959 section 3.
    """
    assert house.connect().send(b"a AUTHENTICATE PLAIN =") == [b"a" + INVALID]


def test_a_response_may_be_long_but_not_endless(house: Any) -> None:
    """
    SASL-02, PAR-01.
    """
    talk = house.connect()
    talk.send(b"a AUTHENTICATE PLAIN")
    assert talk.send(plain(b"amy", b"x" * 6000)) == [b"a" + INVALID]
    talk.send(b"b AUTHENTICATE PLAIN")
    assert talk.send(b"A" * 20000) == [b"b BAD expected a shorter line"]
    assert talk.send(b"c AUTHENTICATE PLAIN " + AMY)[0].startswith(b"c OK ")


@pytest.mark.parametrize(
    "message",
    [
        b"",
        b"amy",
        b"amy\0secret",
        b"\0amy\0secret\0",
        b"\0\0secret",
        b"\0amy\0",
        b"\0\0",
        b"\0\xc0\xaf\0secret",
        b"\0amy\0\xff",
        b"\0\xed\xa0\x80\0secret",
        b"\0" + b"a" * 256 + b"\0secret",
        b"\0a\x01my\0secret",
    ],
)
def test_a_plain_message_is_exactly_three_strings(house: Any, message: bytes) -> None:
    """
    SASL-03, AUTH-01: and what nobody can have reaches no checker.
    """
    assert house.connect().send(b"a AUTHENTICATE PLAIN " + (b64encode(message) or b"=")) == [
        b"a" + INVALID
    ]
    assert house.checker.asked == []


def test_names_of_255_octets_are_names(house: Any) -> None:
    """
    SASL-03: RFC 4616 section 2.
    """
    name = "ä" * 127 + "b"
    house.checker = MemoryChecker({name: b"p" * 255})
    said = plain(name.encode(), b"p" * 255)
    assert house.connect().send(b"a AUTHENTICATE PLAIN " + said)[0].startswith(b"a OK ")


def test_nobody_acts_as_somebody_else(house: Any) -> None:
    """
    SASL-03: to act as oneself is the same as not to say so. Only whoever knows the password learns
    that there is no right to act as another.
    """
    as_bob = plain(b"amy", b"secret", b"bob")
    talk = house.connect()
    assert talk.send(b"a AUTHENTICATE PLAIN " + as_bob) == [
        b"a NO [AUTHORIZATIONFAILED] Not authorized"
    ]
    wrong = plain(b"amy", b"wrong", b"bob")
    assert talk.send(b"x AUTHENTICATE PLAIN " + wrong) == [b"x" + INVALID]
    as_amy = plain(b"amy", b"secret", b"AMY")
    assert talk.send(b"b AUTHENTICATE PLAIN " + as_amy)[0].startswith(b"b OK ")


@pytest.mark.parametrize("said", [plain(b"amy", b"wrong"), plain(b"nobody", b"secret")])
def test_a_failed_exchange_never_says_why(house: Any, said: bytes) -> None:
    """
    CODE-01.
    """
    assert house.connect().send(b"a AUTHENTICATE PLAIN " + said) == [b"a" + INVALID]


@pytest.mark.parametrize("mechanism", [b"PLAIN", b"LOGIN", b"plain"])
def test_a_refused_mechanism_asks_for_nothing(house: Any, mechanism: bytes) -> None:
    """
    POL-03: no "+", with or without an initial response, and no checker is asked.
    """
    talk = house.connect(rule=CLOSED)
    assert talk.send(b"a AUTHENTICATE " + mechanism) == [b"a" + PRIVACY]
    assert talk.send(b"b AUTHENTICATE " + mechanism + b" " + AMY) == [b"b" + PRIVACY]
    assert talk.send(b"c NOOP") == [b"c OK NOOP completed"]
    assert house.checker.asked == []


@pytest.mark.parametrize("password", [b"secret", b"wrong"])
def test_a_person_who_must_use_tls_is_refused_before_the_password(
    house: Any, password: bytes
) -> None:
    """
    POL-04: with LOGIN before it is asked for, with PLAIN before it is looked at.
    """
    house.checker = MemoryChecker({"amy": b"secret"}, {"amy": {"cleartext": "refuse"}})
    talk = house.connect()
    talk.send(b"a AUTHENTICATE LOGIN")
    assert talk.send(b64encode(b"Amy")) == [b"a" + PRIVACY]
    said = plain(b"amy", password)
    assert talk.send(b"b AUTHENTICATE PLAIN " + said) == [b"b" + PRIVACY]
    assert house.checker.asked == []


def test_an_exchange_of_responses_in_one_segment_is_followed(house: Any) -> None:
    """
    CODE-04: what follows the responses is run in the state that the login leaves.
    """
    house.checker.before = lambda: deferLater(house.clock, 5)
    talk = house.connect()
    assert talk.send(
        b"a AUTHENTICATE LOGIN", b64encode(b"amy"), b64encode(b"secret"), b"b SELECT INBOX"
    ) == [b"+ " + b64encode(b"Username:"), b"+ " + b64encode(b"Password:")]
    lines = talk.wait(5)
    assert lines[0].startswith(b"a OK ")
    assert lines[-1] == b"b OK [READ-WRITE] SELECT completed"


def test_braces_in_a_response_are_no_literal(house: Any) -> None:
    talk = house.connect()
    talk.send(b"a AUTHENTICATE PLAIN")
    assert talk.send(b"{5+}")[0].startswith(b"a BAD ")
    assert talk.send(b"b NOOP") == [b"b OK NOOP completed"]


def test_a_user_cannot_authenticate_again(talk: Any) -> None:
    """
    AUTH-13.
    """
    assert talk.send(b"a AUTHENTICATE PLAIN " + AMY) == [b"a BAD not in this state"]


def test_failed_exchanges_are_counted(house: Any) -> None:
    """
    AUTH-07.
    """
    wrong = b"a AUTHENTICATE PLAIN " + plain(b"amy", b"wrong")
    assert house.connect().send(wrong, wrong, wrong, b"b NOOP") == [b"a" + INVALID] * 3 + [
        b"* BYE Too many failed logins"
    ]


def test_messages_of_an_exchange_are_never_logged(house: Any) -> None:
    """
    AUTH-10.
    """
    with capturedLogs() as events:
        talk = house.connect()
        talk.send(b"a AUTHENTICATE PLAIN " + plain(b"amy", b"topsecret"))
        talk.send(b"b AUTHENTICATE PLAIN " + AMY)
    text = repr(events)
    for each in ("topsecret", AMY.decode(), plain(b"amy", b"topsecret").decode()):
        assert each not in text
    assert [each["event"] for each in events if "event" in each] == ["connect", "failed", "login"]


def test_a_client_that_goes_away_in_an_exchange_leaves_nothing(house: Any) -> None:
    """
    AB-11.
    """
    talk = house.connect()
    talk.send(b"a AUTHENTICATE PLAIN")
    with capturedLogs() as events:
        talk.hang_up()
    assert not [each for each in events if "log_failure" in each]
    assert talk.protocol.factory.connections == set()
    assert house.sweep.members == set()


def test_an_exchange_does_not_put_off_the_login_deadline(house: Any) -> None:
    """
    AB-02.
    """
    talk = house.connect()
    talk.send(b"a AUTHENTICATE PLAIN")
    talk.clock.pump([1.0] * 125)
    assert talk.lines() == [b"* BYE Login timeout"]
    assert talk.transport.disconnecting
