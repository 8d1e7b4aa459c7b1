"""
Sessions that last, and what a real directory says of their users meanwhile.
"""

from __future__ import annotations

from typing import Any

import attrs
import pytest

from mailaccess.auth.chain import CheckerChain
from mailaccess.auth.gate import AccountGate
from mailaccess.auth.guard import GuardedChecker
from mailaccess.auth.interfaces import Ground
from mailaccess.auth.standing import asker as asking
from mailaccess.auth.standing import look_again
from mailaccess.errors import (
    AccountGone,
    AuthenticationFailed,
    AuthorizationFailed,
    ContactAdmin,
    DirectoryUnavailable,
    PasswordExpired,
    Refused,
    SessionEnded,
)
from mailaccess.policy.link import Layer, Link
from mailaccess.policy.mechanism import PLAIN
from mailaccess.policy.tls import ListenerRule, TLSPolicy, Verdict

from .asking import Asker
from .slapd import AMYS, BASE, GROUPS, PEOPLE, READER, Slapd, person, ssha
from .test_failover import SWIFT
from .test_search_and_bind import refusal

LINK = Link("imap", Layer.TLS, bits=256, peer="192.0.2.1")
RIGHT = AMYS.encode()
DN = f"uid=dora,{PEOPLE}"
LONG_AGO = "20200101000000Z"
"""Directories tell seconds: what is changed now must not have been made in this one."""
FIELDS = {"enabled": "departmentNumber", "protocols": "employeeType", "quota": "employeeNumber"}


class Lasting:
    """
    A session of dora's that goes on.
    """

    def __init__(self, checker: Any) -> None:
        self.guard = GuardedChecker(
            TLSPolicy({"imap": ListenerRule(cleartext=Verdict.ALLOW)}),
            CheckerChain([checker]),
            AccountGate(lambda: 1.8e9),
        )
        self._checker = checker

    async def begin(self, secret: bytes = RIGHT) -> None:
        identity = await self._checker.check("dora", secret, "imap")
        self._identity = attrs.evolve(identity, grounds=(Ground("dora", identity.mark),))

    async def now(self) -> Refused | None:
        """
        What would end it.
        """
        try:
            await look_again(self.guard, self._identity, LINK, PLAIN, "imap", asking(self.guard))
        except Refused as refused:
            return refused
        return None


def employ(slapd: Slapd, *more: str) -> None:
    """
    Dora is there since long ago.
    """
    slapd.kill()
    slapd.load(person("dora", AMYS, f"modifyTimestamp: {LONG_AGO}", *more))
    slapd.start()


@pytest.fixture(params=["search", "hash", "template"])
def way(request: pytest.FixtureRequest) -> dict[str, Any]:
    more = {"template": f"uid={{user}},{PEOPLE}"} if request.param == "template" else {}
    return {"way": request.param, **more}


async def test_a_changed_password_ends_a_session_and_nothing_else_does(
    asker: Asker, own_slapd: Slapd, way: dict[str, Any]
) -> None:
    """AUTH-12: where a policy for passwords tells when they were changed."""
    employ(own_slapd, f"pwdChangedTime: {LONG_AGO}")
    session = Lasting(asker.checker(own_slapd.uri, fields=FIELDS, **way))
    await session.begin()
    assert await session.now() is None
    own_slapd.change(DN, description="has moved to another room", employeeNumber="2G")
    assert await session.now() is None
    own_slapd.change(DN, userPassword=ssha("another"))
    refused = await session.now()
    assert isinstance(refused, SessionEnded), refused
    assert "Password changed" in refused.public
    await session.begin(b"another")
    assert await session.now() is None


@pytest.mark.parametrize("way", [{"way": "search"}, {"way": "hash"}])
async def test_the_first_change_that_a_directory_tells_of_counts(
    asker: Asker, own_slapd: Slapd, way: dict[str, Any]
) -> None:
    """AUTH-12: entries that were there before the policy have no time until then."""
    employ(own_slapd)
    session = Lasting(asker.checker(own_slapd.uri, **way))
    await session.begin()
    own_slapd.change(DN, userPassword=ssha("another"))
    assert isinstance(await session.now(), SessionEnded)


