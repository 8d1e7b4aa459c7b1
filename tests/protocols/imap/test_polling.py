"""
A client that polls gets the same answers, whether or not they come by the short way.
"""

from __future__ import annotations

from typing import Any

import pytest

from mailaccess.protocols.imap.polling import Polls
from mailaccess.testing.talk import Talk

INPUT = (
    b"a NOOP\r\nb NOOP\r\nc CAPABILITY\r\nd noop\r\ne NOOP x\r\n"
    b"f NOOP\nNOOP\r\ng NOOP\r\nh NOOP\r\n"
)


@pytest.fixture
def not_passed_over(monkeypatch: pytest.MonkeyPatch) -> Any:
    return lambda: monkeypatch.setattr(Polls, "answer", lambda _self, _data: None)


def test_answers_do_not_depend_on_how_the_input_is_cut(talk: Talk, not_passed_over: Any) -> None:
    """PAR-12: one tagged reply each, in order, at every cut."""
    cut = []
    for at in range(len(INPUT)):
        talk.protocol.mistakes = 0
        cut.append(talk.raw(INPUT[:at]) + talk.raw(INPUT[at:]))
    not_passed_over()
    talk.protocol.mistakes = 0
    usual = talk.raw(INPUT)
    assert all(each == usual for each in cut)
    assert len([each for each in usual if b" OK NOOP completed" in each]) == 6


def test_many_polls_in_one_segment_are_answered_in_order(talk: Talk) -> None:
    lines = talk.send(*(b"a%d NOOP" % each for each in range(3000)))
    assert lines == [b"a%d OK NOOP completed" % each for each in range(3000)]


def test_news_come_with_the_first_of_the_polls(selected: Talk, account: Any) -> None:
    account.deliver("INBOX", b"Subject: new\r\n\r\n")
    lines = selected.send(b"a NOOP", b"b NOOP")
    assert lines[:1] == [b"* 65 EXISTS"]
    assert lines[-2:] == [b"a OK NOOP completed", b"b OK NOOP completed"]


def test_a_poll_before_login_is_answered_too(house: Any) -> None:
    talk = house.connect()
    assert talk.send(b"a NOOP") == [b"a OK NOOP completed"]
    assert talk.send(b"b NOOP", b"c NOOP") == [b"b OK NOOP completed", b"c OK NOOP completed"]


def test_what_looks_like_a_poll_inside_a_literal_is_none(talk: Talk) -> None:
    """PAR-01: octets of a literal are never read as commands."""
    assert talk.send(b"a STATUS {9}") == [b"+ Ready"]
    assert talk.raw(b"b NOOP\r\n") == []
    assert not any(each.startswith(b"b ") for each in talk.raw(b"x (MESSAGES)\r\n"))
    assert talk.send(b"c NOOP") == [b"c OK NOOP completed"]


def test_what_looks_like_a_poll_in_a_dropped_line_is_none(talk: Talk) -> None:
    """The rest of a line over the limit is dropped, whatever is in it."""
    talk.raw(b"a LOGIN " + b"x" * 70000)
    talk.read()
    assert talk.raw(b" NOOP\r\n") == []
    assert talk.send(b"b NOOP") == [b"b OK NOOP completed"]


def test_a_poll_in_idle_is_not_answered(selected: Talk) -> None:
    """RFC 2177 section 3: nothing but DONE may be sent."""
    assert selected.send(b"a IDLE")[0].startswith(b"+")
    assert selected.send(b"b NOOP") == [b"b BAD expected DONE"]


def test_a_client_that_reads_nothing_gets_no_more_answers(talk: Talk) -> None:
    """PAR-10: back-pressure holds for polls as for everything."""
    talk.protocol.pauseProducing()
    assert talk.send(b"a NOOP") == []
    talk.protocol.resumeProducing()
    assert talk.lines() == [b"a OK NOOP completed"]


def test_polls_count_as_good_commands(talk: Talk) -> None:
    """Mistakes with good commands between them do not add up, once logged in."""
    for _ in range(50):
        assert talk.send(b"a NONSENSE") == [b"a BAD unknown command"]
        assert talk.send(b"b NOOP") == [b"b OK NOOP completed"]


def test_no_polls_means_no_short_way() -> None:
    assert Polls(()).answer(b"a NOOP\r\n") is None
    assert Polls((b"NOOP", b"NEWS")).answer(b"a NEWS\r\nb NOOP\r\n") == (
        b"a OK NEWS completed\r\nb OK NOOP completed\r\n"
    )
    assert Polls((b"NOOP",)).answer(b"a NOOP\r\nb NEWS\r\n") is None
