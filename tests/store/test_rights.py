"""
Lines of rights, and files of them; ranges of what somebody has seen.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from twisted.internet import reactor

from mailaccess.interfaces import SEEN
from mailaccess.store.maildir.columns import Columns
from mailaccess.store.maildir.index import ranges_of
from mailaccess.store.maildir.seen import joined, rows_in, with_seen, without
from mailaccess.store.rights import ALL, BadLines, Contents, read_lines
from mailaccess.store.rightsfile import RightsFile
from tests.store.conftest import until

NOBODY: frozenset[str] = frozenset()


def read(*lines: str) -> Contents:
    return read_lines("\n".join(lines).encode(), "Public/", str.lower, "anonymous")


def rights(contents: Contents, mailbox: str, name: str = "amy", *groups: str) -> str:
    found = contents.grants(name, frozenset(groups)).of(mailbox)
    return "".join(each for each in ALL if each in found)


def test_lines_count_in_their_order() -> None:
    """Each adds to those above it, or takes away, whether it names a mailbox or has a pattern."""
    contents = read(
        "Public/* anyone lrs",
        "Public/A anyone -s",
        "Public/* group:staff w",
        "Public/B* anyone -lrsw",
        "Public/Board group:board lr",
        "Public/Board user:eve -r",
    )
    assert rights(contents, "Public/A") == "lr"
    assert rights(contents, "Public/A", "bob", "staff") == "lrw"
    assert rights(contents, "Public/Board") == ""
    assert rights(contents, "Public/Board", "bob", "staff", "board") == "lr"
    assert rights(contents, "Public/Board", "eve", "board") == "l"
    assert rights(contents, "Public/C", "eve", "board") == "lrs"


def test_people_with_the_same_lines_share_what_is_known_of_them() -> None:
    """Ten thousand sessions do not keep the rights of ten thousand folders each."""
    contents = read("Public/* anyone lr", "Public/A user:amy s")
    bob, eve = (contents.grants(name, NOBODY) for name in ("bob", "eve"))
    assert bob is eve
    assert contents.grants("amy", NOBODY) is not bob
    for number in range(10_000):
        assert bob.of(f"Public/{number}") == frozenset("lr")
    assert len(bob._known) <= 256
    many = read(*(f"Public/A user:amy{number} l" for number in range(1000)))
    for number in range(1000):
        assert many.grants(f"amy{number}", NOBODY).of("Public/A") == frozenset("l")
    assert 0 < len(many._known) <= 256


def test_what_no_line_gives_nobody_has() -> None:
    assert rights(read(), "Public/A") == ""
    assert rights(read("Public/A user:bob lr"), "Public/A") == ""


@pytest.mark.parametrize(
    ("pattern", "fits", "fits_not"),
    [
        ("Public", ["Public"], ["Public/A"]),
        ("Public/A", ["Public/A"], ["Public/a", "Public/A/B", "Public/AB", "Public"]),
        ("Public/%", ["Public/A", "Public/ä b"], ["Public/A/B", "Public"]),
        ("Public/*", ["Public/A", "Public/A/B/C"], ["Public", "Publicity"]),
        ("Public/A/%", ["Public/A/B"], ["Public/A", "Public/A/B/C"]),
        ("Public/*/Old", ["Public/A/Old", "Public/A/B/Old"], ["Public/Old", "Public/A/Older"]),
    ],
)
def test_patterns_mean_what_they_mean_in_list(
    pattern: str, fits: list[str], fits_not: list[str]
) -> None:
    contents = read(f"{pattern} anyone l")
    assert [rights(contents, name) for name in fits] == ["l"] * len(fits)
    assert [rights(contents, name) for name in fits_not] == [""] * len(fits_not)


def test_words_may_be_quoted_and_lines_may_be_comments() -> None:
    contents = read(
        "# who reads what",
        "",
        '  "Public/Board minutes/*"   "user:Amy Jones"  lrs  # until June',
        '"Public/a \\"b\\" \\\\" anyone l\r',
        'Public/Ödland "group:RÄTE" l',
    )
    assert rights(contents, "Public/Board minutes/2026", "amy jones") == "lrs"
    assert rights(contents, 'Public/a "b" \\') == "l"
    assert rights(contents, "Public/Ödland", "x", "räte") == "l"


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("Public/A anyone", "three words"),
        ("Public/A", "three words"),
        ("Public/A anyone lr s", "more than three"),
        ('"Public/A anyone lr', "three words"),
        ("Public/A anyone lrz", "'z' is no right"),
        ("Public/A anyone lrc", "'c' is no right"),
        ("Public/A anyone -", "no rights are named"),
        ("Public/A anyone LR", "'L' is no right"),
        ("Public/A amy lr", "user:NAME"),
        ("Public/A user: lr", "user:NAME"),
        ("Public/A anyone:x lr", "user:NAME"),
        ("Public/A users:amy lr", "user:NAME"),
        ("Pubic/A anyone lr", "does not begin with Public/"),
        ("* anyone lr", "does not begin with Public/"),
        ("Public/ anyone lr", "can be no mailbox"),
        ("Public/A//B anyone lr", "can be no mailbox"),
        ("Public/" + "%x" * 51 + " anyone lr", "can be no mailbox"),
    ],
)
def test_a_wrong_line_is_named_and_makes_the_file_wrong(line: str, why: str) -> None:
    with pytest.raises(BadLines) as caught:
        read("Public/* anyone lr", line, "Public/B anyone q")
    assert [each.partition(":")[0] for each in caught.value.problems] == ["2", "3"]
    assert why in caught.value.problems[0]


def test_what_is_not_utf8_is_named_by_its_line() -> None:
    with pytest.raises(BadLines) as caught:
        read_lines(b"# a\nPublic/\xe4 anyone l\n", "Public/", str.lower)
    assert caught.value.problems == ["2: is not UTF-8"]


def test_a_long_file_is_read_in_time_that_grows_with_its_length() -> None:
    """PAR-08 in spirit: no line costs more than its length, however it is made."""
    hostile = ["Public/A anyone " + "l" * 50_000, '"' + "\\" * 50_000, " " * 50_000 + "x"]
    with pytest.raises(BadLines) as caught:
        read(*hostile)
    assert len(caught.value.problems) == 2


async def test_the_file_is_read_again_and_a_broken_one_closes(tmp_path: Path) -> None:
    """What cannot be understood gives nobody anything; mended, it counts at once."""
    path = tmp_path / "rights"
    file = RightsFile(str(path), "Public/", reactor, str.lower)

    async def now(wanted: int) -> None:
        await until(lambda: len(file.now().lines) == wanted)
        assert len((await file.current()).lines) == wanted

    assert (await file.current()).lines == ()
    for text, count in (
        ("Public/A anyone lr\n", 1),
        ("Public/A anyone lr\nPublic/B anyone lr\n", 2),
        ("Public/A anyone lr\nPublic/B anyone -lrq\n", 0),
        ("Public/C anyone l\n", 1),
    ):
        path.write_text(text)
        await now(count)
    path.unlink()
    await now(0)


# ---- what was seen ------------------------------------------------------------------------------

uids = st.sets(st.integers(1, 60)).map(sorted)


def numbers(ranges: Any) -> set[int]:
    return {uid for low, high in ranges for uid in range(low, high + 1)}


@given(uids, uids)
def test_ranges_are_sets(one: list[int], other: list[int]) -> None:
    """Union and difference, and the shortest way to write them."""
    a, b = ranges_of(one), ranges_of(other)
    both, rest = joined(a, b), without(a, b)
    assert list(both) == ranges_of(sorted({*one, *other}))
    assert list(rest) == ranges_of(sorted({*one} - {*other}))


@given(uids, uids, st.lists(st.integers(0, 2**40), min_size=60, max_size=60))
def test_the_column_has_what_this_user_has_seen(
    present: list[int], seen: list[int], masks: list[int]
) -> None:
    rows = Columns.of([(uid, masks[uid - 1], 1, 1, 1) for uid in present]).rows()
    found = with_seen(rows.flags, rows.uids, ranges_of(seen))
    wanted = [masks[uid - 1] & ~SEEN | (SEEN if uid in seen else 0) for uid in present]
    assert list(found) == wanted
    there = sum(after - first for first, after in rows_in(ranges_of(seen), rows.uids))
    assert there == len({*present} & {*seen})
