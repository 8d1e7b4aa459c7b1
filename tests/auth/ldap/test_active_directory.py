"""
Users of a real Active Directory domain, as a site configures it.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from mailaccess.auth.ldap.directory import LDAPChecker, Remembering
from mailaccess.errors import (
    AccountUnusable,
    AuthenticationFailed,
    AuthorizationFailed,
    PasswordExpired,
)

from .asking import QUICK, Asker
from .samba import BASE, READER, READER_SECRET, SECRET, THRESHOLD, USERS, Samba, running
from .slapd import Authority
from .test_search_and_bind import refusal

RIGHT = SECRET.encode()
FILTER = "(&(objectCategory=person)(objectClass=user)(sAMAccountName={local}))"
MAIL_USERS = (f"CN=Mail Users,{USERS}",)


@pytest.fixture(scope="module")
def samba(scratch: Path, authority: Authority) -> Iterator[Samba]:
    yield from running(scratch / "samba", authority)


def checker(
    asker: Asker, samba: Samba, uri: str = "tls_uri", remembering: Remembering = QUICK, **more: Any
) -> LDAPChecker:
    reader = {"bind_dn": READER, "password_file": asker.secret_file(READER_SECRET)}
    finding = {"base": BASE, "filter": FILTER, "name": "sAMAccountName"} | more
    if more.get("way") == "template":
        reader = {"bind": "none"}
    given = reader | {"server_name": "dc1.corp.example"}
    return asker.checker(getattr(samba, uri), remembering=remembering, connecting=given, **finding)


@pytest.mark.parametrize("uri", ["tls_uri", "uri"])
async def test_people_of_the_domain_log_in(asker: Asker, samba: Samba, uri: str) -> None:
    """LD-19: by ldaps and by StartTLS, also those with odd names."""
    it = checker(asker, samba, uri)
    for name in ("amy", "AMY", "jm"):
        assert (await it.check(name, RIGHT, "imap")).name == name.lower()
    for name, secret in (("amy", b"wrong"), ("nobody", RIGHT), ("amy", b""), ("*", RIGHT)):
        assert isinstance(await refusal(it, name, secret), AuthenticationFailed)


async def test_people_log_in_by_their_principal_name(asker: Asker, samba: Samba) -> None:
    """LD-19: one bind, no account that searches."""
    it = checker(asker, samba, way="template", template="{local}@corp.example")
    assert (await it.check("amy", RIGHT, "imap")).name == "amy"
    for name, secret in (("amy", b"wrong"), ("nobody", RIGHT)):
        assert isinstance(await refusal(it, name, secret), AuthenticationFailed)


@pytest.mark.parametrize("way", ["ad", "nested"])
async def test_members_of_groups_in_groups_are_members(
    asker: Asker, samba: Samba, way: str
) -> None:
    """LD-14: by the directory's own rule, and by walking upwards."""
    it = checker(asker, samba, groups=MAIL_USERS, group_check=way)
    for name in ("amy", "carl", "jm"):
        assert (await it.check(name, RIGHT, "imap")).name == name
    assert isinstance(await refusal(it, "bert", RIGHT), AuthorizationFailed)
    assert isinstance(await refusal(it, "bert", b"wrong"), AuthenticationFailed)


async def test_direct_members_are_not_those_of_groups_in_groups(asker: Asker, samba: Samba) -> None:
    """LD-14"""
    it = checker(asker, samba, groups=MAIL_USERS, group_check="memberOf")
    assert (await it.check("carl", RIGHT, "imap")).name == "carl"
    assert isinstance(await refusal(it, "amy", RIGHT), AuthorizationFailed)


@pytest.mark.parametrize(
    ("name", "code", "error"),
    [
        ("off", "533", AccountUnusable),
        ("old", "701", PasswordExpired),
        ("must", "773", PasswordExpired),
    ],
)
async def test_why_somebody_may_not_log_in_is_known(
    asker: Asker, samba: Samba, name: str, code: str, error: type[Exception]
) -> None:
    """LD-12: by the sub-code; a wrong password is a wrong password all the same."""
    it = checker(asker, samba)
    found = await refusal(it, name, RIGHT)
    assert isinstance(found, error)
    assert f"data {code}" in getattr(found, "detail", "")
    assert not isinstance(await refusal(it, name, b"wrong"), PasswordExpired)


async def test_an_account_that_is_locked_looks_like_a_wrong_password(
    asker: Asker, samba: Samba
) -> None:
    """LD-12"""
    it = checker(asker, samba)
    for number in range(THRESHOLD):
        await refusal(it, "locked", b"wrong-%d" % number)
    found = await refusal(it, "locked", RIGHT)
    assert isinstance(found, AccountUnusable)
    assert "data 775" in found.detail
    assert found.public == AuthenticationFailed().public


async def test_a_phone_with_an_old_password_locks_nobody_out(asker: Asker, samba: Samba) -> None:
    """LD-13: the directory hears of one wrong password; the new one works as soon as it is set."""
    it = checker(asker, samba, remembering=Remembering(guard=600, beat=0))
    for _ in range(THRESHOLD + 3):
        assert isinstance(await refusal(it, "guarded", b"old-password"), AuthenticationFailed)
    assert samba.read("guarded", "badPwdCount") == "1"
    entered = await it.check("guarded", RIGHT, "imap")
    assert entered.name == "guarded"
    # AUTH-12: sessions outlast strangers' guesses, and end with a new password.
    assert isinstance(await refusal(it, "guarded", b"another-guess"), AuthenticationFailed)
    standing = await it.standing("guarded")
    assert standing is not None
    assert "pwdlastset=" in entered.mark
    assert standing.mark == entered.mark
    samba.set_password("guarded", "old-password-7A")
    standing = await it.standing("guarded")
    assert standing is not None
    assert standing.mark != entered.mark
    assert isinstance(await refusal(it, "guarded", RIGHT), AuthenticationFailed)
    assert (await it.check("guarded", b"old-password-7A", "imap")).name == "guarded"


async def test_accounts_without_a_password_login_have_their_states(
    asker: Asker, samba: Samba
) -> None:
    """LD-14: for client certificates and tokens the states come from userAccountControl."""
    it = checker(asker, samba)
    states = {}
    for name in ("amy", "off"):
        found = await it.person(name)
        assert found is not None
        states[name] = dict(found.fields)
    assert states["amy"] != states["off"]
    assert states["off"].get("disabled")
