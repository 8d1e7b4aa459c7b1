"""
SCRAM: the vectors of the RFCs, what has to fail, and what strangers must not learn.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Mapping
from typing import Any

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.task import Clock
from zope.interface import implementer

from mailaccess.auth.credentials import PasswordLogin
from mailaccess.auth.gate import AccountGate
from mailaccess.auth.guard import GuardedChecker
from mailaccess.auth.interfaces import IKnowsKeys
from mailaccess.auth.passwords import ScramKeys
from mailaccess.auth.passwords.scram import SCRAM
from mailaccess.auth.proofs import Inventor, Proofs
from mailaccess.auth.sasl import MECHANISMS, Challenge, Channel, Done, Failed, Lookup, Step
from mailaccess.auth.sasl.scram import ScramExchange
from mailaccess.auth.throttle import Throttle
from mailaccess.errors import AuthenticationFailed, ContactAdmin, MechanismRefused
from mailaccess.interfaces import Identity
from mailaccess.policy.link import Layer, Link
from mailaccess.policy.mechanism import PLAIN
from mailaccess.policy.tls import ListenerRule, TLSPolicy

from .doubles import People, begin, outcome

SHA256, SHA1 = SCRAM
SALT = base64.b64decode("W22ZaJ0SNY7soEsUEjb6gQ==")
KEYS = SHA256.derive(b"pencil", SALT, 4096)
LINK = Link("imap", Layer.TLS, bits=256, tls_version="TLSv1.3", peer="192.0.2.1")


class Client:
    """
    The client's half, written from RFC 5802 section 3 and not from the server.
    """

    def __init__(
        self,
        name: str = "user",
        password: bytes = b"pencil",
        digest: str = "sha256",
        header: bytes = b"n,,",
        binding: bytes = b"",
        nonce: bytes = b"rOprNGfwEbeRWgbNEkqO",
    ) -> None:
        self.password, self.digest, self.nonce = password, digest, nonce
        self.header, self.binding = header, binding
        self.bare = b"n=" + name.encode() + b",r=" + nonce

    @property
    def first(self) -> bytes:
        return self.header + self.bare

    def final(self, server_first: bytes) -> bytes:
        fields = dict(each.split(b"=", 1) for each in server_first.split(b","))
        assert fields[b"r"].startswith(self.nonce)
        assert len(fields[b"r"]) >= len(self.nonce) + 24
        salt, rounds = base64.b64decode(fields[b"s"]), int(fields[b"i"])
        salted = hashlib.pbkdf2_hmac(self.digest, self.password, salt, rounds)
        key = hmac.digest(salted, b"Client Key", self.digest)
        stored = hashlib.new(self.digest, key).digest()
        bound = base64.b64encode(self.header + self.binding)
        without = b"c=" + bound + b",r=" + fields[b"r"]
        message = self.bare + b"," + server_first + b"," + without
        signature = hmac.digest(stored, message, self.digest)
        server_key = hmac.digest(salted, b"Server Key", self.digest)
        self.expected = b"v=" + base64.b64encode(hmac.digest(server_key, message, self.digest))
        proof = bytes(a ^ b for a, b in zip(key, signature, strict=True))
        return without + b",p=" + base64.b64encode(proof)


def challenge(step: Step) -> bytes:
    assert isinstance(step, Challenge)
    return step.data


def test_the_vector_of_rfc_7677() -> None:
    """SASL-04: RFC 7677 section 3"""
    exchange = ScramExchange("SCRAM-SHA-256", fresh_nonce=b"%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0")
    assert exchange.step(b"n,,n=user,r=rOprNGfwEbeRWgbNEkqO") == Lookup("user", "SCRAM-SHA-256")
    assert exchange.known_name == "user"
    assert challenge(exchange.found(KEYS)) == (
        b"r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096"
    )
    final = (
        b"c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,"
        b"p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="
    )
    verified = challenge(exchange.step(final))
    assert verified == b"v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="
    done = exchange.step(b"")
    assert isinstance(done, Done)
    assert done.name == "user"
    assert exchange.step(b"") == Failed()


def test_the_vector_of_rfc_5802() -> None:
    """SASL-04: RFC 5802 section 5"""
    keys = SHA1.derive(b"pencil", base64.b64decode("QSXCR+Q6sek8bf92"), 4096)
    exchange = ScramExchange("SCRAM-SHA-1", fresh_nonce=b"3rfcNHYJY1ZVvWVs7j")
    assert exchange.step(None) == Challenge(b"")
    exchange.step(b"n,,n=user,r=fyko+d2lbbFgONRv9qkxdawL")
    assert challenge(exchange.found(keys)) == (
        b"r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,s=QSXCR+Q6sek8bf92,i=4096"
    )
    final = b"c=biws,r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,p=v0X8v3Bz2T0CJGbJQyF0X+HI4Ts="
    assert challenge(exchange.step(final)) == b"v=rmF9pqV8S7suAoZWja4dJRkFsKQ="


def run(exchange: ScramExchange, client: Client, keys: ScramKeys = KEYS) -> Step:
    """
    All of it; the last step.
    """
    step = exchange.step(client.first)
    if not isinstance(step, Lookup):
        return step
    step = exchange.step(client.final(challenge(exchange.found(keys))))
    if isinstance(step, Challenge):
        assert step.data == client.expected
        return exchange.step(b"")
    return step


def claim(step: Step, mechanism: str = "SCRAM-SHA-256") -> Any:
    assert isinstance(step, Done)
    return step.login(LINK, MECHANISMS[mechanism].mechanism, "imap", "1")


def test_a_wrong_password_ends_without_the_servers_proof() -> None:
    """SASL-04: it would help whoever does not know the password to try some."""
    exchange = ScramExchange("SCRAM-SHA-256")
    client = Client(password=b"pen")
    exchange.step(client.first)
    step = exchange.step(client.final(challenge(exchange.found(KEYS))))
    assert not claim(step).answers(KEYS)
    assert claim(run(ScramExchange("SCRAM-SHA-256"), Client())).answers(KEYS)


def test_nonces_are_fresh_and_long() -> None:
    """SASL-04: at least 18 random octets."""
    nonces = {ScramExchange("SCRAM-SHA-256").fresh_nonce for _ in range(50)}
    assert len(nonces) == 50
    assert all(len(base64.b64decode(each)) >= 18 for each in nonces)


@pytest.mark.parametrize(
    "first",
    [
        b"",
        b"n,,",
        b"n=user,r=abc",
        b"n,,n=user",
        b"n,,n=user,r=",
        b"n,,n=,r=abc",
        b"n,,r=abc,n=user",
        b"n,,m=x,n=user,r=abc",
        b"n,,n=user,r=abc,m=x",
        b"n,,n=user,r=abc,n=boss",
        b"n,,n=user,r=abc,r=def",
        b"n,,n=user,r=abc,x=1,x=2",
        b"n,,n=user,r=abc,x=",
        b"n,,n=user,r=abc,",
        b"n,,n=us\0er,r=abc",
        b"n,,n=us\xffer,r=abc",
        b"n,,n=us=er,r=abc",
        b"n,,n=us=2cer,r=abc",
        b"n,,n=user,r=a b",
        b"n,a=,n=user,r=abc",
        b"n,boss,n=user,r=abc",
        b"z,,n=user,r=abc",
        b"p=tls-unique,,n=user,r=abc",
        b"n,,n=" + b"u" * 256 + b",r=abc",
        b"n,,n=user,r=" + b"x" * 5000,
    ],
)
def test_a_first_message_that_is_not_one_fails(first: bytes) -> None:
    """SASL-04, SASL-05: RFC 5802 section 7"""
    exchange = ScramExchange("SCRAM-SHA-256")
    assert isinstance(exchange.step(first), Failed)
    assert exchange.step(b"n,,n=user,r=abc") == Failed()
    assert exchange.found(KEYS) == Failed()


def test_names_are_unescaped_and_the_other_name_is_kept_apart() -> None:
    """SASL-03: RFC 5802 section 5.1"""
    exchange = ScramExchange("SCRAM-SHA-256")
    step = exchange.step(b"n,a=b=2Coss,n=u=3Dser,r=abc,x=later")
    assert step == Lookup("u=ser", "SCRAM-SHA-256")
    login = claim(run(ScramExchange("SCRAM-SHA-256"), Client(header=b"n,a=boss,")))
    assert (login.name, login.authorization) == ("user", "boss")


def changed(client: Client, change: Any) -> Step:
    exchange = ScramExchange("SCRAM-SHA-256")
    exchange.step(client.first)
    return exchange.step(change(client.final(challenge(exchange.found(KEYS)))))


@pytest.mark.parametrize(
    "change",
    [
        lambda it: b"",
        lambda it: it + b",x=1",
        lambda it: it.partition(b",p=")[0],
        lambda it: it.replace(b"c=biws", b"c=eSws"),
        lambda it: it.replace(b"c=biws", b"c=biws="),
        lambda it: it.replace(b"c=biws,", b""),
        lambda it: it.replace(b",p=", b",m=x,p="),
        lambda it: it.replace(b",p=", b",x=1,x=2,p="),
        lambda it: it.replace(b",r=r", b",r=R"),
        lambda it: it.replace(b",p=", b"0,p="),
        lambda it: it.partition(b",p=")[0] + b",p=AAA",
        lambda it: it.partition(b",p=")[0] + b",p=",
    ],
)
def test_a_last_message_that_was_changed_fails(change: Any) -> None:
    """SASL-04, SASL-05"""
    assert isinstance(changed(Client(), change), Failed)


def test_a_proof_of_the_wrong_length_proves_nothing() -> None:
    """SASL-04"""
    step = changed(Client(), lambda it: it.partition(b",p=")[0] + b",p=AAAA")
    assert not claim(step).answers(KEYS)


# ---- channel binding -----------------------------------------------------------------------------

CHANNEL = Channel(
    {"tls-exporter": b"E" * 32, "tls-server-end-point": b"P" * 32}.get,
    ("SCRAM-SHA-256-PLUS", "SCRAM-SHA-256"),
)


@pytest.mark.parametrize(
    ("kind", "data"), [(b"tls-exporter", b"E" * 32), (b"tls-server-end-point", b"P" * 32)]
)
def test_plus_is_bound_to_the_channel(kind: bytes, data: bytes) -> None:
    """TLS-20: RFC 9266, RFC 5929; another channel's data fails."""
    start = MECHANISMS["SCRAM-SHA-256-PLUS"].start
    header = b"p=" + kind + b",,"
    assert isinstance(run(start(CHANNEL), Client(header=header, binding=data)), Done)
    stolen = run(start(CHANNEL), Client(header=header, binding=b"X" * 32))
    assert stolen == Failed(detail="another channel")


