"""
The thread that writes what was computed into C{text.db}.

Nobody waits for it, and what does not fit into its queue is dropped: it will be computed again.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Mapping

import apsw
from twisted.logger import Logger

from mailaccess.errors import Refused
from mailaccess.store.maildir import derived
from mailaccess.store.maildir.blocks import Kind, Values
from mailaccess.store.maildir.derived import Derived

_WAITING = 64 * 1024 * 1024
_TOGETHER = 32
_GATHER = 0.2
_LINGER = 1.0
_SULK = 60.0

_Item = tuple[str, int, Mapping[Kind, Values], int]


class Keeper:
    """
    One per process; the thread starts with the first piece of work.
    """

    log = Logger()

    def __init__(self) -> None:
        self._queue: queue.SimpleQueue[_Item | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        self._stopped = False
        self._waiting = 0
        self._lock = threading.Lock()
        self._path = ""
        self._open: Derived | None = None
        self._sulking: dict[str, float] = {}

    def keep(self, path: str, token: int, found: Mapping[Kind, Values]) -> None:
        """
        Keep values of messages of a mailbox, if there is room.

        @param path: of the database
        """
        size = sum(
            sum(map(len, value)) if value is not None else 0
            for values in found.values()
            for value in values.values()
        )
        if self._stopped or self._waiting + size > _WAITING:
            return
        with self._lock:
            self._waiting += size
        self._queue.put((path, token, found, size))
        if self._thread is None:
            self._thread = threading.Thread(target=self._work, name="store-keeper", daemon=True)
            self._thread.start()

    def stop(self) -> None:
        """
        End the thread; what waits is not kept.
        """
        self._stopped = True
        if self._thread is not None:
            self._queue.put(None)
            self._thread.join()
            self._thread = None

    def _work(self) -> None:
        while True:
            try:
                item = self._queue.get(timeout=_LINGER if self._open is not None else None)
            except queue.Empty:
                self._close()
                continue
            if item is None or self._stopped:
                break
            self._do(self._more(item))
        self._close()

    def _more(self, item: _Item) -> list[_Item]:
        """
        What comes for the same mailbox in the next moment: blocks that several add to are written
        once.
        """
        batch = [item]
        until = time.monotonic() + _GATHER
        while len(batch) < _TOGETHER and not self._stopped:
            try:
                other = self._queue.get(timeout=max(0.0, until - time.monotonic()))
            except queue.Empty:
                break
            if other is None or other[:2] != item[:2]:
                # Its turn comes again; order does not matter.
                self._queue.put(other)
                break
            batch.append(other)
        return batch

    def _do(self, batch: list[_Item]) -> None:
        path, token = batch[0][:2]
        together: dict[Kind, dict[int, object]] = {}
        for _, _, found, size in batch:
            for kind, values in found.items():
                together.setdefault(kind, {}).update(values)
            with self._lock:
                self._waiting -= size
        if self._sulking.get(path, 0.0) > time.monotonic():
            return
        try:
            keep(path, token, together, self._database)  # type: ignore[arg-type]
        except (apsw.Error, OSError, Refused) as error:
            self._close()
            self._sulking = {p: t for p, t in self._sulking.items() if t > time.monotonic()}
            self._sulking[path] = time.monotonic() + _SULK
            self.log.warn("nothing is kept in {path}: {error}", path=path, error=error)

    def _database(self, path: str) -> Derived:
        if self._open is None or self._path != path or not self._open.is_at(path):
            self._close()
            self._open, self._path = derived.to_write(path), path
        return self._open

    def _close(self) -> None:
        if self._open is not None:
            try:
                self._open.close()
            except apsw.Error as error:
                self.log.warn("closing {path}: {error}", path=self._path, error=error)
            self._open = None


def keep(
    path: str,
    token: int,
    found: Mapping[Kind, Values],
    database: Callable[[str], Derived],
) -> None:
    """
    Write values; into a new database if this one turns out to be damaged.
    """
    try:
        with derived.mending(path):
            database(path).keep(token, found)
    except (apsw.CorruptError, apsw.NotADBError, apsw.FormatError):
        database(path).keep(token, found)
