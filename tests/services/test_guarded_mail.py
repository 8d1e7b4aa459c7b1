"""
The documentation's C{twisted.mail} under the TLS policy: which of the stock holes that closes, and
which it cannot.
"""

from __future__ import annotations

import json
import socket
import ssl
import subprocess
import sys
import threading
from base64 import b64encode
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import apsw
import pytest
from twisted.cred.checkers import InMemoryUsernamePasswordDatabaseDontUse
from twisted.cred.portal import Portal
from twisted.internet.defer import Deferred
from twisted.internet.testing import StringTransport
from twisted.mail.imap4 import IAccount, IMAP4Server, MemoryAccount, PLAINCredentials

from mailaccess.auth.gate import AccountGate
from mailaccess.auth.guard import GuardedChecker
from mailaccess.cli import main
from mailaccess.policy.tls import ListenerRule, TLSPolicy, Verdict
from mailaccess.protocols.login import Entrance
from mailaccess.testing.people import MemoryChecker

EXAMPLES = Path(__file__).parents[2] / "docs/howto/examples"
SECRET = "secret"
PLAIN = b64encode(b"\0amy\0secret")


@pytest.fixture(scope="module")
def guarded_class() -> Any:
    sys.path.insert(0, str(EXAMPLES))
    try:
        from guarded_imap4 import GuardedIMAP4
    finally:
        sys.path.remove(str(EXAMPLES))
    return GuardedIMAP4


# ---- the program -------------------------------------------------------------------------------


class Program:
    def __init__(self, place: Path) -> None:
        self.place = place
        self.process = subprocess.Popen(
            [sys.executable, str(EXAMPLES / "guarded_mail.py"), str(place)],
            stdout=subprocess.PIPE,
            text=True,
        )
        self.watchdog = threading.Timer(100, self.process.kill)
        self.watchdog.start()
        assert self.process.stdout is not None
        lines = [self.process.stdout.readline().split() for _ in range(3)]
        self.ports = {name: int(port) for name, port in lines}

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait()
        self.watchdog.cancel()
        assert self.process.stdout is not None
        self.process.stdout.close()


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Program]:
    running = Program(tmp_path_factory.mktemp("guarded"))
    yield running
    running.stop()


def probed(
    capsys: pytest.CaptureFixture[str], program: Program, listener: str, *more: str
) -> dict[str, str]:
    port = program.ports[listener]
    ca = str(program.place / "cert.pem")
    words = [f"127.0.0.1:{port}", "--ca", ca, "--name", "localhost", "--json", *more]
    main(["probe", *words])
    found = json.loads(capsys.readouterr().out)
    return {each["check"]: each["verdict"] for each in found["checks"]}


def test_the_injection_is_gone_and_what_is_left_is_known(
    program: Program, capsys: pytest.CaptureFixture[str]
) -> None:
    """TLS-01, TLS-02, TLS-06, POL-02, POL-03"""
    found = probed(capsys, program, "imap", "--protocol", "imap", "--starttls")
    left = {check: verdict for check, verdict in found.items() if verdict != "ok"}
    # ALPN is the certificate options' business, and HTTP that of whoever reads the lines.
    assert left == {"alpn-own": "bad", "http-on-the-port": "warn"}
    assert {"starttls-injection", "starttls-split", "password-in-the-clear"} <= set(found)


def test_pop3_over_tls_is_clean_but_for_what_the_policy_does_not_reach(
    program: Program, capsys: pytest.CaptureFixture[str]
) -> None:
    found = probed(capsys, program, "pop3", "--protocol", "pop3", "--tls")
    left = {check: verdict for check, verdict in found.items() if verdict != "ok"}
    assert left == {"alpn-own": "bad", "http-on-the-port": "warn"}


