"""
The server as one service: what it shares is made once, and a listener is added per port.

    service = MailService(load("/etc/mailaccess.toml"), reactor)
    service.setServiceParent(application)

L{MailService} is the whole object graph on one screen; a C{.tac} file may compose the same objects
in its own way.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Generator, Iterator
from typing import Any, cast

from twisted.application.service import MultiService, Service
from twisted.cred.portal import Portal
from twisted.internet.defer import Deferred, inlineCallbacks, maybeDeferred
from twisted.logger import ILogObserver, Logger

from mailaccess.auth.chain import CheckerChain
from mailaccess.auth.connections import Allowance, Connections
from mailaccess.auth.gate import AccountGate
from mailaccess.auth.guard import GuardedChecker
from mailaccess.auth.masters import Masters
from mailaccess.auth.pool import HashPool
from mailaccess.auth.throttle import Throttle
from mailaccess.interfaces import IAccounts
from mailaccess.protocols.connection import MailConnection
from mailaccess.protocols.limits import Limits
from mailaccess.protocols.sweep import Sweep
from mailaccess.store.accounts import MaildirAccounts
from mailaccess.store.maildir.uniqueids import Pattern
from mailaccess.store.options import Mirror, StoreOptions
from mailaccess.store.uses import DEFAULT, SiteFolders

from .audit.service import Audit
from .control.place import Place
from .control.questions import Questions
from .control.service import Control
from .factories import Factories
from .homes import home_template
from .listeners import Listener, Listeners
from .logins import proofs_of, rights_of, weak_mechanisms
from .logs import LogWriter
from .metrics.looking import look
from .metrics.numbers import Numbers
from .metrics.web import MetricsServer
from .namespaces import with_namespaces
from .policies import policy_of, private_layers
from .process import MayNotRun, become, check_may_serve, harden
from .quotas import NO_QUOTAS, Quotas
from .reach import out_of_reach
from .realm import MailRealm
from .recheck import Looks, Rechecking
from .reload import Reloading
from .renewal import PolicyRenewal
from .settings import MailSettings, Settings
from .sockets import CannotListen, Inherited
from .sources import Sources
from .summary import policy_lines, weaknesses
from .tls import ServerTLS
from .watchdog import Watchdog

log = Logger()


class Lifetime(Service):
    """
    Something that has to be started and stopped, as a service.
    """

    def __init__(
        self,
        start: Callable[[], object] | None = None,
        stop: Callable[[], object] | None = None,
    ) -> None:
        self._start = start
        self._stop = stop

    def startService(self) -> None:
        """
        Start it.
        """
        super().startService()  # type: ignore[no-untyped-call]
        if self._start is not None:
            self._start()

    def stopService(self) -> Deferred[Any]:
        """
        Stop it; fires when it has.
        """
        super().stopService()  # type: ignore[no-untyped-call]
        return maybeDeferred(self._stop) if self._stop is not None else maybeDeferred(lambda: None)


class MailService(MultiService):
    """
    A mail access server.

    @ivar settings: what it was made from
    @ivar portal: its portal, also for services that are added to it
    @ivar listeners: a L{Listener} per port
    @ivar places: counts the connections of all listeners
    @ivar log_writer: where it logs; used by the application that the service is put into
    """

    def __init__(
        self,
        settings: Settings,
        reactor: Any,
        accounts: IAccounts | None = None,
        inherited: Inherited | None = None,
        log_writer: LogWriter | None = None,
        read: Callable[[], Settings] | None = None,
    ) -> None:
        """
        @param accounts: the store; Maildirs as C{[mail]} says if None
        @param read: reads the configuration again, in a thread, for a new policy on SIGHUP; None
            for a policy that stays
        @raise mailaccess.services.certificates.BrokenCertificates: they cannot be used
        """
        super().__init__()  # type: ignore[no-untyped-call]
        self.settings = settings
        self.log_writer = log_writer
        self.listeners = Listeners()  # type: ignore[no-untyped-call]
        limits, domain = settings.limits, settings.mail.domain

        tls = self._tls = ServerTLS(settings.tls, reactor) if settings.tls.certificate else None
        policy = policy_of(settings)
        self.numbers = Numbers(self._numbers_of_now)
        self.audit = Audit(settings, reactor, self.numbers.count)
        pool = HashPool(reactor, settings.server.hash_threads or None)
        self._sources = sources = Sources(settings, reactor, pool)
        checker, throttle = CheckerChain(sources.entries), Throttle(reactor)
        guard = GuardedChecker(
            policy,
            checker,
            AccountGate(time.time),
            domain,
            throttle,
            reactor,
            proofs_of(settings, checker, tls.certificates if tls else None, pool, reactor),
            rights_of(settings),
            masters=Masters(settings.login.master_separator),
            witness=self.audit.recorder,
            ratchet=self.audit.ratchet,
        )
        self.audit.attach(guard)
        store = (
            accounts
            if accounts is not None
            else with_namespaces(
                maildirs(
                    settings.mail,
                    reactor,
                    limits.message_size,
                    Quotas(settings.quota),
                    settings.folders.site,
                ),
                settings,
                reactor,
            )
        )
        self.portal = Portal(MailRealm(store), [guard])
        sweep = Sweep(reactor)
        self.places = Connections(
            Allowance(
                limits.connections_per_ip,
                limits.connections_per_user,
                limits.connections_per_user_and_ip,
                limits.connections,
            )
        )
        factories = Factories(settings, self.portal, guard, reactor, sweep, self.places)

        self._add(Lifetime(pool.start, pool.stop), Lifetime(self._read_users), self.audit)
        self._add(*(Lifetime(each.start, each.stop) for each in sources.directories))
        self._add(Lifetime(stop=getattr(store, "stop", None)), sweep)
        for each in settings.listeners:
            asks = each.client_certificate != "no"
            factory = factories.make(each, tls.factory_for(each.protocol, asks) if tls else None)
            listener = Listener(
                each,
                factory,
                reactor,
                tls,
                backlog=settings.server.backlog,
                patience=settings.server.stop,
                inherited=inherited,
            )
            listener.setServiceParent(self.listeners)  # type: ignore[no-untyped-call]
        hangup: list[Callable[[], object]] = [log_writer.reopen] if log_writer is not None else []
        renewal = PolicyRenewal(settings, read, reactor, self._use_policy) if read else None
        self._guard = guard
        hangup += [renewal.reload if renewal is not None else self.tell_policy]
        hangup += [self.audit.reload, *sources.forgetting]
        if settings.server.watchdog:
            self._add(Watchdog(reactor, settings.server.watchdog / 1000))
        if settings.metrics.listen:
            self._add(MetricsServer(settings.metrics.listen, self.numbers.registry, reactor))
        reloading = Reloading(reactor, tls, hangup)
        self._add(self.listeners, reloading)
        if settings.login.recheck:
            looks = Looks(settings.login.recheck, settings.login.recheck_rate)
            self._add(Rechecking(reactor, guard, self.connections, looks))
        if settings.control.path:
            questions = Questions(
                self.connections, domain, lambda: reloading.everything("control"), throttle.held
            )
            place = Place(settings.control, settings.server)
            self._add(Control(reactor, place, questions))

    def connections(self) -> Iterator[MailConnection]:
        """
        Those of all listeners.
        """
        for each in self.listeners:
            yield from each.factory.connections

    def _numbers_of_now(self) -> Iterator[Any]:
        certificates = self._tls.certificates if self._tls is not None else None
        return look(self.connections(), self._sources.directories, certificates, self.audit)

    def _add(self, *services: Service) -> None:
        for each in services:
            each.setServiceParent(self)  # type: ignore[no-untyped-call]

    def _read_users(self) -> None:
        for problem in self._sources.read():
            log.warn("{problem}", problem=problem)
        for listener, mechanism in weak_mechanisms(self.settings):
            log.warn(
                "weak mechanism",
                event="weak-mechanism",
                listener=listener,
                method=mechanism.name,
                reason=mechanism.weak,
            )

    def setServiceParent(self, parent: Any) -> None:
        """
        Become part of an application, which then logs where this service logs.
        """
        if self.log_writer is not None and hasattr(parent, "setComponent"):
            parent.setComponent(ILogObserver, self.log_writer)
        super().setServiceParent(parent)  # type: ignore[no-untyped-call]

    def privilegedStartService(self) -> None:
        """
        Open the ports; then give up root, for the user of C{[server]}.

        @raise SystemExit: it cannot start; the text is for whoever started it
        """
        try:
            harden()
            super().privilegedStartService()  # type: ignore[no-untyped-call]
            if os.geteuid() == 0:
                self._tell_out_of_reach()
            become(self.settings.server)
        except (CannotListen, MayNotRun) as error:
            raise _cannot_start(error) from None

    def _tell_out_of_reach(self) -> None:
        # Only root sees all of them, so before root is given up.
        for option, text in out_of_reach(self.settings):
            log.warn("{reason}", event="out-of-reach", option=str(option[-1]), reason=text)

    def startService(self) -> None:
        """
        Serve.

        @raise SystemExit: it cannot start; the text is for whoever started it
        """
        # twist has no privileged phase; where there was one, nothing is left to be done in it.
        self.privilegedStartService()
        try:
            check_may_serve(self.settings.listeners)
            super().startService()  # type: ignore[no-untyped-call]
            self.tell_policy()
        except (CannotListen, MayNotRun) as error:
            raise _cannot_start(error) from None

    def _use_policy(self, settings: Settings) -> None:
        """
        From now on these rules count, also for connections that are there and not logged in.
        """
        self.settings = settings
        self._guard.policy = policy_of(settings)
        named: dict[str, Any] = self.listeners.namedServices
        for each in settings.listeners:
            factory = named[each.label].factory
            factory.entrance.private, factory.entrance.trusted = private_layers(each)
            for connection in factory.connections:
                connection.link_changed()
        self.tell_policy()

    def tell_policy(self) -> None:
        """
        Log what the policy is, for people, and what in it is weak.
        """
        for line in policy_lines(self.settings):
            log.info("policy: {text}", event="policy", text=line)
        for line in weaknesses(self.settings, time.time()):
            log.warn("weak: {text}", event="policy-weak", text=line)

    @inlineCallbacks
    def stopService(self) -> Generator[Deferred[Any], Any, None]:
        """
        Stop in order: sessions end before what they use does (DS-17).
        """
        Service.stopService(self)  # type: ignore[no-untyped-call]
        for each in reversed([*self]):
            yield maybeDeferred(each.stopService)
        log.info("stopped", event="stopped")


def _cannot_start(error: Exception) -> SystemExit:
    return SystemExit("\n".join(f"mailaccess: {line}" for line in str(error).split("\n")))


def maildirs(
    mail: MailSettings,
    reactor: Any,
    message_size: int = Limits().message,
    quotas: Quotas = NO_QUOTAS,
    folders: SiteFolders = DEFAULT,
) -> MaildirAccounts:
    """
    The store that C{[mail]} describes.
    """
    options = StoreOptions(
        subdirectory=mail.maildir,
        mirror=cast(Mirror, mail.mirror),
        message_limit=message_size,
        unique_ids=Pattern(mail.pop3_uidl_format),
        allowance=quotas,
        quota_warning=mail.quota_warning,
        folders=folders,
    )
    return MaildirAccounts(home_template(mail.home), reactor, options)
