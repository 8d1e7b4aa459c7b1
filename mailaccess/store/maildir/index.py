"""
The record of an account: one SQLite database in the directory C{mailaccess} of the Maildir.

It can be lost: UIDs come back from each mailbox's list of UIDs, flags from file names. A database
that SQLite calls damaged is set aside under another name and made anew; one that a newer version
wrote is refused and left alone (DS-05, DS-18).

Flag masks, mod-sequences and times (seconds; those of directories in nanoseconds) are integers as
in L{mailaccess.interfaces}. Each change of a mailbox gets one mod-sequence, greater than those
before.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import apsw
import attrs

from mailaccess.errors import InUse, OverQuota, Refused, StoreDamaged, StoreFailed
from mailaccess.interfaces import KEYWORD_BIT
from mailaccess.store.maildir.checksums import CHECKSUMS
from mailaccess.store.maildir.columns import Row

DIRECTORY = "mailaccess"
FILE = "index.db"
BELL = "bell"

MAX_KEYWORDS = 58
"""SQLite's integers are signed: bit 63 of a mask stays free."""

_APPLICATION = 0x6D616361
VERSION = 4
_CHECKED_SIZE = 4 * 1024 * 1024
BUSY_MILLISECONDS = 30_000
_LOG_SIZE = 4 * 1024 * 1024
_CACHE_KILOBYTES = 1024

_SCHEMA = """
CREATE TABLE mailbox(
    id INTEGER PRIMARY KEY,
    directory TEXT NOT NULL UNIQUE,
    uid_validity INTEGER NOT NULL,
    uid_next INTEGER NOT NULL,
    modseq INTEGER NOT NULL,
    first_recent INTEGER NOT NULL DEFAULT 1,
    new_seen INTEGER NOT NULL DEFAULT 0,
    cur_seen INTEGER NOT NULL DEFAULT 0,
    suspect INTEGER NOT NULL DEFAULT 1,
    adopted INTEGER NOT NULL DEFAULT 0,
    mirrored INTEGER NOT NULL DEFAULT 0,
    reserved INTEGER NOT NULL DEFAULT 1,
    token INTEGER NOT NULL DEFAULT (random()),
    horizon INTEGER NOT NULL DEFAULT 0,
    keywords TEXT NOT NULL DEFAULT '[]');
CREATE TABLE message(
    mailbox INTEGER NOT NULL, uid INTEGER NOT NULL, flags INTEGER NOT NULL,
    modseq INTEGER NOT NULL, size INTEGER NOT NULL, date INTEGER NOT NULL,
    PRIMARY KEY(mailbox, uid)) WITHOUT ROWID;
CREATE TABLE file(
    mailbox INTEGER NOT NULL, uid INTEGER NOT NULL, name NOT NULL,
    PRIMARY KEY(mailbox, uid)) WITHOUT ROWID;
CREATE TABLE expunged(
    mailbox INTEGER NOT NULL, modseq INTEGER NOT NULL, uid INTEGER NOT NULL,
    PRIMARY KEY(mailbox, modseq, uid)) WITHOUT ROWID;
CREATE TABLE used(messages INTEGER NOT NULL, octets INTEGER NOT NULL);
INSERT INTO used VALUES(0, 0);
"""


