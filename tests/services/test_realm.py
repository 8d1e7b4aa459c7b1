"""
Avatars and their accounts.
"""

from __future__ import annotations

from typing import Any

import pytest
from twisted.cred.portal import IRealm
from twisted.internet.defer import Deferred
from zope.interface.verify import verifyObject

from mailaccess.errors import MechanismRefused
from mailaccess.interfaces import Identity, IIMAPUser, IPOP3User
from mailaccess.services.realm import MailRealm
from mailaccess.testing.memory import MemoryAccounts


def result(deferred: Deferred[Any]) -> Any:
    got: list[Any] = []
    deferred.addBoth(got.append)
    (value,) = got
    return value


@pytest.fixture
def accounts() -> MemoryAccounts:
    return MemoryAccounts()


@pytest.mark.parametrize("interface", [IIMAPUser, IPOP3User])
def test_each_protocol_gets_its_avatar_with_the_account(
    accounts: MemoryAccounts, interface: Any
) -> None:
    realm = MailRealm(accounts)
    assert verifyObject(IRealm, realm)
    amy = Identity("amy")
    found, avatar, leave = result(realm.requestAvatar(amy, None, interface))
    assert found is interface
    assert verifyObject(interface, avatar)
    assert avatar.identity is amy
    assert avatar.account is accounts.accounts["amy"]
    leave()


def test_logout_releases_the_account_once(accounts: MemoryAccounts) -> None:
    realm = MailRealm(accounts)
    _, avatar, leave = result(realm.requestAvatar(Identity("amy"), None, IIMAPUser))
    assert avatar.account.sessions == 1
    leave()
    leave()
    assert avatar.account.sessions == 0


def test_nobody_without_an_identity_is_let_in(accounts: MemoryAccounts) -> None:
    """An anonymous avatar id of twisted.cred, or a bare name, is no user."""
    realm = MailRealm(accounts)
    for odd in ((), b"amy", "amy"):
        assert result(realm.requestAvatar(odd, None, IIMAPUser)).check(MechanismRefused)
    with pytest.raises(NotImplementedError):
        realm.requestAvatar(Identity("amy"), None, IRealm)