@pytest.mark.parametrize(
    ("mechanism", "header"),
    [
        ("SCRAM-SHA-256-PLUS", b"n,,"),
        ("SCRAM-SHA-256-PLUS", b"y,,"),
        ("SCRAM-SHA-256-PLUS", b"p=tls-unique,,"),
        ("SCRAM-SHA-256", b"p=tls-exporter,,"),
        ("SCRAM-SHA-256", b"y,,"),
    ],
)
def test_a_wrong_flag_for_the_channel_fails(mechanism: str, header: bytes) -> None:
    """TLS-20: "y" where -PLUS is offered tells that somebody took it from the list."""
    exchange = MECHANISMS[mechanism].start(CHANNEL)
    assert isinstance(exchange.step(Client(header=header).first), Failed)


def test_a_client_that_could_bind_is_welcome_where_nothing_is_offered() -> None:
    """TLS-20"""
    assert isinstance(run(ScramExchange("SCRAM-SHA-256"), Client(header=b"y,,")), Done)
    sha1 = Channel(offered=("SCRAM-SHA-1-PLUS",))
    assert isinstance(run(ScramExchange("SCRAM-SHA-256", False, sha1), Client()), Done)


# ---- whatever comes ------------------------------------------------------------------------------

pieces = st.sampled_from(
    [b"n,,", b"y,,", b"p=tls-exporter,,", b"a=x,", b"n=user", b",", b"r=abc", b"c=biws", b"m=",
     b"p=AAAA", b"=", b"\0", b"\xff", b"x=1", b"v=", b"e=other-error"]
)  # fmt: skip
messages = st.one_of(st.none(), st.binary(max_size=30), st.lists(pieces, max_size=8).map(b"".join))


