"""
What holds for every command: greeting, tags, states, and an end to nonsense.
"""

from __future__ import annotations

import random
from typing import Any

import pytest

from mailaccess.protocols.imap.commands import EXTENSIONS
from mailaccess.protocols.imap.registry import Registry, State
from mailaccess.testing.talk import Talk

ALL = {name: each for extension in EXTENSIONS for name, each in extension.commands.items()}


# ---- tags and states -----------------------------------------------------------------------------


def test_the_greeting_has_the_capabilities(house: Any) -> None:
    talk = Talk(house.factory(), house.clock)
    (greeting,) = talk.lines()
    (listed, done) = talk.send(b"a CAPABILITY")
    words = listed.removeprefix(b"* CAPABILITY ")
    assert greeting == b"* OK [CAPABILITY " + words + b"] mailaccess ready"
    assert words.split()[0] == b"IMAP4rev1"
    assert done == b"a OK CAPABILITY completed"


def test_no_version_is_shown_to_a_stranger(house: Any) -> None:
    """
    CODE-03.
    """
    talk = Talk(house.factory(), house.clock)
    said = talk.read() + b"".join(talk.send(b"a CAPABILITY", b"b ID NIL", b"c FOO", b"d LOGOUT"))
    assert b"0." not in said
    assert b"ython" not in said
    assert b"wisted" not in said


@pytest.mark.parametrize(
    "name", sorted(name for name, each in ALL.items() if each.states != State.ANY)
)
def test_a_command_in_the_wrong_state_is_bad(house: Any, name: bytes) -> None:
    """
    RFC 3501 section 3.
    """
    command = ALL[name]
    stranger, user = house.connect(), house.login()
    user.protocol.registry = stranger.protocol.registry
    if not command.states & State.NOT_AUTHENTICATED:
        assert stranger.send(b"a " + name) == [b"a BAD not in this state"]
    if not command.states & State.AUTHENTICATED:
        assert user.send(b"a " + name) == [b"a BAD not in this state"]


@pytest.mark.parametrize(
    ("line", "reply"),
    [
        (b"", b"* BAD expected a tag"),
        (b" ", b"* BAD expected a tag"),
        (b"+ NOOP", b"* BAD expected a tag"),
        (b"a+b NOOP", b"* BAD expected a tag"),
        (b"a* NOOP", b"* BAD expected a tag"),
        (b"(a NOOP", b"* BAD expected a tag"),
        (b"\xe4 NOOP", b"* BAD expected a tag"),
        (b"a\x00 NOOP", b"* BAD expected a tag"),
        (b"a" * 300 + b" NOOP", b"* BAD expected a tag"),
        (b"a", b"a BAD unknown command"),
        (b"a ", b"a BAD unknown command"),
        (b"a  NOOP", b"a BAD unknown command"),
        (b"a FROBNICATE", b"a BAD unknown command"),
        (b"a UID", b"a BAD unknown command"),
        (b"a UID NOOP", b"a BAD unknown command"),
        (b"a NOOP ", b"a BAD expected end of command at 6"),
        (b"a NOOP x", b"a BAD expected end of command at 6"),
        (b"a NOOP\x00", None),
        (b"a NOOP\xff", None),
        (b"a SELECT \x00", None),
        (b'a SELECT "x', None),
        (b'a SELECT "x\\', None),
        (b'a SELECT "\\x"', None),
        (b"a SELECT x\ry", None),
        (b"a SELECT \xff", None),
        (b"a SELECT ((((", None),
    ],
)
def test_what_is_not_a_command_is_bad_and_the_next_one_is_run(
    talk: Talk, line: bytes, reply: bytes | None
) -> None:
    """
    PAR-05.
    """
    first, second = talk.send(line, b"b NOOP")
    assert first == reply if reply else first.startswith(b"a BAD ")
    assert second == b"b OK NOOP completed"


def test_commands_and_words_have_no_case(talk: Talk) -> None:
    assert talk.send(b"a nOoP", b"b capability")[0] == b"a OK NOOP completed"
    assert talk.send(b"c sTaTuS INBOX (mEssages)")[0] == b"* STATUS INBOX (MESSAGES 64)"


def test_logout_says_bye_first_and_nothing_is_run_after_it(talk: Talk) -> None:
    """
    RFC 3501 section 6.1.3.
    """
    assert talk.send(b"a LOGOUT", b"b NOOP") == [
        b"* BYE Logging out",
        b"a OK LOGOUT completed",
    ]
    assert talk.transport.disconnecting


