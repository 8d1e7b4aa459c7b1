"""
The second database of an account, C{text.db}: what was computed from messages, in blocks.

It can be deleted, truncated or garbled at any time: what is missing is computed again. So nothing
waits for the disk here, and who cannot read or write it goes on without. Blocks are found by the
token of their mailbox, which no other mailbox ever has, and by their UIDs, which no other message
of it ever has: what is found there cannot be of another message.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable, Iterator, Mapping

import apsw

from mailaccess.store.maildir import blocks, index
from mailaccess.store.maildir.blocks import Block, Kind, Values

FILE = "text.db"

_APPLICATION = 0x6D616374
_VERSION = 1
_PAGE = 65536
"""Blocks are long: with small pages, putting their pieces together takes most of the time."""
_CHECKPOINT_PAGES = 128
_LARGEST = 64 * 1024 * 1024
_BUSY_MILLISECONDS = 10_000

_SCHEMA = """
CREATE TABLE block(
    id INTEGER PRIMARY KEY, token INTEGER NOT NULL, kind INTEGER NOT NULL, number INTEGER NOT NULL,
    sum INTEGER NOT NULL, head BLOB NOT NULL, data BLOB NOT NULL);
CREATE UNIQUE INDEX place ON block(token, kind, number);
"""
# One block at a time: a garbled tree must not lead a long way.
_FIND = "SELECT sum, head, data FROM block WHERE token = ? AND kind = ? AND number = ? LIMIT 1"


class Derived:
    """
    One connection, for one thread at a time. Errors are C{apsw.Error}.
    """

    def __init__(self, connection: apsw.Connection, inode: int) -> None:
        self.connection = connection
        self.inode = inode
        self._run = connection.execute

    def close(self) -> None:
        """
        Let go.
        """
        self.connection.close(True)

    def is_at(self, path: str) -> bool:
        """
        Whether it was not taken away or replaced.
        """
        return index.inode_of(path) == self.inode

    def block(self, kind: Kind, token: int, number: int) -> Block | None:
        """
        A block, if there is one that is right.
        """
        row = self._run(_FIND, (token, kind.number, number)).fetchone()
        return blocks.unpack(kind, token, number, row)

    def keep(self, token: int, found: Mapping[Kind, Values]) -> None:
        """
        Add values to those that are kept.
        """
        self._run("BEGIN IMMEDIATE")
        try:
            for kind, values in found.items():
                self._merge(kind, token, values)
            self._run("COMMIT")
        except BaseException:
            with contextlib.suppress(apsw.Error):
                self._run("ROLLBACK")
            raise

    def _merge(self, kind: Kind, token: int, values: Values) -> None:
        by_number: dict[int, dict[int, object]] = {}
        for uid in values:
            by_number.setdefault(uid >> kind.bits, {})[uid] = values[uid]
        for number, part in by_number.items():
            old = self.block(kind, token, number)
            known = {} if old is None else dict(old.values())
            known.update(part)  # type: ignore[arg-type]
            self._run(
                "INSERT OR REPLACE INTO block(token, kind, number, sum, head, data)"
                " VALUES(?, ?, ?, ?, ?, ?)",
                (token, kind.number, number, *blocks.pack(kind, token, number, known)),
            )

    def tidy(self, token: int, kind: Kind, alive: Iterable[int]) -> None:
        """
        Remove the blocks of a mailbox but for some, which have messages that are there.
        """
        rows = self._run(
            "SELECT number FROM block WHERE token = ? AND kind = ?", (token, kind.number)
        )
        for number in {number for (number,) in rows}.difference(alive):
            self._run(
                "DELETE FROM block WHERE token = ? AND kind = ? AND number = ?",
                (token, kind.number, number),
            )

    def octets(self) -> int:
        """
        Size of the database.
        """
        free = self.connection.pragma("freelist_count")
        return int((self.connection.pragma("page_count") - free) * _PAGE)

    def forget(self, tokens: Iterable[int]) -> None:
        """
        Remove all blocks of mailboxes that are not among these.
        """
        kept = set(tokens)
        found = {token for (token,) in self._run("SELECT DISTINCT token FROM block")}
        for token in found - kept:
            self._run("DELETE FROM block WHERE token = ?", (token,))

    def evict(self, kinds: Iterable[Kind], token: int) -> None:
        """
        Remove the blocks of some kinds of all other mailboxes.
        """
        for kind in kinds:
            self._run("DELETE FROM block WHERE kind = ? AND token <> ?", (kind.number, token))


def to_read(path: str) -> Derived | None:
    """
    The database, if there is one; never waits for anybody.
    """
    inode = index.inode_of(path)
    if not inode:
        return None
    connection = _connect(path)
    try:
        connection.set_busy_timeout(0)
        # Whoever closes last would write everything back.
        connection.config(apsw.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1)
        if connection.pragma("user_version") == _VERSION:
            return Derived(connection, inode)
    except BaseException:
        connection.close(True)
        raise
    connection.close(True)
    return None


def to_write(path: str) -> Derived:
    """
    The database, made if there is none or it is of another version; in a thread.
    """
    # One that is there is not opened here: closing it would take away the locks that other
    # connections of this process have.
    with contextlib.suppress(FileExistsError):
        flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        os.close(os.open(path, flags, 0o600))
    inode = index.inode_of(path)
    connection = _connect(path)
    try:
        connection.set_busy_timeout(_BUSY_MILLISECONDS)
        connection.pragma("wal_autocheckpoint", _CHECKPOINT_PAGES)
        if connection.pragma("user_version") != _VERSION:
            _make(connection)
        return Derived(connection, inode)
    except BaseException:
        connection.close(True)
        raise


def _make(connection: apsw.Connection) -> None:
    if connection.execute("SELECT 1 FROM sqlite_schema LIMIT 1").fetchone():
        raise apsw.CorruptError("another version")
    connection.pragma("page_size", _PAGE)
    connection.pragma("journal_mode", "WAL")
    connection.execute("BEGIN IMMEDIATE")
    if connection.pragma("user_version") != _VERSION:
        connection.execute(_SCHEMA)
        connection.pragma("application_id", _APPLICATION)
        connection.pragma("user_version", _VERSION)
    connection.execute("COMMIT")


def _connect(path: str) -> apsw.Connection:
    flags = apsw.SQLITE_OPEN_READWRITE | apsw.SQLITE_OPEN_NOFOLLOW | apsw.SQLITE_OPEN_NOMUTEX
    connection = apsw.Connection(path, flags=flags, statementcachesize=16)
    connection.limit(apsw.SQLITE_LIMIT_LENGTH, _LARGEST)
    connection.pragma("synchronous", "OFF")
    connection.pragma("cache_size", -1024)
    connection.pragma("cell_size_check", True)
    return connection


def remove(path: str, inode: int) -> None:
    """
    Have a database made anew, unless that happened already.
    """
    if index.inode_of(path) == inode:
        for suffix in ("", "-wal", "-shm"):
            with contextlib.suppress(FileNotFoundError):
                os.unlink(path + suffix)


@contextlib.contextmanager
def mending(path: str) -> Iterator[None]:
    """
    Remove a database that turns out to be damaged; the error goes on.
    """
    inode = index.inode_of(path)
    try:
        yield
    except apsw.Error as error:
        if index.is_damage(error):
            remove(path, inode)
        raise
