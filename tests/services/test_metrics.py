"""
Numbers of a running server, read as a collector reads them.
"""

from __future__ import annotations

import re
import socket
from collections.abc import Callable, Iterator
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as open_families
from prometheus_client.parser import text_string_to_metric_families as families

from mailaccess.auth import passwords
from mailaccess.policy.attempt import Attempt, Result
from mailaccess.policy.decision import Decision, Verdict
from mailaccess.policy.link import Link
from mailaccess.policy.mechanism import PLAIN
from mailaccess.services.auditsettings import LocalAddress
from mailaccess.services.kinds import WrongValue
from mailaccess.services.metrics.numbers import Numbers
from mailaccess.services.metrics.web import MOST

from .live import SECRET, Client, Live

CONFIG = """
[mail]
home = "{top}/mail/{{user}}"
[[users]]
type = "file"
path = "{top}/users"
[tls]
certificate = "{top}/server.pem"
[audit]
database = "{top}/audit.db"
[metrics]
listen = "{listen}"
[[listener]]
protocol = "imap"
address = ["127.0.0.1"]
port = 0
"""


@pytest.fixture
def start(tmp_path: Path, certificate_writer: Callable[..., Any]) -> Iterator[Callable[..., Live]]:
    certificate_writer(tmp_path / "server.pem", "mail.example.org")
    users = tmp_path / "users"
    users.touch(0o600)
    users.write_text(f"amy:{passwords.make('SSHA512', SECRET.encode())}\n")
    (tmp_path / "mail").mkdir()
    started: list[Live] = []

    def go(listen: str) -> Live:
        config = tmp_path / "mailaccess.toml"
        config.write_text(CONFIG.format(top=tmp_path, listen=listen))
        started.append(Live(config))
        return started[-1]

    yield go
    for each in started:
        each.stop()


def values(text: str, read: Any = families) -> dict[tuple[str, ...], float]:
    """
    By name and values of the labels, in the order of the labels' names.
    """
    return {
        (sample.name, *sample.labels.values()): sample.value
        for family in read(text)
        for sample in family.samples
    }


def test_logins_are_counted_by_what_became_of_them(start: Callable[..., Live]) -> None:
    """POL-05: and passwords that others could read, too; no name of a user is in it."""
    live = start("127.0.0.1:0")
    live.wait_for("event=metrics ")
    (port,) = re.findall(r"event=metrics .*port=(\d+)", "".join(live.lines))
    clear = Client("imap", live.ports["imap"])
    assert " NO " in clear.login("LOGIN command", "amy")
    secure = Client("imap", live.ports["imap"], "1.3")
    assert " OK " in secure.login("PLAIN", "amy")

    http = HTTPConnection("127.0.0.1", int(port), timeout=20)
    http.request("GET", "/metrics")
    answer = http.getresponse()
    text = answer.read().decode()
    assert answer.getheader("content-type", "").startswith("text/plain")
    assert "amy" not in text
    found = values(text)
    logins = "mailaccess_logins_total"
    assert found[logins, "none", "imap", "LOGIN command", "refused", "unchecked"] == 1
    assert found[logins, "tls", "imap", "PLAIN", "allowed", "right"] == 1
    assert found["mailaccess_passwords_exposed_total", "imap", "LOGIN command"] == 1
    assert found["mailaccess_connections", "imap"] == 2
    assert found["mailaccess_sessions", "imap"] == 1
    assert found[("mailaccess_audit_dropped_total",)] == 0
    assert found["mailaccess_certificate_expiry_seconds", ""] > 1_700_000_000

    http.request("GET", "/metrics", headers={"Accept": "application/openmetrics-text"})
    answer = http.getresponse()
    assert values(answer.read().decode(), open_families)["mailaccess_connections", "imap"] == 2
    http.request("GET", "/secrets")
    assert http.getresponse().status == 404
    http.close()
    clear.close()
    secure.close()


def test_a_socket_of_the_file_system_will_do(start: Callable[..., Live], tmp_path: Path) -> None:
    path = tmp_path / "metrics"
    live = start(f"unix:{path}")
    live.wait_for("event=metrics ")
    assert path.stat().st_mode & 0o007 == 0
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(20)
        client.connect(str(path))
        client.sendall(b"GET /metrics HTTP/1.0\r\n\r\n")
        text = b""
        while chunk := client.recv(65536):
            text += chunk
    assert b"mailaccess_info{version=" in text


