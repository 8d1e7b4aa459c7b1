"""
The one account gate: what a right password still does not open (AUTH-11).

Called by the guard after every successful check, whatever the mechanism and whoever checked. It
reads the identity's fields, which checkers fill from the directory or the password file:

    nologin, disabled    ContactAdmin, unless the value says no
    expires              PasswordExpired from then on: C{2026-12-31} (that day still works, UTC) or
                         seconds since 1970
    protocols            C{imap,pop3}: AuthorizationFailed for another service
    allow_nets           C{10.0.0.0/8,2001:db8::/32,local}: AuthorizationFailed from elsewhere
    outage               the password was only compared with one remembered, because the directory
                         is down: DirectoryUnavailable on a connection that is not private

A value that cannot be read refuses: a typing error must not open a door.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from ipaddress import IPv6Address, ip_address, ip_network

import attrs

from ..errors import AuthorizationFailed, ContactAdmin, DirectoryUnavailable, PasswordExpired
from ..interfaces import Identity
from ..policy.link import Layer, Link

STATES = frozenset({"nologin", "disabled", "expires"})
"""Fields that close an account, whoever comes from wherever."""

_NO = frozenset({"no", "n", "false", "0", "off"})


@attrs.frozen
class AccountGate:
    """
    The gate.

    @ivar seconds: the time now, seconds since 1970 UTC
    """

    seconds: Callable[[], float]

    def check(self, identity: Identity, link: Link, service: str) -> None:
        """
        Return if this person may use the service over this connection now.

        @raise mailaccess.errors.ContactAdmin: disabled
        @raise mailaccess.errors.PasswordExpired: expired
        @raise mailaccess.errors.AuthorizationFailed: not this service, or not from there
        @raise mailaccess.errors.DirectoryUnavailable: only known from before an outage, and others
            can read this connection
        """
        fields = identity.fields
        if "outage" in fields and not link.private:
            raise DirectoryUnavailable(detail=f"{identity.name!r}: not in the clear in an outage")
        for key in ("nologin", "disabled"):
            if key in fields and fields[key].strip().lower() not in _NO:
                raise ContactAdmin(detail=f"{identity.name!r}: {key} = {fields[key]!r}")
        if "expires" in fields and self.seconds() >= _end(fields["expires"]):
            raise PasswordExpired(detail=f"{identity.name!r}: expires = {fields['expires']!r}")
        if "protocols" in fields and service.lower() not in _words(fields["protocols"]):
            raise AuthorizationFailed(
                detail=f"{identity.name!r}: {service} is not in protocols = {fields['protocols']!r}"
            )
        if "allow_nets" in fields and not _within(link, fields["allow_nets"]):
            raise AuthorizationFailed(
                detail=f"{identity.name!r}: {link.peer or 'local'} is not in allow_nets"
                f" = {fields['allow_nets']!r}"
            )


def _words(value: str) -> list[str]:
    return value.lower().replace(",", " ").split()


def _end(value: str) -> float:
    """
    First second that is too late; the beginning of time for what cannot be read.
    """
    text = value.strip()
    if text.isascii() and text.isdigit():
        return float(text)
    try:
        day = datetime.strptime(text, "%Y-%m-%d").replace(tzinfo=UTC)
    except ValueError:
        return float("-inf")
    try:
        return (day + timedelta(days=1)).timestamp()
    except OverflowError:
        return float("inf")


def _within(link: Link, nets: str) -> bool:
    words = _words(nets)
    if link.layer is Layer.UNIX or not link.peer:
        return "local" in words
    try:
        address = ip_address(link.peer.partition("%")[0])
    except ValueError:
        return False
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        address = address.ipv4_mapped
    for word in words:
        try:
            if word != "local" and address in ip_network(word, strict=False):
                return True
        except ValueError:
            continue
    return False
