"""
The one decision: who may use which mechanism on which connection.
"""

from __future__ import annotations

import itertools

import pytest

from mailaccess.policy.link import Layer, Link
from mailaccess.policy.mechanism import (
    APOP,
    LOGIN,
    LOGIN_COMMAND,
    MECHANISMS,
    PLAIN,
    USER_PASS,
    Exposes,
    Mechanism,
)
from mailaccess.policy.tls import ListenerRule, Person, PersonRule, TLSPolicy, Verdict

REVEALING = (PLAIN, LOGIN, LOGIN_COMMAND, USER_PASS)
SCRAM = Mechanism("SCRAM-SHA-256", Exposes.NOTHING, initial=True)
CLEAR = Link("imap", Layer.NONE, peer="192.0.2.1")
TLS = Link("imap", Layer.TLS, bits=256)
STRICT = TLSPolicy({"imap": ListenerRule(source="m.toml:3")})
OPEN = TLSPolicy({"imap": ListenerRule(Verdict.ALLOW, source="m.toml:4")})
EXCEPTIONS = TLSPolicy({"imap": ListenerRule(Verdict.REFUSE, exceptions=True, source="m.toml:5")})


@pytest.mark.parametrize("mechanism", REVEALING)
def test_by_default_no_password_crosses_in_the_clear(mechanism: Mechanism) -> None:
    """POL-01"""
    decision = STRICT.decide(CLEAR, mechanism)
    assert not decision.allowed
    assert decision.private_would_do
    assert decision.source == "m.toml:3"


@pytest.mark.parametrize("mechanism", REVEALING)
def test_over_tls_passwords_are_welcome(mechanism: Mechanism) -> None:
    """POL-01"""
    assert STRICT.decide(TLS, mechanism).allowed


@pytest.mark.parametrize("mechanism", REVEALING)
@pytest.mark.parametrize("bits", [0, 40, 56, 111])
def test_a_weak_cipher_is_no_layer(mechanism: Mechanism, bits: int) -> None:
    """POL-06: RFC 2595 section 2.3"""
    for layer in (Layer.TLS, Layer.PROXY_TLS):
        assert not STRICT.decide(Link("imap", layer, bits=bits), mechanism).allowed
    assert STRICT.decide(Link("imap", Layer.TLS, bits=112), mechanism).allowed


@pytest.mark.parametrize("layer", [Layer.UNIX, Layer.LOOPBACK, Layer.TRUSTED_NETWORK])
def test_a_layer_named_by_the_configuration_counts(layer: Layer) -> None:
    """POL-01: loopback is exempt only where the link says so explicitly"""
    assert STRICT.decide(Link("imap", layer), PLAIN).allowed
    assert not STRICT.decide(Link("imap", Layer.NONE, peer="127.0.0.1"), PLAIN).allowed


@pytest.mark.parametrize("mechanism", [*MECHANISMS.values(), SCRAM])
@pytest.mark.parametrize("name", ["", "pop3", "IMAP"])
def test_a_listener_without_a_rule_refuses_everything(mechanism: Mechanism, name: str) -> None:
    decision = OPEN.decide(Link(name, Layer.TLS, bits=256), mechanism)
    assert not decision.allowed
    assert not decision.private_would_do


def test_apop_is_off_unless_it_is_named() -> None:
    """SASL-06"""
    assert not OPEN.decide(TLS, APOP).allowed
    named = TLSPolicy({"imap": ListenerRule(mechanisms=frozenset({"APOP"}))})
    assert named.decide(CLEAR, APOP).allowed
    assert not named.decide(TLS, PLAIN).allowed


def test_a_mechanism_that_hides_the_password_needs_no_tls() -> None:
    assert STRICT.decide(CLEAR, SCRAM).allowed


def test_a_mechanism_not_offered_is_not_said_to_work_over_tls() -> None:
    only = TLSPolicy({"imap": ListenerRule(mechanisms=frozenset({"LOGIN"}))})
    assert not only.decide(CLEAR, PLAIN).private_would_do
    assert only.decide(CLEAR, LOGIN).private_would_do


