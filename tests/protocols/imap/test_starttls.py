"""
STARTTLS over a transport of memory: what is handed to TLS, and when.
"""

from __future__ import annotations

import re
from typing import Any

import pytest
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import ISSLTransport
from zope.interface import directlyProvides

from mailaccess.policy.tls import ListenerRule, Verdict
from mailaccess.testing.talk import MemoryTransport, Talk

CLOSED = ListenerRule(cleartext=Verdict.REFUSE)
OK = b"OK STARTTLS completed"


def talk_with_tls(house: Any, **options: Any) -> Talk:
    talk: Talk = house.connect(tls="a context", **options)
    return talk


def test_tls_begins_right_after_the_reply(house: Any) -> None:
    talk = talk_with_tls(house)
    assert talk.send(b"a STARTTLS") == [b"a " + OK]
    assert talk.transport.tls_context == "a context"
    assert talk.transport.tls_input == b""


@pytest.mark.parametrize(
    "rest",
    [
        b"b LOGIN amy secret\r\n",
        b"b LOGIN amy secret\n",
        b"X NO",
        b"\r\n",
        b"b LOGIN {3+}\r\namy {6+}\r\nsecret\r\n",
        b"\x16\x03\x01\x02\x00\x01",
    ],
)
@pytest.mark.parametrize("end", [b"\r\n", b"\n"])
def test_what_follows_the_command_belongs_to_tls(house: Any, end: bytes, rest: bytes) -> None:
    """
    TLS-01, TLS-02, TLS-03: it is never looked at by us.
    """
    talk = talk_with_tls(house)
    assert talk.raw(b"a STARTTLS" + end + rest) == [b"a " + OK]
    assert talk.transport.tls_input == rest
    assert house.checker.asked == []


def test_starttls_is_offered_where_there_is_a_certificate_and_no_login(house: Any) -> None:
    """
    TLS-08, TLS-21.
    """
    assert b"STARTTLS" not in house.connect().send(b"a CAPABILITY")[0].split()
    talk = talk_with_tls(house)
    assert b"STARTTLS" in talk.send(b"a CAPABILITY")[0].split()
    talk.send(b"b LOGIN amy secret")
    assert b"STARTTLS" not in talk.send(b"a CAPABILITY")[0].split()


def test_without_a_certificate_there_is_no_starttls(house: Any) -> None:
    talk = house.connect()
    assert talk.send(b"a STARTTLS")[0].startswith(b"a BAD ")
    assert talk.transport.tls_context is None
    assert talk.send(b"b NOOP") == [b"b OK NOOP completed"]


def test_starttls_after_the_login_is_bad_and_the_session_goes_on(house: Any) -> None:
    """
    TLS-05.
    """
    talk = talk_with_tls(house)
    talk.send(b"a LOGIN amy secret")
    assert talk.send(b"b STARTTLS", b"c NOOP") == [
        b"b BAD not in this state",
        b"c OK NOOP completed",
    ]
    assert talk.transport.tls_context is None


@pytest.mark.parametrize("line", [b"a STARTTLS now", b"a STARTTLS {3+}\r\nxyz", b"a STARTTLS "])
def test_starttls_has_no_arguments(house: Any, line: bytes) -> None:
    talk = talk_with_tls(house)
    assert talk.send(line)[0].startswith(b"a BAD ")
    assert talk.transport.tls_context is None


def test_starttls_behind_a_slow_login_comes_too_late(house: Any) -> None:
    """
    TLS-04: the login is answered first, in the clear, and then TLS is refused.
    """
    waiting = house.checker.before = Waiting()
    talk = talk_with_tls(house)
    assert talk.send(b"a LOGIN amy secret", b"b STARTTLS") == []
    assert talk.transport.tls_context is None
    waiting.go_on()
    first, second = talk.lines()
    assert first.startswith(b"a OK ")
    assert second == b"b BAD not in this state"


def test_a_line_of_an_exchange_is_no_starttls(house: Any) -> None:
    """
    TLS-04: with a SASL exchange outstanding there is none.
    """
    talk = talk_with_tls(house)
    talk.send(b"a AUTHENTICATE PLAIN")
    assert talk.send(b"b STARTTLS")[0].startswith(b"a BAD ")
    assert talk.transport.tls_context is None


class Waiting:
    """
    Holds up what awaits it.
    """

    def __init__(self) -> None:
        self.deferred: Deferred[None] = Deferred()

    def __call__(self) -> Any:
        return self.deferred

    def go_on(self) -> None:
        self.deferred.callback(None)


def test_nothing_of_what_was_before_remains_in_tls(house: Any) -> None:
    """
    TLS-07.
    """
    talk = talk_with_tls(house)
    talk.send(b'a ID ("name" "evil")')
    session = talk.protocol.session
    assert session.client
    session.enabled.add("X")
    talk.send(b"b STARTTLS")
    talk.protocol.handshakeCompleted()
    assert session.client == ""
    assert session.enabled == set()
    assert talk.lines() == []


def test_a_handshake_that_does_not_end_ends_the_connection(house: Any) -> None:
    """
    TLS-13: after STARTTLS.
    """
    talk = talk_with_tls(house)
    talk.send(b"a STARTTLS")
    talk.clock.pump([1.0] * 9)
    assert not talk.transport.aborted
    talk.clock.pump([1.0] * 2)
    assert talk.transport.aborted
    assert talk.lines() == []


def test_tls_at_once_is_greeted_after_the_handshake_and_in_its_time(house: Any) -> None:
    """
    TLS-13, TLS-09.
    """
    transports = [MemoryTransport(), MemoryTransport()]
    talks = []
    for each in transports:
        directlyProvides(each, ISSLTransport)
        talks.append(Talk(house.factory(), house.clock, transport=each))
        assert talks[-1].lines() == []
    talks[0].protocol.handshakeCompleted()
    assert talks[0].lines()[0].startswith(b"* OK [CAPABILITY ")
    house.clock.pump([1.0] * 12)
    assert not transports[0].aborted
    assert transports[1].aborted
    assert talks[1].lines() == []


SAID_IN_THE_CLEAR = re.compile(
    rb"\* (OK \[CAPABILITY [^]]*\] |CAPABILITY |BYE |BAD |ID NIL$)|\+ |[a-z]+ (OK|NO|BAD) "
)


def test_what_is_said_in_the_clear_is_no_data(house: Any) -> None:
    """
    TLS-09: where TLS is required, nothing before it could deceive a client.
    """
    said = []
    for lines in (
        [b"a CAPABILITY", b"b NOOP", b'c ID ("name" "x")', b"d LOGIN amy secret", b"e LOGIN {3}"],
        [b"a AUTHENTICATE PLAIN", b"b SELECT INBOX", b'c LIST "" *', b"d IDLE", b"e STATUS x (y)"],
        [b"", b"*", b"a LOGIN {99999999}", b"b LOGOUT"],
        [b"GET / HTTP/1.1"],
        [b"a STARTTLS"],
    ):
        talk = Talk(house.factory(rule=CLOSED, tls="a context"), house.clock)
        said += talk.lines() + talk.send(*lines)
        talk.clock.pump([10.0] * 13)
        said += talk.lines()
    assert len(said) > 20
    for line in said:
        assert SAID_IN_THE_CLEAR.match(line), line
        for word in (b"PREAUTH", b"ALERT", b"REFERRAL"):
            assert word not in line
