"""
What mechanisms need, who has it, and the smaller ones of them.
"""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import attrs
import pytest
from twisted.internet.task import Clock
from zope.interface import implementer

from mailaccess.auth.chain import CheckerChain
from mailaccess.auth.gate import AccountGate
from mailaccess.auth.guard import GuardedChecker
from mailaccess.auth.holders import Holders, Host
from mailaccess.auth.interfaces import IFindsUsers, IKnowsSecrets
from mailaccess.auth.passwdfile import PasswordFile
from mailaccess.auth.passwords import Limits, make, scram_keys, verify
from mailaccess.auth.passwords.scram import SCRAM
from mailaccess.auth.pool import HashPool
from mailaccess.auth.proofs import Proofs
from mailaccess.auth.rights import Rights
from mailaccess.auth.sasl import MECHANISMS, Challenge, Channel, Done, Failed
from mailaccess.auth.sasl.crammd5 import CramExchange
from mailaccess.errors import (
    AuthenticationFailed,
    AuthorizationFailed,
    ContactAdmin,
    DirectoryUnavailable,
    MechanismRefused,
    MustEncrypt,
)
from mailaccess.interfaces import Identity
from mailaccess.policy.link import Layer, Link
from mailaccess.policy.mechanism import PLAIN, Coverage, Needs
from mailaccess.policy.tls import ListenerRule, TLSPolicy, Verdict

from .doubles import HereReactor, People, Threads, outcome

TLS = Link("imap", Layer.TLS, bits=256, tls_version="TLSv1.3", peer="192.0.2.1")
CLEAR = Link("imap", peer="192.0.2.1")
HOLDER = attrs.evolve(TLS, certificate="CN=amy", certificate_names=(("cn", "amy"),))
CRAM = frozenset({"CRAM-MD5", "ANONYMOUS", "EXTERNAL", "PLAIN"})


@implementer(IFindsUsers, IKnowsSecrets)
class Known(People):
    """
    People who can be found, and whose passwords can be read.
    """

    async def person(self, name: str) -> Identity | None:
        if self.unknowable is not None:
            raise self.unknowable
        return Identity(name, fields=self.people[name][1]) if name in self.people else None

    async def recoverable(self, name: str) -> tuple[Identity, bytes] | None:
        if name not in self.people:
            return None
        return Identity(name, fields=self.people[name][1]), self.people[name][0]


PEOPLE: Mapping[str, tuple[bytes, Mapping[str, str]]] = {
    "amy": (b"tanstaaftanstaaf", {}),
    "bob": (b"bob's", {}),
    "gone": (b"gone's", {"disabled": "yes"}),
    "tls": (b"tls's", {"cleartext": "refuse"}),
    "boss": (b"boss's", {}),
    "deputy": (b"deputy's", {"may_act_as": "amy, b*"}),
}


def guarded(**proofs: Any) -> GuardedChecker:
    people = Known(PEOPLE)
    policy = TLSPolicy({"imap": ListenerRule(cleartext=Verdict.ALLOW, mechanisms=CRAM)})
    return GuardedChecker(
        policy,
        people,
        AccountGate(lambda: 1e9),
        proofs=Proofs(people, **proofs),
        rights=Rights(("boss", "root-*")),
    )


def admitted(guard: GuardedChecker, step: Any, mechanism: str, link: Link = TLS) -> Identity:
    assert isinstance(step, Done)
    login = step.login(link, MECHANISMS[mechanism].mechanism, "imap", "1")
    identity: Identity = outcome(guard.requestAvatarId(login))
    return identity


# ---- CRAM-MD5 ------------------------------------------------------------------------------------


def test_the_vector_of_rfc_2195() -> None:
    """RFC 2195 section 2"""
    exchange = CramExchange(b"<1896.697170952@postoffice.reston.mci.net>")
    assert exchange.step(None) == Challenge(b"<1896.697170952@postoffice.reston.mci.net>")
    step = exchange.step(b"tim b913a602c7eda7a495b4e6e7334d3890")
    assert isinstance(step, Done)
    login: Any = step.login(TLS, MECHANISMS["CRAM-MD5"].mechanism, "imap", "")
    assert login.answers(b"tanstaaftanstaaf")
    assert not login.answers(b"tanstaaftanstaa")