async def test_strangers_with_wrong_passwords_end_no_session(
    asker: Asker, own_slapd: Slapd
) -> None:
    """AUTH-12: a policy that counts them changes the entry, which tells nothing."""
    employ(own_slapd, f"pwdPolicySubentry: cn=strict,{BASE}")
    checker = asker.checker(own_slapd.uri)
    session = Lasting(checker)
    await session.begin()
    assert isinstance(await refusal(checker, "dora", b"guess"), AuthenticationFailed)
    assert await session.now() is None
    await checker.check("dora", RIGHT, "imap")
    assert await session.now() is None


async def test_a_shadow_entry_tells_of_changes(asker: Asker, own_slapd: Slapd) -> None:
    """AUTH-12: where passwords are changed by tools of the system, without a policy."""
    employ(own_slapd, "shadowLastChange: 19000")
    session = Lasting(asker.checker(own_slapd.uri))
    await session.begin()
    own_slapd.change(DN, shadowLastChange="20000")
    assert isinstance(await session.now(), SessionEnded)


@pytest.mark.parametrize(
    ("change", "wanted"),
    [
        ({"departmentNumber": "no"}, ContactAdmin),
        ({"employeeType": "pop3"}, AuthorizationFailed),
        ({"pwdAccountLockedTime": "000001010000Z"}, ContactAdmin),
        ({"pwdAccountLockedTime": "20260101000000Z"}, None),
        ({"objectClass": ["inetOrgPerson", "shadowAccount"], "shadowExpire": "1"}, PasswordExpired),
    ],
)
async def test_what_would_refuse_a_login_ends_a_session(
    asker: Asker, own_slapd: Slapd, change: dict[str, Any], wanted: type[Refused] | None
) -> None:
    """AUTH-12, LD-14: but not a lock that others can bring about with wrong passwords."""
    employ(own_slapd, f"pwdChangedTime: {LONG_AGO}")
    session = Lasting(asker.checker(own_slapd.uri, fields=FIELDS))
    await session.begin()
    own_slapd.change(DN, **change)
    refused = await session.now()
    assert refused is None if wanted is None else type(refused) is wanted, refused


async def test_who_leaves_the_group_or_the_directory_is_out(asker: Asker, own_slapd: Slapd) -> None:
    """AUTH-12, LD-14"""
    employ(own_slapd)
    own_slapd.add(
        f"dn: cn=mail,{GROUPS}\nobjectClass: groupOfNames\ncn: mail\nmember: {DN}\n"
        f"member: {READER}\n\n"
    )
    group = f"cn=mail,{GROUPS}"
    session = Lasting(asker.checker(own_slapd.uri, groups=(group,), group_check="member"))
    await session.begin()
    own_slapd.change(group, member=READER)
    assert isinstance(await session.now(), AuthorizationFailed)
    own_slapd.change(group, member=[READER, DN])
    assert await session.now() is None
    connection = own_slapd.admin()
    assert connection.delete(DN)
    connection.unbind()
    assert isinstance(await session.now(), AccountGone)


async def test_a_directory_that_is_down_ends_no_session(asker: Asker, own_slapd: Slapd) -> None:
    """AUTH-04, AUTH-12: dead, hanging, or not letting us search."""
    employ(own_slapd)
    session = Lasting(asker.checker(own_slapd.uri, connecting=SWIFT))
    await session.begin()
    own_slapd.hang()
    assert isinstance(await session.now(), DirectoryUnavailable)
    own_slapd.kill()
    assert isinstance(await session.now(), DirectoryUnavailable)
    own_slapd.start()
    own_slapd.change(READER, userPassword="changed")
    refused = await session.now()
    assert isinstance(refused, DirectoryUnavailable), refused
    assert BASE in refused.detail
