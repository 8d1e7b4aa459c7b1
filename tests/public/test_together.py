"""
Public folders that several people use at once, and mail that goes into and out of them.
"""

from __future__ import annotations

from tests.public.conftest import LETTER, Hall
from tests.store.conftest import message

from .test_public import ALL, flags_of, names_in

# ---- many at once -------------------------------------------------------------------------------


async def test_two_users_see_each_others_changes_while_they_idle(hall: Hall) -> None:
    """In one process and across two: arrivals, flags and expunges."""
    hall.folder("News")
    hall.deliver("News", LETTER)
    hall.grant(f"Public/News anyone {ALL}")
    amy = await hall.login("amy")
    here, there = await hall.login("bob"), await hall.login("bob", hall.factory())
    for each in (amy, here, there):
        await each.ok(b"SELECT Public/News")
    for each in (here, there):
        each.put(b"i IDLE\r\n")
        await each.line(b"+ ")
    assert (await amy.append(b"Public/News", message("two"))).startswith(b"OK")
    for each in (here, there):
        await each.line(b"* 2 EXISTS")
    await amy.ok(b"STORE 2 +FLAGS (\\Deleted \\Flagged)")
    for each in (here, there):
        assert (await each.line(b"* 2 FETCH"))[-1].startswith(
            b"* 2 FETCH (FLAGS (\\Flagged \\Deleted"
        )
    await amy.ok(b"EXPUNGE")
    for each in (here, there):
        await each.line(b"* 2 EXPUNGE")
    hall.deliver("News", message("by the MDA"))
    for each in (here, there):
        await each.line(b"* 2 EXISTS")
        each.put(b"DONE\r\n")
        await each.line(b"i OK")


async def test_what_a_user_has_seen_is_seen_in_all_their_sessions_and_in_no_others(
    hall: Hall,
) -> None:
    hall.folder("News")
    for number in range(5):
        hall.deliver("News", message(f"number {number}"))
    hall.grant("Public/News anyone lrs")
    amy, bob = await hall.login("amy"), await hall.login("bob")
    here, there = await hall.login("amy"), await hall.login("amy", hall.factory())
    for each in (amy, bob, here, there):
        await each.ok(b"SELECT Public/News")
    for each in (here, there):
        each.put(b"i IDLE\r\n")
        await each.line(b"+ ")
    stored = await amy.ok(b"STORE 2:3 +FLAGS (\\Seen)")
    assert [b"\\Seen" in line for line in stored] == [True, True]
    for each in (here, there):
        assert b"\\Seen" in (await each.line(b"* 2 FETCH"))[-1]
        assert b"\\Seen" in (await each.line(b"* 3 FETCH"))[-1]
        each.put(b"DONE\r\n")
        await each.line(b"i OK")
        assert await each.ok(b"SEARCH SEEN") == [b"* SEARCH 2 3"]
    await amy.ok(b"STORE 3 -FLAGS (\\Seen)")
    await there.ok(b"NOOP")
    assert await there.ok(b"UID SEARCH UNSEEN") == [b"* SEARCH 1 3 4 5"]
    assert await bob.ok(b"SEARCH SEEN") == [b"* SEARCH"]
    assert await amy.ok(b"STATUS Public/News (MESSAGES UNSEEN)") == [
        b"* STATUS Public/News (MESSAGES 5 UNSEEN 4)"
    ]
    assert await bob.ok(b"STATUS Public/News (UNSEEN)") == [b"* STATUS Public/News (UNSEEN 5)"]
    again = await hall.login("amy", hall.factory())
    await again.ok(b"SELECT Public/News")
    assert await again.ok(b"SEARCH SEEN") == [b"* SEARCH 2"]


async def test_what_was_seen_elsewhere_is_told_also_after_an_own_change(hall: Hall) -> None:
    """The change that a session makes comes back together with those it was not told of."""
    hall.folder("News")
    for number in range(4):
        hall.deliver("News", message(f"number {number}"))
    hall.grant("Public/News anyone lrs")
    here, there = await hall.login("amy"), await hall.login("amy", hall.factory())
    for each in (here, there):
        await each.ok(b"SELECT Public/News")
    await there.ok(b"STORE 1 +FLAGS.SILENT (\\Seen)")
    lines = await here.ok(b"STORE 2 +FLAGS.SILENT (\\Seen)")
    lines += await here.ok(b"NOOP")
    assert [line[:9] for line in lines if b"\\Seen" in line] == [b"* 1 FETCH"]
    assert not [line for line in await here.ok(b"NOOP") if b"FETCH" in line]


