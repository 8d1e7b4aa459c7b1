"""
Sessions that last are looked at again, and end when their users may no longer log in.
"""

from __future__ import annotations

import contextlib
import imaplib
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import attrs
import pytest
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.logger import globalLogPublisher
from zope.interface import implementer

from mailaccess.auth.cache import CachedChecker
from mailaccess.auth.chain import CheckerChain, Entry
from mailaccess.auth.gate import AccountGate
from mailaccess.auth.guard import GuardedChecker
from mailaccess.auth.interfaces import Ground, IFindsUsers, IFollowsUsers
from mailaccess.auth.passwords import make
from mailaccess.auth.rights import Rights
from mailaccess.auth.standing import asker, look_again
from mailaccess.errors import (
    AccountGone,
    AuthorizationFailed,
    ContactAdmin,
    DirectoryUnavailable,
    MustEncrypt,
    PasswordExpired,
    Refused,
    SessionEnded,
)
from mailaccess.interfaces import IChecksPasswords, Identity, IKnowsPeople
from mailaccess.policy.link import Layer, Link
from mailaccess.policy.mechanism import PLAIN
from mailaccess.policy.tls import ListenerRule, TLSPolicy, Verdict
from mailaccess.services.control.asking import ask
from mailaccess.services.recheck import AGAIN, Looks, Rechecking
from tests.services.live import SECRET, Live

LINK = Link("imap", Layer.NONE, peer="192.0.2.1")


@implementer(IChecksPasswords, IKnowsPeople, IFindsUsers, IFollowsUsers)
@attrs.define(eq=False)
class Records:
    """
    What is known of people now.
    """

    people: dict[str, Mapping[str, str] | Exception] = attrs.field(factory=dict)
    marks: dict[str, str] = attrs.field(factory=dict)
    asked: list[str] = attrs.field(factory=list)
    sees: bool = True
    label: str = "records"
    slow: list[Deferred[None]] | None = None

    async def check(self, name: str, secret: bytes, service: str) -> Identity:
        raise NotImplementedError

    async def attributes(self, name: str) -> Mapping[str, str] | None:
        found = self.people.get(name)
        return found if not isinstance(found, Exception) else None

    def follows(self, name: str) -> bool:
        return self.sees

    async def person(self, name: str) -> Identity | None:
        return await self.standing(name)

    async def standing(self, name: str) -> Identity | None:
        self.asked.append(name)
        if self.slow is not None:
            waiting: Deferred[None] = Deferred()
            self.slow.append(waiting)
            await waiting
        found = self.people.get(name)
        if isinstance(found, Exception):
            raise found
        if found is None:
            return None
        return Identity(name, fields=found, mark=self.marks.get(name, ""))


def guarding(*sources: Any, **options: Any) -> GuardedChecker:
    rule = ListenerRule(cleartext=Verdict.ALLOW, exceptions=True)
    gate = AccountGate(lambda: 1.0e9)
    return GuardedChecker(TLSPolicy({"imap": rule}), CheckerChain(sources), gate, **options)


def said(guard: GuardedChecker, identity: Identity) -> Refused | None:
    """
    What becomes of a session.
    """
    results: list[Any] = []
    work = look_again(guard, identity, LINK, PLAIN, "imap", asker(guard))
    Deferred.fromCoroutine(work).addBoth(results.append)
    result = results[0]
    return result.value if result is not None else None


def somebody(mark: str = "") -> Identity:
    return Identity("amy", grounds=(Ground("amy", mark),))


@pytest.mark.parametrize(
    ("fields", "wanted"),
    [
        ({}, None),
        ({"nologin": "yes"}, ContactAdmin),
        ({"disabled": "x"}, ContactAdmin),
        ({"expires": "2001-01-01"}, PasswordExpired),
        ({"protocols": "pop3"}, AuthorizationFailed),
        ({"allow_nets": "10.0.0.0/8"}, AuthorizationFailed),
        ({"cleartext": "refuse"}, MustEncrypt),
        (ContactAdmin(), ContactAdmin),
        (DirectoryUnavailable(), DirectoryUnavailable),
        (ValueError(), DirectoryUnavailable),
    ],
)
def test_what_refuses_a_login_ends_a_session(fields: Any, wanted: type[Refused] | None) -> None:
    """AUTH-11, AUTH-12"""
    found = said(guarding(Records({"amy": fields})), somebody())
    assert type(found) is wanted if wanted is not None else found is None


def test_nobody_is_gone_where_it_cannot_be_told() -> None:
    """AUTH-12: a source that cannot search says nothing by saying nothing."""
    assert isinstance(said(guarding(Records()), somebody()), AccountGone)
    assert said(guarding(Records(sees=False)), somebody()) is None
    assert said(guarding(Records(sees=False), Records()), somebody()) is None
    assert said(guarding(CachedChecker(Records(sees=False), Clock(), 10)), somebody()) is None
    assert isinstance(
        said(guarding(CachedChecker(Records(), Clock(), 10)), somebody()), AccountGone
    )


