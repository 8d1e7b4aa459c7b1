"""
Makes POP3 connections.
"""

from __future__ import annotations

import secrets
from collections import OrderedDict

import attrs
from twisted.internet.interfaces import IAddress, IReactorTime

from ...auth.connections import Connections
from ...interfaces import IMailUser
from ..factory import MailFactory
from ..limits import Limits
from ..login import Entrance
from ..sweep import Sweep
from . import authorization, transaction  # noqa: F401 - they fill the table of commands
from .codes import LoginDelay
from .maildrop import Maildrop, open_maildrop
from .options import POP3Options
from .server import POP3Server

REMEMBERED = 100_000
"""Users whose last login is remembered for LOGIN-DELAY."""


class POP3Factory(MailFactory):
    """
    The POP3 connections of one listener.
    """

    def __init__(
        self,
        entrance: Entrance,
        clock: IReactorTime,
        sweep: Sweep,
        limits: Limits | None = None,
        places: Connections | None = None,
        options: POP3Options | None = None,
    ) -> None:
        # RFC 1939 section 3: at least ten minutes
        limits = limits if limits is not None else attrs.evolve(Limits(), idle_seconds=600.0)
        super().__init__(entrance, clock, sweep, limits, places)
        self.options = options if options is not None else POP3Options()
        self._logins: OrderedDict[str, float] = OrderedDict()

    def buildProtocol(self, addr: IAddress | None) -> POP3Server:  # type: ignore[override]
        """
        One connection.
        """
        return POP3Server(self)

    def timestamp(self) -> bytes:
        """
        A banner timestamp that no other connection ever has (RFC 1939 section 7, SASL-06).
        """
        return b"<%b.%d@mailaccess>" % (
            secrets.token_hex(16).encode("ascii"),
            int(self.clock.seconds()),
        )

    async def open(self, user: IMailUser) -> Maildrop:
        """
        The maildrop of somebody who has just logged in.

        @raise LoginDelay: too soon
        @raise mailaccess.errors.InUse: another session has it
        """
        name, now = user.identity.name, self.clock.seconds()
        delay = self.options.login_delay
        if delay and now - self._logins.get(name, now - delay) < delay:
            raise LoginDelay
        drop = await open_maildrop(user, self.options.second_session == "in-use")
        if delay:
            self._logins[name] = now
            self._logins.move_to_end(name)
            if len(self._logins) > REMEMBERED:
                self._logins.popitem(last=False)
        return drop
