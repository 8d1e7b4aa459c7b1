"""
The matrix of rights and commands (RFC 4314 section 4), each letter with each command: with exactly
the rights that are needed a command succeeds, and without any one of them it does not.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import attrs
import pytest

from tests.public.conftest import LETTER, Hall, Wire

ALL = "lrswipkxtea"


@attrs.frozen
class Row:
    """
    @ivar needs: rights in C{Public/M}; C{P} is the right to create in C{Public}
    @ivar selects: C{Public/M} is selected first, which takes C{r}
    """

    command: bytes
    needs: str
    selects: bool = False
    effect: Callable[[Wire], Awaitable[Any]] | None = None


async def _listed(wire: Wire) -> bool:
    return bool(await wire.ok(b'LIST "" Public/M'))


def _flag(wanted: bytes) -> Callable[[Wire], Awaitable[bool]]:
    async def look(wire: Wire) -> bool:
        lines = await wire.ok(b"FETCH 1 FLAGS")
        return wanted in b"".join(lines)

    return look


ROWS = [
    Row(b"SELECT Public/M", "r"),
    Row(b"EXAMINE Public/M", "r"),
    Row(b"STATUS Public/M (MESSAGES)", "r"),
    Row(b"APPEND Public/M {3+}\r\nabc", "i"),
    Row(b"DELETE Public/M", "x"),
    Row(b"CREATE Public/M/New", "k"),
    Row(b"CREATE Public/New", "P"),
    Row(b"RENAME Public/M Public/New", "xP"),
    Row(b"GETACL Public/M", "a"),
    Row(b"LISTRIGHTS Public/M amy", "a"),
    Row(b"STORE 1 +FLAGS.SILENT (\\Seen)", "s", True, _flag(b"\\Seen")),
    Row(b"STORE 1 FLAGS.SILENT (\\Seen)", "s", True, _flag(b"\\Seen")),
    Row(b"STORE 1 +FLAGS.SILENT (\\Deleted)", "t", True, _flag(b"\\Deleted")),
    Row(b"STORE 1 FLAGS.SILENT (\\Deleted)", "t", True, _flag(b"\\Deleted")),
    Row(b"STORE 1 +FLAGS.SILENT (\\Flagged)", "w", True, _flag(b"\\Flagged")),
    Row(b"STORE 1 +FLAGS.SILENT ($Work)", "w", True, _flag(b"$Work")),
    Row(b"STORE 1 FLAGS.SILENT (\\Answered \\Draft)", "w", True, _flag(b"\\Answered \\Draft")),
    Row(b"EXPUNGE", "e", True),
    Row(b"UID EXPUNGE 1", "e", True),
    Row(b"MOVE 1 INBOX", "te", True),
    Row(b"UID MOVE 1 Public/Other", "te", True),
]


async def run(hall: Hall, row: Row, rights: str) -> tuple[bytes, Wire]:
    hall.folder("M", "Other")
    hall.deliver("M", LETTER)
    lines = ["Public/Other anyone i"]
    letters = "".join(each for each in rights if each in ALL)
    if letters:
        lines.append(f"Public/M user:amy {letters}")
    if "P" in rights:
        lines.append("Public user:amy k")
    hall.grant(*lines)
    wire = await hall.login("amy")
    if row.selects:
        await wire.ok(b"SELECT Public/M")
    return await wire.said(row.command), wire


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.command.decode()[:40])
async def test_with_the_rights_it_needs_and_no_other_a_command_succeeds(
    hall: Hall, row: Row
) -> None:
    answer, wire = await run(hall, row, row.needs + "r" * row.selects)
    assert answer.startswith(b"OK"), answer
    if row.effect is not None:
        assert await row.effect(wire)


@pytest.mark.parametrize(
    ("row", "missing"),
    [(row, letter) for row in ROWS for letter in row.needs],
    ids=lambda it: it if isinstance(it, str) else it.command.decode()[:40],
)
async def test_without_one_of_them_it_does_not(hall: Hall, row: Row, missing: str) -> None:
    """With every other right: NOPERM, since the mailbox is seen; nothing happened."""
    answer, wire = await run(hall, row, (ALL + "P").replace(missing, ""))
    assert answer.startswith(b"NO [NOPERM]"), answer
    if row.effect is not None:
        assert not await row.effect(wire)


@pytest.mark.parametrize("rights", ["", "l", *ALL.replace("l", "")])
async def test_only_the_right_to_look_up_puts_it_into_the_list(hall: Hall, rights: str) -> None:
    hall.folder("M")
    hall.grant("Public/x anyone l", *([f"Public/M user:amy {rights}"] if rights else []))
    wire = await hall.login("amy")
    assert await _listed(wire) == (rights == "l")


@pytest.mark.parametrize("rights", list(ALL))
async def test_any_right_but_those_for_flags_shows_ones_rights(hall: Hall, rights: str) -> None:
    """RFC 4314 section 4: MYRIGHTS takes any of l, r, i, k, x, a."""
    hall.folder("M")
    hall.grant(f"Public/M user:amy {rights}")
    wire = await hall.login("amy")
    answer = await wire.said(b"MYRIGHTS Public/M")
    assert answer.startswith(b"OK" if rights in "lrikxa" else b"NO [NONEXISTENT]")


@pytest.mark.parametrize("rights", ["r", "rs", "rw", "rt", "rst", "rwt", "rswt", "re", "ri", "rk"])
async def test_permanent_flags_and_the_code_of_select_tell_the_truth(
    hall: Hall, rights: str
) -> None:
    """RFC 4314 sections 5.1.1 and 5.2: C{\\Seen} is nobody else's, so C{s} is no right to write."""
    hall.folder("M")
    hall.grant(f"Public/M user:amy {rights}")
    wire = await hall.login("amy")
    *lines, last = await wire.send(b"SELECT Public/M")
    flags = [b"\\Seen"] if "s" in rights else []
    flags += [b"\\Answered", b"\\Flagged", b"\\Draft", b"\\*"] if "w" in rights else []
    flags += [b"\\Deleted"] if "t" in rights else []
    (told,) = [line for line in lines if b"PERMANENTFLAGS" in line]
    assert set(told.partition(b"(")[2].partition(b")")[0].split()) == set(flags)
    writes = b"READ-WRITE" if set(rights) & set("iewt") else b"READ-ONLY"
    assert last.startswith(b"OK [%b]" % writes)
    await wire.ok(b"EXAMINE Public/M")
    assert (await wire.said(b"STORE 1 +FLAGS (\\Seen)")).startswith((b"NO", b"BAD"))


