"""
Key sets fetched from an address, and issuers that are asked about tokens.
"""

from __future__ import annotations

import json
import time
from typing import Any
from urllib.parse import parse_qs

import pytest
from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.task import Clock

from mailaccess.auth.introspection import SECONDS, Asked, Introspection
from mailaccess.auth.issuer import address_fault
from mailaccess.auth.keysets import AGAIN, KEEP, REFRESH, KeyAddress
from mailaccess.auth.pool import HashPool
from mailaccess.auth.tokens import Tokens, Trust
from mailaccess.errors import AuthenticationFailed, DirectoryUnavailable

from .doubles import HereReactor, Threads, begin, outcome
from .test_tokens import EC, OTHER, RSA, jwk, token

ADDRESS = "https://id.example.org/keys"


@pytest.mark.parametrize(
    ("address", "good"),
    [
        ("https://id.example.org/keys", True),
        ("https://id.example.org:8443/a?b=c", True),
        ("http://127.0.0.1:8080/introspect", True),
        ("http://[::1]/introspect", True),
        ("http://id.example.org/keys", False),
        ("http://127.0.0.1.example.org/", False),
        ("ftp://id.example.org/", False),
        ("https://amy:secret@id.example.org/", False),
        ("https:///keys", False),
        ("https://id.example.org:port/", False),
        ("https://id.example.org/a b", False),
        ("https://id.example.org/#keys", False),
        ("https://[::1/", False),
    ],
)
def test_addresses_of_issuers_are_private(address: str, good: bool) -> None:
    """SASL-07: what comes without TLS from elsewhere is believed by nobody."""
    assert (address_fault(address) == "") is good


class Publisher:
    """
    Gives out a key set when told; counts how often it was asked.
    """

    def __init__(self) -> None:
        self.asked = 0
        self.keys: list[Any] = [jwk(RSA, "one")]
        self.down = False
        self.slow: list[Deferred[bytes]] | None = None

    def get(self, address: str) -> Deferred[bytes]:
        assert address == ADDRESS
        self.asked += 1
        if self.slow is not None:
            self.slow.append(Deferred())
            return self.slow[-1]
        if self.down:
            return fail(DirectoryUnavailable(detail="issuer id.example.org: TimeoutError"))
        return succeed(self.text())

    def text(self) -> bytes:
        return json.dumps({"keys": self.keys}).encode()


@pytest.fixture
def publisher() -> Publisher:
    return Publisher()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def tokens(publisher: Publisher, clock: Clock) -> Tokens:
    pool = HashPool(HereReactor(), 1, 5, Threads())
    pool.start()
    keys = KeyAddress(ADDRESS, publisher.get, clock.seconds)
    return Tokens(Trust("https://id.example.org", "mail"), keys, pool)


def test_keys_are_fetched_once_and_again_after_an_hour(
    tokens: Tokens, publisher: Publisher, clock: Clock
) -> None:
    """SASL-07"""
    assert publisher.asked == 0
    for _ in range(3):
        assert outcome(tokens.holder(token())) == "amy"
    assert publisher.asked == 1
    clock.advance(REFRESH)
    publisher.keys = [jwk(OTHER, "other")]
    with pytest.raises(AuthenticationFailed):
        outcome(tokens.holder(token()))
    assert publisher.asked == 2


def test_a_key_that_is_new_is_fetched_at_most_once_a_minute(
    tokens: Tokens, publisher: Publisher, clock: Clock
) -> None:
    """SASL-07: anybody can name keys; the issuer is not to feel it."""
    outcome(tokens.holder(token()))
    clock.advance(AGAIN)
    publisher.keys.append(jwk(EC, "two", "EC"))
    assert outcome(tokens.holder(token(EC, "two", "ES256"))) == "amy"
    assert publisher.asked == 2
    for number in range(5):
        with pytest.raises(AuthenticationFailed):
            outcome(tokens.holder(token(kid=f"invented-{number}")))
    assert publisher.asked == 2


def test_an_issuer_that_is_away_is_missed_after_a_day(
    tokens: Tokens, publisher: Publisher, clock: Clock
) -> None:
    """AUTH-04: and that is no wrong token."""
    publisher.down = True
    with pytest.raises(DirectoryUnavailable):
        outcome(tokens.holder(token()))
    publisher.down = False
    assert outcome(tokens.holder(token())) == "amy"
    publisher.down = True
    clock.advance(KEEP - 1)
    assert outcome(tokens.holder(token())) == "amy"
    clock.advance(AGAIN)
    with pytest.raises(DirectoryUnavailable):
        outcome(tokens.holder(token()))
    publisher.down = False
    clock.advance(AGAIN)
    assert outcome(tokens.holder(token())) == "amy"


def test_many_who_need_the_keys_wait_for_one_answer(tokens: Tokens, publisher: Publisher) -> None:
    """AUTH-04"""
    publisher.slow = []
    waiting = [begin(tokens.holder(token())) for _ in range(5)]
    assert publisher.asked == 1
    publisher.slow.pop().callback(publisher.text())
    assert [outcome(each) for each in waiting] == ["amy"] * 5


@pytest.mark.parametrize("junk", [b"", b"{", b"[]", b'{"keys": []}', b"[" * 100_000, b"\xff"])
def test_junk_at_the_address_changes_nothing(
    tokens: Tokens, publisher: Publisher, clock: Clock, junk: bytes
) -> None:
    """AUTH-04"""
    outcome(tokens.holder(token()))
    clock.advance(REFRESH)
    publisher.slow = []
    assert outcome(tokens.holder(token())) == "amy"
    publisher.slow.pop().callback(junk)
    assert outcome(tokens.holder(token())) == "amy"


