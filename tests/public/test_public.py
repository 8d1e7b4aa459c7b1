"""
Public folders, as clients see them.
"""

from __future__ import annotations

import re

import attrs
import pytest
from twisted.internet.error import ConnectionDone
from twisted.logger import capturedLogs
from twisted.python.failure import Failure

from mailaccess.store.quota import Allowance
from tests.public.conftest import LETTER, Hall, Wire
from tests.store.conftest import message, nap, until

ALL = "lrswipkxtea"


def names_in(lines: list[bytes]) -> list[bytes]:
    return [re.sub(rb'.* "/" ', b"", line) for line in lines]


async def flags_of(wire: Wire, uid: int = 1) -> bytes:
    (line,) = await wire.ok(b"UID FETCH %d FLAGS" % uid)
    found = re.search(rb"FLAGS \(([^)]*)\)", line)
    assert found
    return b" ".join(each for each in found[1].split() if each != b"\\Recent")


# ---- names --------------------------------------------------------------------------------------


async def test_the_namespace_is_announced(hall: Hall) -> None:
    """RFC 2342 section 5; ACL comes with it, once it is known whose mailboxes these are."""
    wire = await hall.login("amy")
    assert await wire.ok(b"NAMESPACE") == [b'* NAMESPACE (("" "/")) NIL (("Public/" "/"))']
    (words,) = await wire.ok(b"CAPABILITY")
    assert {b"ACL", b"RIGHTS=kxte", b"NAMESPACE"} <= set(words.split())
    assert b"ACL" not in b" ".join(
        Wire(hall.factories[0]).transport.value().split(b"\r\n")  # type: ignore[no-untyped-call]
    )


@pytest.mark.parametrize(
    ("reference", "pattern", "wanted"),
    [
        (b"", b"*", [b"INBOX", b"Own", b"Public", b"Public/Library", b"Public/News",
                     b"Public/News/Old"]),
        (b"", b"%", [b"INBOX", b"Own", b"Public"]),
        (b"", b"Public/%", [b"Public/Library", b"Public/News"]),
        (b"Public/", b"%", [b"Public/Library", b"Public/News"]),
        (b"Public/", b"*", [b"Public/Library", b"Public/News", b"Public/News/Old"]),
        (b"Public", b"%", [b"Public"]),
        (b"", b"Pub*ews", [b"Public/News"]),
        (b"", b"%/%", [b"Public/Library", b"Public/News"]),
        (b"", b"*/INBOX", []),
        (b"", b"inbox", [b"INBOX"]),
        (b"Public/", b"INBOX", []),
        (b"", b"P%/N%/%", [b"Public/News/Old"]),
    ],
)  # fmt: skip
async def test_wildcards_do_not_stop_at_the_namespace(
    hall: Hall, reference: bytes, pattern: bytes, wanted: list[bytes]
) -> None:
    """RFC 3501 section 6.3.8."""
    hall.folder("News", "News/Old", "Library", "Secret")
    hall.grant("Public/* anyone lr", "Public/Secret anyone -l")
    wire = await hall.login("amy")
    await wire.ok(b"CREATE Own")
    lines = await wire.ok(b'LIST "%b" "%b"' % (reference, pattern))
    assert names_in(lines) == wanted


async def test_the_namespace_itself_is_a_name_with_children(hall: Hall) -> None:
    hall.folder("News")
    hall.grant("Public/* user:amy lr")
    amy, bob = await hall.login("amy"), await hall.login("bob")
    assert await amy.ok(b'LIST "" Public') == [b'* LIST (\\Noselect \\HasChildren) "/" Public']
    assert await bob.ok(b'LIST "" *') == [b'* LIST (\\HasNoChildren) "/" INBOX']
    for wire in (amy, bob):
        assert (await wire.said(b"SELECT Public")).startswith(b"NO [NONEXISTENT]")
        assert (await wire.said(b"CREATE Public")).startswith(b"NO [CANNOT]")
        assert (await wire.said(b"CREATE Public/")).startswith(b"NO [CANNOT]")


