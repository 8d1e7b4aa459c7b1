"""
Slow work off the reactor: bounded threads, a bounded queue, cancellable jobs (AUTH-02, AB-12).

    pool = HashPool(reactor)
    pool.start()
    right = await pool.run(verify, stored, secret)
    pool.stop()

A job whose Deferred is cancelled while it waits leaves the queue at once. One that runs already
cannot be stopped: its result is dropped, and its thread is counted busy until it is done.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable
from functools import partial
from typing import Any, Protocol, TypeVar

import attrs
from twisted.internet.defer import Deferred, fail
from twisted.internet.interfaces import IReactorFromThreads
from twisted.python.threadpool import ThreadPool

from ..errors import DirectoryUnavailable

T = TypeVar("T")


class Threads(Protocol):
    """
    What is used of a L{ThreadPool<twisted.python.threadpool.ThreadPool>}.
    """

    def start(self) -> None:
        """
        Begin to take calls.
        """

    def stop(self) -> None:
        """
        Wait for the calls that run.
        """

    def callInThreadWithCallback(
        self, onResult: Callable[[bool, Any], object], func: Callable[..., Any], *args: Any
    ) -> None:
        """
        Call C{func} in a thread, then C{onResult} there with success and result or failure.
        """


@attrs.define(eq=False)
class _Job:
    call: Callable[[], Any]
    result: Deferred[Any] | None = None


class HashPool:
    """
    At most C{threads} jobs at once; at most C{queue} waiting.

    @ivar waiting: how many jobs wait
    @ivar busy: how many threads work
    """

    def __init__(
        self,
        reactor: IReactorFromThreads,
        threads: int | None = None,
        queue: int = 200,
        pool: Threads | None = None,
        name: str = "hash",
    ) -> None:
        """
        @param threads: None for as many as there are processors
        @param pool: to run the calls; None for own threads
        @param name: of the threads, and for the log
        """
        self._name = name
        self._reactor = reactor
        self._threads = threads or os.cpu_count() or 1
        self._queue = queue
        self._pool: Threads = pool or ThreadPool(0, self._threads, name)
        self._jobs: deque[_Job] = deque()
        self._running: set[_Job] = set()
        self._started = False

    @property
    def waiting(self) -> int:
        """
        How many jobs wait.
        """
        return len(self._jobs)

    @property
    def busy(self) -> int:
        """
        How many threads work.
        """
        return len(self._running)

    def start(self) -> None:
        """
        Begin to take jobs.
        """
        if not self._started:
            self._started = True
            self._pool.start()

    def stop(self) -> None:
        """
        Take no more jobs, fail those that wait, wait for the threads.
        """
        if not self._started:
            return
        self._started = False
        jobs = [*self._jobs, *self._running]
        self._jobs.clear()
        for job in jobs:
            result, job.result = job.result, None
            if result is not None:
                result.errback(DirectoryUnavailable(detail=f"{self._name} threads stopped"))
        self._pool.stop()

    def run(self, function: Callable[..., T], *args: Any) -> Deferred[T]:
        """
        What C{function(*args)} returns or raises, computed in a thread.

        Fails with L{DirectoryUnavailable<mailaccess.errors.DirectoryUnavailable>} if the queue is
        full.
        """
        if not self._started:
            return fail(DirectoryUnavailable(detail=f"{self._name} threads are not running"))
        if len(self._running) >= self._threads and len(self._jobs) >= self._queue:
            return fail(DirectoryUnavailable(detail=f"{self._name} queue is full ({self._queue})"))
        job = _Job(partial(function, *args))
        result: Deferred[T] = Deferred(lambda _: self._forget(job))
        job.result = result
        self._jobs.append(job)
        self._begin()
        return result

    def _forget(self, job: _Job) -> None:
        job.result = None
        if job not in self._running:
            self._jobs.remove(job)

    def _begin(self) -> None:
        while self._jobs and len(self._running) < self._threads:
            job = self._jobs.popleft()
            self._running.add(job)
            self._pool.callInThreadWithCallback(
                partial(self._reactor.callFromThread, self._end, job), job.call
            )

    def _end(self, job: _Job, good: bool, value: Any) -> None:
        self._running.discard(job)
        # First the next one, so that the thread does not wait for what this result sets off.
        self._begin()
        result, job.result = job.result, None
        if result is None:
            return
        if good:
            result.callback(value)
        else:
            result.errback(value)
