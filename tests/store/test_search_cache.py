"""
Text that is kept for searching: its answers are those of reading every message, whatever happens to
the database it is kept in (DS-05).
"""

from __future__ import annotations

import contextlib
import os
import random
import sqlite3
from array import array
from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from twisted.internet import reactor

from mailaccess.interfaces import Identity
from mailaccess.message.header import header_end, picker, separate
from mailaccess.message.lineends import to_crlf
from mailaccess.message.structure import describe
from mailaccess.store import query as q
from mailaccess.store import search
from mailaccess.store.maildir import blocks, kinds
from mailaccess.store.maildir.finding import find
from mailaccess.store.maildir.reading import Reader
from mailaccess.store.options import StoreOptions

from .conftest import Site, message, nap, put, until

CORPUS = sorted((Path(__file__).parent.parent / "data" / "corpus").glob("*/*.eml"))

DAY = date(2003, 6, 1)
QUERIES: list[q.Query] = [
    q.Header("Subject", ""),
    q.Header("subject", "test"),
    q.Header("From", "EXAMPLE"),
    q.Header("To", "@"),
    q.Header("Cc", ""),
    q.Header("Bcc", "a"),
    q.Header("Message-ID", "<"),
    q.Header("X-Mailer", "o"),
    q.Text("received"),
    q.Text(""),
    q.Text("\u00e9"),
    q.Text("\N{LATIN SMALL LIGATURE FI}"),
    q.Body("content-type"),
    q.Body("the"),
    q.Body("="),
    q.Body("\n"),
    q.Body("no such text anywhere"),
    q.Since(DAY, internal=False),
    q.Before(DAY, internal=False),
    q.On(DAY, internal=False),
    q.Not(q.Text("the")),
    q.Or(q.Header("Subject", "re"), q.Not(q.Body("e"))),
    q.And((q.Body("a"), q.Header("From", "e"), q.Not(q.Header("Subject", "re:")))),
    q.And((q.Uids(((3, 7),)), q.Or(q.Text("a"), q.Text("hello")))),
]


class Unkept:
    """
    Reads every message.
    """

    def __init__(self, mailbox: Any) -> None:
        self.reader = Reader(mailbox._shared)
        self.matching = self.reader.matching

    async def kept(self, key: q.Query, uids: Sequence[int]) -> tuple[bytes, bytes]:
        """
        Nothing is.
        """
        return bytes(len(uids)), bytes(len(uids))


async def _compare(mailbox: Any) -> None:
    for query in QUERIES:
        expected = await search.run(mailbox, query, Unkept(mailbox), reactor)
        assert list(await mailbox.search(query)) == list(expected), query


async def _filled(mailbox: Any) -> None:
    """
    Wait until the text of all messages is kept.
    """
    await mailbox.search(q.Text("anything"))
    await until(lambda: not mailbox._shared.filling.running)


def _mutated(data: bytes, chance: random.Random) -> bytes:
    octets = bytearray(data)
    for _ in range(chance.randrange(1, 12)):
        at = chance.randrange(len(octets))
        kind = chance.randrange(4)
        if kind == 0:
            octets[at] = chance.randrange(256)
        elif kind == 1:
            del octets[at : at + chance.randrange(1, 40)]
        elif kind == 2:
            octets[at:at] = chance.choice(
                (b"\n\n", b"\r\n", b"\xff", b"\0", b"=?utf-7?q?+2AA-?=", b"\nSubject: x\n", b"\n ")
            )
        else:
            start = chance.randrange(len(octets))
            octets[at:at] = octets[start : start + 60]
        octets = octets or bytearray(b"x")
    return bytes(octets)


def _damage(path: Path, chance: random.Random, others: int) -> None:
    """
    One of the things that can happen to a file; nothing if the store's threads remove it meanwhile.
    """
    with contextlib.suppress(FileNotFoundError):
        _harm(path, chance, others)


