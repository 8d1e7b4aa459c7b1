"""
L{twisted.mail.imap4.IMAP4Server} behind a portal that lets one user in.
"""

from __future__ import annotations

from typing import Any

from twisted.cred.checkers import InMemoryUsernamePasswordDatabaseDontUse
from twisted.cred.portal import IRealm, Portal
from twisted.internet import reactor
from twisted.internet.protocol import Factory
from twisted.mail import imap4
from zope.interface import implementer

from ..ours import PASSWORD

untyped: Any = imap4


@implementer(IRealm)
class Realm:
    """
    An empty account for everybody.
    """

    def requestAvatar(self, avatarId: Any, mind: object, *interfaces: Any) -> Any:
        """
        As L{IRealm.requestAvatar}.
        """
        return imap4.IAccount, untyped.MemoryAccount(avatarId), lambda: None


def main() -> None:
    """
    Listen on a free port.
    """
    checker = InMemoryUsernamePasswordDatabaseDontUse(amy=PASSWORD.encode("ascii"))
    portal = Portal(Realm(), [checker])

    class Connections(Factory):
        noisy = False

        def buildProtocol(self, _address: object) -> Any:
            protocol: Any = untyped.IMAP4Server()
            protocol.portal = portal
            return protocol

    anything: Any = reactor
    port = anything.listenTCP(0, Connections(), interface="127.0.0.1")
    print(port.getHost().port, flush=True)
    anything.run()


if __name__ == "__main__":
    main()