def test_cram_md5_goes_through_the_guard() -> None:
    """SASL-06, AUTH-11"""
    guard = guarded()
    for name, secret, error in (
        ("amy", b"tanstaaftanstaaf", None),
        ("amy", b"wrong", AuthenticationFailed),
        ("nobody", b"wrong", AuthenticationFailed),
        ("gone", b"gone's", ContactAdmin),
    ):
        exchange = CramExchange()
        asked = exchange.step(None)
        assert isinstance(asked, Challenge)
        digest = hmac.new(secret, asked.data, "md5").hexdigest()
        step = exchange.step(f"{name} {digest}".encode())
        if error is None:
            assert admitted(guard, step, "CRAM-MD5").name == name
        else:
            with pytest.raises(error):
                admitted(guard, step, "CRAM-MD5")


def test_challenges_never_come_again() -> None:
    """SASL-06"""
    assert len({CramExchange().challenge for _ in range(50)}) == 50


@pytest.mark.parametrize(
    "response", [b"", b"amy", b"amy ", b" " + b"0" * 32, b"amy " + b"g" * 32, b"a" * 400]
)
def test_what_is_no_answer_fails(response: bytes) -> None:
    """SASL-05"""
    exchange = CramExchange()
    exchange.step(None)
    assert isinstance(exchange.step(response), Failed)


def test_weak_mechanisms_are_off_unless_named() -> None:
    """SASL-06: and DIGEST-MD5 is not there at all (RFC 6331)."""
    rule = ListenerRule()
    off = {name for name, each in MECHANISMS.items() if not rule.offers(each.mechanism)}
    assert off == {"CRAM-MD5", "ANONYMOUS"}
    assert all(MECHANISMS[name].mechanism.weak for name in off)
    assert "DIGEST-MD5" not in MECHANISMS


# ---- EXTERNAL ------------------------------------------------------------------------------------


def external(link: Link, holders: Holders, said: bytes = b"") -> Any:
    channel = Channel(holder=holders.user_of(link))
    return MECHANISMS["EXTERNAL"].start(channel).step(said)


def test_a_certificate_is_its_users() -> None:
    """TLS-19"""
    guard = guarded(holders=Holders("cn"))
    assert admitted(guard, external(HOLDER, Holders("cn")), "EXTERNAL", HOLDER).name == "amy"
    same = external(HOLDER, Holders("cn"), b"AMY")
    assert admitted(guard, same, "EXTERNAL", HOLDER).name == "amy"


def test_a_certificate_is_nobody_elses() -> None:
    """TLS-19: CN=amy and AUTHENTICATE EXTERNAL as bob."""
    guard = guarded(holders=Holders("cn"))
    with pytest.raises(AuthorizationFailed):
        admitted(guard, external(HOLDER, Holders("cn"), b"bob"), "EXTERNAL", HOLDER)


@pytest.mark.parametrize(
    "names",
    [(), (("cn", "amy"), ("cn", "bob")), (("email", "amy"),), (("uid", "amy"), ("dns", "amy"))],
)
def test_a_certificate_without_one_name_is_nobodys(names: Any) -> None:
    """TLS-19: whatever the client sends."""
    link = attrs.evolve(HOLDER, certificate_names=names)
    assert isinstance(external(link, Holders("cn"), b"amy"), Failed)


def test_the_guard_reads_the_certificate_itself() -> None:
    """TLS-19: credentials that say another name than the certificate fail, and without one the
    policy refuses."""
    guard = guarded(holders=Holders("cn"))
    claimed = MECHANISMS["EXTERNAL"].start(Channel(holder="boss")).step(b"")
    with pytest.raises(AuthenticationFailed):
        admitted(guard, claimed, "EXTERNAL", HOLDER)
    unverified = attrs.evolve(HOLDER, certificate="")
    assert Holders("cn").user_of(unverified) == ""
    with pytest.raises(MechanismRefused):
        admitted(guard, claimed, "EXTERNAL", unverified)


