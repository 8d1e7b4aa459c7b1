"""
Files that are not in the record, in columns: a million small objects would be gone through by
Python's collector again and again, and everybody waits for that.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator
from typing import NamedTuple

_IN_NEW, _RENAME = 1, 2
_AT_ONCE = 10_000


class Arrival(NamedTuple):
    """
    A file that is not in the record.

    @ivar in_new: it is in C{new}, else in C{cur}
    @ivar size: with CRLF line ends
    @ivar date: when it was last written, seconds
    @ivar rename: its base is another message's: give it its own
    """

    in_new: bool
    name: str
    size: int
    date: int
    rename: bool = False


class Arrivals:
    """
    Many of them, in the order they were found.

    @ivar plain: all are in C{cur} and keep their names
    """

    def __init__(self) -> None:
        self.names: list[str] = []
        self.sizes = array("q")
        self.dates = array("q")
        self.plain = True
        self._marks = bytearray()

    def add(
        self, name: str, size: int, date: int, in_new: bool = False, rename: bool = False
    ) -> None:
        """
        One more.
        """
        self.names.append(name)
        self.sizes.append(size)
        self.dates.append(date)
        mark = in_new * _IN_NEW | rename * _RENAME
        self._marks.append(mark)
        if mark:
            self.plain = False

    def let_go(self) -> None:
        """
        Forget them, in steps: who lets go of them all at once keeps everybody waiting.
        """
        while self.names:
            del self.names[-_AT_ONCE:]
        del self.sizes[:], self.dates[:], self._marks[:]

    def __len__(self) -> int:
        return len(self.names)

    def __iter__(self) -> Iterator[Arrival]:
        for name, size, date, mark in zip(
            self.names, self.sizes, self.dates, self._marks, strict=True
        ):
            yield Arrival(bool(mark & _IN_NEW), name, size, date, bool(mark & _RENAME))
