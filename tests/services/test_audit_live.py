"""
A running server, a killed one, and what the commands then know of who logged in in the clear.
"""

from __future__ import annotations

import csv
import io
import json
import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from mailaccess.auth import passwords
from mailaccess.cli import main
from mailaccess.services.audit.shadow import fingerprint

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
[shadow]
policy = "{top}/next.toml"
[[listener]]
protocol = "imap"
name = "refusing"
address = ["127.0.0.1"]
port = 0
exceptions = true
[[listener]]
protocol = "imap"
name = "reporting"
address = ["127.0.0.1"]
port = 0
cleartext = "report"
[[listener]]
protocol = "pop3"
name = "pop"
address = ["127.0.0.1"]
port = 0
[[rule]]
users = ["scanner"]
cleartext = "allow"
"""

SHADOW = """
[[listener]]
protocol = "imap"
name = "refusing"
address = ["127.0.0.1"]
port = 0
[[listener]]
protocol = "imap"
name = "reporting"
address = ["127.0.0.1"]
port = 0
minimum_tls = "1.3"
[[listener]]
protocol = "pop3"
name = "pop"
address = ["127.0.0.1"]
port = 0
"""


@pytest.fixture
def site(tmp_path: Path, certificate_writer: Callable[..., Any]) -> Path:
    certificate_writer(tmp_path / "server.pem", "mail.example.org")
    stored = passwords.make("SSHA512", SECRET.encode())
    users = tmp_path / "users"
    users.touch(0o600)
    users.write_text("".join(f"{name}:{stored}\n" for name in ("amy", "bob", "scanner")))
    (tmp_path / "mail").mkdir()
    (tmp_path / "next.toml").write_text(SHADOW)
    path = tmp_path / "mailaccess.toml"
    path.write_text(CONFIG.format(top=tmp_path))
    return path


@pytest.fixture
def live(site: Path) -> Iterator[Live]:
    server = Live(site)
    yield server
    if server.process.poll() is None:
        server.stop()
    else:
        server.watchdog.cancel()


def visit(live: Live, listener: str, mechanism: str, name: str, *, tls: str = "none") -> str:
    protocol = "pop3" if listener == "pop" else "imap"
    client = Client(protocol, live.ports[listener], tls)
    answer = client.login(mechanism, name)
    client.close()
    return answer


def said(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    assert main(list(words)) == 0
    return capsys.readouterr().out


def kept(
    capsys: pytest.CaptureFixture[str], command: str, site: Path, want: int, *more: str
) -> list[dict[str, Any]]:
    """
    The rows, once there are as many as wanted: they are written within a second or so.
    """
    end = time.monotonic() + 30
    while True:
        status = main([command, str(site), "--json", *more])
        text = capsys.readouterr().out
        rows: list[dict[str, Any]] = json.loads(text)["rows"] if status == 0 else []
        if len(rows) >= want or time.monotonic() > end:
            assert len(rows) == want, rows
            return rows
        time.sleep(0.05)


def test_what_was_refused_allowed_and_reported_is_known_while_the_server_runs(
    site: Path, live: Live, capsys: pytest.CaptureFixture[str]
) -> None:
    """POL-05: and stays known when the server is killed."""
    assert "PRIVACYREQUIRED" in visit(live, "refusing", "LOGIN command", "amy")
    assert " OK " in visit(live, "refusing", "LOGIN command", "scanner")
    reporting = Client("imap", live.ports["reporting"])
    assert " OK " in reporting.login("PLAIN", "bob")
    reporting.send('i ID ("name" "Oldbird" "version" "=1")')
    assert reporting.until("i ")[-1].startswith("i OK")
    reporting.close()
    assert " OK " in visit(live, "refusing", "LOGIN command", "amy", tls="1.3")

    rows = {row["user"]: row for row in kept(capsys, "audit", site, 3)}
    amy, bob, scanner = rows["amy"], rows["bob"], rows["scanner"]
    assert (amy["outcome"], amy["result"], amy["exposed"]) == ("refused", "unchecked", True)
    assert (scanner["outcome"], scanner["result"]) == ("allowed", "right")
    assert scanner["rule"].startswith("rule for 'scanner'")
    line = site.read_text().splitlines().index("[[rule]]") + 1
    assert scanner["source"] == f"{site}:{line}"
    assert (bob["outcome"], bob["mechanism"]) == ("reported", "PLAIN")
    assert bob["client"] == "name=Oldbird version==1"
    assert {each["layer"] for each in rows.values()} == {"none"}
    assert oct(os.stat(site.parent / "audit.db").st_mode & 0o777) == "0o600"

    os.kill(live.process.pid, signal.SIGKILL)
    live.process.wait(30)
    again = Live(site)
    try:
        assert "PRIVACYREQUIRED" in visit(again, "refusing", "LOGIN command", "amy")
        end = time.monotonic() + 30
        while (found := kept(capsys, "audit", site, 1, "--user", "amy"))[0]["count"] < 2:
            assert time.monotonic() < end, found
            time.sleep(0.05)
    finally:
        text = again.stop()
    assert "event=cleartext" in text
    assert SECRET not in text
    assert SECRET.encode() not in (site.parent / "audit.db").read_bytes()


def test_the_shadow_says_who_would_be_cut_off_and_changes_nothing(
    site: Path, live: Live, capsys: pytest.CaptureFixture[str]
) -> None:
    assert " OK " in visit(live, "refusing", "LOGIN command", "scanner")
    assert " OK " in visit(live, "reporting", "PLAIN", "bob", tls="1.2")
    assert " OK " in visit(live, "reporting", "PLAIN", "amy", tls="1.3")
    rows = {row["user"]: row for row in kept(capsys, "shadow", site, 2)}
    assert {row["effect"] for row in rows.values()} == {"cut off"}
    assert rows["bob"]["rule"] == 'minimum_tls = "1.3"'
    assert rows["bob"]["source"] == f"{site.parent}/next.toml:7"
    assert rows["bob"]["tls"] == "TLSv1.2"
    assert rows["scanner"]["source"] == f"{site.parent}/next.toml:2"
    assert "2 users would be cut off" in said(capsys, "shadow", str(site))

    # Another version of the file has rows of its own, once the server has read it.
    changed = SHADOW.replace('minimum_tls = "1.3"', "exceptions = true")
    (site.parent / "next.toml").write_text(changed)
    live.process.send_signal(signal.SIGHUP)
    live.wait_for(f"policy={fingerprint(changed)}")
    assert "nobody would notice" in said(capsys, "shadow", str(site))
    (site.parent / "next.toml").write_text("[[listener]")
    live.process.send_signal(signal.SIGHUP)
    live.wait_for("event=shadow-broken")
    assert " OK " in visit(live, "reporting", "PLAIN", "amy", tls="1.3")
    (site.parent / "next.toml").write_text(changed)
    assert len(kept(capsys, "shadow", site, 2, "--all")) == 2


def test_a_shadow_that_is_wrong_is_told_and_the_server_serves(
    site: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (site.parent / "next.toml").write_text(SHADOW + 'cleartxt = "allow"\n')
    live = Live(site)
    try:
        assert " OK " in visit(live, "reporting", "PLAIN", "bob")
    finally:
        text = live.stop()
    assert "event=shadow-broken" in text
    assert main(["check", str(site)]) == 1
    assert 'next.toml:18: cleartxt = "allow": is no option here' in capsys.readouterr().err


def test_csv_is_for_spreadsheets_and_holds_no_formulas(
    site: Path, live: Live, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("=1+1", "@SUM(A1)", "amy"):
        assert "-ERR" in visit(live, "pop", "PLAIN", name)
    kept(capsys, "audit", site, 3)
    rows = list(csv.DictReader(io.StringIO(said(capsys, "audit", str(site), "--csv"))))
    assert {row["user"] for row in rows} == {"'=1+1", "'@sum(a1)", "amy"}
    assert {row["exposed"] for row in rows} == {"yes"}
    text = said(capsys, "audit", str(site), "--since", "1h", "--listener", "pop")
    assert "others could read the password of: =1+1, @sum(a1), amy" in text
