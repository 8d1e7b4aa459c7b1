"""
Making the text of a mailbox ready to be searched, some messages at a time, in a thread.

Begun after a search that missed it. One mailbox of a process at a time, with pauses: it may take
minutes, and nobody waits for it.
"""

from __future__ import annotations

import contextlib
import errno
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING

import apsw
import attrs
from twisted.internet.defer import Deferred

from mailaccess.errors import StoreFailed
from mailaccess.message.header import header_end
from mailaccess.message.lineends import to_crlf
from mailaccess.store.disk import Tree
from mailaccess.store.maildir import derived, index, kinds
from mailaccess.store.maildir.blocks import Kind, numbers_of
from mailaccess.store.maildir.derived import Derived
from mailaccess.store.maildir.helpers import Helpers
from mailaccess.store.searched import Message

if TYPE_CHECKING:
    from mailaccess.store.maildir.shared import SharedMailbox

_CHUNK_BITS = 7
_LONGEST = 16 * 1024 * 1024
_TELL = 10.0
_PAUSE = 0.5
_KINDS = (*kinds.SEARCHED, kinds.FIELDS)


@attrs.frozen
class Place:
    """
    Whose text, and where it is kept.

    @ivar limit: octets of the database, at most
    """

    helpers: Helpers
    tree: Tree
    index: str
    text: str
    mailbox: int
    directory: str
    token: int
    limit: int


class Filling:
    """
    For one mailbox.

    @ivar running: begun, or waiting for its turn
    """

    def __init__(self, shared: SharedMailbox) -> None:
        self._shared = shared
        self.running = False

    def start(self) -> None:
        """
        Have the text of all messages kept, when it is this mailbox's turn.
        """
        if not self.running:
            self.running = True
            account = self._shared.account
            filling: Deferred[None] = account.accounts.filling.run(self._run)
            filling.addErrback(account.failed, "keeping text")

    def _run(self) -> Deferred[None]:
        async def run() -> None:
            try:
                await fill(self._shared)
            finally:
                self.running = False

        return Deferred.fromCoroutine(run())


async def fill(shared: SharedMailbox) -> None:
    """
    Keep the text of all messages of a mailbox that it is not kept of.
    """
    account = shared.account
    place = Place(
        helpers=account.accounts.helpers,
        tree=account.tree,
        index=account.ledger.path,
        text=account.recall.path,
        mailbox=shared.box.id,
        directory=shared.box.directory,
        token=shared.box.token,
        limit=account.options.text_limit,
    )
    uids = list(shared.columns.rows().uids)
    began = told = account.seconds()
    at = done = 0
    while at < len(uids) and not account.dead and account.accounts.has(account):
        end = at
        while end < len(uids) and uids[end] >> _CHUNK_BITS == uids[at] >> _CHUNK_BITS:
            end += 1
        start = account.seconds()
        count = await account.in_thread(_chunk, place, uids[at:end])
        if count < 0:
            account.log.warn("text of {user} fills its room: the rest is read", user=account.name)
            break
        done += count
        at = end
        now = account.seconds()
        if now - told >= _TELL:
            told = now
            account.log.info(
                "making {mailbox} of {user} ready to be searched: {at} of {total} messages",
                mailbox=shared.name,
                user=account.name,
                at=at,
                total=len(uids),
            )
        # A third of the time is for others.
        pause: Deferred[None] = Deferred()
        # Also if the account is closed by then: others wait for their turn.
        seconds = (now - start) * _PAUSE if count else 0
        account.accounts.later(seconds, partial(pause.callback, None))
        await pause
    if told > began:
        account.log.info(
            "{mailbox} of {user}: text of {done} messages kept in {seconds:.0f} s",
            mailbox=shared.name,
            user=account.name,
            done=done,
            seconds=account.seconds() - began,
        )
    if done and not account.dead:
        await account.in_thread(_tidy, place, uids)


def _chunk(place: Place, uids: Sequence[int]) -> int:
    """
    Keep what is missing of these messages; of how many, or -1 if there is no room.
    """
    with _text(place) as database:
        missing = _missing(database, place.token, uids)
        if not missing:
            return 0
        if database.octets() > place.limit:
            database.evict(kinds.SEARCHED, place.token)
            if database.octets() > place.limit:
                return -1
    found: dict[Kind, dict[int, Sequence[bytes] | None]] = {kind: {} for kind in _KINDS}
    names = _names(place, missing)
    helped = place.helpers.ask("search", place.tree, place.directory, [name for _, name in names])
    rest = []
    for pair, parts in zip(names, helped, strict=True):
        if isinstance(parts, dict):
            for kind in _KINDS:
                found[kind][pair[0]] = parts[kind.number]
        else:
            rest.append(pair)
    for uid, data in _read(place, rest):
        values: Mapping[Kind, Sequence[bytes] | None] = dict.fromkeys(_KINDS)
        if data is not None:
            header = data[: header_end(data)]
            values = kinds.texts_of(Message(data), data)
            values = {**values, kinds.FIELDS: kinds.usual_fields(header)}
        for kind, value in values.items():
            found[kind][uid] = value
    with _text(place) as database:
        database.keep(place.token, found)
    return len(missing)


@contextlib.contextmanager
def _text(place: Place) -> Iterator[Derived]:
    # Its damage must not be taken for damage of the record.
    try:
        with derived.mending(place.text):
            database = derived.to_write(place.text)
            try:
                yield database
            finally:
                database.close()
    except apsw.Error as error:
        raise StoreFailed(detail=f"text: {error}") from error


def _missing(database: Derived, token: int, uids: Sequence[int]) -> list[int]:
    missing: set[int] = set()
    for kind in kinds.SEARCHED:
        for number in numbers_of(kind, uids):
            asked = {uid for uid in uids if uid >> kind.bits == number}
            block = database.block(kind, token, number)
            if block is not None:
                asked.difference_update(block.uids, block.long)
            missing |= asked
    return sorted(missing)


def _names(place: Place, uids: Sequence[int]) -> list[tuple[int, str]]:
    connection = index.connect(place.index, writer=False)
    try:
        names = index.Index(connection).names(place.mailbox, index.ranges_of(uids))
    finally:
        connection.close(True)
    wanted = set(uids)
    return [pair for pair in names if pair[0] in wanted]


def _read(place: Place, names: Iterable[tuple[int, str]]) -> Iterator[tuple[int, bytes | None]]:
    """
    Messages that are where the record has them; None for one that is too long, or no file.
    """
    with place.tree.open(place.directory, "cur") as cur:
        for uid, name in names:
            try:
                data = place.tree.disk.read(name, cur, _LONGEST)
            except FileNotFoundError:
                continue
            except OSError as error:
                if error.errno not in (errno.ELOOP, errno.EACCES):
                    raise
                yield uid, None
                continue
            yield uid, to_crlf(data) if len(data) < _LONGEST else None


def _tidy(place: Place, uids: Sequence[int]) -> None:
    """
    Remove what is kept of messages and mailboxes that went.
    """
    connection = index.connect(place.index, writer=False)
    try:
        tokens = [token for (token,) in connection.execute("SELECT token FROM mailbox")]
    finally:
        connection.close(True)
    with _text(place) as database:
        database.forget(tokens)
        for kind in kinds.ALL:
            database.tidy(place.token, kind, numbers_of(kind, uids))
