"""
Sessions that last are looked at again: would their users still be let in (AUTH-12)?

    Rechecking(reactor, guard, service.connections, Looks(600, 20)).setServiceParent(service)

Time is cut into rounds of half the time that may pass. In each round every user who is logged in is
looked up once, in an order that is different each time, spread over the round and never more than
so many a second or at a time; so a session is looked at again before the whole time is over.

    answer                          what becomes of the user's sessions
    as before                       they go on
    disabled, other password, ...   they end, each as the account gate says for its connection
    unknown to every source         they end if that is so again a moment later
    it could not be found out       they go on; the log has one line until it can be
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, MutableSequence
from math import ceil
from typing import Any

import attrs
from twisted.application.service import Service
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import LoopingCall
from twisted.logger import Logger

from mailaccess.auth.guard import GuardedChecker
from mailaccess.auth.standing import asker, look_again
from mailaccess.errors import AccountGone, DirectoryUnavailable, Refused
from mailaccess.protocols.connection import MailConnection

log = Logger()

AGAIN = 5.0
"""
Seconds until somebody who was not found is looked for once more: a file may be half written, a
replica behind.
"""


@attrs.frozen
class Looks:
    """
    How often.

    @ivar seconds: within which every session is looked at again
    @ivar rate: users a second at most
    @ivar together: users at a time at most
    """

    seconds: float = 600.0
    rate: int = 20
    together: int = 4


@attrs.define(eq=False)
class _Case:
    """
    Sessions that stand and fall with the same lookups.

    @ivar due: clock time before which it is not looked at
    @ivar gone: somebody was not found once already
    """

    connections: list[MailConnection]
    due: float = 0.0
    gone: bool = False


class Rechecking(Service):
    """
    Looks again as long as the server runs.

    @ivar connections: all there are now
    """

    def __init__(
        self,
        clock: Any,
        guard: GuardedChecker,
        connections: Callable[[], Iterable[MailConnection]],
        looks: Looks = Looks(),
        shuffle: Callable[[MutableSequence[Any]], None] = random.shuffle,
    ) -> None:
        self._clock = clock
        self._guard = guard
        self.connections = connections
        self._looks = looks
        self._shuffle = shuffle
        self._waiting: list[_Case] = []
        self._running: set[Deferred[None]] = set()
        self._next_round = 0.0
        self._share = 1
        self._down = False
        self._failed = False
        self._slow = False
        self._loop = LoopingCall(self._tick)
        self._loop.clock = clock

    def startService(self) -> None:
        """
        Begin.
        """
        super().startService()  # type: ignore[no-untyped-call]
        self._next_round = self._clock.seconds() + self._round
        self._loop.start(1.0, now=False)

    def stopService(self) -> None:
        """
        End.
        """
        super().stopService()  # type: ignore[no-untyped-call]
        if self._loop.running:
            self._loop.stop()
        self._waiting.clear()
        for each in tuple(self._running):
            each.cancel()

    @property
    def _round(self) -> float:
        return self._looks.seconds / 2

    def _tick(self) -> None:
        now = self._clock.seconds()
        if now >= self._next_round:
            self._begin(now)
        for _ in range(self._share):
            if len(self._running) >= self._looks.together:
                return
            at = next(
                (
                    at
                    for at in range(len(self._waiting) - 1, -1, -1)
                    if self._waiting[at].due <= now
                ),
                None,
            )
            if at is None:
                return
            self._start(self._waiting.pop(at))

    def _begin(self, now: float) -> None:
        """
        The next round, unless the last one takes longer.
        """
        if self._waiting or self._running:
            if not self._slow:
                self._slow = True
                log.warn(
                    "sessions are looked at more slowly than recheck says; raise recheck_rate",
                    event="recheck-slow",
                    count=len(self._waiting) + len(self._running),
                )
            return
        if self._down and not self._failed:
            self._down = False
            log.info("users can be looked up again", event="recheck-up")
        self._failed = self._slow = False
        self._next_round = now + self._round
        cases: dict[tuple[str, ...], _Case] = {}
        for each in self.connections():
            if each.visit is not None and not each.closing:
                names = tuple(ground.name for ground in each.visit.user.identity.grounds)
                if names:
                    cases.setdefault(names, _Case([])).connections.append(each)
        self._waiting = list(cases.values())
        self._shuffle(self._waiting)
        # A tenth of the round is left for those that are looked for once more.
        wanted = ceil(len(self._waiting) / max(1.0, self._round * 0.9))
        self._share = max(1, min(self._looks.rate, wanted))

    def _start(self, case: _Case) -> None:
        running = Deferred.fromCoroutine(self._look(case))
        self._running.add(running)
        running.addErrback(self._broke)
        running.addBoth(lambda _: self._running.discard(running))

    def _broke(self, failure: Any) -> None:
        if failure.check(CancelledError) is None:
            log.failure("a session could not be looked at again", failure=failure)

    async def _look(self, case: _Case) -> None:
        ask = asker(self._guard)
        for each in case.connections:
            visit = each.visit
            if visit is None or each.closing:
                continue
            try:
                await look_again(
                    self._guard,
                    visit.user.identity,
                    each.link,
                    visit.mechanism,
                    each.entrance.service,
                    ask,
                )
            except DirectoryUnavailable as error:
                self._unknown(error)
                return
            except AccountGone as error:
                if not case.gone:
                    case.gone, case.due = True, self._clock.seconds() + AGAIN
                    self._waiting.append(case)
                    return
                self._expel(each, error)
            except Refused as refused:
                self._expel(each, refused)

    def _unknown(self, error: DirectoryUnavailable) -> None:
        self._failed = True
        if not self._down:
            self._down = True
            log.warn(
                "users cannot be looked up; their sessions go on",
                event="recheck-down",
                detail=error.detail,
            )

    def _expel(self, connection: MailConnection, refused: Refused) -> None:
        visit = connection.visit
        if visit is None or connection.closing:
            return
        identity = visit.user.identity
        log.info(
            "session ended",
            event="no-longer",
            session=connection.number,
            user=identity.name,
            **({"actor": identity.actor} if identity.actor else {}),
            listener=connection.link.listener,
            rip=connection.link.peer,
            reason=type(refused).__name__,
            detail=refused.detail,
        )
        connection.expel(type(refused)(refused.public, f"no longer: {type(refused).__name__}"))
