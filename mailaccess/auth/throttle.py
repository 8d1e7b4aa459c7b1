"""
Delays for wrong logins: guessing becomes slow, the owner never notices (AUTH-07).

The answer to a failed attempt waits. Two counts decide, the larger delay wins:

    address   failures from one IPv4 address or IPv6 /64; reset by a success from there, or by time
    name      failures for one name from anywhere; grows more slowly, and does not count against an
              address from which this name has logged in before

A client that does not wait for the answer gains nothing: the next attempt from its address is held
back, before the password is looked at, until that answer would have been given. So is a right
password, for 15 seconds at most; but not that of a name which has logged in from this address
before, for which only its own failures there count. Nobody can be locked out.
"""

from __future__ import annotations

from collections import OrderedDict
from functools import lru_cache
from ipaddress import IPv6Address, ip_address
from typing import Generic, TypeVar

import attrs
from twisted.internet.interfaces import IReactorTime

FIRST_DELAY = 2.0
LONGEST_DELAY = 15.0
_V6_HOST_BITS = 64
_NAME_PATIENCE = 5
_PAIR_PATIENCE = 3
_GOOD_ADDRESSES = 8

V = TypeVar("V")


@lru_cache(maxsize=4096)
def address_group(peer: str) -> str:
    """
    What counts as one client: an IPv4 address, an IPv6 /64, or the text itself.
    """
    try:
        address = ip_address(peer.partition("%")[0])
    except ValueError:
        return peer
    if not isinstance(address, IPv6Address):
        return str(address)
    if address.ipv4_mapped is not None:
        return str(address.ipv4_mapped)
    network = int(address) >> _V6_HOST_BITS << _V6_HOST_BITS
    return f"{IPv6Address(network)}/64"


class _Recent(Generic[V]):
    """
    A mapping that forgets what was longest unused.
    """

    def __init__(self, size: int) -> None:
        self._size = size
        self._items: OrderedDict[str, V] = OrderedDict()

    def __len__(self) -> int:
        return len(self._items)

    def get(self, key: str) -> V | None:
        return self._items.get(key)

    def put(self, key: str, value: V) -> None:
        self._items[key] = value
        self._items.move_to_end(key)
        if len(self._items) > self._size:
            self._items.popitem(last=False)

    def drop(self, key: str) -> None:
        self._items.pop(key, None)


@attrs.frozen
class _Failures:
    count: int
    last: float


class Throttle:
    """
    Counts failures; says how long the answer to one waits: 2, 4, 8, then 15 seconds.

    Memory is bounded: C{size} addresses, names and known-good pairs, the longest unused forgotten
    first.
    """

    def __init__(
        self,
        clock: IReactorTime,
        first: float = FIRST_DELAY,
        longest: float = LONGEST_DELAY,
        memory: float = 900.0,
        size: int = 20_000,
    ) -> None:
        """
        @param first: seconds after the first failure
        @param longest: seconds at most
        @param memory: seconds without a failure after which it is forgotten
        """
        self._clock = clock
        self._first = first
        self._longest = longest
        self._memory = memory
        self._addresses: _Recent[_Failures] = _Recent(size)
        self._names: _Recent[_Failures] = _Recent(size)
        self._pairs: _Recent[_Failures] = _Recent(size)
        self._good: _Recent[tuple[str, ...]] = _Recent(size)

    def delay_for(self, peer: str, name: str) -> float:
        """
        How many seconds the answer to the latest failure of this address and name waits; 0 without
        one.
        """
        group = address_group(peer)
        delay = self._delay(self._count(self._addresses, group))
        if group in (self._good.get(name) or ()):
            return delay
        return max(delay, self._delay(self._count(self._names, name) - _NAME_PATIENCE))

    def held(self, peer: str, name: str) -> float:
        """
        How many seconds the next attempt waits before it is looked at.

        @param name: canonical; empty if it can be nobody's
        """
        group = address_group(peer)
        if group in (self._good.get(name) or ()):
            return self._left(self._pairs, f"{group} {name}", _PAIR_PATIENCE)
        return self._left(self._addresses, group, 0)

    def failed(self, peer: str, name: str) -> float:
        """
        Count a failure; returns L{delay_for} it.

        @param name: canonical; empty if it can be nobody's
        """
        group = address_group(peer)
        self._add(self._addresses, group)
        if name and group in (self._good.get(name) or ()):
            self._add(self._pairs, f"{group} {name}")
        elif name:
            self._add(self._names, name)
        return self.delay_for(peer, name)

    def succeeded(self, peer: str, name: str) -> None:
        """
        Forget the failures of this address, and of no other; remember it as good for this name.
        """
        group = address_group(peer)
        self._addresses.drop(group)
        self._pairs.drop(f"{group} {name}")
        others = [each for each in self._good.get(name) or () if each != group]
        self._good.put(name, (*others[1 - _GOOD_ADDRESSES :], group))

    def _count(self, table: _Recent[_Failures], key: str) -> int:
        found = table.get(key)
        if found is None or self._clock.seconds() - found.last > self._memory:
            return 0
        return found.count

    def _left(self, table: _Recent[_Failures], key: str, patience: int) -> float:
        found = table.get(key)
        if found is None:
            return 0.0
        until = found.last + self._delay(self._count(table, key) - patience)
        return max(0.0, until - self._clock.seconds())

    def _add(self, table: _Recent[_Failures], key: str) -> None:
        table.put(key, _Failures(self._count(table, key) + 1, self._clock.seconds()))

    def _delay(self, count: int) -> float:
        if count <= 0:
            return 0.0
        return float(min(self._longest, self._first * 2.0 ** min(count - 1, 30)))