def _harm(path: Path, chance: random.Random, others: int) -> None:
    kind = chance.randrange(8)
    target = Path(f"{path}-wal") if kind % 2 and Path(f"{path}-wal").exists() else path
    if not target.exists():
        return
    size = target.stat().st_size
    if kind < 2:
        target.unlink()
    elif kind < 4:
        os.truncate(target, chance.randrange(size + 1))
    elif kind < 6:
        with target.open("r+b") as file:
            for _ in range(40):
                file.seek(chance.randrange(size + 1))
                file.write(chance.randbytes(chance.choice((1, 8, 2000))))
    elif kind == 6:
        path.write_bytes(chance.randbytes(5000))
    else:
        _tamper(path, others)


def _tamper(path: Path, others: int) -> None:
    """
    What is kept of one mailbox, of one kind or of some messages, put where others look for it.
    """
    connection = sqlite3.connect(path)
    try:
        with connection:
            connection.execute("CREATE TEMP TABLE old AS SELECT * FROM block")
            connection.execute("DELETE FROM block")
            connection.execute(
                "INSERT OR IGNORE INTO block SELECT id, ?, kind, number, sum, head, data FROM old",
                (others,),
            )
            connection.execute(
                "INSERT OR IGNORE INTO block"
                " SELECT NULL, token, kind + 1, number, sum, head, data FROM old"
            )
    except (sqlite3.Error, UnicodeDecodeError):
        # What is wrong with a garbled schema is said in octets that may be no text.
        return
    finally:
        connection.close()


@pytest.mark.parametrize("seed", range(3))
async def test_kept_text_answers_as_the_messages_do_whatever_becomes_of_it(
    site: Site, seed: int
) -> None:
    """
    DS-05: messages as they are and garbled ones, expunges and arrivals; and the database deleted,
    truncated, overwritten, garbled and with others' content between searches.
    """
    chance = random.Random(seed)
    account = await site.account()
    await account.create("Other")
    originals = [path.read_bytes() for path in chance.sample(CORPUS, 24)]
    messages = originals + [_mutated(data, chance) for data in originals]
    messages.append(b"Subject:\r\n\r\n" + b"long " * 80_000)
    await put(account, "INBOX", *[to_crlf(data) for data in messages])
    await put(account, "Other", *[message(f"other {number}") for number in range(9)])
    mailbox, other = await account.select("INBOX"), await account.select("Other")
    await _compare(mailbox)
    await _filled(other)
    path = site.maildir() / "mailaccess" / "text.db"
    for turn in range(8):
        await _filled(mailbox)
        await _compare(mailbox)
        await _compare(other)
        if turn == 2:
            await mailbox.remove(chance.sample(list(mailbox.rows.uids), 8))
            await mailbox.sync()
        if turn == 4:
            await put(account, "INBOX", *[_mutated(data, chance) for data in originals[:5]])
            await mailbox.sync()
        _damage(path, chance, other._shared.box.token)
        await _compare(mailbox)
        await _compare(other)


async def test_kept_text_is_what_answers(site: Site) -> None:
    """
    Once it is kept no file is opened for a search.
    """
    account = await site.account()
    await put(account, "INBOX", *[message(f"m{number}", f"b{number}") for number in range(300)])
    mailbox = await account.select("INBOX")
    await _filled(mailbox)
    for name in os.listdir(site.maildir() / "cur"):
        (site.maildir() / "cur" / name).write_bytes(b"Subject: changed\n\nchanged\n")
    assert await mailbox.search(q.Header("Subject", "M299")) == [300]
    assert await mailbox.search(q.Body("b25")) == [26, *range(251, 261)]
    assert await mailbox.search(q.Text("changed")) == []


async def test_a_mailbox_of_the_same_name_has_nothing_of_the_one_before(site: Site) -> None:
    """
    DS-05: deleted and created again, or another one renamed: UIDs are the same.
    """
    account = await site.account()
    for name in ("Work", "Play"):
        await account.create(name)
        await put(account, name, *[message(name) for _ in range(8)])
        await _filled(await account.select(name))
    await account.delete("Work")
    await account.rename("Play", "Work")
    mailbox = await account.select("Work")
    assert await mailbox.search(q.Header("Subject", "Work")) == []
    assert len(await mailbox.search(q.Header("Subject", "Play"))) == 8
    await account.delete("Work")
    await account.create("Work")
    await put(account, "Work", *[message("new") for _ in range(8)])
    assert len(await (await account.select("Work")).search(q.Header("Subject", "new"))) == 8


