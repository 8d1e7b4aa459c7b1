"""
How many connections one client and one user may have (AB-01).

    lease = connections.enter(peer)          # when the connection is made
    lease.authenticated("amy")               # after the login
    lease.withdraw()                         # the login came to nothing: as before it
    lease.release()                          # when it is lost, whatever happened; again is harmless

Counts live in leases, so that a count cannot stay behind: releasing takes off exactly what that
lease added.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable
from typing import TypeVar

import attrs

from ..errors import TooManyConnections
from .throttle import address_group

K = TypeVar("K", bound=Hashable)


@attrs.frozen
class Allowance:
    """
    The limits. 0 stands for none.

    @ivar before_login: of one address (IPv6: /64) that are not logged in
    @ivar user: of one user
    @ivar user_address: of one user from one address
    @ivar total: of all
    @ivar reserve: share of C{total} kept for those who log in: from there on, only addresses with
        nobody waiting are let in
    """

    before_login: int = 20
    user: int = 50
    user_address: int = 20
    total: int = 0
    reserve: float = 0.1


@attrs.define(eq=False)
class Lease:
    """
    One connection's place. Made by L{Connections.enter}.
    """

    _connections: Connections
    _group: str
    _name: str | None = None
    _open: bool = True

    def authenticated(self, name: str) -> None:
        """
        Count from now on for a user (canonical name) instead of for the address.

        @raise TooManyConnections: too many of this user; the lease stays as it was
        """
        if self._open and self._name is None:
            self._connections.promote(self._group, name)
            self._name = name

    def withdraw(self) -> None:
        """
        Count for the address again.
        """
        if self._open and self._name is not None:
            self._connections.demote(self._group, self._name)
            self._name = None

    def release(self) -> None:
        """
        Give the place back.
        """
        if self._open:
            self._open = False
            self._connections.leave(self._group, self._name)


class Connections:
    """
    The counts of all listeners that share it.
    """

    def __init__(self, allowance: Allowance = Allowance()) -> None:
        self._allowance = allowance
        self._waiting: Counter[str] = Counter()
        self._users: Counter[str] = Counter()
        self._pairs: Counter[tuple[str, str]] = Counter()
        self.total = 0

    def enter(self, peer: str) -> Lease:
        """
        A place for a new connection.

        @raise TooManyConnections: of this address, or of all
        """
        group = address_group(peer)
        limits = self._allowance
        if limits.before_login and self._waiting[group] >= limits.before_login:
            raise TooManyConnections(detail=f"{self._waiting[group]} not logged in from {group}")
        if limits.total:
            full = self.total >= limits.total
            scarce = self.total >= limits.total * (1 - limits.reserve)
            if full or (scarce and self._waiting[group]):
                raise TooManyConnections(detail=f"{self.total} connections")
        self._waiting[group] += 1
        self.total += 1
        return Lease(self, group)

    def promote(self, group: str, name: str) -> None:
        """
        For L{Lease.authenticated}.
        """
        limits = self._allowance
        if limits.user and self._users[name] >= limits.user:
            raise TooManyConnections(detail=f"{self._users[name]} connections of {name!r}")
        if limits.user_address and self._pairs[name, group] >= limits.user_address:
            raise TooManyConnections(detail=f"{self._pairs[name, group]} of {name!r} from {group}")
        _less(self._waiting, group)
        self._users[name] += 1
        self._pairs[name, group] += 1

    def demote(self, group: str, name: str) -> None:
        """
        For L{Lease.withdraw}.
        """
        _less(self._users, name)
        _less(self._pairs, (name, group))
        self._waiting[group] += 1

    def leave(self, group: str, name: str | None) -> None:
        """
        For L{Lease.release}.
        """
        self.total -= 1
        if name is None:
            _less(self._waiting, group)
        else:
            _less(self._users, name)
            _less(self._pairs, (name, group))

    def counted(self) -> int:
        """
        How many addresses and users are counted: 0 when nobody is there.
        """
        return len(self._waiting) + len(self._users) + len(self._pairs)


def _less(counter: Counter[K], key: K) -> None:
    counter[key] -= 1
    if counter[key] <= 0:
        del counter[key]
