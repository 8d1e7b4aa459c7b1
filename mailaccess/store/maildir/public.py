"""
Mailboxes that many share, as one session sees them: rights are kept to, and C{\\Seen} is each
user's own.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import TYPE_CHECKING, Any, Protocol

import attrs
from zope.interface import implementer

from mailaccess.errors import MailboxReadOnly, NotPermitted
from mailaccess.interfaces import (
    NO_CHANGES,
    SYSTEM_FLAGS,
    Appended,
    Changes,
    Copied,
    Description,
    IMailbox,
    IMovesMessages,
    IUpload,
    Stored,
)
from mailaccess.store.maildir import watch
from mailaccess.store.maildir.columns import Rows
from mailaccess.store.maildir.routed import RoutedMailbox, Routes
from mailaccess.store.maildir.seen import (
    MarkSeen,
    Ranges,
    SeenByUser,
    joined,
    rows_in,
    with_seen,
    without,
)
from mailaccess.store.rights import FLAG_RIGHTS, LOOK, Rights, right_for

if TYPE_CHECKING:
    from mailaccess.store.maildir.account import MaildirAccount
    from mailaccess.store.maildir.shared import SharedMailbox

_FEW = 1000

_WRITES = frozenset("iewt")
"""Rights to change what all see (RFC 4314 section 5.2)."""


class Branch(Protocol):
    """
    One user's part in a namespace.
    """

    personal: MaildirAccount

    @property
    def prefix(self) -> str:
        """
        Of its names.
        """

    def rights_now(self, name: str) -> Rights:
        """
        As last read.
        """

    async def rights(self, name: str) -> Rights:
        """
        As they are.
        """


@implementer(IMailbox, IMovesMessages)
class PublicMailbox(RoutedMailbox):
    """
    A mailbox that many share. C{\\Seen} is each user's own; everything else is for all.
    """

    def __init__(
        self,
        shared: SharedMailbox,
        examined: bool,
        routes: Routes,
        branch: Branch,
        name: str,
        seen: SeenByUser,
    ) -> None:
        """
        @param examined: only to look: nothing at all is to change
        @param name: the mailbox, as clients see it
        @param seen: taken in
        """
        self._branch = branch
        self._examined = examined
        self._seen = seen
        self._untold: Ranges = ()
        self._overlaid: tuple[object, Rows] | None = None
        rights = branch.rights_now(name)
        super().__init__(shared, examined or not rights & _WRITES, routes)
        self._told_rights = self.rights

    @property
    def name(self) -> str:
        """
        The mailbox, as clients see it.
        """
        return self._branch.prefix + self._shared.name

    # ---- rights --------------------------------------------------------------------------------

    @property
    def rights(self) -> Rights:
        """
        What may be done now.
        """
        rights = self._branch.rights_now(self.name)
        return rights & LOOK if self._examined else rights

    async def _need(self, letters: str) -> None:
        if self._examined and set(letters) - {"l", "r"}:
            raise MailboxReadOnly
        if not (await self._branch.rights(self.name)).issuperset(letters):
            raise NotPermitted

    # ---- what this user has seen ---------------------------------------------------------------

    @property
    def rows(self) -> Rows:
        """
        The rows, with this user's C{\\Seen}.
        """
        state = self._rows, self._shared.version, self._seen.version
        if self._overlaid is None or self._overlaid[0] != state:
            flags = with_seen(self._rows.flags, self._rows.uids, self._seen.ranges)
            self._overlaid = state, attrs.evolve(self._rows, flags=flags)
        return self._overlaid[1]

    @rows.setter
    def rows(self, rows: Rows) -> None:
        self._rows = rows

    def pending(self, expunges: bool) -> bool:
        """
        Whether L{sync} has something to do.
        """
        return super().pending(expunges) or self._seen.stale() or self.rights != self._told_rights

    async def sync(self, *, expunges: bool = True) -> Changes:
        """
        Take in what others did, and what this user saw elsewhere.
        """
        if "r" not in await self._branch.rights(self.name):
            return self._with_rights(NO_CHANGES)
        changes = await super().sync(expunges=expunges)
        if self._seen.stale():
            known = await self._shared.account.in_thread(self._seen.read)
            self._untold = joined(self._untold, self._seen.take(known))
        if self._untold:
            turned = rows_in(self._untold, self.rows.uids)
            self._untold = ()
            numbers = {row + 1 for first, after in turned for row in range(first, after)}
            changes = attrs.evolve(changes, changed=sorted(numbers.union(changes.changed)))
        return self._with_rights(changes)

    def _with_rights(self, changes: Changes) -> Changes:
        """
        If there are others, FLAGS and PERMANENTFLAGS are told again (RFC 4314 section 5.1.1).
        """
        rights, self._told_rights = self._told_rights, self.rights
        return attrs.evolve(changes, keywords=True) if rights != self._told_rights else changes

    def watch(self, callback: Callable[[], None]) -> Callable[[], None]:
        """
        Call when there may be something to tell, also of what this user saw elsewhere.
        """
        mine = self._branch.personal

        def stirred() -> None:
            if self._seen.stale():
                callback()

        ends = [
            super().watch(callback),
            mine.kernel.add(mine.bell, watch.ATTRIBUTES, stirred) or mine.poll(stirred),
        ]

        def end() -> None:
            for each in ends:
                each()
            ends.clear()

        self._ends.append(end)
        stirred()
        return end

    # ---- changing ------------------------------------------------------------------------------

    async def store(
        self,
        uids: Sequence[int],
        operation: str,
        flags: Collection[str],
        unchanged_since: int | None = None,
    ) -> Stored:
        """
        Change those flags that there is a right to change (RFC 4314 section 4).

        @raise NotPermitted: there is none for any of them
        """
        if self._examined:
            raise MailboxReadOnly
        rights = await self._branch.rights(self.name) & FLAG_RIGHTS
        mine = [flag for flag in flags if right_for(flag) in rights]
        if not (mine if flags else rights):
            raise NotPermitted
        seen = any(right_for(flag) == "s" for flag in mine)
        rest = [flag for flag in mine if right_for(flag) != "s"]
        wanted = sorted(set(uids))
        stored = await self._store_for_all(wanted, operation, rest, rights, unchanged_since)
        if seen or (operation == "set" and "s" in rights):
            left = set(stored.conflicts)
            marked = [uid for uid in self._still_there(wanted) if uid not in left]
            await self._mark(marked, seen=seen and operation != "remove")
        return stored

    async def _store_for_all(
        self,
        uids: Sequence[int],
        operation: str,
        flags: list[str],
        rights: Rights,
        unchanged_since: int | None,
    ) -> Stored:
        """
        What all see, without C{\\Seen}. A C{set} without all rights leaves the others' flags alone:
        what is to go is removed first, which may meet conflicts, then what is to come is added.
        """
        if operation == "set" and not rights >= {"t", "w"}:
            keep = {flag.lower() for flag in flags}
            known = [*SYSTEM_FLAGS, *self.keywords] if rights & {"t", "w"} else []
            drop = [
                flag
                for flag in known
                if right_for(flag) in rights - {"s"} and flag.lower() not in keep
            ]
            stored = await self._store_some(uids, "remove", drop, unchanged_since)
            left = [uid for uid in uids if uid not in set(stored.conflicts)]
            await self._store_some(left, "add", flags, None)
            return stored
        if operation == "set":
            return await super().store(uids, operation, flags, unchanged_since)
        return await self._store_some(uids, operation, flags, unchanged_since)

    async def _store_some(
        self, uids: Sequence[int], operation: str, flags: list[str], unchanged_since: int | None
    ) -> Stored:
        if flags:
            return await super().store(uids, operation, flags, unchanged_since)
        late: list[int] = []
        if unchanged_since is not None:
            numbers, modseqs = self._rows.uids, self._rows.modseqs
            rows = [row for row in map(self._row, uids) if row >= 0]
            late = [numbers[row] for row in rows if modseqs[row] > unchanged_since]
        gone = len(self._still_there(uids)) < len(uids)
        return Stored(self._numbers(uids, late, gone) if uids else (), late, gone)

    async def _mark(self, uids: Sequence[int], *, seen: bool) -> None:
        if uids:
            job = MarkSeen(self._seen.name, uids, seen)
            turned = self._seen.take(await self._branch.personal.submit(job))
            # What came along with it is still to be told.
            self._untold = joined(self._untold, without(turned, job.ranges))

    def _still_there(self, uids: Sequence[int]) -> Sequence[int]:
        columns = self._shared.columns
        if len(uids) < _FEW:
            return [uid for uid in uids if columns.find(uid) >= 0]
        there = set(columns.rows().uids)
        return [uid for uid in uids if uid in there]

    async def expunge(self, uids: Collection[int] | None = None) -> Sequence[int]:
        """
        Remove what has C{\\Deleted}.
        """
        await self._need("e")
        return await super().expunge(uids)

    async def remove(self, uids: Collection[int]) -> Sequence[int]:
        """
        Remove messages whatever their flags.
        """
        await self._need("te")
        return await super().remove(uids)

    async def move(self, uids: Sequence[int], destination: str) -> Copied:
        """
        Move messages: takes the rights to delete and expunge (RFC 6851 section 4.2).
        """
        await self._need("te")
        self._must_write()
        return await self._transfer(uids, destination, move=True)

    async def _transfer(self, uids: Sequence[int], destination: str, move: bool) -> Copied:
        # Not even within the account as they are: what the user has seen goes along, and not every
        # flag may.
        return await self._carry(sorted(set(uids)), destination, move)

    # ---- reading -------------------------------------------------------------------------------

    async def copy(self, uids: Sequence[int], destination: str) -> Copied:
        """
        Copy messages.
        """
        await self._need("r")
        return await super().copy(uids, destination)

    async def search(self, query: Any) -> Sequence[int]:
        """
        Sequence numbers that match.
        """
        await self._need("r")
        return await super().search(query)

    async def describe(self, uids: Sequence[int]) -> Sequence[Description | None]:
        """
        Structures.
        """
        await self._need("r")
        return await super().describe(uids)

    async def headers(self, uids: Sequence[int]) -> Sequence[bytes | None]:
        """
        Header blocks.
        """
        await self._need("r")
        return await super().headers(uids)

    async def fields(self, uids: Sequence[int], names: Collection[bytes]) -> Sequence[bytes | None]:
        """
        Header fields.
        """
        await self._need("r")
        return await super().fields(uids, names)

    async def octets(self, uid: int) -> bytes:
        """
        A whole message.
        """
        await self._need("r")
        return await super().octets(uid)


@implementer(IUpload)
@attrs.define(eq=False)
class PublicUpload:
    """
    An upload into a mailbox that many share: flags without a right are left out, for which nothing
    is refused (RFC 4314 section 4).

    @ivar upload: the one it becomes
    @ivar mark: says what of it the user has seen
    """

    upload: Any
    rights: Rights
    mark: Callable[[int, Sequence[int]], Any]
    _seen: list[bool] = attrs.field(factory=list, init=False)

    def begin(self, size: int, flags: Collection[str], date: int | None) -> None:
        """
        Start the next message.
        """
        kept = [flag for flag in flags if right_for(flag) in self.rights]
        shown = [flag for flag in kept if right_for(flag) != "s"]
        self.upload.begin(size, shown, date)
        self._seen.append(len(shown) < len(kept))

    def write(self, data: bytes) -> Any:
        """
        More octets.
        """
        return self.upload.write(data)

    async def commit(self) -> Appended:
        """
        All of it, durable.
        """
        appended: Appended = await self.upload.commit()
        seen = [uid for uid, seen in zip(appended.uids, self._seen, strict=True) if seen]
        if seen:
            await self.mark(appended.uid_validity, seen)
        return appended

    def abort(self) -> None:
        """
        Forget all of it.
        """
        self.upload.abort()
