"""
STARTTLS over real TLS on loopback: what an attacker and a client would see.
"""

from __future__ import annotations

import socket
import ssl
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

OK = b"OK STARTTLS completed"
Ports = tuple[int, int]


def serve(directory: Path, cleartext: str) -> Iterator[Ports]:
    program = Path(__file__).with_name("tls_server.py")
    with subprocess.Popen(
        [sys.executable, program, directory, cleartext],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        cwd=Path(__file__).parents[3],
        env={"PYTHONPATH": str(Path(__file__).parents[3]), "PATH": ""},
    ) as server:
        assert server.stdin is not None
        assert server.stdout is not None
        explicit, implicit = map(int, server.stdout.readline().split())
        yield explicit, implicit
        server.stdin.close()


@pytest.fixture(scope="module")
def ports(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ports]:
    """
    A server that wants TLS for passwords.
    """
    yield from serve(tmp_path_factory.mktemp("tls"), "refuse")


@pytest.fixture(scope="module")
def lax(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ports]:
    """
    A server that takes passwords in the clear.
    """
    yield from serve(tmp_path_factory.mktemp("lax"), "allow")


class Client:
    """
    A connection whose TLS is under the test's control.
    """

    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=20)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        self.incoming, self.outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.tls = context.wrap_bio(self.incoming, self.outgoing)
        self.encrypted = False
        self.buffer = b""

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()

    def send(self, data: bytes) -> None:
        if self.encrypted:
            self.tls.write(data)
            data = self.outgoing.read()
        self.socket.sendall(data)

    def hello(self) -> bytes:
        """
        The first octets of a handshake.
        """
        with pytest.raises(ssl.SSLWantReadError):
            self.tls.do_handshake()
        return self.outgoing.read()

    def handshake(self) -> None:
        """
        The rest of it.
        """
        self.incoming.write(self.buffer)
        self.buffer = b""
        self._until_done(self.tls.do_handshake)
        self.encrypted = True

    def start_tls(self) -> None:
        self.send(b"s STARTTLS\r\n")
        assert self.line() == b"s " + OK
        self.socket.sendall(self.hello())
        self.handshake()

    def _until_done(self, step: Callable[[], Any]) -> Any:
        while True:
            try:
                result = step()
            except ssl.SSLWantReadError:
                self.socket.sendall(self.outgoing.read())
                data = self.socket.recv(65536)
                if not data:
                    raise EOFError from None
                self.incoming.write(data)
            else:
                self.socket.sendall(self.outgoing.read())
                return result

    def line(self) -> bytes:
        while b"\r\n" not in self.buffer:
            if self.encrypted:
                data = self._until_done(lambda: self.tls.read(65536))
            else:
                data = self.socket.recv(65536)
            if not data:
                raise EOFError
            self.buffer += data
        line, _, self.buffer = self.buffer.partition(b"\r\n")
        return line

    def command(self, text: bytes) -> list[bytes]:
        """
        The lines up to the tagged one.
        """
        self.send(text + b"\r\n")
        tag = text.partition(b" ")[0] + b" "
        lines = [self.line()]
        while not lines[-1].startswith(tag):
            lines.append(self.line())
        return lines

    def rest(self) -> bytes:
        """
        Everything in the clear until the server closes.
        """
        data = self.buffer
        try:
            while more := self.socket.recv(65536):
                data += more
        except ConnectionResetError:
            pass
        return data


def test_capabilities_before_and_in_tls(ports: Ports) -> None:
    """
    TLS-08, POL-02: nothing comes unasked after the handshake.
    """
    with Client(ports[0]) as client:
        greeting = client.line()
        before = set(client.command(b"a CAPABILITY")[0].split())
        client.start_tls()
        assert client.command(b"b NOOP") == [b"b OK NOOP completed"]
        after = set(client.command(b"c CAPABILITY")[0].split())
    assert {b"STARTTLS", b"LOGINDISABLED"} <= before
    assert b"LOGINDISABLED" in greeting
    assert not any(each.startswith(b"AUTH=") for each in before)
    assert not {b"STARTTLS", b"LOGINDISABLED"} & after
    assert {b"AUTH=PLAIN", b"AUTH=LOGIN"} <= after


def test_passwords_are_taken_in_tls_and_not_before(ports: Ports) -> None:
    """
    POL-01, POL-03.
    """
    with Client(ports[0]) as client:
        client.line()
        (refused,) = client.command(b"a LOGIN amy secret")
        assert refused.startswith(b"a NO [PRIVACYREQUIRED] ")
        client.start_tls()
        assert client.command(b"b LOGIN amy secret")[0].startswith(b"b OK ")
        assert client.command(b"c SELECT INBOX")[-1].startswith(b"c OK ")


def test_a_handshake_in_the_segment_of_the_command_succeeds(ports: Ports) -> None:
    """
    TLS-03.
    """
    with Client(ports[0]) as client:
        client.line()
        client.send(b"a STARTTLS\r\n" + client.hello())
        assert client.line() == b"a " + OK
        client.handshake()
        assert client.command(b"b LOGIN amy secret")[0].startswith(b"b OK ")


