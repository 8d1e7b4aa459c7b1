"""
Conversations with the server's own protocols without a network: what would a client be told?

A L{StageEntrance} takes the facts of the connection from a L{StageTransport}; everything else is
the code that serves. L{IMAPVisitor} and L{POP3Visitor} say what clients say.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Sequence
from typing import Any

import attrs
from twisted.internet.address import IPv4Address, IPv6Address, UNIXAddress
from twisted.internet.interfaces import ISSLTransport
from zope.interface import alsoProvides

from mailaccess.policy.link import Layer, Link
from mailaccess.policy.mechanism import APOP, LOGIN_COMMAND, USER_PASS, Mechanism
from mailaccess.protocols.factory import MailFactory
from mailaccess.protocols.links import Announced
from mailaccess.protocols.login import Entrance
from mailaccess.protocols.tlsfacts import BINDINGS, TLSFacts

SECRET = "x"  # noqa: S105 - never right: nobody asks whether it is
MOST_STEPS = 5
"""Of a SASL exchange, more than any mechanism has."""

UNIX = "unix"
"""Instead of an address: the client comes over a unix socket."""

CIPHERS = {"1.2": "ECDHE-RSA-AES256-GCM-SHA384", "1.3": "TLS_AES_256_GCM_SHA384"}


class StageTransport:
    """
    Keeps what is written.

    @ivar tls: C{1.2} or C{1.3} once there is TLS, else empty
    @ivar announced: what a proxy says of the client
    """

    def __init__(
        self, peer: str, tls: str = "", certificate: str = "", announced: Announced | None = None
    ) -> None:
        self.peer = peer
        self.announced = announced
        self.tls = tls
        self.certificate = certificate
        self.written: list[bytes] = []
        if tls:
            alsoProvides(self, ISSLTransport)

    def _address(self, host: str, port: int) -> IPv4Address | IPv6Address | UNIXAddress:
        if host == UNIX:
            return UNIXAddress(None)
        kind = IPv6Address if ":" in host else IPv4Address
        return kind("TCP", host, port)

    def getPeer(self) -> Any:
        """
        Where the client is.
        """
        return self._address(self.peer, 50000)

    def getHost(self) -> Any:
        """
        Where the server is.
        """
        if self.peer == UNIX:
            return UNIXAddress(b"socket")
        return self._address("::1" if ":" in self.peer else "127.0.0.1", 0)

    def write(self, data: bytes) -> None:
        """
        What the client would read.
        """
        self.written.append(data)

    def startTLS(self, context: Any) -> None:
        """
        The handshake is up to who plays the client.
        """

    def registerProducer(self, producer: Any, streaming: bool) -> None:
        """
        Everything is read at once here.
        """

    def unregisterProducer(self) -> None:
        """
        The same.
        """

    def loseConnection(self) -> None:
        """
        Nothing is lost.
        """

    def abortConnection(self) -> None:
        """
        The same.
        """


@attrs.define(eq=False)
class StageEntrance(Entrance):
    """
    An entrance for connections that have the TLS they are said to have.
    """

    def link_of(self, transport: Any) -> Link:
        """
        The facts of a connection that is not there.
        """
        link = Entrance.link_of(self, transport)
        if not transport.tls or transport.announced is not None:
            return link
        return attrs.evolve(
            link,
            layer=Layer.TLS,
            bits=256,
            tls_version=f"TLSv{transport.tls}",
            cipher=CIPHERS[transport.tls],
            certificate=transport.certificate,
            bindings=BINDINGS[f"TLSv{transport.tls}"],
        )


def behind_proxy(peer: str, tls: str, certificate: str = "") -> Announced:
    """
    What a proxy says of a client that has TLS with it.

    @param tls: C{1.2} or C{1.3}
    """
    name = certificate.removeprefix("CN=")
    names = (("cn", name),) if name else ()
    facts = TLSFacts(f"TLSv{tls}", CIPHERS[tls], 256, certificate, names)
    return Announced(peer, "", facts)


class Visitor:
    """
    One connection, and what a client says on it.

    @ivar greeting: the first line of the server
    """

    def __init__(
        self,
        factory: MailFactory,
        peer: str,
        *,
        implicit: bool,
        tls: str = "",
        certificate: str = "",
        announced: Announced | None = None,
    ) -> None:
        """
        @param tls: C{1.2}, C{1.3} or empty; by STARTTLS unless C{implicit}
        """
        self.transport = StageTransport(peer, tls if implicit else "", certificate, announced)
        maker: Any = factory
        self.protocol = maker.buildProtocol(None)
        self.protocol.makeConnection(self.transport)
        if implicit:
            self.protocol.handshakeCompleted()
        self.greeting = self._read()
        if tls and not implicit:
            self.say(self.start_tls)
            self.transport.tls = tls
            self.protocol.handshakeCompleted()

    start_tls = b""

    def say(self, line: bytes) -> bytes:
        """
        Send a line; all that the server says to it.
        """
        self.protocol.dataReceived(line + b"\r\n")
        return self._read()

    def _read(self) -> bytes:
        data = b"".join(self.transport.written)
        self.transport.written.clear()
        return data

    @property
    def link(self) -> Link:
        """
        The connection as the policy sees it.
        """
        link: Link = self.protocol.link
        return link

    def capability(self) -> list[str]:
        """
        The lines with what the server offers now.
        """
        raise NotImplementedError

    def login(self, mechanism: Mechanism, name: str) -> tuple[str, str]:
        """
        Try to log in; the command that is answered at last, without secrets, and the answer.
        """
        raise NotImplementedError

    def _sasl(self, start: bytes, mechanism: Mechanism, name: str) -> tuple[str, str]:
        script = list(_responses(mechanism.name, name))
        line = start + mechanism.name.encode("ascii")
        said = line.decode("ascii")
        if mechanism.initial and script:
            line += b" " + (b64encode(script.pop(0)) or b"=")
        answer = self.say(line)
        for _ in range(MOST_STEPS):
            if not answer.startswith(b"+ "):
                break
            answer = self.say(b64encode(script.pop(0)) if script else b"*")
        return said, _last(answer)


class IMAPVisitor(Visitor):
    """
    Speaks IMAP.
    """

    start_tls = b"s STARTTLS"

    def capability(self) -> list[str]:
        """
        C{* CAPABILITY ...}.
        """
        return [self.say(b"c CAPABILITY").decode("ascii").partition("\r\n")[0]]

    def login(self, mechanism: Mechanism, name: str) -> tuple[str, str]:
        """
        LOGIN or AUTHENTICATE.
        """
        if mechanism != LOGIN_COMMAND:
            return self._sasl(b"a AUTHENTICATE ", mechanism, name)
        return "a LOGIN", _last(self.say(b"a LOGIN %b %b" % (_quoted(name), _quoted(SECRET))))


class POP3Visitor(Visitor):
    """
    Speaks POP3.
    """

    start_tls = b"STLS"

    def capability(self) -> list[str]:
        """
        What CAPA lists.
        """
        return self.say(b"CAPA").decode("ascii").split("\r\n")[1:-2]

    def login(self, mechanism: Mechanism, name: str) -> tuple[str, str]:
        """
        USER and PASS, APOP, or AUTH.
        """
        raw = name.encode("utf-8")
        if mechanism == APOP:
            return "APOP", _last(self.say(b"APOP %b %b" % (raw, b"0" * 32)))
        if mechanism != USER_PASS:
            return self._sasl(b"AUTH ", mechanism, name)
        answer = self.say(b"USER " + raw)
        if not answer.startswith(b"+OK"):
            return "USER", _last(answer)
        return "PASS", _last(self.say(b"PASS " + SECRET.encode("ascii")))


VISITORS: dict[str, type[Visitor]] = {"imap": IMAPVisitor, "pop3": POP3Visitor}


def _responses(mechanism: str, name: str) -> Sequence[bytes]:
    """
    What a client would say, as far as the name goes.
    """
    raw = name.encode("utf-8")
    if mechanism == "PLAIN":
        return [b"\0%b\0%b" % (raw, SECRET.encode("ascii"))]
    if mechanism == "LOGIN":
        return [raw, SECRET.encode("ascii")]
    if mechanism.startswith("SCRAM-"):
        header = b"p=tls-exporter,," if mechanism.endswith("-PLUS") else b"n,,"
        quoted = raw.replace(b"=", b"=3D").replace(b",", b"=2C")
        return [header + b"n=%b,r=0123456789abcdef0123" % quoted]
    if mechanism == "OAUTHBEARER":
        return [b"n,a=%b,\x01auth=Bearer x\x01\x01" % raw, b"\x01"]
    if mechanism == "EXTERNAL":
        return [raw]
    return [raw]


def _quoted(text: str) -> bytes:
    return b'"' + text.replace("\\", "\\\\").replace('"', '\\"').encode("utf-8") + b'"'


def _last(answer: bytes) -> str:
    lines = answer.decode("utf-8", "replace").strip("\r\n").split("\r\n")
    # A farewell may stand beside the answer.
    return next((each for each in reversed(lines) if not each.startswith("* BYE")), lines[-1])