def test_a_port_that_is_taken_keeps_nobody_from_mail(start: Callable[..., Live]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        live = start(f"127.0.0.1:{taken.getsockname()[1]}")
        live.wait_for("event=metrics-broken")
        client = Client("imap", live.ports["imap"], "1.3")
        assert " OK " in client.login("PLAIN", "amy")
        client.close()


def test_a_body_is_kept_nowhere_and_the_connection_ends(start: Callable[..., Live]) -> None:
    """AB-01: whoever is on this machine may ask, and not fill the disk of the mail server."""
    live = start("127.0.0.1:0")
    live.wait_for("event=metrics ")
    (port,) = re.findall(r"event=metrics .*port=(\d+)", "".join(live.lines))
    with socket.create_connection(("127.0.0.1", int(port)), timeout=20) as client:
        client.sendall(b"POST /metrics HTTP/1.1\r\nHost: x\r\nContent-Length: 999999999\r\n\r\n")
        with pytest.raises(ConnectionError):
            client.sendall(b"x" * 64_000_000)
    http = HTTPConnection("127.0.0.1", int(port), timeout=20)
    http.request("GET", "/metrics")
    assert http.getresponse().status == 200
    http.close()


def test_connections_are_few_and_leave_room_when_they_end(start: Callable[..., Live]) -> None:
    """AB-01"""
    live = start("127.0.0.1:0")
    live.wait_for("event=metrics ")
    (port,) = re.findall(r"event=metrics .*port=(\d+)", "".join(live.lines))
    held = [socket.create_connection(("127.0.0.1", int(port)), timeout=20) for _ in range(MOST)]
    with socket.create_connection(("127.0.0.1", int(port)), timeout=20) as late:
        assert late.recv(1) == b""
    for each in held:
        each.sendall(b"GET /metrics HTTP/1.0\r\n\r\n")
        while each.recv(65536):
            pass
        each.close()
    http = HTTPConnection("127.0.0.1", int(port), timeout=20)
    http.request("GET", "/metrics")
    assert http.getresponse().status == 200
    http.close()


def test_directories_are_up_or_down() -> None:
    from types import SimpleNamespace

    from mailaccess.services.metrics.looking import look

    servers = [
        SimpleNamespace(uri="ldap://a", down=False),
        SimpleNamespace(uri="ldap://b", down=True),
    ]
    directory = SimpleNamespace(upstreams=SimpleNamespace(servers=servers))
    audit: Any = SimpleNamespace(keeper=None, ratchet=SimpleNamespace(after=0))
    found = {
        (sample.name, *sample.labels.values()): sample.value
        for family in look([], [directory], None, audit)
        for sample in family.samples
    }
    assert found["mailaccess_directory_up", "ldap://a"] == 1
    assert found["mailaccess_directory_up", "ldap://b"] == 0


def test_series_do_not_grow_with_users_or_addresses() -> None:
    """AB-13: what a client sends is in no label."""
    numbers = Numbers()
    allowed = Decision(Verdict.ALLOW, "r", "s")
    for at in range(100):
        link = Link("imap", peer=f"192.0.2.{at}")
        numbers.count(Attempt("", "imap", link, PLAIN, f"u{at}", allowed, Result.WRONG, True))
    (logins, exposed, *_) = numbers.collect()
    assert [sample.value for sample in logins.samples] == [100]
    assert [sample.value for sample in exposed.samples] == [100]


@pytest.mark.parametrize("good", ["127.0.0.1:9143", "[::1]:9143", "unix:/run/mailaccess/metrics"])
def test_addresses_of_this_machine_are_taken(good: str) -> None:
    assert LocalAddress().read(good) == good


@pytest.mark.parametrize(
    "bad", ["0.0.0.0:9143", "192.0.2.1:80", "9143", "127.0.0.1", "127.0.0.1:99999", "unix:x", 9143]
)
def test_other_addresses_are_not(bad: object) -> None:
    with pytest.raises(WrongValue):
        LocalAddress().read(bad)
