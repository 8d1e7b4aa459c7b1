"""
What listeners and rules for persons may demand, and what exceptions open.
"""

from __future__ import annotations

from ipaddress import ip_network

import pytest

from mailaccess.policy.link import Layer, Link
from mailaccess.policy.mechanism import (
    APOP,
    LOGIN,
    LOGIN_COMMAND,
    PLAIN,
    USER_PASS,
    Exposes,
    Mechanism,
)
from mailaccess.policy.rules import day_over, tls_at_least
from mailaccess.policy.tls import ListenerRule, Person, PersonRule, TLSPolicy, Verdict

SCRAM = Mechanism("SCRAM-SHA-256", Exposes.NOTHING, initial=True)
CLEAR = Link("imap", peer="192.0.2.1")
V12 = Link("imap", Layer.TLS, 256, "TLSv1.2")
V13 = Link("imap", Layer.TLS, 256, "TLSv1.3")
AMY = Person("amy")
NOW = day_over("2026-11-21")


def policy(rule: ListenerRule, *people: PersonRule, own: bool = False) -> TLSPolicy:
    return TLSPolicy({"imap": rule}, people, attributes_demand=own, seconds=lambda: NOW)


# ---- listeners ---------------------------------------------------------------------------------


def test_a_minimum_layer_refuses_every_login_without_it() -> None:
    """POL-07: also mechanisms that hide the password."""
    it = policy(ListenerRule(minimum_layer=128, source="m.toml:3"))
    for mechanism in (SCRAM, PLAIN):
        decision = it.decide(CLEAR, mechanism)
        assert not decision.allowed
        assert decision.private_would_do
        assert (decision.rule, decision.source) == ("minimum_layer = 128", "m.toml:3")
        weak = it.decide(Link("imap", Layer.TLS, 112, "TLSv1.2"), mechanism)
        assert not weak.allowed
        assert "stronger" in weak.public
        assert it.decide(Link("imap", Layer.TLS, 128, "TLSv1.2"), mechanism).allowed
        assert it.decide(Link("imap", Layer.TRUSTED_NETWORK), mechanism).allowed


def test_a_minimum_version_refuses_every_login_without_it() -> None:
    """POL-06"""
    it = policy(ListenerRule(minimum_tls="1.3"))
    for mechanism in (SCRAM, PLAIN):
        assert it.decide(V13, mechanism).allowed
        assert "newer" in it.decide(V12, mechanism).public
        for layer in (Layer.NONE, Layer.UNIX, Layer.LOOPBACK, Layer.TRUSTED_NETWORK):
            assert not it.decide(Link("imap", layer), mechanism).allowed


@pytest.mark.parametrize(
    ("version", "minimum", "good"),
    [
        ("TLSv1.3", "1.3", True),
        ("TLSv1.3", "1.2", True),
        ("TLSv1.2", "1.3", False),
        ("TLSv1.1", "1.2", False),
        ("", "1.2", False),
        ("unknown", "1.2", False),
        ("TLSv1.3", "1.4", False),
        ("TLSv1.3", "?", False),
    ],
)
def test_versions_that_are_not_known_are_not_good_enough(
    version: str, minimum: str, good: bool
) -> None:
    assert tls_at_least(version, minimum) is good


def test_a_listener_may_demand_a_client_certificate() -> None:
    """POL-06"""
    it = policy(ListenerRule(certificate=True))
    without = it.decide(V13, PLAIN)
    assert not without.allowed
    assert not without.private_would_do
    assert "certificate" in without.public
    assert it.decide(CLEAR, PLAIN).private_would_do
    assert it.decide(Link("imap", Layer.TLS, 256, "TLSv1.3", certificate="CN=amy"), PLAIN).allowed


# ---- report ------------------------------------------------------------------------------------


def test_report_lets_through_and_says_so() -> None:
    it = policy(ListenerRule(Verdict.REPORT, source="m.toml:4"))
    decision = it.decide(CLEAR, PLAIN)
    assert decision.allowed
    assert decision.reported
    assert (decision.rule, decision.source) == ("cleartext = report", "m.toml:4")
    assert not it.decide(V13, PLAIN).reported
    assert not it.decide(CLEAR, SCRAM).reported