async def test_seen_stays_right_while_messages_come_and_go(hall: Hall) -> None:
    hall.folder("News")
    for number in range(6):
        hall.deliver("News", message(f"number {number}"), "S" if number % 2 else "F")
    hall.grant(f"Public/News anyone {ALL}")
    amy, bob = await hall.login("amy"), await hall.login("bob")
    await amy.ok(b"SELECT Public/News")
    await bob.ok(b"SELECT Public/News")
    assert await amy.ok(b"SEARCH SEEN") == [b"* SEARCH"]  # what a file name says is nobody's
    await amy.ok(b"STORE 1,4:6 +FLAGS.SILENT (\\Seen)")
    await bob.ok(b"STORE 1,5 +FLAGS.SILENT (\\Deleted)")
    await bob.ok(b"EXPUNGE")
    assert (await bob.append(b"Public/News", LETTER, b"\\Seen \\Answered")).startswith(b"OK")
    await amy.ok(b"NOOP")
    assert await amy.ok(b"UID SEARCH SEEN") == [b"* SEARCH 4 6"]
    await bob.ok(b"NOOP")
    assert await bob.ok(b"UID SEARCH SEEN") == [b"* SEARCH 7"]
    assert await amy.ok(b"STATUS Public/News (UNSEEN)") == [b"* STATUS Public/News (UNSEEN 3)"]
    await amy.ok(b"UID STORE 4 FLAGS (\\Flagged)")
    assert await flags_of(amy, 4) == b"\\Flagged"
    await amy.ok(b"UID STORE 4 FLAGS (\\Seen)")
    assert await flags_of(amy, 4) == b"\\Seen"
    await bob.ok(b"NOOP")
    assert await flags_of(bob, 4) == b""


# ---- from account to account --------------------------------------------------------------------


async def test_messages_go_from_ones_own_mail_into_a_public_folder_and_back(hall: Hall) -> None:
    """All of it goes along: octets, flags, keywords, date; the new UIDs are told."""
    hall.folder("News")
    hall.grant(f"Public/News anyone {ALL}")
    amy, bob = await hall.login("amy"), await hall.login("bob")
    date = b'"17-Jul-1996 02:44:25 +0000"'
    await amy.ok(
        b"APPEND INBOX (\\Seen \\Flagged $Work) %b {%d+}\r\n%b" % (date, len(LETTER), LETTER)
    )
    await amy.append(b"INBOX", message("other"))
    await amy.ok(b"SELECT INBOX")
    before = await amy.ok(b"FETCH 1 (INTERNALDATE RFC822.SIZE BODY.PEEK[])")
    assert b"[COPYUID " in await amy.said(b"COPY 1 Public/News")
    lines = await amy.send(b"MOVE 1:2 Public/News")
    assert lines[0].startswith(b"* OK [COPYUID ")
    assert lines[0].endswith(b"1:2 2:3] Moved")
    assert lines[1:3] == [b"* 2 EXPUNGE", b"* 1 EXPUNGE"]
    await bob.ok(b"SELECT Public/News")
    assert await flags_of(bob, 2) == b"\\Flagged $Work"
    assert await bob.ok(b"FETCH 2 (INTERNALDATE RFC822.SIZE BODY.PEEK[])") == [
        before[0].replace(b"* 1 ", b"* 2 "),
        *before[1:],
    ]
    await amy.ok(b"SELECT Public/News")
    assert await amy.ok(b"UID SEARCH SEEN") == [b"* SEARCH 1 2"]
    assert await bob.ok(b"UID SEARCH SEEN") == [b"* SEARCH"]
    await bob.ok(b"UID MOVE 3 INBOX")
    assert await bob.ok(b"STATUS INBOX (MESSAGES)") == [b"* STATUS INBOX (MESSAGES 1)"]


async def test_a_copy_within_the_namespace_takes_along_what_was_seen(hall: Hall) -> None:
    hall.folder("News", "Old")
    hall.deliver("News", LETTER)
    hall.grant(f"Public/* anyone {ALL}")
    amy, bob = await hall.login("amy"), await hall.login("bob")
    await amy.ok(b"SELECT Public/News")
    await amy.ok(b"STORE 1 FLAGS (\\Seen \\Flagged)")
    await amy.ok(b"MOVE 1 Public/Old")
    for wire, flags in ((amy, b"\\Flagged \\Seen"), (bob, b"\\Flagged")):
        await wire.ok(b"SELECT Public/Old")
        assert sorted((await flags_of(wire)).split()) == flags.split()
        assert await wire.ok(b"STATUS Public/News (MESSAGES)") == [
            b"* STATUS Public/News (MESSAGES 0)"
        ]


