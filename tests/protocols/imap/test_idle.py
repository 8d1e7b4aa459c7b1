"""
IDLE: RFC 2177.
"""

from __future__ import annotations

import gc
import tracemalloc
from typing import Any

from twisted.internet.defer import Deferred

from mailaccess.errors import StoreFailed
from mailaccess.testing.memory import MemoryAccount
from mailaccess.testing.talk import Talk


def test_news_is_told_at_once(selected: Talk, account: MemoryAccount) -> None:
    """
    RFC 2177 section 1: deliveries, flags and expunges of others.
    """
    assert selected.send(b"a IDLE") == [b"+ idling"]
    account.deliver("INBOX", b"\r\n")
    assert selected.lines() == [b"* 65 EXISTS", b"* 65 RECENT"]
    account.folder("INBOX").change_flags([3], "add", ["\\Seen"])
    assert selected.lines() == [b"* 3 FETCH (FLAGS (\\Seen \\Recent))"]
    account.folder("INBOX").remove([1, 2])
    assert selected.lines() == [b"* 1 EXPUNGE", b"* 1 EXPUNGE", b"* 63 RECENT"]
    assert selected.send(b"DONE") == [b"a OK IDLE completed"]


def test_what_happened_before_idle_is_told_when_it_begins(
    selected: Talk, account: MemoryAccount
) -> None:
    account.deliver("INBOX", b"\r\n")
    assert selected.send(b"a IDLE") == [b"+ idling", b"* 65 EXISTS", b"* 65 RECENT"]


def test_only_done_ends_it(selected: Talk, account: MemoryAccount) -> None:
    """
    RFC 2177 section 3: nothing else may be sent; what is, is not run and does not end it.
    """
    selected.send(b"a IDLE")
    assert selected.send(b"b NOOP") == [b"b BAD expected DONE"]
    assert selected.send(b"c LOGOUT", b"") == [b"c BAD expected DONE", b"* BAD expected DONE"]
    assert selected.send(b"d SELECT {4+}", b"DONES") == [
        b"d BAD expected DONE",
        b"DONES BAD expected DONE",
    ]
    account.deliver("INBOX", b"\r\n")
    assert selected.lines() == [b"* 65 EXISTS", b"* 65 RECENT"]
    assert selected.send(b"done") == [b"a OK IDLE completed"]
    assert selected.send(b"e NOOP") == [b"e OK NOOP completed"]


def test_too_many_other_lines_end_the_session(selected: Talk) -> None:
    """
    AB-06.
    """
    selected.send(b"a IDLE")
    lines = selected.send(*[b"b NOOP"] * 30)
    assert lines == [b"b BAD expected DONE"] * 20 + [b"* BYE Too many bad commands"]
    assert selected.transport.disconnecting


def test_a_line_without_end_is_refused(selected: Talk) -> None:
    selected.send(b"a IDLE")
    assert selected.raw(b"x" * 600) == [b"* BAD expected DONE"]
    assert selected.raw(b"x" * 60000) == []
    assert selected.raw(b"\r\nDONE\r\n") == [b"a OK IDLE completed"]


def test_done_may_come_in_pieces_and_with_the_next_command(selected: Talk) -> None:
    selected.send(b"a IDLE")
    assert selected.raw(b"DO") == []
    assert selected.raw(b"NE\r") == []
    assert selected.raw(b"\nb NOOP\r\n") == [b"a OK IDLE completed", b"b OK NOOP completed"]
    assert selected.send(b"c IDLE", b"DONE", b"d NOOP") == [
        b"+ idling",
        b"c OK IDLE completed",
        b"d OK NOOP completed",
    ]


def test_idle_without_a_mailbox_waits_too(talk: Talk) -> None:
    assert talk.send(b"a IDLE") == [b"+ idling"]
    assert talk.send(b"DONE") == [b"a OK IDLE completed"]


def test_idle_needs_a_login(house: Any) -> None:
    assert house.connect().send(b"a IDLE") == [b"a BAD not in this state"]


def test_nobody_is_called_after_idle(selected: Talk, account: MemoryAccount) -> None:
    selected.send(b"a IDLE", b"DONE")
    assert account.folder("INBOX").watchers == []
    account.deliver("INBOX", b"\r\n")
    assert selected.lines() == []
    selected.send(b"b IDLE")
    selected.hang_up()
    assert account.folder("INBOX").watchers == []


def test_news_while_the_store_is_asked_is_told_afterwards_and_done_waits(
    selected: Talk, account: MemoryAccount
) -> None:
    """
    CODE-04: DONE is answered after the news that was being looked up.
    """
    selected.send(b"a IDLE")
    asked: list[Deferred[None]] = []

    def slow() -> Deferred[None]:
        asked.append(Deferred())
        return asked[-1]

    account.before = slow
    account.deliver("INBOX", b"\r\n")
    account.before = None
    account.deliver("INBOX", b"\r\n")
    assert selected.send(b"DONE") == []
    asked[0].callback(None)
    assert selected.lines() == [b"* 66 EXISTS", b"* 66 RECENT", b"a OK IDLE completed"]


