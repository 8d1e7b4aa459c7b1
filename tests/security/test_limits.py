"""
How long and how much: what a client can take of the server, and that it comes back.
"""

from __future__ import annotations

import gc
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import attrs
import pytest
from twisted.internet.defer import Deferred
from twisted.internet.task import deferLater
from twisted.logger import capturedLogs

from mailaccess.auth.connections import Allowance, Connections
from mailaccess.auth.throttle import Throttle
from mailaccess.interfaces import MailboxInfo
from mailaccess.protocols import line
from mailaccess.protocols.limits import Limits
from mailaccess.testing.memory import MemoryAccount
from mailaccess.testing.talk import MemoryTransport, Talk

BOTH = pytest.mark.parametrize("service", ["imap", "pop3"])
NOTHING = {"imap": b"a NOOP", "pop3": b"CAPA"}


# ---- how many -----------------------------------------------------------------------------------


def turned_away(server: Any, service: str, factory: Any, peer: str = "192.0.2.7") -> bool:
    talk = Talk(factory, server.clock, transport=MemoryTransport(peer))
    said = talk.read()
    if not talk.protocol.closing:
        return False
    assert said in (
        b"* BYE [LIMIT] Too many connections\r\n",
        b"-ERR [SYS/TEMP] Too many connections\r\n",
    )
    talk.hang_up()
    return True


@BOTH
def test_strangers_of_one_address_are_few(server: Any, service: str) -> None:
    """AB-01: told why, counted over listeners and by /64, and room again once one has gone."""
    server.places = Connections(Allowance(before_login=3))
    factory, other = server.factory(service), server.factory("imap")
    first = server.connect(service, factory, "2001:db8::1")
    server.connect("imap", other, "2001:db8::2")
    inside = server.connect(service, factory, "2001:db8::3")
    assert turned_away(server, service, factory, "2001:db8::4")
    assert turned_away(server, "imap", other, "2001:db8::4")
    assert not turned_away(server, service, factory, "2001:db8:0:1::1")
    first.hang_up()
    assert not turned_away(server, service, factory, "2001:db8::4")
    assert turned_away(server, service, factory, "2001:db8::4")
    inside.send(*{"imap": [b"a LOGIN amy secret"], "pop3": [b"USER amy", b"PASS secret"]}[service])
    assert inside.protocol.logged_in
    assert not turned_away(server, service, factory, "2001:db8::4")


def test_one_user_has_so_many_sessions_and_so_many_from_one_address(server: Any) -> None:
    """AB-01: an answer with a code, another try is possible, and other users are not held up."""
    server.places = Connections(Allowance(user=3, user_address=2))
    factory = server.factory("imap")
    talks = [server.connect("imap", factory) for _ in range(3)]
    assert talks[0].send(b"a LOGIN amy secret")[-1].startswith(b"a OK")
    assert talks[1].send(b"a LOGIN amy secret")[-1].startswith(b"a OK")
    with capturedLogs() as events:
        assert talks[2].send(b"a LOGIN AMY secret") == [b"a NO [LIMIT] Too many connections"]
    assert [each["reason"] for each in events if each.get("event") == "refused"] == [
        "TooManyConnections"
    ]
    assert talks[2].send(b"a LOGIN bob hunter2")[-1].startswith(b"a OK")
    elsewhere = [server.connect("imap", factory, f"192.0.2.{number}") for number in (8, 9)]
    assert elsewhere[0].send(b"a LOGIN amy secret")[-1].startswith(b"a OK")
    assert elsewhere[1].send(b"a LOGIN amy secret")[-1].startswith(b"a NO [LIMIT] ")
    talks[0].send(b"b LOGOUT")
    talks[0].hang_up()
    assert elsewhere[1].send(b"a LOGIN amy secret")[-1].startswith(b"a OK")
    for each in (*talks[1:], *elsewhere):
        each.hang_up()
    assert server.places.counted() == server.places.total == 0
    assert server.accounts.of("amy").sessions == 0


