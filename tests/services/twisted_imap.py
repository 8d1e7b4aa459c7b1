"""
C{twisted.mail}'s own IMAP server with STARTTLS, for the probe to look at. Prints its port.
"""

from __future__ import annotations

import sys

from twisted.cred.checkers import InMemoryUsernamePasswordDatabaseDontUse
from twisted.cred.portal import Portal
from twisted.internet import reactor, ssl
from twisted.internet.protocol import Factory
from twisted.mail.imap4 import IMAP4Server, PLAINCredentials


class NoRealm:
    """
    Nobody gets that far.
    """

    def requestAvatar(self, *_arguments):
        raise NotImplementedError


checker = InMemoryUsernamePasswordDatabaseDontUse(amy=b"secret")
with open(sys.argv[1], "rb") as pem:
    certificate = ssl.PrivateCertificate.loadPEM(pem.read())


def build():
    made = IMAP4Server(chal={b"PLAIN": PLAINCredentials}, contextFactory=certificate.options())
    made.portal = Portal(NoRealm(), [checker])
    return made


port = reactor.listenTCP(0, Factory.forProtocol(build), interface="127.0.0.1")
print(port.getHost().port, flush=True)
reactor.run()
