"""
Servers that do what real ones should not.
"""

from __future__ import annotations

import contextlib
import ssl
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from mailaccess.auth.ldap.directory import LDAPChecker, Remembering
from mailaccess.errors import (
    AccountUnusable,
    AuthenticationFailed,
    ContactAdmin,
    DirectoryUnavailable,
    PasswordExpired,
)

from .asking import Asker
from .mock import (
    BIND,
    EXTENDED,
    SEARCH,
    MockServer,
    Request,
    bind_result,
    control,
    directory,
    entry,
    message,
    reference,
    requests_of,
    result,
    search_done,
    tlv,
)
from .slapd import Authority
from .test_results import ad
from .test_search_and_bind import refusal

Mocked = Callable[..., MockServer]
PPOLICY = "1.3.6.1.4.1.42.2.27.8.5.1"


@pytest.fixture
def mocked() -> Iterator[Mocked]:
    made: list[MockServer] = []

    def make(*args: Any, **more: Any) -> MockServer:
        made.append(MockServer(*args, **more))
        return made[-1]

    yield make
    for each in made:
        each.stop()


def over(asker: Asker, server: MockServer, **more: Any) -> LDAPChecker:
    """
    A checker of the mock directory, in the clear.
    """
    connecting = {
        "encrypt": False,
        "bind_dn": "cn=service",
        "connect_timeout": 2,
        "answer_timeout": 2,
        "deadline": 2,
        **more.pop("connecting", {}),
    }
    return asker.checker(server.uri, base="dc=corp", connecting=connecting, **more)


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        ("525", AuthenticationFailed),
        ("52e", AuthenticationFailed),
        ("530", ContactAdmin),
        ("531", ContactAdmin),
        ("532", PasswordExpired),
        ("533", AccountUnusable),
        ("701", PasswordExpired),
        ("773", PasswordExpired),
        ("775", AccountUnusable),
    ],
)
async def test_what_active_directory_says(
    asker: Asker, mocked: Mocked, code: str, kind: type[Exception]
) -> None:
    """LD-11, LD-12: disabled and locked read as a wrong password does; one bind each."""
    server = mocked(directory(lambda dn, secret: bind_result(49, ad(code))))
    error = await refusal(over(asker, server), "amy", b"secret")
    assert type(error) is kind
    if code in ("533", "775"):
        assert (error.code, error.public) == (  # type: ignore[attr-defined]
            AuthenticationFailed.code,
            AuthenticationFailed.public,
        )
    assert [each.bind[0] for each in server.requests if each.tag == BIND] == [
        "cn=service",
        "uid=amy,dc=corp",
    ]


async def test_the_policy_control_comes_through(asker: Asker, mocked: Mocked) -> None:
    """LD-13: from the wire to the refusal."""
    locked = control(PPOLICY, b"\x30\x03\x81\x01\x01")
    server = mocked(directory(lambda dn, secret: bind_result(49), controls=locked))
    assert type(await refusal(over(asker, server), "amy", b"x")) is AccountUnusable
    asked = next(each for each in server.requests if each.tag == BIND)
    assert asked


@pytest.mark.parametrize(
    "said",
    [
        bind_result(8),
        bind_result(13),
        bind_result(53),
        bind_result(51),
        bind_result(52),
        bind_result(80),
        bind_result(118),
        result(0x61, 10, more=tlv(0xA3, tlv(4, b"ldap://rogue.example/"))),
        result(0x65, 0),
        b"\x61\x03\x0a\x01\x00",
    ],
)
async def test_an_odd_answer_is_no_success_and_no_wrong_password(
    asker: Asker, mocked: Mocked, said: bytes
) -> None:
    """LD-11: UNAVAILABLE, whatever it is; sent once (LD-10)."""
    server = mocked(directory(lambda dn, secret: said))
    assert isinstance(await refusal(over(asker, server), "amy", b"x"), DirectoryUnavailable)
    assert server.count(BIND) == 2


async def test_success_for_nobody_is_none(asker: Asker, mocked: Mocked) -> None:
    """LD-01: a server that takes a password for an anonymous bind is found out."""

    def anonymous(request: Request) -> list[bytes] | None:
        if request.tag == EXTENDED:
            return [message(request.number, result(0x78, 0, more=tlv(0x8B, b"")))]
        return directory(lambda dn, secret: bind_result(0))(request)

    server = mocked(anonymous)
    assert isinstance(await refusal(over(asker, server), "amy", b"x"), DirectoryUnavailable)

    def silent(request: Request) -> list[bytes] | None:
        if request.tag == EXTENDED:
            return [message(request.number, result(0x78, 2, "unknown operation"))]
        return directory(lambda dn, secret: bind_result(0))(request)

    server = mocked(silent)
    checker = over(asker, server)
    for _ in range(2):
        assert (await checker.check("amy", b"x", "imap")).name == "amy"
    assert server.count(EXTENDED) == 1


