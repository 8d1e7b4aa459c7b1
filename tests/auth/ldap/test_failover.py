"""
Servers that die, come back, or hang.
"""

from __future__ import annotations

import threading
from typing import Any

from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.task import deferLater

from mailaccess.errors import AuthenticationFailed, DirectoryUnavailable

from .asking import Asker
from .slapd import AMYS, PEOPLE, Slapd
from .test_search_and_bind import binds, refusal

RIGHT = AMYS.encode()
SWIFT = {"connect_timeout": 1, "answer_timeout": 1, "deadline": 4, "retry": 1}


async def becomes(asker: Asker, true: Any) -> None:
    """
    Wait until it is so; the deadline of the test ends it else.
    """
    while not true():
        await deferLater(asker.reactor, 0.02)


async def test_the_second_server_takes_over_and_the_first_comes_back(
    asker: Asker, own_slapd: Slapd, second_slapd: Slapd
) -> None:
    """LD-09: killed, restarted; each login in between works."""
    checker = asker.checker(own_slapd.uri, second_slapd.uri, connecting=SWIFT)
    dn = f"uid=amy,{PEOPLE}"
    await checker.check("amy", RIGHT, "imap")
    assert (binds(own_slapd, dn), binds(second_slapd, dn)) == (1, 0)
    own_slapd.kill()
    for _ in range(3):
        assert (await checker.check("amy", RIGHT, "imap")).name == "amy"
    assert isinstance(await refusal(checker, "amy", b"wrong"), AuthenticationFailed)
    assert binds(second_slapd, dn) == 4
    own_slapd.start()
    first = checker.upstreams.servers[0]
    await becomes(asker, lambda: not first.down)
    await checker.check("amy", RIGHT, "imap")
    assert (binds(own_slapd, dn), binds(second_slapd, dn)) == (2, 4)


async def test_a_server_that_hangs_is_left_for_the_second(
    asker: Asker, own_slapd: Slapd, second_slapd: Slapd
) -> None:
    """LD-08, LD-09: SIGSTOP: connections are made, nothing is answered; then it goes on."""
    checker = asker.checker(own_slapd.uri, second_slapd.uri, connecting=SWIFT)
    await checker.check("amy", RIGHT, "imap")
    own_slapd.hang()
    try:
        assert (await checker.check("amy", RIGHT, "imap")).name == "amy"
        first = checker.upstreams.servers[0]
        assert first.down
        assert (await checker.check("bert", RIGHT, "imap")).name == "bert"
        assert first.failures == 1, "it was asked again"
    finally:
        own_slapd.go_on()
    await becomes(asker, lambda: not first.down)


async def test_with_all_servers_down_logins_fail_at_once_and_come_back(
    asker: Asker, own_slapd: Slapd
) -> None:
    """LD-09: the circuit is open; a look in the background closes it."""
    checker = asker.checker(own_slapd.uri, connecting=SWIFT)
    await checker.check("amy", RIGHT, "imap")
    own_slapd.kill()
    for _ in range(4):
        error = await refusal(checker, "amy", RIGHT)
        assert isinstance(error, DirectoryUnavailable)
        assert error.code == "UNAVAILABLE"
    assert "all servers are down" in error.detail
    own_slapd.start()
    await becomes(asker, lambda: not checker.upstreams.servers[0].down)
    assert (await checker.check("amy", RIGHT, "imap")).name == "amy"


async def test_a_server_that_is_down_at_first_is_found_later(
    asker: Asker, own_slapd: Slapd
) -> None:
    """A directory that is down does not keep the mail server from starting."""
    own_slapd.kill()
    checker = asker.checker(own_slapd.uri, connecting=SWIFT)
    for _ in range(3):
        assert isinstance(await refusal(checker, "amy", RIGHT), DirectoryUnavailable)
    own_slapd.start()
    await becomes(asker, lambda: not checker.upstreams.servers[0].down)
    assert (await checker.check("amy", RIGHT, "imap")).name == "amy"


async def test_a_storm_of_logins_outlives_a_restart(
    asker: Asker, own_slapd: Slapd, second_slapd: Slapd
) -> None:
    """LD-09: 500 logins, the first server killed among them: none gets a wrong answer."""
    # A slow machine is not a server that is down: that one refuses connections at once.
    patient = {"connect_timeout": 20, "answer_timeout": 20, "deadline": 50, "queue": 1000}
    checker = asker.checker(own_slapd.uri, second_slapd.uri, connecting={**SWIFT, **patient})
    before = threading.active_count()
    outcomes: list[str] = []
    unanswered: set[tuple[str, bytes]] = set()

    async def one(number: int) -> None:
        name = ("amy", "bert", "carl")[number % 3]
        secret = RIGHT if number % 2 else b"wrong %d" % number
        try:
            found = (await checker.check(name, secret, "imap")).name
            outcomes.append("right" if number % 2 and found == name else "LET IN")
        except AuthenticationFailed:
            outcomes.append("wrong" if not number % 2 else "REFUSED")
        except DirectoryUnavailable:
            outcomes.append("unavailable")
            unanswered.add((name, secret))

    storm = [Deferred.fromCoroutine(one(number)) for number in range(500)]
    await becomes(asker, lambda: len(outcomes) > 50)
    own_slapd.kill()
    await gatherResults(storm)
    assert set(outcomes) <= {"right", "wrong", "unavailable"}
    assert len(outcomes) == 500
    # Passwords that were on the way to the server that died, one in each thread, are not sent
    # twice. Many may have waited for the same answer: those with the same name and password.
    assert len(unanswered) <= 4
    assert threading.active_count() <= before + 4
    assert (await checker.check("amy", RIGHT, "imap")).name == "amy"


async def test_stopping_ends_what_waits(asker: Asker, own_slapd: Slapd) -> None:
    """DS-17: no thread is waited for that waits for a server."""
    checker = asker.checker(own_slapd.uri, connecting={"answer_timeout": 50, "deadline": 55})
    await checker.check("amy", RIGHT, "imap")
    own_slapd.hang()
    try:
        waiting = Deferred.fromCoroutine(refusal(checker, "amy", RIGHT))
        await deferLater(asker.reactor, 0.05)
        began = asker.reactor.seconds()
        checker.stop()
        assert isinstance(await waiting, DirectoryUnavailable)
        assert asker.reactor.seconds() - began < 20
    finally:
        own_slapd.go_on()


async def test_the_reactor_runs_on_while_a_directory_is_slow(
    asker: Asker, own_slapd: Slapd
) -> None:
    """LD-08: no call of the reactor waits for LDAP."""
    checker = asker.checker(own_slapd.uri, connecting=SWIFT)
    own_slapd.hang()
    try:
        storm = [Deferred.fromCoroutine(refusal(checker, "amy", b"%d" % n)) for n in range(30)]
        turns = 0
        while not all(each.called for each in storm):
            await deferLater(asker.reactor, 0.01)
            turns += 1
        assert turns > 5
        for each in storm:
            assert isinstance(await each, DirectoryUnavailable)
    finally:
        own_slapd.go_on()
