"""
Clients that send nonsense, hang up or are slow; everybody else is served meanwhile.
"""

from __future__ import annotations

import base64
import imaplib
import os
import socket
import ssl

import pytest

from .running import ODD, PATIENCE, Desk

ANY = pytest.mark.parametrize("listener", ["imap", "imaps", "pop3", "pop3s"])
STREAMS = (
    b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n",
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(range(256)),
    b"\0" * 100_000,
    b"a" * 300_000,
    b"\r\n" * 1000,
    b"\xff\xfe\r\n" * 100,
    b"a LOGIN {99999999999999999999}\r\n" * 5,
    b"a NOOP\r\n" * 20_000 + b"a LOGOUT\r\nQUIT\r\n",
    os.urandom(50_000) + b"\r\n",
)


def dial(desk: Desk, listener: str) -> socket.socket:
    plain = socket.create_connection(("127.0.0.1", desk.port(listener)), timeout=PATIENCE)
    if not listener.endswith("s"):
        return plain
    return desk.server.context().wrap_socket(plain, server_hostname="localhost")


def imap(desk: Desk) -> imaplib.IMAP4_SSL:
    it = imaplib.IMAP4_SSL(
        "localhost", desk.port("imaps"), ssl_context=desk.server.context(), timeout=PATIENCE
    )
    it.login(desk.person.name, desk.person.password)
    return it


@ANY
def test_nonsense_ends_a_connection_and_nothing_else(desk: Desk, listener: str) -> None:
    """TLS-18, PAR-01, AB-06"""
    other = imap(desk)
    for stream in STREAMS:
        with dial(desk, listener) as it:
            try:
                it.sendall(stream)
                if not isinstance(it, ssl.SSLSocket):
                    it.shutdown(socket.SHUT_WR)
                else:
                    it.unwrap()
                while it.recv(65536):
                    pass
            except OSError:
                pass  # closed before all was sent
        assert other.noop()[0] == "OK"
    other.logout()


@pytest.mark.parametrize("listener", ["imaps", "pop3s"])
def test_no_tls_where_tls_is_due_ends_the_connection(desk: Desk, listener: str) -> None:
    for stream in STREAMS:
        with socket.create_connection(("127.0.0.1", desk.port(listener)), PATIENCE) as it:
            try:
                it.sendall(stream)
                it.shutdown(socket.SHUT_WR)
                while it.recv(65536):
                    pass
            except OSError:
                pass
    assert imap(desk).logout()[0] == "BYE"


@pytest.mark.parametrize(
    ("listener", "said"),
    [("imaps", "a LOGIN {name} {secret}\r\n"), ("pop3s", "USER {name}\r\nPASS {secret}\r\n")],
)
def test_who_hangs_up_before_the_answer_has_failed_all_the_same(
    desk: Desk, listener: str, said: str
) -> None:
    """AUTH-07, AB-14: hanging up hides no guess from those who read the log."""
    wrong = desk.server.site.secret(f"Falsch-{listener}", desk.person.name)
    since = len(desk.server.log.lines)
    with dial(desk, listener) as it:
        it.sendall(said.format(name=desk.person.name, secret=wrong).encode())
    line = desk.server.log.wait_for("event=(failed|refused|abandoned)", since)
    assert line.partition("event=")[2].startswith("failed ")
    assert "reason=AuthenticationFailed" in line
    imap(desk).logout()


def test_a_client_that_reads_slowly_holds_up_nobody(desk: Desk) -> None:
    """PAR-10: what it asked for waits; another session of the same user goes on."""
    big = b"Subject: big\n\n" + b"0123456789abcdef" * 64 * 1024 + b"\n"
    desk.person.deliver([big, *ODD])
    other = imap(desk)
    with dial(desk, "imaps") as slow:
        slow.sendall(
            f"a LOGIN {desk.person.name} {desk.person.password}\r\nb SELECT INBOX\r\n".encode()
            + b"c FETCH 1 BODY.PEEK[]\r\n" * 30
        )
        slow.recv(100)
        for _ in range(20):
            assert other.noop()[0] == "OK"
        assert other.select()[0] == "OK"
        other.store("2", "+FLAGS", "\\Deleted")
        other.expunge()
        read = 0
        tail = b""
        while not tail.endswith(b"c OK FETCH completed\r\n") or read < 30 * len(big):
            data = slow.recv(65536)
            assert data
            read += len(data)
            tail = (tail + data)[-100:]
    other.logout()


def test_a_client_that_sends_octet_by_octet_is_understood(desk: Desk) -> None:
    desk.person.deliver(ODD)
    blob = base64.b64encode(f"\0{desk.person.name}\0{desk.person.password}".encode()).decode()
    with dial(desk, "imaps") as it:
        it.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for octet in f"a AUTHENTICATE PLAIN {blob}\r\nb STATUS INBOX (MESSAGES)\r\n".encode():
            it.sendall(bytes([octet]))
        said = b""
        while b"b OK" not in said:
            said += it.recv(1000)
    assert b"* STATUS INBOX (MESSAGES 6)\r\n" in said


@pytest.mark.parametrize(
    ("listener", "protocol", "said", "answer"),
    [
        ("imap", "imap", "a LOGIN {0} {1}\nb SELECT INBOX\nc LOGOUT\n", b"c OK"),
        ("imaps", "", "a LOGIN {0} {1}\nb SELECT INBOX\nc LOGOUT\n", b"c OK"),
        ("pop3", "pop3", "USER {0}\nPASS {1}\nSTAT\nQUIT\n", b"+OK 6 "),
        ("pop3s", "", "USER {0}\nPASS {1}\nSTAT\nQUIT\n", b"+OK 6 "),
    ],
)
@pytest.mark.parametrize("version", ["-tls1_2", "-tls1_3"])
def test_openssl_speaks_by_hand(
    desk: Desk, listener: str, protocol: str, said: str, answer: bytes, version: str
) -> None:
    """TLS-14; the certificate is verified."""
    desk.person.deliver(ODD)
    done = desk.run(
        *("openssl", "s_client", version, "-quiet", "-crlf", "-ign_eof", "-verify_return_error"),
        *("-verify_hostname", "localhost", "-CAfile", desk.certificate),
        *(("-starttls", protocol) if protocol else ()),
        *("-connect", f"localhost:{desk.port(listener)}"),
        given=said.format(desk.person.name, desk.person.password).encode(),
    )
    assert answer in done.stdout


@ANY
@pytest.mark.parametrize("version", ["-tls1", "-tls1_1"])
def test_openssl_is_not_served_with_old_tls(desk: Desk, listener: str, version: str) -> None:
    """TLS-14"""
    starttls = () if listener.endswith("s") else ("-starttls", listener)
    done = desk.run(
        *("openssl", "s_client", version, "-cipher", "ALL:@SECLEVEL=0", *starttls),
        *("-connect", f"localhost:{desk.port(listener)}"),
        status=1,
    )
    assert b"alert protocol version" in done.stderr