def test_what_crossed_in_the_clear_is_in_the_audit(program: Program) -> None:
    """POL-05"""
    with socket.create_connection(("127.0.0.1", program.ports["pop3-open"]), 30) as opened:
        file = opened.makefile("rb")
        file.readline()
        opened.sendall(b"USER amy\r\nPASS secret\r\n")
        assert file.readline().startswith(b"+OK")
        assert file.readline().startswith(b"+OK")
        opened.sendall(b"QUIT\r\n")
        file.read()
        file.close()
    context = ssl.create_default_context(cafile=str(program.place / "cert.pem"))
    with (
        socket.create_connection(("127.0.0.1", program.ports["pop3"]), 30) as plain,
        context.wrap_socket(plain, server_hostname="localhost") as opened,
    ):
        file = opened.makefile("rb")
        file.readline()
        opened.sendall(b"AUTH PLAIN " + PLAIN + b"\r\n")
        assert file.readline().startswith(b"+OK")
        file.close()
    program.stop()
    database = apsw.Connection(str(program.place / "audit.db"))
    (table,) = database.execute(
        "select name from sqlite_master where type = 'table' and sql like '%listener%'"
    ).fetchone()
    cursor = database.execute(f"select * from {table}")
    names = [each[0] for each in cursor.getdescription()]
    rows = [dict(zip(names, row, strict=True)) for row in cursor]
    database.close()
    assert [each["listener"] for each in rows if each.get("user") == "amy"] == ["pop3-open"]
    assert SECRET not in str(rows)


# ---- hole by hole ------------------------------------------------------------------------------


class Talk:
    def __init__(self, protocol: Any) -> None:
        self.protocol = protocol
        self.transport = StringTransport()
        protocol.makeConnection(self.transport)
        self.transport.clear()

    def send(self, data: bytes) -> bytes:
        self.protocol.dataReceived(data)
        said = self.transport.value()
        self.transport.clear()
        return said


class Realm:
    def requestAvatar(self, avatarId: Any, mind: Any, *interfaces: Any) -> Any:
        return IAccount, MemoryAccount("amy"), lambda: None


@pytest.fixture
def stock() -> Callable[..., Talk]:
    def make(**more: Any) -> Talk:
        protocol = IMAP4Server(chal={b"PLAIN": PLAINCredentials}, **more)
        checker = InMemoryUsernamePasswordDatabaseDontUse(amy=b"secret")
        protocol.portal = Portal(Realm(), [checker])
        return Talk(protocol)

    return make


@pytest.fixture
def guarded(guarded_class: Any) -> Callable[..., Talk]:
    def make(verdict: Verdict = Verdict.REFUSE, before: Any = None, **more: Any) -> Talk:
        protocol = guarded_class(**more)
        protocol.timeOut = protocol.POSTAUTH_TIMEOUT = None
        people = MemoryChecker({"amy": b"secret"}, before=before)
        policy = TLSPolicy({"imap": ListenerRule(verdict)})
        guard = GuardedChecker(policy, people, AccountGate(lambda: 0.0))
        portal = Portal(Realm(), [guard])
        protocol.entrance = Entrance("imap", "imap", IAccount, portal, guard)
        return Talk(protocol)

    return make


@pytest.fixture(autouse=True)
def no_timers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(IMAP4Server, "timeOut", None)
    monkeypatch.setattr(IMAP4Server, "POSTAUTH_TIMEOUT", None)


def test_authenticate_plain_in_the_clear(
    stock: Callable[..., Talk], guarded: Callable[..., Talk]
) -> None:
    """Hole 2, POL-03: closed."""
    talk = stock(contextFactory=object())
    assert talk.send(b"a AUTHENTICATE PLAIN\r\n").startswith(b"+")
    assert b"a OK" in talk.send(PLAIN + b"\r\n")
    talk = guarded(contextFactory=object())
    assert talk.send(b"a AUTHENTICATE PLAIN\r\n").startswith(b"a NO [PRIVACYREQUIRED]")


def test_login_in_the_clear(stock: Callable[..., Talk], guarded: Callable[..., Talk]) -> None:
    """Holes 3 and 4, POL-02, POL-03: closed, also before a literal, and without any TLS."""
    assert stock(contextFactory=object()).send(b"a LOGIN amy secret\r\n").startswith(b"a OK")
    for context in (None, object()):
        talk = guarded(contextFactory=context)
        assert b"LOGINDISABLED" in talk.send(b"c CAPABILITY\r\n")
        for command in (b"LOGIN amy secret", b"LOGIN {3}"):
            said = talk.send(b"a " + command + b"\r\n")
            assert said.startswith(b"a NO [PRIVACYREQUIRED]"), said


