"""
What is kept of logins in the clear: bounded, shared by processes, and never in the way.
"""

from __future__ import annotations

import os
import threading
from argparse import ArgumentTypeError
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import apsw
import attrs
import pytest
from twisted.cred.credentials import UsernamePassword
from twisted.cred.portal import Portal
from twisted.logger import capturedLogs, globalLogPublisher

from mailaccess.auth.gate import AccountGate
from mailaccess.auth.guard import GuardedChecker
from mailaccess.auth.linked import LinkedPortal, linked
from mailaccess.cli.kept import names_lines, print_csv, since_argument, table
from mailaccess.interfaces import IPOP3User
from mailaccess.policy.attempt import Attempt, Result
from mailaccess.policy.decision import Decision, Verdict
from mailaccess.policy.link import Layer, Link
from mailaccess.policy.mechanism import PLAIN, USER_PASS
from mailaccess.policy.rules import ListenerRule
from mailaccess.policy.tls import TLSPolicy
from mailaccess.services.audit.database import Database, NotUsable
from mailaccess.services.audit.facts import SCHEMA, Facts, Row, facts_of
from mailaccess.services.audit.keeper import Keeper
from mailaccess.services.audit.pending import Pending
from mailaccess.services.audit.recorder import Recorder
from mailaccess.services.config import read as read_settings
from mailaccess.testing.people import MemoryChecker, MemoryRealm

NOW = 1_790_000_000
DAY = 86400
REFUSED = Decision(Verdict.REFUSE, "cleartext = refuse", "m.toml:8", private_would_do=True)
ALLOWED = Decision(Verdict.ALLOW, "rule for 'amy': cleartext = allow", "m.toml:12")
CLEAR = Link("imap", peer="192.0.2.7")
SECURE = Link("imap", Layer.TLS, 256, "TLSv1.3", peer="192.0.2.7")

LIVE = """
[mail]
home = "/srv/{user}"
[[users]]
type = "file"
path = "/etc/users"
[tls]
certificate = "/etc/mail.pem"
[[listener]]
protocol = "imap"
private = ["loopback"]
"""


def attempt(
    user: str = "amy",
    result: Result = Result.UNCHECKED,
    link: Link = CLEAR,
    decision: Decision = REFUSED,
    session: str = "4f-1",
) -> Attempt:
    return Attempt(session, "imap", link, PLAIN, user, decision, result, sent=True)


def facts(user: str = "amy", **changes: Any) -> Facts:
    return attrs.evolve(facts_of(attempt(user), ""), **changes)


@pytest.fixture
def path(tmp_path: Path) -> str:
    return str(tmp_path / "audit.db")


@pytest.fixture
def database(path: str) -> Iterator[Database]:
    with Database(path, writes=True) as it:
        yield it


@pytest.fixture
def events() -> Iterator[list[dict[str, Any]]]:
    found: list[dict[str, Any]] = []
    globalLogPublisher.addObserver(found.append)
    yield found
    globalLogPublisher.removeObserver(found.append)


def named(events: list[dict[str, Any]], name: str) -> list[dict[str, Any]]:
    return [each for each in events if each.get("event") == name]


# ---- the file -----------------------------------------------------------------------------------


def test_the_same_again_only_counts(database: Database) -> None:
    database.add([Row(facts(), NOW, NOW, 1)], [])
    database.add([Row(facts(), NOW + 5, NOW + 9, 2), Row(facts("bob"), NOW, NOW, 1)], [])
    assert list(database.rows()) == [
        Row(facts(), NOW, NOW + 9, 3),
        Row(facts("bob"), NOW, NOW, 1),
    ]
    assert [each.facts.user for each in database.rows(user="bob")] == ["bob"]
    assert [each.facts.user for each in database.rows(since=NOW + 1)] == ["amy"]
    assert list(database.rows(listener="pop3")) == []


def test_only_its_owner_reads_it(path: str, database: Database) -> None:
    assert os.stat(path).st_mode & 0o777 == 0o600
    os.chmod(path, 0o644)
    Database(path, writes=True).close()
    assert os.stat(path).st_mode & 0o777 == 0o600


def test_what_is_old_goes(database: Database) -> None:
    database.add([Row(facts(), NOW - 9 * DAY, NOW - 8 * DAY, 1)], [])
    database.add([Row(facts("bob"), NOW - 9 * DAY, NOW - DAY, 1)], [])
    database.prune(NOW, keep=7 * DAY, rows=100)
    assert [each.facts.user for each in database.rows()] == ["bob"]


