"""
A listener as a service: its sockets are opened first, accept later, and close before sessions end.

    Listener(ListenerSettings(protocol="imap"), factory, reactor, tls)

    privilegedStartService   opens the ports, as root if need be
    startService             begins to accept
    stopService              accepts no more, says good-bye to those who wait, lets running commands
                             end, and after L{Listener.patience} seconds ends what is left (DS-17)
"""

from __future__ import annotations

import socket
from collections.abc import Callable, Generator
from typing import Any

from twisted.application.service import MultiService, Service
from twisted.internet.defer import Deferred, inlineCallbacks, maybeDeferred
from twisted.internet.interfaces import IListeningPort, IProtocolFactory, ISSLTransport
from twisted.logger import Logger
from twisted.protocols.tls import TLSMemoryBIOFactory, TLSMemoryBIOProtocol
from zope.interface import implementer

from .policies import networks
from .proxied import ProxiedFactory
from .settings import ListenerSettings
from .sockets import PREFIX, UNIX, CannotListen, Inherited, SocketFile, bind, bind_unix
from .tls import ServerTLS
from .transport import listen

log = Logger()


@implementer(ISSLTransport)
class ImplicitTLS(TLSMemoryBIOProtocol):
    """
    TLS from the first octet. Our protocols write once per batch, so Twisted's own gathering of
    small writes would only cost a turn of the reactor.
    """


class ImplicitTLSFactory(TLSMemoryBIOFactory):
    """
    Puts TLS under the connections of a factory.
    """

    protocol = ImplicitTLS


class Listener(Service):
    """
    One port, on one or several addresses.

    @ivar factory: makes the protocols; C{stop_gracefully()} is used if it has it
    @ivar patience: seconds that running commands get when the listener stops
    """

    def __init__(
        self,
        settings: ListenerSettings,
        factory: IProtocolFactory,
        reactor: Any,
        tls: ServerTLS | None = None,
        *,
        backlog: int = 512,
        patience: float = 10.0,
        inherited: Inherited | None = None,
        accept: Callable[[Any, int, int, Any], Any] = listen,
    ) -> None:
        """
        @param accept: makes a port of a reactor, a listening socket, its family and a factory
        """
        if settings.tls != "none" and tls is None:
            raise ValueError(f"listener {settings.label} needs certificates")
        self.settings = settings
        self.setName(settings.label)  # type: ignore[no-untyped-call]
        self.factory = factory
        self.patience = patience
        self.ports: list[IListeningPort] = []
        self._reactor = reactor
        self._tls = tls
        self._backlog = backlog
        self._inherited = inherited if inherited is not None else Inherited()
        self._accept = accept
        self._sockets: list[socket.socket] = []
        self._files: list[SocketFile] = []

    def privilegedStartService(self) -> None:
        """
        Open the ports.

        @raise CannotListen: some of them cannot be, a line for each
        """
        if self._sockets:
            return
        settings = self.settings
        written = f" ({settings.source})" if settings.source != "default" else ""
        where = settings.label + written
        wrong = []
        for address in settings.address:
            try:
                if address.startswith(PREFIX):
                    opened = self._inherited.socket(address, where)
                elif address.startswith(UNIX):
                    opened = self._bind_unix(address.removeprefix(UNIX), where)
                else:
                    opened = bind(address, settings.port_number, where, self._backlog)
                self._sockets.append(opened)
            except CannotListen as error:
                wrong.append(str(error))
        if wrong:
            self._close()
            raise CannotListen("\n".join(wrong))

    def startService(self) -> None:
        """
        Accept connections; open the ports first where nobody did.
        """
        self.privilegedStartService()
        super().startService()  # type: ignore[no-untyped-call]
        factory = self.factory
        if self.settings.tls == "implicit" and self._tls is not None:
            asks = self.settings.client_certificate != "no"
            creator = self._tls.factory_for(self.settings.protocol, asks)
            factory = ImplicitTLSFactory(creator, False, factory, self._reactor)
        if self.settings.proxies:
            factory = self._behind_proxies(factory)
        for each in self._sockets:
            port = self._accept(self._reactor, each.fileno(), each.family, factory)
            self.ports.append(port)
            host = port.getHost()
            log.info(
                "{listener}: listening on {lip} port {port}",
                event="listen",
                listener=self.settings.label,
                lip=getattr(host, "host", None) or _path(host),
                port=getattr(host, "port", 0),
                layer=self.settings.tls,
            )
        self._close()

    def _bind_unix(self, path: str, where: str) -> socket.socket:
        settings = self.settings
        mode = int(settings.socket_mode, 8)
        opened = bind_unix(path, where, self._backlog, mode, settings.socket_group)
        self._files.append(SocketFile.of(path))
        return opened

    def _behind_proxies(self, factory: Any) -> ProxiedFactory:
        settings = self.settings
        return ProxiedFactory(
            factory,
            networks(settings.proxies),
            self._reactor,
            settings.label,
            sockets="unix" in settings.proxies,
            certificates=settings.client_certificate != "no",
        )

    @inlineCallbacks
    def stopService(self) -> Generator[Deferred[Any], Any, None]:
        """
        Stop accepting, then end the sessions.
        """
        super().stopService()  # type: ignore[no-untyped-call]
        self._close()
        ports, self.ports = self.ports, []
        for port in ports:
            yield maybeDeferred(port.stopListening)
        for each in self._files:
            each.remove()
        self._files.clear()
        stop = getattr(self.factory, "stop_gracefully", None)
        if stop is not None:
            ended: Deferred[Any] = stop()
            ended.addTimeout(self.patience, self._reactor)
            ended.addErrback(self._out_of_patience)
            yield ended

    def _out_of_patience(self, _failure: object) -> None:
        log.warn("sessions did not end in time", event="stop-forced", listener=self.settings.label)
        for each in tuple(getattr(self.factory, "connections", ())):
            each.abort()

    def _close(self) -> None:
        sockets, self._sockets = self._sockets, []
        for each in sockets:
            each.close()


class Listeners(MultiService):
    """
    All of a server.
    """

    def privilegedStartService(self) -> None:
        """
        Open all ports, or say of each that cannot be opened why.

        @raise CannotListen: some of them cannot be, a line for each
        """
        wrong = []
        for each in self:
            try:
                each.privilegedStartService()
            except CannotListen as error:
                wrong.append(str(error))
        if wrong:
            raise CannotListen("\n".join(wrong))


def _path(host: Any) -> str:
    name = getattr(host, "name", None)
    return UNIX + name.decode("utf-8", "backslashreplace") if name else str(host)
