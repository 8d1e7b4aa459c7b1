"""
Messages of a mailbox as octets, header blocks and structures.

Reading is done at once, from the page cache; long messages and what has to be searched for in a
directory are left to a thread.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Collection, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, TypeVar

from twisted.internet.task import deferLater

from mailaccess.interfaces import Description
from mailaccess.message.header import header_end, picker
from mailaccess.message.lineends import to_crlf
from mailaccess.message.structure import describe
from mailaccess.store import query as q
from mailaccess.store.disk import refusal
from mailaccess.store.maildir import kinds, recall
from mailaccess.store.maildir.ahead import Ahead
from mailaccess.store.maildir.blocks import Kind, Values
from mailaccess.store.maildir.filename import base_of
from mailaccess.store.maildir.helper import HEAD, LONG
from mailaccess.store.maildir.index import from_name
from mailaccess.store.searched import Message

if TYPE_CHECKING:
    from mailaccess.store.maildir.shared import SharedMailbox

_AHEAD = 128
_REMEMBERED = 4096
_SLICE = 0.01


_T = TypeVar("_T")


class Reader:
    """
    What sessions read of a mailbox.

    @ivar incomplete: a search missed text that could be kept
    @ivar some_gone: UIDs may be asked for whose messages were expunged
    """

    def __init__(self, shared: SharedMailbox) -> None:
        self._shared = shared
        self.incomplete = False
        self.some_gone = False
        self._structures = Ahead(shared, "describe", self.name)
        self._lists = Ahead(shared, "list", self.name)

    def name(self, uid: int) -> str | None:
        """
        The file name of a message, as the record has it; the following ones are remembered too.
        """
        names = self._shared.names
        found = names.get(uid)
        if found is None:
            if len(names) > _REMEMBERED:
                names.clear()
            with self._shared.account.reading():
                rows = self._shared.account.index.run(
                    "SELECT uid, name FROM file WHERE mailbox = ? AND uid >= ?"
                    " ORDER BY uid LIMIT ?",
                    (self._shared.box.id, uid, _AHEAD),
                ).fetchall()
            names.update((number, from_name(name)) for number, name in rows)
            found = names.get(uid)
        return found

    def at_once(self, uid: int) -> bytes | None:
        """
        A message with CRLF line ends that is not long and whose file is where it was, else None.
        """
        shared = self._shared
        name = shared.names.get(uid) or self.name(uid)
        if name is None:
            return None
        try:
            data = shared.account.tree.disk.read_short(name, shared.cur(), LONG)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise refusal(error, f"message {uid}") from error
        return None if data is None else to_crlf(data)

    async def octets(self, uid: int) -> bytes | None:
        """
        A whole message with CRLF line ends, or None.
        """
        data = self.at_once(uid)
        if data is None:
            data = await self._shared.account.in_thread(self._read_crlf, uid, self.name(uid))
            if data is None:
                data = await self._again(uid)
        return data

    def _read_crlf(self, uid: int, name: str | None) -> bytes | None:
        data = self._read(uid, name, -1)
        return None if data is None else to_crlf(data)

    def _read(self, uid: int, name: str | None, limit: int) -> bytes | None:
        if name is None:
            return None
        shared = self._shared
        try:
            return shared.account.tree.disk.read(name, shared.cur(), limit)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise refusal(error, f"message {uid}") from error

    async def _again(self, uid: int) -> bytes | None:
        """
        Read a message whose file is not where it was: renamed by us or by another program.
        """
        shared = self._shared
        shared.names.pop(uid, None)
        for _ in range(3):
            name = self.name(uid)
            if name is None:
                return None
            data = await shared.account.in_thread(self._read_crlf, uid, name)
            if data is not None:
                return data
            found = await shared.account.in_thread(self._locate, name)
            if found is None:
                shared.names.pop(uid, None)
                continue
            shared.names[uid] = found
        return None

    def _locate(self, name: str) -> str | None:
        base = base_of(name)
        tree = self._shared.account.tree
        for below in ("cur", "new"):
            with tree.open(self._shared.box.directory, below) as at:
                for found in tree.disk.listdir(at):
                    if base_of(found) == base:
                        return found
        return None

    async def matching(
        self, uids: Sequence[int], test: Callable[[int, Message], bool]
    ) -> Sequence[bool]:
        """
        Which messages pass a test; reads and decides in a thread.
        """
        names = [self.name(uid) for uid in uids]
        found: list[bool] = []
        while len(found) < len(uids):
            missing = await self._shared.account.in_thread(self._match, uids, names, test, found)
            if missing:
                # Renamed since: found by its base, and decided here.
                data = await self.octets(uids[len(found)])
                decide = partial(_decide, test, len(found))
                hit = data is not None and await self._aside(data, decide)
                found.append(hit)
        return found

    def _match(
        self,
        uids: Sequence[int],
        names: Sequence[str | None],
        test: Callable[[int, Message], bool],
        found: list[bool],
    ) -> bool:
        shared = self._shared
        with shared.account.tree.open(shared.box.directory, "cur") as cur:
            for number in range(len(found), len(uids)):
                name = names[number]
                try:
                    data = shared.account.tree.disk.read(name, cur) if name is not None else None
                except FileNotFoundError:
                    data = None
                if data is None:
                    return True
                found.append(test(number, Message(to_crlf(data))))
        return False

    async def headers(self, uids: Sequence[int]) -> Sequence[bytes | None]:
        """
        Header blocks with CRLF; no empty line where the message has none.
        """
        found: list[bytes | None] = []
        until = self._shared.account.seconds() + _SLICE
        for uid in uids:
            data = self._read(uid, self.name(uid), HEAD)
            if data is None or (len(data) == HEAD and header_end(data) == HEAD):
                data = await self.octets(uid)
            if data is not None:
                data = await self._aside(data, _header_of)
            found.append(data)
            until = await self._pause(until)
        return found

    async def _aside(self, data: bytes, work: Callable[[bytes], _T]) -> _T:
        """
        In a thread, if there is so much of it that it would hold up others.
        """
        if len(data) <= LONG:
            return work(data)
        return await self._shared.account.in_thread(work, data)

    async def _pause(self, until: float) -> float:
        account = self._shared.account
        if account.seconds() < until:
            return until
        await deferLater(account.reactor, 0)
        return account.seconds() + _SLICE

    async def describe(self, uids: Sequence[int]) -> Sequence[Description | None]:
        """
        Structures: as they were kept, else computed.
        """
        account = self._shared.account
        kept = account.recall.descriptions(self._token, sorted(uids))
        self._leave_out_gone(kept)
        structures: dict[int, Sequence[bytes] | None] = {}
        missing = sorted(uid for uid in uids if uid not in kept)
        for uid, values in (await self._structures.computed(missing)).items():
            parts = values[kinds.DESCRIPTION.number]
            if parts is not None:
                kept[uid] = Description(*parts)
        until = account.seconds() + _SLICE
        for uid in uids:
            if kept.get(uid) is None:
                data = await self.octets(uid)
                if data is not None:
                    description = await self._aside(data, describe)
                    if uid not in kept:
                        structures[uid] = kinds.described(description)
                    kept[uid] = description
                until = await self._pause(until)
        if structures:
            self._keep({kinds.DESCRIPTION: structures})
        return [kept.get(uid) for uid in uids]

    async def fields(self, uids: Sequence[int], names: Collection[bytes]) -> Sequence[bytes | None]:
        """
        Header fields of these names, as they were kept where they are usual ones, with an empty
        line after them.
        """
        pick = picker(names, False)
        if not kinds.are_usual(names):
            return [
                None if each is None else await self._aside(each, pick)
                for each in await self.headers(uids)
            ]
        kept = self._shared.account.recall.fields(self._token, sorted(uids), names)
        self._leave_out_gone(kept)
        computed = await self._lists.computed(sorted(uid for uid in uids if uid not in kept))
        kept.update(kinds.picked_of(computed, names))
        missing = [uid for uid in uids if kept.get(uid) is None]
        if missing:
            fresh: dict[int, Sequence[bytes] | None] = {}
            for uid, header in zip(missing, await self.headers(missing), strict=True):
                if header is not None:
                    if uid not in kept:
                        fresh[uid] = await self._aside(header, kinds.usual_fields)
                    kept[uid] = await self._aside(header, pick)
            self._keep({kinds.FIELDS: fresh})
        return [kept.get(uid) for uid in uids]

    async def kept(self, key: q.Query, uids: Sequence[int]) -> tuple[bytes, bytes]:
        """
        What is known of a search key; in a thread.
        """
        account = self._shared.account
        asked = uids if isinstance(uids, array) else array("I", uids)
        hits, known, incomplete = await account.in_thread(
            recall.search, account.recall.path, self._token, key, asked
        )
        self.incomplete = self.incomplete or incomplete
        if self.some_gone:
            there = set(self._shared.columns.rows().uids)
            hits = bytes(hit and uid in there for uid, hit in zip(asked, hits, strict=True))
        return hits, known

    def _leave_out_gone(self, kept: dict[int, _T]) -> None:
        """
        What is kept of messages that were expunged is nobody's business.
        """
        if self.some_gone:
            find = self._shared.columns.find
            for uid in [uid for uid in kept if find(uid) < 0]:
                del kept[uid]

    @property
    def _token(self) -> int:
        return self._shared.box.token

    def _keep(self, found: Mapping[Kind, Values]) -> None:
        account = self._shared.account
        account.accounts.keeper.keep(account.recall.path, self._token, found)


def _header_of(data: bytes) -> bytes:
    return to_crlf(data[: header_end(data)])


def _decide(test: Callable[[int, Message], bool], place: int, data: bytes) -> bool:
    return test(place, Message(data))