def test_a_source_that_is_down_makes_nobody_gone() -> None:
    """AUTH-04, AUTH-12"""
    down = Records({"amy": DirectoryUnavailable(detail="no route")})
    for sources in ([down, Records()], [Entry(down, "continue"), Records()]):
        found = said(guarding(*sources), somebody())
        assert isinstance(found, DirectoryUnavailable)
        assert found.detail == "no route"
    assert said(guarding(Entry(down, "continue"), Records({"amy": {}})), somebody()) is None


@pytest.mark.parametrize(
    ("before", "after", "ends"),
    [
        ("file=1", "file=1", False),
        ("file=1", "file=2", True),
        ("file=1", "", False),
        ("", "file=2", False),
        ("pwdlastset=1", "file=2", False),
        ("pwdlastset= krb=", "pwdlastset=2 krb=", True),
        ("pwdlastset=1", "pwdlastset=", False),
        ("pwdlastset= krb=", "pwdlastset= krb=", False),
        ("pwdlastset=1 krb=1", "pwdlastset=1 krb=2", True),
    ],
)
def test_another_password_ends_a_session(before: str, after: str, ends: bool) -> None:
    """AUTH-12: only where that can be told from two marks of one kind."""
    guard = guarding(Records({"amy": {}}, {"amy": after}))
    assert isinstance(said(guard, somebody(before)), SessionEnded) is ends


def test_who_acts_as_another_stands_and_falls_with_both() -> None:
    """AUTH-12, SASL-03"""
    both = Identity("amy", actor="boss", grounds=(Ground("boss"), Ground("amy")))
    rights = {"rights": Rights(("boss",))}
    assert said(guarding(Records({"amy": {}, "boss": {}}), **rights), both) is None
    assert isinstance(said(guarding(Records({"amy": {}, "boss": {}})), both), AuthorizationFailed)
    for name in ("amy", "boss"):
        people: dict[str, Any] = {"amy": {}, "boss": {}, name: {"nologin": ""}}
        assert isinstance(said(guarding(Records(people), **rights), both), ContactAdmin)
    opens = {"rights": Rights(("boss",), open_disabled=True)}
    assert said(guarding(Records({"amy": {"nologin": ""}, "boss": {}}), **opens), both) is None


# ---- when ----------------------------------------------------------------------------------------


@attrs.define(eq=False)
class User:
    identity: Identity


@attrs.define(eq=False)
class Visit:
    user: User
    mechanism: Any = PLAIN


@attrs.define(eq=False)
class Place:
    service: str = "imap"


@attrs.define(eq=False)
class Connection:
    """
    As much of a connection as is looked at.
    """

    visit: Any
    closing: bool = False
    link: Link = LINK
    number: str = "1-1"
    entrance: Any = attrs.field(factory=Place)
    told: list[Refused] = attrs.field(factory=list)

    def expel(self, refused: Refused) -> None:
        self.closing = True
        self.told.append(refused)


def session(name: str) -> Connection:
    return Connection(Visit(User(Identity(name, grounds=(Ground(name),)))))


class Scene:
    """
    People, their sessions, a clock, and the log.
    """

    def __init__(self, names: list[str], looks: Looks, records: Records | None = None) -> None:
        self.records = records or Records({name: {} for name in names})
        self.sessions: list[Any] = [session(name) for name in names]
        self.clock = Clock()
        self.events: list[str] = []
        self.service = Rechecking(
            self.clock, guarding(self.records), lambda: self.sessions, looks, lambda _: None
        )

    def pass_by(self, seconds: int) -> None:
        for _ in range(seconds):
            self.clock.advance(1)

    def log(self, event: Any) -> None:
        if "event" in event:
            self.events.append(event["event"])


@contextlib.contextmanager
def scene(names: list[str], looks: Looks, records: Records | None = None) -> Iterator[Scene]:
    made = Scene(names, looks, records)
    observer: Any = made.log
    globalLogPublisher.addObserver(observer)
    made.service.startService()
    try:
        yield made
    finally:
        made.service.stopService()
        globalLogPublisher.removeObserver(observer)
        assert not made.clock.getDelayedCalls()


def test_every_session_is_looked_at_within_the_time() -> None:
    """AUTH-12: once a round of half the time, whoever came when."""
    names = [f"user{number}" for number in range(30)]
    with scene(names, Looks(60, 20)) as it:
        it.pass_by(31)
        assert it.records.asked
        it.pass_by(30)
        assert sorted(set(it.records.asked)) == sorted(names)
        it.records.people["user7"] = {"nologin": "yes"}
        it.pass_by(60)
        assert [type(each) for each in it.sessions[7].told] == [ContactAdmin]
        assert sum(len(each.told) for each in it.sessions) == 1
        assert it.events == ["no-longer"]


