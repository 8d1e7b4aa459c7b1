"""
A policy that changes while the server runs.
"""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from mailaccess.auth import passwords
from mailaccess.services.config import parse
from mailaccess.services.renewal import moved, others

from .live import SECRET, Client, Live

HEAD = """
[mail]
home = "{top}/mail/{{user}}"
[[users]]
type = "file"
path = "{top}/users"
[tls]
certificate = "{top}/server.pem"
"""
IMAP = """
[[listener]]
protocol = "imap"
address = ["127.0.0.1"]
port = 0
"""
POP3 = IMAP.replace("imap", "pop3")
AMY_MAY_NOT = """
[[rule]]
users = ["amy"]
cleartext = "refuse"
"""


class Site:
    def __init__(self, top: Path) -> None:
        self.path = top / "mailaccess.toml"
        self.head = HEAD.format(top=top)
        self.live: Any = None

    def start(self, text: str) -> None:
        self.path.write_text(self.head + text)
        self.live = Live(self.path)

    def change(self, text: str, said: str) -> None:
        """
        Until the server has said something of it.
        """
        self.path.write_text(self.head + text)
        with self.live.news:
            self.live.lines.clear()
        self.live.process.send_signal(signal.SIGHUP)
        self.live.wait_for(said)

    def login(self, listener: str = "imap") -> str:
        client = Client(listener, self.live.ports[listener])
        answer = client.login("LOGIN command" if listener == "imap" else "USER", "amy")
        client.close()
        return answer


def noop(client: Client) -> bool:
    client.send("n NOOP")
    return client.until("n ")[-1].startswith("n OK")


@pytest.fixture
def site(tmp_path: Path, certificate_writer: Callable[..., Any]) -> Iterator[Site]:
    certificate_writer(tmp_path / "server.pem", "mail.example.org")
    (tmp_path / "mail").mkdir()
    users = tmp_path / "users"
    users.touch(0o600)
    users.write_text(f"amy:{passwords.make('SSHA512', SECRET.encode())}\n")
    it = Site(tmp_path)
    yield it
    it.live.stop()


def test_a_reload_takes_in_listeners_and_rules_and_ends_no_session(site: Site) -> None:
    """POL-08, POL-04: what the log says after a reload is what holds."""
    site.start(IMAP)
    waiting = Client("imap", site.live.ports["imap"])
    assert "PRIVACYREQUIRED" in site.login()
    site.change(IMAP + 'cleartext = "allow"\n', 'event=policy text="imap (0): TLS by command')
    assert "passwords in the clear taken" in "".join(site.live.lines)
    assert " OK " in site.login()
    assert " OK " in waiting.login("LOGIN command", "amy")
    site.change(IMAP + 'cleartext = "allow"\n' + AMY_MAY_NOT, "1 rule for users")
    assert "PRIVACYREQUIRED" in site.login()
    assert noop(waiting)
    waiting.close()


def test_what_is_private_changes_for_who_is_there_and_not_logged_in(site: Site) -> None:
    """POL-06"""
    site.start(IMAP + 'private = ["loopback"]\n')
    waiting = Client("imap", site.live.ports["imap"])
    assert noop(waiting)
    site.change(IMAP, "event=policy ")
    assert "PRIVACYREQUIRED" in waiting.login("LOGIN command", "amy")
    waiting.close()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (IMAP + 'cleartext = "alow"\n', "cleartext = "),
        (IMAP + 'cleartext = "allow"\n' + POP3, "listener pop3 is new"),
        (IMAP.replace("port = 0", "port = 1143") + 'cleartext = "allow"\n', "listens otherwise"),
    ],
)
def test_a_file_that_cannot_be_taken_changes_nothing(text: str, said: str, site: Site) -> None:
    site.start(IMAP)
    site.change(text, "event=policy-kept")
    assert said in "".join(site.live.lines)
    assert "PRIVACYREQUIRED" in site.login()


def test_other_tables_are_named_for_a_restart(site: Site) -> None:
    site.start(IMAP)
    site.change("[limits]\nlogin = 30\n" + IMAP + 'cleartext = "allow"\n', "event=restart-needed")
    assert 'tables="[limits]"' in "".join(site.live.lines)
    site.live.wait_for("event=policy ")
    assert " OK " in site.login()


def test_lines_that_move_are_no_change() -> None:
    head = HEAD.format(top="/srv")
    old, new = parse(head + IMAP), parse("# a comment\n" + head + "\n" + IMAP)
    assert (moved(old, new), others(old, new)) == ("", [])


def test_asking_for_certificates_is_settled_before_a_login() -> None:
    head = HEAD.format(top="/srv") + 'client_ca = "/srv/ca.pem"\n'
    ask, require = (
        parse(head + IMAP + f'client_certificate = "{each}"\n') for each in ("ask", "require")
    )
    assert moved(ask, require) == ""
    assert "listens otherwise" in moved(parse(HEAD.format(top="/srv") + IMAP), ask)
