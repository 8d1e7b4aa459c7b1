"""
The account gate.
"""

from __future__ import annotations

import pytest

from mailaccess.auth.gate import AccountGate
from mailaccess.errors import AuthorizationFailed, ContactAdmin, PasswordExpired, Refused
from mailaccess.interfaces import Identity
from mailaccess.policy.link import Layer, Link

NOW = 1_000_000_000.0  # 2001-09-09 01:46:40 UTC
GATE = AccountGate(lambda: NOW)


def passes(peer: str = "192.0.2.1", service: str = "imap", **fields: str) -> type[Refused] | None:
    link = Link("x", Layer.TLS if peer else Layer.UNIX, bits=256, peer=peer)
    try:
        GATE.check(Identity("amy", fields=fields), link, service)
    except Refused as refused:
        assert "amy" not in refused.public  # noqa: PT017 - the class is what is asked for
        return type(refused)
    return None


def test_an_account_of_which_nothing_is_said_passes() -> None:
    assert passes() is None


@pytest.mark.parametrize("key", ["nologin", "disabled"])
def test_a_disabled_account_is_for_the_administrator(key: str) -> None:
    """AUTH-11"""
    for value in ("", "yes", "y", "true", "TRUE", "whatever"):
        assert passes(**{key: value}) is ContactAdmin
    for value in ("no", "NO", "false", "0"):
        assert passes(**{key: value}) is None


@pytest.mark.parametrize(
    ("value", "refused"),
    [
        ("2001-09-08", PasswordExpired),
        ("2001-09-09", None),
        ("999999999", PasswordExpired),
        ("1000000000", PasswordExpired),
        ("1000000001", None),
        ("9999-12-31", None),
        ("next week", PasswordExpired),
        ("", PasswordExpired),
    ],
)
def test_an_account_expires_at_the_end_of_its_day(value: str, refused: type | None) -> None:
    """AUTH-11"""
    assert passes(expires=value) is refused


def test_a_service_not_listed_is_refused() -> None:
    """AUTH-11"""
    assert passes(protocols="imap,pop3") is None
    assert passes(protocols="POP3 IMAP") is None
    assert passes(protocols="pop3") is AuthorizationFailed
    assert passes(protocols="") is AuthorizationFailed
    assert passes(service="pop3", protocols="imap") is AuthorizationFailed


@pytest.mark.parametrize(
    ("peer", "nets", "refused"),
    [
        ("192.0.2.1", "192.0.2.0/24", None),
        ("192.0.2.1", "192.0.2.1", None),
        ("::ffff:192.0.2.1", "192.0.2.0/24", None),
        ("192.0.2.1", "10.0.0.0/8,192.0.2.9/24", None),
        ("192.0.2.1", "10.0.0.0/8", AuthorizationFailed),
        ("2001:db8::1", "2001:db8::/32", None),
        ("fe80::1%eth0", "fe80::/10", None),
        ("2001:db9::1", "2001:db8::/32 192.0.2.0/24", AuthorizationFailed),
        ("192.0.2.1", "", AuthorizationFailed),
        ("192.0.2.1", "everywhere", AuthorizationFailed),
        ("192.0.2.1", "local", AuthorizationFailed),
        ("not an address", "0.0.0.0/0", AuthorizationFailed),
        ("", "local", None),
        ("", "0.0.0.0/0", AuthorizationFailed),
    ],
)
def test_an_account_may_be_tied_to_networks(peer: str, nets: str, refused: type | None) -> None:
    """AUTH-11"""
    assert passes(peer, allow_nets=nets) is refused