async def test_a_move_that_may_not_take_away_takes_nothing(hall: Hall) -> None:
    """RFC 6851 section 4.2."""
    hall.folder("News")
    hall.deliver("News", LETTER)
    hall.grant("Public/* anyone lrsw")
    wire = await hall.login("amy")
    await wire.ok(b"SELECT Public/News")
    assert (await wire.said(b"MOVE 1 INBOX")).startswith(b"NO [NOPERM]")
    assert await wire.ok(b"STATUS INBOX (MESSAGES)") == [b"* STATUS INBOX (MESSAGES 0)"]


async def test_a_copy_is_all_or_nothing_and_a_missing_target_may_be_made(hall: Hall) -> None:
    hall.folder("News")
    hall.grant(f"Public/* anyone {ALL}", "Public anyone k")
    wire = await hall.login("amy")
    await wire.append(b"INBOX", LETTER)
    await wire.ok(b"SELECT INBOX")
    assert (await wire.said(b"COPY 1 Public/New")).startswith(b"NO [TRYCREATE]")
    await wire.ok(b"CREATE Public/New")
    assert b"COPYUID" in await wire.said(b"COPY 1 Public/New")


async def test_nothing_is_renamed_into_another_namespace(hall: Hall) -> None:
    hall.folder("News")
    hall.grant(f"Public/* anyone {ALL}", "Public anyone k")
    wire = await hall.login("amy")
    await wire.ok(b"CREATE Mine")
    for old, new in (
        (b"Public/News", b"News"),
        (b"Mine", b"Public/Mine"),
        (b"INBOX", b"Public/Mine"),
        (b"Public", b"Mine"),
    ):
        assert (await wire.said(b"RENAME %b %b" % (old, new))).startswith(b"NO [CANNOT]")


async def test_folders_are_made_renamed_and_deleted_for_all(hall: Hall) -> None:
    hall.grant(f"Public/* anyone {ALL}", "Public anyone k")
    amy, bob = await hall.login("amy"), await hall.login("bob")
    await amy.ok(b"CREATE Public/A/B/C")
    await amy.append(b"Public/A/B", LETTER)
    await bob.ok(b"SELECT Public/A/B")
    await amy.ok(b"RENAME Public/A/B Public/A/New")
    assert names_in(await bob.ok(b'LIST "" Public/*')) == [
        b"Public/A",
        b"Public/A/New",
        b"Public/A/New/C",
    ]
    assert await bob.ok(b"STATUS Public/A/New (MESSAGES)") == [
        b"* STATUS Public/A/New (MESSAGES 1)"
    ]
    await amy.ok(b"DELETE Public/A/New/C")
    await amy.ok(b"DELETE Public/A/New")
    assert names_in(await bob.ok(b'LIST "" Public/*')) == [b"Public/A"]
    assert sorted(each.name for each in hall.public.iterdir() if each.name[0] == ".") == [".A"]


async def test_what_is_not_ours_to_delete_is_not_renamed_from_above(hall: Hall) -> None:
    """A child without the right to delete stays where it is, and so do those above it."""
    hall.folder("A", "A/B", "A/C")
    hall.grant(f"Public/* user:amy {ALL}", "Public user:amy k", f"Public/A/C user:amy -{ALL}")
    wire = await hall.login("amy")
    assert (await wire.said(b"RENAME Public/A Public/Z")).startswith(b"NO [NOPERM]")
    await wire.ok(b"RENAME Public/A/B Public/Z")


async def test_nothing_becomes_readable_by_another_name(hall: Hall) -> None:
    """PATH-06: rights are those of names; who may delete a folder may still not read it."""
    hall.folder("Box", "Box/Below", "Own")
    hall.deliver("Box", LETTER)
    hall.grant(
        "Public user:amy k",
        "Public/Box* user:amy lxk",
        "Public/Own* user:amy lrswipkxte",
        "Public/Out* user:amy lx",
    )
    wire = await hall.login("amy")
    assert (await wire.said(b"RENAME Public/Box Public/OwnBox")).startswith(b"NO [NOPERM]")
    assert (await wire.said(b"RENAME Public/Box Public/Own/Box")).startswith(b"NO [NOPERM]")
    await wire.ok(b"RENAME Public/Box Public/Out")
    await wire.ok(b"RENAME Public/Own Public/Out2")
