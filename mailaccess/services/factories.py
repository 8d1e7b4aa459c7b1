"""
From the configuration to what a listener's connections share: an entrance, and a factory of
protocols.

Used by the server, and by those who want to know what the server would say: both get the same
objects.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import attrs
from twisted.cred.portal import Portal
from twisted.internet.interfaces import IReactorTime

from mailaccess.auth.guard import GuardedChecker
from mailaccess.interfaces import IIMAPUser, IPOP3User
from mailaccess.policy.link import Link
from mailaccess.policy.mechanism import APOP, LOGIN_COMMAND, USER_PASS, Mechanism
from mailaccess.protocols.factory import MailFactory
from mailaccess.protocols.imap.factory import IMAPFactory
from mailaccess.protocols.limits import Limits
from mailaccess.protocols.login import Entrance
from mailaccess.protocols.pop3.factory import POP3Factory
from mailaccess.protocols.pop3.options import POP3Options
from mailaccess.protocols.sweep import Sweep
from mailaccess.wire.naming import Naming

from .policies import private_layers
from .settings import ListenerSettings, Settings


@attrs.frozen(eq=False)
class Factories:
    """
    Makes the entrances and factories of a site.

    @ivar entrance_kind: the class of the entrances
    """

    settings: Settings
    portal: Portal
    guard: GuardedChecker
    clock: IReactorTime
    sweep: Sweep
    places: Any = None
    entrance_kind: Callable[..., Entrance] = Entrance

    def make(self, listener: ListenerSettings, tls: Any = None) -> MailFactory:
        """
        The factory of one listener.

        @param tls: context for STARTTLS and STLS; used only where the listener has them
        """
        settings = self.settings
        layers, networks = private_layers(listener)
        entrance = self.entrance_kind(
            listener.label,
            listener.protocol,
            {"imap": IIMAPUser, "pop3": IPOP3User}[listener.protocol],
            self.portal,
            self.guard,
            tls if listener.tls == "starttls" else None,
            layers,
            networks,
            settings.mail.domain,
            settings.limits.failures_per_connection,
        )
        shared = entrance, self.clock, self.sweep
        if listener.protocol == "imap":
            limits = self._limits(settings.limits.imap_idle)
            naming = Naming(settings.mail.delimiter, settings.mail.prefix)
            return IMAPFactory(*shared, limits, self.places, naming=naming)
        limits = self._limits(settings.limits.pop3_idle)
        return POP3Factory(*shared, limits, self.places, self._pop3_options())

    def mechanisms(self, listener: ListenerSettings) -> list[Mechanism]:
        """
        All that a listener's protocol has and a source of users can check, offered or not.
        """
        entrance = self.make(listener).entrance
        own = [LOGIN_COMMAND] if listener.protocol == "imap" else [USER_PASS]
        if listener.protocol == "pop3" and self.settings.pop3.apop:
            own.append(APOP)
        link = Link(listener.label)
        found = [each.mechanism for each in entrance.mechanisms.values()]
        return own + [each for each in found if entrance.works(link, each)]

    def _limits(self, idle: float) -> Limits:
        it = self.settings.limits
        return Limits(
            handshake_seconds=self.settings.tls.handshake,
            login_seconds=it.login,
            idle_seconds=idle,
            stall_seconds=it.stalled,
            mistakes_before_login=it.bad_commands_before_login,
            mistakes=it.bad_commands,
            failed_logins=it.failures_per_connection,
            message=it.message_size,
        )

    def _pop3_options(self) -> POP3Options:
        it = self.settings.pop3
        return POP3Options(
            refuse_at=it.refuse_at,
            second_session=it.second_session,
            apop=it.apop,
            login_delay=it.login_delay,
            expire=None if it.expire == "NEVER" else int(it.expire),
        )
