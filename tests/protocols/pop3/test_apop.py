"""
APOP, where a site has switched it on (RFC 1939 section 7, SASL-06).
"""

from __future__ import annotations

import hashlib
import re
from pathlib import Path
from typing import Any

import pytest

from mailaccess.auth.chain import CheckerChain
from mailaccess.auth.passwdfile import PasswordFile
from mailaccess.auth.passwords import Limits, make
from mailaccess.auth.pool import HashPool
from mailaccess.policy.tls import ListenerRule
from mailaccess.protocols.pop3.options import POP3Options
from mailaccess.testing.talk import Talk

OFFERED = ListenerRule(mechanisms=frozenset({"APOP"}))


def digest(timestamp: bytes, password: bytes) -> bytes:
    return hashlib.md5(timestamp + password).hexdigest().encode()


@pytest.fixture
def users(tmp_path: Path, office: Any) -> PasswordFile:
    """Amy's password can be recovered, bob's cannot."""
    path = tmp_path / "users"
    path.write_text(f"amy:{{PLAIN}}tan staaf:::::\nbob:{make('SSHA', b'hunter2')}:::::\n")
    clock = office.house.clock
    users = PasswordFile(str(path), HashPool(None, 1), clock, Limits(clear_text=True))
    assert users.load() == ()
    return users


def greeted(office: Any, users: PasswordFile) -> tuple[Talk, bytes]:
    office.house.checker = CheckerChain([users])
    talk = Talk(office.factory(POP3Options(apop=True), rule=OFFERED), office.house.clock)
    found = re.fullmatch(rb"\+OK mailaccess ready (<\S+@\S+>)", talk.lines()[0])
    assert found is not None
    return talk, found[1]


def test_the_example_of_the_rfc() -> None:
    timestamp = b"<1896.697170952@dbc.mtview.ca.us>"
    assert digest(timestamp, b"tanstaaf") == b"c4c9334bac560ecc979e58001b3e22fb"


def test_the_right_digest_logs_in(office: Any, users: PasswordFile) -> None:
    talk, timestamp = greeted(office, users)
    reply = talk.send(b"APOP amy " + digest(timestamp, b"tan staaf").upper())
    assert reply[0].startswith(b"+OK 3 messages")


def test_wrong_unknown_and_hashed_are_one(office: Any, users: PasswordFile) -> None:
    """AUTH-05."""
    replies = set()
    for name, password in ((b"amy", b"wrong"), (b"bob", b"hunter2"), (b"nobody", b"x")):
        talk, timestamp = greeted(office, users)
        replies.update(talk.send(b"APOP " + name + b" " + digest(timestamp, password)))
    assert replies == {b"-ERR [AUTH] Invalid credentials"}


def test_a_digest_is_good_for_one_connection(office: Any, users: PasswordFile) -> None:
    first, timestamp = greeted(office, users)
    second, other = greeted(office, users)
    assert timestamp != other
    reply = second.send(b"APOP amy " + digest(timestamp, b"tan staaf"))
    assert reply == [b"-ERR [AUTH] Invalid credentials"]
    assert not first.transport.disconnecting


def test_the_password_itself_is_refused_where_only_apop_is_offered(
    office: Any, users: PasswordFile
) -> None:
    """SASL-06: a listener is for APOP or for passwords."""
    talk, _ = greeted(office, users)
    assert talk.send(b"USER amy")[0].startswith(b"-ERR")
    assert talk.send(b"AUTH PLAIN")[0].startswith(b"-ERR")


def test_recoverable_passwords_have_to_be_allowed(tmp_path: Path, office: Any) -> None:
    path = tmp_path / "users"
    path.write_text("amy:{PLAIN}secret:::::\nbob:{SHA}W6ph5Mm5Pz8GgiULbPgzG37mj9g=:::::\n")
    users = PasswordFile(str(path), HashPool(None, 1), office.house.clock)
    assert "not accepted" in users.load()[0]
    talk, timestamp = greeted(office, users)
    assert talk.send(b"APOP amy " + digest(timestamp, b"secret"))[0].startswith(b"-ERR [AUTH]")
