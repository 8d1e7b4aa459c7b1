"""
C{mailaccess import-policy} on the files that Debian's packages come with, and on what a real
C{doveconf} says.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from mailaccess.cli import main
from mailaccess.services.config import parse
from mailaccess.services.settings import ListenerSettings

from .running import program
from .unpacked import FILES

SITE = """\
[mail]
home = "/srv/mail/{user}"
[[users]]
type = "file"
path = "/etc/mailaccess/users"
[tls]
certificate = "/etc/ssl/mail.pem"
"""
Carry = Callable[..., list[ListenerSettings]]


@pytest.fixture
def carry(capsys: pytest.CaptureFixture[str]) -> Carry:
    def run(server: str, *paths: Path) -> list[ListenerSettings]:
        assert main(["import-policy", server, *map(str, paths)]) == 0
        return list(parse(SITE + capsys.readouterr().out).listeners)

    return run


def summary(listeners: list[ListenerSettings]) -> list[tuple[str, int, str, str]]:
    return [(each.label, each.port_number, each.tls, each.cleartext) for each in listeners]


def debian(path: str) -> Path:
    """
    A file of a package that is installed or unpacked.
    """
    here = Path(path)
    return here if here.exists() else FILES / path.lstrip("/")


def test_courier_as_debian_has_it(carry: Carry) -> None:
    """POL-08: it takes passwords in the clear, and what is printed says so."""
    files = [FILES / "etc/courier" / it for it in ("imapd", "imapd-ssl", "pop3d", "pop3d-ssl")]
    assert summary(carry("courier", *files)) == [
        ("imap", 143, "starttls", "allow"),
        ("imaps", 993, "implicit", "refuse"),
        ("pop3", 110, "starttls", "allow"),
        ("pop3s", 995, "implicit", "refuse"),
    ]


def test_cyrus_as_debian_has_it(carry: Carry) -> None:
    """POL-08: C{allowplaintext: yes}, and no port for TLS."""
    files = (debian("/etc/imapd.conf"), debian("/etc/cyrus.conf"))
    assert summary(carry("cyrus", *files)) == [
        ("imap", 143, "starttls", "allow"),
        ("pop3", 110, "starttls", "allow"),
    ]


def doveconf(place: Path, text: str) -> Path:
    """
    What C{doveconf -n} makes of a configuration.
    """
    (place / "dovecot.conf").write_text(text)
    os.environ["PATH"] += ":/usr/sbin"
    done = subprocess.run(
        [program("doveconf"), "-n", "-c", str(place / "dovecot.conf")],
        capture_output=True,
        check=True,
    )
    (place / "said").write_bytes(done.stdout)
    return place / "said"


def test_doveconf(carry: Carry, tmp_path: Path) -> None:
    """POL-08"""
    listeners = carry("dovecot", doveconf(tmp_path, "protocols = imap pop3\nlisten = 127.0.0.1\n"))
    assert summary(listeners) == [
        ("imap", 143, "starttls", "refuse"),
        ("imaps", 993, "implicit", "refuse"),
        ("pop3", 110, "starttls", "refuse"),
        ("pop3s", 995, "implicit", "refuse"),
    ]
    assert {each.address for each in listeners} == {("127.0.0.1",)}
    text = (
        "protocols = pop3\nssl = required\nauth_mechanisms = plain login\n"
        "service pop3-login {\n  inet_listener pop3 {\n    port = 0\n  }\n"
        "  inet_listener pop3s {\n    port = 10995\n  }\n}\n"
    )
    (only,) = carry("dovecot", doveconf(tmp_path, text))
    assert (only.port_number, only.tls) == (10995, "implicit")
    assert only.mechanisms == ("USER", "PLAIN", "LOGIN")


def test_protocols_in_quotes(carry: Carry, tmp_path: Path) -> None:
    """As C{doveconf} prints them where an include adds to them, which Debian's does."""
    said = doveconf(
        tmp_path, "protocols =\nprotocols = $protocols imap\nprotocols = $protocols pop3\n"
    )
    assert 'protocols = "' in said.read_text()
    assert [each.label for each in carry("dovecot", said)] == ["imap", "imaps", "pop3", "pop3s"]
