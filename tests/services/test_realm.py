"""
Avatars, and how many sessions and newcomers there may be.
"""

from __future__ import annotations

from typing import Any

import pytest
from twisted.cred.portal import IRealm
from twisted.internet.defer import Deferred
from zope.interface.verify import verifyObject

from mailaccess.errors import MechanismRefused, StoreFailed, TooManyConnections
from mailaccess.interfaces import Identity, IIMAPUser, IPOP3User
from mailaccess.services.guests import Guests
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
    assert not realm.sessions


def test_a_user_has_only_so_many_sessions(accounts: MemoryAccounts) -> None:
    """AB-01: counted over protocols, freed by logout, not shared with others."""
    realm = MailRealm(accounts, per_user=2)
    amy = Identity("amy")
    _, _, leave = result(realm.requestAvatar(amy, None, IIMAPUser))
    result(realm.requestAvatar(amy, None, IPOP3User))
    failure = result(realm.requestAvatar(amy, None, IIMAPUser))
    assert failure.check(TooManyConnections)
    assert accounts.accounts["amy"].sessions == 2
    assert result(realm.requestAvatar(Identity("bob"), None, IIMAPUser))[0] is IIMAPUser
    leave()
    assert result(realm.requestAvatar(amy, None, IIMAPUser))[0] is IIMAPUser


def test_a_store_that_fails_leaves_no_count_behind(accounts: MemoryAccounts) -> None:
    class Broken(MemoryAccounts):
        async def account(self, identity: Identity) -> Any:
            raise StoreFailed

    realm = MailRealm(Broken())
    assert result(realm.requestAvatar(Identity("amy"), None, IIMAPUser)).check(StoreFailed)
    assert not realm.sessions


def test_a_login_given_up_while_the_store_is_slow_leaves_no_count_behind() -> None:
    """AB-12."""
    slow: Deferred[None] = Deferred()

    class Slow(MemoryAccounts):
        async def account(self, identity: Identity) -> Any:
            await slow

    realm = MailRealm(Slow())
    waiting = realm.requestAvatar(Identity("amy"), None, IIMAPUser)
    assert realm.sessions["amy"] == 1
    waiting.addErrback(lambda _failure: None)
    waiting.cancel()
    assert not realm.sessions


def test_nobody_without_an_identity_is_let_in(accounts: MemoryAccounts) -> None:
    """An anonymous avatar id of twisted.cred, or a bare name, is no user."""
    realm = MailRealm(accounts)
    for odd in ((), b"amy", "amy"):
        assert result(realm.requestAvatar(odd, None, IIMAPUser)).check(MechanismRefused)
    with pytest.raises(NotImplementedError):
        realm.requestAvatar(Identity("amy"), None, IRealm)


def test_newcomers_are_counted_by_address() -> None:
    """AB-01: IPv6 by /64, IPv4 inside IPv6 as IPv4."""
    guests = Guests(per_address=2, total=100)
    assert guests.enter("192.0.2.1")
    assert guests.enter("::ffff:192.0.2.1")
    assert not guests.enter("192.0.2.1")
    assert guests.enter("192.0.2.2")
    assert guests.enter("2001:db8::1")
    assert guests.enter("2001:db8::2:1")
    assert not guests.enter("2001:db8::3")
    assert guests.enter("2001:db8:0:1::1")
    guests.leave("192.0.2.1")
    assert guests.enter("192.0.2.1")


def test_nothing_is_kept_of_those_who_left() -> None:
    guests = Guests(per_address=2, total=100)
    for address in ("192.0.2.1", "2001:db8::1", "192.0.2.1"):
        assert guests.enter(address)
    for address in ("2001:db8::ffff", "192.0.2.1", "192.0.2.1"):
        guests.leave(address)
    assert len(guests) == 0


def test_the_last_tenth_of_connections_is_for_those_who_are_in() -> None:
    """AB-01: newcomers cannot fill the server."""
    there = 90
    guests = Guests(per_address=20, total=100, open_connections=lambda: there)
    assert guests.enter("192.0.2.1")
    there = 91
    assert not guests.enter("192.0.2.2")
