"""
Listeners behind proxies, and on unix sockets: whom is believed what, and what counts as private.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import socket
import ssl
import struct
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from twisted.internet.address import IPv4Address

from mailaccess.auth.passwords import make
from mailaccess.cli import main
from mailaccess.policy.link import Layer
from mailaccess.services.config import load
from mailaccess.services.matrix import audiences, matrix
from mailaccess.services.rehearsal import NotPlayable, Rehearsal, Scene
from mailaccess.services.sockets import CannotListen, bind_unix
from mailaccess.wire.proxyheader import SIGNATURE

from .live import SECRET, Live

PROXY = IPv4Address("TCP", "10.0.0.7", 40000)
STRANGER = IPv4Address("TCP", "10.0.0.8", 40000)
LINE = b"PROXY TCP4 192.0.2.1 192.0.2.9 50000 143\r\n"


def header(source: str = "192.0.2.1", tls: bytes = b"") -> bytes:
    """
    Version 2, with what it says of TLS.
    """
    body = socket.inet_aton(source) + socket.inet_aton("192.0.2.9") + struct.pack("!HH", 50000, 143)
    body += tls
    return SIGNATURE + struct.pack("!BBH", 0x21, 0x11, len(body)) + body


def said_of_tls(version: str, cipher: str = "", name: str = "") -> bytes:
    def one(kind: int, value: bytes) -> bytes:
        return struct.pack("!BH", kind, len(value)) + value

    parts = one(0x21, version.encode())
    if cipher:
        parts += one(0x23, cipher.encode())
    if name:
        parts += one(0x22, name.encode())
    return one(0x20, struct.pack("!BI", 7 if name else 1, 0) + parts)


# ---- a server ----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def place() -> Iterator[Path]:
    made = Path(tempfile.mkdtemp(prefix="proxied-"))
    yield made
    shutil.rmtree(made)


@pytest.fixture(scope="module")
def server(place: Path, certificate_writer: Callable[..., Any]) -> Iterator[Live]:
    certificate_writer(place / "mail.pem", "mail.example.org")
    (place / "users").write_text(f"amy:{make('SSHA256', SECRET.encode())}\n")
    (place / "users").chmod(0o640)
    (place / "mail").mkdir()
    here = 'address = "127.0.0.1"\nport = 0\n'
    believed = 'proxies = ["127.0.0.1/32"]\n'
    (place / "m.toml").write_text(
        f'[mail]\nhome = "{place}/mail/{{user}}"\n'
        f'[[users]]\ntype = "file"\npath = "{place}/users"\n'
        f'[tls]\ncertificate = "{place}/mail.pem"\n'
        f'[[listener]]\nprotocol = "imap"\nname = "behind"\n{here}{believed}'
        'private = ["proxy-tls"]\n'
        f'[[listener]]\nprotocol = "pop3"\nname = "pop3behind"\n{here}{believed}'
        'private = ["proxy-tls"]\n'
        f'[[listener]]\nprotocol = "imap"\nname = "tls-behind"\ntls = "implicit"\n{here}{believed}'
        f'[[listener]]\nprotocol = "imap"\nname = "open"\n{here}'
        f'[[listener]]\nprotocol = "imap"\nname = "socket"\naddress = "unix:{place}/imap"\n'
        'private = ["unix"]\nsocket_mode = "0600"\n'
        f'[[listener]]\nprotocol = "imap"\nname = "other"\naddress = "unix:{place}/other"\n'
    )
    running = Live(place / "m.toml")
    yield running
    running.stop()
    assert not (place / "imap").exists()


class Client:
    def __init__(self, opened: socket.socket) -> None:
        self.socket = opened
        self.socket.settimeout(30)
        self.file = opened.makefile("rb")

    def send(self, data: bytes) -> None:
        self.socket.sendall(data)

    def line(self) -> bytes:
        return self.file.readline()

    def ask(self, command: bytes) -> list[bytes]:
        """
        Lines up to the tagged one.
        """
        self.send(b"t " + command + b"\r\n")
        lines = [self.line()]
        while lines[-1] and not lines[-1].startswith(b"t "):
            lines.append(self.line())
        return lines


@contextlib.contextmanager
def connected(port: int, *first: bytes) -> Iterator[Client]:
    with socket.create_connection(("127.0.0.1", port)) as opened:
        client = Client(opened)
        for each in first:
            client.send(each)
        yield client
        client.file.close()


def logged(server: Live, *parts: str) -> str:
    """
    The line with all of this in it, once it is written.
    """

    def found() -> str:
        return next((each for each in server.lines if all(it in each for it in parts)), "")

    with server.news:
        assert server.news.wait_for(found, 30), "".join(server.lines)
        return found()


LOGIN = b'LOGIN amy "' + SECRET.encode() + b'"'
STRONG_TLS = said_of_tls("TLSv1.3", "TLS_AES_256_GCM_SHA384")


def test_who_has_tls_with_the_proxy_may_log_in(server: Live) -> None:
    """POL-09, AB-14: and is logged with an address of their own."""
    with connected(server.ports["behind"], header("192.0.2.77", STRONG_TLS)) as client:
        greeting = client.line()
        assert b"LOGINDISABLED" not in greeting
        assert b"STARTTLS" not in greeting  # TLS-06: there is TLS already
        assert b"STARTTLS" not in client.ask(b"CAPABILITY")[0]
        assert client.ask(b"STARTTLS")[-1].startswith(b"t BAD")
        assert client.ask(LOGIN)[-1].startswith(b"t OK")
    line = logged(server, "event=login ", 'user="amy" ', "rip=192.0.2.77")
    assert "TLSv1.3" in line


@pytest.mark.parametrize(
    "told",
    [b"", said_of_tls("TLSv1.2", "NULL-SHA256"), said_of_tls("TLSv1.1", "AES256-SHA")],
    ids=["no TLS", "no encryption", "an old version"],
)
def test_who_has_no_good_tls_with_the_proxy_may_not(told: bytes, server: Live) -> None:
    """POL-01, POL-09"""
    with connected(server.ports["behind"], header("192.0.2.78", told)) as client:
        assert b"LOGINDISABLED" in client.line()
        assert b"PRIVACYREQUIRED" in client.ask(LOGIN)[-1]


def test_pop3_is_no_different(server: Live) -> None:
    """POL-09"""
    with connected(server.ports["pop3behind"], header("192.0.2.79", STRONG_TLS)) as client:
        assert client.line().startswith(b"+OK")
        client.send(b"USER amy\r\n")
        assert client.line().startswith(b"+OK")
        client.send(b"STLS\r\n")
        assert client.line().startswith(b"-ERR")
    with connected(server.ports["pop3behind"], LINE) as client:
        assert client.line().startswith(b"+OK")
        client.send(b"USER amy\r\n")
        assert client.line().startswith(b"-ERR")


def test_a_proxy_that_says_nothing_is_told_nothing(server: Live) -> None:
    """POL-09"""
    said = b""
    with connected(server.ports["behind"], b"a LOGIN amy x\r\n") as client:
        with contextlib.suppress(ConnectionResetError):
            said = client.line()
        assert said == b""
    logged(server, "event=proxy-refused ", "listener=behind ", "rip=127.0.0.1")


def test_a_header_from_who_is_no_proxy_ends_the_connection(server: Live) -> None:
    """POL-09: on a listener that names no proxies, too; and the log has the real address."""
    with connected(server.ports["open"]) as client:
        assert client.line().startswith(b"* OK")
        client.send(header("192.0.2.80", STRONG_TLS) + b"a " + LOGIN + b"\r\n")
        said = client.file.read()
        assert said.startswith(b"* BYE")
        assert b"a OK" not in said
    line = logged(server, "a PROXY header from somebody who is no proxy of ours")
    assert "rip=127.0.0.1" in line


def test_the_header_comes_before_our_own_tls(server: Live) -> None:
    """AB-14: TLS with us is the client's, where the proxy passes it through."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with socket.create_connection(("127.0.0.1", server.ports["tls-behind"])) as plain:
        plain.sendall(header("192.0.2.81"))
        with context.wrap_socket(plain) as opened:
            client = Client(opened)
            assert b"LOGINDISABLED" not in client.line()
            assert client.ask(LOGIN)[-1].startswith(b"t OK")
            client.file.close()
    logged(server, "event=login ", "rip=192.0.2.81")


