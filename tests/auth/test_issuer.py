"""
Key sets fetched from an address, and issuers that are asked about tokens.
"""

from __future__ import annotations

import contextlib
import json
import socket
import threading
import time
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs

import pytest
from twisted.internet import reactor
from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.task import Clock
from twisted.logger import capturedLogs

from mailaccess.auth import issuer as issuer_module
from mailaccess.auth.introspection import SECONDS, Asked, Introspection
from mailaccess.auth.issuer import Web, address_fault
from mailaccess.auth.keysets import AGAIN, KEEP, PAUSE, REFRESH, KeyAddress
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
    clock.advance(PAUSE)
    assert outcome(tokens.holder(token())) == "amy"
    publisher.down = True
    clock.advance(KEEP - 1)
    with capturedLogs() as logged:
        assert outcome(tokens.holder(token())) == "amy"
    assert [each["fault"] for each in logged if "keys cannot be fetched" in each["log_format"]] == [
        "issuer id.example.org: TimeoutError"
    ]
    clock.advance(AGAIN)
    with pytest.raises(DirectoryUnavailable):
        outcome(tokens.holder(token()))
    publisher.down = False
    clock.advance(AGAIN)
    assert outcome(tokens.holder(token())) == "amy"


def test_an_issuer_that_is_away_is_not_asked_by_everybody(
    tokens: Tokens, publisher: Publisher, clock: Clock
) -> None:
    """AUTH-04: whoever may send tokens, which is everybody, makes no storm of questions."""
    publisher.down = True
    for _ in range(20):
        with pytest.raises(DirectoryUnavailable, match="TimeoutError"):
            outcome(tokens.holder(token()))
    assert publisher.asked == 1
    clock.advance(PAUSE)
    with pytest.raises(DirectoryUnavailable):
        outcome(tokens.holder(token()))
    assert publisher.asked == 2


def test_a_key_set_without_end_is_none(tokens: Tokens, publisher: Publisher) -> None:
    """AB-09: keys are made on the reactor's thread; nobody has a hundred."""
    publisher.keys = [jwk(RSA, str(number)) for number in range(101)]
    with pytest.raises(DirectoryUnavailable, match="more than 100 keys"):
        outcome(tokens.holder(token()))


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
        {"active": True, "aud": "mail", "username": "amy", "exp": float("nan")},
        {"active": True, "aud": "mail", "username": "amy", "exp": float("inf")},
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


def test_a_time_that_is_left_empty_is_none(issuer: Issuer, clock: Clock) -> None:
    """SASL-07: RFC 7662 section 2.2; some write null for what they do not know."""
    clock.advance(NOW)
    issuer.answer = {"active": True, "aud": "mail", "username": "amy", "exp": None, "nbf": None}
    assert outcome(introspection(issuer, clock).holder("abc")) == "amy"


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


# ---- over the network ----------------------------------------------------------------------------

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 4000000\r\n\r\n"


class Peer:
    """
    A server in a thread that writes one thing, again and again, until the other side hangs up.
    """

    def __init__(self, first: bytes, then: bytes = b"", https: bool = False) -> None:
        self._first, self._then = first, then
        self.sent = 0
        self._server = socket.create_server(("127.0.0.1", 0))
        scheme = "https" if https else "http"
        self.address = f"{scheme}://127.0.0.1:{self._server.getsockname()[1]}/keys"
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def _serve(self) -> None:
        connection, _ = self._server.accept()
        with connection, contextlib.suppress(OSError):
            connection.settimeout(30)
            connection.recv(4096)
            connection.sendall(self._first)
            while self._then:
                self.sent += connection.send(self._then)
            while connection.recv(4096):
                pass

    def end(self) -> None:
        """
        Returns when the other side has hung up.
        """
        self._thread.join(30)
        assert not self._thread.is_alive()
        self._server.close()


@pytest.mark.parametrize(
    ("first", "then", "why"),
    [
        (OK, b"x" * 65536, "more than 1048576 octets"),
        (b"HTTP/1.1 200 OK\r\n", b"x: " + b"y" * 8000 + b"\r\n", "more than 1048576 octets"),
        (b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\n\r\n", b"", "sends elsewhere"),
        (b"HTTP/1.1 401 Unauthorized\r\n\r\n", b"", "token_client"),
        (b"HTTP/1.1 500 Oh\r\n\r\n", b"x" * 65536, "HTTP status 500"),
        (b"SSH-2.0-OpenSSH_9\r\n", b"", "ParseError"),
    ],
)
def test_an_answer_that_is_none_ends_the_connection(
    on_reactor: Callable[[Callable[[], Any]], Any], first: bytes, then: bytes, why: str
) -> None:
    """AB-12, SASL-07: nothing is gathered without end, and nothing stays open."""
    peer = Peer(first, then)

    async def ask() -> str:
        with pytest.raises(DirectoryUnavailable) as caught:
            await Web(reactor).get(peer.address)
        return caught.value.detail

    assert why in on_reactor(ask)
    peer.end()
    assert peer.sent < 32 << 20


@pytest.mark.parametrize("first", [b"", b"HTTP/1.1 200 OK\r\n", OK, OK + b"{"])
def test_an_issuer_that_hangs_is_left_behind(
    on_reactor: Callable[[Callable[[], Any]], Any], monkeypatch: pytest.MonkeyPatch, first: bytes
) -> None:
    """LD-08: the same holds for issuers of tokens; the connection is closed, too."""
    monkeypatch.setattr(issuer_module, "PATIENCE", 0.2)
    peer = Peer(first, https=not first)

    async def ask() -> str:
        with pytest.raises(DirectoryUnavailable) as caught:
            await Web(reactor).get(peer.address)
        return caught.value.detail

    assert on_reactor(ask) == "issuer 127.0.0.1: no answer within 0 s"
    peer.end()
