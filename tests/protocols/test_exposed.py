"""
The log says of every login in the clear whether others could read the password.
"""

from __future__ import annotations

from base64 import b64encode
from typing import Any

import pytest
from twisted.internet.task import Clock
from twisted.logger import capturedLogs

from mailaccess.policy.link import Layer
from mailaccess.policy.tls import ListenerRule, Verdict
from mailaccess.protocols.imap.factory import IMAPFactory
from mailaccess.protocols.pop3.factory import POP3Factory
from mailaccess.protocols.pop3.options import POP3Options
from mailaccess.protocols.sweep import Sweep
from mailaccess.services.logs import key_value_line
from mailaccess.testing.memory import MemoryAccounts
from mailaccess.testing.people import MemoryChecker, entrance
from mailaccess.testing.talk import MemoryTransport, Talk

REFUSE, ALLOW = ListenerRule(), ListenerRule(Verdict.ALLOW)
EXCEPTIONS = ListenerRule(exceptions=True)
PLAIN = b64encode(b"\0amy\0secret")


def said(
    service: str, rule: ListenerRule, *lines: bytes, early: bool = False, **more: Any
) -> list[dict[str, Any]]:
    """
    The events about logins, in a conversation of these lines.
    """
    clock = Clock()
    way_in = entrance(
        MemoryChecker({"amy": b"secret"}),
        MemoryAccounts().enter,
        clock,
        rule=rule,
        service=service,
        **more,
    )
    shared = way_in, clock, Sweep(clock)
    late = POP3Options(refuse_at="user" if early else "pass")
    factory = IMAPFactory(*shared) if service == "imap" else POP3Factory(*shared, options=late)
    with capturedLogs() as events:
        talk = Talk(factory, clock, transport=MemoryTransport("127.0.0.1"))
        for line in lines:
            talk.send(line)
    names = ("login", "failed", "refused")
    return [dict(each) for each in events if each.get("event") in names]


@pytest.mark.parametrize(
    ("service", "rule", "lines", "event", "exposed"),
    [
        ("imap", REFUSE, [b"a LOGIN amy secret"], "refused", True),
        ("imap", REFUSE, [b"a LOGIN amy {6}"], "refused", False),
        ("imap", REFUSE, [b"a LOGIN amy {6+}", b"secret"], "refused", True),
        ("imap", REFUSE, [b"a AUTHENTICATE PLAIN " + PLAIN], "refused", True),
        ("imap", REFUSE, [b"a AUTHENTICATE PLAIN"], "refused", False),
        ("imap", REFUSE, [b"a AUTHENTICATE LOGIN " + b64encode(b"amy")], "refused", False),
        ("imap", EXCEPTIONS, [b"a AUTHENTICATE PLAIN", PLAIN], "refused", True),
        ("imap", EXCEPTIONS, [b"a AUTHENTICATE LOGIN", b64encode(b"amy")], "refused", False),
        ("imap", ALLOW, [b"a LOGIN amy secret"], "login", True),
        ("imap", ALLOW, [b"a LOGIN amy wrong"], "failed", True),
        ("pop3", REFUSE, [b"USER amy", b"PASS secret"], "refused", True),
        ("pop3", REFUSE, [b"USER amy", b"PASS"], "refused", False),
        ("pop3", REFUSE, [b"AUTH PLAIN " + PLAIN], "refused", True),
        ("pop3", REFUSE, [b"AUTH PLAIN"], "refused", False),
        ("pop3", ALLOW, [b"USER amy", b"PASS secret"], "login", True),
        ("imap", REFUSE, [b"a LOGIN amy secret x"], "refused", True),
        ("imap", REFUSE, [b'a LOGIN "amy secret'], "refused", True),
        ("imap", REFUSE, [b"a AUTHENTICATE PLAIN " + PLAIN + b"!"], "refused", True),
        ("pop3", REFUSE, [b"PASS secret"], "refused", True),
        ("pop3", REFUSE, [b"AUTH PLAIN " + PLAIN + b"!"], "refused", True),
    ],
)
def test_a_password_that_others_could_read_is_marked(
    service: str, rule: ListenerRule, lines: list[bytes], event: str, exposed: bool
) -> None:
    """POL-05: also where it was refused; the password itself is in no line."""
    (found,) = said(service, rule, *lines)
    assert (found["event"], found["exposed"]) == (event, exposed)
    text = key_value_line(found)
    assert f"exposed={'yes' if exposed else 'no'}" in text
    assert "secret" not in text


