"""
Bounded threads with a bounded queue.
"""

from __future__ import annotations

import threading
from typing import Any

import pytest
from twisted.internet.defer import CancelledError
from twisted.python.threadpool import ThreadPool

from mailaccess.auth.pool import HashPool
from mailaccess.errors import DirectoryUnavailable

from .doubles import HereReactor, Threads, outcome


def pool_of(threads: int, queue: int, calls: Threads) -> HashPool:
    pool = HashPool(HereReactor(), threads=threads, queue=queue, pool=calls)
    pool.start()
    return pool


def test_a_job_gives_what_it_returns_or_raises() -> None:
    pool = pool_of(2, 2, Threads())
    assert outcome(pool.run(divmod, 7, 2)) == (3, 1)
    with pytest.raises(ZeroDivisionError):
        outcome(pool.run(divmod, 7, 0))
    assert (pool.busy, pool.waiting) == (0, 0)


def test_only_so_many_run_and_only_so_many_wait() -> None:
    """AUTH-02, AB-12: over the cap the answer is UNAVAILABLE at once."""
    calls = Threads(at_once=False)
    pool = pool_of(2, 3, calls)
    results: list[Any] = []
    for number in range(5):
        pool.run(str, number).addCallback(results.append)
    assert (pool.busy, pool.waiting, len(calls.calls)) == (2, 3, 2)
    with pytest.raises(DirectoryUnavailable):
        outcome(pool.run(str, 5))
    while calls.calls:
        calls.run()
    assert results == ["0", "1", "2", "3", "4"]
    assert (pool.busy, pool.waiting) == (0, 0)


def test_a_client_that_leaves_frees_its_place_in_the_queue() -> None:
    """AB-12"""
    calls = Threads(at_once=False)
    pool = pool_of(1, 1, calls)
    done: list[str] = []
    first = pool.run(done.append, "first")
    second = pool.run(done.append, "second")
    failures: list[Any] = []
    second.addErrback(failures.append)
    second.cancel()
    assert failures[0].check(CancelledError)
    third = pool.run(done.append, "third")
    while calls.calls:
        calls.run()
    assert first.called
    assert third.called
    assert done == ["first", "third"]


def test_a_running_job_given_up_keeps_its_thread_until_it_is_done() -> None:
    """AB-12: its result is dropped; nothing else starts in its stead."""
    calls = Threads(at_once=False)
    pool = pool_of(1, 5, calls)
    failures: list[Any] = []
    first = pool.run(str, 1)
    first.addErrback(failures.append)
    first.cancel()
    second = pool.run(str, 2)
    assert (pool.busy, pool.waiting) == (1, 1)
    calls.run()
    assert (pool.busy, pool.waiting) == (1, 0)
    calls.run()
    assert outcome(second) == "2"
    assert len(failures) == 1


def test_many_given_up_jobs_leave_nothing_behind() -> None:
    """AB-11, AB-12"""
    calls = Threads(at_once=False)
    pool = pool_of(2, 50, calls)
    for _ in range(20):
        jobs = [pool.run(str, 1) for _ in range(40)]
        for job in jobs:
            job.addErrback(lambda _: None)
            job.cancel()
    assert (pool.busy, pool.waiting) == (2, 0)
    while calls.calls:
        calls.run()
    assert (pool.busy, pool.waiting) == (0, 0)


def test_stopping_fails_what_waits_and_takes_nothing_more() -> None:
    calls = Threads(at_once=False)
    pool = pool_of(1, 5, calls)
    jobs = [pool.run(str, each) for each in range(3)]
    pool.stop()
    pool.stop()
    assert calls.stopped == 1
    for job in jobs:
        with pytest.raises(DirectoryUnavailable):
            outcome(job)
    with pytest.raises(DirectoryUnavailable):
        outcome(pool.run(str, 1))
    calls.run()
    assert pool.busy == 0


def test_real_threads_do_the_work_elsewhere() -> None:
    """AUTH-02"""
    done = threading.Event()

    class Reactor(HereReactor):
        def callFromThread(self, function: Any, *args: Any) -> None:
            super().callFromThread(function, *args)
            done.set()

    pool = HashPool(Reactor(), threads=1, pool=ThreadPool(0, 1))
    pool.start()
    try:
        names: list[int] = []
        pool.run(threading.get_ident).addCallback(names.append)
        assert done.wait(20)
        assert names != [threading.get_ident()]
    finally:
        pool.stop()
