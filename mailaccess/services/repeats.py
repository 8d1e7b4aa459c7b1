"""
Floods in the log: what one address repeats is written so many times a minute, and then counted
(AB-13).

    repeats = Repeats(each_minute=30)
    for line in repeats.written(event): ...

The count comes as an event of its own, C{event=repeated}, once the minute is over and something is
logged. Logins are always written.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator

import attrs
from twisted.logger import LogEvent

from mailaccess.auth.throttle import address_group

REPEATABLE = frozenset({"connect", "disconnect", "failed", "refused", "abandoned", "cleartext"})
"""Events that a client brings about without being let in."""

MINUTE = 60.0

Key = tuple[str, str]


@attrs.define
class _Seen:
    """
    One kind of event of one address.

    @ivar since: when the first of them was logged, seconds since 1970
    """

    since: float
    count: int = 0


class Repeats:
    """
    Counts events by kind and address; IPv6 by /64.

    @ivar each_minute: of one kind and address; 0 for all
    """

    def __init__(self, each_minute: int, size: int = 10_000) -> None:
        """
        @param size: kinds and addresses remembered; the oldest are forgotten first
        """
        self.each_minute = each_minute
        self._size = size
        # By the time they began, because that is when they were put in.
        self._seen: OrderedDict[Key, _Seen] = OrderedDict()

    def __len__(self) -> int:
        return len(self._seen)

    def written(self, event: LogEvent) -> Iterator[LogEvent]:
        """
        What to write for an event: itself or nothing, after counts that are due.
        """
        kind = event.get("event")
        now = event.get("log_time", 0.0)
        if not self.each_minute or kind not in REPEATABLE:
            if self._seen:
                yield from self._over(now)
            yield event
            return
        yield from self._over(now)
        key = (kind, address_group(str(event.get("rip", ""))))
        seen = self._seen.get(key)
        if seen is None:
            if len(self._seen) >= self._size:
                yield from self._counted(*self._seen.popitem(last=False), now)
            seen = self._seen[key] = _Seen(now)
        seen.count += 1
        if seen.count <= self.each_minute:
            yield event

    def _over(self, now: float) -> Iterator[LogEvent]:
        """
        Counts of minutes that are over.
        """
        while self._seen:
            key, seen = next(iter(self._seen.items()))
            if now - seen.since < MINUTE:
                return
            del self._seen[key]
            yield from self._counted(key, seen, now)

    def _counted(self, key: Key, seen: _Seen, now: float) -> Iterator[LogEvent]:
        more = seen.count - self.each_minute
        if more > 0:
            kind, address = key
            yield {
                "event": "repeated",
                "log_time": now,
                "of": kind,
                "rip": address,
                "count": more,
            }
