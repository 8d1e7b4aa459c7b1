"""
Records and lists of UIDs that are lost, damaged or of another version.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mailaccess import errors
from mailaccess.interfaces import KEYWORD_BIT
from mailaccess.store.maildir import index, uidlist
from mailaccess.store.options import StoreOptions

from .conftest import Site, message, nap, put, until
from .test_durability import _snapshot


async def _filled(site: Site) -> dict[str, Any]:
    account = await site.account()
    await account.create("Work")
    await put(account, "INBOX", message("a"), message("b"), message("c"), flags=["$K"])
    await put(account, "Work", message("d"), flags=["\\Flagged"])
    mailbox = await account.select("INBOX")
    await mailbox.remove([3])
    await mailbox.store([2], "add", ["\\Seen"])
    site.deliver(message("e"))
    await mailbox.sync()
    modseq = mailbox.highest_modseq
    validity = mailbox.uid_validity
    # Flags are in the names once the sizes of both agree.
    await until(lambda: any(name.endswith(":2,Sa") for name in site.cur().values()))
    await nap(0.1)
    found = await _snapshot(site)
    site.stop()
    return {"found": found, "modseq": modseq, "validity": validity}


def _remove_index(top: Path) -> None:
    shutil.rmtree(top / "mailaccess")


def _remove_file(top: Path) -> None:
    for path in (top / "mailaccess").glob("index.db*"):
        path.unlink()


def _truncate(top: Path) -> None:
    os.truncate(top / "mailaccess" / "index.db", 5000)


def _garble_header(top: Path) -> None:
    path = top / "mailaccess" / "index.db"
    data = bytearray(path.read_bytes())
    data[0:100] = os.urandom(100)
    path.write_bytes(data)


def _garble_pages(top: Path) -> None:
    path = top / "mailaccess" / "index.db"
    data = bytearray(path.read_bytes())
    for start in range(4096, len(data), 4096):
        data[start : start + 16] = b"\xff" * 16
    path.write_bytes(data)


def _empty(top: Path) -> None:
    os.truncate(top / "mailaccess" / "index.db", 0)


@pytest.mark.parametrize(
    "harm",
    [_remove_index, _remove_file, _truncate, _garble_header, _garble_pages, _empty],
    ids=lambda f: f.__name__,
)
async def test_a_lost_or_damaged_record_costs_nothing_but_time(
    site: Site, harm: Callable[[Path], None]
) -> None:
    """
    DS-04, DS-05: the same UIDVALIDITY, UIDs, flags and keywords; UIDNEXT and HIGHESTMODSEQ do not
    go back.
    """
    site.options = StoreOptions(mirror="immediate")
    known = await _filled(site)
    # All of it into the database, whichever connection was closed last.
    index.connect(str(site.maildir() / "mailaccess" / "index.db"), writer=True).close()
    assert not list((site.maildir() / "mailaccess").glob("index.db-*"))
    harm(site.maildir())
    assert await _snapshot(site) == known["found"]
    account = await site.account()
    mailbox = await account.select("INBOX")
    assert mailbox.uid_validity == known["validity"]
    assert mailbox.uid_next > 4
    assert mailbox.highest_modseq > known["modseq"]
    assert list(mailbox.keywords) == ["$K"]
    assert mailbox.rows.flags[0] == 1 << KEYWORD_BIT
    assert await put(account, "INBOX", message("f")) > [4]


async def test_a_record_taken_away_under_a_session_gives_no_wrong_answers(site: Site) -> None:
    """
    DS-05.
    """
    account = await site.account()
    uids = await put(account, "INBOX", message("a"))
    mailbox = await account.select("INBOX")
    _remove_index(site.maildir())
    with pytest.raises(errors.StoreFailed):
        await mailbox.sync()
    with pytest.raises(errors.StoreFailed):
        await mailbox.store(uids, "add", ["\\Seen"])
    fresh = await account.accounts.account(type("I", (), {"name": "amy", "home": ""})())
    again = await fresh.select("INBOX")
    assert list(again.rows.uids) == uids
    assert again.uid_validity == mailbox.uid_validity


async def test_a_lost_list_of_uids_alone_changes_nothing(site: Site) -> None:
    known = await _filled_plain(site)
    os.unlink(site.maildir() / uidlist.FILE)
    assert await _snapshot(site) == known


async def _filled_plain(site: Site) -> dict[str, Any]:
    account = await site.account()
    await put(account, "INBOX", message("a"), message("b"))
    found = await _snapshot(site)
    site.stop()
    return found


async def test_without_record_and_list_the_uidvalidity_is_greater(site: Site) -> None:
    """
    DS-04.
    """
    await _filled_plain(site)
    text = (site.maildir() / uidlist.FILE).read_text()
    validity = int(text.split()[2])
    os.unlink(site.maildir() / uidlist.FILE)
    _remove_file(site.maildir())
    mailbox = await (await site.account()).select("INBOX")
    assert mailbox.uid_validity > validity
    assert len(mailbox.rows) == 2


async def test_a_cut_off_list_never_gives_a_uid_twice(site: Site) -> None:
    """
    DS-04, DS-12: the end of the list and the record are lost together.
    """
    await _filled_plain(site)
    path = site.maildir() / uidlist.FILE
    lines = path.read_text().splitlines(keepends=True)
    assert lines[1] == "R 1001\n"
    kept = [line for line in lines if not line.startswith("2 ")]
    path.write_text("".join(kept) + "9 torn line without its e")
    _remove_index(site.maildir())
    mailbox = await (await site.account()).select("INBOX")
    assert mailbox.rows.uids[0] == 1
    assert mailbox.rows.uids[1] > 1000


async def test_a_record_of_a_newer_version_is_left_alone(site: Site) -> None:
    """
    DS-18.
    """
    await _filled_plain(site)
    path = site.maildir() / "mailaccess" / "index.db"
    connection = index.connect(str(path), writer=True)
    connection.execute("PRAGMA user_version = 99")
    connection.close()
    with pytest.raises(errors.StoreDamaged):
        await site.account()
    connection = sqlite3.connect(path)
    assert connection.execute("SELECT count(*) FROM message").fetchone() == (2,)
    connection.close()


async def test_a_garbled_structure_is_computed_again(site: Site) -> None:
    """
    DS-05: what is sent as it is has a checksum.
    """
    account = await site.account()
    await put(account, "INBOX", message("a"))
    mailbox = await account.select("INBOX")
    first = await mailbox.describe([1])
    path = site.maildir() / "mailaccess" / "text.db"

    def garbled() -> bool:
        with contextlib.suppress(sqlite3.Error), sqlite3.connect(path) as connection:
            change = "UPDATE block SET data = zeroblob(length(data)) WHERE kind = 1"
            return connection.execute(change).rowcount == 1
        return False

    await until(garbled)
    assert await mailbox.describe([1]) == first