@attrs.define
class Box:
    """
    The row of a mailbox.

    @ivar first_recent: the smallest UID that no session was told of
    @ivar new_seen: time of C{new} at the last look
    @ivar cur_seen: time of C{cur} at the last look, or after our own last change
    @ivar suspect: a look may have missed something: look again when there is time
    @ivar adopted: messages that were there already have been taken in
    @ivar mirrored: changes up to this mod-sequence are in file names
    @ivar reserved: no UID from here on was ever given, also if the list of UIDs lost its end
    @ivar token: no other mailbox ever has it, also none that gets the same number, name or
        UIDVALIDITY: what is kept elsewhere of the messages is found by it
    @ivar horizon: all expunges with a greater mod-sequence are remembered; of those before, some
        may be forgotten
    """

    id: int
    directory: str
    uid_validity: int
    uid_next: int
    modseq: int
    first_recent: int
    new_seen: int
    cur_seen: int
    suspect: bool
    adopted: bool
    mirrored: int
    reserved: int
    token: int
    horizon: int
    keywords: list[str]

    def advance(self, named: bool) -> int:
        """
        The next mod-sequence, for a change; C{named} if file names tell all of it already.
        """
        if named and self.mirrored == self.modseq:
            self.mirrored += 1
        self.modseq += 1
        return self.modseq

    def keyword_bit(self, name: str) -> int:
        """
        The bit of a keyword, or 0; case does not matter (RFC 9051 section 2.3.2).
        """
        folded = name.lower()
        for index, known in enumerate(self.keywords):
            if known.lower() == folded:
                return 1 << (KEYWORD_BIT + index)
        return 0

    @property
    def letters(self) -> dict[str, int]:
        """
        Bits by the letters that stand for the first 26 keywords in file names.
        """
        return {chr(97 + i): 1 << (KEYWORD_BIT + i) for i in range(min(26, len(self.keywords)))}


_FIELDS = [field.name for field in attrs.fields(Box)]
_SELECT = f"SELECT {', '.join(_FIELDS)} FROM mailbox WHERE "  # noqa: S608
_UPDATE = f"UPDATE mailbox SET {', '.join(f'{field} = ?' for field in _FIELDS[1:])} WHERE id = ?"  # noqa: S608


def is_damage(error: BaseException) -> bool:
    """
    Whether an error means that the database cannot be used any more.
    """
    if isinstance(error, apsw.IOError):
        return getattr(error, "extendedresult", 0) == apsw.SQLITE_IOERR_DATA
    return isinstance(error, apsw.CorruptError | apsw.NotADBError | apsw.FormatError)


def refusal(error: apsw.Error) -> Refused:
    """
    What to tell a client of an error of the database.
    """
    detail = f"index: {type(error).__name__}: {error}"
    if isinstance(error, apsw.FullError):
        return OverQuota(detail=detail)
    if isinstance(error, apsw.BusyError):
        # Somebody held the record for longer than anybody should (DS-13).
        return InUse(detail=detail)
    return StoreFailed(detail=detail)


def connect(path: str, writer: bool) -> apsw.Connection:
    """
    A connection to a database that was prepared.
    """
    flags = apsw.SQLITE_OPEN_READWRITE | apsw.SQLITE_OPEN_NOFOLLOW | apsw.SQLITE_OPEN_NOMUTEX
    connection = apsw.Connection(
        path, flags=flags, vfs=CHECKSUMS.vfs or None, statementcachesize=64
    )
    connection.set_busy_timeout(BUSY_MILLISECONDS if writer else 1000)
    connection.pragma("synchronous", "FULL")
    connection.pragma("temp_store", "MEMORY")
    if writer:
        connection.pragma("journal_size_limit", _LOG_SIZE)
    else:
        connection.pragma("cache_size", -_CACHE_KILOBYTES)
        # Whoever closes last would write everything back and sync: never the reactor.
        connection.config(apsw.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1)
    return connection


