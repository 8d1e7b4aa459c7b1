"""
Asking the issuer of tokens over HTTPS: bounded in time and size, no redirects, its name verified.

    web = Web(reactor, "/etc/ssl/issuer-ca.pem")
    text = await web.get("https://id.example.org/keys.json")

Nothing blocks: it is L{twisted.web.client.Agent}.
"""

from __future__ import annotations

from collections.abc import Generator
from typing import Any
from urllib.parse import urlsplit

from twisted.internet import ssl
from twisted.internet.defer import Deferred, inlineCallbacks, succeed
from twisted.internet.protocol import Protocol, connectionDone
from twisted.python.failure import Failure
from twisted.web.client import Agent, BrowserLikePolicyForHTTPS, ResponseDone
from twisted.web.http import PotentialDataLoss
from twisted.web.http_headers import Headers
from twisted.web.iweb import IBodyProducer
from zope.interface import implementer

from ..errors import DirectoryUnavailable
from .endpoints import MOST_OCTETS, Way

PATIENCE = 10.0
"""Seconds for everything: the name, the connection, TLS and the answer."""

_MOST_SAID = 200  # of the other side's mistakes, in the log
_HERE = frozenset({"127.0.0.1", "::1", "localhost"})


def address_fault(address: str) -> str:
    """
    What is wrong with an address of an issuer, C{what is wrong; what to do}; empty if nothing is.
    """
    try:
        parts = urlsplit(address)
        host, _ = parts.hostname, parts.port
    except ValueError:
        return "is not an address; write https://HOST/PATH"
    if parts.username is not None or parts.fragment:
        return "has a user name or a fragment in it; write https://HOST/PATH"
    if not host or not address.isascii() or any(each <= " " for each in address):
        return "is not an address; write https://HOST/PATH"
    if parts.scheme == "https" or (parts.scheme == "http" and host in _HERE):
        return ""
    return "is not https, so anybody on the way could give other answers; write https://"


class _Body(Protocol):
    """
    Gathers an answer. The connection below bounds it.
    """

    def __init__(self) -> None:
        self.result: Deferred[bytes] = Deferred()
        self._parts = bytearray()

    def dataReceived(self, data: bytes) -> None:
        self._parts += data

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        if self.result.called:
            return
        if reason.check(ResponseDone, PotentialDataLoss):  # type: ignore[no-untyped-call]
            self.result.callback(bytes(self._parts))
        else:
            self.result.errback(reason)


@implementer(IBodyProducer)
class _Form:
    """
    A short body, written at once.
    """

    def __init__(self, body: bytes) -> None:
        self._body = body
        self.length = len(body)

    def startProducing(self, consumer: Any) -> Deferred[None]:
        consumer.write(self._body)
        return succeed(None)

    def pauseProducing(self) -> None:
        pass

    def resumeProducing(self) -> None:
        pass

    def stopProducing(self) -> None:
        pass


class Web:
    """
    One issuer's addresses.
    """

    def __init__(self, reactor: Any, ca: str = "") -> None:
        """
        @param ca: file with the only authorities that count; the system's if empty
        """
        self._reactor = reactor
        self._ca = ca
        self._policy: BrowserLikePolicyForHTTPS | None = None

    def get(self, address: str) -> Deferred[bytes]:
        """
        What is there. Fails with L{DirectoryUnavailable<mailaccess.errors.DirectoryUnavailable>}.
        """
        return self._ask(b"GET", address, Headers({"Accept": ["application/json"]}), None)

    def post(self, address: str, form: bytes, authorization: str) -> Deferred[bytes]:
        """
        The answer to a form, as L{get}.

        @param authorization: value of that header; none if empty
        """
        headers = Headers(
            {
                "Accept": ["application/json"],
                "Content-Type": ["application/x-www-form-urlencoded"],
            }
        )
        if authorization:
            headers.addRawHeader("Authorization", authorization)
        return self._ask(b"POST", address, headers, form)

    def _ask(
        self, method: bytes, address: str, headers: Headers, body: bytes | None
    ) -> Deferred[bytes]:
        host = urlsplit(address).hostname

        def late(*_: object) -> bytes:
            raise DirectoryUnavailable(detail=f"issuer {host}: no answer within {PATIENCE:.0f} s")

        def failed(failure: Failure) -> bytes:
            if isinstance(failure.value, DirectoryUnavailable):
                raise failure.value
            raise DirectoryUnavailable(detail=f"issuer {host}: {_why(failure)}")

        asked = self._answer(method, address, headers, body)
        return asked.addTimeout(PATIENCE, self._reactor, late).addErrback(failed)

    @inlineCallbacks
    def _answer(
        self, method: bytes, address: str, headers: Headers, body: bytes | None
    ) -> Generator[Deferred[Any], Any, bytes]:
        form = None if body is None else _Form(body)
        way = Way(self._reactor, self._trusting(), PATIENCE)
        agent = Agent.usingEndpointFactory(self._reactor, way)  # type: ignore[no-untyped-call]
        try:
            response = yield agent.request(method, address.encode("ascii"), headers, form)
            if response.code != 200:
                host = urlsplit(address).hostname
                raise DirectoryUnavailable(detail=f"issuer {host}: {_refusal(response.code)}")
            gathered = _Body()
            response.deliverBody(gathered)
            text: bytes = yield gathered.result
        finally:
            way.end()
        return text

    def _trusting(self) -> BrowserLikePolicyForHTTPS:
        """
        Made late: reading authorities takes a file, and a server without tokens needs none.
        """
        if self._policy is None:
            root: Any = ssl.platformTrust()  # type: ignore[no-untyped-call]
            if self._ca:
                root = ssl.trustRootFromCertificates(authorities(self._ca))  # type: ignore[no-untyped-call]
            self._policy = BrowserLikePolicyForHTTPS(root)  # type: ignore[no-untyped-call]
        return self._policy


def _refusal(code: int) -> str:
    """
    What an answer that is none means, and what to do.
    """
    if code in (401, 403):
        return f"HTTP status {code}: it wants token_client and its secret, or knows them otherwise"
    if 300 <= code < 400:
        return f"HTTP status {code}: it sends elsewhere; write the address where it ends"
    return f"HTTP status {code}"


def _why(failure: Failure) -> str:
    """
    What went wrong, of all that is packed into each other.
    """
    error: Any = failure.value
    # What is inside tells more than that something inside failed.
    for _ in range(5):
        inner = getattr(error, "reasons", None)
        if not inner:
            break
        error = inner[0].value
    said = ": ".join(each for each in (type(error).__name__, str(error)) if each)
    return said if len(said) <= _MOST_SAID else said[:_MOST_SAID] + "..."


def authorities(path: str) -> list[ssl.Certificate]:
    """
    The certificates of a file.

    @raise DirectoryUnavailable: it cannot be read, or there are none
    """
    begin = b"-----BEGIN CERTIFICATE-----"
    try:
        with open(path, "rb") as file:
            pieces = file.read(MOST_OCTETS).split(begin)[1:]
        found = [ssl.Certificate.loadPEM(begin + each) for each in pieces]
    except Exception as error:
        raise DirectoryUnavailable(detail=f"{path}: {type(error).__name__}") from None
    if not found:
        raise DirectoryUnavailable(detail=f"{path}: no certificate in it")
    return found
