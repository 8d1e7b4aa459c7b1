"""
What is remembered of passwords: the lockout guard, the outage mode, the cache.
"""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.task import Clock

from mailaccess.auth.cache import CachedChecker
from mailaccess.auth.chain import CheckerChain, Entry
from mailaccess.auth.gate import AccountGate
from mailaccess.auth.ldap.directory import Remembering
from mailaccess.auth.memory import Fingerprints, Remembered
from mailaccess.errors import (
    AccountUnusable,
    AuthenticationFailed,
    DirectoryUnavailable,
    PasswordExpired,
)
from mailaccess.interfaces import Identity
from mailaccess.policy.link import Layer, Link
from tests.auth.doubles import People, outcome

from .asking import QUICK, Asker
from .slapd import AMYS, BASE, PEOPLE, Slapd, person
from .test_failover import SWIFT
from .test_search_and_bind import binds, refusal

RIGHT = AMYS.encode()
GUARD = Remembering(guard=600, beat=0)
DN = f"uid=amy,{PEOPLE}"


async def test_a_stale_password_does_not_lock_an_account(asker: Asker, own_slapd: Slapd) -> None:
    """The lockout guard: the same wrong password is sent once; others, and the right one, are."""
    own_slapd.change(DN, pwdPolicySubentry=f"cn=strict,{BASE}")
    checker = asker.checker(own_slapd.uri, remembering=GUARD)
    for _ in range(10):
        assert type(await refusal(checker, "amy", b"old")) is AuthenticationFailed
    assert binds(own_slapd, DN) == 1
    assert type(await refusal(checker, "amy", b"older")) is AuthenticationFailed
    assert binds(own_slapd, DN) == 2
    assert (await checker.check("amy", RIGHT, "imap")).name == "amy"
    # The count was wiped out, which changes the entry: once more is no risk.
    for _ in range(3):
        assert type(await refusal(checker, "amy", b"old")) is AuthenticationFailed
    assert binds(own_slapd, DN) == 4


@pytest.mark.parametrize("counted", [[], ["pwdFailureTime: 20200101000000.0Z"]])
async def test_a_policy_that_counts_does_not_make_a_wrong_password_new(
    asker: Asker, own_slapd: Slapd, counted: list[str]
) -> None:
    """The lockout guard: OpenLDAP changes C{modifyTimestamp} with each wrong password."""
    own_slapd.kill()
    policy = f"pwdPolicySubentry: cn=strict,{BASE}"
    own_slapd.load(person("dora", AMYS, "modifyTimestamp: 20200101000000Z", policy, *counted))
    own_slapd.start()
    checker = asker.checker(own_slapd.uri, remembering=GUARD)
    for _ in range(5):
        assert type(await refusal(checker, "dora", b"old")) is AuthenticationFailed
    assert binds(own_slapd, f"uid=dora,{PEOPLE}") == 1
    assert (await checker.check("dora", RIGHT, "imap")).name == "dora"


@pytest.mark.parametrize("strict", [True, False])
async def test_a_changed_password_works_at_once_and_the_old_one_stops(
    asker: Asker, own_slapd: Slapd, strict: bool
) -> None:
    """Also when it is changed to what was wrong a moment ago; with password policy or without."""
    own_slapd.kill()
    policy = [f"pwdPolicySubentry: cn=strict,{BASE}"] if strict else []
    own_slapd.load(person("dora", AMYS, "modifyTimestamp: 20200101000000Z", *policy))
    own_slapd.start()
    checker = asker.checker(own_slapd.uri, remembering=GUARD)
    assert isinstance(await refusal(checker, "dora", b"coming"), AuthenticationFailed)
    assert (await checker.check("dora", RIGHT, "imap")).name == "dora"
    own_slapd.change(f"uid=dora,{PEOPLE}", userPassword="coming")
    assert (await checker.check("dora", b"coming", "imap")).name == "dora"
    assert isinstance(await refusal(checker, "dora", RIGHT), AuthenticationFailed)