@given(st.booleans(), st.lists(messages, max_size=5))
def test_whatever_comes_is_answered(plus: bool, sent: list[bytes | None]) -> None:
    """SASL-05: and nobody is let in by it."""
    exchange = ScramExchange("SCRAM-SHA-256", plus, CHANNEL)
    for each in sent:
        step = exchange.step(each)
        if isinstance(step, Lookup):
            step = exchange.found(KEYS)
        if isinstance(step, Done):
            assert not claim(step).answers(KEYS)
        assert isinstance(step, Challenge | Failed | Done)


# ---- the guard -----------------------------------------------------------------------------------


@implementer(IKnowsKeys)
class Keys(People):
    """
    People with keys.
    """

    stored: Mapping[str, ScramKeys] = {"user": KEYS, "gone": KEYS}

    async def keys(self, name: str, scheme: str) -> tuple[Identity, ScramKeys] | None:
        if name not in self.stored or scheme != "SCRAM-SHA-256":
            return None
        return Identity(name, fields=self.people[name][1]), self.stored[name]

    def usual(self, scheme: str) -> tuple[int, int] | None:
        return len(SALT), 4096


@pytest.fixture
def guard() -> GuardedChecker:
    people = Keys({"user": (b"", {}), "gone": (b"", {"disabled": "yes"}), "plain": (b"x", {})})
    proofs = Proofs(people, inventor=Inventor(b"k" * 32))
    policy = TLSPolicy({"imap": ListenerRule()})
    return GuardedChecker(policy, people, AccountGate(lambda: 1e9), proofs=proofs)


