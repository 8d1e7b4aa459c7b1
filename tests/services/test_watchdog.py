"""
The watchdog: who holds up the reactor is named.
"""

from __future__ import annotations

from threading import Event

from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.logger import LogEvent, globalLogPublisher

from mailaccess.services.watchdog import Watchdog


def holds_up_everybody(told: Deferred[LogEvent]) -> None:
    """
    Until the watchdog has looked; its line can only come afterwards.
    """
    looked = Event()
    assert not told.called
    looked.wait(0.5)


async def test_who_holds_the_reactor_is_in_the_log_with_the_stack() -> None:
    """AB-09"""
    told: Deferred[LogEvent] = Deferred()

    def observer(event: LogEvent) -> None:
        if event.get("event") == "held" and not told.called:
            told.callback(event)

    watchdog = Watchdog(reactor, 0.05)
    globalLogPublisher.addObserver(observer)
    watchdog.startService()
    try:
        reactor.callLater(0, holds_up_everybody, told)  # type: ignore[attr-defined]
        event = await told
    finally:
        watchdog.stopService()
        globalLogPublisher.removeObserver(observer)
    assert event["milliseconds"] >= 50
    assert " holds_up_everybody < " in event["stack"]