async def test_locked_is_not_remembered_as_wrong(asker: Asker, own_slapd: Slapd) -> None:
    """Once unlocked, the right password works at once."""
    own_slapd.change(DN, pwdPolicySubentry=f"cn=strict,{BASE}")
    checker = asker.checker(own_slapd.uri, remembering=GUARD)
    for number in range(3):
        await refusal(checker, "amy", b"%d" % number)
    assert isinstance(await refusal(checker, "amy", RIGHT), AccountUnusable)
    own_slapd.change(DN, pwdAccountLockedTime=[])
    assert (await checker.check("amy", RIGHT, "imap")).name == "amy"


async def test_an_outage_is_refused_unless_the_site_says_otherwise(
    asker: Asker, own_slapd: Slapd
) -> None:
    """Refuse, the default: the right password as well as the wrong one are UNAVAILABLE."""
    checker = asker.checker(own_slapd.uri, remembering=QUICK, connecting=SWIFT)
    await checker.check("amy", RIGHT, "imap")
    own_slapd.kill()
    for secret in (RIGHT, b"wrong"):
        assert isinstance(await refusal(checker, "amy", secret), DirectoryUnavailable)


async def test_an_outage_is_bridged_over_tls_for_a_bounded_time(
    asker: Asker, own_slapd: Slapd
) -> None:
    """Only by the password of the last success; another one is not wrong, but unavailable."""
    remembering = Remembering(guard=600, outage=3600, beat=0)
    checker = asker.checker(own_slapd.uri, remembering=remembering, connecting=SWIFT)
    await checker.check("amy", RIGHT, "imap")
    await checker.check("carl", RIGHT, "imap")
    own_slapd.change(f"uid=carl,{PEOPLE}", userPassword="changed")
    assert isinstance(await refusal(checker, "carl", RIGHT), AuthenticationFailed)
    own_slapd.kill()
    identity = await checker.check("amy", RIGHT, "imap")
    assert (identity.name, identity.fields["outage"]) == ("amy", "yes")
    for name, secret in (("amy", b"wrong"), ("bert", RIGHT), ("carl", RIGHT)):
        assert isinstance(await refusal(checker, name, secret), DirectoryUnavailable)
    gate = AccountGate(lambda: 0.0)
    gate.check(identity, Link("imaps", Layer.TLS, bits=256), "imap")
    with pytest.raises(DirectoryUnavailable):
        gate.check(identity, Link("imap", Layer.NONE, peer="10.0.0.1"), "imap")
    checker.flush()
    assert isinstance(await refusal(checker, "amy", RIGHT), DirectoryUnavailable)


async def test_knocking_out_the_directory_opens_no_weaker_source(
    asker: Asker, own_slapd: Slapd
) -> None:
    """AUTH-04: somebody with a stale local password gets UNAVAILABLE while slapd is dead."""
    local = People({"amy": (b"stale", {})})
    checker = asker.checker(own_slapd.uri, connecting=SWIFT)
    chain = CheckerChain([checker, local])
    own_slapd.kill()
    assert isinstance(await refusal(chain, "amy", b"stale"), DirectoryUnavailable)
    assert local.checked == []
    going_on = CheckerChain([Entry(checker, "continue"), local])
    assert (await going_on.check("amy", b"stale", "imap")).source == "people"
    assert isinstance(await refusal(going_on, "amy", b"no"), DirectoryUnavailable)


async def test_a_locked_account_is_not_looked_for_elsewhere(asker: Asker, own_slapd: Slapd) -> None:
    """LD-12, AUTH-04: though it looks like a wrong password, the next source is not asked."""
    own_slapd.add(person("lock", AMYS, f"pwdPolicySubentry: cn=strict,{BASE}"))
    local = People({"lock": (b"stale", {}), "other": (b"own", {})})
    chain = CheckerChain([asker.checker(own_slapd.uri), local])
    for number in range(3):
        await refusal(chain, "lock", b"%d" % number)
    local.checked.clear()
    assert isinstance(await refusal(chain, "lock", b"stale"), AccountUnusable)
    assert local.checked == []
    assert (await chain.check("other", b"own", "imap")).source == "people"