def test_a_rule_can_be_tried_out_for_some() -> None:
    rule = PersonRule("amy", Verdict.REPORT, source="m.toml:9")
    open_to_all = policy(ListenerRule(Verdict.ALLOW), rule)
    assert open_to_all.decide(CLEAR, PLAIN, AMY).reported
    assert not open_to_all.decide(CLEAR, PLAIN, Person("bob")).reported
    assert not policy(ListenerRule(), rule).decide(CLEAR, PLAIN, AMY).allowed
    assert policy(ListenerRule(exceptions=True), rule).decide(CLEAR, PLAIN, AMY).reported


def test_while_refusing_is_tried_out_rules_still_refuse() -> None:
    it = policy(ListenerRule(Verdict.REPORT), PersonRule("amy", Verdict.REFUSE))
    assert not it.decide(CLEAR, PLAIN, AMY).allowed
    assert it.decide(CLEAR, PLAIN).depends_on_person


# ---- demands of persons ------------------------------------------------------------------------


@pytest.mark.parametrize("link", [CLEAR, V12, V13])
def test_a_person_may_be_held_to_one_mechanism(link: Link) -> None:
    """POL-06"""
    rule = PersonRule("amy", mechanisms=frozenset({"SCRAM-SHA-256"}), source="m.toml:7")
    it = policy(ListenerRule(Verdict.ALLOW), rule)
    refused = it.decide(link, PLAIN, AMY)
    assert not refused.allowed
    assert not refused.private_would_do
    assert refused.source == "m.toml:7"
    assert it.decide(link, SCRAM, AMY).allowed
    assert it.decide(link, PLAIN, Person("bob")).allowed
    assert it.decide(link, PLAIN).depends_on_person


def test_a_person_may_be_held_to_a_version_and_a_certificate() -> None:
    """POL-06"""
    newer = policy(ListenerRule(Verdict.ALLOW), PersonRule("amy", minimum_tls="1.3"))
    assert newer.decide(V13, PLAIN, AMY).allowed
    assert "newer" in newer.decide(V12, PLAIN, AMY).public
    assert newer.decide(CLEAR, SCRAM, AMY).private_would_do
    certified = policy(ListenerRule(), PersonRule("amy", certificate=True))
    assert not certified.decide(V13, PLAIN, AMY).allowed
    with_one = Link("imap", Layer.TLS, 256, "TLSv1.3", certificate="CN=amy")
    assert certified.decide(with_one, PLAIN, AMY).allowed


def test_a_demand_is_no_exception() -> None:
    """A rule that names a mechanism does not let it through in the clear."""
    rule = PersonRule("amy", mechanisms=frozenset({"PLAIN"}))
    assert not policy(ListenerRule(), rule).decide(CLEAR, PLAIN, AMY).allowed
    open_to_all = policy(ListenerRule(Verdict.ALLOW), rule)
    own = Person("amy", {"cleartext": "refuse"})
    assert not open_to_all.decide(CLEAR, PLAIN, own).allowed


def test_for_each_matter_the_first_rule_that_speaks_of_it_counts() -> None:
    it = policy(
        ListenerRule(Verdict.ALLOW),
        PersonRule("a*", minimum_tls="1.2", source="1"),
        PersonRule("amy", minimum_tls="1.3", mechanisms=frozenset({"PLAIN"}), source="2"),
    )
    assert it.decide(V12, PLAIN, AMY).allowed
    assert it.decide(CLEAR, PLAIN, AMY).source == "1"
    assert it.decide(V12, LOGIN, AMY).source == "2"


def test_groups_match_as_networks_do() -> None:
    board = PersonRule(group="Board", cleartext=Verdict.REFUSE)
    it = policy(ListenerRule(Verdict.ALLOW), board)
    for groups, allowed in (("board", False), ("staff, BOARD", False), ("boards,", True)):
        assert it.decide(CLEAR, PLAIN, Person("x", {"groups": groups})).allowed is allowed
    here = PersonRule("*", Verdict.ALLOW, networks=(ip_network("10.1.0.0/16"),))
    it = policy(ListenerRule(exceptions=True), here)
    for peer, allowed in (
        ("10.1.2.3", True),
        ("::ffff:10.1.2.3", True),
        ("10.2.0.1", False),
        ("", False),
        ("2001:db8::1", False),
    ):
        assert it.decide(Link("imap", peer=peer), PLAIN, AMY).allowed is allowed


