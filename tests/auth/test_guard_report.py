"""
The guard lets in, and says who would not be let in if a rule that is tried out counted.
"""

from __future__ import annotations

from typing import Any

import pytest
from twisted.logger import capturedLogs
from zope.interface import implementer

from mailaccess.auth.credentials import PasswordLogin
from mailaccess.auth.gate import AccountGate
from mailaccess.auth.guard import GuardedChecker, refusal
from mailaccess.errors import AuthenticationFailed, MechanismRefused, MustEncrypt
from mailaccess.interfaces import IChecksPasswords, Identity
from mailaccess.policy.link import Layer, Link
from mailaccess.policy.mechanism import PLAIN
from mailaccess.policy.tls import Decision, ListenerRule, PersonRule, TLSPolicy, Verdict

from .doubles import People, outcome

SECRET = b"correct horse"
POLICY = TLSPolicy({"pop3": ListenerRule(Verdict.REPORT, source="m.toml:4")})
CLEAR = Link("pop3", peer="192.0.2.1")


def login(secret: bytes, link: Link) -> list[Any]:
    guard = GuardedChecker(POLICY, People({"amy": (SECRET, {})}), AccountGate(lambda: 0.0))
    credentials = PasswordLogin("Amy", secret, link, PLAIN, "pop3", session="7-1")
    # An exception must not pass through capturedLogs, which would go on capturing for ever.
    refused: list[Exception] = []
    with capturedLogs() as events:
        try:
            outcome(guard.requestAvatarId(credentials))
        except Exception as error:
            refused.append(error)
    for each in refused:
        raise each
    return [each for each in events if each.get("event") == "would-refuse"]


def test_a_login_that_would_be_refused_is_let_in_and_logged() -> None:
    """POL-05"""
    (event,) = login(SECRET, CLEAR)
    assert (event["session"], event["user"], event["listener"]) == ("7-1", "amy", "pop3")
    assert event["detail"] == "cleartext = report (m.toml:4)"
    assert event["tls"] == "none"
    assert SECRET.decode() not in repr(event)


def test_only_logins_that_succeed_in_the_clear_are_reported() -> None:
    assert login(SECRET, Link("pop3", Layer.TLS, bits=256)) == []
    with capturedLogs() as events, pytest.raises(AuthenticationFailed):
        login(b"wrong", CLEAR)
    assert not [each for each in events if each.get("event") == "would-refuse"]


@implementer(IChecksPasswords)
class Aliases:
    """
    Knows amy by her address, too.
    """

    label = "aliases"

    async def check(self, name: str, secret: bytes, service: str) -> Identity:
        return Identity("amy")


@pytest.mark.parametrize("name", ["amy", "amy.example@example.org"])
def test_another_name_of_a_user_is_no_way_round_her_rule(name: str) -> None:
    """POL-04"""
    rule = PersonRule("amy", minimum_tls="1.3")
    policy = TLSPolicy({"imap": ListenerRule()}, (rule,))
    guard = GuardedChecker(policy, Aliases(), AccountGate(lambda: 0.0))
    old, new = (Link("imap", Layer.TLS, 256, f"TLSv{each}") for each in ("1.2", "1.3"))
    with pytest.raises(MustEncrypt):
        outcome(guard.requestAvatarId(PasswordLogin(name, SECRET, old, PLAIN, "imap")))
    found = outcome(guard.requestAvatarId(PasswordLogin(name, SECRET, new, PLAIN, "imap")))
    assert found.name == "amy"


def test_a_refusal_says_what_the_decision_says() -> None:
    usual = refusal(Decision(Verdict.REFUSE, "r", "s:1", private_would_do=True))
    assert isinstance(usual, MustEncrypt)
    assert (usual.public, usual.detail) == (MustEncrypt.public, "r (s:1)")
    own = refusal(Decision(Verdict.REFUSE, "r", "s:1", public="A client certificate is needed"))
    assert isinstance(own, MechanismRefused)
    assert own.public == "A client certificate is needed"