def test_a_maildrop_in_use_gives_the_place_back(server: Any) -> None:
    """AB-01: the login came to nothing; another may follow on the same connection."""
    server.places = Connections(Allowance(user=2))
    holder = server.login("pop3")
    second = server.connect("pop3")
    assert second.send(b"USER amy", b"PASS secret")[-1].startswith(b"-ERR [IN-USE]")
    holder.hang_up()
    assert second.send(b"USER bob", b"PASS hunter2")[-1].startswith(b"+OK")
    first = server.connect("pop3")
    assert first.send(b"USER amy", b"PASS secret")[-1].startswith(b"+OK")
    for each in (first, second):
        each.hang_up()
    assert server.places.counted() == server.places.total == 0


def test_when_all_places_are_taken_newcomers_are_told(server: Any) -> None:
    """AB-01: the last tenth is for addresses of which nobody waits."""
    server.places = Connections(Allowance(total=10))
    factory = server.factory("imap")
    talks = [server.connect("imap", factory, "192.0.2.1") for _ in range(9)]
    assert turned_away(server, "imap", factory, "192.0.2.1")
    talks.append(server.connect("imap", factory, "192.0.2.2"))
    assert turned_away(server, "imap", factory, "192.0.2.3")
    for each in talks:
        each.hang_up()
    assert server.places.total == 0


# ---- how long -----------------------------------------------------------------------------------


@BOTH
def test_who_says_nothing_is_gone_soon(server: Any, service: str) -> None:
    """AB-02"""
    talk = server.connect(service)
    talk.wait(server.limits.first_seconds - 2)
    assert not talk.protocol.closing
    talk.wait(3)
    assert talk.protocol.closing


@BOTH
@pytest.mark.parametrize("what", ["a command", "an octet"])
def test_nothing_that_is_said_puts_off_the_deadline_to_log_in(
    server: Any, service: str, what: str
) -> None:
    """AB-02: neither commands nor a line that never ends."""
    server.limits = attrs.evolve(server.limits, mistakes_before_login=1000)
    talk = server.connect(service)
    seconds = 0
    while not talk.protocol.closing:
        if seconds % 10 == 0:
            talk.raw(NOTHING[service] + b"\r\n" if what == "a command" else b"x")
        talk.wait(1)
        seconds += 1
        assert seconds <= server.limits.login_seconds + 1
    assert seconds >= server.limits.login_seconds - 1


@BOTH
def test_a_stranger_that_does_not_read_has_no_more_time_than_others(
    server: Any, service: str
) -> None:
    """AB-02"""
    talk = server.connect(service)
    talk.send(NOTHING[service])
    talk.protocol.pauseProducing()
    for _ in range(int(server.limits.login_seconds) + 1):
        talk.wait(1)
    assert talk.transport.aborted


def reads_nothing(talk: Talk) -> None:
    talk.protocol.pauseProducing()


def says_nothing(_talk: Talk) -> None:
    pass


def drips(talk: Talk) -> None:
    talk.send(b"a APPEND INBOX {100000}")


def makes_mistakes(talk: Talk) -> None:
    while not talk.protocol.closing:
        talk.send(b"bad command bad")


@pytest.mark.parametrize("service", ["imap", "pop3"])
@pytest.mark.parametrize("behaviour", [reads_nothing, says_nothing, drips, makes_mistakes])
@pytest.mark.parametrize("logged_in", [False, True])
def test_every_end_is_a_hard_one_after_a_while(
    server: Any, service: str, behaviour: Callable[[Talk], None], logged_in: bool
) -> None:
    """AB-03: whatever ended it, a client that does not hang up is cut off within 15 seconds."""
    talk = server.login(service) if logged_in else server.connect(service)
    behaviour(talk)
    while not talk.protocol.closing:
        talk.wait(1)
        assert server.clock.seconds() < 3600
    for _ in range(int(server.limits.grace_seconds) + 1):
        talk.wait(1)
    assert server.limits.grace_seconds <= 15
    assert talk.transport.aborted
    talk.hang_up()
    assert server.sweep.members == set()