def test_a_certificate_of_nobody_known_fails() -> None:
    """TLS-19, AUTH-11"""
    guard = guarded(holders=Holders("cn"))
    for name, error in (("nobody", AuthenticationFailed), ("gone", ContactAdmin)):
        link = attrs.evolve(HOLDER, certificate_names=(("cn", name),))
        with pytest.raises(error):
            admitted(guard, external(link, Holders("cn")), "EXTERNAL", link)


@pytest.mark.parametrize(
    ("dns", "user"),
    [
        ("backup.example.org", "backup"),
        ("BACKUP.example.org", "backup"),
        ("*.example.org", "backup"),
        ("other.example.org", ""),
        ("example.org", ""),
        ("*.org", ""),
        ("not a name", ""),
    ],
)
def test_hosts_are_compared_as_names_of_services(dns: str, user: str) -> None:
    """TLS-19: RFC 6125"""
    holders = Holders("", (Host("backup.example.org", "backup"),))
    link = attrs.evolve(HOLDER, certificate_names=(("cn", "amy"), ("dns", dns)))
    assert holders.user_of(link) == user


# ---- ANONYMOUS -----------------------------------------------------------------------------------


def test_anonymous_sees_the_mail_that_the_site_names() -> None:
    """AUTH-11"""
    step = MECHANISMS["ANONYMOUS"].start().step(b"sirhc")
    assert admitted(guarded(anonymous="bob"), step, "ANONYMOUS").name == "bob"
    with pytest.raises(MechanismRefused):
        admitted(guarded(), step, "ANONYMOUS")
    with pytest.raises(ContactAdmin):
        admitted(guarded(anonymous="gone"), step, "ANONYMOUS")


# ---- acting as somebody else ---------------------------------------------------------------------


def plain(guard: GuardedChecker, name: str, other: str, link: Link = TLS) -> Identity:
    step: Any = MECHANISMS["PLAIN"].start().step(f"{other}\0{name}\0{name}'s".encode())
    login = step.login(link, PLAIN, "imap", "1")
    identity: Identity = outcome(guard.requestAvatarId(login))
    return identity


@pytest.mark.parametrize(
    ("name", "other"), [("boss", "amy"), ("boss", "BOB"), ("deputy", "amy"), ("deputy", "bob")]
)
def test_a_right_lets_somebody_act_as_another(name: str, other: str) -> None:
    """SASL-03: and the identity says who it was."""
    identity = plain(guarded(), name, other)
    assert (identity.name, identity.actor) == (other.lower(), name)


@pytest.mark.parametrize(
    ("name", "other", "error"),
    [
        ("bob", "amy", AuthorizationFailed),
        ("deputy", "gone", AuthorizationFailed),
        ("deputy", "deputy2", AuthorizationFailed),
        ("boss", "nobody", AuthorizationFailed),
        ("boss", "gone", ContactAdmin),
        ("gone", "amy", ContactAdmin),
    ],
)
def test_no_right_reaches_further_than_it_says(
    name: str, other: str, error: type[Exception]
) -> None:
    """SASL-03, AUTH-11: the gate stands before both."""
    with pytest.raises(error):
        plain(guarded(), name, other)


def test_what_holds_for_a_person_holds_for_whoever_acts_as_them() -> None:
    """POL-04"""
    assert plain(guarded(), "boss", "bob", CLEAR).name == "bob"
    with pytest.raises(MustEncrypt):
        plain(guarded(), "boss", "tls", CLEAR)


def test_a_directory_that_is_away_is_no_missing_right() -> None:
    """AUTH-04"""
    guard = guarded()
    guard.checker.unknowable = RuntimeError("boom")
    with pytest.raises(DirectoryUnavailable):
        plain(guard, "boss", "amy")


# ---- password files ------------------------------------------------------------------------------


def postgresql(password: bytes) -> str:
    dovecot = SCRAM[0].make(password).decode().split(",")
    return f"SCRAM-SHA-256${dovecot[0]}:{dovecot[1]}${dovecot[2]}:{dovecot[3]}"


