"""
Literals and lines: what is granted, what is refused, what is dropped.
"""

from __future__ import annotations

from typing import Any

import pytest

from mailaccess.testing.memory import MemoryAccount
from mailaccess.testing.talk import Talk


def test_a_literal_is_granted_and_read(talk: Talk, account: MemoryAccount) -> None:
    assert talk.send(b"a CREATE {3}") == [b"+ Ready"]
    assert talk.send(b"abc") == [b"a OK CREATE completed"]
    assert "abc" in account.folders


def test_octets_of_a_literal_are_never_commands(talk: Talk, account: MemoryAccount) -> None:
    """
    PAR-04: also where the command is wrong.
    """
    assert (
        talk.send(b"a FOO {15+}", b"b DELETE INBOX", b"", b"c NOOP")[0] == b"a BAD unknown command"
    )
    assert talk.send(b"d CREATE {12+}", b"x DELETE abc")[-1] == b"d OK CREATE completed"
    assert "x DELETE abc" in account.folders


@pytest.mark.parametrize(
    "size",
    [b"{4097}", b"{131073}", b"{999999999999}", b"{9223372036854775807}"],
)
def test_a_literal_over_the_limit_is_not_granted(house: Any, size: bytes) -> None:
    """
    PAR-01, PAR-04: RFC 7888 section 4.
    """
    talk = house.connect()
    assert talk.send(b"a LOGIN " + size) == [b"a BAD [TOOBIG] literal too big"]
    assert talk.send(b"b NOOP") == [b"b OK NOOP completed"]


def test_a_literal_over_the_limit_that_comes_anyway_is_dropped(house: Any) -> None:
    talk = house.connect()
    assert talk.send(b"a LOGIN {5000+}") == [b"a BAD [TOOBIG] literal too big"]
    assert talk.raw(b"b NOOP\r\n" * 625) == []
    assert talk.send(b" rest", b"c NOOP") == [b"c OK NOOP completed"]


@pytest.mark.parametrize("size", [b"{131073+}", b"{999999999999+}"])
def test_a_big_literal_that_comes_anyway_ends_the_session(house: Any, size: bytes) -> None:
    """
    PAR-04: BAD and BYE.
    """
    talk = house.connect()
    assert talk.send(b"a LOGIN " + size, b"b LOGIN amy secret") == [
        b"a BAD [TOOBIG] literal too big",
        b"* BYE Literal too big",
    ]
    assert talk.transport.disconnecting


@pytest.mark.parametrize(
    "size", [b"{-5}", b"{1 }", b"{}", b"{x}", b"{+}", b"{9223372036854775808}", b"{1++}"]
)
def test_braces_without_a_size_are_bad(talk: Talk, size: bytes) -> None:
    """
    PAR-04, PAR-06.
    """
    lines = talk.send(b"a CREATE " + size)
    assert lines[0].startswith(b"a BAD ")
    if not talk.transport.disconnecting:
        assert size[-2:] != b"+}"
        assert talk.send(b"b NOOP") == [b"b OK NOOP completed"]


def test_a_size_that_cannot_be_told_ends_the_session_if_the_client_goes_on(talk: Talk) -> None:
    lines = talk.send(b"a CREATE {99999999999999999999+}", b"b DELETE INBOX")
    assert lines[0].startswith(b"a BAD ")
    assert lines[1] == b"* BYE Cannot tell what follows"
    assert len(lines) == 2


def test_many_small_literals_are_too_many(house: Any, talk: Talk) -> None:
    """
    PAR-01: ten before the login. PAR-02: a thousand after it.
    """
    stranger = house.connect()
    lines = stranger.send(b"a ID (" + b"{0+}\r\n " * 11)
    assert lines[0] == b"a BAD [TOOBIG] literal too big"
    lines = talk.send(b"a ID (" + b"{0+}\r\n " * 1001)
    assert lines[0] == b"a BAD [TOOBIG] literal too big"


def test_a_line_over_the_limit_is_bad_and_the_next_is_run(house: Any, talk: Talk) -> None:
    """
    PAR-01: 8 KiB before the login. PAR-02: 64 KiB after it.
    """
    stranger = house.connect()
    assert stranger.send(b"a NOOP " + b"x" * 8192, b"b NOOP") == [
        b"a BAD line too long",
        b"b OK NOOP completed",
    ]
    assert talk.send(b"a NOOP " + b"x" * 60000)[0].startswith(b"a BAD expected end")
    assert talk.send(b"a NOOP " + b"x" * 65536, b"b NOOP") == [
        b"a BAD line too long",
        b"b OK NOOP completed",
    ]


@pytest.mark.parametrize("count", [8000, 60000])
@pytest.mark.parametrize(
    "command", [b"SELECT ", b'LIST "" ', b"STATUS INBOX ", b"ID ", b"ENABLE ", b"LOGIN "]
)
def test_many_parentheses_are_bad_at_once(house: Any, command: bytes, count: int) -> None:
    """
    PAR-03.
    """
    talk = house.connect() if command in (b"ID ", b"LOGIN ") else house.login()
    (reply,) = talk.send(b"a " + command + b"(" * count)
    assert reply.startswith(b"a BAD ")
    assert len(reply) < 100
