"""
Packed columns, against a plain list of rows.
"""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from mailaccess.store.maildir.columns import Columns, Row
from mailaccess.store.maildir.index import ranges_of


def row(uid: int) -> Row:
    return (uid, uid % 7, uid * 3, uid * 5, uid * 11)


def plain(columns: Columns) -> list[Row]:
    rows = columns.rows()
    found = zip(rows.uids, rows.flags, rows.modseqs, rows.sizes, rows.dates, strict=True)
    return list(found)


uid_sets = st.sets(st.integers(1, 60), max_size=40).map(sorted)


@given(uid_sets, uid_sets, st.booleans())
def test_flags_are_written_to_the_rows_that_are_there(
    present: list[int], wanted: list[int], whole: bool
) -> None:
    columns = Columns.of([row(uid) for uid in present])
    touched = present if whole else wanted
    if not touched:
        return
    columns.put_flags(touched, [uid + 100 for uid in touched], [999] * len(touched))
    assert plain(columns) == [
        (uid, uid + 100, 999, uid * 5, uid * 11) if uid in touched else row(uid) for uid in present
    ]


@given(uid_sets, uid_sets)
def test_rows_are_left_out_and_added_behind(present: list[int], gone: list[int]) -> None:
    columns = Columns.of([row(uid) for uid in present])
    before = columns.rows()
    less = columns.without(gone)
    assert plain(less) == [row(uid) for uid in present if uid not in gone]
    more = [row(uid) for uid in range(100, 130)]
    grown = columns.grown(more)
    assert plain(grown) == [row(uid) for uid in present] + more
    assert columns.tail(30) == [row(uid) for uid in present if uid > 30]
    assert list(before.uids) == present
    for uid in range(1, 61):
        assert columns.find(uid) == (present.index(uid) if uid in present else -1)


def test_rows_that_arrive_are_not_seen_through_older_rows() -> None:
    columns = Columns.of([row(1)])
    before = columns.rows()
    assert columns.append([row(2)])
    assert columns.last_uid == 2
    assert list(before.uids) == [1]
    assert list(columns.rows().uids) == [1, 2]
    assert columns.rows() is columns.rows()
    columns.put_flags([1], [16], [50])
    assert before.flags[0] == 16
    assert not columns.append([row(uid) for uid in range(3, 1000)])
    assert list(columns.rows().uids) == [1, 2]


@given(uid_sets)
def test_ranges_hold_exactly_the_uids(uids: list[int]) -> None:
    ranges = ranges_of(uids)
    assert [uid for low, high in ranges for uid in range(low, high + 1)] == uids
    assert all(second[0] > first[1] + 1 for first, second in pairwise(ranges))