def test_lookups_are_spread_and_bounded() -> None:
    """AUTH-12: no storm on a directory, whoever is logged in how often."""
    names = [f"user{number}" for number in range(40)] * 3
    with scene(names, Looks(20, 2)) as it:
        counts = []
        for _ in range(29):
            before = len(it.records.asked)
            it.pass_by(1)
            counts.append(len(it.records.asked) - before)
        assert max(counts) == 2
        assert len(it.records.asked) == len(set(it.records.asked)) == 40
        it.pass_by(10)
        assert it.events == ["recheck-slow"]


def test_few_are_looked_up_at_a_time() -> None:
    """AUTH-12: a directory that hangs has no more than so many questions from here."""
    slow: list[Deferred[None]] = []
    names = [f"user{number}" for number in range(50)]
    records = Records({name: {} for name in names}, slow=slow)
    with scene(names, Looks(20, 100, together=3), records) as it:
        it.pass_by(60)
        assert len(slow) == 3
        slow[0].callback(None)
        it.pass_by(1)
        assert len(slow) == 4


def test_a_directory_that_is_down_ends_nothing_and_is_said_once() -> None:
    """AUTH-12"""
    names = [f"user{number}" for number in range(6)]
    with scene(names, Looks(20, 20)) as it:
        for name in names:
            it.records.people[name] = DirectoryUnavailable(detail="no route")
        it.pass_by(100)
        assert it.events == ["recheck-down"]
        it.records.people = {name: {} for name in names}
        it.pass_by(40)
        assert it.events == ["recheck-down", "recheck-up"]
        assert not any(each.told for each in it.sessions)


def test_who_is_not_found_once_is_looked_for_again() -> None:
    """AUTH-12: a file that is half written, a replica that is behind."""
    with scene(["amy"], Looks(60, 20)) as it:
        del it.records.people["amy"]
        it.pass_by(31)
        assert it.records.asked == ["amy"]
        assert not it.sessions[0].told
        it.records.people["amy"] = {}
        it.pass_by(int(AGAIN) + 2)
        assert it.records.asked == ["amy", "amy"]
        assert not it.sessions[0].told
        del it.records.people["amy"]
        it.pass_by(60)
        assert [type(each) for each in it.sessions[0].told] == [AccountGone]


def test_a_fault_in_one_lookup_is_logged_and_ends_nothing() -> None:
    with scene(["amy"], Looks(20, 20)) as it:
        it.sessions[0].visit.mechanism = None
        it.sessions[0].link = None
        it.records.people["amy"] = {"allow_nets": "10.0.0.0/8"}
        it.pass_by(12)
        assert it.records.asked
        assert not it.sessions[0].told
        it.sessions = []


# ---- for real ------------------------------------------------------------------------------------


def test_a_user_who_is_disabled_is_out_soon(tmp_path: Path) -> None:
    """AUTH-12: in IDLE, by the file alone; others stay."""
    users = tmp_path / "users"
    stored = make("SSHA512", SECRET.encode())
    lines = {name: f"{name}:{stored}::::::" for name in ("amy", "bob", "carl", "dora")}

    def write() -> None:
        fresh = tmp_path / "users.new"
        fresh.write_text("".join(f"{each}\n" for each in lines.values()))
        fresh.chmod(0o600)
        os.replace(fresh, users)

    write()
    config = tmp_path / "mailaccess.toml"
    control = tmp_path / "run" / "control"
    config.write_text(
        f'[mail]\nhome = "{tmp_path}/mail/{{user}}"\n'
        f'[[users]]\ntype = "file"\npath = "{users}"\n[login]\nrecheck = "4s"\n'
        f'[control]\npath = "{control}"\n'
        '[[listener]]\nprotocol = "imap"\naddress = "127.0.0.1"\nport = 0\ntls = "none"\n'
        'cleartext = "allow"\n'
    )
    live = Live(config)
    clients = {}
    for name in lines:
        clients[name] = imaplib.IMAP4("127.0.0.1", live.ports["imap"], timeout=30)
        clients[name].login(name, SECRET)
        clients[name].send(b"i IDLE\r\n")
        assert clients[name].readline().startswith(b"+ ")
    lines["amy"] += "nologin=yes"
    lines["bob"] = lines["bob"].replace(stored, make("SSHA512", b"another"))
    del lines["carl"]
    write()
    assert clients["amy"].readline().startswith(b"* BYE [CONTACTADMIN] ")
    assert clients["bob"].readline().startswith(b"* BYE [UNAVAILABLE] Password changed")
    assert clients["carl"].readline().startswith(b"* BYE [CONTACTADMIN] ")
    assert [each["user"] for each in ask(str(control), "who")] == ["dora"]
    clients["dora"].send(b"DONE\r\n")
    assert clients["dora"].readline().startswith(b"i OK")
    log = live.stop()
    assert log.count("event=no-longer") == 3
    assert stored not in log
