"""
An import: from a source into an account, batch by batch.
"""

from __future__ import annotations

import hashlib
from bisect import bisect_left
from collections.abc import Awaitable, Callable, Iterator, Sequence
from typing import Any

import attrs

from mailaccess.errors import LimitReached, NoSuchMailbox, Refused
from mailaccess.interfaces import SYSTEM_FLAGS, IAccount

from .journal import Batch, Journal
from .source import KEYWORD, Folder, Message, Source

MOST_MESSAGES = 200
MOST_OCTETS = 8 << 20
"""Of a batch, which is made durable at once."""

_SYSTEM = frozenset(each.lower() for each in SYSTEM_FLAGS)


@attrs.define
class Brought:
    """
    What became of a folder.

    @ivar already: messages that were here before
    @ivar left_out: places of messages that cannot be kept, and why
    """

    name: str
    messages: int = 0
    octets: int = 0
    already: int = 0
    left_out: list[str] = attrs.field(factory=list)


class Import:
    """
    One run.
    """

    def __init__(
        self,
        source: Source,
        account: Any,
        journal: Journal,
        in_thread: Callable[..., Awaitable[Any]],
        message_size: int,
        progress: Callable[[Folder, int, float], object] = lambda folder, count, part: None,
        hidden: Sequence[str] = (),
    ) -> None:
        """
        @param account: an L{IAccount<mailaccess.interfaces.IAccount>}
        @param in_thread: calls a function with its arguments in a thread
        @param message_size: octets of the largest message that is kept
        @param progress: told the folder, messages so far, and how much of it has been read
        @param hidden: beginnings of names that lead elsewhere: a mailbox of the account with such a
            name is seen by nobody
        """
        assert IAccount.providedBy(account)
        self._source = source
        self._account = account
        self._journal = journal
        self._in_thread = in_thread
        self._most = message_size
        self._progress = progress
        self._hidden = hidden
        self.brought: list[Brought] = []

    async def run(self) -> Sequence[Brought]:
        """
        Bring everything that is not here yet.

        @raise mailaccess.services.imports.source.CannotImport: the source cannot be read further
        @raise mailaccess.errors.Refused: the account takes no more
        """
        await self._settle()
        folders = await self._in_thread(self._source.folders)
        there = {each.name for each in await self._account.mailboxes() if each.selectable}
        subscribed = set(await self._account.subscriptions())
        for folder in folders:
            space = next((each for each in self._hidden if f"{folder.name}/".startswith(each)), "")
            if space:
                why = f"its name leads into the namespace {space}; give it another name there"
                self.brought.append(Brought(folder.name, left_out=[why]))
                continue
            if folder.name not in there:
                try:
                    await self._account.create(folder.name)
                except Refused as refused:
                    why = f"the mailbox cannot be made: {refused.public}"
                    self.brought.append(Brought(folder.name, left_out=[why]))
                    continue
                there.add(folder.name)
            if folder.subscribed and folder.name not in subscribed:
                await self._account.subscribe(folder.name)
            await self._folder(folder)
        return self.brought

    async def _settle(self) -> None:
        """
        Find out what became of the batch that an earlier run did not end.
        """
        batch = self._journal.unfinished
        if batch is None:
            return
        found: set[str] = set()
        try:
            mailbox = await self._account.select(batch.folder, True)
        except NoSuchMailbox:
            mailbox = None
        if mailbox is not None:
            try:
                uids = mailbox.rows.uids
                for uid in uids[bisect_left(uids, batch.next_uid) :]:
                    found.add(digest(await mailbox.octets(uid)))
            finally:
                mailbox.close()
        kept = [key for key, mine in zip(batch.keys, batch.digests, strict=True) if mine in found]
        await self._in_thread(self._journal.end, kept)

    async def _folder(self, folder: Folder) -> None:
        done = self._journal.done(folder.name)
        brought = Brought(folder.name, already=len(done))
        self.brought.append(brought)
        messages = self._source.messages(folder, frozenset(done))
        while batch := await self._in_thread(_next_batch, messages):
            await self._keep(folder, batch, brought)
            self._progress(folder, brought.messages, batch[-1].fraction)

    async def _keep(self, folder: Folder, batch: Sequence[Message], brought: Brought) -> None:
        status = await self._account.status(folder.name)
        kept = []
        for each in batch:
            if len(each.data) > self._most:
                text = f"message {each.key}: {len(each.data)} octets are more than message_size"
                brought.left_out.append(text)
            else:
                kept.append(each)
        keys = [each.key for each in kept]
        digests = [digest(each.data) for each in kept]
        noted = Batch(folder.name, keys, digests, status.uid_next)
        await self._in_thread(self._journal.begin, noted)
        if kept:
            try:
                await self._append(folder, kept, keywords=True)
            except LimitReached:
                await self._append(folder, kept, keywords=False)
                brought.left_out.append("keywords: there are more than a mailbox can have here")
        await self._in_thread(self._journal.end, keys)
        brought.messages += len(kept)
        brought.octets += sum(len(each.data) for each in kept)

    async def _append(self, folder: Folder, kept: Sequence[Message], *, keywords: bool) -> None:
        upload = await self._account.upload(folder.name)
        try:
            for each in kept:
                flags = [it for it in each.flags if _is_kept(it, keywords=keywords)]
                upload.begin(len(each.data), flags, each.date)
                waiting = upload.write(each.data)
                if waiting is not None:
                    await waiting
            await upload.commit()
        finally:
            upload.abort()


def _is_kept(flag: str, *, keywords: bool) -> bool:
    return flag.lower() in _SYSTEM or (keywords and KEYWORD.fullmatch(flag) is not None)


def digest(data: bytes) -> str:
    """
    Of a message with CRLF line ends, as the journal notes it.
    """
    return hashlib.blake2b(data, digest_size=12).hexdigest()


def _next_batch(messages: Iterator[Message]) -> list[Message]:
    found: list[Message] = []
    octets = 0
    for each in messages:
        found.append(each)
        octets += len(each.data)
        if len(found) >= MOST_MESSAGES or octets >= MOST_OCTETS:
            break
    return found
