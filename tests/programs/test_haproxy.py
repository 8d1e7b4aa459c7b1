"""
Behind a real HAProxy: what it says of clients is what they are (AB-14, POL-09).
"""

from __future__ import annotations

import contextlib
import imaplib
import os
import poplib
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from .running import Person, Server, Site, program, serving, until
from .unpacked import end, free_ports

CONFIG = """\
global
    log stderr local0
defaults
    mode tcp
    timeout connect 10s
    timeout client 60s
    timeout server 60s
frontend tls
    bind 127.0.0.1:{tls} ssl crt {place}/both.pem
    default_backend tls
backend tls
    server imap 127.0.0.1:{behind} send-proxy-v2 proxy-v2-options ssl,ssl-cipher,crc32c
frontend older
    bind 127.0.0.1:{older} ssl crt {place}/both.pem ssl-max-ver TLSv1.2
    default_backend tls
frontend silent
    bind 127.0.0.1:{silent} ssl crt {place}/both.pem ssl-max-ver TLSv1.2
    default_backend silent
backend silent
    server imap 127.0.0.1:{behind} send-proxy-v2-ssl
frontend clear
    bind 127.0.0.1:{clear}
    default_backend tls
frontend first
    bind 127.0.0.1:{first}
    default_backend first
backend first
    server imaps 127.0.0.1:{tlsbehind} send-proxy
frontend pop3
    bind 127.0.0.1:{pop3} ssl crt {place}/both.pem
    default_backend pop3
backend pop3
    server pop3 unix@{place}/pop3 send-proxy-v2 proxy-v2-options ssl,ssl-cipher
frontend without
    bind 127.0.0.1:{without}
    default_backend without
backend without
    server imap 127.0.0.1:{behind}
"""
FRONTENDS = ("tls", "older", "silent", "clear", "first", "pop3", "without")


@pytest.fixture(scope="module")
def behind() -> Iterator[Server]:
    place = Path(tempfile.mkdtemp(prefix="haproxy-"))
    here = 'address = "127.0.0.1"\nport = 0\nproxies = ["127.0.0.1/32"]\n'
    site = Site(
        place,
        people=30,
        more=f'[[listener]]\nprotocol = "imap"\nname = "behind"\n{here}private = ["proxy-tls"]\n'
        f'[[listener]]\nprotocol = "imap"\nname = "tlsbehind"\ntls = "implicit"\n{here}'
        f'[[listener]]\nprotocol = "pop3"\nname = "unix"\naddress = "unix:{place}/pop3"\n'
        'tls = "none"\nproxies = ["unix"]\nprivate = ["proxy-tls"]\n',
    )
    yield from serving(site)
    shutil.rmtree(place)


@pytest.fixture(scope="module")
def ports(behind: Server) -> Iterator[dict[str, int]]:
    place = behind.site.place
    both = place / "both.pem"
    both.write_text((place / "cert.pem").read_text() + (place / "key.pem").read_text())
    found = dict(zip(FRONTENDS, free_ports(len(FRONTENDS)), strict=True))
    config = place / "haproxy.cfg"
    config.write_text(
        CONFIG.format(
            place=place,
            behind=behind.ports["behind"],
            tlsbehind=behind.ports["tlsbehind"],
            **found,
        )
    )
    os.environ["PATH"] += ":/usr/sbin"
    with (place / "haproxy.log").open("wb") as log:
        # -db: in the foreground
        process = subprocess.Popen(
            [program("haproxy"), "-db", "-f", str(config)],
            stdin=subprocess.DEVNULL,
            stderr=log,
            process_group=0,
        )

    def listens() -> bool:
        assert process.poll() is None, (place / "haproxy.log").read_text()
        try:
            socket.create_connection(("127.0.0.1", found["clear"])).close()
        except ConnectionRefusedError:
            return False
        return True

    until(listens, "haproxy")
    yield found
    end(process)


@pytest.fixture
def person(behind: Server) -> Person:
    return behind.site.person()