async def test_nothing_is_kept_of_messages_that_were_expunged(site: Site) -> None:
    """
    A session that was not told yet gets the same answers as if nothing were kept.
    """
    account = await site.account()
    uids = await put(account, "INBOX", *[message("a") for _ in range(30)])
    mailbox, other = await account.select("INBOX"), await account.select("INBOX")
    await _filled(mailbox)
    await mailbox.describe(uids)
    token = mailbox._shared.box.token
    await until(lambda: len(account.recall.descriptions(token, uids)) == 30)
    await other.remove(uids[3:7])
    assert [each is None for each in await mailbox.describe(uids[2:8])] == [0, 1, 1, 1, 1, 0]
    assert [each is None for each in await mailbox.fields(uids[2:8], [b"To"])] == [0, 1, 1, 1, 1, 0]
    found = await mailbox.search(q.Header("Subject", "a"))
    assert list(found) == [n for n in range(1, 31) if not 4 <= n <= 7]
    assert list(await mailbox.search(q.Text("b"))) == list(
        await search.run(mailbox, q.Text("b"), Unkept(mailbox), reactor)
    )


async def test_an_account_that_is_closed_does_not_keep_others_from_their_turn(site: Site) -> None:
    accounts = site.accounts()
    mailboxes = []
    for user in ("amy", "bob"):
        account = await accounts.account(Identity(user))
        await put(account, "INBOX", *[message("a") for _ in range(400)])
        mailboxes.append(await account.select("INBOX"))
    for mailbox in mailboxes:
        await mailbox.search(q.Text("a"))
    accounts.replace(mailboxes[0]._shared.account)
    await until(lambda: not mailboxes[1]._shared.filling.running)
    hits, known = await mailboxes[1]._reader.kept(q.Text("a"), mailboxes[1].rows.uids)
    assert hits == known == b"\1" * 400


async def test_text_of_what_went_is_removed(site: Site) -> None:
    """
    Blocks without messages, and those of mailboxes that were deleted.
    """
    account = await site.account()
    await account.create("Work")
    await put(account, "Work", *[message("w") for _ in range(8)])
    await _filled(await account.select("Work"))
    uids = await put(account, "INBOX", *[message("a") for _ in range(200)])
    mailbox = await account.select("INBOX")
    await _filled(mailbox)
    await account.delete("Work")
    await mailbox.remove(uids[:150])
    await mailbox.sync()
    await put(account, "INBOX", *[message("b") for _ in range(8)])
    await mailbox.sync()
    await _filled(mailbox)
    connection = sqlite3.connect(site.maildir() / "mailaccess" / "text.db")
    rows = connection.execute("SELECT DISTINCT token, number FROM block WHERE kind = 3").fetchall()
    connection.close()
    assert rows == [(mailbox._shared.box.token, 1)]


async def test_text_has_no_more_room_than_it_is_given(site: Site) -> None:
    """
    What does not fit is read; other mailboxes give way.
    """
    site.options = StoreOptions(text_limit=1)
    account = await site.account()
    await put(account, "INBOX", *[message("a", "long " * 40_000) for _ in range(300)])
    mailbox = await account.select("INBOX")
    await _filled(mailbox)
    assert (site.maildir() / "mailaccess" / "text.db").stat().st_size < 1 << 20
    await put(account, "INBOX", *[message("b") for _ in range(8)])
    await mailbox.sync()
    await _filled(mailbox)
    assert len(await mailbox.search(q.Header("Subject", "b"))) == 8