# ---- asking about each token ---------------------------------------------------------------------


class Issuer:
    """
    Knows what it is told to know.
    """

    def __init__(self) -> None:
        self.asked: list[tuple[dict[str, list[str]], str]] = []
        self.answer: Any = {"active": True, "aud": "mail", "username": "amy"}
        self.slow: list[Deferred[bytes]] | None = None

    def post(self, address: str, form: bytes, authorization: str) -> Deferred[bytes]:
        self.asked.append((parse_qs(form.decode()), authorization))
        if self.slow is not None:
            self.slow.append(Deferred())
            return self.slow[-1]
        if isinstance(self.answer, Exception):
            return fail(self.answer)
        raw = self.answer if isinstance(self.answer, bytes) else json.dumps(self.answer).encode()
        return succeed(raw)


@pytest.fixture
def issuer() -> Issuer:
    return Issuer()


def introspection(asked_one: Issuer, clock: Clock, **more: Any) -> Introspection:
    trust = Trust(more.pop("issuer", ""), more.pop("audience", "mail"), "username")
    asked = Asked("https://id.example.org/introspect", **more)
    web: Any = asked_one
    return Introspection(asked, trust, web, lambda call: succeed(call()), clock.seconds)


def test_the_issuer_is_asked_once_for_a_login(issuer: Issuer, clock: Clock) -> None:
    """SASL-07: RFC 7662 section 2.1; and again for the next login, for it may be revoked."""
    asking = introspection(issuer, clock, client="m:ail", secret=lambda: b"s&cret")
    for _ in range(2):
        assert outcome(asking.holder("abc.d-_~+/=")) == "amy"
    [(form, authorization)] = issuer.asked
    assert form == {"token": ["abc.d-_~+/="], "token_type_hint": ["access_token"]}
    assert authorization == "Basic bSUzQWFpbDpzJTI2Y3JldA=="
    clock.advance(SECONDS)
    issuer.answer = {"active": False}
    with pytest.raises(AuthenticationFailed):
        outcome(asking.holder("abc.d-_~+/="))
    assert "s&cret" not in repr(asking._asked)


NOW = time.time()


@pytest.mark.parametrize(
    "answer",
    [
        {"active": False, "aud": "mail", "username": "amy"},
        {"active": "true", "aud": "mail", "username": "amy"},
        {"active": 1, "aud": "mail", "username": "amy"},
        {"aud": "mail", "username": "amy"},
        {"active": True, "username": "amy"},
        {"active": True, "aud": "calendar", "username": "amy"},
        {"active": True, "aud": ["calendar", ["mail"]], "username": "amy"},
        {"active": True, "aud": "mail"},
        {"active": True, "aud": "mail", "username": ""},
        {"active": True, "aud": "mail", "username": 7},
        {"active": True, "aud": "mail", "username": "amy", "exp": NOW - 60},
        {"active": True, "aud": "mail", "username": "amy", "exp": "never"},
        {"active": True, "aud": "mail", "username": "amy", "nbf": NOW + 60},
        {"active": True, "aud": "mail", "username": "amy", "iss": "https://evil.example"},
        {"active": True, "aud": "mail", "username": "amy", "scope": "mailbox imap.read"},
        {"active": True, "aud": "mail", "username": "amy", "scope": ["imap"]},
    ],
)
def test_what_the_issuer_does_not_say_clearly_is_no(
    issuer: Issuer, clock: Clock, answer: Any
) -> None:
    """SASL-07"""
    clock.advance(NOW)
    asking = introspection(issuer, clock, issuer="https://id.example.org", scope="imap")
    good = {"iss": "https://id.example.org", "scope": "openid imap", "exp": NOW + 60}
    issuer.answer = {"active": True, "aud": ["x", "mail"], "username": "amy"} | good
    assert outcome(asking.holder("good")) == "amy"
    issuer.answer = good | answer
    with pytest.raises(AuthenticationFailed):
        outcome(asking.holder("bad"))


@pytest.mark.parametrize(
    "answer",
    [b"", b"[]", b"true", b"[" * 100_000, DirectoryUnavailable(detail="issuer: HTTP status 401")],
)
def test_an_issuer_that_does_not_answer_is_no_wrong_token(
    issuer: Issuer, clock: Clock, answer: Any
) -> None:
    """AUTH-04"""
    issuer.answer = answer
    with pytest.raises(DirectoryUnavailable):
        outcome(introspection(issuer, clock).holder("abc"))


def test_questions_to_the_issuer_are_bounded(issuer: Issuer, clock: Clock) -> None:
    """AB-12"""
    asking = introspection(issuer, clock)
    issuer.slow = []
    waiting = [begin(asking.holder(f"t{number}")) for number in range(200)]
    with pytest.raises(DirectoryUnavailable):
        outcome(asking.holder("one more"))
    for each in issuer.slow:
        each.callback(json.dumps({"active": False}).encode())
    for question in waiting:
        with pytest.raises(AuthenticationFailed):
            outcome(question)
    issuer.slow = None
    assert outcome(asking.holder("one more")) == "amy"
    with pytest.raises(AuthenticationFailed):
        outcome(asking.holder("x" * 9000))
