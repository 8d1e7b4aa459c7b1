"""
Who wants to be told when an open mailbox changes, and what the kernel watches for them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from twisted.internet.interfaces import IDelayedCall

from mailaccess.store.maildir import watch

if TYPE_CHECKING:
    from mailaccess.store.maildir.shared import SharedMailbox

_COALESCE = 0.01


class Watchers:
    """
    Those of one mailbox. Without any, nothing is watched.
    """

    def __init__(self, shared: SharedMailbox) -> None:
        self._shared = shared
        self._callbacks: list[Callable[[], None]] = []
        self._ends: list[Callable[[], None]] = []
        self._noticed: IDelayedCall | None = None

    def add(self, callback: Callable[[], None]) -> Callable[[], None]:
        """
        Call when there may be something new; returns what ends it.
        """
        self._callbacks.append(callback)
        if len(self._callbacks) == 1:
            self._start()
        active = True

        def end() -> None:
            nonlocal active
            if active:
                active = False
                self._callbacks.remove(callback)
                if not self._callbacks:
                    self._stop()

        return end

    def _start(self) -> None:
        shared = self._shared
        account = shared.account
        new, cur = shared.places
        ends = [
            account.kernel.add(account.bell, watch.ATTRIBUTES, self._event),
            account.kernel.add(new, watch.FILES, self._event),
            account.kernel.add(cur, watch.FILES, self._event),
        ]
        self._ends = [end for end in ends if end is not None]
        if len(self._ends) < len(ends):
            self._ends.append(account.poll(self._event))
        self.look_at(shared.next_look())
        # What happened between the last look and the watch.
        self._event()

    def _stop(self) -> None:
        for end in self._ends:
            end()
        self._ends = []
        if self._noticed is not None:
            self._noticed.cancel()
            self._noticed = None

    def _event(self) -> None:
        if self._shared.stale():
            self.notice()

    def notice(self) -> None:
        """
        Tell them, in a moment.
        """
        if self._callbacks and self._noticed is None:
            self._noticed = self._shared.account.reactor.callLater(_COALESCE, self._tell)

    def _tell(self) -> None:
        self._noticed = None
        for callback in list(self._callbacks):
            callback()

    def look_at(self, when: float) -> None:
        """
        Have a look at a time of the account's clock, if anybody wants to know; 0 for never.
        """
        if when and self._callbacks:
            account = self._shared.account
            account.later(max(0.0, when - account.seconds()) + 0.01, self._event)