async def test_the_inbox_of_the_namespace_is_no_mailbox(hall: Hall) -> None:
    """Nobody gets at the Maildir's own C{cur}, whatever the case, and the user's is not meant."""
    hall.folder("News")
    hall.grant(f"Public/* anyone {ALL}", f"Public anyone {ALL}")
    wire = await hall.login("amy")
    for name in (b"Public/INBOX", b"Public/inbox", b"Public/InBox"):
        for command in (b"SELECT", b"STATUS", b"DELETE", b"MYRIGHTS", b"GETACL"):
            rest = b" (MESSAGES)" if command == b"STATUS" else b""
            assert (await wire.said(b"%b %b%b" % (command, name, rest))).startswith(b"NO [NONEX")
        assert (await wire.said(b"CREATE " + name)).startswith(b"NO [CANNOT]")
        assert (await wire.said(b"RENAME Public/News " + name)).startswith(b"NO [CANNOT]")
        assert (await wire.append(name, LETTER)).startswith(b"NO [TRYCREATE]")
    assert await wire.ok(b"STATUS INBOX (MESSAGES)") == [b"* STATUS INBOX (MESSAGES 0)"]


async def test_names_in_other_alphabets(hall: Hall) -> None:
    hall.grant(
        f'"Public/日本語*" user:amy {ALL}',
        '"Public/Ödland & Co" anyone lr',
        "Public user:amy k",
    )
    hall.folder("Ödland & Co", "Ödland")
    wire = await hall.login("amy")
    await wire.ok(b'CREATE "Public/&ZeVnLIqe-/A &- B"')
    assert await wire.append(b"Public/&ZeVnLIqe-/A &- B", LETTER)
    assert names_in(await wire.ok(b'LIST "" "Public/*"')) == [
        b'"Public/&ANY-dland &- Co"',
        b"Public/&ZeVnLIqe-",
        b'"Public/&ZeVnLIqe-/A &- B"',
    ]
    assert b"* 1 EXISTS" in await wire.ok(b'SELECT "Public/&ZeVnLIqe-/A &- B"')


async def test_subscriptions_are_the_users_own(hall: Hall) -> None:
    hall.folder("News")
    hall.grant("Public/* anyone lr")
    amy, bob = await hall.login("amy"), await hall.login("bob")
    await amy.ok(b"SUBSCRIBE Public/News")
    assert names_in(await amy.ok(b'LSUB "" *')) == [b"Public/News"]
    assert names_in(await amy.ok(b'LSUB "" %')) == [b"Public"]
    assert await bob.ok(b'LSUB "" *') == []
    assert not (hall.public / "subscriptions").exists()
    again = await hall.login("amy", hall.factory())
    assert names_in(await again.ok(b'LSUB "" *')) == [b"Public/News"]
    await again.ok(b"UNSUBSCRIBE Public/News")
    assert await amy.ok(b'LSUB "" *') == []


async def test_own_mailboxes_below_the_prefix_are_hidden(hall: Hall) -> None:
    """The same name never means two mailboxes."""
    hall.grant("Public/* anyone lr")
    mine = hall.root / "users" / "amy" / "Maildir" / ".Public.Mine"
    for below in ("cur", "new", "tmp"):
        (mine / below).mkdir(parents=True)
    wire = await hall.login("amy")
    assert names_in(await wire.ok(b'LIST "" *')) == [b"INBOX"]
    assert (await wire.said(b"SELECT Public/Mine")).startswith(b"NO [NONEXISTENT]")


# ---- who sees what ------------------------------------------------------------------------------


