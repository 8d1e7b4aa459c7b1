"""
The file in which decisions are kept: SQLite, bounded in rows and age, readable by its owner only.

    with Database(path, writes=True) as database:
        database.add([Row(facts, now, now, 1)])
        database.prune(now, keep=90 * 86400, rows=100_000)

Rows are for combinations, not for logins: the same again raises a count. Several processes may
write; it can be deleted or damaged at any time: what is damaged is set aside, and all begins anew.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from typing import Any

import apsw
import attrs
from twisted.logger import Logger

from .facts import KEYS, Facts, Row

log = Logger()

APPLICATION = 0x6D616175
VERSION = 1
BUSY_MILLISECONDS = 10_000
MODE = 0o600

_DAMAGED = (apsw.NotADBError, apsw.CorruptError)

_SCHEMA = f"""
CREATE TABLE attempt(
    key BLOB PRIMARY KEY, {", ".join(KEYS)},
    first INTEGER NOT NULL, last INTEGER NOT NULL, count INTEGER NOT NULL) WITHOUT ROWID;
CREATE INDEX attempt_last ON attempt(last);
CREATE TABLE person(
    user TEXT PRIMARY KEY, first INTEGER NOT NULL, last INTEGER NOT NULL, count INTEGER NOT NULL,
    since INTEGER NOT NULL DEFAULT 0) WITHOUT ROWID;
CREATE TABLE lost(why TEXT PRIMARY KEY, count INTEGER NOT NULL, last INTEGER NOT NULL)
    WITHOUT ROWID;