# ---- exceptions --------------------------------------------------------------------------------


def test_an_exception_opens_all_that_the_connection_lacks() -> None:
    rule = PersonRule("scanner", Verdict.ALLOW, owner="it", reason="no TLS")
    closed = ListenerRule(exceptions=True, minimum_layer=112, minimum_tls="1.2")
    for mechanism in (PLAIN, SCRAM):
        decision = policy(closed, rule).decide(CLEAR, mechanism, Person("scanner"))
        assert decision.allowed
        assert "owner it, no TLS" in decision.rule
        assert policy(closed, rule).decide(CLEAR, mechanism).depends_on_person
        assert not policy(closed, rule).decide(CLEAR, mechanism, AMY).allowed
    assert not policy(closed, rule).decide(CLEAR, APOP, Person("scanner")).allowed


@pytest.mark.parametrize(
    ("last", "allowed"), [("2026-11-20", False), ("2026-11-21", False), ("2026-11-22", True)]
)
def test_an_exception_whose_time_is_over_refuses(last: str, allowed: bool) -> None:
    """Its last day still counts; afterwards it refuses even where others may."""
    rule = PersonRule("amy", Verdict.ALLOW, until=day_over(last), source="m.toml:12")
    for listener in (ListenerRule(exceptions=True), ListenerRule(Verdict.ALLOW)):
        decision = policy(listener, rule).decide(CLEAR, PLAIN, AMY)
        assert decision.allowed is allowed
        if not allowed:
            assert "its time is over" in decision.rule
            assert decision.source == "m.toml:12"


# ---- a person's own record ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("attributes", "in_the_clear", "over_12"),
    [
        ({}, True, True),
        ({"minimum_tls": "1.3"}, False, False),
        ({"minimum_tls": "1.2"}, False, True),
        ({"minimum_tls": ""}, False, False),
        ({"minimum_tls": "tls"}, False, False),
        ({"mechanisms": "plain,LOGIN"}, True, True),
        ({"mechanisms": "login_command"}, False, False),
        ({"mechanisms": ""}, False, False),
        ({"client_certificate": "require"}, False, False),
        ({"client_certificate": "requir"}, False, False),
        ({"client_certificate": "no"}, True, True),
        ({"cleartext": "report"}, True, True),
        ({"cleartext": "allow", "cleartext_until": "2026-11-22"}, True, True),
        ({"cleartext": "allow", "cleartext_until": "2026-11-21"}, False, True),
        ({"cleartext": "allow", "cleartext_until": "soon"}, False, True),
    ],
)
def test_a_record_that_is_not_understood_refuses(
    attributes: dict[str, str], in_the_clear: bool, over_12: bool
) -> None:
    """POL-06"""
    it = policy(ListenerRule(Verdict.ALLOW), own=True)
    person = Person("amy", attributes, "users:1")
    assert it.decide(CLEAR, PLAIN, person).allowed is in_the_clear
    assert it.decide(V12, PLAIN, person).allowed is over_12
    assert it.decide(V12, PLAIN).depends_on_person
    if not in_the_clear:
        assert it.decide(CLEAR, PLAIN, person).source == "users:1"


def test_the_command_login_can_be_named_in_a_record() -> None:
    it = policy(ListenerRule(), own=True)
    person = Person("amy", {"mechanisms": "LOGIN_COMMAND"})
    assert it.decide(V13, LOGIN_COMMAND, person).allowed
    assert not it.decide(V13, USER_PASS, person).allowed


def test_records_are_not_asked_for_demands_unless_the_policy_says_so() -> None:
    """What is said not to depend on a name does not."""
    it = policy(ListenerRule())
    assert not it.decide(V12, PLAIN).depends_on_person
    assert it.decide(V12, PLAIN, Person("amy", {"minimum_tls": "1.3"})).allowed
