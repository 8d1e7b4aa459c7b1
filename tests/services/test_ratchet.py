"""
The ratchet: who has used nothing but TLS for long enough has to go on doing so.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from twisted.logger import globalLogPublisher

from mailaccess.auth import passwords
from mailaccess.cli import main
from mailaccess.policy.link import Link
from mailaccess.policy.mechanism import PLAIN
from mailaccess.policy.rules import ListenerRule, Person, PersonRule
from mailaccess.policy.tls import TLSPolicy, Verdict
from mailaccess.services.audit.database import Database, Standing
from mailaccess.services.audit.keeper import Keeper
from mailaccess.services.audit.ratchet import Ratchet

from .live import SECRET, Client, Live

DAY = 86400
NOW = 1_790_000_000
CLEAR = Link("imap", peer="192.0.2.7")
OPEN = TLSPolicy({"imap": ListenerRule(Verdict.ALLOW, source="m.toml:4")})


def seen(database: Database, user: str, *days: int) -> None:
    for day in days:
        when = NOW + day * DAY
        database.add([], [Standing(user, when, when, 1)])


def test_it_closes_after_long_enough_and_often_enough(tmp_path: Path) -> None:
    """POL-05"""
    with Database(str(tmp_path / "a.db"), writes=True) as database:
        seen(database, "amy", *range(0, 31, 5))
        seen(database, "short", *range(10))
        seen(database, "seldom", 0, 30)
        assert database.close_ratchets(NOW, 30 * DAY, 5) == ["amy"]
        assert [each.user for each in database.standings(closed=True)] == ["amy"]
        assert database.close_ratchets(NOW, 30 * DAY, 5) == []


def test_one_login_in_the_clear_begins_it_anew(tmp_path: Path) -> None:
    with Database(str(tmp_path / "a.db"), writes=True) as database:
        seen(database, "amy", *range(0, 31, 5))
        database.add([], [], ["amy"])
        seen(database, "amy", 31)
        assert database.close_ratchets(NOW, 30 * DAY, 1) == []
        (amy,) = database.standings()
        assert (amy.first, amy.count) == (NOW + 31 * DAY, 1)


def test_whom_it_lets_go_begins_anew(tmp_path: Path) -> None:
    with Database(str(tmp_path / "a.db"), writes=True) as database:
        seen(database, "amy", 0, 30)
        database.close_ratchets(NOW, 30 * DAY, 2)
        assert database.release("amy", NOW + 31 * DAY)
        assert not database.release("amy", NOW + 31 * DAY)
        assert database.close_ratchets(NOW + 31 * DAY, 30 * DAY, 1) == []


def test_it_is_a_rule_of_the_one_decision() -> None:
    """POL-04: the rule says since when; rules of the site and the user's record come before it."""
    held = Person("amy", ratchet="ratchet since 2026-10-01")
    decision = OPEN.decide(CLEAR, PLAIN, held)
    assert decision.verdict is Verdict.REFUSE
    assert decision.source == "ratchet since 2026-10-01"
    assert decision.private_would_do
    assert OPEN.decide(CLEAR, PLAIN, Person("amy")).allowed

    exempt = TLSPolicy(OPEN.listeners, (PersonRule("amy", Verdict.ALLOW, source="m.toml:9"),))
    assert exempt.decide(CLEAR, PLAIN, held).source == "m.toml:9"
    own = Person("amy", {"cleartext": "allow"}, "users:1", "ratchet since 2026-10-01")
    assert OPEN.decide(CLEAR, PLAIN, own).source == "users:1"


def test_the_site_leaves_out_whom_it_wants() -> None:
    ratchet = Ratchet(30 * DAY, 1, ["scanner-*"])
    ratchet.hold([Standing("amy", 0, 0, 1, NOW), Standing("scanner-3", 0, 0, 1, NOW)])
    assert ratchet("amy") == "ratchet since 2026-09-21"
    assert ratchet("scanner-3") == ""
    assert ratchet("bob") == ""
    off = Ratchet()
    off.hold([Standing("amy", 0, 0, 1, NOW)])
    assert off("amy") == ""


def test_a_lost_database_lets_everybody_back_and_says_so(tmp_path: Path) -> None:
    """Fails safe: the listener's own rule, never a guess; and loudly."""
    path = tmp_path / "a.db"
    with Database(str(path), writes=True) as database:
        seen(database, "amy", 0, 30)
        database.close_ratchets(NOW, 30 * DAY, 1)
    ratchet = Ratchet(30 * DAY, 1)
    events: list[dict[str, Any]] = []
    globalLogPublisher.addObserver(events.append)
    try:
        keeper = Keeper(str(path), keep=90 * DAY, rows=1000, ratchet=ratchet)
        keeper.start()
        assert ratchet("amy")
        path.unlink()
        keeper.put(lambda pending: pending.secure("bob", NOW))
        keeper.stop()
    finally:
        globalLogPublisher.removeObserver(events.append)
    assert ratchet("amy") == ""
    assert [each for each in events if each.get("event") == "ratchet-empty"]


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
[ratchet]
after = 1
logins = 2
exempt = ["bob"]
[[listener]]
protocol = "imap"
address = ["127.0.0.1"]
port = 0
cleartext = "allow"
"""


def test_a_server_refuses_whom_it_holds_and_lets_go_when_told(
    tmp_path: Path,
    certificate_writer: Callable[..., Any],
    capsys: pytest.CaptureFixture[str],
) -> None:
    certificate_writer(tmp_path / "server.pem", "mail.example.org")
    stored = passwords.make("SSHA512", SECRET.encode())
    users = tmp_path / "users"
    users.touch(0o600)
    users.write_text(f"amy:{stored}\nbob:{stored}\n")
    (tmp_path / "mail").mkdir()
    config = tmp_path / "mailaccess.toml"
    config.write_text(CONFIG.format(top=tmp_path))
    live = Live(config)

    def visit(name: str, tls: str = "none") -> str:
        client = Client("imap", live.ports["imap"], tls)
        answer = client.login("LOGIN command", name)
        client.close()
        return answer

    def states() -> dict[str, str]:
        assert main(["ratchet", str(config), "--json"]) == 0
        users = json.loads(capsys.readouterr().out)["users"]
        return {each["user"]: each["state"] for each in users}

    def until(done: Callable[[], bool]) -> None:
        end = time.monotonic() + 60
        while not done():
            assert time.monotonic() < end
            time.sleep(0.2)

    def held() -> bool:
        assert " OK " in visit("amy", "1.3")
        assert " OK " in visit("bob", "1.3")
        return states().get("amy") == "held"

    try:
        assert " OK " in visit("amy")
        until(held)
        until(lambda: "PRIVACYREQUIRED" in visit("amy"))
        assert " OK " in visit("bob")
        assert " OK " in visit("amy", "1.3")
        assert states()["bob"] == "exempt"
        assert main(["explain", str(config), "--listener", "imap", "--user", "amy"]) == 0
        assert "(ratchet since 20" in capsys.readouterr().out
        assert main(["matrix", str(config)]) == 0
        assert "held by the ratchet" in capsys.readouterr().out
        assert main(["ratchet", str(config), "release", "Amy"]) == 0
        assert "amy: released" in capsys.readouterr().out
        until(lambda: " OK " in visit("amy"))
        assert main(["ratchet", str(config), "release", "nobody"]) == 1
    finally:
        live.stop()