@pytest.mark.parametrize(
    "names",
    [[b"Subject"], [b"FROM", b"to", b"Date", b"subject"], [b"Bcc"], [b"x-mailer", b"References"]],
)
async def test_header_fields_are_the_same_when_they_are_kept(
    site: Site, names: list[bytes]
) -> None:
    """
    Also after what is kept of them was garbled (DS-05).
    """
    chance = random.Random(7)
    originals = [path.read_bytes() for path in CORPUS[:60]]
    messages = [to_crlf(data) for data in originals + [_mutated(d, chance) for d in originals]]
    account = await site.account()
    uids = [*await put(account, "INBOX", *messages), 5000]
    mailbox = await account.select("INBOX")
    expected = [picker(names, False)(data[: header_end(data)]) for data in messages]
    path = site.maildir() / "mailaccess" / "text.db"
    for _ in range(6):
        assert list(await mailbox.fields(uids, names)) == [*expected, None]
        await nap(0.01)
        assert list(await mailbox.fields(uids[3:80:5], names)) == expected[3:80:5]
        _damage(path, chance, 1)


async def test_structures_are_the_same_when_they_are_kept(site: Site) -> None:
    """
    DS-05.
    """
    chance = random.Random(8)
    messages = [to_crlf(_mutated(path.read_bytes(), chance)) for path in CORPUS[:150]]
    account = await site.account()
    uids = [*await put(account, "INBOX", *messages), 5000]
    mailbox = await account.select("INBOX")
    expected = [*map(describe, messages), None]
    path = site.maildir() / "mailaccess" / "text.db"
    for _ in range(6):
        assert list(await mailbox.describe(uids)) == expected
        await nap(0.01)
        assert list(await mailbox.describe(uids[100:1:-7])) == expected[100:1:-7]
        _damage(path, chance, 1)


def test_fields_taken_apart_and_put_together_are_what_was_picked() -> None:
    chance = random.Random(9)
    for path in CORPUS:
        data = to_crlf(_mutated(path.read_bytes(), chance))
        block = data[: header_end(data)]
        names = chance.sample(kinds.USUAL, 5)
        kept = [field for name, field in separate(block, kinds.USUAL) if name in names]
        assert b"\n".join([*kept, b"\r\n"]) == picker(names, False)(block)


@pytest.mark.parametrize("kind", [kinds.BODY, kinds.DESCRIPTION])
def test_a_block_gives_back_what_was_put_in_or_nothing(kind: blocks.Kind) -> None:
    """
    DS-05: every bit flipped, every length.
    """
    values = {
        number: tuple(bytes([number, part]) * part for part in range(kind.parts)) or None
        for number in range(7)
    }
    values[9] = None
    row = blocks.pack(kind, -5, 0, values)
    block = blocks.unpack(kind, -5, 0, row)
    assert block is not None
    assert block.values() == values
    assert blocks.unpack(kind, -4, 0, row) is None
    assert blocks.unpack(kind, -5, 1, row) is None
    assert blocks.unpack(kind, -5, 0, (row[0] ^ 1, row[1], row[2])) is None
    for place in (1, 2):
        for bit in range(8 * len(row[place])):
            octets = bytearray(row[place])
            octets[bit // 8] ^= 1 << bit % 8
            changed = list(row)
            changed[place] = bytes(octets)
            assert blocks.unpack(kind, -5, 0, tuple(changed)) is None  # type: ignore[arg-type]


@pytest.mark.parametrize("size", [3, 4000])
def test_finding_agrees_with_looking_at_each_text(size: int) -> None:
    chance = random.Random(size)
    for _ in range(200):
        texts = [
            bytes(chance.choices(b"ab", k=chance.randrange(size))) + b"\xff"
            for _ in range(chance.randrange(1, 6))
        ]
        texts[chance.randrange(len(texts))] = b""
        ends = array("I")
        for text in texts:
            ends.append(len(text) + (ends[-1] if ends else 0))
        wanted = bytes(chance.choices(b"ab", k=chance.randrange(12)))
        found = find(b"".join(texts), ends, wanted)
        assert found == [n for n, text in enumerate(texts) if text and wanted in text]