def imaps(behind: Server, port: int, source: str) -> imaplib.IMAP4:
    """
    TLS with the proxy, from an address of one's own.
    """

    class From(imaplib.IMAP4):
        def _create_socket(self, timeout: float | None) -> socket.socket:
            plain = socket.create_connection(("127.0.0.1", port), 60, (source, 0))
            return behind.context().wrap_socket(plain, server_hostname="localhost")

    return From("localhost", port)


def test_clients_with_tls_at_the_proxy_log_in_with_their_own_address(
    behind: Server, ports: dict[str, int], person: Person
) -> None:
    """AB-14, POL-09"""
    for frontend, source, version in (
        ("tls", "127.0.0.21", "TLSv1.3"),
        ("older", "127.0.0.22", "TLSv1.2"),
    ):
        client = imaps(behind, ports[frontend], source)
        assert "STARTTLS" not in client.capabilities
        assert client.login(person.name, person.password)[0] == "OK"
        client.logout()
        line = behind.log.wait_for(f"event=login .*listener=behind .*rip={source} ")
        assert f'tls="{version} ' in line


def test_a_cipher_that_is_not_told_counts_for_nothing(
    behind: Server, ports: dict[str, int], person: Person
) -> None:
    """POL-09: C{send-proxy-v2-ssl} says the version alone; of TLS 1.2 that is not enough."""
    client = imaps(behind, ports["silent"], "127.0.0.23")
    assert "LOGINDISABLED" in client.capabilities
    with pytest.raises(imaplib.IMAP4.error, match="PRIVACYREQUIRED"):
        client.login(person.name, person.password)
    client.shutdown()


def test_clients_in_the_clear_are_refused_or_begin_tls_with_us(
    behind: Server, ports: dict[str, int], person: Person
) -> None:
    """POL-01, POL-09"""
    client = imaplib.IMAP4("127.0.0.1", ports["clear"])
    assert "LOGINDISABLED" in client.capabilities
    client.starttls(behind.context())
    assert client.login(person.name, person.password)[0] == "OK"
    client.logout()


def test_the_header_comes_before_tls_with_us(
    behind: Server, ports: dict[str, int], person: Person
) -> None:
    """AB-14: version 1, in front of implicit TLS."""
    context = behind.context()
    client = imaplib.IMAP4_SSL("localhost", ports["first"], ssl_context=context)
    assert client.login(person.name, person.password)[0] == "OK"
    client.logout()
    behind.log.wait_for("event=login .*listener=tlsbehind .*rip=127.0.0.1 .*TLSv1.3")


def test_headers_come_over_a_unix_socket_too(
    behind: Server, ports: dict[str, int], person: Person
) -> None:
    """AB-14, POL-09"""
    client = poplib.POP3_SSL("localhost", ports["pop3"], context=behind.context())
    client.user(person.name)
    assert client.pass_(person.password).startswith(b"+OK")
    client.quit()
    behind.log.wait_for("event=login .*listener=unix .*rip=127.0.0.1 .*TLSv1.3")


def test_a_proxy_that_forgets_the_header_serves_nobody(
    behind: Server, ports: dict[str, int]
) -> None:
    """POL-09"""
    with socket.create_connection(("127.0.0.1", ports["without"]), 60) as client:
        client.sendall(b"a CAPABILITY\r\n")
        said = b""
        with contextlib.suppress(ConnectionResetError):
            said = client.recv(100)
        assert said == b""
    behind.log.wait_for("event=proxy-refused .*rip=127.0.0.1")


def test_failures_count_for_the_client_and_not_for_the_proxy(
    behind: Server, ports: dict[str, int], person: Person
) -> None:
    """AB-14, AUTH-07: the line that fail2ban reads has the client's address."""
    client = imaps(behind, ports["tls"], "127.0.0.24")
    with pytest.raises(imaplib.IMAP4.error):
        client.login(person.name, "wrong")
    client.shutdown()
    behind.log.wait_for("event=failed .*rip=127.0.0.24 ")
