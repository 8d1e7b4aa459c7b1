"""
A maildrop in use: RFC 1939 sections 5 to 7.
"""

from __future__ import annotations

import re
from typing import Any

import pytest
from twisted.internet.defer import Deferred

from mailaccess.errors import StoreFailed
from mailaccess.interfaces import SEEN
from mailaccess.protocols.pop3.maildrop import Maildrop
from mailaccess.protocols.pop3.options import POP3Options
from mailaccess.testing.talk import Talk

from .conftest import ONE, THREE, TWO

TOTAL = len(ONE) + len(TWO) + len(THREE)


def unstuff(lines: list[bytes]) -> bytes:
    """
    The message of a multi-line reply.
    """
    assert lines[-1] == b"."
    return b"".join((line[1:] if line.startswith(b".") else line) + b"\r\n" for line in lines[1:-1])


def test_stat_and_list_count_octets_with_crlf(drop: Talk) -> None:
    assert drop.send(b"STAT") == [b"+OK 3 %d" % TOTAL]
    assert drop.send(b"LIST") == [
        b"+OK 3 messages, %d octets" % TOTAL,
        b"1 %d" % len(ONE),
        b"2 %d" % len(TWO),
        b"3 %d" % len(THREE),
        b".",
    ]
    assert drop.send(b"LIST 2") == [b"+OK 2 %d" % len(TWO)]


def test_a_message_comes_back_octet_for_octet(drop: Talk) -> None:
    """MIME-02; peers' fault: doubled CR, dots lost."""
    assert unstuff(drop.send(b"RETR 1")) == ONE
    assert unstuff(drop.send(b"RETR 2")) == TWO
    assert unstuff(drop.send(b"RETR 3")) == THREE + b"\r\n"


def test_top_gives_the_header_and_so_many_lines(drop: Talk) -> None:
    assert unstuff(drop.send(b"TOP 1 0")) == b"Subject: one\r\n\r\n"
    assert unstuff(drop.send(b"TOP 1 2")) == b"Subject: one\r\n\r\nfirst line\r\n.\r\n"
    assert unstuff(drop.send(b"TOP 1 4294967295")) == ONE


def test_unique_ids_outlive_sessions_and_flags(office: Any, box: Any, drop: Talk) -> None:
    """DS-15: the same in the next session, whatever happened to flags and other messages."""
    first = drop.send(b"UIDL")
    for line in first[1:-1]:
        assert re.fullmatch(rb"[1-9][0-9]* [!-~]{1,70}", line)
    drop.send(b"DELE 1", b"QUIT")
    drop.hang_up()
    box.folder("INBOX").change_flags([2], "add", ["\\Flagged"])
    again = office.login().send(b"UIDL")
    assert [line.split()[1] for line in again[1:-1]] == [line.split()[1] for line in first[2:-1]]


def test_a_deleted_message_is_hidden_and_numbers_stay(drop: Talk) -> None:
    assert drop.send(b"DELE 1") == [b"+OK Message 1 marked"]
    for command in (b"RETR 1", b"DELE 1", b"LIST 1", b"UIDL 1", b"TOP 1 0"):
        assert drop.send(command) == [b"-ERR no such message"]
    assert drop.send(b"STAT") == [b"+OK 2 %d" % (TOTAL - len(ONE))]
    assert drop.send(b"LIST")[1:-1] == [b"2 %d" % len(TWO), b"3 %d" % len(THREE)]
    drop.send(b"RSET")
    assert drop.send(b"STAT") == [b"+OK 3 %d" % TOTAL]


@pytest.mark.parametrize(
    "word", [b"0", b"4", b"-1", b"zzz", b"1e1", b"99999999999999999999", b"01", "²".encode()]
)
def test_a_number_that_is_none_gets_an_error(drop: Talk, word: bytes) -> None:
    """Peers' fault: DELE zzz ended the connection."""
    for command in (b"RETR ", b"DELE ", b"LIST ", b"UIDL "):
        assert drop.send(command + word)[0].startswith(b"-ERR")
    assert drop.send(b"NOOP") == [b"+OK"]


def test_deletions_happen_at_quit_and_not_before(box: Any, drop: Talk) -> None:
    """DS-15."""
    drop.send(b"DELE 1", b"DELE 3")
    assert len(box.folder("INBOX").messages) == 3
    assert drop.send(b"QUIT") == [b"+OK Bye"]
    assert list(box.folder("INBOX").messages) == [2]
    assert drop.transport.disconnecting


def test_a_connection_that_breaks_deletes_nothing(box: Any, drop: Talk) -> None:
    """DS-15."""
    drop.send(b"DELE 1")
    drop.hang_up()
    assert len(box.folder("INBOX").messages) == 3


def test_a_session_that_idles_out_deletes_nothing(office: Any, box: Any) -> None:
    """RFC 1939 section 3: at least ten minutes, then the end without an UPDATE. AB-04."""
    drop = office.login()
    drop.send(b"DELE 1")
    limit = drop.protocol.factory.limits.idle_seconds
    assert limit >= 600
    drop.clock.pump([1.0] * int(limit - 2))
    assert not drop.transport.disconnecting
    drop.clock.pump([1.0] * 4)
    assert drop.transport.disconnecting
    assert drop.lines() == []
    assert len(box.folder("INBOX").messages) == 3


