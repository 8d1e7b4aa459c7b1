"""
A policy that is tried beside the one that holds: what it would do otherwise.
"""

from __future__ import annotations

from typing import Any

import attrs
from twisted.internet.defer import Deferred

from mailaccess.auth.gate import AccountGate
from mailaccess.auth.guard import GuardedChecker
from mailaccess.errors import DirectoryUnavailable
from mailaccess.policy.attempt import Attempt, Result
from mailaccess.policy.decision import Decision, Verdict
from mailaccess.policy.link import Layer, Link
from mailaccess.policy.mechanism import PLAIN
from mailaccess.policy.rules import ListenerRule, PersonRule
from mailaccess.policy.tls import TLSPolicy
from mailaccess.services.audit.shadow import Shadow, ShadowPolicy
from mailaccess.services.config import parse
from mailaccess.services.config import read as read_settings
from mailaccess.testing.people import MemoryChecker

from .test_audit import (
    ALLOWED,
    CLEAR,
    LIVE,
    SECURE,
    attempt,
)

# ---- the shadow ---------------------------------------------------------------------------------


def shadow(policy: TLSPolicy, answer: Any = None) -> Shadow:
    it = Shadow("/next.toml", parse(LIVE), None)
    it.current = ShadowPolicy(policy, {}, "f1")

    class Guard:
        async def decide(self, *_: Any) -> Decision:
            if isinstance(answer, Exception):
                raise answer
            found: Decision = await answer if isinstance(answer, Deferred) else answer
            return found

    it.guard = Guard()
    return it


def differs(it: Shadow, login: Attempt) -> list[Decision]:
    found: list[Decision] = []
    it.ask(login, lambda _link, decision, _policy: found.append(decision))
    return found


STRICT = TLSPolicy({"imap": ListenerRule(minimum_tls="1.3", source="n.toml:2")})
LENIENT = TLSPolicy({"imap": ListenerRule(Verdict.ALLOW, source="n.toml:2")})


def test_both_ways_of_deciding_otherwise_are_differences() -> None:
    let_in = attempt(result=Result.RIGHT, decision=ALLOWED)
    (cut_off,) = differs(shadow(STRICT), let_in)
    assert (cut_off.verdict, cut_off.source) == (Verdict.REFUSE, "n.toml:2")
    (opened,) = differs(shadow(LENIENT), attempt())
    assert opened.allowed
    assert differs(shadow(STRICT), attempt()) == []
    assert differs(shadow(LENIENT, LENIENT.decide(CLEAR, PLAIN)), let_in) == []


def test_wrong_passwords_say_nothing_of_who_would_be_cut_off() -> None:
    assert differs(shadow(STRICT), attempt(result=Result.WRONG, decision=ALLOWED)) == []


def test_a_directory_that_is_down_changes_nothing() -> None:
    it = shadow(LENIENT, DirectoryUnavailable())
    assert differs(it, attempt(result=Result.RIGHT, decision=ALLOWED)) == []
    assert it._asking == 0


def test_lookups_for_the_shadow_are_bounded() -> None:
    """Logins go on, however slow a directory is."""
    slow: Deferred[Decision] = Deferred()
    it = shadow(LENIENT, slow)
    for _ in range(200):
        differs(it, attempt(result=Result.RIGHT, decision=ALLOWED))
    assert it._asking == 64


def test_the_shadow_knows_what_records_say() -> None:
    """Its rules for groups and the user's own record count as they would."""
    people = MemoryChecker({}, {"amy": {"groups": "board"}, "bob": {"cleartext": "refuse"}})
    live = TLSPolicy(LENIENT.listeners)
    it = shadow(TLSPolicy(LENIENT.listeners, (PersonRule(group="board", minimum_tls="1.3"),)))
    it.guard = GuardedChecker(live, people, AccountGate(lambda: 0.0))
    found = {
        name: [each.rule for each in differs(it, attempt(name, Result.RIGHT, decision=ALLOWED))]
        for name in ("amy", "bob", "carl")
    }
    assert found == {
        "amy": ["rule for group 'board': minimum_tls = \"1.3\""],
        "bob": ["for this user: cleartext = refuse"],
        "carl": [],
    }


def test_refused_strangers_are_looked_up_nowhere() -> None:
    it = shadow(TLSPolicy(LENIENT.listeners, (PersonRule("amy", Verdict.REFUSE),)))
    it.guard = None
    assert differs(it, attempt("amy")) == []
    assert len(differs(it, attempt("bob"))) == 1


def test_what_counts_as_private_is_the_shadows_own_to_say() -> None:
    live = parse(LIVE)
    text = LIVE[LIVE.index("[[listener]]") :].replace('["loopback"]', '["10.0.0.0/8"]')
    _, settings = read_settings(text, "n.toml", live)
    assert settings.mail == live.mail
    from mailaccess.services.policies import policy_of, private_layers

    (listener,) = settings.listeners
    it = ShadowPolicy(policy_of(settings), {"imap": private_layers(listener)}, "f1")
    here = Link("imap", Layer.LOOPBACK, peer="127.0.0.1")
    assert it.link(here).layer is Layer.NONE
    assert it.link(Link("imap", peer="10.1.2.3")).layer is Layer.TRUSTED_NETWORK
    assert it.link(Link("imap", peer="::ffff:10.1.2.3")).layer is Layer.TRUSTED_NETWORK
    assert it.link(SECURE) == SECURE
    proxied = attrs.evolve(SECURE, layer=Layer.PROXY_TLS)
    assert it.link(proxied) == CLEAR
    unix = Link("imap", Layer.UNIX)
    assert it.link(unix).layer is Layer.NONE
    both = frozenset({Layer.PROXY_TLS, Layer.UNIX})
    it = attrs.evolve(it, private={"imap": (both, ())})
    assert (it.link(proxied), it.link(unix)) == (proxied, unix)


def test_rules_that_the_shadow_leaves_out_are_not_there() -> None:
    rule = '[[rule]]\nusers = ["amy"]\ncleartext = "refuse"\n'
    _, settings = read_settings('[[listener]]\nprotocol = "imap"\n', "n", parse(LIVE + rule))
    assert settings.rule == ()
