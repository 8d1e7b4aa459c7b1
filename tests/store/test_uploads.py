"""
Uploads that are large, and those that are too large.
"""

from __future__ import annotations

import os

import pytest

from mailaccess import errors
from mailaccess.store.options import StoreOptions

from .conftest import Site


async def test_a_large_upload_goes_through_a_file_and_leaves_none(site: Site) -> None:
    account = await site.account()
    upload = await account.upload("INBOX")
    part = b"0123456789abcdef" * 4095 + b"0123456789abc\r\n"
    upload.begin(40 * len(part), (), None)
    spilled = 0
    for _ in range(40):
        waiting = upload.write(part)
        if waiting is not None:
            spilled += 1
            await waiting
    await upload.commit()
    assert spilled == 2
    mailbox = await account.select("INBOX")
    assert await mailbox.octets(1) == part * 40
    assert os.listdir(site.maildir() / "tmp") == []


async def test_a_large_upload_that_is_given_up_leaves_nothing(site: Site) -> None:
    account = await site.account()
    upload = await account.upload("INBOX")
    upload.begin(3 << 20, (), None)
    waiting = upload.write(b"x" * (2 << 20))
    upload.abort()
    await waiting
    upload.abort()
    assert os.listdir(site.maildir() / "tmp") == []
    with pytest.raises(errors.Refused):
        await upload.commit()


async def test_messages_over_the_limit_are_refused(site: Site) -> None:
    site.options = StoreOptions(message_limit=1000)
    account = await site.account()
    upload = await account.upload("INBOX")
    with pytest.raises(errors.TooBig):
        upload.begin(1001, (), None)
    upload.begin(1000, (), None)
    upload.write(b"x" * 1001)
    with pytest.raises(errors.TooBig):
        await upload.commit()
    assert (await account.status("INBOX")).messages == 0