@BOTH
def test_bad_commands_are_counted(server: Any, service: str) -> None:
    """AB-06: 3 before a login, 20 after it, and no good one in between forgives a stranger."""
    counts = []
    for talk in (server.connect(service), server.login(service)):
        count = 0
        while not talk.protocol.closing:
            talk.send(b"bad command bad")
            if not talk.protocol.logged_in:
                talk.send(NOTHING[service])
            count += 1
        counts.append(count)
    assert counts == [3, 20]


@BOTH
@pytest.mark.parametrize("kind", ["wrong", "impossible", "empty"])
def test_failed_logins_are_counted_whatever_was_wrong(server: Any, service: str, kind: str) -> None:
    """AUTH-07, AUTH-01: and each has its line in the log."""
    name, secret = {"wrong": (b"amy", b"x"), "impossible": (b"a{", b"x"), "empty": (b"amy", b"")}[
        kind
    ]
    name = b"\xff" if kind == "impossible" else name
    talk = server.connect(service)
    with capturedLogs() as events:
        for number in range(3):
            assert not talk.protocol.closing, number
            if service == "imap":
                talk.send(b'a LOGIN {%d+}\r\n%b "%b"' % (len(name), name, secret))
            else:
                talk.send(b"USER " + name, b"PASS " + secret)
        assert talk.protocol.closing
    assert len([each for each in events if each.get("event") == "failed"]) == 3


def test_guessing_is_slow_however_it_is_done(server: Any) -> None:
    """
    AUTH-07: reconnecting, not waiting for the answer, many at once: what one address can have
    checked is bounded by its connections and the delay.
    """
    server.places = Connections(Allowance(before_login=5))
    factory = server.throttled(server.factory("imap"), Throttle(server.clock))
    for _ in range(600):
        talks = [server.connect("imap", factory) for _ in range(5)]
        for each in talks:
            each.send(b"a LOGIN amy guess")
        server.clock.advance(0.1)
        for each in talks:
            each.hang_up()
    minute = len(server.checker.asked)
    assert minute <= 5 * (60 / 15 + 5)
    elsewhere = server.connect("imap", factory, "198.51.100.1")
    assert elsewhere.send(b"a LOGIN amy secret")[-1].startswith(b"a OK")


# ---- how much -----------------------------------------------------------------------------------


class Narrow(MemoryTransport):
    """
    A client that reads only when it is told to.
    """

    def write(self, data: bytes) -> None:
        super().write(data)
        if self.producer is not None and len(self.value()) > 1 << 16:
            self.producer.pauseProducing()


def test_of_a_stranger_nothing_is_read_while_a_command_waits(server: Any) -> None:
    """PAR-01: a slow login is no reason to gather octets; somebody known may send ahead."""
    slow: Deferred[None] = Deferred()
    server.checker.before = lambda: slow
    talk = server.connect("imap")
    talk.send(b"a LOGIN amy secret")
    talk.raw(b"b NOOP\r\n")
    assert talk.transport.producerState == "paused"
    slow.callback(None)
    assert talk.transport.producerState == "producing"
    assert talk.read().endswith(b"b OK NOOP completed\r\n")