async def test_what_may_not_be_seen_is_answered_like_what_is_not_there(hall: Hall) -> None:
    """PATH-06: word for word, for every command that names a mailbox."""
    hall.folder("Secret", "Open")
    hall.deliver("Secret", LETTER)
    hall.deliver("Open", LETTER)
    hall.grant("Public/Secret user:eve lr", f"Public/Open anyone {ALL}", f"Public/x anyone {ALL}")
    wire = await hall.login("amy")
    await wire.ok(b"SELECT Public/Open")
    commands = [
        b"SELECT %b", b"EXAMINE %b", b"STATUS %b (MESSAGES UNSEEN)", b"DELETE %b", b"CREATE %b",
        b"RENAME %b Public/x", b"RENAME Public/Open %b", b"RENAME %b Mine", b"COPY 1 %b",
        b"UID MOVE 1 %b", b"MYRIGHTS %b", b"GETACL %b", b"LISTRIGHTS %b amy", b"SETACL %b amy lr",
        b"DELETEACL %b amy", b'LIST "" %b', b"SUBSCRIBE %b", b"UNSUBSCRIBE %b",
        b"APPEND %b {3+}\r\nabc",
    ]  # fmt: skip
    for command in commands:
        answers = []
        for name in (b"Public/Secret", b"Public/Absent"):
            await wire.ok(b"SELECT Public/Open")
            answers.append([x.replace(name, b"X") for x in await wire.send(command % name)])
        assert answers[0] == answers[1], command
        if not command.startswith((b"CREATE", b"RENAME")):
            # The words of a mailbox of one's own that is missing.
            await wire.ok(b"SELECT Public/Open")
            lines = await wire.send(command % b"Missing")
            assert [x.replace(b"Missing", b"X") for x in lines] == answers[0], command


async def test_groups_users_and_what_is_taken_away(hall: Hall) -> None:
    """Lines add up, or take away from those above them; groups without case."""
    hall.folder("A", "B", "C", "D")
    hall.grant(
        "Public/A group:STAFF lr",
        "Public/B group:board lr",
        "Public/C anyone lr",
        "Public/C user:bob -l",
        "Public/D authenticated lr",
    )
    seen = {}
    for name in ("amy", "bob", "eve", "anonymous"):
        wire = await hall.login(name)
        listed = names_in(await wire.ok(b'LIST "" Public/%'))
        seen[name] = b"".join(each[-1:] for each in listed)
    assert seen == {"amy": b"ABCD", "bob": b"AD", "eve": b"CD", "anonymous": b"C"}


async def test_a_read_only_namespace_keeps_what_each_has_seen(hall: Hall) -> None:
    """RFC 4314 section 5.2: C{\\Seen} is everybody's own, so there is no right to write."""
    hall.folder("News")
    hall.deliver("News", LETTER)
    factory = hall.factory(read_only=True)
    amy, bob = await hall.login("amy", factory), await hall.login("bob", factory)
    *lines, last = await amy.send(b"SELECT Public/News")
    assert last.startswith(b"OK [READ-ONLY]")
    assert b"* OK [PERMANENTFLAGS (\\Seen)] Flags kept" in lines
    assert await amy.ok(b"FETCH 1 BODY[TEXT]")
    assert await flags_of(amy) == b"\\Seen"
    assert b"* OK [UNSEEN 1] First unseen message" in await bob.ok(b"SELECT Public/News")
    assert await flags_of(bob) == b""
    for command in (b"STORE 1 +FLAGS (\\Flagged)", b"EXPUNGE", b"MOVE 1 INBOX", b"CREATE Public/x"):
        assert (await amy.said(command)).startswith(b"NO [NOPERM]"), command
    assert (await amy.append(b"Public/News", LETTER)).startswith(b"NO [NOPERM]")
    assert await amy.ok(b"MYRIGHTS Public/News") == [b"* MYRIGHTS Public/News lrs"]
    assert await amy.ok(b"COPY 1 INBOX") == []
    assert (await amy.said(b"CLOSE")).startswith(b"OK")


# ---- rights change ------------------------------------------------------------------------------


