"""
A program that serves C{twisted.mail}'s IMAP and POP3 under one TLS policy, with the audit.

    python guarded_mail.py DIRECTORY

The directory gets a certificate and the audit's database. C{amy} has the password C{secret}, and no
mail. Each port is printed when it is open.
"""

from __future__ import annotations

import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from guarded_imap4 import GuardedIMAP4
from guarded_pop3 import GuardedPOP3
from twisted.cred.portal import IRealm, Portal
from twisted.internet import reactor, ssl
from twisted.internet.protocol import Factory
from twisted.mail.imap4 import IAccount, MemoryAccount
from twisted.mail.pop3 import IMailbox, Mailbox
from zope.interface import implementer

from mailaccess.auth.gate import AccountGate
from mailaccess.auth.guard import GuardedChecker
from mailaccess.auth.throttle import Throttle
from mailaccess.policy.tls import ListenerRule, TLSPolicy, Verdict
from mailaccess.protocols.login import Entrance
from mailaccess.services.audit.keeper import Keeper
from mailaccess.services.audit.recorder import Recorder
from mailaccess.services.demo.certificate import ensure_certificate
from mailaccess.testing.people import MemoryChecker

POLICY = TLSPolicy(
    {
        "imap": ListenerRule(Verdict.REFUSE),
        "pop3": ListenerRule(Verdict.REFUSE),
        "pop3-open": ListenerRule(Verdict.ALLOW),
    }
)
"""POP3 of C{twisted.mail} has no STLS: C{pop3} is for TLS from the first octet."""


@implementer(IRealm)
class NoMail:
    """
    Empty mailboxes for everybody.
    """

    def requestAvatar(self, avatarId: Any, mind: Any, *interfaces: Any) -> Any:
        """
        As L{IRealm}.
        """
        avatar = MemoryAccount(str(avatarId)) if IAccount in interfaces else Mailbox()
        return interfaces[0], avatar, lambda: None


class Site(Factory):
    """
    The connections of one listener.
    """

    noisy = False

    def __init__(self, make: Any, entrance: Entrance) -> None:
        self.make = make
        self.entrance = entrance

    def buildProtocol(self, addr: Any) -> Any:
        """
        As L{Factory}.
        """
        protocol = self.make()
        protocol.entrance = self.entrance
        protocol.factory = self
        return protocol


def main(place: Path) -> None:
    """
    Serve until the program is ended.
    """
    ensure_certificate(place / "cert.pem", place / "key.pem", datetime.now(UTC))
    pem = (place / "key.pem").read_bytes() + (place / "cert.pem").read_bytes()
    context = ssl.PrivateCertificate.loadPEM(pem).options()
    keeper = Keeper(str(place / "audit.db"), keep=90 * 86400, rows=100_000)
    guard = GuardedChecker(
        POLICY,
        MemoryChecker({"amy": b"secret"}),
        AccountGate(time.time),
        throttle=Throttle(reactor),
        clock=reactor,
        witness=Recorder(keeper),
    )
    portal = Portal(NoMail(), [guard])

    def serve(listener: str, service: str, interface: Any, make: Any, tls: Any = None) -> None:
        site = Site(make, Entrance(listener, service, interface, portal, guard))
        if tls is not None:
            port = reactor.listenSSL(0, site, tls, interface="127.0.0.1")
        else:
            port = reactor.listenTCP(0, site, interface="127.0.0.1")
        print(listener, port.getHost().port, flush=True)

    serve("imap", "imap", IAccount, lambda: GuardedIMAP4(contextFactory=context))
    serve("pop3", "pop3", IMailbox, GuardedPOP3, context)
    serve("pop3-open", "pop3", IMailbox, GuardedPOP3)
    reactor.callWhenRunning(keeper.start)
    reactor.addSystemEventTrigger("after", "shutdown", keeper.stop)
    reactor.run()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