async def test_referrals_lead_nowhere(asker: Asker, mocked: Mocked) -> None:
    """LD-06: no connection, and no password, to another host."""
    rogue = mocked(directory(lambda dn, secret: bind_result(0)))

    def refer(request: Request) -> list[bytes] | None:
        to_rogue = tlv(0xA3, tlv(4, f"{rogue.uri}/dc=corp??sub".encode()))
        if request.tag == BIND and request.bind[0] != "cn=service":
            return [message(request.number, result(0x61, 10, more=to_rogue))]
        if request.tag == SEARCH and b"somebody" in request.content:
            return [message(request.number, result(0x65, 10, more=to_rogue))]
        if request.tag == SEARCH:
            return [
                message(request.number, reference(f"{rogue.uri}/dc=corp??sub")),
                message(request.number, entry("uid=amy,dc=corp", uid="amy")),
                message(request.number, reference(f"{rogue.uri}/dc=other??sub")),
                message(request.number, search_done()),
            ]
        return directory(lambda dn, secret: bind_result(0))(request)

    checker = over(asker, mocked(refer))
    assert await checker.person("amy") is not None
    for name in ("amy", "somebody"):
        assert isinstance(await refusal(checker, name, b"secret"), DirectoryUnavailable)
    assert rogue.connections == 0


async def test_the_same_message_number_twice_is_no_second_chance(
    asker: Asker, mocked: Mocked
) -> None:
    """LD-05: two answers to one bind are none."""

    def twice(dn: str, secret: bytes) -> list[bytes]:
        number = server.requests[-1].number
        return [message(number, bind_result(49)), message(number, bind_result(0))]

    server = mocked(directory(twice))
    assert isinstance(await refusal(over(asker, server), "amy", b"x"), DirectoryUnavailable)


# ---- time ---------------------------------------------------------------------------------------


async def test_a_server_that_drips_is_given_up(asker: Asker, mocked: Mocked) -> None:
    """LD-08: each read is in time, the whole is not; the thread is free afterwards."""

    def drip(sock: Any) -> None:
        for request in requests_of(sock):
            for octet in message(request.number, bind_result(0, "x" * 100)):
                sock.sendall(bytes([octet]))
                if server.over.wait(0.2):
                    return

    server = mocked(directory(lambda dn, secret: bind_result(0)), raw=drip)
    checker = over(asker, server, connecting={"deadline": 0.7, "threads": 1})
    error = await refusal(checker, "amy", b"x")
    assert isinstance(error, DirectoryUnavailable)
    assert "0.7 s" in error.detail
    again = await refusal(checker, "amy", b"x")
    assert isinstance(again, DirectoryUnavailable)
    assert server.connections == 2


@pytest.mark.parametrize("hangs", [BIND, SEARCH, EXTENDED])
async def test_a_server_that_hangs_is_given_up(asker: Asker, mocked: Mocked, hangs: int) -> None:
    """LD-08: at whatever step; the password was sent once (LD-10)."""
    real = directory(lambda dn, secret: bind_result(0))
    server = mocked(lambda request: None if request.tag == hangs else real(request))
    checker = over(asker, server, connecting={"deadline": 1, "answer_timeout": 0.3})
    assert isinstance(await refusal(checker, "amy", b"x"), DirectoryUnavailable)
    users = [each for each in server.requests if each.tag == BIND and each.bind[1] == b"x"]
    assert len(users) <= 1


async def test_a_server_that_never_ends_its_answer_is_given_up(
    asker: Asker, mocked: Mocked
) -> None:
    """LD-08: bounded in octets as well."""

    def flood(sock: Any) -> None:
        for _ in requests_of(sock):
            sock.sendall(b"\x30\x84\x7f\xff\xff\xff")
            while not server.over.is_set():
                sock.sendall(bytes(65536))

    server = mocked(directory(lambda dn, secret: bind_result(0)), raw=flood)
    checker = over(asker, server, connecting={"deadline": 30, "answer_timeout": 30})
    assert isinstance(await refusal(checker, "amy", b"x"), DirectoryUnavailable)


async def test_the_queue_is_bounded_and_fails_at_once(asker: Asker, mocked: Mocked) -> None:
    """LD-09: who finds no place is told to try later, without waiting."""
    held = threading.Event()

    def hold(request: Request) -> list[bytes] | None:
        held.wait(30)
        return directory(lambda dn, secret: bind_result(0))(request)

    server = mocked(hold)
    checker = over(
        asker, server, connecting={"threads": 2, "queue": 3, "deadline": 30, "answer_timeout": 30}
    )
    from twisted.internet.defer import Deferred

    waiting = [
        Deferred.fromCoroutine(checker.check("amy", b"%d" % each, "imap")) for each in range(5)
    ]
    error = await refusal(checker, "amy", b"x")
    assert isinstance(error, DirectoryUnavailable)
    assert "full" in error.detail
    held.set()
    for each in waiting:
        assert (await each).name == "amy"