async def test_rights_are_read_again_when_the_file_changes(hall: Hall) -> None:
    """A session that has the mailbox open is told what it may change now (RFC 4314 5.1.1)."""
    hall.folder("News")
    hall.deliver("News", LETTER)
    hall.grant("Public/* anyone lrswte")
    wire = await hall.login("amy")
    await wire.ok(b"SELECT Public/News")
    hall.grant("Public/* anyone lrs")

    async def told() -> bool:
        return b"* OK [PERMANENTFLAGS (\\Seen)] New keywords" in await wire.ok(b"NOOP")

    for _ in range(1000):
        if await told():
            break
        await nap(0.05)
    else:
        raise AssertionError("never told")
    assert (await wire.said(b"STORE 1 +FLAGS (\\Flagged)")).startswith(b"NO [NOPERM]")
    assert await flags_of(wire) == b""


async def closed_by(hall: Hall, *lines: str) -> None:
    hall.folder("News")
    hall.deliver("News", LETTER)
    hall.grant(*lines)
    wire = await hall.login("amy")
    assert await wire.ok(b'LIST "" Public*') == []
    assert (await wire.said(b"SELECT Public/News")).startswith(b"NO [NONEXISTENT]")
    assert await wire.ok(b'LIST "" *') == [b'* LIST (\\HasNoChildren) "/" INBOX']


async def test_a_broken_file_closes_and_the_log_names_the_line(hall: Hall) -> None:
    """One wrong line may be the one that was to take rights away."""
    with capturedLogs() as logged:
        await closed_by(hall, "Public/* anyone lr", "Public/News user:amy -lq")
    (event,) = [each for each in logged if each.get("event") == "rights-broken"]
    assert event["path"] == str(hall.rights)
    assert event["prefix"] == "Public/"
    assert event["reason"].startswith("2: 'q' is no right")


async def test_a_missing_file_closes(hall: Hall) -> None:
    hall.folder("News")
    wire = await hall.login("amy")
    assert await wire.ok(b'LIST "" Public*') == []


async def test_a_file_that_breaks_closes_what_is_open(hall: Hall) -> None:
    """Messages of a mailbox that is selected are not given out any more, either."""
    hall.folder("News")
    hall.deliver("News", LETTER)
    hall.grant("Public/* anyone lrs")
    wire = await hall.login("amy")
    await wire.ok(b"SELECT Public/News")
    assert await wire.ok(b"FETCH 1 BODY.PEEK[]")
    hall.rights.unlink()
    space = hall.wires[0].protocol.session.account.branches[0].space
    await until(lambda: not space.rights.now().lines)
    hall.deliver("News", message("secret"))
    lines = await wire.ok(b"NOOP")
    assert lines[1:] == [b"* OK [PERMANENTFLAGS ()] New keywords"]
    assert await wire.ok(b"NOOP") == []
    for items in (b"BODY.PEEK[]", b"FLAGS", b"(UID ENVELOPE)"):
        assert (await wire.said(b"UID FETCH 1 " + items)).startswith(b"NO [NOPERM]")
    for command in (b"COPY 1 INBOX", b"STORE 1 +FLAGS (\\Seen)", b"EXPUNGE"):
        assert (await wire.said(command)).startswith(b"NO [NOPERM]")
    assert (await wire.said(b"SEARCH SEEN")).startswith(b"NO [NOPERM]")


# ---- ACL ----------------------------------------------------------------------------------------


async def test_rights_can_be_read_and_not_set(hall: Hall) -> None:
    """RFC 4314 sections 3.1 to 3.5; C{c} and C{d} for older clients (section 2.1.1)."""
    hall.folder("News")
    hall.grant(
        f"Public/News user:amy {ALL}",
        "Public/News group:staff lr",
        "Public/* anyone l",
        "Public/News user:eve -l",
        'Public/News "user:amy jones" lrs',
    )
    amy, bob = await hall.login("amy"), await hall.login("bob")
    assert await amy.ok(b"MYRIGHTS INBOX") == [b"* MYRIGHTS INBOX lrswipkxteacd"]
    assert await bob.ok(b"MYRIGHTS Public/News") == [b"* MYRIGHTS Public/News lr"]
    assert await amy.ok(b"GETACL Public/News") == [
        b'* ACL Public/News amy lrswipkxteacd $staff lr anyone l -eve l "amy jones" lrs'
    ]
    assert await amy.ok(b"GETACL INBOX") == [b"* ACL INBOX amy lrswipkxteacd"]
    assert await amy.ok(b"LISTRIGHTS Public/News $staff") == [b"* LISTRIGHTS Public/News $staff lr"]
    assert await amy.ok(b"LISTRIGHTS Public/News nobody") == [b'* LISTRIGHTS Public/News nobody ""']
    for command in (b"SETACL Public/News bob lrs", b"DELETEACL Public/News bob"):
        refused = await amy.said(command)
        assert refused == b"NO [NOPERM] Rights are kept by the administrator"
        assert (await bob.said(command)).startswith(b"NO [NOPERM]")
    assert (await bob.said(b"GETACL Public/News")).startswith(b"NO [NOPERM]")
    assert (await amy.said(b"SETACL INBOX bob lrs")).startswith(b"NO [NOPERM]")