def test_a_hundred_thousand_changes_are_told_no_faster_than_they_are_read(server: Any) -> None:
    """PAR-10: what others changed, flags and expunges alike."""
    account = server.accounts.of("amy")
    count = 20_000
    for _ in range(count):
        account.deliver("INBOX", b"Subject: x\r\n\r\n")
    factory = server.factory("imap")
    transport = Narrow()
    talk = Talk(factory, server.clock, transport=transport)
    talk.send(b"a LOGIN amy secret", b"b SELECT INBOX")
    other = server.login("imap")
    other.send(b"a SELECT INBOX", b"b STORE 1:* +FLAGS.SILENT (\\Deleted)")
    parts = [talk.send(b"c NOOP")]
    while talk.protocol.output_waits:
        talk.protocol.resumeProducing()
        parts.append(talk.wait(0))
    assert len(parts) > 5
    assert max(sum(map(len, each)) for each in parts) < 1 << 18
    assert sum(map(len, parts)) == count + 1
    other.send(b"c EXPUNGE")
    parts = [talk.send(b"d NOOP")]
    while talk.protocol.busy or talk.protocol.output_waits:
        talk.protocol.resumeProducing()
        parts.append(talk.wait(0))
    assert max(sum(map(len, each)) for each in parts) < 1 << 18
    assert sum(map(len, parts)) == count + 2  # RECENT, and the answer


@pytest.fixture
def turns(monkeypatch: pytest.MonkeyPatch) -> Callable[[Talk, bytes, bytes], int]:
    """
    How often a command would let others have their turn, if it took all the time there is.
    """
    taken = 0

    def later(*arguments: Any) -> Any:
        nonlocal taken
        taken += 1
        return deferLater(*arguments)

    def count(talk: Talk, command: bytes, end: bytes) -> int:
        monkeypatch.setattr(line, "TURN", -1.0)
        monkeypatch.setattr(line, "deferLater", later)
        said = talk.send(command) + talk.wait(0)
        assert said[-1].startswith(end)
        return taken

    return count


@pytest.mark.parametrize("command", [b'LIST "" ', b'LSUB "" '])
@pytest.mark.parametrize("pattern", [b"*a%" * 25 + b"b", b"*", b"%a%a%a", b"%/%"])
def test_long_lists_of_mailboxes_hold_up_nobody(
    server: Any, turns: Any, monkeypatch: pytest.MonkeyPatch, command: bytes, pattern: bytes
) -> None:
    """PAR-08, AB-09: whatever the pattern, others have their turn every few names."""
    names = [f"{number:05d}" + "a" * 495 for number in range(2_000)]

    async def mailboxes(_self: MemoryAccount) -> Sequence[MailboxInfo]:
        return [MailboxInfo(name) for name in names]

    async def subscriptions(_self: MemoryAccount) -> Sequence[str]:
        return names

    monkeypatch.setattr(MemoryAccount, "mailboxes", mailboxes)
    monkeypatch.setattr(MemoryAccount, "subscriptions", subscriptions)
    talk = server.login("imap")
    assert turns(talk, b"t " + command + pattern, b"t OK") >= len(names) / 40


@pytest.mark.parametrize(
    "command", [b"TOP 1 4294967295", b"TOP 1 30000", b"RETR 1", b"UIDL", b"LIST"]
)
def test_long_answers_of_pop3_hold_up_nobody(server: Any, turns: Any, command: bytes) -> None:
    """AB-09: a message of empty lines, and a maildrop of many messages."""
    account = server.accounts.of("amy")
    account.deliver("INBOX", b"Subject: x\r\n\r\n" + b"\r\n" * (1 << 19))
    for _ in range(10_000):
        account.deliver("INBOX", b"Subject: x\r\n\r\n")
    assert turns(server.login("pop3"), command, b".") >= 4


def test_a_top_has_the_lines_it_was_asked_for(server: Any) -> None:
    """RFC 1939 section 7, over the seams of the slices."""
    account = server.accounts.of("amy")
    body = b"".join(b"%d\r\n" % number for number in range(5_000))
    account.deliver("INBOX", b"Subject: x\r\n\r\n" + body + b"end")
    talk = server.login("pop3")
    for lines in (0, 1, 1023, 1024, 1025, 2048, 4999, 5000):
        said = talk.send(b"TOP 1 %d" % lines) + talk.wait(0)
        assert said[-1] == b"."
        assert said[-2] == (b"%d" % (lines - 1) if lines else b"")
    assert (talk.send(b"TOP 1 5001") + talk.wait(0))[-2:] == [b"end", b"."]