async def test_the_same_login_at_the_same_time_is_asked_once(asker: Asker, mocked: Mocked) -> None:
    """A phone with four connections and an old password is one wrong attempt."""
    server = mocked(directory(lambda dn, secret: bind_result(0 if secret == b"right" else 49)))
    checker = over(asker, server)
    from twisted.internet.defer import Deferred

    wrong = [Deferred.fromCoroutine(refusal(checker, "amy", b"wrong")) for _ in range(4)]
    right = [Deferred.fromCoroutine(checker.check("amy", b"right", "imap")) for _ in range(4)]
    for it in wrong:
        assert isinstance(await it, AuthenticationFailed)
    for good in right:
        assert (await good).name == "amy"
    binds = [each.bind[1] for each in server.requests if each.tag == BIND]
    assert binds.count(b"wrong") == 1
    assert binds.count(b"right") == 1


async def test_a_kept_connection_that_the_server_closed_is_replaced(
    asker: Asker, mocked: Mocked
) -> None:
    """LD-10: the search is repeated, once; nobody notices."""
    server = mocked(directory(lambda dn, secret: bind_result(0)))
    checker = over(asker, server)
    await checker.check("amy", b"x", "imap")
    for each in list(server._open):
        with contextlib.suppress(OSError):
            each.shutdown(2)
    assert (await checker.check("amy", b"x", "imap")).name == "amy"


async def test_who_leaves_disturbs_nobody(asker: Asker, mocked: Mocked) -> None:
    """A client that hangs up while the directory thinks: the others who ask the same go on."""
    held = threading.Event()

    def hold(request: Request) -> list[bytes] | None:
        held.wait(30)
        return directory(lambda dn, secret: bind_result(0))(request)

    checker = over(asker, mocked(hold), connecting={"deadline": 30, "answer_timeout": 30})
    from twisted.internet.defer import CancelledError, Deferred

    first = Deferred.fromCoroutine(checker.check("amy", b"x", "imap"))
    second = Deferred.fromCoroutine(checker.check("amy", b"x", "imap"))
    first.cancel()
    with pytest.raises(CancelledError):
        await first
    held.set()
    assert (await second).name == "amy"


# ---- StartTLS -----------------------------------------------------------------------------------


def starts_tls(asker: Asker, server: MockServer) -> LDAPChecker:
    return asker.checker(
        server.uri,
        base="dc=corp",
        connecting={"bind_dn": "cn=service", "deadline": 3, "answer_timeout": 2},
    )


@pytest.fixture
def server_context(authority: Authority, tmp_path: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(authority.write(tmp_path / "mock.pem", "mock", "127.0.0.1"))
    return context


async def test_starttls_works_with_the_mock_at_all(
    asker: Asker, mocked: Mocked, server_context: ssl.SSLContext
) -> None:
    """The tests below would mean nothing otherwise."""
    real = directory(lambda dn, secret: bind_result(0))

    def answer(request: Request) -> list[bytes] | None:
        return None if b"1466.20037" in request.content else real(request)

    server = mocked(answer, context=server_context)
    assert (await starts_tls(asker, server).check("amy", b"x", "imap")).name == "amy"


@pytest.mark.parametrize(
    "injected",
    [
        message(1, bind_result(0)),
        message(2, bind_result(0)),
        message(1, result(0x78, 0)),
        b"\x30",
        b"x" * 4000,
    ],
)
async def test_what_is_put_behind_the_answer_to_starttls_ends_it(
    asker: Asker, mocked: Mocked, injected: bytes
) -> None:
    """LD-05: response injection; no bind is sent."""
    server = mocked(lambda request: [message(request.number, result(0x78, 0)), injected])
    error = await refusal(starts_tls(asker, server), "amy", b"x")
    assert isinstance(error, DirectoryUnavailable)
    assert server.count(BIND) == 0


@pytest.mark.parametrize(
    "answers",
    [
        [message(1, result(0x78, 2, "unknown"))],
        [message(1, result(0x78, 52))],
        [message(7, result(0x78, 0))],
        [message(1, bind_result(0))],
        [b"220 mail ESMTP\r\n"],
        [b""],
    ],
)
async def test_without_starttls_there_is_no_login(
    asker: Asker, mocked: Mocked, answers: list[bytes]
) -> None:
    """LD-04: refused, stripped, or something else: UNAVAILABLE, and no password in the clear."""
    server = mocked(lambda request: answers)
    error = await refusal(starts_tls(asker, server), "amy", b"x")
    assert isinstance(error, DirectoryUnavailable)
    assert server.count(BIND) == 0


async def test_wrong_answers_leave_on_a_beat(asker: Asker, mocked: Mocked) -> None:
    """AUTH-05: an unknown name and a wrong password are answered at the same moments."""

    def answer(request: Request) -> list[bytes] | None:
        if request.tag == SEARCH and b"nobody" in request.content:
            return [message(request.number, search_done())]
        return directory(lambda dn, secret: bind_result(49))(request)

    checker = over(asker, mocked(answer), remembering=Remembering(guard=0, beat=0.3))
    for name in ("amy", "nobody"):
        began = asker.reactor.seconds()
        assert isinstance(await refusal(checker, name, b"x"), AuthenticationFailed)
        assert asker.reactor.seconds() - began >= 0.29
