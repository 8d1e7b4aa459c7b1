"""
How many connections may be open that have not logged in (AB-01).

    guests.enter(address)   at the beginning; false: to be turned away
    guests.leave(address)   at a login or at the end, once for each C{enter} that was true
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

from mailaccess.auth.throttle import address_group

RESERVE = 0.1
"""Share of all connections that only those who logged in already can fill."""


class Guests:
    """
    Counts by address; IPv6 by /64, which is what one customer has.

    @ivar per_address: how many of one address
    @ivar total: how many connections of any kind before newcomers are turned away
    """

    def __init__(
        self, per_address: int, total: int, open_connections: Callable[[], int] | None = None
    ) -> None:
        """
        @param open_connections: how many there are now, logged in or not
        """
        self.per_address = per_address
        self.total = total
        self._open = open_connections
        self._here: Counter[str] = Counter()

    def enter(self, address: str) -> bool:
        """
        Whether there is room; if so, one more is counted.
        """
        if self._open is not None and self._open() > self.total * (1 - RESERVE):
            return False
        group = address_group(address)
        if self._here[group] >= self.per_address:
            return False
        self._here[group] += 1
        return True

    def leave(self, address: str) -> None:
        """
        One fewer.
        """
        group = address_group(address)
        self._here[group] -= 1
        if self._here[group] <= 0:
            del self._here[group]

    def __len__(self) -> int:
        return sum(self._here.values())
