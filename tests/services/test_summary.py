"""
What start-up, reload and C{mailaccess check} say of the policy.
"""

from __future__ import annotations

import signal
from pathlib import Path
from typing import Any

import pytest

from mailaccess.auth.passwords import make
from mailaccess.cli import main
from mailaccess.policy.rules import day_over
from mailaccess.services.config import parse
from mailaccess.services.settings import Settings
from mailaccess.services.summary import policy_lines, weaknesses

from .live import Live

SITE = """\
[mail]
home = "/srv/mail/{user}"
[[users]]
type = "file"
path = "/etc/mailaccess/users"
[tls]
certificate = "/etc/ssl/mail.pem"
"""
NOW = day_over("2026-11-20")  # the beginning of the 21st


def site(text: str) -> Settings:
    return parse(SITE + text, "m.toml")


def test_the_standard_policy_is_two_lines() -> None:
    """POL-08"""
    assert policy_lines(site("")) == [
        "imap (143), pop3 (110): TLS by command; passwords over private connections only",
        "imaps (993), pop3s (995): TLS from the start",
    ]
    assert weaknesses(site(""), NOW) == []


def test_every_demand_is_in_the_line_of_its_listener() -> None:
    text = """\
client_ca = "/etc/ca.pem"
[[listener]]
protocol = "imap"
minimum_tls = "1.3"
client_certificate = "require"
exceptions = true
mechanisms = ["PLAIN"]
[[listener]]
protocol = "pop3"
tls = "none"
address = "127.0.0.1"
minimum_layer = 112
private = "loopback"
[[rule]]
users = "x"
listeners = "imap"
cleartext = "allow"
until = 2027-12-31
[[rule]]
users = "y"
minimum_tls = "1.3"
"""
    assert policy_lines(site(text)) == [
        "imap (143): TLS by command; TLS 1.3 or newer for any login; passwords over private"
        " connections only; client certificates required; exceptions for users; only PLAIN",
        "pop3 (110): no TLS; 112 bits for any login; passwords over private connections only;"
        " private without TLS: loopback",
        "2 rules for users, 1 exception among them",
    ]
    assert weaknesses(site(text), NOW) == []


@pytest.mark.parametrize(
    ("until", "said"),
    [
        ("", "has no end; add until, owner it"),
        ("2026-11-20", "ended on 2026-11-20 and refuses now; renew or remove it, owner it"),
        ("2026-11-21", "ends on 2026-11-21, in no time, owner it"),
        ("2026-11-22", "ends on 2026-11-22, in 1 day, owner it"),
        ("2026-12-20", "ends on 2026-12-20, in 29 days, owner it"),
        ("2026-12-21", None),
    ],
)
def test_exceptions_warn_before_they_lapse(until: str, said: str | None) -> None:
    text = '[[listener]]\nprotocol = "pop3"\nexceptions = true\n[[rule]]\nusers = "old"\n'
    text += 'cleartext = "allow"\nowner = "it"\n' + (f"until = {until}\n" if until else "")
    expected = [f"m.toml:11: the exception for old {said}"] if said else []
    assert weaknesses(site(text), NOW) == expected


@pytest.mark.parametrize(
    ("listener", "said"),
    [
        ('cleartext = "allow"', "takes passwords in the clear"),
        ('cleartext = "report"', "takes passwords in the clear"),
        ('private = ["8.8.0.0/16"]', "trusts 8.8.0.0/16, which is part of the public Internet"),
        ('cleartext = "allow"\naddress = "127.0.0.1"', None),
        ('private = ["10.0.0.0/8", "loopback"]', None),
    ],
)
def test_what_is_weak_is_named_with_its_line(listener: str, said: str | None) -> None:
    found = weaknesses(site(f'[[listener]]\nprotocol = "imap"\n{listener}\n'), NOW)
    assert len(found) == (said is not None)
    if said is not None:
        assert found[0].startswith("m.toml:8: imap ")
        assert said in found[0]


@pytest.fixture
def real(tmp_path: Path, certificate_writer: Any) -> Path:
    certificate_writer(tmp_path / "mail.pem", "localhost")
    (tmp_path / "users").write_text(f"amy:{make('SSHA256', b'x')}\n")
    (tmp_path / "users").chmod(0o640)
    (tmp_path / "m.toml").write_text(
        SITE.replace("/srv/mail", f"{tmp_path}/")
        .replace("/etc/mailaccess/users", f"{tmp_path}/users")
        .replace("/etc/ssl", str(tmp_path))
        + '[[listener]]\nprotocol = "imap"\naddress = "127.0.0.1"\nport = 0\nexceptions = true\n'
        + '[[rule]]\nusers = "old"\ncleartext = "allow"\n'
    )
    return tmp_path / "m.toml"


def test_check_says_the_same(real: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", str(real)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert "policy: 1 rule for users, 1 exception among them" in lines
    assert f"warning: {real}:13: the exception for old has no end; add until" in lines


def test_start_and_reload_log_the_policy(real: Path) -> None:
    """POL-08"""
    server = Live(real)
    server.process.send_signal(signal.SIGHUP)
    # What is weak is told after the rest.
    server.wait_for("has no end", 2)
    log = server.stop()
    start, reload = log.split("event=reload ")
    for part in (start, reload):
        assert part.count("event=policy ") == 2
        assert 'event=policy text="imap (0): TLS by command; passwords over private' in part
        assert "event=policy-weak" in part
        assert "has no end" in part