def test_how_the_octets_were_cut_on_the_way_changes_nothing(house: Any) -> None:
    """
    The same conversation, whole and in random pieces.
    """
    said = (
        b"a LOGIN {3+}\r\namy {6+}\r\nsecret\r\nb SELECT INBOX\r\nc IDLE\r\nDONE\r\n"
        b'd CREATE "x y"\r\ne LIST "" *\r\nf FOO {3+}\r\nabc\r\ng STATUS {3+}\r\nx y (UIDNEXT)\r\n'
        b"h CLOSE\r\ni LOGOUT\r\n"
    )
    whole = house.connect().raw(said)
    assert whole[-1] == b"i OK LOGOUT completed"
    chance = random.Random(1)
    for _ in range(20):
        house.accounts.of("amy").folders.pop("x y", None)
        house.accounts.of("amy")._validity = 1
        talk, lines, rest = house.connect(), [], said
        while rest:
            size = chance.randrange(1, 12)
            lines += talk.raw(rest[:size])
            rest = rest[size:]
        assert lines == whole


# ---- bad commands --------------------------------------------------------------------------------


def test_a_stranger_has_three_bad_commands(house: Any) -> None:
    """
    AB-06.
    """
    talk = house.connect()
    assert talk.send(b"a X", b"b Y", b"c Z", b"d LOGIN amy secret") == [
        b"a BAD unknown command",
        b"b BAD unknown command",
        b"c BAD unknown command",
        b"* BYE Too many bad commands",
    ]
    assert talk.transport.disconnecting
    assert house.checker.asked == []


def test_a_user_has_twenty_bad_commands_in_a_row(talk: Talk) -> None:
    """
    AB-06.
    """
    assert len(talk.send(*[b"a X"] * 19)) == 19
    assert talk.send(b"b NOOP", *[b"a X"] * 19)[-1] == b"a BAD unknown command"
    assert talk.send(b"a X", b"c NOOP") == [
        b"a BAD unknown command",
        b"* BYE Too many bad commands",
    ]


@pytest.mark.parametrize(
    "line",
    [
        b"GET / HTTP/1.1",
        b"POST /x HTTP/1.1",
        b"POST /a b c",
        b"OPTIONS * HTTP/1.1",
        b"PRI * HTTP/2.0",
        b"get / http/1.0",
        b"BREW /pot HTTP/1.1",
    ],
)
def test_a_browser_is_turned_away_and_nothing_of_it_is_said_back(house: Any, line: bytes) -> None:
    """
    TLS-18: a login in the body of its request is not run.
    """
    talk = house.connect()
    assert talk.send(line, b"Host: x", b"", b"a LOGIN amy secret") == [
        b"* BYE This is an IMAP server"
    ]
    assert talk.transport.disconnecting
    assert house.checker.asked == []


def test_a_tls_handshake_where_none_was_asked_for_is_turned_away(house: Any) -> None:
    """
    TLS-18: at once, though it has no line end.
    """
    talk = house.connect()
    assert talk.raw(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(400)) == [
        b"* BYE No TLS here"
    ]
    assert talk.transport.disconnecting


def test_a_command_cannot_be_declared_twice() -> None:
    with pytest.raises(ValueError, match="declared twice"):
        Registry([*EXTENSIONS, *EXTENSIONS])


@pytest.mark.parametrize(
    "numbers",
    [
        b"0",
        b"00",
        b"01",
        b"4294967296",
        b"9223372036854775808",
        b"1:0",
        b"1:",
        b":1",
        b"1,,2",
        b"-1",
    ],
)
def test_what_is_no_number_is_bad(selected: Talk, numbers: bytes) -> None:
    """
    PAR-06.
    """
    assert selected.send(b"a FETCH " + numbers + b" FLAGS")[-1].startswith(b"a BAD ")
    assert selected.send(b"b UID FETCH " + numbers + b" FLAGS")[-1].startswith(b"b BAD ")


@pytest.mark.parametrize(
    ("numbers", "count"),
    [(b"1:*", 64), (b"*:1", 64), (b"4294967295:*", 1), (b"4294967295", 0), (b"1:4294967295", 64)],
)
def test_a_set_costs_what_is_written_not_what_it_spans(
    selected: Talk, numbers: bytes, count: int
) -> None:
    """
    PAR-06.
    """
    lines = selected.send(b"a UID FETCH " + numbers + b" UID")
    assert len(lines) == count + 1


def test_no_conversation_gives_a_connection_new_attributes(selected: Talk, house: Any) -> None:
    """
    AB-07: what an instance is made with is all it has; else each pays for a dictionary of its own.
    """
    made = {*vars(selected.protocol.factory.buildProtocol(None)), "connected", "transport", "_link"}
    selected.send(b"a X", b"b IDLE", b"DONE", b"c FETCH 1:* FLAGS", b"d SELECT INBOX", b"e LOGOUT")
    selected.clock.pump([10.0] * 5)
    failed = house.connect()
    failed.send(b"a LOGIN amy wrong", b"b AUTHENTICATE PLAIN")
    failed.protocol.shut_down()
    failed.clock.pump([10.0] * 20)
    for each in (selected, failed):
        each.hang_up()
        assert set(vars(each.protocol)) <= made
    assert len(made) <= 30
