"""
OAUTHBEARER and XOAUTH2: messages, and tokens that must not be good.
"""

from __future__ import annotations

import base64
import json
import os
import time
from pathlib import Path
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given
from hypothesis import strategies as st

from mailaccess.auth.gate import AccountGate
from mailaccess.auth.guard import GuardedChecker
from mailaccess.auth.keysets import KeyFile
from mailaccess.auth.pool import HashPool
from mailaccess.auth.proofs import Proofs
from mailaccess.auth.sasl import MECHANISMS, Challenge, Done, Failed, Inspect
from mailaccess.auth.tokens import Tokens, Trust
from mailaccess.errors import (
    AuthenticationFailed,
    AuthorizationFailed,
    ContactAdmin,
    DirectoryUnavailable,
    MechanismRefused,
    MustEncrypt,
)
from mailaccess.policy.link import Layer, Link
from mailaccess.policy.mechanism import Coverage
from mailaccess.policy.tls import ListenerRule, PersonRule, TLSPolicy, Verdict

from .doubles import HereReactor, Threads, outcome
from .test_mechanisms import Known

RSA = rsa.generate_private_key(65537, 2048)
OTHER = rsa.generate_private_key(65537, 2048)
EC = ec.generate_private_key(ec.SECP256R1())
TLS = Link("imap", Layer.TLS, bits=256, tls_version="TLSv1.3", peer="192.0.2.1")
CLAIMS = {"iss": "https://id.example.org", "aud": "mail", "email": "amy"}


def jwk(key: Any, kid: str, kind: str = "RSA") -> dict[str, Any]:
    algorithm = jwt.algorithms.RSAAlgorithm if kind == "RSA" else jwt.algorithms.ECAlgorithm
    made: dict[str, Any] = json.loads(algorithm.to_jwk(key.public_key()))
    return made | {"kid": kid, "alg": "RS256" if kind == "RSA" else "ES256"}


def token(key: Any = RSA, kid: str | None = "one", algorithm: str = "RS256", **more: Any) -> str:
    claims = CLAIMS | {"exp": time.time() + 600} | more
    claims = {name: value for name, value in claims.items() if value is not None}
    return jwt.encode(claims, key, algorithm, headers={"kid": kid} if kid else None)


@pytest.fixture
def keys(tmp_path: Path) -> Path:
    path = tmp_path / "keys.json"
    secret = {
        "kty": "oct",
        "kid": "shared",
        "alg": "HS256",
        "k": "c2VjcmV0LXNlY3JldHNlY3JldC1zZWNyZXRzZWNyZXQtc2VjcmV0",
    }
    path.write_text(json.dumps({"keys": [jwk(RSA, "one"), jwk(EC, "two", "EC"), secret]}))
    return path


@pytest.fixture
def tokens(keys: Path) -> Tokens:
    pool = HashPool(HereReactor(), 1, 5, Threads())
    pool.start()
    return Tokens(Trust("https://id.example.org", "mail"), KeyFile(str(keys)), pool)


def test_good_tokens_name_their_holder(tokens: Tokens) -> None:
    """SASL-07"""
    assert outcome(tokens.holder(token())) == "amy"
    assert outcome(tokens.holder(token(EC, "two", "ES256"))) == "amy"
    assert outcome(tokens.holder(token(aud=["other", "mail"]))) == "amy"


PUBLIC = RSA.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


def unsigned(claims: dict[str, Any], header: dict[str, Any], signature: bytes = b"") -> str:
    parts = (json.dumps(header).encode(), json.dumps(claims).encode(), signature)
    return b".".join(base64.urlsafe_b64encode(each).rstrip(b"=") for each in parts).decode()


LATER = {"exp": 4_000_000_000}


@pytest.mark.parametrize(
    "bad",
    [
        token(iss="https://id.example.org/"),
        token(iss=None),
        token(aud="calendar"),
        token(aud=None),
        token(exp=time.time() - 60),
        token(exp=None),
        token(nbf=time.time() + 600),
        token(email=None),
        token(email=""),
        token(email=["amy"]),
        token(email_verified=False),
        token(OTHER),
        token(OTHER, None),
        token(EC, "one", "ES256"),
        token(kid="three"),
        token(kid="../../../../etc/passwd"),
        token(kid="file:///dev/zero"),
        token(b"secret-secret" * 3, "shared", "HS256"),
        unsigned(CLAIMS | LATER, {"alg": "none", "kid": "one"}),
        unsigned(CLAIMS | LATER, {"alg": "HS256", "kid": "one"}, b"x" * 32),
        unsigned(CLAIMS | LATER, {"alg": "RS256", "kid": ["one"]}, b"x" * 256),
        token()[:-4] + "AAAA",
        "",
        "a.b.c",
        "\xe9",
        "x" * 9000,
    ],
)
def test_bad_tokens_are_refused(tokens: Tokens, bad: str) -> None:
    """SASL-07: CVE-2021-29157: the name of a key is looked for in the set only."""
    with pytest.raises(AuthenticationFailed):
        outcome(tokens.holder(bad))


def test_keys_that_cannot_be_read_are_no_wrong_token(tokens: Tokens, keys: Path) -> None:
    """AUTH-04"""
    text = keys.read_text()
    for broken in ("{", '{"keys": []}'):
        keys.write_text(broken)
        with pytest.raises(DirectoryUnavailable):
            outcome(tokens.holder(token()))
    keys.unlink()
    with pytest.raises(DirectoryUnavailable):
        outcome(tokens.holder(token()))
    keys.write_text(text)
    assert outcome(tokens.holder(token())) == "amy"