def test_a_store_that_refuses_does_not_end_idle(selected: Talk, account: MemoryAccount) -> None:
    """
    What could not be told is told with the next news.
    """
    selected.send(b"a IDLE")

    async def fails() -> None:
        raise StoreFailed(detail="EIO")

    account.before = fails
    account.deliver("INBOX", b"\r\n")
    assert selected.lines() == []
    account.before = None
    account.deliver("INBOX", b"\r\n")
    assert selected.lines() == [b"* 66 EXISTS", b"* 66 RECENT"]


def test_a_fault_while_idle_is_answered_and_the_session_goes_on(
    selected: Talk, account: MemoryAccount
) -> None:
    """
    PAR-12, CODE-02.
    """
    selected.send(b"a IDLE")

    async def fails() -> None:
        raise RuntimeError("/var/mail/amy")

    account.before = fails
    account.deliver("INBOX", b"\r\n")
    (reply,) = selected.lines()
    assert reply.startswith(b"a NO [SERVERBUG] Internal error, session ")
    assert b"var" not in reply
    account.before = None
    assert selected.send(b"b NOOP") == [b"* 65 EXISTS", b"* 65 RECENT", b"b OK NOOP completed"]


def test_a_silent_idle_gets_a_word_every_two_minutes(
    selected: Talk, account: MemoryAccount
) -> None:
    """
    AB-04.
    """
    selected.send(b"a IDLE")
    assert selected.wait(119) == []
    assert selected.wait(2) == [b"* OK Still here"]
    assert selected.wait(60) == []
    account.deliver("INBOX", b"\r\n")
    assert selected.lines() == [b"* 65 EXISTS", b"* 65 RECENT"]
    assert selected.wait(119) == []
    assert selected.wait(2) == [b"* OK Still here"]
    assert selected.send(b"DONE") == [b"a OK IDLE completed"]
    assert selected.wait(500) == []


def test_a_client_that_does_not_read_gets_no_further_word(selected: Talk) -> None:
    selected.send(b"a IDLE")
    selected.protocol.pauseProducing()
    assert selected.wait(130) == []


def pass_time(talk: Talk, seconds: int) -> list[bytes]:
    talk.clock.pump([10.0] * (seconds // 10))
    return talk.lines()


def test_idle_ends_with_bye_half_an_hour_after_the_last_word_of_the_client(
    selected: Talk,
) -> None:
    """
    AB-04: at least 30 minutes; our own words do not count.
    """
    selected.send(b"a IDLE")
    assert set(pass_time(selected, 1800)) == {b"* OK Still here"}
    assert not selected.transport.disconnecting
    assert b"* BYE Idle timeout" in pass_time(selected, 120)
    assert selected.transport.disconnecting


def test_a_server_that_stops_says_bye_to_those_who_idle(selected: Talk) -> None:
    """
    DS-17.
    """
    selected.send(b"a IDLE")
    gone = selected.protocol.factory.stop_gracefully()
    assert selected.lines() == [b"* BYE Server shutting down"]
    assert selected.transport.disconnecting
    selected.hang_up()
    assert gone.called


def test_a_burst_of_news_is_looked_up_once_while_the_client_does_not_read(
    selected: Talk, account: MemoryAccount
) -> None:
    """
    PAR-10: nothing gathers while output waits.
    """
    selected.send(b"a IDLE")
    selected.protocol.pauseProducing()
    for _ in range(50):
        account.deliver("INBOX", b"\r\n")
    assert selected.lines() == []
    selected.protocol.resumeProducing()
    assert selected.lines() == [b"* 114 EXISTS", b"* 114 RECENT"]


def test_a_session_in_idle_costs_little_more_than_one_that_is_not(house: Any) -> None:
    """
    AB-07: no coroutine, no Deferred, no timer for each of ten thousand who wait.
    """
    house.accounts.of("amy")
    factory = house.factory()
    talks = [house.login(factory=factory) for _ in range(201)]
    for each in talks:
        each.send(b"a SELECT INBOX", b"b NOOP")
    talks.pop().send(b"c IDLE")  # what is made once
    gc.collect()
    tracemalloc.start()
    for each in talks:
        each.protocol.dataReceived(b"c IDLE\r\n")
        each.transport.clear()
    gc.collect()
    taken = tracemalloc.get_traced_memory()[0] / len(talks)
    tracemalloc.stop()
    assert all(each.protocol.idling is not None for each in talks)
    assert not any(each.protocol.busy for each in talks)
    assert taken < 1000
