"""
The thread that writes decisions down: what came within a second is one transaction.

A process that is killed loses what the last second brought. Nothing waits for this thread, whatever
its disk does; what finds no place meanwhile is dropped, counted and told.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import apsw
from twisted.logger import Logger

from .database import Database, NotUsable
from .pending import MOST, Pending
from .ratchet import Ratchet

log = Logger()

GATHER = 1.0
"""Seconds before what came is written."""
LOOK = 5.0
"""Seconds between two looks at what other processes wrote, where there is a ratchet."""
PRUNE = 300.0
SPARE = 10
"""The file has at most a part of so many more than it may, until what is too much goes."""
TELL = 60
"""Seconds between two lines in the log that say the same."""


class Keeper:
    """
    Gathers on the reactor's thread, writes on its own.

    @ivar path: of the database
    @ivar dropped: rows that found no place since the start
    """

    def __init__(
        self,
        path: str,
        *,
        keep: int,
        rows: int,
        ratchet: Ratchet | None = None,
        most: int = MOST,
        seconds: Callable[[], float] = time.time,
    ) -> None:
        """
        @param keep: age in seconds at which rows go
        @param rows: how many there may be
        @param most: rows that may wait
        """
        self.path = path
        self.dropped = 0
        self._keep = keep
        self._rows = rows
        self._ratchet = ratchet if ratchet is not None else Ratchet()
        self._most = most
        self._seconds = seconds
        self._pending = Pending(most)
        self._news = threading.Condition()
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self._database: Database | None = None
        self._seen_version = -1
        self._pruned = float("-inf")
        self._added = 0
        self._told: dict[str, int] = {}

    @property
    def ratchets(self) -> bool:
        """
        Whether it wants to know of logins with TLS.
        """
        return self._ratchet.after > 0

    # ---- on the reactor's thread ----------------------------------------------------------------

    def start(self) -> None:
        """
        Open the file, read whom the ratchet holds, and begin. Blocks on the disk: before anybody is
        served.
        """
        try:
            self._database = Database(self.path, writes=True)
            if self._database.fresh and self._ratchet.after:
                self._told_empty()
            self._look()
        except (NotUsable, apsw.Error) as error:
            self._tell_trouble(error)
            if self._ratchet.after:
                self._told_empty()
        self._thread = threading.Thread(target=self._work, name="audit", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """
        Write what is left, and end.
        """
        self._stop.set()
        with self._news:
            self._news.notify()
        if self._thread is not None:
            self._thread.join()
            self._thread = None

    def put(self, change: Callable[[Pending], None]) -> None:
        """
        Add to what is to be written.
        """
        with self._news:
            first = not self._pending
            change(self._pending)
            if first:
                self._news.notify()

    def _told_empty(self) -> None:
        log.warn(
            "the ratchet holds nobody: {path} is new, or cannot be read",
            event="ratchet-empty",
            path=self.path,
            reason="users who had to use TLS by the ratchet are back to what the listener says",
        )

    # ---- on its own -----------------------------------------------------------------------------

    def _work(self) -> None:
        while True:
            with self._news:
                wait = LOOK if self._ratchet.after else None
                self._news.wait_for(lambda: bool(self._pending) or self._stop.is_set(), wait)
            self._stop.wait(GATHER)
            stopping = self._stop.is_set()
            with self._news:
                batch, self._pending = self._pending, Pending(self._most)
            try:
                self._write(batch)
                self._look()
            except (NotUsable, apsw.Error, OSError) as error:
                self._failed(batch, error)
            except Exception:
                self._lost(batch)
                log.failure("the audit database could not be written")
            if stopping:
                break
        if self._database is not None:
            self._database.close()
            self._database = None

    def _write(self, batch: Pending) -> None:
        now = int(self._seconds())
        if self._database is None:
            self._database = Database(self.path, writes=True)
        database = self._database
        database.fresh = False
        database.renew()
        if batch:
            database.add(batch.rows, batch.seen, batch.resets)
            self._added += len(batch.rows)
        if batch.dropped:
            self.dropped += batch.dropped
            database.lose("dropped", batch.dropped, now)
            self._warn("audit-dropped", f"{batch.dropped} rows found no place", batch.dropped)
        if batch and self._ratchet.after:
            ratchet = self._ratchet
            for user in database.close_ratchets(now, ratchet.after, ratchet.logins):
                log.info("TLS from now on", event="ratchet", user=user)
                self._seen_version = -1
            if batch.resets:
                self._seen_version = -1
        # In a flood not only now and then, or the file could become many times as large meanwhile.
        if time.monotonic() - self._pruned > PRUNE or self._added > self._rows / SPARE:
            self._pruned, self._added = time.monotonic(), 0
            over = database.prune(now, self._keep, self._rows)
            if over:
                self._warn("audit-pruned", f"more than {self._rows} rows", over)

    def _look(self) -> None:
        """
        Whom the ratchet holds, also by what other processes wrote.
        """
        database = self._database
        if database is None or not self._ratchet.after:
            return
        if database.fresh and self._seen_version >= 0:
            self._told_empty()
        version = database.version()
        if version != self._seen_version or database.fresh:
            self._seen_version = version
            self._ratchet.hold(database.standings(closed=True))
        database.fresh = False

    def _failed(self, batch: Pending, error: Exception) -> None:
        self._lost(batch)
        database = self._database
        try:
            if database is not None and isinstance(error, apsw.Error):
                # Set aside and made anew: users are back to what the listener says.
                if database.damaged(error):
                    self._look()
                    return
                database.close()
        except (NotUsable, apsw.Error, OSError) as another:
            error = another
        self._database = None
        self._tell_trouble(error, len(batch.rows))

    def _lost(self, batch: Pending) -> None:
        self.dropped += batch.dropped + len(batch.rows)

    def _tell_trouble(self, error: Exception, count: int = 0) -> None:
        self._warn("audit-broken", str(error), count)

    def _warn(self, event: str, reason: str, count: int) -> None:
        now = int(time.monotonic())
        if now - self._told.get(event, -TELL) >= TELL:
            self._told[event] = now
            log.error("audit: {reason}", event=event, path=self.path, reason=reason, count=count)