def test_a_flood_of_names_does_not_push_out_those_who_log_in(database: Database) -> None:
    """AB-13: rows that no password vouches for go first, those of a crowded address before all."""
    honest = [Row(facts(f"u{at}", result="right"), NOW, NOW, 1) for at in range(5)]
    quiet = [Row(facts("quiet", address="192.0.2.8"), NOW, NOW, 1)]
    flood = [Row(facts(f"x{at}"), NOW + at, NOW + at, 1) for at in range(100)]
    database.add([*honest, *quiet, *flood], [])
    assert database.prune(NOW, keep=DAY, rows=10) == 96
    left = {each.facts.user for each in database.rows()}
    assert left == {*(f"u{at}" for at in range(5)), "quiet", "x96", "x97", "x98", "x99"}
    assert database.lost() == {"rows": 96}


def test_one_user_with_many_programs_does_not_push_out_others(database: Database) -> None:
    """AB-13: who has an account can be anybody's program."""
    honest = [Row(facts(f"u{at}", result="right"), NOW, NOW, 1) for at in range(5)]
    many = [
        Row(facts("eve", result="right", client=f"name={at}"), NOW + at, NOW + at, 1)
        for at in range(100)
    ]
    database.add([*honest, *many], [])
    assert database.prune(NOW, keep=DAY, rows=10) == 95
    assert sorted(each.facts.user for each in database.rows()) == ["eve"] * 5 + [
        f"u{at}" for at in range(5)
    ]


def test_a_flood_does_not_wait_for_the_time_to_prune(path: str) -> None:
    """AB-13: the file is bounded at any time, not only every five minutes."""
    keeper = Keeper(path, keep=DAY, rows=100, seconds=lambda: NOW)
    for at in range(20):
        batch = Pending()
        for number in range(50):
            batch.add(facts(f"x{at}-{number}"), NOW)
        keeper._write(batch)
        with Database(path) as database:
            assert len(list(database.rows())) <= 100
    keeper.stop()


