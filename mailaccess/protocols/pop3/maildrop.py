"""
The maildrop of a POP3 session: the INBOX as it was at the login, and what the session has marked.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import attrs

from ...errors import BadSyntax, Refused
from ...interfaces import SEEN, IKeepsUniqueIds, IMailbox, IMailUser
from ...wire.pop3 import message_number


class NoSuchMessage(Refused):
    """
    No message has that number, or it is marked as deleted.
    """

    public = "no such message"


_UNKNOWN: Mapping[int, bytes] = {}


@attrs.define(eq=False)
class Maildrop:
    """
    Messages by number, 1 to the count at the login; numbers never change (RFC 1939 section 4).

    @ivar unlock: gives back exclusive access
    @ivar deleted: numbers marked by DELE
    @ivar retrieved: numbers that RETR gave out
    @ivar kept: unique-ids by UID that another server gave out
    """

    mailbox: IMailbox
    unlock: Callable[[], None]
    deleted: set[int] = attrs.field(factory=set)
    retrieved: set[int] = attrs.field(factory=set)
    count: int = 0
    total: int = 0
    kept: Mapping[int, bytes] = _UNKNOWN

    def __attrs_post_init__(self) -> None:
        # Nobody calls sync on this view, so its rows stay as they are.
        self.count = len(self.mailbox.rows)
        self.total = sum(self.mailbox.rows.sizes)

    def number(self, word: bytes) -> int:
        """
        A message number from the wire.

        @raise NoSuchMessage: there is none
        """
        try:
            number = message_number(word)
        except BadSyntax:
            raise NoSuchMessage from None
        if number > self.count or number in self.deleted:
            raise NoSuchMessage
        return number

    def numbers(self) -> Iterator[int]:
        """
        All that are not marked.
        """
        return (each for each in range(1, self.count + 1) if each not in self.deleted)

    def size(self, number: int) -> int:
        """
        Octets with CRLF line ends.
        """
        size: int = self.mailbox.rows.sizes[number - 1]
        return size

    def unique_id(self, number: int) -> bytes:
        """
        The same for as long as the message lives, and for no other: UID and UIDVALIDITY (DS-15).
        """
        uid = self.mailbox.rows.uids[number - 1]
        return self.kept.get(uid) or b"%08x%08x" % (uid, self.mailbox.uid_validity)

    async def learn_unique_ids(self) -> None:
        """
        To be called before L{unique_id}: those that another server gave out are kept elsewhere.
        """
        if self.kept is _UNKNOWN:
            keeper = IKeepsUniqueIds(self.mailbox, None)
            self.kept = await keeper.unique_ids() if keeper is not None else {}

    async def octets(self, number: int) -> bytes:
        """
        The message.

        @raise mailaccess.errors.MessageGone: another session expunged it
        """
        return await self.mailbox.octets(self.mailbox.rows.uids[number - 1])

    def stat(self) -> tuple[int, int]:
        """
        How many messages are not marked, and their octets.
        """
        gone = sum(self.size(each) for each in self.deleted)
        return self.count - len(self.deleted), self.total - gone

    async def update(self, mark_seen: bool) -> None:
        """
        Make the deletions durable (RFC 1939 section 6).

        @raise Refused: some or all were not removed
        """
        rows = self.mailbox.rows
        if self.deleted:
            await self.mailbox.remove({rows.uids[each - 1] for each in self.deleted})
        seen = [
            rows.uids[each - 1]
            for each in sorted(self.retrieved - self.deleted)
            if not rows.flags[each - 1] & SEEN
        ]
        if mark_seen and seen:
            await self.mailbox.store(seen, "add", ["\\Seen"])

    def release(self) -> None:
        """
        Let go; nothing is deleted.
        """
        self.mailbox.close()
        self.unlock()


async def open_maildrop(user: IMailUser, exclusive: bool) -> Maildrop:
    """
    The maildrop of a user.

    @raise mailaccess.errors.InUse: another session has it, and C{exclusive} is asked for
    """
    account: Any = user.account
    unlock = await account.lock_maildrop() if exclusive else _nothing
    try:
        mailbox = await account.select("INBOX")
    except BaseException:
        unlock()
        raise
    return Maildrop(mailbox, unlock)


def _nothing() -> None:
    pass
