"""
Certificates of directories: what is believed, and what is not.
"""

from __future__ import annotations

import ssl
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from mailaccess.auth.ldap.deadline import Deadline
from mailaccess.auth.ldap.faults import Fault, Unreachable, WrongSetup
from mailaccess.auth.ldap.upstream import Upstreams, read_secret
from mailaccess.errors import DirectoryUnavailable

from .asking import Asker
from .mock import MockServer, bind_result, directory
from .slapd import AMYS, READER, Authority, Slapd
from .test_search_and_bind import operations, refusal

RIGHT = AMYS.encode()
Shown = Callable[..., str]


@pytest.fixture
def shown(authority: Authority, tmp_path: Path) -> Iterator[Shown]:
    """
    A TLS server with a certificate as told; its ldaps URI.
    """
    servers: list[MockServer] = []

    def make(*names: str, ends: int = 30, signed_by: Authority = authority, uri: str = "") -> str:
        pem = signed_by.write(tmp_path / "shown.pem", "x", *names, ends=ends)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(pem)
        answer = directory(lambda dn, secret: bind_result(0))

        def talk(sock: Any) -> None:
            server._talk(context.wrap_socket(sock, server_side=True))

        server = MockServer(answer, raw=talk)
        servers.append(server)
        return (uri or "ldaps://127.0.0.1") + f":{server.port}"

    make.servers = servers  # type: ignore[attr-defined]
    yield make
    for each in servers:
        each.stop()


def attempt(asker: Asker, uri: str, **more: Any) -> str:
    """
    What is wrong, or C{ok}.
    """
    upstreams = Upstreams(asker.connecting(uri, **more))
    try:
        session = upstreams.open(upstreams.servers[0], Deadline(10))
        session.bind("uid=amy,dc=corp", b"x")
        session.close()
    except (Unreachable, WrongSetup) as fault:
        return fault.detail
    return "ok"


def test_names_and_addresses_in_certificates_are_compared(asker: Asker, shown: Shown) -> None:
    """LD-04: also IP addresses, on every Python."""
    assert attempt(asker, shown("127.0.0.1")) == "ok"
    assert attempt(asker, shown("localhost", uri="ldaps://localhost")) == "ok"
    assert "certificate refused" in attempt(asker, shown("127.0.0.2"))
    assert "certificate refused" in attempt(asker, shown("ldap.corp.example"))
    assert "certificate refused" in attempt(asker, shown())
    assert attempt(asker, shown("ldap.corp.example"), server_name="ldap.corp.example") == "ok"
    assert attempt(asker, shown("*.corp.example"), server_name="ldap.corp.example") == "ok"
    assert "refused" in attempt(asker, shown("127.0.0.1"), server_name="other.example")


def test_chains_and_dates_are_verified(asker: Asker, shown: Shown) -> None:
    """LD-04: expired, another authority, none: no login, and nothing was sent."""
    assert "expired" in attempt(asker, shown("127.0.0.1", ends=-1))
    assert "certificate refused" in attempt(
        asker, shown("127.0.0.1", signed_by=Authority("Somebody else"))
    )
    assert "certificate refused" in attempt(asker, shown("127.0.0.1"), ca_file="")
    assert [each.requests for each in shown.servers] == [[]] * 3  # type: ignore[attr-defined]


def test_authorities_are_read_again_when_the_file_changes(
    asker: Asker, shown: Shown, tmp_path: Path
) -> None:
    """A renewed authority needs no restart; a broken file is the configuration's fault."""
    other = Authority("Renewed")
    uri = shown("127.0.0.1", signed_by=other)
    ca = asker.ca.with_name("changing.pem")
    ca.write_bytes(asker.ca.read_bytes())
    upstreams = Upstreams(asker.connecting(uri, ca_file=str(ca)))
    with pytest.raises(Unreachable, match="refused"):
        upstreams.open(upstreams.servers[0], Deadline(10))
    other.write_ca(ca)
    upstreams.open(upstreams.servers[0], Deadline(10)).close()
    ca.write_text("no certificate")
    with pytest.raises(WrongSetup, match="cannot be read"):
        upstreams.open(upstreams.servers[0], Deadline(10))
    ca.unlink()
    with pytest.raises(WrongSetup, match="cannot be read"):
        upstreams.open(upstreams.servers[0], Deadline(10))


async def test_a_wrong_certificate_is_unavailable_and_no_wrong_password(
    asker: Asker, slapd: Slapd
) -> None:
    """LD-04: by StartTLS and by ldaps; no bind is seen."""
    since = len(slapd.said())
    for uri in (slapd.uri, slapd.tls_uri):
        checker = asker.checker(uri, connecting={"server_name": "other.example"})
        error = await refusal(checker, "amy", RIGHT)
        assert isinstance(error, DirectoryUnavailable)
        assert error.code == "UNAVAILABLE"
    assert {*operations(slapd, since)} <= {"STARTTLS"}


async def test_a_client_certificate_can_search(
    asker: Asker, slapd: Slapd, authority: Authority, scratch: Path
) -> None:
    """LD-19: SASL EXTERNAL by certificate over TLS, and by process over ldapi."""
    pem = authority.write(scratch / "client.pem", "mailaccess client")
    by_certificate = {"bind": "external", "certificate": str(pem)}
    for uri, more in (
        (slapd.tls_uri, by_certificate),
        (slapd.uri, by_certificate),
        (slapd.ipc_uri, {"bind": "external"}),
    ):
        checker = asker.checker(uri, connecting=more)
        assert (await checker.check("amy", RIGHT, "imap")).name == "amy"
        kept = [session for session, _ in checker.upstreams.servers[0].idle]
        assert [session.whoami() for session in kept] == [f"dn:{READER}"]
    nobody = asker.checker(slapd.tls_uri, connecting={"bind": "external"})
    assert isinstance(await refusal(nobody, "amy", RIGHT), DirectoryUnavailable)


def test_a_secret_that_others_may_read_is_not_used(asker: Asker) -> None:
    """LD-17."""
    assert read_secret(asker.secret_file("geheim", 0o400)) == b"geheim"
    for mode in (0o640, 0o604, 0o660):
        with pytest.raises(WrongSetup, match="chmod 600"):
            read_secret(asker.secret_file("geheim", mode))
    with pytest.raises(WrongSetup, match="empty"):
        read_secret(asker.secret_file(""))
    with pytest.raises(WrongSetup, match="No such file"):
        read_secret("/nonexistent")


def test_a_deadline_ends_what_waits(asker: Asker) -> None:
    """LD-08: from another thread, in the middle of a read."""
    server = MockServer(lambda request: None)
    try:
        upstreams = Upstreams(asker.connecting(server.uri, encrypt=False, answer_timeout=60))
        deadline = Deadline(60)
        session = upstreams.open(upstreams.servers[0], deadline)
        trouble: list[BaseException] = []

        def bind() -> None:
            try:
                session.bind("cn=x", b"x")
            except Fault as fault:
                trouble.append(fault)

        thread = threading.Thread(target=bind)
        thread.start()
        while not server.requests:
            server.over.wait(0.01)
        deadline.abort()
        thread.join(20)
        assert not thread.is_alive()
        assert trouble
    finally:
        server.stop()
