"""
APPEND: one message or several, refused early, all or none.
"""

from __future__ import annotations

from typing import Any

import attrs
import pytest
from twisted.internet.defer import Deferred

from mailaccess.errors import StoreFailed
from mailaccess.testing.memory import MemoryAccount
from mailaccess.testing.talk import Talk
from tests.protocols.conftest import INTERNAL_DATE, House
from tests.protocols.imap.mailboxes_of import LETTER, selected

READY = [b"+ Ready"]


@pytest.fixture
def amy(house: House) -> MemoryAccount:
    """
    An account with an empty C{INBOX} and an empty C{Sent}.
    """
    account = house.accounts.of("amy")
    account.now = lambda: INTERNAL_DATE
    account.make("Sent")
    return account


@pytest.fixture
def talk(house: House, amy: MemoryAccount) -> Talk:
    """
    She is logged in; nothing is selected.
    """
    return house.login()


def stored(account: MemoryAccount, name: str) -> list[bytes]:
    """
    The messages of a mailbox.
    """
    return [each.octets for each in account.folder(name).messages.values()]


def test_a_message_is_asked_for_and_kept(talk: Talk, amy: MemoryAccount) -> None:
    """RFC 3501 section 6.3.11, RFC 4315 section 3; MIME-02: octet for octet."""
    octets = LETTER + b"\x00\xff\r\r\n{3+}\r\na LOGOUT\r\n"
    assert talk.send(b"a APPEND Sent {%d}" % len(octets)) == READY
    assert talk.send(octets) == [b"a OK [APPENDUID 2 1] APPEND completed"]
    assert stored(amy, "Sent") == [octets]
    message = amy.folder("Sent").messages[1]
    assert (message.flags, message.date) == (0, INTERNAL_DATE)


def test_flags_and_date_go_along(talk: Talk, amy: MemoryAccount) -> None:
    """RFC 3501 section 6.3.11."""
    head = b'(\\Seen $Work) " 7-Feb-1994 22:43:04 -0800"'
    assert talk.send(b"a APPEND sent (\\Seen) {5}")[0] == b"a NO [TRYCREATE] No such mailbox"
    (reply,) = talk.send(b"b APPEND Sent %b {5+}\r\nhello" % head)
    assert reply == b"b OK [APPENDUID 2 1] APPEND completed"
    message = amy.folder("Sent").messages[1]
    assert amy.folder("Sent").names(message.flags) == ["\\Seen", "$Work"]
    assert message.date == 760689784
    (reply,) = talk.send(b'c APPEND Sent "17-Jul-1996 02:44:25 +0000" {5+}\r\nhello')
    assert amy.folder("Sent").messages[2].date == 837571465


def test_the_mailbox_name_may_be_a_literal(talk: Talk, amy: MemoryAccount) -> None:
    """Each literal is asked for in its turn."""
    assert talk.send(b"a APPEND {4}") == READY
    assert talk.send(b"Sent (\\Seen) {5}") == READY
    assert talk.send(b"hello") == [b"a OK [APPENDUID 2 1] APPEND completed"]
    assert talk.send(b"b APPEND {4+}\r\nSent {3+}\r\nabc") == [
        b"b OK [APPENDUID 2 2] APPEND completed"
    ]
    assert stored(amy, "Sent") == [b"hello", b"abc"]


def test_several_messages_are_one_append(talk: Talk, amy: MemoryAccount) -> None:
    """RFC 3502; literals that wait and literals that do not."""
    assert b"MULTIAPPEND" in talk.send(b"c CAPABILITY")[0].split()
    assert talk.send(b"a APPEND Sent (\\Seen) {3}") == READY
    assert talk.send(b'one " 7-Feb-1994 22:43:04 -0800" {3+}\r\ntwo {5}') == READY
    assert stored(amy, "Sent") == []
    assert talk.send(b"three") == [b"a OK [APPENDUID 2 1:3] APPEND completed"]
    assert stored(amy, "Sent") == [b"one", b"two", b"three"]


def test_how_the_octets_were_cut_makes_no_difference(talk: Talk, amy: MemoryAccount) -> None:
    """One octet at a time."""
    lines: list[bytes] = []
    for octet in b"a APPEND Sent {3+}\r\none (\\Draft) {4+}\r\nfour\r\nb NOOP\r\n":
        lines += talk.raw(bytes([octet]))
    assert lines == [b"a OK [APPENDUID 2 1:2] APPEND completed", b"b OK NOOP completed"]
    assert stored(amy, "Sent") == [b"one", b"four"]


def test_the_selected_mailbox_shows_it_with_the_answer(house: House) -> None:
    """RFC 3501 section 6.3.11."""
    talk = selected(house, LETTER)
    assert talk.send(b"a APPEND inbox (\\Flagged) {3+}\r\nabc") == [
        b"* 2 EXISTS",
        b"* 1 RECENT",
        b"a OK [APPENDUID 1 2] APPEND completed",
    ]
    assert talk.send(b"b FETCH 2 FLAGS")[0] == b"* 2 FETCH (FLAGS (\\Flagged \\Recent))"


