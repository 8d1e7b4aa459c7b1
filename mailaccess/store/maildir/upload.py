"""
Uploads: octets are kept in memory up to a limit, then in a file in C{tmp}.
"""

from __future__ import annotations

import contextlib
from collections.abc import Awaitable, Callable, Collection, Sequence
from typing import TYPE_CHECKING

from twisted.internet.defer import Deferred
from zope.interface import implementer

from mailaccess.errors import Refused, StoreFailed, TooBig
from mailaccess.interfaces import Appended, IUpload
from mailaccess.store.disk import refusal
from mailaccess.store.maildir.deliver import Deliver, Part
from mailaccess.store.maildir.filename import unique
from mailaccess.store.maildir.ledger import Delta

if TYPE_CHECKING:
    from mailaccess.store.maildir.shared import SharedMailbox

IN_MEMORY = 1024 * 1024
"""Octets of an upload that are kept in memory."""

_FEW = 8
"""
Messages, and no more octets than are kept in memory, that are written where the others are: threads
cost more than they take.
"""


@implementer(IUpload)
class Upload:
    """
    One APPEND into a mailbox.
    """

    def __init__(self, shared: SharedMailbox, limit: int, done: Callable[[], None]) -> None:
        self._shared = shared
        self._limit = limit
        self._done: Callable[[], None] | None = done
        self._parts: list[Part] = []
        self._held = 0
        self._announced = 0
        self._received = 0
        self._failure: Refused | None = None

    def begin(self, size: int, flags: Collection[str], date: int | None) -> None:
        """
        Start the next message.
        """
        if size > self._limit:
            raise TooBig
        self._announced += size
        self._shared.account.usage.need_room(self._announced, len(self._parts) + 1)
        self._received = 0
        self._parts.append(Part(tuple(flags), date))

    def write(self, data: bytes) -> Awaitable[None] | None:
        """
        More octets; a Deferred while they are written to a file.
        """
        if self._failure is not None or self._done is None:
            return None
        self._received += len(data)
        if self._received > self._limit:
            self._fail(TooBig())
            return None
        self._parts[-1].chunks.append(bytes(data))
        self._held += len(data)
        if self._held <= IN_MEMORY:
            return None
        return self._spill()

    def _spill(self) -> Deferred[None]:
        part = self._parts[-1]
        data = b"".join(part.chunks)
        part.chunks.clear()
        self._held -= len(data)
        part.spool = part.spool or f"{unique()}.spool"
        name = part.spool

        def write() -> None:
            tree = self._shared.account.tree
            with tree.open(self._shared.box.directory, "tmp") as tmp:
                descriptor = tree.disk.extend(name, tmp)
                try:
                    tree.disk.write(descriptor, data)
                finally:
                    tree.disk.close(descriptor)

        async def run() -> None:
            try:
                await self._shared.account.in_thread(write)
            except OSError as error:
                self._fail(refusal(error, "upload"))
            except Refused as error:
                self._fail(error)
            if self._done is None:
                # Given up while the thread was writing.
                self._forget([name])

        return Deferred.fromCoroutine(run())

    def _fail(self, reason: Refused) -> None:
        self._failure = reason
        for part in self._parts:
            part.chunks.clear()
        self._held = 0

    async def commit(self) -> Appended:
        """
        All of it, durable.
        """
        if self._done is None:
            raise StoreFailed(detail="upload was ended before")
        if self._failure is not None:
            failure = self._failure
            self.abort()
            raise failure
        shared = self._shared
        parts = self._parts
        try:
            if not parts:
                return Appended(shared.box.uid_validity, ())
            job = Deliver(shared.box.id, shared.box.directory, parts)
            # From here on the job removes what is left behind.
            self._parts = []
            delta = await self._deliver(job)
            shared.apply(delta)
            return Appended(shared.box.uid_validity, [row[0] for row in delta.added])
        finally:
            self.abort()

    async def _deliver(self, job: Deliver) -> Delta:
        account = self._shared.account
        if len(job.parts) <= _FEW and self._announced <= IN_MEMORY:
            delta: Delta = await account.submit(job)
            return delta
        await account.in_thread(job.prepare_ahead, account.ledger)
        try:
            delta = await account.submit(job)
        except Refused:
            # It may not even have been begun. To undo it twice is to undo it.
            await account.in_thread(job.undo, account.ledger)
            raise
        return delta

    def abort(self) -> None:
        """
        Forget all of it.
        """
        if self._done is not None:
            done, self._done = self._done, None
            self._forget([part.spool for part in self._parts if part.spool])
            self._parts = []
            done()

    def _forget(self, spools: Sequence[str]) -> None:
        if not spools:
            return
        tree = self._shared.account.tree
        with contextlib.suppress(OSError), tree.open(self._shared.box.directory, "tmp") as tmp:
            for name in spools:
                with contextlib.suppress(OSError):
                    tree.disk.unlink(name, tmp)