@pytest.fixture
def file(tmp_path: Path) -> Any:
    pool = HashPool(HereReactor(), 1, 5, Threads())
    pool.start()

    def read(*lines: str, clear_text: bool = False) -> PasswordFile:
        path = tmp_path / "users"
        path.write_text("".join(f"{each}\n" for each in lines))
        found = PasswordFile(str(path), pool, Clock(), Limits(clear_text=clear_text))
        assert found.load() == ()
        return found

    return read


@pytest.mark.parametrize(
    "stored",
    [make("SCRAM-SHA-256", b"pw"), postgresql(b"pw"), "{SCRAM-SHA-256}" + postgresql(b"pw")],
)
def test_keys_are_read_in_both_forms(file: Any, stored: str) -> None:
    """SASL-04: Dovecot's and PostgreSQL's, whose colons are no separators; a password goes, too."""
    users = file(f"amy:{stored}::::/srv/amy::protocols=imap")
    identity, keys = outcome(users.keys("amy", "SCRAM-SHA-256"))
    assert identity == Identity("amy", "/srv/amy", {"protocols": "imap"}, users.label)
    assert keys == scram_keys(stored, "SCRAM-SHA-256")
    assert outcome(users.keys("amy", "SCRAM-SHA-1")) is None
    assert outcome(users.keys("bob", "SCRAM-SHA-256")) is None
    assert outcome(users.check("amy", b"pw", "imap")).home == "/srv/amy"
    with pytest.raises(AuthenticationFailed):
        outcome(users.check("amy", b"wrong", "imap"))
    assert users.usual("SCRAM-SHA-256") == (16, keys.iterations)


def test_passwords_are_prepared_before_keys_are_made() -> None:
    """SASL-04: RFC 5802 section 2.2: as clients do it."""
    stored = make("SCRAM-SHA-1", "I\u00adX \u2168".encode())
    assert verify(stored, b"IX IX")
    assert not verify(stored, b"IX  IX")


def test_a_file_says_for_whom_it_has_what(file: Any) -> None:
    """SASL-06"""
    keys, hashed = make("SCRAM-SHA-256", b"pw"), make("SSHA256", b"pw")
    all_ = file(f"amy:{keys}", f"bob:{keys}", "rule:!:::::: cleartext=refuse")
    assert all_.coverage(Needs.KEYS_SHA256) is Coverage.ALL
    assert all_.coverage(Needs.KEYS_SHA1) is Coverage.NONE
    assert all_.coverage(Needs.SECRET) is Coverage.NONE
    some = file(f"amy:{keys}", f"bob:{hashed}")
    assert some.coverage(Needs.KEYS_SHA256) is Coverage.SOME
    assert some.coverage(Needs.PASSWORD) is Coverage.ALL
    none = file(f"amy:{hashed}")
    assert none.coverage(Needs.KEYS_SHA256) is Coverage.NONE
    chain = CheckerChain([all_, none])
    assert chain.coverage(Needs.KEYS_SHA256) is Coverage.SOME
    assert CheckerChain([all_]).coverage(Needs.KEYS_SHA256) is Coverage.ALL
    assert CheckerChain([People({})]).coverage(Needs.KEYS_SHA256) is Coverage.NONE


def test_only_whoever_may_log_in_is_found_without_a_password(file: Any) -> None:
    """AUTH-11: an exclamation mark locks an account for certificates, too."""
    users = file(
        f"amy:{make('SSHA256', b'pw')}", "card:{NONE}::::/srv/card", "locked:!", "empty:", "x:*"
    )
    assert outcome(users.person("amy")).name == "amy"
    assert outcome(users.person("card")).home == "/srv/card"
    for name in ("locked", "empty", "x", "nobody"):
        assert outcome(users.person(name)) is None
    with pytest.raises(AuthenticationFailed):
        outcome(users.check("card", b"pw", "imap"))
    assert outcome(CheckerChain([users]).person("card")).name == "card"


def test_few_iterations_are_refused() -> None:
    """SASL-04: RFC 7677 section 4"""
    weak = "{SCRAM-SHA-256}" + make("SCRAM-SHA-256", b"pw").partition("}")[2].replace(
        "50000,", "4095,", 1
    )
    assert scram_keys(weak, "SCRAM-SHA-256") is None