def test_tls_that_ends_at_a_proxy_does_not_count_unnamed(server: Live) -> None:
    """POL-09: though there is TLS between the proxy and us."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with socket.create_connection(("127.0.0.1", server.ports["tls-behind"])) as plain:
        plain.sendall(header("192.0.2.82", STRONG_TLS))
        with context.wrap_socket(plain) as opened:
            client = Client(opened)
            assert b"LOGINDISABLED" in client.line()
            client.file.close()


def test_starttls_works_behind_a_proxy(server: Live) -> None:
    """TLS-01: what is sent behind STARTTLS is never run; the link is TLS, of the client's."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with socket.create_connection(("127.0.0.1", server.ports["behind"])) as plain:
        before = Client(plain)
        before.send(header("192.0.2.83"))
        assert b"STARTTLS" in before.line()
        assert before.ask(b"STARTTLS")[-1].startswith(b"t OK")
        before.file.close()
        with context.wrap_socket(plain) as opened:
            client = Client(opened)
            assert client.ask(LOGIN)[-1].startswith(b"t OK")
            client.file.close()
    logged(server, "event=login ", "rip=192.0.2.83")


def test_a_unix_socket_is_private_where_it_is_named(server: Live, place: Path) -> None:
    """POL-01"""
    assert (place / "imap").stat().st_mode & 0o777 == 0o600
    assert (place / "other").stat().st_mode & 0o777 == 0o660
    for name, allowed in (("imap", True), ("other", False)):
        with socket.socket(socket.AF_UNIX) as opened:
            opened.connect(str(place / name))
            client = Client(opened)
            assert (b"LOGINDISABLED" in client.line()) is not allowed
            answer = client.ask(LOGIN)[-1]
            assert answer.startswith(b"t OK" if allowed else b"t NO [PRIVACYREQUIRED]")
            client.file.close()


