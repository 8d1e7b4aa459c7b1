"""
Stand-ins for what the checkers are given: threads that run when told, people that count calls.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure
from zope.interface import implementer

from mailaccess.errors import AuthenticationFailed
from mailaccess.interfaces import IChecksPasswords, Identity, IKnowsPeople


def begin(awaitable: Awaitable[Any]) -> Deferred[Any]:
    """
    Run it up to where it waits.
    """
    if isinstance(awaitable, Deferred):
        return awaitable
    return Deferred.fromCoroutine(awaitable)


def outcome(awaitable: Awaitable[Any]) -> Any:
    """
    What it returns or raises, which it must do at once.
    """
    results: list[Any] = []
    begin(awaitable).addBoth(results.append)
    assert results, "still waiting"
    if isinstance(results[0], Failure):
        results[0].raiseException()
    return results[0]


class HereReactor:
    """
    C{callFromThread} without threads.
    """

    def callFromThread(self, function: Callable[..., object], *args: Any) -> None:
        function(*args)


class Threads:
    """
    Keeps calls until L{run} is told to do one; with C{at_once}, does not keep them.
    """

    def __init__(self, at_once: bool = True) -> None:
        self.at_once = at_once
        self.calls: list[Callable[[], None]] = []
        self.started = self.stopped = 0

    def start(self) -> None:
        self.started += 1

    def stop(self) -> None:
        self.stopped += 1

    def callInThreadWithCallback(
        self, onResult: Callable[[bool, Any], object], func: Callable[..., Any], *args: Any
    ) -> None:
        def call() -> None:
            try:
                result = func(*args)
            except Exception:
                onResult(False, Failure())
            else:
                onResult(True, result)

        self.calls.append(call)
        if self.at_once:
            self.run()

    def run(self) -> None:
        self.calls.pop(0)()


@implementer(IChecksPasswords, IKnowsPeople)
class People:
    """
    A checker of names, passwords and fields; remembers what it was asked.
    """

    def __init__(
        self, people: Mapping[str, tuple[bytes, Mapping[str, str]]], label: str = "people"
    ) -> None:
        self.people = people
        self.label = label
        self.checked: list[tuple[str, bytes, str]] = []
        self.failure: Exception | None = None
        self.unknowable: Exception | None = None

    async def check(self, name: str, secret: bytes, service: str) -> Identity:
        self.checked.append((name, secret, service))
        if self.failure is not None:
            raise self.failure
        if name not in self.people or self.people[name][0] != secret:
            raise AuthenticationFailed(detail="no")
        return Identity(name, fields=self.people[name][1], source=self.label)

    async def attributes(self, name: str) -> Mapping[str, str] | None:
        if self.unknowable is not None:
            raise self.unknowable
        return self.people[name][1] if name in self.people else None