async def test_directories_are_chosen_by_domain(
    asker: Asker, own_slapd: Slapd, second_slapd: Slapd
) -> None:
    """Several directories: the one for the domain is asked, and no other."""
    own_slapd.change(DN, userPassword="first")
    second_slapd.change(DN, userPassword="second")
    chain = CheckerChain(
        [
            asker.checker(own_slapd.uri, domains=("a.example",), filter="(uid={local})"),
            asker.checker(second_slapd.uri, domains=("b.example",), filter="(uid={local})"),
        ]
    )
    assert (await chain.check("amy@a.example", b"first", "imap")).name == "amy@a.example"
    assert (await chain.check("amy@b.example", b"second", "imap")).name == "amy@b.example"
    assert isinstance(await refusal(chain, "amy@b.example", b"first"), AuthenticationFailed)
    own_slapd.kill()
    assert (await chain.check("amy@b.example", b"second", "imap")).name == "amy@b.example"


# ---- the cache ----------------------------------------------------------------------------------


def cached(
    people: dict[str, tuple[bytes, dict[str, str]]],
    right: float = 60,
    wrong: float = 10,
    **more: Any,
) -> tuple[CachedChecker, People, Clock]:
    source, clock = People(people), Clock()
    return CachedChecker(source, clock, right, wrong), source, clock


def asked(checker: CachedChecker, name: str, secret: bytes) -> Any:
    try:
        return outcome(checker.check(name, secret, "imap"))
    except (AuthenticationFailed, DirectoryUnavailable, PasswordExpired) as error:
        return type(error)


def test_a_cache_answers_for_its_time_and_no_longer() -> None:
    """AUTH-20: at most a minute and ten seconds, whatever was asked for."""
    checker, source, clock = cached({"amy": (b"x", {})}, right=3600, wrong=3600)
    assert asked(checker, "amy", b"x").name == "amy"
    assert asked(checker, "amy", b"no") is AuthenticationFailed
    clock.advance(9)
    assert asked(checker, "amy", b"x").name == "amy"
    assert asked(checker, "amy", b"no") is AuthenticationFailed
    assert len(source.checked) == 2
    clock.advance(2)
    asked(checker, "amy", b"no")
    assert len(source.checked) == 3
    clock.advance(50)
    asked(checker, "amy", b"x")
    assert len(source.checked) == 4


def test_a_changed_password_is_taken_at_once_and_ends_the_old_one() -> None:
    """AUTH-20: another password than the one that was right is always asked about."""
    checker, source, _ = cached({"amy": (b"old", {})})
    asked(checker, "amy", b"old")
    source.people = {"amy": (b"new", {})}
    assert asked(checker, "amy", b"new").name == "amy"
    assert asked(checker, "amy", b"old") is AuthenticationFailed


def test_a_failure_to_find_out_is_not_kept() -> None:
    """AUTH-20: neither as right nor as wrong."""
    checker, source, _ = cached({"amy": (b"x", {})})
    source.failure = DirectoryUnavailable()
    assert asked(checker, "amy", b"x") is DirectoryUnavailable
    source.failure = None
    assert asked(checker, "amy", b"x").name == "amy"


@given(st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from([b"1", b"2"])), max_size=40))
def test_people_who_share_a_password_are_never_mixed_up(tries: list[tuple[str, bytes]]) -> None:
    """AUTH-20, AUTH-21: the name is in the key."""
    people = {"a": (b"1", {}), "b": (b"1", {}), "c": (b"2", {})}
    checker, _, _ = cached(people)
    for name, secret in tries:
        found = asked(checker, name, secret)
        if people[name][0] == secret:
            assert found.name == name
        else:
            assert found is AuthenticationFailed


def test_two_caches_share_nothing() -> None:
    """AUTH-21: equal settings, own keys."""
    one, two = Fingerprints(), Fingerprints()
    assert one.of("amy", b"x") != two.of("amy", b"x")
    assert one.of("amy", b"x") != one.of("bert", b"x")
    assert one.of("a", b"my") != one.of("am", b"y")


def test_what_is_remembered_is_bounded_and_can_be_forgotten() -> None:
    """AUTH-22: the longest unused go; all of it on demand; no password in it."""
    kept: Remembered[Identity] = Remembered(Clock(), 60, size=100)
    for number in range(10_000):
        kept.put(number, Identity(str(number)), b"f")
        assert kept.get(0, b"f") is not None
    assert len(kept) == 100
    kept.flush()
    assert kept.get(0, b"f") is None
    checker, _, _ = cached({"amy": (b"geheim", {})})
    asked(checker, "amy", b"geheim")
    assert "geheim" not in repr(vars(checker)) + repr(checker._right._kept)
    checker.flush()
    assert len(checker._right) == 0
