"""
What breaks inside, and what clients send, shows neither in answers nor, as far as it is secret, in
the log.
"""

from __future__ import annotations

import io
import re
from base64 import b64encode
from collections.abc import Iterator
from typing import Any

import attrs
import pytest
from twisted.logger import globalLogPublisher

from mailaccess.errors import (
    ContactAdmin,
    DirectoryUnavailable,
    NoSuchMailbox,
    StoreDamaged,
    StoreFailed,
)
from mailaccess.protocols.imap.commands import EXTENSIONS
from mailaccess.protocols.pop3.options import POP3Options
from mailaccess.protocols.pop3.registry import table
from mailaccess.services.logs import LINES, LogWriter
from mailaccess.testing.memory import MemoryAccount
from mailaccess.testing.memory_mailbox import MemoryMailbox

INSIDE = "/srv/mail/amy cn=admin,dc=example ldap7.example.org"

FAULTS = [
    OSError(13, INSIDE),
    RuntimeError(INSIDE),
    KeyError(INSIDE),
    RecursionError(INSIDE),
    MemoryError(INSIDE),
    UnicodeDecodeError("utf-8", INSIDE.encode(), 0, 1, INSIDE),
    StoreFailed(detail=INSIDE),
    StoreDamaged(detail=INSIDE),
    NoSuchMailbox(detail=INSIDE),
]

COMMANDS = {
    b"APPEND": b"INBOX {1+}\r\nx",
    b"AUTHENTICATE": b"PLAIN",
    b"COPY": b"1 INBOX",
    b"CREATE": b"x",
    b"DELETE": b"x",
    b"ENABLE": b"X",
    b"EXAMINE": b"INBOX",
    b"FETCH": b"1 (FLAGS BODY[] ENVELOPE BODY[HEADER])",
    b"ID": b"NIL",
    b"LIST": b'"" *',
    b"LOGIN": b"amy secret",
    b"LSUB": b'"" *',
    b"MOVE": b"1 INBOX",
    b"RENAME": b"x y",
    b"SEARCH": b"TEXT hello",
    b"SELECT": b"INBOX",
    b"STATUS": b"INBOX (MESSAGES)",
    b"STORE": b"1 +FLAGS (\\Seen)",
    b"SUBSCRIBE": b"x",
    b"UNSUBSCRIBE": b"x",
    b"UID COPY": b"1 INBOX",
    b"UID EXPUNGE": b"1",
    b"UID FETCH": b"1 BODY[TEXT]",
    b"UID MOVE": b"1 INBOX",
    b"UID SEARCH": b"HEADER Subject x",
    b"UID STORE": b"1 FLAGS ()",
}

ALL = sorted({name for each in EXTENSIONS for name in each.commands} - {b"STARTTLS"})

METHODS = {
    MemoryAccount: "mailboxes subscriptions subscribe unsubscribe create delete rename status"
    " select upload lock_maildrop",
    MemoryMailbox: "sync store expunge remove copy move search describe headers octets",
}


@pytest.fixture
def broken(monkeypatch: pytest.MonkeyPatch) -> Any:
    """
    From when it is called, everything in the store raises.
    """

    def begin(fault: BaseException) -> None:
        async def fails(*_: Any, **__: Any) -> None:
            raise fault

        for kind, names in METHODS.items():
            for name in names.split():
                monkeypatch.setattr(kind, name, fails)
        monkeypatch.setattr(MemoryMailbox, "pending", lambda *_: True)

    return begin


def written(lines: list[bytes]) -> str:
    return b"\n".join(lines).decode("latin-1")


def assert_nothing_inside(lines: list[bytes]) -> None:
    text = written(lines)
    for word in (INSIDE, *INSIDE.split(), "Traceback", "Error(", "Errno", "object at 0x", ".py"):
        assert word not in text


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: type(fault).__name__)
@pytest.mark.parametrize("name", ALL)
def test_a_broken_store_shows_nothing_of_itself_in_imap(
    server: Any, broken: Any, name: bytes, fault: Exception
) -> None:
    """CODE-02, PAR-12: one tagged answer or an end, without a word of what went wrong."""
    server.accounts.of("amy").deliver("INBOX", b"Subject: x\r\n\r\nhello")
    talk = server.login("imap")
    if name not in (b"LOGIN", b"AUTHENTICATE"):
        talk.send(b"b SELECT INBOX")
    broken(fault)
    lines = talk.send(b"t " + name + (b" " + COMMANDS[name] if name in COMMANDS else b""))
    lines += talk.send(b"DONE") if name == b"IDLE" else []
    assert_nothing_inside(lines)
    tagged = [each for each in lines if each.startswith(b"t ")]
    assert len(tagged) == 1
    assert talk.protocol.closing or talk.send(b"u CAPABILITY")[-1].startswith(b"u ")
    talk.hang_up()


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: type(fault).__name__)
def test_a_broken_store_shows_nothing_of_itself_in_pop3(
    server: Any, broken: Any, fault: Exception
) -> None:
    """CODE-02, PAR-12, DS-15"""
    server.accounts.of("amy").deliver("INBOX", b"Subject: x\r\n\r\nhello")
    talk = server.login("pop3")
    talk.send(b"DELE 1", b"RSET")
    broken(fault)
    for name in sorted(set(table.commands) - {"STLS", "QUIT"}):
        lines = talk.send(name.encode() + (b" 1 1" if name == "TOP" else b" 1"))
        lines += talk.send(name.encode())
        assert_nothing_inside(lines)
        assert lines[0][:1] in (b"+", b"-")
    talk.protocol.mistakes = 0
    talk.send(b"DELE 1")
    lines = talk.send(b"QUIT")
    assert_nothing_inside(lines)
    assert lines[0].startswith(b"-ERR [SYS/TEMP] ")

    lines = server.connect("pop3").send(b"USER amy", b"PASS secret")
    assert_nothing_inside(lines)
    assert lines[-1].startswith(b"-ERR ")