def prepare(path: str) -> bool:
    """
    Make sure that there is a usable database; to be called in a thread. Returns whether a new one
    was made.

    @raise StoreDamaged: a newer version wrote it
    """
    # Switching to a write-ahead log fails at once if another process does the same.
    lock = os.open(f"{path}.lock", os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        return _prepare_or_replace(path)
    finally:
        os.close(lock)


def _prepare_or_replace(path: str) -> bool:
    inode = inode_of(path)
    try:
        return _prepare(path)
    except apsw.Error as error:
        if not is_damage(error):
            raise refusal(error) from error
        set_aside(path, inode)
        try:
            return _prepare(path)
        except apsw.Error as again:
            raise refusal(again) from again


def _prepare(path: str) -> bool:
    # SQLite would take the umask's word for who may read it, and its other files go by this one.
    # One that is there is not opened here: closing it would take away the locks that other
    # connections of this process have, and the next process to leave would remove their log.
    with contextlib.suppress(FileExistsError):
        flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        os.close(os.open(path, flags, 0o600))
    flags = apsw.SQLITE_OPEN_READWRITE | apsw.SQLITE_OPEN_NOFOLLOW
    connection = apsw.Connection(path, flags=flags, vfs=CHECKSUMS.vfs or None)
    try:
        connection.set_busy_timeout(BUSY_MILLISECONDS)
        version = connection.pragma("user_version")
        if version > VERSION:
            raise StoreDamaged(detail=f"index version {version} is newer than {VERSION}")
        if 0 < version < VERSION:
            # No version that was released: what Maildir and lists of UIDs tell is enough.
            raise apsw.CorruptError(f"index version {version}")
        if version == VERSION:
            CHECKSUMS.check(connection)
            if os.path.getsize(path) <= _CHECKED_SIZE:
                found = connection.execute("PRAGMA quick_check(1)").fetchone()
                if found != ("ok",):
                    raise apsw.CorruptError(str(found))
            return False
        CHECKSUMS.begin(connection)
        connection.pragma("journal_mode", "WAL")
        connection.pragma("synchronous", "FULL")
        connection.execute("BEGIN IMMEDIATE")
        with contextlib.closing(connection.cursor()):
            if connection.pragma("user_version") == 0:
                if connection.execute("SELECT 1 FROM sqlite_schema LIMIT 1").fetchone():
                    raise apsw.CorruptError("tables without a version")
                connection.execute(_SCHEMA)
                connection.pragma("application_id", _APPLICATION)
                connection.pragma("user_version", VERSION)
        connection.execute("COMMIT")
        return True
    finally:
        connection.close(True)


def inode_of(path: str) -> int:
    """
    What tells a database from one that took its place, or 0.
    """
    try:
        return os.stat(path).st_ino
    except FileNotFoundError:
        return 0


def set_aside(path: str, inode: int) -> None:
    """
    Give a damaged database another name, unless another process did and there is a new one.
    """
    if inode_of(path) != inode:
        return
    mark = f".damaged-{time.time_ns()}"
    for suffix in ("", "-wal", "-shm"):
        with contextlib.suppress(FileNotFoundError):
            os.rename(path + suffix, f"{path}{mark}{suffix}")


Counts = tuple[int, int, int, int, int, int]


class Index:
    """
    What is asked of and written to the record through one connection.
    """

    def __init__(self, connection: apsw.Connection) -> None:
        self.connection = connection
        self.run: Callable[..., Any] = connection.execute
        self.run_many: Callable[..., Any] = connection.executemany

    def box(self, mailbox: int) -> Box | None:
        """
        A mailbox by its number.
        """
        return self._box("id = ?", mailbox)

    def box_at(self, directory: str) -> Box | None:
        """
        A mailbox by its directory.
        """
        return self._box("directory = ?", directory)

    def _box(self, condition: str, value: Any) -> Box | None:
        row = self.run(_SELECT + condition, (value,)).fetchone()
        if row is None:
            return None
        return _box(row)

    def adopted(self) -> set[str]:
        """
        Directories of the mailboxes whose messages were taken in.
        """
        return {
            directory for (directory,) in self.run("SELECT directory FROM mailbox WHERE adopted")
        }

    def save(self, box: Box) -> None:
        """
        Write the row of a mailbox.
        """
        values = [getattr(box, name) for name in _FIELDS[1:-1]]
        self.run(_UPDATE, (*values, json.dumps(box.keywords), box.id))

    def add_box(self, directory: str, uid_validity: int, uid_next: int) -> Box:
        """
        A new mailbox. Mod-sequences start at the time in milliseconds: they grow on if the record
        was lost.
        """
        self.run(
            "INSERT INTO mailbox(directory, uid_validity, uid_next, modseq, mirrored, reserved)"
            " VALUES(?1, ?2, ?3, ?4, ?4, ?3)",
            (directory, uid_validity, uid_next, int(time.time() * 1000)),
        )
        box = self.box_at(directory)
        assert box is not None
        return box

    def drop_box(self, mailbox: int) -> None:
        """
        Forget a mailbox.
        """
        messages, octets = self.run(
            "SELECT count(*), total(size) FROM message WHERE mailbox = ?", (mailbox,)
        ).fetchone()
        self.use(-messages, -int(octets))
        for table in ("message", "file", "expunged"):
            self.run(f"DELETE FROM {table} WHERE mailbox = ?", (mailbox,))  # noqa: S608
        self.run("DELETE FROM mailbox WHERE id = ?", (mailbox,))

    def messages(self, mailbox: int, low: int, limit: int = -1) -> list[Row]:
        """
        Rows from a UID on, ascending.
        """
        found: list[Row] = self.run(
            "SELECT uid, flags, modseq, size, date FROM message"
            " WHERE mailbox = ? AND uid >= ? ORDER BY uid LIMIT ?",
            (mailbox, low, limit),
        ).fetchall()
        return found

    def counts(self, box: Box, recent: int) -> Counts:
        """
        How many messages there are, are recent, unseen, and deleted, their octets, and those of the
        deleted ones.

        @param recent: the smallest UID that is recent for whoever asks, if that is not less than
            what the record says
        """
        found = self.run(
            "SELECT count(*), total(uid >= ?), total(NOT flags & 1), total(flags & 8 <> 0),"
            " total(size), total(size * (flags & 8 <> 0)) FROM message WHERE mailbox = ?",
            (max(box.first_recent, recent), box.id),
        ).fetchone()
        messages, new, unseen, deleted, size, freed = (int(count) for count in found)
        return messages, new, unseen, deleted, size, freed

    def used(self) -> tuple[int, int]:
        """
        Messages of all mailboxes, and their octets: sums that are kept.
        """
        found: tuple[int, int] = self.run("SELECT messages, octets FROM used").fetchone()
        return found

    def use(self, messages: int, octets: int) -> None:
        """
        Add to the sums what came, or went.
        """
        if messages or octets:
            self.run(
                "UPDATE used SET messages = messages + ?, octets = octets + ?", (messages, octets)
            )

    def sum_up(self) -> tuple[int, int]:
        """
        Messages of all mailboxes, and their octets, counted.
        """
        messages, octets = self.run("SELECT count(*), total(size) FROM message").fetchone()
        return messages, int(octets)

    def forget_expunges(self, box: Box, most: int) -> None:
        """
        Remember only the last expunges of a mailbox; of those that are forgotten, the last is the
        horizon.
        """
        row = self.run(
            "SELECT modseq FROM expunged WHERE mailbox = ? ORDER BY modseq DESC, uid DESC"
            " LIMIT 1 OFFSET ?",
            (box.id, most),
        ).fetchone()
        if row is not None:
            box.horizon = row[0]
            self.run("DELETE FROM expunged WHERE mailbox = ? AND modseq <= ?", (box.id, row[0]))

    def names(self, mailbox: int, ranges: Iterable[tuple[int, int]]) -> list[tuple[int, str]]:
        """
        File names of some messages, by UID.
        """
        rows = self.run_many(
            "SELECT uid, name FROM file WHERE mailbox = ? AND uid BETWEEN ? AND ?",
            [(mailbox, low, high) for low, high in ranges],
        ).fetchall()
        return [(uid, from_name(name)) for uid, name in rows]


def _box(row: Sequence[Any]) -> Box:
    return Box(**{**dict(zip(_FIELDS, row, strict=True)), "keywords": _keywords(row[-1])})


def _keywords(text: str) -> list[str]:
    found = json.loads(text)
    if not isinstance(found, list) or len(found) > MAX_KEYWORDS:
        raise apsw.CorruptError("keywords")
    return [str(name) for name in found]


def to_name(name: str) -> str | bytes:
    """
    A file name for the database; octets where it is not ASCII.
    """
    return name if name.isascii() else os.fsencode(name)


def from_name(value: str | bytes) -> str:
    """
    A file name from the database.
    """
    return value if isinstance(value, str) else os.fsdecode(value)


def ranges_of(uids: Sequence[int]) -> list[tuple[int, int]]:
    """
    Ascending UIDs as ranges, both ends in them.
    """
    ranges: list[tuple[int, int]] = []
    if not uids:
        return ranges
    if uids[-1] - uids[0] == len(uids) - 1:
        return [(uids[0], uids[-1])]
    low = high = uids[0]
    for uid in uids[1:]:
        if uid != high + 1:
            ranges.append((low, high))
            low = uid
        high = uid
    ranges.append((low, high))
    return ranges