@pytest.mark.parametrize("rights", ["", "s", "t", "w", "st", "sw", "tw", "stw"])
async def test_flags_without_a_right_are_left_out_of_what_comes(hall: Hall, rights: str) -> None:
    """APPEND, COPY from ones own mail and from the namespace: RFC 4314 section 4, never a NO."""
    hall.folder("M", "Full")
    hall.grant(f"Public/M user:amy lri{rights}", f"Public/Full user:amy {ALL}")
    wire = await hall.login("amy")
    flags = b"\\Seen \\Deleted \\Flagged $Work"
    assert (await wire.append(b"Public/M", LETTER, flags)).startswith(b"OK")
    for source in (b"INBOX", b"Public/Full"):
        await wire.append(source, LETTER, flags)
        await wire.ok(b"SELECT " + source)
        await wire.ok(b"COPY 1 Public/M")
    await wire.ok(b"SELECT Public/M")
    wanted = {b"\\Seen"} if "s" in rights else set()
    wanted |= {b"\\Deleted"} if "t" in rights else set()
    wanted |= {b"\\Flagged", b"$Work"} if "w" in rights else set()
    for line in await wire.ok(b"FETCH 1:3 FLAGS"):
        found = set(line.partition(b"(FLAGS (")[2].rstrip(b")").split())
        assert found - {b"\\Recent"} == wanted


@pytest.mark.parametrize("rights", ["s", "t", "w", "st", "sw", "tw", "stw"])
async def test_a_store_changes_those_flags_there_is_a_right_for(hall: Hall, rights: str) -> None:
    """
    RFC 4314 section 4: it does not fail while there is one it may change; the others stay as they
    are, also where all are replaced.
    """
    hall.folder("M")
    hall.grant("Public/M anyone lrstwi")
    writer = await hall.login("amy")
    await writer.append(b"Public/M", LETTER, b"\\Seen \\Deleted \\Flagged $Old")
    factory = hall.factory()
    hall.grant(f"Public/M user:amy lr{rights}")
    wire = await hall.login("amy", factory)
    await wire.ok(b"SELECT Public/M")
    await wire.ok(b"STORE 1 FLAGS.SILENT (\\Answered \\Seen \\Deleted)")
    await wire.ok(b"STORE 1 -FLAGS.SILENT (\\Seen \\Deleted \\Draft)")
    (line,) = await wire.ok(b"FETCH 1 FLAGS")
    found = set(line.partition(b"(FLAGS (")[2].rstrip(b")").split()) - {b"\\Recent"}
    wanted = set() if "s" in rights else {b"\\Seen"}
    wanted |= set() if "t" in rights else {b"\\Deleted"}
    wanted |= {b"\\Answered"} if "w" in rights else {b"\\Flagged", b"$Old"}
    assert found == wanted


async def test_close_without_the_right_to_expunge_is_ok_and_expunges_nothing(hall: Hall) -> None:
    """RFC 4314 section 4."""
    hall.folder("M")
    hall.deliver("M", LETTER)
    hall.grant("Public/M anyone lrt")
    wire = await hall.login("amy")
    await wire.ok(b"SELECT Public/M")
    await wire.ok(b"STORE 1 +FLAGS (\\Deleted)")
    assert (await wire.said(b"CLOSE")) == b"OK CLOSE completed"
    assert await wire.ok(b"STATUS Public/M (MESSAGES)") == [b"* STATUS Public/M (MESSAGES 1)"]