async def test_an_account_without_namespaces_has_no_acl(hall: Hall) -> None:
    """What is not there is neither announced nor accepted."""
    hall.grant()
    wire = await hall.login("amy")
    wire.protocol.session.account.powers = ()
    (words,) = await wire.ok(b"CAPABILITY")
    assert b"ACL" not in words.split()
    assert await wire.said(b"MYRIGHTS INBOX") == b"BAD unknown command"
    assert await wire.ok(b"NAMESPACE") == [b'* NAMESPACE (("" "/")) NIL NIL']


async def test_sessions_let_go_of_the_shared_account(hall: Hall) -> None:
    """It is opened when first needed, for all sessions one, and closed with the last of them."""
    hall.folder("News")
    hall.grant("Public/* anyone lr")
    amy, bob = await hall.login("amy"), await hall.login("bob")
    store = hall.stores[0]
    assert "Namespace Public/" not in store._accounts
    for wire in (amy, bob):
        await wire.ok(b"SELECT Public/News")
        await wire.ok(b'LIST "" *')
    shared = store._accounts["Namespace Public/"]
    assert shared.sessions == 2
    for wire in (amy, bob):
        await wire.said(b"LOGOUT")
        wire.protocol.connectionLost(Failure(ConnectionDone()))
    hall.wires.clear()
    await until(lambda: shared.sessions == 0)


# ---- beside them --------------------------------------------------------------------------------


async def test_pop3_has_the_users_own_inbox_alone(hall: Hall) -> None:
    hall.folder("News")
    hall.deliver("News", LETTER)
    hall.grant("Public/* anyone lr")
    amy = await hall.login("amy")
    await amy.append(b"INBOX", message("mine"))
    wire = Wire(hall.factory(service="pop3"))
    for said, wanted in (
        (b"", b"+OK"),
        (b"USER amy", b"+OK"),
        (b"PASS pw", b"+OK"),
        (b"STAT", b"+OK 1 %d" % len(message("mine"))),
        (b"DELE 1", b"+OK"),
        (b"QUIT", b"+OK"),
    ):
        if said:
            wire.put(said + b"\r\n")
        await wire.line(wanted)
    await until(lambda: wire.transport.disconnecting)
    wire.protocol.connectionLost(Failure(ConnectionDone()))
    assert await amy.ok(b"STATUS INBOX (MESSAGES)") == [b"* STATUS INBOX (MESSAGES 0)"]
    assert await amy.ok(b"STATUS Public/News (MESSAGES)") == [b"* STATUS Public/News (MESSAGES 1)"]


async def test_what_is_in_public_folders_counts_to_nobodys_quota(hall: Hall) -> None:
    """Neither when it comes nor when it is there; what is copied from there does."""
    limit = Allowance(messages=1)
    hall.options = attrs.evolve(hall.options, allowance=lambda _: limit)
    hall.folder("News")
    hall.grant(f"Public/News anyone {ALL}")
    wire = await hall.login("amy")
    for _ in range(3):
        assert (await wire.append(b"Public/News", LETTER)).startswith(b"OK")
    assert await wire.ok(b"GETQUOTAROOT Public/News") == [b"* QUOTAROOT Public/News"]
    await wire.ok(b"SELECT Public/News")
    assert (await wire.said(b"COPY 1:2 INBOX")).startswith(b"NO [OVERQUOTA]")
    assert b"COPYUID" in await wire.said(b"COPY 1 INBOX")
    assert (await wire.said(b"MOVE 2 INBOX")).startswith(b"NO [OVERQUOTA]")
    assert await wire.ok(b"STATUS Public/News (MESSAGES)") == [b"* STATUS Public/News (MESSAGES 3)"]