def test_nothing_is_marked_where_nobody_could_read() -> None:
    (found,) = said("imap", REFUSE, b"a LOGIN amy secret", private=frozenset({Layer.LOOPBACK}))
    assert found["event"] == "login"
    assert "exposed" not in found


def test_a_password_behind_a_refused_user_is_marked() -> None:
    """POL-05: a client that does not wait for the answer to USER; whose it was is known."""
    user, sent = said("pop3", REFUSE, b"USER amy", b"PASS secret", early=True)
    assert (user["event"], user["exposed"]) == ("refused", False)
    assert (sent["event"], sent["exposed"], sent["user"]) == ("refused", True, "amy")
    assert sent["reason"] == "MustEncrypt"


@pytest.mark.parametrize("line", [b"a LOGIN", b"a LOGIN amy", b"a AUTHENTICATE"])
def test_commands_without_a_password_mark_nothing(line: bytes) -> None:
    assert said("imap", REFUSE, line) == []


@pytest.mark.parametrize(
    ("service", "lines"),
    [
        ("imap", [b"a AUTHENTICATE PLAIN", PLAIN]),
        ("pop3", [b"AUTH PLAIN", PLAIN]),
        ("imap", [b"a AUTHENTICATE LOGIN", b64encode(b"amy"), b64encode(b"secret")]),
        ("pop3", [b"AUTH LOGIN " + b64encode(b"amy"), b64encode(b"secret")]),
    ],
)
def test_a_response_behind_a_refused_exchange_is_marked(service: str, lines: list[bytes]) -> None:
    """POL-05: a client that does not wait for the challenge."""
    refused, sent = said(service, REFUSE, *lines)
    assert (refused["event"], refused["exposed"]) == ("refused", False)
    assert (sent["exposed"], sent["user"]) == (True, "amy")


@pytest.mark.parametrize(
    ("service", "lines"),
    [
        ("imap", [b"a LOGIN amy secret", b"b LOGIN amy secret"]),
        ("pop3", [b"USER amy", b"PASS secret", b"PASS secret"]),
    ],
)
def test_a_password_that_comes_again_is_marked(service: str, lines: list[bytes]) -> None:
    _, again = said(service, ALLOW, *lines)
    assert (again["event"], again["exposed"]) == ("refused", True)


def test_other_lines_behind_a_refused_exchange_are_not() -> None:
    for line in (b"NOOP", b"AAAA", b"", b64encode(b"a\0b")):
        assert len(said("imap", REFUSE, b"a AUTHENTICATE PLAIN", line)) == 1
        assert len(said("pop3", REFUSE, b"AUTH PLAIN", line)) == 1


def test_the_name_is_found_in_what_was_refused_unread() -> None:
    """Whose password it was that others could read."""
    (found,) = said("imap", REFUSE, b"a AUTHENTICATE PLAIN " + PLAIN)
    assert found["user"] == "amy"
    (found,) = said("pop3", REFUSE, b"AUTH PLAIN " + PLAIN)
    assert found["user"] == "amy"


@pytest.mark.parametrize(
    ("service", "command"), [("imap", b"a AUTHENTICATE LOGIN"), ("pop3", b"AUTH LOGIN")]
)
def test_who_is_refused_in_the_middle_of_an_exchange_is_named(service: str, command: bytes) -> None:
    """POL-05: the name had come; a password that comes after it is not taken for a name."""
    sent = [b64encode(b"amy"), b64encode(b"secret"), b64encode(b"secret")]
    refused, exposed = said(service, EXCEPTIONS, command, *sent)
    assert (refused["event"], refused["exposed"], refused["user"]) == ("refused", False, "amy")
    assert (exposed["exposed"], exposed["user"]) == (True, "amy")
    assert "secret" not in key_value_line(refused) + key_value_line(exposed)