PRAGMA application_id = {APPLICATION};
PRAGMA user_version = {VERSION};
"""

_ADD = f"""
INSERT INTO attempt VALUES(?, {", ".join("?" * len(KEYS))}, ?, ?, ?)
ON CONFLICT(key) DO UPDATE SET first = min(first, excluded.first), last = max(last, excluded.last),
    count = count + excluded.count"""

# Rows that no password vouches for go first, and of those the ones of an address with many; of the
# others those of a user with many: who has one account and a thousand names for a program pushes
# out nobody else.
_CROWDED = """
DELETE FROM attempt WHERE key IN (
    SELECT key FROM (
        SELECT key, last, result IN ('right', 'denied') AS proved,
            count(*) OVER (PARTITION BY result IN ('right', 'denied'),
                CASE WHEN result IN ('right', 'denied') THEN user ELSE address END) AS crowd
        FROM attempt)
    ORDER BY proved, crowd DESC, last LIMIT ?)"""


class NotUsable(Exception):
    """
    The file cannot be used; the text says why, and what to do.
    """


@attrs.frozen
class Standing:
    """
    What the ratchet knows of a user.

    @ivar first: of the logins with TLS since the last one without, seconds since 1970
    @ivar count: how many
    @ivar since: when the ratchet closed; 0 if it has not
    """

    user: str
    first: int
    last: int
    count: int
    since: int = 0


class Database:
    """
    One process's way to the file. For one thread.
    """

    def __init__(self, path: str, *, writes: bool = False) -> None:
        """
        @param writes: make it if it is not there, and set it aside if it is damaged
        @raise NotUsable: it cannot be opened
        """
        self.path = path
        self._writes = writes
        self.fresh = False
        self._inode = 0
        self._open()

    def __enter__(self) -> Database:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # ---- the file -------------------------------------------------------------------------------

    def _open(self) -> None:
        try:
            self._connect()
        except _DAMAGED as error:
            if not self._writes:
                raise NotUsable(
                    f"{self.path}: is damaged; a running server sets it aside"
                ) from None
            self._set_aside(str(error))
            self._connect()
        except apsw.Error as error:
            raise NotUsable(f"{self.path}: {error}") from None

    def _connect(self) -> None:
        flags = os.O_RDWR | os.O_CLOEXEC | (os.O_CREAT if self._writes else 0)
        try:
            descriptor = os.open(self.path, flags, MODE)
        except OSError as error:
            raise NotUsable(f"{self.path}: {error.strerror}") from None
        try:
            found = os.fstat(descriptor)
            self._inode = found.st_ino
            if self._writes and found.st_mode & 0o077:
                os.fchmod(descriptor, MODE)
        finally:
            os.close(descriptor)
        self._db = apsw.Connection(self.path, flags=apsw.SQLITE_OPEN_READWRITE)
        try:
            self._db.set_busy_timeout(BUSY_MILLISECONDS)
            self._prepare()
        except BaseException:
            self._db.close()
            raise

    def _prepare(self) -> None:
        application, version = self._one("PRAGMA application_id"), self._one("PRAGMA user_version")
        if (application, version) == (0, 0) and not self._one("SELECT count(*) FROM sqlite_schema"):
            if not self._writes:
                raise NotUsable(f"{self.path}: is empty; no server has written to it yet")
            self._db.execute("PRAGMA journal_mode = WAL").fetchall()
            self._make()
        elif application != APPLICATION:
            raise NotUsable(f"{self.path}: is no file of this kind; name another one")
        elif version > VERSION:
            raise NotUsable(f"{self.path}: was written by a newer version; name another one")
        elif self._writes and self._one("PRAGMA quick_check(1)") != "ok":
            raise apsw.CorruptError("quick_check")
        self._db.execute("PRAGMA synchronous = FULL")
        self._db.execute("PRAGMA wal_autocheckpoint = 500")

    def _make(self) -> None:
        self._db.execute("BEGIN IMMEDIATE")
        try:
            # Another process may have been first.
            if not self._one("SELECT count(*) FROM sqlite_schema"):
                self._db.execute(_SCHEMA)
                self.fresh = True
            self._db.execute("COMMIT")
        except BaseException:
            self._db.execute("ROLLBACK")
            raise

    def _one(self, statement: str) -> Any:
        found: Any = self._db.execute(statement).fetchone()
        return found[0]

    def _set_aside(self, why: str) -> None:
        """
        Keep what is damaged under another name. Who comes second finds a new file.
        """
        directory = os.open(os.path.dirname(self.path) or ".", os.O_RDONLY | os.O_DIRECTORY)
        try:
            fcntl.flock(directory, fcntl.LOCK_EX)
            with suppress(FileNotFoundError):
                if os.stat(self.path).st_ino == self._inode:
                    aside = f"{self.path}.damaged-{int(time.time())}"
                    for end in ("-wal", "-shm"):
                        with suppress(FileNotFoundError):
                            os.unlink(self.path + end)
                    os.rename(self.path, aside)
                    log.error(
                        "the audit database was damaged ({reason}) and is kept as {path}",
                        event="audit-damaged",
                        path=aside,
                        reason=why,
                    )
        finally:
            os.close(directory)

    def renew(self) -> None:
        """
        Go on with a new file if this one was deleted or set aside.

        @raise NotUsable: that cannot be
        """
        with suppress(FileNotFoundError):
            if os.stat(self.path).st_ino == self._inode:
                return
        self.close()
        self._open()

    def damaged(self, error: apsw.Error) -> bool:
        """
        Whether an error means damage; then the file is a new one now.

        @raise NotUsable: that cannot be
        """
        if not isinstance(error, _DAMAGED):
            return False
        self.close()
        self._set_aside(str(error))
        self._open()
        return True

    def close(self) -> None:
        """
        Done.
        """
        self._db.close()

    # ---- writing --------------------------------------------------------------------------------

    def add(
        self, rows: Iterable[Row], seen: Iterable[Standing], resets: Iterable[str] = ()
    ) -> None:
        """
        Count in one transaction; it is on the disk when this returns.

        @param seen: logins with TLS, C{count} of them, by user
        @param resets: users who logged in without; counted before C{seen}
        """
        with self._db:
            for each in rows:
                self._db.execute(_ADD, (_key(each.facts), *_values(each)))
            # What turned out to be another row was taken off again.
            self._db.execute("DELETE FROM attempt WHERE count <= 0")
            for user in resets:
                self._db.execute("DELETE FROM person WHERE user = ?", (user,))
            for it in seen:
                self._db.execute(
                    "INSERT INTO person VALUES(?, ?, ?, ?, 0) ON CONFLICT(user) DO UPDATE SET"
                    " last = max(last, excluded.last), count = count + excluded.count",
                    (it.user, it.first, it.last, it.count),
                )

    def lose(self, why: str, count: int, now: int) -> None:
        """
        Remember that something is not here.
        """
        self._db.execute(
            "INSERT INTO lost VALUES(?, ?, ?) ON CONFLICT(why) DO UPDATE SET"
            " count = count + excluded.count, last = excluded.last",
            (why, count, now),
        )

    def prune(self, now: int, keep: int, rows: int) -> int:
        """
        Forget what is too old, and what is too much; how many rows were too many.
        """
        with self._db:
            self._db.execute("DELETE FROM attempt WHERE last < ?", (now - keep,))
            self._db.execute("DELETE FROM lost WHERE last < ?", (now - keep,))
            over: int = self._one("SELECT count(*) FROM attempt") - rows
            if over > 0:
                self._db.execute(_CROWDED, (over,))
                self.lose("rows", over, now)
            # Who does not come any more is not forgotten while the ratchet holds them.
            self._db.execute("DELETE FROM person WHERE since = 0 AND last < ?", (now - 2 * keep,))
        return max(over, 0)

    # ---- the ratchet ----------------------------------------------------------------------------

    def close_ratchets(self, now: int, after: int, logins: int) -> list[str]:
        """
        Those who have used nothing but TLS for long enough: from now on they have to.
        """
        with self._db:
            found: list[Any] = self._db.execute(
                "UPDATE person SET since = ? WHERE since = 0 AND last - first >= ?"
                " AND count >= ? RETURNING user",
                (now, after, logins),
            ).fetchall()
        return [user for (user,) in found]

    def standings(self, *, closed: bool = False) -> list[Standing]:
        """
        What is known of users, by name.

        @param closed: only of those whom the ratchet holds
        """
        where = " WHERE since > 0" if closed else ""
        query = f"SELECT user, first, last, count, since FROM person{where} ORDER BY user"  # noqa: S608
        return [Standing(*each) for each in self._db.execute(query)]

    def release(self, user: str, now: int) -> bool:
        """
        Let somebody go; the count begins anew. Whether the ratchet held them.
        """
        with self._db:
            self._db.execute(
                "UPDATE person SET since = 0, first = ?, last = ?, count = 0"
                " WHERE user = ? AND since > 0",
                (now, now, user),
            )
        return self._db.changes() > 0

    # ---- reading --------------------------------------------------------------------------------

    def version(self) -> int:
        """
        Another number once another process has written.
        """
        found: int = self._one("PRAGMA data_version")
        return found

    def rows(
        self, *, since: int = 0, user: str = "", listener: str = "", policy: str | None = ""
    ) -> Iterator[Row]:
        """
        What is kept, the latest first.

        @param since: only what came since then, seconds since 1970
        @param policy: rows of a shadow policy by its fingerprint; of any if None; empty for rows of
            the policy that counts
        """
        conditions: list[tuple[str, Any]] = [("last >= ?", since)]
        if user:
            conditions.append(("user = ?", user))
        if listener:
            conditions.append(("listener = ?", listener))
        conditions.append(("policy <> ?", "") if policy is None else ("policy = ?", policy))
        where = " AND ".join(each for each, _ in conditions)
        query = (
            f"SELECT {', '.join(KEYS)}, first, last, count FROM attempt WHERE {where}"  # noqa: S608
            " ORDER BY last DESC, key"
        )
        for each in self._db.execute(query, [value for _, value in conditions]):
            yield _row(each)

    def lost(self) -> dict[str, int]:
        """
        How much is not here, by why: C{dropped}, C{rows}.
        """
        return dict(self._db.execute("SELECT why, count FROM lost"))


def _key(facts: Facts) -> bytes:
    text = json.dumps(attrs.astuple(facts), ensure_ascii=True)
    return hashlib.sha256(text.encode("ascii")).digest()[:16]


def _values(row: Row) -> Sequence[Any]:
    return (*attrs.astuple(row.facts), row.first, row.last, row.count)


def _row(values: Sequence[Any]) -> Row:
    *facts, first, last, count = values
    it = dict(zip(KEYS, facts, strict=True))
    return Row(Facts(**{**it, "exposed": bool(it["exposed"])}), first, last, count)
