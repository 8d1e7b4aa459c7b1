"""
Sets of sequence numbers or UIDs, in memory and time that depend on what is written, not on what it
spans: C{1:4294967295} is one range (PAR-06, PAR-07).
"""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence

import attrs

from mailaccess.errors import BadSyntax

STAR = 0
"""C{*} in L{SequenceSet.ranges}: the largest number in use. No number is 0."""

LARGEST = 2**32 - 1

_NUMBER = rb"(?:[1-9][0-9]{0,9}|\*)"
_RANGE = rb"%b(?::%b)?" % (_NUMBER, _NUMBER)
SEQUENCE_SET = re.compile(rb"%b(?:,%b)*+" % (_RANGE, _RANGE))


@attrs.frozen
class SequenceSet:
    """
    A set as it was written.

    @ivar ranges: first and last of each range, in the order and direction given; L{STAR} for C{*}
    """

    ranges: tuple[tuple[int, int], ...]

    # sequence-set = (seq-number / seq-range) ["," sequence-set]
    # seq-range = seq-number ":" seq-number
    # seq-number = nz-number / "*"
    @classmethod
    def parse(cls, text: bytes) -> SequenceSet:
        """
        @raise BadSyntax: anything but a set of numbers from 1 to 2**32-1
        """
        if not SEQUENCE_SET.fullmatch(text):
            raise BadSyntax("sequence-set")
        return cls(read_ranges(text))

    def resolve(self, maximum: int) -> list[tuple[int, int]]:
        """
        The ranges with C{*} as C{maximum}, each upwards, ascending, merged where they meet, and
        without what lies over C{maximum}. Nothing if C{maximum} is 0.
        """
        if maximum < 1:
            return []
        if len(self.ranges) == 1:
            return _clipped(*self.ranges[0], maximum)
        pieces = sorted(piece for one in self.ranges for piece in _clipped(*one, maximum))
        merged: list[tuple[int, int]] = []
        for low, high in pieces:
            if merged and low <= merged[-1][1] + 1:
                if high > merged[-1][1]:
                    merged[-1] = (merged[-1][0], high)
            else:
                merged.append((low, high))
        return merged

    def rows(self, uids: Sequence[int]) -> list[int] | range:
        """
        Which indexes of an ascending column of UIDs are meant, ascending. C{*} is the highest of
        them. UIDs that are not there are left out (RFC 3501 section 6.4.8).
        """
        if not uids:
            return []
        count = len(uids)
        spans = []
        for low, high in self.resolve(uids[-1]):
            first = bisect_left(uids, low)
            after = first + 1 if low == high else bisect_right(uids, high, first)
            if first < count and (low != high or uids[first] == low):
                spans.append((first, after))
        return _spread(spans)

    def indexes(self, count: int) -> list[int] | range:
        """
        Which of C{count} rows are meant as sequence numbers: from 0, ascending. Ask L{valid_for}
        first.
        """
        return _spread([(low - 1, high) for low, high in self.resolve(count)])

    def valid_for(self, count: int) -> bool:
        """
        Whether all are sequence numbers of a mailbox with C{count} messages; C{*} is none of an
        empty one (RFC 9051 section 9, seq-number).
        """
        return count > 0 and all(low <= count and high <= count for low, high in self.ranges)


def read_ranges(text: bytes) -> tuple[tuple[int, int], ...]:
    """
    The ranges of what L{SEQUENCE_SET} matches.

    @raise BadSyntax: a number over 2**32-1
    """
    ranges = []
    for part in text.split(b","):
        first, colon, last = part.partition(b":")
        low = STAR if first == b"*" else int(first)
        high = low if not colon else STAR if last == b"*" else int(last)
        if low > LARGEST or high > LARGEST:
            raise BadSyntax("nz-number")
        ranges.append((low, high))
    return tuple(ranges)


def _clipped(low: int, high: int, maximum: int) -> list[tuple[int, int]]:
    low, high = low or maximum, high or maximum
    if low > high:
        low, high = high, low
    return [(low, min(high, maximum))] if low <= maximum else []


def _spread(spans: list[tuple[int, int]]) -> list[int] | range:
    if len(spans) == 1:
        return range(*spans[0])
    rows: list[int] = []
    for first, after in spans:
        rows.extend(range(first, after))
    return rows


def format_uids(uids: Iterable[int]) -> bytes:
    """
    C{1:3,7}: the numbers in the order given, each run of successors as a range (RFC 4315
    section 3).
    """
    parts: list[str] = []
    first = last = -1
    for uid in uids:
        if uid == last + 1 and first >= 0:
            last = uid
            continue
        if first >= 0:
            parts.append(str(first) if first == last else f"{first}:{last}")
        first = last = uid
    if first >= 0:
        parts.append(str(first) if first == last else f"{first}:{last}")
    return ",".join(parts).encode("ascii")
