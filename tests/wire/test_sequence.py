"""
Sequence sets mean the right messages and cost what is written, not what it spans.
"""

from __future__ import annotations

from array import array
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailaccess.errors import BadSyntax
from mailaccess.wire.cursor import Cursor
from mailaccess.wire.grammar import sequence_set
from mailaccess.wire.sequence import STAR, SequenceSet, format_uids

LARGEST = 2**32 - 1


def parse(text: bytes) -> SequenceSet:
    cursor = Cursor(text)
    found = sequence_set(cursor)
    cursor.end()
    return found


def test_ranges_are_kept_as_written() -> None:
    assert parse(b"1,5:3,*:4,*").ranges == ((1, 1), (5, 3), (STAR, 4), (STAR, STAR))


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"0",
        b"01",
        b"1:0",
        b"4294967296",
        b"9223372036854775808",
        b"1:",
        b":1",
        b"1,",
        b",1",
        b"1,,2",
        b"1:2:3",
        b"-1",
        b"1-2",
        b"**",
        b"1 ,2",
        b"\xd9\xa3",
        b"$",
    ],
)
def test_what_is_no_sequence_set(text: bytes) -> None:
    """PAR-06."""
    with pytest.raises(BadSyntax):
        parse(text)
    with pytest.raises(BadSyntax):
        SequenceSet.parse(text)


@pytest.mark.parametrize(
    ("text", "maximum", "expected"),
    [
        (b"1:*", 5, [(1, 5)]),
        (b"*:1", 5, [(1, 5)]),
        (b"*", 5, [(5, 5)]),
        (b"*", 0, []),
        (b"1:4294967295", 5, [(1, 5)]),
        (b"4294967295:*", 5, [(5, 5)]),
        (b"4294967295", 5, []),
        (b"4:2,7,8:9,3", 20, [(2, 4), (7, 9)]),
        (b"2,4:7,9,12:*", 15, [(2, 2), (4, 7), (9, 9), (12, 15)]),
        (b"*:4,5:7", 10, [(4, 10)]),
        (b"9,8,7", 8, [(7, 8)]),
    ],
)
def test_resolved_ranges_are_sorted_merged_and_clipped(
    text: bytes, maximum: int, expected: list[tuple[int, int]]
) -> None:
    """PAR-06, and the examples of RFC 9051 section 9."""
    assert parse(text).resolve(maximum) == expected


def test_a_uid_set_picks_rows_of_a_column() -> None:
    """PAR-06: the last message is in n:* for any n."""
    uids = array("I", [3, 5, 8, 13, LARGEST - 5])
    assert list(parse(b"1:*").rows(uids)) == [0, 1, 2, 3, 4]
    assert list(parse(b"4294967295:*").rows(uids)) == [4]
    assert list(parse(b"*").rows(uids)) == [4]
    assert list(parse(b"8:4,13,14,1:2").rows(uids)) == [1, 2, 3]
    assert list(parse(b"4").rows(uids)) == []
    assert list(parse(b"4294967295").rows(uids)) == []
    assert list(parse(b"1:*").rows([])) == []
    assert list(parse(b"5,5,5").rows(uids)) == [1]


def test_sequence_numbers_are_valid_up_to_the_count() -> None:
    assert parse(b"1:5,*").valid_for(5)
    assert not parse(b"6").valid_for(5)
    assert not parse(b"6:*").valid_for(5)
    assert not parse(b"*").valid_for(0)
    assert list(parse(b"2:3,*").indexes(5)) == [1, 2, 4]
    assert list(parse(b"1:*").indexes(5)) == [0, 1, 2, 3, 4]


NUMBER = st.one_of(st.integers(1, 60), st.just(STAR), st.integers(LARGEST - 3, LARGEST))


@given(
    st.lists(st.tuples(NUMBER, NUMBER), min_size=1, max_size=12),
    st.lists(st.integers(1, 60), unique=True, max_size=20).map(sorted),
)
def test_rows_and_indexes_agree_with_counting(
    ranges: list[tuple[int, int]], uids: list[int]
) -> None:
    """PAR-06: against the plain meaning, value by value."""
    text = ",".join(
        ":".join("*" if n == STAR else str(n) for n in (pair if pair[0] != pair[1] else pair[:1]))
        for pair in ranges
    )
    found = parse(text.encode())
    assert found.ranges == tuple(ranges)
    top = uids[-1] if uids else 0

    def meant(value: int, star: int) -> bool:
        return any(
            min(a or star, b or star) <= value <= max(a or star, b or star) for a, b in ranges
        )

    assert list(found.rows(uids)) == [i for i, uid in enumerate(uids) if meant(uid, top)]
    count = len(uids)
    assert list(found.indexes(count)) == [i for i in range(count) if meant(i + 1, count)]
    resolved = found.resolve(50)
    assert all(low <= high <= 50 for low, high in resolved)
    assert all(a[1] + 1 < b[0] for a, b in pairwise(resolved))
    assert [v for low, high in resolved for v in range(low, high + 1)] == [
        v for v in range(1, 51) if meant(v, 50)
    ]


class CountedColumn(list[int]):
    """
    Counts how often it is looked at.
    """

    looks = 0

    def __getitem__(self, index: int) -> int:  # type: ignore[override]
        CountedColumn.looks += 1
        return super().__getitem__(index)


def test_ranges_cost_by_their_number_not_by_their_span() -> None:
    """PAR-06, PAR-07: 1:4294967295 is one look at each end; 8000 UIDs are 8000 bisections."""
    CountedColumn.looks = 0
    uids = CountedColumn(range(1, 100001))
    assert len(parse(b"1:4294967295").rows(uids)) == 100000
    assert CountedColumn.looks <= 40
    CountedColumn.looks = 0
    text = b",".join(b"%d" % n for n in range(16000, 0, -2))
    assert len(parse(text).rows(uids)) == 8000
    assert CountedColumn.looks <= 8000 * 20


def test_many_disjoint_numbers_are_resolved_once_each() -> None:
    """PAR-07: 8000 of them, in the order that is worst for insertion."""
    text = b",".join(b"%d" % n for n in range(80000, 0, -10))
    resolved = parse(text).resolve(LARGEST)
    assert len(resolved) == 8000
    assert resolved[0] == (10, 10)


@pytest.mark.parametrize(
    ("uids", "text"),
    [
        ([], b""),
        ([7], b"7"),
        ([1, 2, 3, 7], b"1:3,7"),
        ([3, 2, 1], b"3,2,1"),
        ([5, 6, 1, 2, 9], b"5:6,1:2,9"),
        ([1, 1], b"1,1"),
        ([LARGEST - 1, LARGEST], b"4294967294:4294967295"),
    ],
)
def test_numbers_are_written_as_runs_in_their_order(uids: list[int], text: bytes) -> None:
    """RFC 4315 section 3: COPYUID pairs sources and targets by position."""
    assert format_uids(uids) == text


@given(st.lists(st.integers(1, 200), min_size=1))
def test_what_was_written_reads_back_in_order(uids: list[int]) -> None:
    ranges = SequenceSet.parse(format_uids(uids)).ranges
    assert [uid for low, high in ranges for uid in range(low, high + 1)] == uids
    assert format_uids(iter(uids)) == format_uids(uids)
