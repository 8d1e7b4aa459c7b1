"""
The thread in which everything becomes durable: it gathers what waits and commits once (group
commit).
"""

from __future__ import annotations

import queue
import threading
from collections import OrderedDict
from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorFromThreads
from twisted.logger import Logger
from twisted.python.failure import Failure

from mailaccess.errors import StoreFailed
from mailaccess.store.maildir.ledger import Job, Ledger

_MOST = 256

_Item = tuple[Ledger, Job | None, "Deferred[Any] | None"]


class Writer:
    """
    One per process; the thread starts with the first job.

    @ivar open_ledgers: accounts whose database is kept open for writing
    """

    log = Logger()

    def __init__(self, reactor: IReactorFromThreads, open_ledgers: int = 200) -> None:
        self._reactor = reactor
        self._open_ledgers = open_ledgers
        self._queue: queue.SimpleQueue[_Item | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        self._stopped = False
        self._open: OrderedDict[Ledger, None] = OrderedDict()

    def submit(self, ledger: Ledger, job: Job) -> Deferred[Any]:
        """
        Do a job when its turn comes. Fires on the reactor, when it is durable, with its result.
        Jobs are done in the order they came.
        """
        if self._stopped:
            raise StoreFailed(detail="the store was stopped")
        done: Deferred[Any] = Deferred()
        self._put((ledger, job, done))
        return done

    def forget(self, ledger: Ledger) -> None:
        """
        Close an account's database after the jobs that are waiting.
        """
        if not self._stopped:
            self._put((ledger, None, None))

    def stop(self) -> None:
        """
        Do what waits, then end the thread; waits for that.
        """
        self._stopped = True
        if self._thread is not None:
            self._queue.put(None)
            self._thread.join()
            self._thread = None

    def _put(self, item: _Item) -> None:
        self._queue.put(item)
        if self._thread is None:
            self._thread = threading.Thread(target=self._work, name="store-writer", daemon=True)
            self._thread.start()

    def _work(self) -> None:
        ending = False
        while not ending:
            batch: list[_Item] = []
            item = self._queue.get()
            while True:
                if item is None:
                    ending = True
                    break
                batch.append(item)
                if len(batch) >= _MOST:
                    break
                try:
                    item = self._queue.get_nowait()
                except queue.Empty:
                    break
            self._do(batch)
        for ledger in self._open:
            ledger.close()
        self._open.clear()

    def _do(self, batch: list[_Item]) -> None:
        groups: dict[Ledger, list[_Item]] = {}
        for item in batch:
            groups.setdefault(item[0], []).append(item)
        for ledger, items in groups.items():
            work = [(job, done) for _, job, done in items if job is not None]
            if work:
                try:
                    outcomes = ledger.run([job for job, _ in work])
                except Exception as error:
                    outcomes = [error] * len(work)
                pairs = [
                    (done.callback, outcome)
                    for (_, done), outcome in zip(work, outcomes, strict=True)
                    if done is not None
                ]
                self._reactor.callFromThread(self._hand_out, pairs)
            self._keep(ledger, closing=any(job is None for _, job, _ in items))

    def _keep(self, ledger: Ledger, closing: bool) -> None:
        if closing:
            self._open.pop(ledger, None)
            self._close(ledger)
            return
        self._open[ledger] = None
        self._open.move_to_end(ledger)
        while len(self._open) > self._open_ledgers:
            self._close(self._open.popitem(last=False)[0])

    def _close(self, ledger: Ledger) -> None:
        try:
            ledger.close()
        except Exception:
            self.log.failure("closing the record of {path}", path=ledger.path)

    def _hand_out(self, pairs: list[tuple[Callable[[Any], None], Any]]) -> None:
        for callback, outcome in pairs:
            if isinstance(outcome, BaseException):
                outcome = Failure(outcome)  # type: ignore[no-untyped-call]
            callback(outcome)