def test_what_is_explained_is_what_the_server_says(server: Live, place: Path) -> None:
    """POL-08: also through a proxy, and over a unix socket."""
    rehearsal = Rehearsal(load(place / "m.toml"))

    def explained(scene: Scene) -> bytes:
        found = rehearsal.explain(scene)
        assert found.link.private is (found.link.layer is not Layer.NONE)
        return found.capability[0].encode() + b"\r\n"

    for told, scene in (
        (STRONG_TLS, Scene("behind", "1.3", peer="192.0.2.84", proxy=True)),
        (b"", Scene("behind", peer="192.0.2.84")),
    ):
        with connected(server.ports["behind"], header("192.0.2.84", told)) as client:
            client.line()
            assert client.ask(b"CAPABILITY")[0] == explained(scene)
    for file, scene in (("imap", Scene("socket", peer="unix")), ("other", Scene("other"))):
        with socket.socket(socket.AF_UNIX) as opened:
            opened.connect(str(place / file))
            client = Client(opened)
            client.line()
            assert client.ask(b"CAPABILITY")[0] == explained(scene)
            client.file.close()
    assert rehearsal.explain(Scene("tls-behind", "1.3", proxy=True)).link.layer is Layer.NONE
    for wrong in (Scene("open", "1.3", proxy=True), Scene("behind", "none", proxy=True)):
        with pytest.raises(NotPlayable, match="no TLS at a proxy"):
            rehearsal.explain(wrong)
    with pytest.raises(NotPlayable, match="no unix socket"):
        rehearsal.explain(Scene("open", peer="unix"))


