"""
Passwords that were right or wrong a while ago, remembered without keeping them (AUTH-20, AUTH-22).

    fingerprints = Fingerprints()
    known: Remembered[Identity] = Remembered(clock, 3600)
    known.put(name, identity, fingerprints.of(name, secret))
    known.get(name, fingerprints.of(name, secret))
"""

from __future__ import annotations

import hashlib
import hmac
from collections import OrderedDict
from collections.abc import Hashable
from secrets import token_bytes
from typing import Generic, TypeVar

import attrs
from twisted.internet.interfaces import IReactorTime

V = TypeVar("V")


class Fingerprints:
    """
    HMACs under a key that never leaves this process: what is remembered is of no use elsewhere.
    """

    def __init__(self) -> None:
        self._key = token_bytes(32)

    def of(self, name: str, secret: bytes) -> bytes:
        """
        The fingerprint of a password for one name, and for no other.
        """
        text = name.encode("utf-8", "surrogateescape")
        return hmac.digest(self._key, b"%d:%b:%b" % (len(text), text, secret), hashlib.sha256)


@attrs.frozen
class _Kept(Generic[V]):
    value: V
    fingerprint: bytes = attrs.field(repr=False)
    until: float


class Remembered(Generic[V]):
    """
    Values for a bounded time, as many as C{size}: the longest unused go first.
    """

    def __init__(self, clock: IReactorTime, seconds: float, size: int = 10_000) -> None:
        self._clock = clock
        self._seconds = seconds
        self._size = size
        self._kept: OrderedDict[Hashable, _Kept[V]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._kept)

    def put(self, key: Hashable, value: V, fingerprint: bytes = b"", most: float = 0.0) -> None:
        """
        Keep it, in place of what was kept under this key.

        @param most: seconds, if less than usual
        """
        seconds = min(self._seconds, most) if most else self._seconds
        if seconds <= 0 or self._size <= 0:
            return
        self._kept[key] = _Kept(value, fingerprint, self._clock.seconds() + seconds)
        self._kept.move_to_end(key)
        if len(self._kept) > self._size:
            self._kept.popitem(last=False)

    def get(self, key: Hashable, fingerprint: bytes = b"") -> V | None:
        """
        What is kept, if it was kept with this fingerprint and its time is not over.
        """
        kept = self._kept.get(key)
        if kept is None:
            return None
        if self._clock.seconds() >= kept.until:
            del self._kept[key]
            return None
        if not hmac.compare_digest(kept.fingerprint, fingerprint):
            return None
        self._kept.move_to_end(key)
        return kept.value

    def drop(self, key: Hashable) -> None:
        """
        Forget one.
        """
        self._kept.pop(key, None)

    def flush(self) -> None:
        """
        Forget all.
        """
        self._kept.clear()