def test_several_processes_write_the_same_file(path: str, database: Database) -> None:
    def write(times: int) -> None:
        with Database(path, writes=True) as mine:
            for _ in range(times):
                mine.add([Row(facts(), NOW, NOW, 1)], [])

    threads = [threading.Thread(target=write, args=(20,)) for _ in range(4)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert [each.count for each in database.rows()] == [80]


def test_a_file_that_is_deleted_is_made_again(path: str, database: Database) -> None:
    database.add([Row(facts(), NOW, NOW, 1)], [])
    os.unlink(path)
    database.renew()
    assert database.fresh
    database.add([Row(facts("bob"), NOW, NOW, 1)], [])
    with Database(path) as other:
        assert [each.facts.user for each in other.rows()] == ["bob"]


@pytest.mark.parametrize(
    "damage", [b"no database at all" * 100, b"SQLite format 3\0" + b"x" * 5000]
)
def test_what_is_damaged_is_set_aside(
    path: str, damage: bytes, events: list[dict[str, Any]]
) -> None:
    Path(path).write_bytes(damage)
    with pytest.raises(NotUsable, match="damaged"):
        Database(path)
    with Database(path, writes=True) as database:
        assert database.fresh
        assert list(database.rows()) == []
    (event,) = named(events, "audit-damaged")
    assert Path(event["path"]).read_bytes() == damage


def test_what_is_damaged_while_in_use_is_set_aside(
    database: Database, events: list[dict[str, Any]]
) -> None:
    database.add([Row(facts(), NOW, NOW, 1)], [])
    assert not database.damaged(apsw.BusyError("busy"))
    assert database.damaged(apsw.CorruptError("malformed"))
    assert named(events, "audit-damaged")
    assert list(database.rows()) == []
    database.add([Row(facts("bob"), NOW, NOW, 1)], [])
    assert len(list(database.rows())) == 1


def test_files_of_others_are_left_alone(path: str) -> None:
    other = apsw.Connection(path)
    other.execute("CREATE TABLE mine(x); PRAGMA user_version = 1")
    other.close()
    with pytest.raises(NotUsable, match="no file of this kind"):
        Database(path, writes=True)
    os.unlink(path)
    Database(path, writes=True).close()
    newer = apsw.Connection(path)
    newer.execute("PRAGMA user_version = 99")
    newer.close()
    with pytest.raises(NotUsable, match="newer version"):
        Database(path, writes=True)


# ---- the thread ---------------------------------------------------------------------------------


def test_what_finds_no_place_is_counted_and_told(path: str, events: list[dict[str, Any]]) -> None:
    """AB-13: what waits is bounded, whatever the disk does."""
    keeper = Keeper(path, keep=DAY, rows=1000, most=3, seconds=lambda: NOW)
    for at in range(10):
        keeper.put(lambda pending, at=at: pending.add(facts(f"u{at}"), NOW))  # type: ignore[misc]
    keeper.start()
    keeper.stop()
    assert keeper.dropped == 7
    assert named(events, "audit-dropped")[0]["count"] == 7
    with Database(path) as database:
        assert len(list(database.rows())) == 3
        assert database.lost() == {"dropped": 7}


def test_a_disk_that_refuses_keeps_nobody_from_logging_in(
    tmp_path: Path, events: list[dict[str, Any]]
) -> None:
    keeper = Keeper(str(tmp_path / "nowhere" / "a.db"), keep=DAY, rows=100)
    keeper.start()
    recorder = Recorder(keeper)
    recorder.saw(attempt())
    keeper.stop()
    assert keeper.dropped == 1
    assert "No such file" in named(events, "audit-broken")[0]["reason"]


def test_what_was_taken_back_before_it_was_written_is_not_written() -> None:
    pending = Pending()
    pending.add(facts(), NOW)
    pending.add(facts(), NOW, -1)
    assert pending.rows == []


# ---- the witness --------------------------------------------------------------------------------


@attrs.define
class Ledger:
    """
    Stands in for the keeper.
    """

    pending: Pending = attrs.field(factory=Pending)
    ratchets: bool = True

    def put(self, change: Any) -> None:
        change(self.pending)


def test_each_decision_about_a_password_in_the_clear_is_one_event() -> None:
    """POL-05"""
    keeper: Any = Ledger()
    with capturedLogs() as events:
        Recorder(keeper, seconds=lambda: NOW).saw(attempt("Amy"))
    (event,) = [each for each in events if each.get("event") == "cleartext"]
    assert event["schema"] == SCHEMA
    assert (event["user"], event["rip"], event["method"]) == ("amy", "192.0.2.7", "PLAIN")
    assert (event["outcome"], event["result"], event["exposed"]) == ("refused", "unchecked", True)
    assert (event["rule"], event["source"]) == ("cleartext = refuse", "m.toml:8")
    assert (event["layer"], event["protocol"], event["session"]) == ("none", "imap", "4f-1")
    assert keeper.pending.rows == [Row(facts(), NOW, NOW, 1)]


def test_logins_with_tls_are_no_events_of_this_kind() -> None:
    keeper: Any = Ledger()
    with capturedLogs() as events:
        Recorder(keeper).saw(attempt(result=Result.RIGHT, link=SECURE, decision=ALLOWED))
    assert not [each for each in events if each.get("event") == "cleartext"]
    assert keeper.pending.rows == []
    assert [each.user for each in keeper.pending.seen] == ["amy"]


@pytest.mark.parametrize("first", [True, False])
def test_the_client_is_known_whether_it_names_itself_before_or_after(first: bool) -> None:
    keeper: Any = Ledger()
    recorder = Recorder(keeper, seconds=lambda: NOW)
    if first:
        recorder.heard("4f-1", "name=Oldbird")
    recorder.saw(attempt())
    recorder.saw(attempt("bob", session="4f-2"))
    if not first:
        recorder.heard("4f-1", "name=Oldbird")
    clients = {each.facts.user: each.facts.client for each in keeper.pending.rows}
    assert clients == {"amy": "name=Oldbird", "bob": ""}


def test_a_client_that_names_itself_after_it_was_written_is_still_one_login(
    database: Database,
) -> None:
    keeper: Any = Ledger()
    recorder = Recorder(keeper, seconds=lambda: NOW)
    recorder.saw(attempt())
    database.add(keeper.pending.rows, [])
    keeper.pending = Pending()
    recorder.heard("4f-1", "name=Oldbird")
    database.add(keeper.pending.rows, [])
    assert list(database.rows()) == [Row(facts(client="name=Oldbird"), NOW, NOW, 1)]


@pytest.mark.parametrize(
    ("cleartext", "result"), [(Verdict.ALLOW, "right"), (Verdict.REFUSE, "unchecked")]
)
def test_protocols_of_others_are_audited_through_the_guard(cleartext: Verdict, result: str) -> None:
    """POL-05: what a protocol of Twisted gives to its portal was on the wire."""
    keeper: Any = Ledger()
    policy = TLSPolicy({"pop": ListenerRule(cleartext)})
    checker = MemoryChecker({"amy": b"secret"})
    guard = GuardedChecker(policy, checker, AccountGate(lambda: 0.0), witness=Recorder(keeper))
    portal = Portal(MemoryRealm(lambda _identity: None), [guard])
    theirs = LinkedPortal(portal, lambda: Link("pop", peer="192.0.2.7"), USER_PASS, "pop3")
    done: list[Any] = []
    theirs.login(UsernamePassword(b"amy", b"secret"), None, IPOP3User).addBoth(done.append)
    assert done
    (row,) = keeper.pending.rows
    assert (row.facts.user, row.facts.result, row.facts.exposed) == ("amy", result, True)


def test_a_witness_that_breaks_changes_no_answer() -> None:
    class Broken:
        def saw(self, attempt: Attempt) -> None:
            raise OSError("no space")

        def heard(self, session: str, client: str) -> None:
            raise OSError("no space")

    policy = TLSPolicy({"pop": ListenerRule(Verdict.ALLOW)})
    checker = MemoryChecker({"amy": b"secret"})
    guard = GuardedChecker(policy, checker, AccountGate(lambda: 0.0), witness=Broken())
    done: list[Any] = []
    login = linked(UsernamePassword(b"amy", b"secret"), Link("pop"), USER_PASS, "pop3")
    with capturedLogs() as events:
        guard.requestAvatarId(login).addBoth(done.append)
    assert done[0].name == "amy"
    assert [each for each in events if "log_failure" in each]


def test_names_that_are_none_are_cleaned_and_bounded() -> None:
    """AUTH-10"""
    found = facts_of(attempt("\x1b[2J" + "x" * 1000), "y\n" * 500)
    assert found.user.startswith("?[2Jxxx")
    assert len(found.user) == len(found.client) == 200
    assert found.user.isprintable()
    assert found.client.isprintable()


@pytest.mark.parametrize(
    ("result", "change"), [(Result.RIGHT, True), (Result.DENIED, True), (Result.WRONG, False)]
)
def test_a_wrong_password_need_not_be_changed(result: Result, change: bool) -> None:
    assert facts_of(attempt(result=result), "").must_change is change


def test_only_connections_without_any_privacy_turn_the_ratchet_back() -> None:
    keeper: Any = Ledger()
    recorder = Recorder(keeper)
    for layer in (Layer.LOOPBACK, Layer.UNIX, Layer.TRUSTED_NETWORK):
        recorder.saw(attempt(result=Result.RIGHT, link=Link("imap", layer)))
    recorder.saw(attempt(result=Result.WRONG))
    assert not keeper.pending.resets
    recorder.saw(attempt(result=Result.RIGHT, decision=ALLOWED))
    assert list(keeper.pending.resets) == ["amy"]


# ---- the configuration and the commands ---------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ('[shadow]\npolicy = "/n.toml"\n', "has nowhere to write what it finds"),
        ('[ratchet]\nafter = "30d"\n', "has nowhere to keep whom it holds"),
        ('[ratchet]\nexempt = ["amy"]\n', "has no meaning while it is off"),
        ('[audit]\nkeep = "30d"\n', "keeps nothing; add database"),
        ("[metrics]\n", "does nothing; add listen"),
        ("[shadow]\n", "does nothing; add policy"),
    ],
)
def test_tables_that_do_nothing_are_errors(text: str, problem: str) -> None:
    document, _ = read_settings(LIVE + text, "m.toml")
    assert [each for each in document.problems if problem in each], document.problems


