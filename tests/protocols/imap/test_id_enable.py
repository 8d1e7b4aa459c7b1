"""
ID (RFC 2971) and ENABLE (RFC 5161).
"""

from __future__ import annotations

from typing import Any

import pytest
from twisted.logger import LogEvent, capturedLogs

from mailaccess import __version__
from mailaccess.protocols.imap.commands import EXTENSIONS
from mailaccess.protocols.imap.factory import IMAPFactory
from mailaccess.protocols.imap.registry import Extension
from mailaccess.testing.talk import Talk


def clients(events: list[LogEvent]) -> list[str]:
    return [each["client"] for each in events if each.get("event") == "client"]


def test_a_stranger_is_told_nothing_and_a_user_the_version(house: Any, talk: Talk) -> None:
    """
    CODE-03.
    """
    stranger = house.connect()
    assert stranger.send(b"a ID NIL") == [b"* ID NIL", b"a OK ID completed"]
    assert talk.send(b"a ID NIL") == [
        b'* ID ("name" "mailaccess" "version" "%b")' % __version__.encode(),
        b"a OK ID completed",
    ]


def test_what_a_client_says_of_itself_is_in_the_log_once(house: Any) -> None:
    talk = house.connect()
    with capturedLogs() as events:
        talk.send(b'a ID ("name" "Thunder\\"bird" "version" "128" "os" NIL)')
        talk.send(b'b ID ("name" "other")')
    assert clients(events) == ['name=Thunder"bird version=128']


def test_nothing_a_client_says_can_forge_a_log_line(house: Any) -> None:
    """
    AUTH-10.
    """
    talk = house.connect()
    with capturedLogs() as events:
        talk.send(b'a ID ("name" {19+}', b"x\r\n\x1b[0mlogin ok\xff\xe2\x80\xa8)")
    (said,) = clients(events)
    assert said.isprintable()
    assert said.startswith("name=x??")


def test_what_is_logged_of_a_client_is_short(house: Any) -> None:
    """
    AB-13.
    """
    talk = house.connect()
    with capturedLogs() as events:
        assert talk.send(b'a ID ("name" "' + b"x" * 1024 + b'")')[-1] == b"a OK ID completed"
    assert len(clients(events)[0]) == 400


@pytest.mark.parametrize(
    "arguments",
    [
        b"(" + b" ".join([b'"a" "b"'] * 31) + b")",
        b'("' + b"f" * 31 + b'" "v")',
        b'("f" "' + b"v" * 1025 + b'")',
        b'("a")',
        b'("a" "b" "c")',
        b'("a" "b"',
        b"(NIL NIL)",
        b"((((((",
        b'"a"',
        b"",
    ],
)
def test_id_has_bounds(house: Any, arguments: bytes) -> None:
    """
    RFC 2971 section 3.3; PAR-03.
    """
    assert house.connect().send(b"a ID " + arguments)[0].startswith(b"a BAD expected ")


@pytest.mark.parametrize("arguments", [b"()", b"nil", b"(" + b" ".join([b'"a" "b"'] * 30) + b")"])
def test_id_takes_what_the_rfc_allows(house: Any, arguments: bytes) -> None:
    assert house.connect().send(b"a ID " + arguments) == [b"* ID NIL", b"a OK ID completed"]


# ---- ENABLE --------------------------------------------------------------------------------------


def talk_with(house: Any, *extensions: Extension) -> Talk:
    plain = house.factory()
    factory = IMAPFactory(
        plain.entrance, house.clock, house.sweep, extensions=[*EXTENSIONS, *extensions]
    )
    talk: Talk = house.login(factory=factory)
    return talk


def test_enable_names_what_this_command_switched_on(house: Any) -> None:
    """
    RFC 5161 section 3.1.
    """
    talk = talk_with(house, Extension("X", enables=(b"X-ONE", b"X-TWO")))
    assert talk.send(b"a ENABLE x-one NONSENSE X-One") == [
        b"* ENABLED X-ONE",
        b"a OK ENABLE completed",
    ]
    assert talk.send(b"b ENABLE X-ONE X-TWO")[0] == b"* ENABLED X-TWO"
    assert talk.send(b"c ENABLE NONSENSE")[0] == b"* ENABLED"
    assert talk.protocol.session.enabled == {"X-ONE", "X-TWO"}


def test_what_is_not_there_cannot_be_enabled(house: Any) -> None:
    never = Extension("X", enables=(b"X-ONE",), condition=lambda _session: False)
    assert talk_with(house, never).send(b"a ENABLE X-ONE")[0] == b"* ENABLED"


def test_enable_does_not_change_the_capabilities(house: Any) -> None:
    """
    RFC 5161 section 3.1.
    """
    talk = talk_with(house, Extension("X", enables=(b"X-ONE",)))
    before = talk.send(b"a CAPABILITY")
    talk.send(b"b ENABLE X-ONE")
    assert talk.send(b"a CAPABILITY") == before


@pytest.mark.parametrize("arguments", [b"", b" ", b" a  b", b" (a)", b" a" * 101])
def test_enable_wants_words(talk: Talk, arguments: bytes) -> None:
    assert talk.send(b"a ENABLE" + arguments)[0].startswith(b"a BAD expected ")


def test_enable_comes_after_the_login_and_before_select(house: Any, selected: Talk) -> None:
    """
    RFC 5161 section 3.1.
    """
    assert house.connect().send(b"a ENABLE X") == [b"a BAD not in this state"]
    assert selected.send(b"a ENABLE X") == [b"a BAD not in this state"]
