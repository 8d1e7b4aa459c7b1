"""
Taking in a mailbox for the first time.
"""

from __future__ import annotations

import os
import random
import shutil
from typing import Any

import pytest

from mailaccess.message.lineends import crlf_size
from mailaccess.store.maildir import firsttake
from mailaccess.store.maildir.helpers import MANY

from .conftest import Site, message, until

_LIST = "3 V1700000000 N40 G0123456789abcdef0123456789abcdef\n"


def _lay_out(site: Site, chance: random.Random, count: int) -> None:
    """
    Messages of another server: some listed, some of the same second, with and without sizes, flags
    and keywords.
    """
    top = site.maildir()
    listed = []
    for number in range(count):
        data = message(f"number {number}").replace(b"\r\n", b"\n")
        base = f"{1700000000 + number}.M{number}P1.x"
        if number % 3 == 0:
            base += f",S={len(data)}"
        if number % 6 == 0:
            base += f",W={crlf_size(data)}"
        if number % 9 == 0:
            base += ",W=1"
        info = chance.choice(["", ":2,", ":2,S", ":2,FRS", ":2,Sac", ":2,b,extra", ":1,x"])
        path = top / "cur" / (base + info)
        path.write_bytes(data)
        stamp = 1600000000 + chance.randrange(count // 2)
        os.utime(path, (stamp, stamp))
        if number % 5 == 0:
            listed.append(base)
    for uid, base in zip(chance.sample(range(1, 60), len(listed[:30])), listed, strict=False):
        with (top / "dovecot-uidlist").open("a") as file:
            if not file.tell():
                file.write(_LIST)
            file.write(f"{uid} :{base}\n")
    (top / "dovecot-keywords").write_text("0 one\n1 two\n")


async def _state(site: Site) -> dict[str, Any]:
    account = await site.account()
    mailbox = await account.select("INBOX")
    rows = mailbox.rows
    with account.reading():
        names = dict(account.index.names(1, [(1, 2**32)]))
    found = {
        "rows": list(zip(rows.uids, rows.flags, rows.sizes, rows.dates, strict=True)),
        "names": names,
        "next": mailbox.uid_next,
        "keywords": list(mailbox.keywords),
        "files": sorted(os.listdir(site.maildir() / "cur")),
        "list": (site.maildir() / "mailaccess-uidlist").read_text(),
    }
    site.stop()
    return found


@pytest.mark.parametrize("seed", range(4))
async def test_all_at_once_is_as_one_by_one(site: Site, monkeypatch: Any, seed: int) -> None:
    """
    DS-04: UIDs, flags, keywords, sizes and dates, and what is written down.
    """
    _lay_out(site, random.Random(seed), 120)
    at_once = await _state(site)
    for name in ("mailaccess", "mailaccess-uidlist"):
        path = site.maildir() / name
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    monkeypatch.setattr(firsttake, "is_simple", lambda *_: False)
    one_by_one = await _state(site)
    assert len(at_once["rows"]) == 120
    assert at_once == one_by_one


async def test_sizes_and_dates_are_the_same_whoever_measures(site: Site) -> None:
    """
    DS-04.
    """
    _lay_out(site, random.Random(7), 3 * MANY)
    alone = await _state(site)
    for name in ("mailaccess", "mailaccess-uidlist"):
        path = site.maildir() / name
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    account = await site.account()
    helpers = account.accounts.helpers
    asked = []
    tree = account.tree
    names = sorted(os.listdir(site.maildir() / "cur"))
    # Until one is ready.
    await until(lambda: any(helpers.ask("size", tree, "", names)))
    ask = helpers.ask

    def counted(what: str, *more: Any) -> Any:
        found = ask(what, *more)
        asked.append(sum(each is not None for each in found))
        return found

    helpers.ask = counted  # type: ignore[method-assign]
    mailbox = await account.select("INBOX")
    rows = mailbox.rows
    assert list(zip(rows.uids, rows.flags, rows.sizes, rows.dates, strict=True)) == alone["rows"]
    assert asked
    assert asked[0] > MANY


@pytest.mark.parametrize("days", [1, 50, 10**6])
def test_sorting_in_steps_is_sorting(days: int) -> None:
    chance = random.Random(days)
    entries = [
        (chance.randrange(10**5), chance.randrange(days), f"name {number}", number)
        for number in range(9000)
    ]
    chance.shuffle(entries)
    found = firsttake.in_steps(range(9000), lambda e: entries[e][1], lambda e: entries[e][2])
    assert [entries[each] for each in found] == sorted(entries, key=lambda e: (e[1], e[2]))
    found = firsttake.in_steps(range(9000), lambda e: entries[e][0])
    assert [entries[each][0] for each in found] == sorted(entry[0] for entry in entries)
    assert list(firsttake.in_steps([], lambda e: e)) == []
