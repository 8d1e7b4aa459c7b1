"""
The client's half of the SASL mechanisms: each is a generator of responses to challenges.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re
import secrets
import ssl
from collections.abc import Callable, Generator

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes

from ...auth.names import BadName, saslprep
from .dialects import IMAP, POP3, Reply

Exchange = Generator[bytes, bytes, None]
"""Takes the server's challenge, gives the response to it."""

Bound = tuple[str, bytes]
"""Kind and data of a channel binding."""

BINDINGS = ("tls-server-end-point", "tls-unique")
"""Kinds of channel binding that this client has: Python's C{ssl} does not export keys."""

LEAST_ITERATIONS, MOST_ITERATIONS = 4096, 10_000_000
_DIGESTS = {"SCRAM-SHA-1": "sha1", "SCRAM-SHA-256": "sha256"}

# server-first-message = "r=" nonce "," "s=" salt "," "i=" iterations ...
_SERVER_FIRST = re.compile(r"r=([\x21-\x2b\x2d-\x7e]+),s=([A-Za-z0-9+/=]+),i=([1-9][0-9]{0,8})")


class Distrusted(Exception):
    """
    The server said what an honest one would not; or what is needed cannot be had.
    """


def plain(name: str, password: str) -> Exchange:
    """
    RFC 4616.
    """
    yield f"\0{name}\0{password}".encode()


def login(name: str, password: str) -> Exchange:
    """
    Name and password, each when asked.
    """
    yield name.encode()
    yield password.encode()


def cram_md5(name: str, password: str) -> Exchange:
    """
    RFC 2195.
    """
    challenge = yield b""
    digest = hmac.new(password.encode(), challenge, "md5").hexdigest()
    yield f"{name} {digest}".encode()


def scram(scheme: str, name: str, password: str, bound: Bound | None = None) -> Exchange:
    """
    RFC 5802, RFC 7677.

    @param scheme: without C{-PLUS}
    @param bound: with it
    @raise Distrusted: the server does not know the keys of the password, or breaks the rules
    """
    digest = _DIGESTS[scheme]
    kind, data = bound or ("", b"")
    header = f"p={kind},," if bound else "n,,"
    nonce = secrets.token_urlsafe(18)
    first = f"n={name.replace('=', '=3D').replace(',', '=2C')},r={nonce}"
    challenge = (yield f"{header}{first}".encode()).decode("utf-8", "replace")
    told = _SERVER_FIRST.match(challenge)
    if told is None or not told[1].startswith(nonce) or told[1] == nonce:
        raise Distrusted(f"not the beginning of {scheme}: {challenge}")
    iterations = int(told[3])
    if not LEAST_ITERATIONS <= iterations <= MOST_ITERATIONS:
        raise Distrusted(f"{iterations} iterations, where {LEAST_ITERATIONS} are the least")
    try:
        salt = base64.b64decode(told[2], validate=True)
        secret = saslprep(password).encode()
    except (binascii.Error, BadName) as error:
        raise Distrusted(f"the salt or the password cannot be used: {error}") from None
    salted = hashlib.pbkdf2_hmac(digest, secret, salt, iterations)
    key = hmac.digest(salted, b"Client Key", digest)
    channel = base64.b64encode(header.encode() + data).decode()
    bare = f"c={channel},r={told[1]}"
    said = f"{first},{challenge},{bare}".encode()
    signature = hmac.digest(hashlib.new(digest, key).digest(), said, digest)
    proof = bytes(one ^ other for one, other in zip(key, signature, strict=True))
    final = yield f"{bare},p={base64.b64encode(proof).decode()}".encode()
    server = hmac.digest(hmac.digest(salted, b"Server Key", digest), said, digest)
    if not hmac.compare_digest(final, b"v=" + base64.b64encode(server)):
        raise Distrusted("the server does not prove that it knows the password's keys")
    yield b""


def channel_binding(secured: ssl.SSLSocket, kind: str) -> Bound:
    """
    RFC 5929.

    @raise Distrusted: there is none of this kind
    """
    if kind == "tls-unique":
        data = secured.get_channel_binding("tls-unique")
        if not data:
            raise Distrusted("this connection has no tls-unique")
        return kind, data
    certificate = x509.load_der_x509_certificate(secured.getpeercert(binary_form=True) or b"")
    try:
        algorithm = certificate.signature_hash_algorithm
    except UnsupportedAlgorithm:
        algorithm = None
    if algorithm is None:
        raise Distrusted("tls-server-end-point says nothing of such a certificate")
    weak = isinstance(algorithm, hashes.MD5 | hashes.SHA1)
    return kind, certificate.fingerprint(hashes.SHA256() if weak else algorithm)


SIMPLE: dict[str, Callable[[str, str], Exchange]] = {
    "PLAIN": plain,
    "LOGIN": login,
    "CRAM-MD5": cram_md5,
}
SCRAM = tuple(f"{each}{plus}" for each in _DIGESTS for plus in ("", "-PLUS"))
COMMANDS = ("LOGIN command", "USER")
MECHANISMS = (*SIMPLE, *SCRAM, *COMMANDS)


def log_in(
    it: IMAP | POP3, secured: ssl.SSLSocket, mechanism: str, name: str, password: str, kind: str
) -> Reply:
    """
    A login with a name and a password that are somebody's.

    @param mechanism: one of L{MECHANISMS}; if empty, C{PLAIN} where it is offered, and otherwise
        the command
    @param kind: of channel binding
    @raise Distrusted: it was broken off
    """
    if not mechanism:
        offered = it.mechanisms(it.capabilities())
        mechanism = "PLAIN" if "PLAIN" in offered else COMMANDS[0]
    if mechanism in COMMANDS:
        return it.login(name, password)
    if mechanism in SIMPLE:
        exchange = SIMPLE[mechanism](name, password)
    else:
        scheme = mechanism.removesuffix("-PLUS")
        bound = channel_binding(secured, kind) if scheme != mechanism else None
        exchange = scram(scheme, name, password, bound)
    return _converse(it, mechanism, exchange)


def _converse(it: IMAP | POP3, mechanism: str, exchange: Exchange) -> Reply:
    reply = it.authenticate(mechanism)
    response = next(exchange)
    if mechanism == "CRAM-MD5" and reply.kind == "more":  # the server speaks first
        response = exchange.send(_challenge(reply))
    proved = not mechanism.startswith("SCRAM-")
    while reply.kind == "more":
        reply = it.respond(base64.b64encode(response).decode("ascii"))
        if reply.kind == "more":
            try:
                response = exchange.send(_challenge(reply))
            except StopIteration:
                raise Distrusted(f"asks on where all has been said: {reply.text}") from None
            proved = proved or response == b""
    if reply.kind == "ok" and not proved:
        raise Distrusted("takes the login, but does not prove that it knows the password's keys")
    return reply


def _challenge(reply: Reply) -> bytes:
    text = reply.text.removeprefix("+").strip()
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return text.encode("utf-8", "replace")