@pytest.mark.parametrize(
    ("value", "written"),
    [
        ("=1+1", "'=1+1"),
        ("\uff1dcmd()", "'\uff1dcmd()"),
        ("name=a;=1+1", "name=a;'=1+1"),
        ("name=a b-c@d", "name=a b-c@d"),
    ],
)
def test_a_cell_is_no_formula_however_a_spreadsheet_parts_it(
    value: str, written: str, capsys: pytest.CaptureFixture[str]
) -> None:
    print_csv(["client"], [[value]])
    assert capsys.readouterr().out.splitlines() == ["client", written]


def test_since_is_a_time_or_a_day() -> None:
    assert since_argument("2026-11-01") == 1793491200
    assert since_argument("1d") - since_argument("2d") in (DAY, DAY + 1)
    with pytest.raises(ArgumentTypeError, match="neither like 30d"):
        since_argument("last week")


def test_a_table_stays_readable_whatever_stands_in_it() -> None:
    rule = "cleartext = refuse (/etc/mailaccess/mailaccess.toml:14)"
    lines = table(("user", "client", "rule"), [("amy", "", rule), ("b" * 100, "x", "y")])
    assert lines[1].split(maxsplit=2) == ["amy", "-", rule]
    assert len(lines[2]) < 60
    names = names_lines("of:", (f"u-{at}" for at in range(100)))
    assert max(map(len, names)) <= 100
    assert " ".join(names).split()[1:] == [*(f"u-{at}," for at in range(99)), "u-99"]


def test_mechanisms_that_hide_the_password_expose_nothing() -> None:
    hidden = attrs.evolve(attempt(), mechanism=USER_PASS, sent=False)
    assert not facts_of(hidden, "").exposed
