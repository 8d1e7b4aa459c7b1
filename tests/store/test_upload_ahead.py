"""
Uploads that take long to write: others do not wait for them.
"""

from __future__ import annotations

import threading
from pathlib import Path
from typing import cast

import pytest
from twisted.internet.defer import Deferred, DeferredList

from mailaccess.errors import OverQuota
from mailaccess.interfaces import Identity
from mailaccess.store.disk import Disk
from mailaccess.store.options import StoreOptions
from mailaccess.store.quota import Allowance

from .conftest import Site, message, put, until


class Slow(Disk):
    """
    Files take long to sync: as long as the test wants.
    """

    def __init__(self) -> None:
        self.may = threading.Event()
        self.waits = threading.Event()
        self.slow = False

    def fsync(self, descriptor: int) -> None:
        if self.slow and threading.current_thread().name != "store-writer":
            self.waits.set()
            assert self.may.wait(30)
        super().fsync(descriptor)


@pytest.mark.parametrize("many", [True, False])
async def test_what_takes_long_to_write_holds_up_nobody(tmp_path: Path, many: bool) -> None:
    """AB-09: others' changes become durable while many messages, or a large one, are written."""
    site = Site(tmp_path, StoreOptions(), Slow())
    try:
        slow = cast(Slow, site.disk)
        accounts = site.accounts()
        amy, bob = [await accounts.account(Identity(name)) for name in ("amy", "bob")]
        slow.slow = True
        texts = [message(str(n)) for n in range(20)] if many else [message("x", "y\r\n" * 500_000)]
        coming = Deferred.fromCoroutine(put(amy, "INBOX", *texts))
        await until(slow.waits.is_set)
        assert await put(bob, "INBOX", message("b")) == [1]
        assert not coming.called
        slow.may.set()
        assert len(await coming) == len(texts)
        assert not list(site.maildir().joinpath("tmp").iterdir())
    finally:
        cast(Slow, site.disk).may.set()
        site.stop()


async def test_what_was_written_ahead_and_is_not_wanted_leaves_nothing(tmp_path: Path) -> None:
    """DS-09: the mailbox was deleted meanwhile, or there is no room any more."""
    site = Site(tmp_path, StoreOptions(), Disk())
    try:
        amy = await site.account()
        amy.usage.give(Allowance(messages=15))
        first, second = [await amy.upload("INBOX") for _ in range(2)]
        for upload in (first, second):
            for number in range(10):
                upload.begin(len(message(str(number))), (), None)
                upload.write(message(str(number)))
        both = [Deferred.fromCoroutine(each.commit()) for each in (first, second)]
        outcomes = dict(await DeferredList(both, consumeErrors=True))
        assert len(outcomes[True].uids) == 10
        assert outcomes[False].check(OverQuota)
        assert not list(site.maildir().joinpath("tmp").iterdir())
        assert len(site.cur()) == 10
    finally:
        site.stop()