# ---- refused before the message is sent --------------------------------------------------------


@pytest.mark.parametrize("wait", [b"", b"+"], ids=["synchronising", "not"])
@pytest.mark.parametrize(
    ("head", "size", "answer"),
    [
        (b"Nowhere", 5, b"NO [TRYCREATE] No such mailbox"),
        (b"Sent", 999_999_999_999, b"NO [TOOBIG] Message too big"),
        (b"Sent", 104_857_601, b"NO [TOOBIG] Message too big"),
        (b"Sent", 2**63 - 1, b"NO [TOOBIG] Message too big"),
        (b"Sent", 0, b"NO Cancelled by an empty message"),
        (b"Sent (\\Recent)", 5, b"BAD "),
        (b"Sent (\\Seen", 5, b"BAD "),
        (b"Sent \\Seen", 5, b"BAD "),
        (b'Sent "yesterday"', 5, b"BAD "),
        (b'Sent "31-Feb-1994 22:43:04 -0800"', 5, b"BAD "),
        (b'Sent "7-Feb-1994 22:43:04 -0800"', 5, b"BAD "),
        (b'Sent " 7-Feb-1994 22:43:04 -0800" (\\Seen)', 5, b"BAD "),
        (b"Sent ~", 5, b"BAD "),
        (b"Sent  ", 5, b"BAD "),
        (b"&bad", 5, b"BAD "),
    ],
)
def test_what_can_be_refused_is_refused_before_a_message_is_sent(
    talk: Talk, amy: MemoryAccount, head: bytes, size: int, answer: bytes, wait: bytes
) -> None:
    """PAR-02, PAR-04: no "+"; a literal that comes all the same is swallowed, not executed."""
    space = b"" if head.endswith((b" ", b"~")) else b" "
    (reply,) = talk.send(b"a APPEND %b%b{%d%b}" % (head, space, size, wait))
    assert reply.startswith(b"a " + answer)
    if wait:
        sent = b"b LOGOUT\r\n" * 100
        assert talk.raw(sent[: min(size, 1000)]) == []
        if size > 1000:
            return
        assert talk.raw(b" and the rest\r\n") == []
    assert talk.send(b"c NOOP") == [b"c OK NOOP completed"]
    assert stored(amy, "Sent") == []


def test_what_the_store_refuses_is_not_asked_for(talk: Talk, amy: MemoryAccount) -> None:
    """PAR-02: room and size are looked at before "+"."""
    amy.largest = 100
    assert talk.send(b"a APPEND Sent {101}") == [b"a NO [TOOBIG] Too big"]
    amy.room = 50
    assert talk.send(b"b APPEND Sent {60}") == [b"b NO [OVERQUOTA] Not enough room"]
    assert talk.send(b"c APPEND Sent {50}") == READY


def test_the_limit_of_the_listener_holds(house: House, amy: MemoryAccount) -> None:
    """PAR-02: APPENDLIMIT."""
    house.limits = attrs.evolve(house.limits, message=10)
    talk = house.login()
    assert talk.send(b"a APPEND Sent {11}") == [b"a NO [TOOBIG] Message too big"]
    assert talk.send(b"b APPEND Sent {10}") == READY


@pytest.mark.parametrize(
    "command",
    [
        b"APPEND",
        b"APPEND Sent",
        b"APPEND Sent message",
        b'APPEND Sent "message"',
        b"APPEND Sent (\\Seen)",
        b"APPEND {4+}\r\nSent",
        b"APPEND {4+}\r\nSent message",
    ],
)
def test_a_message_that_is_no_literal_is_bad(
    talk: Talk, amy: MemoryAccount, command: bytes
) -> None:
    """RFC 3501 section 9, append."""
    (reply,) = talk.send(b"a " + command)
    assert reply.startswith(b"a BAD ")
    assert talk.send(b"b NOOP") == [b"b OK NOOP completed"]


def test_a_mailbox_name_of_megabytes_is_not_asked_for(talk: Talk) -> None:
    """PAR-02."""
    assert talk.send(b"a APPEND {100000}") == [b"a NO [TOOBIG] Mailbox name too long"]


def test_before_login_nothing_is_appended(house: House) -> None:
    """RFC 3501 section 6.3; nor asked for."""
    talk = house.connect()
    assert talk.send(b"a APPEND INBOX {5}") == [b"a BAD not in this state"]


# ---- in the middle -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("rest", "answer"),
    [
        (b" {0+}\r\n\r\n", b"a NO Cancelled by an empty message"),
        (b" {999999999999}\r\n", b"a NO [TOOBIG] Message too big"),
        (b" (\\Recent) {3+}\r\ntwo {5+}\r\nthree\r\n", b"a BAD "),
        (b" nonsense\r\n", b"a BAD "),
        (b" (\\Seen)\r\n", b"a BAD "),
        (b" \r\n", b"a BAD "),
        (b"x" * 100_000 + b"\r\n", b"a NO [LIMIT] "),
        (b" {-5}\r\n", b"a BAD "),
    ],
)
def test_a_second_message_that_fails_undoes_the_first(
    talk: Talk, amy: MemoryAccount, rest: bytes, answer: bytes
) -> None:
    """RFC 3502 section 6.3.11; what belongs to the command is not executed."""
    (reply,) = talk.raw(b"a APPEND Sent {3+}\r\none" + rest)
    assert reply.startswith(answer)
    assert talk.send(b"b NOOP") == [b"b OK NOOP completed"]
    assert stored(amy, "Sent") == []


