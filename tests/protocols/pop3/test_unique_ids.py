"""
Unique-ids that another server gave out (RFC 1939 section 7).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from zope.interface import alsoProvides

from mailaccess.interfaces import IKeepsUniqueIds
from mailaccess.testing.memory_mailbox import MemoryMailbox

from .conftest import PostOffice


@pytest.fixture
def keeping(office: PostOffice, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """
    Mailboxes keep one for the second message; counts how often they were asked.
    """
    asked: list[int] = []

    async def unique_ids(self: MemoryMailbox) -> Mapping[int, bytes]:
        asked.append(1)
        return {self.rows.uids[1]: b"UID2-1700000000"}

    whole = MemoryMailbox.__init__

    def make(self: MemoryMailbox, *arguments: Any) -> None:
        whole(self, *arguments)
        alsoProvides(self, IKeepsUniqueIds)

    monkeypatch.setattr(MemoryMailbox, "unique_ids", unique_ids, raising=False)
    monkeypatch.setattr(MemoryMailbox, "__init__", make)
    return asked


def test_a_message_keeps_the_unique_id_that_it_had(office: PostOffice, keeping: list[int]) -> None:
    """DS-15: the others have that of their UID; the list is asked for once a session."""
    drop = office.login()
    assert keeping == []
    first, second, third = drop.send(b"UIDL")[1:-1]
    assert second == b"2 UID2-1700000000"
    assert (len(first), len(third)) == (18, 18)
    assert drop.send(b"UIDL 2") == [b"+OK 2 UID2-1700000000"]
    assert drop.send(b"UIDL 1") == [b"+OK " + first]
    assert keeping == [1]
