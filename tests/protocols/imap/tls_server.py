"""
An IMAP server on loopback, with STARTTLS on one port and TLS at once on the other: run as a program
with a directory for its certificate; prints the two ports and serves until its input ends.

C{amy} logs in at once, C{slow} after a while; in the clear only with C{allow} as second argument.
"""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from twisted.internet import reactor as any_reactor
from twisted.internet.protocol import Protocol
from twisted.internet.stdio import StandardIO
from twisted.internet.task import deferLater
from twisted.protocols.tls import TLSMemoryBIOFactory

from mailaccess.policy.tls import ListenerRule, Verdict
from mailaccess.protocols.imap.factory import IMAPFactory
from mailaccess.protocols.sweep import Sweep
from mailaccess.services.demo.certificate import ensure_certificate
from mailaccess.services.settings import TLSSettings
from mailaccess.services.tls import ServerTLS
from mailaccess.testing.memory import MemoryAccounts
from mailaccess.testing.people import MemoryChecker, entrance

reactor: Any = any_reactor


class SlowForSome(MemoryChecker):
    """
    C{slow} is looked up by a slow directory.
    """

    async def check(self, name: str, secret: bytes, service: str) -> Any:
        if name == "slow":
            await deferLater(reactor, 0.3)
        return await super().check(name, secret, service)


class UntilTheEnd(Protocol):
    """
    Stops the server when the input ends.
    """

    def connectionLost(self, reason: Any = None) -> None:
        if reactor.running:
            reactor.stop()


def main(directory: Path, cleartext: str) -> None:
    certificate, key = directory / "cert.pem", directory / "key.pem"
    ensure_certificate(certificate, key, datetime.now(UTC))
    settings = TLSSettings(certificate=str(certificate), key=str(key))
    context = ServerTLS(settings, reactor).factory_for("imap")
    sweep = Sweep(reactor)
    sweep.startService()
    way_in = entrance(
        SlowForSome({"amy": b"secret", "slow": b"secret"}),
        MemoryAccounts().enter,
        reactor,
        rule=ListenerRule(cleartext=Verdict(cleartext)),
        tls=context,
    )
    factory = IMAPFactory(way_in, reactor, sweep)
    ports = [
        reactor.listenTCP(0, each, interface="127.0.0.1").getHost().port
        for each in (factory, TLSMemoryBIOFactory(context, False, factory))
    ]
    StandardIO(UntilTheEnd())
    reactor.callWhenRunning(print, *ports, flush=True)
    reactor.run()


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