def test_a_literal_of_unknown_size_ends_the_session(talk: Talk, amy: MemoryAccount) -> None:
    """PAR-04: what follows cannot be told from commands."""
    lines = talk.raw(b"a APPEND Sent {3+}\r\none {-5+}\r\nb LOGOUT\r\n")
    assert lines[0].startswith(b"a BAD ")
    assert lines[1].startswith(b"* BYE ")
    assert talk.transport.disconnecting
    assert stored(amy, "Sent") == []


def test_a_client_that_leaves_in_the_middle_leaves_nothing(
    talk: Talk, amy: MemoryAccount, monkeypatch: pytest.MonkeyPatch
) -> None:
    """TLS-12: half a message is no message."""
    uploads: list[Any] = []
    aborted: list[Any] = []
    upload = MemoryAccount.upload

    async def noted(account: MemoryAccount, name: str) -> Any:
        each = await upload(account, name)
        uploads.append(each)
        monkeypatch.setattr(type(each), "abort", lambda self: aborted.append(self) or None)
        return each

    monkeypatch.setattr(MemoryAccount, "upload", noted)
    assert talk.send(b"a APPEND Sent {3+}\r\none {100}") == READY
    assert talk.raw(b"half of it") == []
    talk.hang_up()
    assert stored(amy, "Sent") == []
    assert aborted == uploads
    assert len(uploads) == 1


@pytest.mark.parametrize("fault", [StoreFailed("No room left"), RuntimeError("broken")])
def test_a_store_that_fails_in_the_middle_gets_one_answer(
    talk: Talk, amy: MemoryAccount, monkeypatch: pytest.MonkeyPatch, fault: Exception
) -> None:
    """PAR-12: the rest of the command is swallowed, and the next one is answered."""
    upload = MemoryAccount.upload

    async def failing(account: MemoryAccount, name: str) -> Any:
        each = await upload(account, name)

        def write(_octets: bytes) -> None:
            raise fault

        monkeypatch.setattr(type(each), "write", lambda _self, octets: write(octets))
        return each

    monkeypatch.setattr(MemoryAccount, "upload", failing)
    lines = talk.raw(b"a APPEND Sent {30+}\r\nb LOGOUT\r\nb LO")
    lines += talk.raw(b"GOUT\r\nb LOGOUT\r {9+}\r\nb LOGOUT\n\r\nc NOOP\r\n")
    code = b"UNAVAILABLE" if isinstance(fault, StoreFailed) else b"SERVERBUG"
    assert lines[0].startswith(b"a NO [%b] " % code)
    assert lines[1:] == [b"c OK NOOP completed"]
    assert stored(amy, "Sent") == []


def test_a_slow_store_is_waited_for(talk: Talk, amy: MemoryAccount) -> None:
    """Commands behind it are answered behind it."""
    gate: Deferred[None] = Deferred()
    amy.before = lambda: gate
    assert talk.send(b"a APPEND Sent {3+}\r\none", b"b NOOP") == []
    amy.before = None
    gate.callback(None)
    assert talk.lines() == [b"a OK [APPENDUID 2 1] APPEND completed", b"b OK NOOP completed"]


def test_a_client_that_stalls_in_a_message_times_out(house: House, amy: MemoryAccount) -> None:
    """AB-02: an upload is no way to stay for ever."""
    talk = house.login()
    assert talk.send(b"a APPEND Sent {100}") == READY
    lines: list[bytes] = []
    for _ in range(100):
        lines += talk.wait(house.limits.literal_seconds / 50)
    assert lines == [b"* BYE Literal timeout"]
    assert talk.transport.disconnecting


@pytest.mark.parametrize("command", [b"APPEND Sent {100000}", b"SELECT {100000}"])
def test_a_literal_that_drips_times_out(house: House, amy: MemoryAccount, command: bytes) -> None:
    """AB-02: it has to come on, however long it is; whether it is collected or streamed."""
    talk = house.login()
    assert talk.send(b"a " + command)[0].startswith(b"+ ")
    lines: list[bytes] = []
    for _ in range(70):
        lines += talk.raw(b"x" * 100) + talk.wait(1)
    assert lines == [b"* BYE Literal timeout"]


def test_a_literal_that_is_slow_but_comes_on_does_not(house: House, amy: MemoryAccount) -> None:
    """AB-02, and nothing of an upload is remembered after it."""
    talk = house.login()
    assert talk.send(b"a APPEND Sent {60000}") == READY
    for _ in range(300):
        assert talk.raw(b"x" * 200) + talk.wait(1) == []
    assert talk.send(b"")[-1].startswith(b"a OK [APPENDUID ")
    talk.wait(1)
    assert talk.protocol.factory.literals == {}
