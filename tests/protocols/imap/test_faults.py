"""
Faults of ours: one tagged reply, nothing of the inside shown, and the session goes on.
"""

from __future__ import annotations

from typing import Annotated, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from twisted.logger import capturedLogs

from mailaccess.errors import DirectoryUnavailable, NoSuchMailbox
from mailaccess.protocols.imap.commands import EXTENSIONS
from mailaccess.protocols.imap.factory import IMAPFactory
from mailaccess.protocols.imap.registry import Extension, State
from mailaccess.protocols.imap.session import Session
from mailaccess.testing.memory import MemoryAccount
from mailaccess.testing.talk import Talk
from mailaccess.wire.cursor import Cursor
from mailaccess.wire.grammar.atoms import astring


def factory_with(house: Any, *extensions: Extension) -> IMAPFactory:
    return IMAPFactory(
        house.factory().entrance,
        house.clock,
        house.sweep,
        house.limits,
        extensions=[*EXTENSIONS, *extensions],
    )


def breaks(_cursor: Cursor) -> bytes:
    raise RuntimeError("/etc/passwd in a parser")


def faulty() -> Extension:
    """
    Commands that break in every way.
    """
    extension = Extension("faulty")

    async def breaks_early(_session: Session, _arguments: bytes) -> None:
        raise RuntimeError("/etc/passwd before a literal")

    async def unavailable(_session: Session, _arguments: bytes) -> None:
        raise DirectoryUnavailable(detail="ldap.example.org")

    @extension.command(b"BREAK", State.ANY)
    async def fault(_session: Session) -> None:
        raise RuntimeError("/etc/passwd in a handler")

    @extension.command(b"RECURSE", State.ANY)
    async def recurse(session: Session) -> None:
        await recurse(session)

    @extension.command(b"PARSE", State.ANY)
    async def parse(_session: Session, _word: Annotated[bytes, breaks]) -> None:
        raise AssertionError

    @extension.command(b"ADMIT", State.ANY, admit=breaks_early)
    async def admit(_session: Session, _word: Annotated[bytes, astring]) -> None:
        raise AssertionError

    @extension.command(b"AWAY", State.ANY, admit=unavailable)
    async def away(_session: Session, _word: Annotated[bytes, astring]) -> None:
        raise AssertionError

    @extension.command(b"REFUSE", State.ANY)
    async def refuse(_session: Session) -> None:
        raise NoSuchMailbox(detail="/var/mail/amy/.Secret")

    return extension


@pytest.mark.parametrize("command", [b"BREAK", b"RECURSE", b"PARSE x"])
def test_a_fault_of_ours_is_one_tagged_no_with_a_number(house: Any, command: bytes) -> None:
    """
    PAR-12, CODE-02: the log has the rest under the same number.
    """
    talk = house.connect(factory=factory_with(house, faulty()))
    number = talk.protocol.number
    with capturedLogs() as events:
        lines = talk.send(b"a " + command, b"b NOOP")
    assert lines == [
        f"a NO [SERVERBUG] Internal error, session {number}".encode(),
        b"b OK NOOP completed",
    ]
    assert any("log_failure" in each and each.get("session") == number for each in events)


@pytest.mark.parametrize("plus", [b"", b"+"])
def test_a_fault_before_a_literal_is_granted_is_answered_too(house: Any, plus: bytes) -> None:
    """
    PAR-12.
    """
    talk = house.connect(factory=factory_with(house, faulty()))
    body = (b"xxxxxx",) if plus else ()
    first, second = talk.send(b"a ADMIT {6%b}" % plus, *body, b"b NOOP")
    assert first.startswith(b"a NO [SERVERBUG] Internal error, session ")
    assert second == b"b OK NOOP completed"


def test_a_refusal_before_a_literal_is_granted_saves_the_client_the_literal(house: Any) -> None:
    talk = house.connect(factory=factory_with(house, faulty()))
    assert talk.send(b"a AWAY {6}", b"b NOOP") == [
        b"a NO [UNAVAILABLE] Temporary failure, try again later",
        b"b OK NOOP completed",
    ]


def test_details_of_a_refusal_are_for_the_log_only(house: Any) -> None:
    """
    CODE-02.
    """
    talk = house.connect(factory=factory_with(house, faulty()))
    assert talk.send(b"a REFUSE") == [b"a NO [NONEXISTENT] No such mailbox"]


def test_a_store_that_breaks_while_changes_are_reported_is_answered(
    selected: Talk, account: MemoryAccount
) -> None:
    """
    PAR-12: after OK and after NO, and the session is as before.
    """

    async def breaks() -> None:
        raise OSError("/var/mail/amy: disk on fire")

    account.deliver("INBOX", b"\r\n")
    account.before = breaks
    assert selected.send(b"a NOOP")[0].startswith(b"a NO [SERVERBUG] ")
    assert selected.send(b"b SELECT")[0].startswith(b"b BAD ")
    account.before = None
    assert selected.send(b"c NOOP") == [
        b"* 65 EXISTS",
        b"* 65 RECENT",
        b"c OK NOOP completed",
    ]


def test_the_log_says_in_which_session_changes_were_not_told_and_why(
    selected: Talk, account: MemoryAccount
) -> None:
    """
    Under its own event, whose keys are written.
    """

    async def gone() -> None:
        raise NoSuchMailbox(detail="mailbox 7 was deleted")

    account.deliver("INBOX", b"\r\n")
    account.before = gone
    with capturedLogs() as events:
        assert selected.send(b"a NOOP") == [b"a OK NOOP completed"]
    account.before = None
    (event,) = [each for each in events if each.get("event") == "unreported"]
    assert event["session"] == selected.protocol.number
    assert event["detail"] == "mailbox 7 was deleted"


# ---- anything at all -----------------------------------------------------------------------------

WORDS = st.sampled_from(
    [
        *b"a LOGIN AUTHENTICATE PLAIN = AGFteQBzZWNyZXQ= amy secret ID NIL ENABLE IDLE".split(),
        *b"SELECT EXAMINE CLOSE CREATE LIST LSUB STATUS INBOX x UID FETCH STORE COPY".split(),
        *b"DONE SEARCH APPEND +FLAGS 1:* 4294967296".split(),
        *b'( ) " "" * % {3} {3+} {0+} ~{3+} \\ \x00 \xff'.split(),
        *(b"\r\n", b"\r\n", b"\n", b" ", b" ", b" "),
    ]
)


@settings(
    max_examples=150,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(st.lists(WORDS, max_size=40), st.booleans())
def test_nearly_valid_input_never_breaks_anything(
    house: Any, words: list[bytes], logged_in: bool
) -> None:
    """
    PAR-05, PAR-12: none of it is a fault of ours.
    """
    talk = house.login() if logged_in else house.connect()
    with capturedLogs() as events:
        lines = talk.raw(b"".join(words))
    assert not [each for each in events if "log_failure" in each]
    assert not any(b"SERVERBUG" in each for each in lines)
    talk.hang_up()
