"""
Tests that are coroutines run on the real reactor, in one background thread of the test process.

An C{async def} test is awaited there, under a deadline; fixtures that must do something on the
reactor use the fixture C{on_reactor}. The thread starts with the first test that needs it.
"""

from __future__ import annotations

import inspect
import queue
import threading
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from twisted.internet.defer import Deferred

DEADLINE = 60.0
"""Seconds after which a test that hangs fails; none comes near."""

_started = threading.Lock()
_running = False


def _start() -> Any:
    global _running  # noqa: PLW0603
    from twisted.internet import reactor

    with _started:
        if not _running:
            ready = threading.Event()
            reactor.callWhenRunning(ready.set)
            run = lambda: reactor.run(installSignalHandlers=False)  # noqa: E731
            threading.Thread(target=run, name="reactor", daemon=True).start()
            assert ready.wait(DEADLINE)
            _running = True
    return reactor


def run_on_reactor(call: Callable[[], Awaitable[Any]]) -> Any:
    """
    Call and await on the reactor; the result, or the exception, here.
    """
    reactor = _start()
    outcome: queue.SimpleQueue[tuple[bool, Any]] = queue.SimpleQueue()

    async def run() -> None:
        try:
            outcome.put((True, await call()))
        except BaseException as error:
            outcome.put((False, error))

    reactor.callFromThread(lambda: Deferred.fromCoroutine(run()))
    good, value = outcome.get(timeout=DEADLINE)
    if good:
        return value
    raise value


@pytest.fixture
def on_reactor() -> Callable[[Callable[[], Awaitable[Any]]], Any]:
    return run_on_reactor


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    test = pyfuncitem.obj
    if not inspect.iscoroutinefunction(test):
        return None
    wanted = inspect.signature(test).parameters
    arguments = {name: pyfuncitem.funcargs[name] for name in wanted}
    run_on_reactor(lambda: test(**arguments))
    return True