@pytest.mark.parametrize(
    "fault",
    [*FAULTS, DirectoryUnavailable(detail=INSIDE), ContactAdmin(detail=INSIDE)],
    ids=lambda fault: type(fault).__name__,
)
@pytest.mark.parametrize("service", ["imap", "pop3"])
def test_a_broken_checker_shows_nothing_of_itself(
    server: Any, login_lines: Any, service: str, fault: Exception
) -> None:
    """CODE-01, CODE-02: and is never taken for a wrong password."""

    async def fails() -> None:
        raise fault

    server.checker.before = fails
    talk = server.connect(service)
    lines = talk.send(*login_lines[service]("amy", b"secret"))
    assert_nothing_inside(lines)
    assert b"AUTHENTICATIONFAILED" not in lines[-1]
    assert b"[AUTH]" not in lines[-1]
    assert lines[-1].startswith((b"a NO [", b"-ERR "))


# ---- the log ------------------------------------------------------------------------------------

SECRETS = ["Tr0ub4dor-right", "c0rrect-wr0ng"]
FORGED = 'bob\r\ntime=2026-01-01T00:00:00.000Z event=login user="root"\x1b[2J\x85\u2028x'


@attrs.define
class Log:
    """
    What a server's log has, at every level.
    """

    stream: io.StringIO

    @property
    def text(self) -> str:
        return self.stream.getvalue()


@pytest.fixture(params=sorted(LINES))
def log(request: pytest.FixtureRequest) -> Iterator[Log]:
    stream = io.StringIO()
    writer = LogWriter(LINES[request.param], stream)
    globalLogPublisher.addObserver(writer)
    yield Log(stream)
    globalLogPublisher.removeObserver(writer)


def all_ways(server: Any, name: bytes, secret: bytes) -> None:
    plain = b64encode(b"\0" + name + b"\0" + secret)
    for lines in (
        [b"a LOGIN {%d+}\r\n%b {%d+}\r\n%b" % (len(name), name, len(secret), secret)],
        [b"a AUTHENTICATE PLAIN " + plain],
        [b"a AUTHENTICATE PLAIN", plain],
        [b"a AUTHENTICATE LOGIN", b64encode(name), b64encode(secret)],
        [b"a AUTHENTICATE PLAIN " + plain + b"!"],
        [b"a AUTHENTICATE PLAIN", plain + b"!"],
        [b"a LOGIN amy " + secret + b" extra"],
        [b"a LOGIN amy {%d}" % (1 << 30)],
        [b"LOGIN amy " + secret],
        [secret],
    ):
        talk = server.connect("imap")
        for each in lines:
            if not talk.protocol.closing:
                talk.send(each)
        talk.hang_up()
    for lines in (
        [b"USER " + name, b"PASS " + secret],
        [b"USER amy", b"USER " + secret, b"PASS"],
        [b"AUTH PLAIN " + plain],
        [b"AUTH PLAIN", plain],
        [b"AUTH LOGIN", b64encode(name), b64encode(secret)],
        [b"AUTH PLAIN", plain + b"!"],
        [b"APOP amy " + secret],
        [b"PASS " + secret],
    ):
        talk = server.connect("pop3", pop3=POP3Options(apop=True))
        for each in lines:
            if not talk.protocol.closing:
                talk.send(each)
        talk.hang_up()


def test_no_password_is_in_the_log(server: Any, log: Log) -> None:
    """
    AUTH-10: right or wrong, whole or in a message that is malformed, at any level; nor does a fault
    of a checker bring it there. Only who types it for a name finds it there, as the name.
    """
    server.checker.passwords = {"amy": SECRETS[0].encode()}

    async def fails() -> None:
        raise RuntimeError("no directory")

    for fault in (None, fails):
        server.checker.before = fault
        for secret in SECRETS:
            all_ways(server, b"amy", secret.encode())
    text = re.sub(r'(?:user="?|"user": ")[^ ,"]*', "", log.text)
    assert "no directory" in text
    assert text.count("AuthenticationFailed") > 10
    for secret in SECRETS:
        assert secret not in text
        for before in (b"", b"\0amy\0"):
            assert b64encode(before + secret.encode()).decode().rstrip("=")[:-1] not in text


def test_no_name_forges_a_line(server: Any, log: Log) -> None:
    """AUTH-10: however it is sent."""
    all_ways(server, FORGED.encode(), b"wrong")
    all_ways(server, FORGED.encode("latin-1", "replace"), b"wrong")
    talk = server.connect("imap")
    talk.send(b'a ID ("name" {%d+}\r\n%b)' % (len(FORGED.encode()), FORGED.encode()))
    lines = log.text.split("\n")
    assert lines.pop() == ""
    for line in lines:
        assert line.isprintable()
        assert line.startswith(("time=", '{"time": '))
        assert not line.startswith("time=2026-01-01")
        assert not re.search(r"^\S+ event=login ", line)
