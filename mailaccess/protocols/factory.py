"""
What the connections of one listener share, whatever they speak.
"""

from __future__ import annotations

import secrets
from itertools import count
from typing import TYPE_CHECKING, Any

from twisted.internet.defer import Deferred, DeferredList, succeed
from twisted.internet.interfaces import IReactorTime
from twisted.internet.protocol import Factory
from twisted.logger import Logger

from ..auth.connections import Connections
from .limits import Limits
from .login import Entrance
from .sweep import Sweep

if TYPE_CHECKING:
    from .connection import MailConnection


class MailFactory(Factory):
    """
    The connections of one listener.

    @ivar places: how many connections there may be, shared by all listeners; None for no limit
    """

    noisy = False
    log = Logger(namespace="mailaccess.connection")

    def __init__(
        self,
        entrance: Entrance,
        clock: IReactorTime,
        sweep: Sweep,
        limits: Limits | None = None,
        places: Connections | None = None,
    ) -> None:
        self.entrance = entrance
        self.clock = clock
        self.sweep = sweep
        self.limits = limits if limits is not None else Limits()
        self.places = places
        self.connections: set[MailConnection] = set()
        # When and at how many octets was last looked whether a literal comes on; not kept by the
        # connections, which have to stay small.
        self.literals: dict[MailConnection, tuple[float, int]] = {}
        self._series = secrets.token_hex(3)
        self._numbers = count(1)

    def number(self) -> str:
        """
        A name for a session that no other has, also after a restart.
        """
        return f"{self._series}-{next(self._numbers):x}"

    def stop_gracefully(self) -> Deferred[Any]:
        """
        Say good-bye to all who wait; fires when the commands that run have ended and all are gone
        (DS-17). Cancel it to end what is left.
        """
        waiting = []
        for each in tuple(self.connections):
            gone: Deferred[None] = Deferred()
            each.when_gone.append(gone)
            waiting.append(gone)
            each.shut_down()
        return DeferredList(waiting) if waiting else succeed(None)