def test_a_quit_that_fails_tells_the_truth(drop: Talk, monkeypatch: pytest.MonkeyPatch) -> None:
    """DS-15: -ERR, and nothing claimed."""

    async def fail(self: Maildrop, mark_seen: bool) -> None:
        raise StoreFailed(detail="disk")

    monkeypatch.setattr(Maildrop, "update", fail)
    drop.send(b"DELE 1")
    assert drop.send(b"QUIT") == [b"-ERR [SYS/TEMP] Some deleted messages not removed"]
    assert drop.transport.disconnecting


def test_retrieved_messages_are_seen_after_quit(office: Any, box: Any, drop: Talk) -> None:
    drop.send(b"RETR 2", b"QUIT")
    assert [each.flags & SEEN for each in box.folder("INBOX").messages.values()] == [0, SEEN, 0]


def test_the_site_may_leave_flags_alone(office: Any, box: Any) -> None:
    drop = office.login(options=POP3Options(mark_seen=False))
    drop.send(b"RETR 2", b"QUIT")
    assert [each.flags & SEEN for each in box.folder("INBOX").messages.values()] == [0, 0, 0]


def test_a_second_session_finds_the_maildrop_in_use(office: Any, drop: Talk) -> None:
    """RFC 2449 section 8.1.1."""
    second = office.connect()
    assert second.send(b"USER amy", b"PASS secret")[1].startswith(b"-ERR [IN-USE]")
    drop.send(b"QUIT")
    # The first client has not closed yet.
    assert second.send(b"USER amy", b"PASS secret")[1].startswith(b"+OK 3 messages")


def test_with_snapshots_each_session_keeps_its_own_view(office: Any) -> None:
    options = POP3Options(second_session="snapshot")
    first, second = office.login(options=options), office.login(options=options)
    first.send(b"DELE 1", b"QUIT")
    assert second.send(b"STAT") == [b"+OK 3 %d" % TOTAL]
    assert second.send(b"RETR 1") == [b"-ERR no such message"]
    assert second.send(b"DELE 1", b"QUIT")[-1] == b"+OK Bye"


def test_mail_that_arrives_is_for_the_next_session(office: Any, box: Any, drop: Talk) -> None:
    box.deliver("INBOX", b"Subject: four\r\n\r\n\r\n")
    assert drop.send(b"STAT") == [b"+OK 3 %d" % TOTAL]


def test_pipelined_commands_are_answered_in_order(drop: Talk) -> None:
    """CODE-04; RFC 2449 section 6.6."""
    replies = drop.send(b"NOOP", b"STAT", b"DELE 1", b"STAT", b"RSET", b"XYZZY", b"NOOP")
    assert [each.split()[0] for each in replies] == [b"+OK"] * 5 + [b"-ERR", b"+OK"]


def test_everything_in_one_packet_while_the_directory_is_slow(office: Any) -> None:
    """CODE-04: each command runs in the state the one before left."""
    gate: Deferred[None] = Deferred()
    office.house.checker.before = lambda: gate
    talk = office.connect()
    assert talk.send(b"USER amy", b"PASS secret", b"STAT", b"QUIT") == [b"+OK Send the password"]
    gate.callback(None)
    assert talk.lines() == [
        b"+OK 3 messages, %d octets" % TOTAL,
        b"+OK 3 %d" % TOTAL,
        b"+OK Bye",
    ]


def test_a_fault_of_ours_gets_a_reply_without_its_text(
    drop: Talk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """PAR-12, CODE-02."""

    async def broken(self: Maildrop, number: int) -> bytes:
        raise RuntimeError("/srv/mail/amy: secret detail")

    monkeypatch.setattr(Maildrop, "octets", broken)
    (reply,) = drop.send(b"RETR 1")
    assert reply.startswith(b"-ERR [SYS/TEMP] Internal error, session ")
    assert b"secret" not in reply
    assert drop.send(b"NOOP") == [b"+OK"]


def test_a_client_that_does_not_read_stops_the_server_reading(drop: Talk) -> None:
    """PAR-10."""
    drop.protocol.pauseProducing()
    assert drop.send(b"NOOP") == []
    drop.protocol.resumeProducing()
    assert drop.lines() == [b"+OK"]


def test_too_many_bad_commands_end_it(drop: Talk) -> None:
    """AB-06."""
    replies = drop.send(*[b"XYZZY"] * 25)
    assert replies[:20] == [b"-ERR unknown command"] * 20
    assert replies[20:] == [b"-ERR [SYS/TEMP] Too many bad commands"]
    assert drop.transport.disconnecting


def test_an_overlong_line_is_an_error_not_the_end(drop: Talk) -> None:
    """PAR-01; RFC 2449 section 4."""
    assert drop.send(b"NOOP " + b"x" * 300) == [b"-ERR line too long"]
    assert drop.send(b"NOOP") == [b"+OK"]
