"""
What an account has kept of its messages, read where it is needed.

Structures and header fields are looked up on the reactor: a few blocks, from the page cache, with
a connection that never waits. Text is searched in threads. Whatever goes wrong with the database,
the answer is that nothing is kept; one that is damaged is removed.
"""

from __future__ import annotations

import time
from array import array
from bisect import bisect_left
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import Any, TypeVar

import apsw

from mailaccess.interfaces import Description
from mailaccess.store import query as q
from mailaccess.store.maildir import derived, kinds
from mailaccess.store.maildir.blocks import Block, Kind, numbers_of
from mailaccess.store.maildir.derived import Derived

_T = TypeVar("_T")

_AGAIN = 1.0


class Recall:
    """
    The reading side of an account's C{text.db}.

    @ivar path: of the database
    """

    def __init__(self, path: str) -> None:
        self.path = path
        self._open: Derived | None = None
        self._not_before = 0.0
        # Batches of messages seldom end where blocks do.
        self._last: tuple[Any, Mapping[int, Any]] = (None, {})

    def descriptions(self, token: int, uids: Sequence[int]) -> dict[int, Description | None]:
        """
        Structures of these messages, and maybe of others; None where one is too long to be kept.
        """

        def read(block: Block) -> dict[int, Description | None]:
            found: dict[int, Description | None] = dict.fromkeys(block.long)
            parts = [block.part(number) for number in range(3)]
            found.update(zip(block.uids, map(Description, *parts), strict=True))
            return found

        return self._values(kinds.DESCRIPTION, token, uids, (), read)

    def fields(
        self, token: int, uids: Sequence[int], names: Collection[bytes]
    ) -> dict[int, bytes | None]:
        """
        The same with header fields of these names, an empty line after each message's.
        """

        def read(block: Block) -> dict[int, bytes | None]:
            found: dict[int, bytes | None] = dict.fromkeys(block.long)
            found.update(zip(block.uids, kinds.picked(block, names), strict=True))
            return found

        return self._values(kinds.FIELDS, token, uids, frozenset(names), read)

    def _values(
        self,
        kind: Kind,
        token: int,
        uids: Sequence[int],
        variant: Collection[bytes],
        read: Callable[[Block], dict[int, _T]],
    ) -> dict[int, _T]:
        found: dict[int, _T] = {}
        try:
            for number in numbers_of(kind, uids):
                place = (kind.number, token, number, variant)
                if self._last[0] != place or not self._has(kind, number, uids):
                    block = self._block(kind, token, number)
                    self._last = (place, read(block) if block is not None else {})
                found.update(self._last[1])
        except (ValueError, ArithmeticError):
            # Somebody made a block that has the right checksum and makes no sense.
            self._last = (None, {})
        return found

    def _has(self, kind: Kind, number: int, uids: Sequence[int]) -> bool:
        """
        Whether the block that was read last had all of these already.
        """
        low = bisect_left(uids, number << kind.bits)
        high = bisect_left(uids, (number + 1) << kind.bits, low)
        return self._last[1].keys() >= set(uids[low:high])

    def _block(self, kind: Kind, token: int, number: int) -> Block | None:
        try:
            if self._open is not None and not self._open.is_at(self.path):
                self.doze()
            if time.monotonic() < self._not_before:
                return None
            with derived.mending(self.path):
                if self._open is None:
                    self._open = derived.to_read(self.path)
                return None if self._open is None else self._open.block(kind, token, number)
        except apsw.BusyError:
            return None
        except (apsw.Error, OSError):
            self.doze()
            self._not_before = time.monotonic() + _AGAIN
            return None

    def doze(self) -> None:
        """
        Let go of the database and of what was read last.
        """
        self._last = (None, {})
        opened, self._open = self._open, None
        if opened is not None:
            try:
                opened.close()
            except apsw.Error:
                return


def search(path: str, token: int, key: q.Query, uids: array[int]) -> tuple[bytes, bytes, bool]:
    """
    Look for a search key in what is kept of messages; in a thread.

    @param uids: ascending
    @return: for each UID 1 if it matches, 1 if that is known, and whether something that could be
        kept is not
    """
    hits = bytearray(len(uids))
    known: bytes | bytearray = bytes(len(uids))
    finders = kinds.finders(key)
    if not finders:
        return bytes(hits), bytes(known), False
    complete = True
    try:
        with derived.mending(path):
            database = derived.to_read(path)
            if database is None:
                return bytes(hits), bytes(known), True
            try:
                database.connection.set_busy_timeout(1000)
                for turn, (kind, finder) in enumerate(finders):
                    seen = bytearray(len(uids))
                    for number, low, high in _spans(kind, uids):
                        block = database.block(kind, token, number)
                        asked = uids[low:high]
                        if block is None or not _look(block, finder, asked, low, hits, seen):
                            complete = False
                    known = _both(known, seen) if turn else seen
            finally:
                database.close()
    except (apsw.Error, OSError, IndexError, ValueError):
        # What was found so far is right; of the rest nothing is known.
        return bytes(hits), bytes(hits), True
    return bytes(hits), _either(known, hits), not complete


def _both(one: bytes | bytearray, other: bytearray) -> bytes:
    found = int.from_bytes(one, "little") & int.from_bytes(other, "little")
    return found.to_bytes(len(one), "little")


def _either(one: bytes | bytearray, other: bytearray) -> bytes:
    found = int.from_bytes(one, "little") | int.from_bytes(other, "little")
    return found.to_bytes(len(one), "little")


def _spans(kind: Kind, uids: array[int]) -> Iterator[tuple[int, int, int]]:
    """
    Block numbers, and which UIDs are in them.
    """
    low = 0
    while low < len(uids):
        number = uids[low] >> kind.bits
        high = bisect_left(uids, (number + 1) << kind.bits, low)
        yield number, low, high
        low = high


def _look(
    block: Block,
    finder: Callable[[Block], Sequence[int]],
    asked: array[int],
    low: int,
    hits: bytearray,
    seen: bytearray,
) -> bool:
    """
    Look into a block; whether it has all of these UIDs, or knows why not.
    """
    found = finder(block)
    if asked == block.uids:
        seen[low : low + len(asked)] = b"\x01" * len(asked)
        for number in found:
            hits[low + number] = 1
        return True
    places = {uid: low + place for place, uid in enumerate(asked)}
    for uid in block.uids:
        place = places.get(uid)
        if place is not None:
            seen[place] = 1
    for number in found:
        place = places.get(block.uids[number])
        if place is not None:
            hits[place] = 1
    return not (places.keys() - set(block.uids) - set(block.long))