def test_what_is_offered_is_what_is_taken(guarded: Callable[..., Talk]) -> None:
    """Hole 5, POL-02: closed."""
    assert b"AUTH=" not in guarded().send(b"c CAPABILITY\r\n")
    said = guarded(Verdict.ALLOW).send(b"c CAPABILITY\r\n")
    assert b"AUTH=PLAIN" in said
    assert b"LOGINDISABLED" not in said


def test_initial_responses_and_cancellation(
    stock: Callable[..., Talk], guarded: Callable[..., Talk]
) -> None:
    """Hole 8, SASL-01, SASL-02: closed."""
    assert b"a BAD" in stock().send(b"a AUTHENTICATE PLAIN " + PLAIN + b"\r\n")
    assert b"a OK" in guarded(Verdict.ALLOW).send(b"a AUTHENTICATE PLAIN " + PLAIN + b"\r\n")
    talk = guarded(Verdict.ALLOW)
    assert talk.send(b"a AUTHENTICATE PLAIN\r\n") == b"+ \r\n"
    assert talk.send(b"*\r\n").startswith(b"a BAD")
    assert b"b OK" in talk.send(b"b LOGIN amy secret\r\n")


def test_commands_wait_for_a_login_that_takes_its_time(guarded: Callable[..., Talk]) -> None:
    """Hole 10: closed."""
    slow: Deferred[None] = Deferred()
    talk = guarded(Verdict.ALLOW, before=lambda: slow)
    assert talk.send(b"a LOGIN amy secret\r\nb NAMESPACE\r\n") == b""
    slow.callback(None)
    said = talk.send(b"")
    assert said.index(b"a OK") < said.index(b"b OK")


def test_wrong_passwords_come_to_an_end(
    stock: Callable[..., Talk], guarded: Callable[..., Talk]
) -> None:
    """Hole 11, AUTH-07: closed."""
    talk = stock()
    said = b"".join(talk.send(b"a LOGIN amy wrong\r\n") for _ in range(50))
    assert said.count(b"a NO") == 50
    talk = guarded(Verdict.ALLOW)
    said = b"".join(talk.send(b"a LOGIN amy wrong\r\n") for _ in range(3))
    assert b"BYE" in said
    assert talk.transport.disconnecting


@pytest.mark.parametrize(
    ("data", "answer"),
    [
        (b'a LOGIN amy "se\\"cret"\r\n', b"a BAD"),  # hole 6: quotes are not read
        (b"a LOGIN {3+}\r\namy secret\r\n", b"amy BAD"),  # hole 7: octets become commands
        (b"POST / HTTP/1.1\r\n\r\na LOGIN amy secret\r\n", b"a OK"),  # hole 12
    ],
    ids=["quotes", "literals", "HTTP"],
)
def test_what_the_parser_gets_wrong_stays_wrong(
    data: bytes, answer: bytes, stock: Callable[..., Talk], guarded: Callable[..., Talk]
) -> None:
    """The policy decides about logins; it does not read lines."""
    for talk in (stock(), guarded(Verdict.ALLOW)):
        assert answer in talk.send(data)


def test_pop3_still_has_no_stls(program_of_its_own: Program) -> None:
    """Hole 28: a protocol without a command for TLS gets none from a policy."""
    port = program_of_its_own.ports["pop3-open"]
    with socket.create_connection(("127.0.0.1", port), 30) as opened:
        file = opened.makefile("rb")
        file.readline()
        opened.sendall(b"STLS\r\n")
        assert file.readline().startswith(b"-ERR")
        file.close()


@pytest.fixture
def program_of_its_own(tmp_path: Path) -> Iterator[Program]:
    running = Program(tmp_path)
    yield running
    running.stop()
