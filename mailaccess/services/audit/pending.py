"""
What is to be written, gathered in memory: bounded, and the same again only counts.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import attrs

from .database import Standing
from .facts import Facts, Row

MOST = 10_000
"""Different rows that wait; what is more is dropped and counted."""


@attrs.define
class Pending:
    """
    One batch in the making.

    @ivar dropped: rows that found no place
    """

    most: int = MOST
    dropped: int = 0
    _rows: dict[Facts, list[int]] = attrs.field(factory=dict)
    _seen: dict[str, list[int]] = attrs.field(factory=dict)
    _resets: dict[str, None] = attrs.field(factory=dict)

    def __bool__(self) -> bool:
        return bool(self._rows or self._seen or self._resets or self.dropped)

    def add(self, facts: Facts, now: int, count: int = 1) -> None:
        """
        Count; a negative count takes back what was counted before.
        """
        found = self._rows.get(facts)
        if found is not None:
            found[1], found[2] = now, found[2] + count
        elif len(self._rows) < self.most:
            self._rows[facts] = [now, now, count]
        else:
            self.dropped += 1

    def secure(self, user: str, now: int) -> None:
        """
        Somebody logged in with TLS.
        """
        found = self._seen.get(user)
        if found is not None:
            found[1], found[2] = now, found[2] + 1
        elif len(self._seen) < self.most:
            self._seen[user] = [now, now, 1]
        else:
            self.dropped += 1

    def insecure(self, user: str) -> None:
        """
        Somebody logged in without.
        """
        self._seen.pop(user, None)
        if len(self._resets) < self.most:
            self._resets[user] = None
        else:
            self.dropped += 1

    @property
    def rows(self) -> Sequence[Row]:
        """
        For L{Database.add}.
        """
        return [Row(facts, *numbers) for facts, numbers in self._rows.items() if numbers[2]]

    @property
    def seen(self) -> Sequence[Standing]:
        """
        The same.
        """
        return [Standing(user, *numbers) for user, numbers in self._seen.items()]

    @property
    def resets(self) -> Mapping[str, None]:
        """
        The same.
        """
        return self._resets
