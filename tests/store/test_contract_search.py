"""
What every store must find: L{mailaccess.store.query} as tests.
"""

from __future__ import annotations

import datetime
from typing import Any

import pytest

from mailaccess import errors
from mailaccess.store import query as q

from .conftest import both, message, put

DAY = datetime.date(2024, 5, 6)
NOON = int(datetime.datetime(2024, 5, 6, 12, tzinfo=datetime.UTC).timestamp())

SEARCHES: list[tuple[q.Query, list[int]]] = [
    (q.All(), [1, 2, 3]),
    (q.And([]), [1, 2, 3]),
    (q.Flag("\\Seen"), [1]),
    (q.Flag("\\seen", False), [2, 3]),
    (q.Flag("$key"), [2]),
    (q.Flag("$nobody", False), [1, 2, 3]),
    (q.Flag("\\Recent"), [1, 2, 3]),
    (q.Rows([(1, 3)]), [2, 3]),
    (q.Rows([(0, 1), (2, 9)]), [1, 3]),
    (q.Uids([(2, 2), (3, 4000000000)]), [2, 3]),
    (q.Since(DAY), [2, 3]),
    (q.Before(DAY), [1]),
    (q.On(DAY), [2]),
    (q.On(datetime.date(2020, 2, 3), internal=False), [1]),
    (q.Since(datetime.date(2020, 2, 3), internal=False), [1]),
    (q.Before(datetime.date(2020, 2, 3), internal=False), []),
    (q.Older(10**8), []),
    (q.Larger(1000), [3]),
    (q.Smaller(1000), [1, 2]),
    (q.Modseq(1), [1, 2, 3]),
    (q.Header("subject", "GRÖSSE"), [1]),
    (q.Header("Subject", ""), [1, 2, 3]),
    (q.Header("x-none", ""), []),
    (q.Body("needle"), [2]),
    (q.Body("subject"), []),
    (q.Text("subject"), [1, 2, 3]),
    (q.Not(q.Text("needle")), [1, 3]),
    (q.Or(q.Body("NEEDLE"), q.Larger(1000)), [2, 3]),
    (q.And([q.Not(q.Flag("\\Seen")), q.Not(q.Body("needle"))]), [3]),
    (q.Or(q.And([q.Body("needle"), q.Flag("\\Seen")]), q.Not(q.Header("Date", ""))), [2, 3]),
    (q.Not(q.Not(q.Or(q.Header("From", "bob"), q.Body("nothing")))), [1]),
]


@pytest.mark.parametrize(("query", "expected"), SEARCHES, ids=[str(each[0]) for each in SEARCHES])
async def test_search(stores: Any, query: q.Query, expected: list[int]) -> None:
    account, _ = await both(stores)
    first = (
        b"Subject: =?utf-8?q?Gr=C3=B6=C3=9Fe?=\r\nFrom: Bob <b@example.org>\r\n"
        b"Date: Mon, 3 Feb 2020 10:00:00 +0000\r\n\r\nx\r\n"
    )
    await put(account, "INBOX", first, flags=["\\Seen"], date=NOON - 86400)
    await put(account, "INBOX", message("two", "a NEEDLE here"), flags=["$Key"], date=NOON)
    await put(account, "INBOX", message("three", "y" * 1000), date=NOON + 86400)
    mailbox = await account.select("INBOX")
    assert list(await mailbox.search(query)) == expected


async def test_too_complex_a_search_is_refused(stores: Any) -> None:
    account, _ = await both(stores)
    await put(account, "INBOX", message("a"))
    mailbox = await account.select("INBOX")
    with pytest.raises(errors.LimitReached):
        await mailbox.search(q.And([q.All()] * (q.MAX_NODES + 1)))