def test_a_key_that_was_taken_away_is_good_for_nothing(tokens: Tokens, keys: Path) -> None:
    """SASL-07"""
    assert outcome(tokens.holder(token())) == "amy"
    keys.write_text(json.dumps({"keys": [jwk(OTHER, "other")]}))
    os.utime(keys, ns=(1, 1))
    with pytest.raises(AuthenticationFailed):
        outcome(tokens.holder(token()))
    assert outcome(tokens.holder(token(OTHER, None))) == "amy"


# ---- messages ------------------------------------------------------------------------------------

GOOD = {
    "OAUTHBEARER": b"n,a=amy@example.org,\x01host=mail\x01port=143\x01auth=Bearer abc.d_-\x01\x01",
    "XOAUTH2": b"user=amy@example.org\x01auth=Bearer abc.d_-\x01\x01",
}
BOTH = pytest.mark.parametrize("dialect", sorted(GOOD))


@BOTH
def test_a_message_gives_the_token_and_whom_to_act_as(dialect: str) -> None:
    """SASL-07: RFC 7628 section 3.1"""
    exchange: Any = MECHANISMS[dialect].start()
    assert exchange.step(None) == Challenge(b"")
    assert exchange.step(GOOD[dialect]) == Inspect("abc.d_-")
    done = exchange.inspected(True)
    assert isinstance(done, Done)
    assert (done.name, done.authorization) == ("", "amy@example.org")
    assert "abc" not in repr(done) + repr(Inspect("abc"))


@BOTH
def test_a_bad_token_is_told_once_and_ends_after_the_next_message(dialect: str) -> None:
    """SASL-07: RFC 7628 section 3.2.3"""
    exchange: Any = MECHANISMS[dialect].start()
    exchange.step(GOOD[dialect])
    told = exchange.inspected(False)
    assert isinstance(told, Challenge)
    assert json.loads(told.data)["status"] in ("invalid_token", "401")
    assert isinstance(exchange.step(b"\x01"), Done)
    assert exchange.step(b"\x01") == Failed()
    assert exchange.inspected(True) == Failed()


@BOTH
@given(
    st.lists(
        st.sampled_from(
            [
                b"n,",
                b"a=x",
                b",",
                b"\x01",
                b"user=",
                b"auth=Bearer ",
                b"t",
                b"auth=Basic x",
                b"\0",
                b"\xff",
                b"host=",
                b"p=x,",
            ]
        ),
        max_size=9,
    )
)
def test_whatever_else_comes_is_no_message(dialect: str, pieces: list[bytes]) -> None:
    """SASL-05"""
    message = b"".join(pieces)
    step = MECHANISMS[dialect].start().step(message)
    assert isinstance(step, Inspect | Failed)
    if isinstance(step, Inspect):
        assert message.count(b"auth=Bearer t") == 1
        assert message.endswith(b"\x01\x01")


# ---- the guard -----------------------------------------------------------------------------------


def admitted(tokens: Tokens | None, link: Link = TLS, said: bytes = b"n,,", **claims: Any) -> Any:
    people = Known({"amy": (b"", {}), "bob": (b"", {}), "gone": (b"", {"disabled": "yes"})})
    policy = TLSPolicy(
        {"imap": ListenerRule(cleartext=Verdict.ALLOW)},
        [PersonRule("bob", mechanisms=frozenset({"PLAIN"}))],
    )
    proofs = Proofs(people, tokens=tokens)
    guard = GuardedChecker(policy, people, AccountGate(lambda: 1e9), proofs=proofs)
    wanted = Coverage.ALL if tokens else Coverage.NONE
    assert proofs.coverage(MECHANISMS["OAUTHBEARER"].mechanism) is wanted
    exchange: Any = MECHANISMS["OAUTHBEARER"].start()
    message = said + b"\x01auth=Bearer " + token(**claims).encode() + b"\x01\x01"
    step = exchange.inspected(outcome(guard.accepts(exchange.step(message).token)))
    if isinstance(step, Challenge):
        step = exchange.step(b"\x01")
    login = step.login(link, MECHANISMS["OAUTHBEARER"].mechanism, "imap", "1")
    return outcome(guard.requestAvatarId(login))


def test_a_token_lets_in_its_holder_through_the_gate(tokens: Tokens) -> None:
    """SASL-07, AUTH-11"""
    assert admitted(tokens).name == "amy"
    assert admitted(tokens, said=b"n,a=AMY,").name == "amy"
    for claims, error in (
        ({"email": "gone"}, ContactAdmin),
        ({"email": "nobody"}, AuthenticationFailed),
        ({"email": "a\0b"}, AuthenticationFailed),
        ({"aud": "calendar"}, AuthenticationFailed),
        ({"email": "bob"}, MechanismRefused),
    ):
        with pytest.raises(error):
            admitted(tokens, **claims)
    with pytest.raises(MechanismRefused):
        admitted(None)


def test_the_name_beside_a_token_is_no_proof(tokens: Tokens) -> None:
    """SASL-07, SASL-03"""
    with pytest.raises(AuthorizationFailed):
        admitted(tokens, said=b"n,a=bob,")


def test_tokens_are_for_private_connections_only(tokens: Tokens) -> None:
    """SASL-07: also where the listener lets passwords cross in the clear."""
    with pytest.raises(MustEncrypt):
        admitted(tokens, Link("imap", peer="192.0.2.1"))