@pytest.mark.parametrize(
    "injected",
    [
        b'a STARTTLS\r\nb LOGIN amy secret\r\nc LIST "" *\r\n',
        b"a STARTTLS\nb LOGIN amy secret\n",
        b"a STARTTLS\r\nX NO",
        b"a STARTTLS\r\nb LOGIN {3+}\r\namy {6+}\r\nsecret\r\n",
    ],
)
def test_commands_injected_before_tls_are_never_run(ports: Ports, injected: bytes) -> None:
    """
    TLS-01, TLS-02, TLS-11: they break the handshake, and the connection ends.
    """
    with Client(ports[0]) as client:
        client.line()
        client.send(injected)
        assert client.line() == b"a " + OK
        client.socket.sendall(client.hello())
        with pytest.raises((EOFError, ssl.SSLError, ConnectionError)):
            client.handshake()


def test_a_command_sent_before_the_reply_in_its_own_segment_is_not_run(ports: Ports) -> None:
    """
    TLS-01.
    """
    with Client(ports[0]) as client:
        client.line()
        client.send(b"a STARTTLS\r\n")
        client.send(b"b LOGIN amy secret\r\n")
        said = client.rest()
    assert said.startswith(b"a " + OK + b"\r\n")
    assert b"b OK" not in said
    assert b"b NO" not in said


def test_a_client_that_goes_on_in_the_clear_is_cut_off(ports: Ports) -> None:
    """
    TLS-11: no falling back.
    """
    with Client(ports[0]) as client:
        client.line()
        client.send(b"a STARTTLS\r\n")
        assert client.line() == b"a " + OK
        client.socket.sendall(b"b CAPABILITY\r\nc LOGIN amy secret\r\n")
        said = client.rest()
    assert b"CAPABILITY" not in said
    assert b" OK" not in said


def test_starttls_in_tls_is_bad_and_the_session_goes_on(ports: Ports) -> None:
    """
    TLS-06: after STARTTLS, and where TLS was there at once.
    """
    with Client(ports[0]) as client:
        client.line()
        client.start_tls()
        assert client.command(b"a STARTTLS")[0].startswith(b"a BAD ")
        assert client.command(b"b NOOP") == [b"b OK NOOP completed"]
    with Client(ports[1]) as client:
        client.socket.sendall(client.hello())
        client.handshake()
        greeting = client.line()
        assert b"STARTTLS" not in greeting
        assert b"AUTH=PLAIN" in greeting
        assert client.command(b"a STARTTLS")[0].startswith(b"a BAD ")
        assert client.command(b"b LOGIN amy secret")[0].startswith(b"b OK ")


def test_a_login_begun_in_the_clear_opens_nothing_in_tls(lax: Ports) -> None:
    """
    TLS-04: a session cannot be fixed beforehand; in TLS it begins anew.
    """
    with Client(lax[0]) as client:
        client.line()
        client.send(b"a LOGIN slow wrong\r\nb STARTTLS\r\n" + client.hello())
        assert client.line().startswith(b"a NO [AUTHENTICATIONFAILED] ")
        assert client.line() == b"b " + OK
        client.handshake()
        assert client.command(b'c LIST "" *') == [b"c BAD not in this state"]
        assert client.command(b"d LOGIN amy secret")[0].startswith(b"d OK ")


def test_a_slow_login_in_the_clear_keeps_tls_away(lax: Ports) -> None:
    """
    TLS-04, TLS-05.
    """
    with Client(lax[0]) as client:
        client.line()
        client.send(b"a LOGIN slow secret\r\nb STARTTLS\r\nc NOOP\r\n")
        assert client.line().startswith(b"a OK ")
        assert client.line() == b"b BAD not in this state"
        assert client.line() == b"c OK NOOP completed"


@pytest.mark.parametrize("clean", [True, False])
def test_a_session_cut_off_leaves_no_half_command_behind(ports: Ports, clean: bool) -> None:
    """
    TLS-12.
    """
    with Client(ports[0]) as client:
        client.line()
        client.start_tls()
        client.command(b"a LOGIN amy secret")
        client.send(b"b CREATE half {4}\r\n" if clean else b"b CREATE {9}\r\n")
        client.line()
        client.send(b"half")
        if clean:
            with pytest.raises(ssl.SSLWantReadError):
                client.tls.unwrap()
            client.socket.sendall(client.outgoing.read())
    with Client(ports[1]) as client:
        client.socket.sendall(client.hello())
        client.handshake()
        client.line()
        client.command(b"a LOGIN amy secret")
        assert client.command(b'b LIST "" half*') == [b"b OK LIST completed"]


def test_idle_works_in_tls(ports: Ports) -> None:
    with Client(ports[0]) as client:
        client.line()
        client.start_tls()
        client.command(b"a LOGIN amy secret")
        client.command(b"b SELECT INBOX")
        client.send(b"c IDLE\r\n")
        assert client.line() == b"+ idling"
        client.send(b"DONE\r\n")
        assert client.line() == b"c OK IDLE completed"


@pytest.mark.programs
def test_openssl_can_talk_to_it(ports: Ports) -> None:
    """
    Somebody else's idea of STARTTLS in IMAP.
    """
    done = subprocess.run(
        ["openssl", "s_client", "-quiet", "-starttls", "imap", "-connect", f"127.0.0.1:{ports[0]}"],
        input=b"a LOGIN amy secret\r\nb LOGOUT\r\n",
        capture_output=True,
        timeout=30,
        check=False,
    )
    assert b"a OK [CAPABILITY " in done.stdout
    assert b"b OK LOGOUT completed" in done.stdout
