"""
The messages of an open mailbox in packed columns, shared by all sessions of a process.

Arrays have room to spare: messages that arrive are written behind the last row, flags in place. A
session looks at the first rows through L{Rows} and does not see those behind until it is told. An
expunge makes new columns; a session that was not told keeps the old, and a chain of L{Step}s tells
it later which messages went. Flags are written to all columns that somebody still looks at.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections.abc import Iterable, Sequence
from typing import TypeAlias

import attrs
from zope.interface import implementer

from mailaccess.interfaces import IRows

Row: TypeAlias = tuple[int, int, int, int, int]
"""UID, flags, mod-sequence, size, internal date."""

_CODES = "Iqqqq"


@implementer(IRows)
@attrs.frozen(eq=False, weakref_slot=False)
class Rows:
    """
    The rows one session knows.
    """

    uids: Sequence[int]
    flags: Sequence[int]
    modseqs: Sequence[int]
    sizes: Sequence[int]
    dates: Sequence[int]

    def __len__(self) -> int:
        return len(self.uids)


class Step:
    """
    From one set of columns to the next: the UIDs that went.
    """

    __slots__ = ("next", "removed")

    def __init__(self) -> None:
        self.removed: Sequence[int] = ()
        self.next: Step | None = None


class Columns:
    """
    Rows in ascending order of UID.

    @ivar count: rows in use
    """

    __slots__ = ("__weakref__", "_rows", "arrays", "count")

    def __init__(self, columns: Sequence[Iterable[int]] = ((), (), (), (), ())) -> None:
        arrays = [array(code, column) for code, column in zip(_CODES, columns, strict=True)]
        self.count = len(arrays[0])
        spare = max(16, self.count // 16)
        for column in arrays:
            column.frombytes(bytes(spare * column.itemsize))
        self.arrays: Sequence[array[int]] = arrays
        self._rows: Rows | None = None

    @classmethod
    def of(cls, rows: Sequence[Row]) -> Columns:
        """
        Columns of rows in ascending order.
        """
        return cls(list(zip(*rows, strict=True))) if rows else cls()

    def rows(self) -> Rows:
        """
        All that is there now; the same object until there is more.
        """
        if self._rows is None or len(self._rows) != self.count:
            views = [memoryview(column)[: self.count].toreadonly() for column in self.arrays]
            self._rows = Rows(*views)
        return self._rows

    @property
    def last_uid(self) -> int:
        """
        The greatest UID, or 0.
        """
        return self.arrays[0][self.count - 1] if self.count else 0

    def find(self, uid: int) -> int:
        """
        The row of a UID, or -1.
        """
        uids = self.arrays[0]
        row = bisect_left(uids, uid, 0, self.count)
        return row if row < self.count and uids[row] == uid else -1

    def append(self, rows: Sequence[Row]) -> bool:
        """
        More rows, if there is room.
        """
        end = self.count + len(rows)
        if end > len(self.arrays[0]):
            return False
        for code, column, values in zip(_CODES, self.arrays, zip(*rows, strict=True), strict=False):
            column[self.count : end] = array(code, values)
        self.count = end
        return True

    def tail(self, uid: int) -> list[Row]:
        """
        Rows with greater UIDs.
        """
        start = bisect_left(self.arrays[0], uid + 1, 0, self.count)
        return list(zip(*(column[start : self.count] for column in self.arrays), strict=True))

    def grown(self, rows: Sequence[Row], count: int | None = None) -> Columns:
        """
        New columns with the first C{count} rows of these and more behind them.
        """
        end = self.count if count is None else count
        added = list(zip(*rows, strict=True)) if rows else [()] * len(_CODES)
        return Columns(
            [
                column[:end] + array(code, more)
                for code, column, more in zip(_CODES, self.arrays, added, strict=True)
            ]
        )

    def without(self, uids: Sequence[int]) -> Columns:
        """
        New columns without some of the rows; UIDs ascending.
        """
        gone = [row for uid in uids if (row := self.find(uid)) >= 0]
        spans = []
        start = 0
        for row in gone:
            if row > start:
                spans.append((start, row))
            start = row + 1
        spans.append((start, self.count))
        kept = []
        for code, column in zip(_CODES, self.arrays, strict=True):
            packed = array(code)
            for low, high in spans:
                packed += column[low:high]
            kept.append(packed)
        return Columns(kept)

    def put_flags(self, uids: Sequence[int], flags: Sequence[int], modseqs: Sequence[int]) -> None:
        """
        Write flags and mod-sequences of some rows; UIDs ascending, at least one.
        """
        column, flag_column, modseq_column = self.arrays[0], self.arrays[1], self.arrays[2]
        row, count = 0, self.count
        first, last = self.find(uids[0]), self.find(uids[-1])
        span = column[first : last + 1] if 0 <= first <= last else ()
        if len(span) == len(uids) and span == array("I", uids):
            # All rows in between: in C.
            flag_column[first : last + 1] = array("q", flags)
            modseq_column[first : last + 1] = array("q", modseqs)
            return
        for uid, mask, modseq in zip(uids, flags, modseqs, strict=True):
            # Neighbours are the usual case; a search from here on finds the others.
            if row >= count or column[row] != uid:
                row = bisect_left(column, uid, row, count)
                if row >= count or column[row] != uid:
                    continue
            flag_column[row] = mask
            modseq_column[row] = modseq
            row += 1