# ---- and that it comes back ---------------------------------------------------------------------


def greeting(talk: Talk) -> None:
    pass


def handshake(talk: Talk) -> None:
    talk.send(b"a STARTTLS")


def exchange(talk: Talk) -> None:
    talk.send(b"a AUTHENTICATE LOGIN", b"YW15")


def a_literal(talk: Talk) -> None:
    talk.send(b"a LOGIN amy secret")
    talk.send(b"b SELECT {5}", b"IN")


def a_message(talk: Talk) -> None:
    talk.send(b"a LOGIN amy secret", b"b APPEND INBOX {500}", b"Subject: half")


def a_fetch(talk: Talk) -> None:
    talk.send(b"a LOGIN amy secret", b"b SELECT INBOX")
    talk.protocol.pauseProducing()
    talk.send(b"c FETCH 1:* BODY[]")


def an_idle(talk: Talk) -> None:
    talk.send(b"a LOGIN amy secret", b"b SELECT INBOX", b"c IDLE")


def a_login(talk: Talk) -> None:
    talk.send(b"a LOGIN slow secret", b"b SELECT INBOX")


def a_failure(talk: Talk) -> None:
    talk.send(b"a LOGIN amy wrong")


EXITS = [
    *(greeting, handshake, exchange, a_literal, a_message, a_fetch, an_idle, a_login, a_failure)
]


def ours() -> Counter[str]:
    """
    Objects of ours, and those that wait for something.
    """
    gc.collect()
    return Counter(
        kind.__name__
        for kind in map(type, gc.get_objects())
        if str(kind.__module__).startswith("mailaccess.")
        or kind.__name__ in ("Deferred", "coroutine")
    )


@pytest.mark.parametrize("way", EXITS, ids=lambda way: way.__name__)
def test_nothing_stays_of_those_who_hang_up(server: Any, way: Callable[[Talk], None]) -> None:
    """AB-11, AB-12: hundreds that hang up in the middle of it leave no object, timer or count."""

    waiting: list[Deferred[None]] = []

    async def before() -> None:
        if server.checker.asked[-1] == "slow":
            waiting.append(Deferred())
            await waiting[-1]

    server.places = Connections(Allowance(before_login=1))
    server.checker.before = before
    account = server.accounts.of("amy")
    for _ in range(3):
        account.deliver("INBOX", b"Subject: x\r\n\r\n" + b"x" * 100_000)
    factory = server.throttled(server.factory("imap"), Throttle(server.clock, longest=0.001))

    def once() -> None:
        talk = server.connect("imap", factory)
        assert not talk.protocol.closing
        way(talk)
        talk.hang_up()
        waiting.clear()
        server.checker.asked.clear()

    # Twisted keeps the latest events, and with them who logged them, until a log is begun.
    for _ in range(200):
        once()
    server.clock.advance(1)
    before_them = ours()
    for _ in range(200):
        once()
    server.clock.advance(1)
    assert not ours() - before_them
    assert server.places.counted() == server.places.total == 0
    assert server.sweep.members == factory.connections == set()
    assert factory.literals == {}
    assert account.sessions == 0
    assert len(server.clock.getDelayedCalls()) == 1  # the sweep's own


def test_the_limits_are_those_that_are_documented() -> None:
    """AB-01 to AB-06."""
    limits = Limits()
    assert (limits.handshake_seconds, limits.first_seconds, limits.login_seconds) == (10, 30, 120)
    assert limits.idle_seconds >= 1800
    assert limits.stall_seconds <= 300
    assert (limits.mistakes_before_login, limits.mistakes, limits.failed_logins) == (3, 20, 3)