def test_the_table_has_proxies_and_sockets(
    server: Live, place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """POL-08"""
    rehearsal = Rehearsal(load(place / "m.toml"))
    table = matrix(rehearsal, audiences(rehearsal))
    allowed = {
        (cell.listener, cell.connection): decision.allowed
        for cell, decision in table.items()
        if cell.mechanism == "PLAIN"
    }
    assert allowed["behind", "no TLS"] is False
    assert allowed["behind", "TLS 1.2 at a proxy"] is True
    assert allowed["behind", "TLS 1.3 at a proxy"] is True
    assert allowed["tls-behind", "TLS 1.3"] is True
    assert allowed["tls-behind", "TLS 1.3 at a proxy"] is False
    assert allowed["socket", "no TLS"] is False
    assert allowed["socket", "no TLS from unix"] is True
    words = ["explain", str(place / "m.toml"), "-l", "behind", "--proxy"]
    assert main(words) == 0
    said = capsys.readouterr().out
    assert "TLS 1.3 at a proxy, from 192.0.2.1" in said
    assert "proxy-tls" not in said.partition("\n")[0]
    assert main([*words, "--json"]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert (shown["layer"], shown["proxy"], shown["private"]) == ("proxy-tls", True, True)


# ---- sockets and settings ----------------------------------------------------------------------


def test_a_socket_that_nobody_listens_on_is_taken_over(place: Path) -> None:
    path = str(place / "stale")
    bind_unix(path, "imap", 5).close()
    with bind_unix(path, "imap", 5, 0o666):
        assert os.stat(path).st_mode & 0o777 == 0o666
        with pytest.raises(CannotListen, match="another program has it"):
            bind_unix(path, "imap", 5)
    (place / "file").write_text("x")
    with pytest.raises(CannotListen, match="something that is no socket"):
        bind_unix(str(place / "file"), "imap", 5)
    with pytest.raises(CannotListen, match="groupadd --system no-such-group"):
        bind_unix(str(place / "new"), "imap", 5, 0o660, "no-such-group")
    assert (place / "file").read_text() == "x"
    assert not (place / "new").exists()


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        ('private = ["proxy-tls"]', 'has "proxy-tls", but there are no proxies'),
        ('private = ["unix"]', 'has "unix", but no unix socket'),
        ('proxies = ["unix"]', 'has "unix", but no unix socket'),
        ('proxies = ["0.0.0.0/0"]', "trusts everybody"),
        ('proxies = ["proxy-tls"]', 'write "loopback" or "unix", or one like'),
        ('socket_group = "mail"', "has no socket"),
        ('address = "unix:imap"', "which is no absolute path"),
        ('address = "unix:/run/imap"\nport = 143', "has no meaning for a socket"),
        (f'address = "unix:/{"x" * 120}"', "is too long for a socket"),
        ('tls = "implicit"\nprivate = ["loopback"]', "all are private"),
        (
            'minimum_tls = "1.2"\nproxies = ["loopback"]\nprivate = ["proxy-tls", "loopback"]',
            "has no meaning with minimum_tls",
        ),
    ],
)
def test_words_without_meaning_are_said(
    lines: str, said: str, tmp_path: Path, certificate_writer: Callable[..., Any]
) -> None:
    with pytest.raises(Exception, match=re.escape(said)) as raised:
        load(_written(lines, tmp_path, certificate_writer))
    assert len(raised.value.problems) == 1


@pytest.mark.parametrize(
    "lines",
    [
        'tls = "none"\nproxies = ["10.0.0.7/32"]\nprivate = ["proxy-tls"]\nminimum_tls = "1.3"',
        'tls = "none"\nproxies = ["10.0.0.7/32"]\nprivate = ["proxy-tls"]\n',
        'tls = "implicit"\nproxies = ["10.0.0.7/32"]\nprivate = ["proxy-tls"]',
        'address = ["unix:/run/imap", "127.0.0.1"]\nproxies = ["unix"]\nprivate = ["unix"]',
        'address = "systemd:imap"\nproxies = ["unix"]\nprivate = ["unix"]',
    ],
)
def test_words_with_meaning_are_taken(
    lines: str, tmp_path: Path, certificate_writer: Callable[..., Any]
) -> None:
    load(_written(lines, tmp_path, certificate_writer))


def _written(lines: str, place: Path, certificate_writer: Callable[..., Any]) -> Path:
    certificate_writer(place / "mail.pem", "mail.example.org")
    (place / "users").touch(0o600)
    written = place / "m.toml"
    written.write_text(
        f'[mail]\nhome = "{place}/{{user}}"\n[[users]]\ntype = "file"\npath = "{place}/users"\n'
        f'[tls]\ncertificate = "{place}/mail.pem"\n[[listener]]\nprotocol = "imap"\n{lines}\n'
    )
    return written
