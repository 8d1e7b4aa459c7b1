"""
One gate for everybody: whatever the mechanism, whoever checked, also where a cache answered.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from twisted.internet.task import Clock

from mailaccess.auth.cache import CachedChecker
from mailaccess.auth.chain import CheckerChain
from mailaccess.auth.credentials import APOPLogin, PasswordLogin
from mailaccess.auth.gate import AccountGate
from mailaccess.auth.guard import GuardedChecker
from mailaccess.auth.holders import Holders
from mailaccess.auth.masters import Masters
from mailaccess.auth.passwdfile import PasswordFile
from mailaccess.auth.passwords import Limits, make, scram_keys
from mailaccess.auth.pool import HashPool
from mailaccess.auth.proofs import Proofs
from mailaccess.auth.rights import Rights
from mailaccess.auth.sasl import MECHANISMS
from mailaccess.auth.sasl.anonymous import AnonymousLogin
from mailaccess.auth.sasl.bearer import TokenLogin
from mailaccess.auth.sasl.crammd5 import CramLogin
from mailaccess.auth.sasl.external import CertificateLogin
from mailaccess.auth.sasl.scram import KeysLogin
from mailaccess.errors import AuthorizationFailed, ContactAdmin, PasswordExpired, Refused
from mailaccess.policy.link import Layer, Link
from mailaccess.policy.mechanism import APOP, LOGIN_COMMAND, USER_PASS, Mechanism
from mailaccess.policy.tls import ListenerRule, TLSPolicy

from .doubles import HereReactor, People, Threads, outcome

SECRET = b"pass"
LINK = Link(
    "all",
    Layer.TLS,
    bits=256,
    tls_version="TLSv1.3",
    peer="192.0.2.1",
    certificate="CN=amy",
    certificate_names=(("cn", "amy"),),
    bindings=("tls-exporter",),
)

STATES: Mapping[str, tuple[str, type[Refused] | None]] = {
    "enabled": ("", None),
    "disabled": ("disabled=yes", ContactAdmin),
    "no login": ("nologin", ContactAdmin),
    "expired": ("expires=2001-01-01", PasswordExpired),
    "not this protocol": ("protocols=pop3", AuthorizationFailed),
    "not from there": ("allow_nets=10.0.0.0/8", AuthorizationFailed),
    "all permitted": ("protocols=imap,pop3 allow_nets=192.0.2.0/24 expires=9999-12-31", None),
}


class Issuer:
    """
    Its tokens are the names of their holders.
    """

    async def holder(self, token: str) -> str:
        return token


def _keys(stored: str) -> Callable[[str], Any]:
    """
    A right proof for the keys of an entry.
    """

    def make_login(name: str) -> Any:
        scheme = "SCRAM-SHA-256"
        keys = scram_keys(stored, scheme)
        assert keys is not None
        salted = hashlib.pbkdf2_hmac("sha256", SECRET, keys.salt, keys.iterations)
        key = hmac.digest(salted, b"Client Key", "sha256")
        signature = hmac.digest(hashlib.sha256(key).digest(), b"both said", "sha256")
        proof = bytes(a ^ b for a, b in zip(key, signature, strict=True))
        return KeysLogin(
            name, scheme, b"both said", proof, LINK, MECHANISMS[scheme].mechanism, "imap"
        )

    return make_login


def _password(mechanism: Mechanism, name: str = "") -> Callable[[str], Any]:
    return lambda user: PasswordLogin(name or user, SECRET, LINK, mechanism, "imap")


def _cram(name: str) -> Any:
    digest = hmac.new(SECRET, b"<1@x>", "md5").hexdigest().encode("ascii")
    return CramLogin(name, b"<1@x>", digest, LINK, MECHANISMS["CRAM-MD5"].mechanism, "imap")


def _apop(name: str) -> Any:
    digest = hashlib.md5(b"<1@x>" + SECRET, usedforsecurity=False).hexdigest().encode("ascii")
    return APOPLogin(name, b"<1@x>", digest, LINK, APOP, "imap")


READABLE = "{PLAIN}pass"
HASHED = make("SSHA512", SECRET)
KEYS = make("SCRAM-SHA-256", SECRET)

WAYS: Mapping[str, tuple[str, Callable[[str], Any]]] = {
    "PLAIN": (HASHED, _password(MECHANISMS["PLAIN"].mechanism)),
    "PLAIN against keys": (KEYS, _password(MECHANISMS["PLAIN"].mechanism)),
    "LOGIN": (HASHED, _password(MECHANISMS["LOGIN"].mechanism)),
    "LOGIN command": (HASHED, _password(LOGIN_COMMAND)),
    "USER": (HASHED, _password(USER_PASS)),
    "a master": (HASHED, _password(USER_PASS, "amy*boss")),
    "SCRAM-SHA-256": (KEYS, _keys(KEYS)),
    "CRAM-MD5": (READABLE, _cram),
    "APOP": (READABLE, _apop),
    "EXTERNAL": (
        "{NONE}",
        lambda name: CertificateLogin(name, LINK, MECHANISMS["EXTERNAL"].mechanism, "imap"),
    ),
    "OAUTHBEARER": (
        "{NONE}",
        lambda name: TokenLogin("", name, LINK, MECHANISMS["OAUTHBEARER"].mechanism, "imap"),
    ),
    "ANONYMOUS": (
        "{NONE}",
        lambda name: AnonymousLogin("", LINK, MECHANISMS["ANONYMOUS"].mechanism, "imap"),
    ),
}


def guard(path: Path, stored: str, fields: str) -> GuardedChecker:
    path.write_text(f"amy:{stored}::::::{fields}\nboss:{HASHED}\n")
    pool = HashPool(HereReactor(), 1, 8, Threads())
    pool.start()
    users = PasswordFile(str(path), pool, Clock(), Limits(clear_text=True))
    assert users.load() == ()
    chain = CheckerChain([users])
    rule = ListenerRule(mechanisms=frozenset({*MECHANISMS, "LOGIN command", "USER", "APOP"}))
    issuer: Any = Issuer()
    return GuardedChecker(
        TLSPolicy({"all": rule}),
        chain,
        AccountGate(lambda: 1.7e9),
        proofs=Proofs(chain, "", Holders("cn"), "amy", issuer),
        rights=Rights(("boss",)),
        masters=Masters("*"),
    )


@pytest.mark.parametrize("state", STATES)
@pytest.mark.parametrize("way", WAYS)
def test_the_gate_is_one_for_all_mechanisms(tmp_path: Path, way: str, state: str) -> None:
    """AUTH-11"""
    (stored, credentials), (fields, refused) = WAYS[way], STATES[state]
    guarded = guard(tmp_path / "users", stored, fields)
    if refused is None:
        assert outcome(guarded.requestAvatarId(credentials("amy"))).name == "amy"
        return
    with pytest.raises(refused) as caught:
        outcome(guarded.requestAvatarId(credentials("amy")))
    assert type(caught.value) is refused


@pytest.mark.parametrize("state", STATES)
def test_the_gate_is_asked_where_a_cache_answers(state: str) -> None:
    """AUTH-11, AUTH-20: the source is asked once, the gate each time."""
    fields, refused = STATES[state]
    words = dict(each.partition("=")[::2] for each in fields.split())
    people = People({"amy": (SECRET, words)})
    guarded = GuardedChecker(
        TLSPolicy({"all": ListenerRule()}),
        CheckerChain([CachedChecker(people, Clock(), right=60)]),
        AccountGate(lambda: 1.7e9),
    )
    for _ in range(3):
        login = _password(MECHANISMS["PLAIN"].mechanism)("amy")
        if refused is None:
            assert outcome(guarded.requestAvatarId(login)).name == "amy"
        else:
            with pytest.raises(refused):
                outcome(guarded.requestAvatarId(login))
    assert len(people.checked) == 1


def test_an_account_that_expires_while_a_cache_answers_is_refused() -> None:
    """AUTH-11, AUTH-20"""
    now = [1.0e9]
    people = People({"amy": (SECRET, {"expires": "1000000001"})})
    guarded = GuardedChecker(
        TLSPolicy({"all": ListenerRule()}),
        CachedChecker(people, Clock(), right=60),
        AccountGate(lambda: now[0]),
    )
    login = _password(MECHANISMS["PLAIN"].mechanism)("amy")
    assert outcome(guarded.requestAvatarId(login)).name == "amy"
    now[0] += 1
    with pytest.raises(PasswordExpired):
        outcome(guarded.requestAvatarId(login))
    assert len(people.checked) == 1