def talk(guard: GuardedChecker, client: Client, name: str, mechanism: str = "") -> Any:
    exchange: Any = MECHANISMS[mechanism or "SCRAM-SHA-256"].start(Channel())
    looked = exchange.step(client.first)
    first = challenge(exchange.found(outcome(guard.keys(looked.name, looked.scheme))))
    step = exchange.step(client.final(first))
    if isinstance(step, Challenge):
        step = exchange.step(b"")
    return first, claim(step, mechanism or "SCRAM-SHA-256")


def test_the_guard_believes_a_proof_and_nothing_else(guard: GuardedChecker) -> None:
    """SASL-04, AUTH-11: the gate is asked as for a password."""
    _, login = talk(guard, Client(), "user")
    assert outcome(guard.requestAvatarId(login)).name == "user"
    _, login = talk(guard, Client(password=b"wrong"), "user")
    with pytest.raises(AuthenticationFailed):
        outcome(guard.requestAvatarId(login))
    _, login = talk(guard, Client("gone"), "gone")
    with pytest.raises(ContactAdmin):
        outcome(guard.requestAvatarId(login))


@pytest.mark.parametrize("name", ["nobody", "plain"])
def test_whoever_has_no_keys_looks_like_whoever_has(guard: GuardedChecker, name: str) -> None:
    """SASL-04, AUTH-05: the same salt each time, of the same shape, and another for each name."""
    shapes = set()
    salts = set()
    for _ in range(2):
        first, login = talk(guard, Client(name), name)
        fields = dict(each.split(b"=", 1) for each in first.split(b","))
        salts.add(fields[b"s"])
        shapes.add((len(fields[b"r"]), len(fields[b"s"]), fields[b"i"]))
        with pytest.raises(AuthenticationFailed):
            outcome(guard.requestAvatarId(login))
    first, _ = talk(guard, Client(), "user")
    fields = dict(each.split(b"=", 1) for each in first.split(b","))
    assert shapes == {(len(fields[b"r"]), len(fields[b"s"]), fields[b"i"])}
    assert len(salts) == 1
    other, _ = talk(guard, Client("else"), "else")
    assert salts != {dict(each.split(b"=", 1) for each in other.split(b","))[b"s"]}


def test_spellings_of_a_name_have_one_salt(guard: GuardedChecker) -> None:
    """SASL-04, AUTH-08: as they would if there was such a user."""
    one = outcome(guard.keys(" NOBODY", "SCRAM-SHA-256"))
    assert one.salt == outcome(guard.keys("nobody", "SCRAM-SHA-256")).salt


def test_a_wrong_proof_waits_like_a_wrong_password(guard: GuardedChecker) -> None:
    """AUTH-07"""
    clock = Clock()
    slow = GuardedChecker(
        guard.policy, guard.checker, guard.gate, "", Throttle(clock), clock, guard.proofs
    )
    _, login = talk(slow, Client(password=b"wrong"), "user")
    answers: list[Any] = []
    begin(slow.requestAvatarId(login)).addErrback(answers.append)
    assert answers == []
    clock.advance(2)
    assert answers[0].check(AuthenticationFailed)


def test_a_password_is_not_taken_in_the_name_of_a_mechanism_that_hides_it(
    guard: GuardedChecker,
) -> None:
    """POL-03: the policy would have been asked about another mechanism than was used."""
    scram = MECHANISMS["SCRAM-SHA-256"].mechanism
    with pytest.raises(MechanismRefused):
        outcome(guard.requestAvatarId(PasswordLogin("user", b"x", LINK, scram, "imap")))
    _, login = talk(guard, Client(), "user")
    with pytest.raises(MechanismRefused):
        outcome(guard.requestAvatarId(attrs.evolve(login, mechanism=PLAIN)))


def test_nothing_secret_is_shown() -> None:
    """AUTH-10"""
    text = repr(KEYS) + repr(claim(run(ScramExchange("SCRAM-SHA-256"), Client())))
    for each in (KEYS.stored_key, KEYS.server_key):
        assert repr(each) not in text
    assert "proof" not in text
