"""
Names like C{amy*boss}: an administrator logs in as somebody else with the own password.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import pytest
from twisted.internet.task import Clock

from mailaccess.auth.credentials import APOPLogin, PasswordLogin
from mailaccess.auth.gate import AccountGate
from mailaccess.auth.guard import GuardedChecker
from mailaccess.auth.interfaces import Ground
from mailaccess.auth.masters import Masters
from mailaccess.auth.passwdfile import PasswordFile
from mailaccess.auth.passwords import Limits
from mailaccess.auth.pool import HashPool
from mailaccess.auth.rights import Rights
from mailaccess.auth.sasl import MECHANISMS, Lookup
from mailaccess.auth.throttle import Throttle
from mailaccess.errors import (
    AuthenticationFailed,
    AuthorizationFailed,
    ContactAdmin,
    MustEncrypt,
    Refused,
)
from mailaccess.interfaces import Identity
from mailaccess.policy.link import Layer, Link
from mailaccess.policy.mechanism import APOP, LOGIN_COMMAND, PLAIN, USER_PASS, Mechanism
from mailaccess.policy.tls import ListenerRule, TLSPolicy, Verdict

from .doubles import HereReactor, Threads, outcome

USERS = """\
amy:{PLAIN}amys::::/srv/amy
bob:{PLAIN}bobs
boss:{PLAIN}bosss
careful:{PLAIN}carefuls::::::cleartext=refuse
left:{PLAIN}lefts::::::nologin=yes
gone:{PLAIN}gones::::::expires=2001-01-01
locked:!
popper:{PLAIN}poppers::::::protocols=pop3
deputy:{PLAIN}deputys::::::may_act_as=amy,left cleartext=refuse
"""
TLS = Link("imap", Layer.TLS, bits=256, tls_version="TLSv1.3", peer="192.0.2.1")
CLEAR = Link("imap", Layer.NONE, peer="192.0.2.1")


def guard(
    tmp_path: Path,
    *,
    separator: str = "*",
    administrators: tuple[str, ...] = ("boss",),
    open_disabled: bool = False,
    throttle: Throttle | None = None,
    clock: Any = None,
    domain: str = "",
) -> GuardedChecker:
    path = tmp_path / "users"
    path.write_text(USERS)
    pool = HashPool(HereReactor(), 1, 8, Threads())
    users = PasswordFile(str(path), pool, Clock(), Limits(clear_text=True), domain)
    users.load()
    mechanisms = frozenset({*MECHANISMS, "LOGIN command", "USER", "APOP"})
    rule = ListenerRule(
        cleartext=Verdict.ALLOW, mechanisms=mechanisms, exceptions=True, source="here"
    )
    return GuardedChecker(
        TLSPolicy({"imap": rule}),
        users,
        AccountGate(lambda: 1.0e9),
        domain,
        throttle,
        clock,
        rights=Rights(administrators, open_disabled),
        masters=Masters(separator),
    )


def login(
    guarded: GuardedChecker,
    name: str,
    secret: str,
    link: Link = TLS,
    mechanism: Mechanism = PLAIN,
    authorization: str = "",
) -> Identity | type[Refused]:
    credentials = PasswordLogin(name, secret.encode(), link, mechanism, "imap", authorization)
    try:
        found: Identity = outcome(guarded.requestAvatarId(credentials))
    except Refused as refused:
        return type(refused)
    return found


@pytest.mark.parametrize(
    "mechanism", [PLAIN, LOGIN_COMMAND, USER_PASS, MECHANISMS["LOGIN"].mechanism]
)
def test_a_master_sees_anothers_mail(tmp_path: Path, mechanism: Mechanism) -> None:
    """SASL-03"""
    found = login(guard(tmp_path), "amy*boss", "bosss", mechanism=mechanism)
    assert isinstance(found, Identity)
    assert (found.name, found.actor, found.home) == ("amy", "boss", "/srv/amy")
    assert [each.name for each in found.grounds] == ["boss", "amy"]
    assert found.grounds[0].mark
    assert found.grounds[1] == Ground("amy")


def test_off_by_default(tmp_path: Path) -> None:
    """SASL-03"""
    assert Masters().parted("amy*boss") == ("amy*boss", "")
    assert login(guard(tmp_path, separator=""), "amy*boss", "bosss") is AuthenticationFailed


@pytest.mark.parametrize(
    ("name", "secret", "wanted"),
    [
        ("amy*boss", "amys", AuthenticationFailed),
        ("amy*boss", "wrong", AuthenticationFailed),
        ("amy*bob", "bobs", AuthorizationFailed),
        ("nobody*bob", "bobs", AuthorizationFailed),
        ("amy*nobody", "amys", AuthenticationFailed),
        ("nobody*boss", "bosss", AuthorizationFailed),
        ("locked*boss", "bosss", AuthorizationFailed),
        ("*boss", "bosss", AuthenticationFailed),
        ("amy*", "amys", AuthenticationFailed),
        ("amy*bob*boss", "bosss", AuthenticationFailed),
        ("boss*amy", "amys", AuthorizationFailed),
        ("bob*deputy", "deputys", AuthorizationFailed),
    ],
)
def test_it_takes_the_masters_password_and_a_right(
    tmp_path: Path, name: str, secret: str, wanted: type[Refused]
) -> None:
    """SASL-03"""
    assert login(guard(tmp_path), name, secret) is wanted


def test_a_delegate_is_a_master_of_those_in_the_record(tmp_path: Path) -> None:
    found = login(guard(tmp_path), "amy*deputy", "deputys")
    assert isinstance(found, Identity)
    assert (found.name, found.actor) == ("amy", "deputy")


@pytest.mark.parametrize("name", ["careful*boss", "amy*deputy"])
def test_the_tighter_policy_of_the_two_wins(tmp_path: Path, name: str) -> None:
    """POL-04, SASL-03: decided on the name alone, before a password is asked for."""
    guarded = guard(tmp_path)
    secret = name.partition("*")[2] + "s"
    assert login(guarded, "amy*boss", "bosss", CLEAR).__class__ is Identity
    assert login(guarded, name, secret, CLEAR) is MustEncrypt
    assert login(guarded, name, secret, TLS).__class__ is Identity
    assert not outcome(guarded.decide(CLEAR, PLAIN, name)).allowed
    assert outcome(guarded.decide(CLEAR, PLAIN, "amy*boss")).allowed


@pytest.mark.parametrize(
    ("name", "refused"),
    [("left", ContactAdmin), ("gone", Refused), ("popper", AuthorizationFailed)],
)
def test_the_gate_speaks_of_the_user(tmp_path: Path, name: str, refused: type[Refused]) -> None:
    """AUTH-11"""
    said = login(guard(tmp_path), f"{name}*boss", "bosss")
    assert isinstance(said, type)
    assert issubclass(said, refused)


def test_the_gate_speaks_of_the_master(tmp_path: Path) -> None:
    """AUTH-11"""
    assert login(guard(tmp_path, administrators=("left",)), "amy*left", "lefts") is ContactAdmin
    said = login(guard(tmp_path, administrators=("left",), open_disabled=True), "amy*left", "lefts")
    assert said is ContactAdmin


def test_disabled_mailboxes_are_opened_only_where_that_is_said(tmp_path: Path) -> None:
    """AUTH-11: and only by administrators; other words of the gate hold."""
    guarded = guard(tmp_path, open_disabled=True)
    for name in ("left", "gone"):
        assert isinstance(login(guarded, f"{name}*boss", "bosss"), Identity)
    assert login(guarded, "popper*boss", "bosss") is AuthorizationFailed
    assert login(guarded, "left*deputy", "deputys") is ContactAdmin
    assert login(guarded, "left", "lefts") is ContactAdmin


@pytest.mark.parametrize(
    ("authorization", "good"),
    [("", True), ("amy", True), ("amy*boss", True), ("bob", False), ("boss", False)],
)
def test_whom_to_act_as_may_be_said_twice_but_not_otherwise(
    tmp_path: Path, authorization: str, good: bool
) -> None:
    """SASL-03"""
    said = login(guard(tmp_path), "amy*boss", "bosss", authorization=authorization)
    assert isinstance(said, Identity) if good else said is AuthorizationFailed


def test_domains_are_added_to_both(tmp_path: Path) -> None:
    """AUTH-08"""
    guarded = guard(tmp_path, domain="example.org", administrators=("boss@example.org",))
    for name in ("amy*boss", "AMY@example.org*Boss", "amy*boss@example.org"):
        found = login(guarded, name, "bosss")
        assert isinstance(found, Identity)
        assert (found.name, found.actor) == ("amy@example.org", "boss@example.org")


def test_guesses_count_against_the_master(tmp_path: Path) -> None:
    """AUTH-07: however many names stand before it."""
    clock = Clock()
    throttle = Throttle(clock)
    guarded = guard(tmp_path, throttle=throttle, clock=clock)
    for number in range(8):
        link = Link("imap", Layer.TLS, bits=256, peer=f"198.51.100.{number}")
        credentials = PasswordLogin(f"user{number}*boss", b"guess", link, PLAIN, "imap")
        guarded.requestAvatarId(credentials).addErrback(lambda _: None)
        clock.advance(30)
    assert throttle.delay_for("203.0.113.1", "boss") > 0
    assert throttle.delay_for("203.0.113.1", "user1") == 0


def test_challenges_are_answered_with_the_masters_password(tmp_path: Path) -> None:
    """SASL-03"""

    digest = hashlib.md5(b"<1@x>bosss").hexdigest().encode()
    credentials = APOPLogin("amy*boss", b"<1@x>", digest, TLS, APOP, "pop3")
    found = outcome(guard(tmp_path).requestAvatarId(credentials))
    assert (found.name, found.actor) == ("amy", "boss")


def test_scram_gets_the_masters_keys(tmp_path: Path) -> None:
    """SASL-03, SASL-04: salts are those of whom the password is."""
    guarded = guard(tmp_path)
    exchange: Any = MECHANISMS["SCRAM-SHA-256"].start()
    step = exchange.step(b"n,,n=amy*boss,r=0123456789abcdef")
    assert step == Lookup("amy*boss", "SCRAM-SHA-256")
    alone = outcome(guarded.keys("boss", "SCRAM-SHA-256"))
    assert outcome(guarded.keys("amy*boss", "SCRAM-SHA-256")).salt == alone.salt
    assert outcome(guarded.keys("amy", "SCRAM-SHA-256")).salt != alone.salt