def test_one_person_may_be_refused_where_others_may() -> None:
    """POL-04"""
    amy = Person("amy", {"cleartext": "refuse"}, source="users:1")
    decision = OPEN.decide(CLEAR, PLAIN, amy)
    assert not decision.allowed
    assert decision.private_would_do
    assert decision.source == "users:1"
    assert OPEN.decide(CLEAR, PLAIN, Person("bob")).allowed
    assert OPEN.decide(TLS, PLAIN, amy).allowed


def test_a_person_opens_nothing_unless_the_listener_permits_exceptions() -> None:
    """POL-04"""
    old = Person("old", {"cleartext": "allow"})
    assert not STRICT.decide(CLEAR, PLAIN, old).allowed
    assert EXCEPTIONS.decide(CLEAR, PLAIN, old).allowed
    assert not EXCEPTIONS.decide(CLEAR, PLAIN, Person("bob")).allowed


@pytest.mark.parametrize("word", ["", "alow", "ALLOW", "yes", "refuse", " allow"])
def test_a_typing_error_in_an_attribute_opens_no_door(word: str) -> None:
    assert not EXCEPTIONS.decide(CLEAR, PLAIN, Person("x", {"cleartext": word})).allowed
    assert not OPEN.decide(CLEAR, PLAIN, Person("x", {"cleartext": word})).allowed


def test_rules_for_names_come_before_attributes_and_the_first_counts() -> None:
    policy = TLSPolicy(
        {"imap": ListenerRule(Verdict.ALLOW), "pop3": ListenerRule(Verdict.ALLOW)},
        people=(
            PersonRule("boss*", Verdict.REFUSE, frozenset({"imap"}), source="m.toml:9"),
            PersonRule("BOSS2", Verdict.ALLOW),
        ),
    )
    decision = policy.decide(CLEAR, PLAIN, Person("boss2", {"cleartext": "allow"}))
    assert not decision.allowed
    assert decision.source == "m.toml:9"
    assert policy.decide(Link("pop3"), PLAIN, Person("boss2", {"cleartext": "refuse"})).allowed
    assert not policy.decide(Link("pop3"), PLAIN, Person("amy", {"cleartext": "refuse"})).allowed


def test_it_says_whether_a_name_could_change_the_answer() -> None:
    """Protocols put off the answer to AUTHENTICATE LOGIN only where the name matters."""
    assert OPEN.decide(CLEAR, LOGIN).depends_on_person
    assert EXCEPTIONS.decide(CLEAR, LOGIN).depends_on_person
    assert not STRICT.decide(CLEAR, LOGIN).depends_on_person
    assert not OPEN.decide(TLS, LOGIN).depends_on_person
    assert not OPEN.decide(CLEAR, SCRAM).depends_on_person


def test_where_a_name_is_said_not_to_matter_it_does_not() -> None:
    """What CAPABILITY says without a name is what a login with one gets."""
    people = [
        Person("amy"),
        Person("r", {"cleartext": "refuse"}),
        Person("a", {"cleartext": "allow"}),
    ]
    layers = [CLEAR, TLS, Link("imap", Layer.TLS, bits=40), Link("imap", Layer.UNIX)]
    mechanisms = [*MECHANISMS.values(), SCRAM]
    rows = itertools.product((STRICT, OPEN, EXCEPTIONS), layers, mechanisms, people)
    for policy, link, mechanism, person in rows:
        without = policy.decide(link, mechanism)
        if not without.depends_on_person:
            assert policy.decide(link, mechanism, person).allowed == without.allowed


def test_the_decision_is_the_same_for_each_way_to_say_a_password() -> None:
    """POL-04: no mechanism is a way around the rule for another."""
    people = [None, Person("amy"), Person("r", {"cleartext": "refuse"})]
    for policy, link, person in itertools.product((STRICT, OPEN, EXCEPTIONS), (CLEAR, TLS), people):
        assert len({policy.decide(link, each, person).allowed for each in REVEALING}) == 1