async def test_public_folders_have_no_special_use(hall: Hall) -> None:
    """Else the Trash of all would be everybody's."""
    hall.folder("Trash", "Sent")
    hall.grant(f"Public/* anyone {ALL}", "Public anyone k")
    wire = await hall.login("amy")
    lines = await wire.ok(b'LIST "" Public/*')
    assert [line.partition(b")")[0] for line in lines] == [b"* LIST (\\HasNoChildren"] * 2
    assert (await wire.said(b"CREATE Public/Mine (USE (\\Junk))")).startswith(b"NO [USEATTR]")


async def test_what_was_seen_is_put_back_if_it_cannot_be_committed(hall: Hall) -> None:
    """DS-10."""
    hall.folder("News")
    hall.deliver("News", LETTER)
    hall.grant("Public/* anyone lrs")
    wire = await hall.login("amy")
    await wire.ok(b"SELECT Public/News")
    ledger = wire.protocol.session.account.personal.ledger
    sync = ledger._sync_directories

    def fail() -> None:
        raise OSError(5, "Input/output error")

    ledger._sync_directories = fail
    assert (await wire.said(b"STORE 1 +FLAGS (\\Seen)")).startswith(b"NO [")
    ledger._sync_directories = sync
    await wire.ok(b"NOOP")
    assert await flags_of(wire) == b""
    await wire.ok(b"STORE 1 +FLAGS.SILENT (\\Seen)")
    assert await flags_of(wire) == b"\\Seen"


async def test_an_upload_that_cannot_be_marked_as_seen_is_not_answered_ok(hall: Hall) -> None:
    """DS-01, DS-10: after OK all that was asked for is there; after NO the message may be."""
    hall.folder("News")
    hall.grant("Public/* anyone lrsi")
    wire = await hall.login("amy")
    ledger = wire.protocol.session.account.personal.ledger
    sync = ledger._sync_directories

    def fail() -> None:
        raise OSError(5, "Input/output error")

    ledger._sync_directories = fail
    assert (await wire.append(b"Public/News", LETTER, b"\\Seen")).startswith(b"NO [")
    assert (await wire.append(b"Public/News", LETTER)).startswith(b"OK ")
    ledger._sync_directories = sync
    assert (await wire.append(b"Public/News", LETTER, b"\\Seen")).startswith(b"OK ")


async def test_a_file_of_what_was_seen_that_makes_no_sense_is_nothing_seen(hall: Hall) -> None:
    """Never a wrong answer that loses mail: all is unseen, and the next change mends it (DS-05)."""
    hall.folder("News")
    for _ in range(2):
        hall.deliver("News", LETTER)
    hall.grant("Public/* anyone lrs")
    wire = await hall.login("amy")
    await wire.ok(b"SELECT Public/News")
    await wire.ok(b"STORE 1 +FLAGS.SILENT (\\Seen)")
    (kept,) = (hall.root / "users/amy/Maildir/mailaccess").glob("seen.Public.*")
    assert kept.read_text() == "1\n"
    kept.write_bytes(b"\0garbage")
    assert await wire.ok(b"NOOP") == [b"* 1 FETCH (FLAGS (\\Recent))"]
    await wire.ok(b"STORE 2 +FLAGS.SILENT (\\Seen)")
    assert kept.read_text() == "2\n"
    kept.write_text("1:4294967295\n")
    assert b"\\Seen" in (await wire.ok(b"NOOP"))[0]
    assert await wire.ok(b"STATUS Public/News (UNSEEN)") == [b"* STATUS Public/News (UNSEEN 0)"]
