"""
SCRAM-SHA-256 and SCRAM-SHA-1, also bound to the TLS channel: RFC 5802, RFC 7677, RFC 9266.

    state     response              then
    fresh     None                  asked for the first message
    asked     client-first          looking for the user's keys
    looking   (keys)                server-first is sent: nonce, salt, iterations
    proving   client-final, right   server-final is sent: the server knows the keys, too
    proving   client-final, wrong   over: the guard refuses it, after its delay
    proved    empty                 over: done

Somebody who does not exist, or has no keys, gets a salt that is the same each time, and a proof
that is wrong whatever it is.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re
import secrets
from functools import partial

import attrs
from zope.interface import implementer

from ...policy.link import Link
from ...policy.mechanism import Exposes, Mechanism, Needs
from ..interfaces import IKeysLogin
from ..names import BadName, decode_name
from ..passwords import ScramKeys
from .base import NO_CHANNEL, Challenge, Channel, Done, Failed, Lookup, SASLMechanism, Step

_NONCE = 18  # octets of randomness; 24 characters
_MAX_MESSAGE = 4096
_DIGESTS = {"SCRAM-SHA-256": "sha256", "SCRAM-SHA-1": "sha1"}

# client-first-message = gs2-cbind-flag "," ["a=" saslname] "," "n=" saslname "," "r=" nonce ...
_FIRST = re.compile(
    rb"((?:(n|y)|p=([A-Za-z0-9.-]{1,64})),(?:a=([^,\0]+))?,)"
    rb"(n=([^,\0]+),r=([\x21-\x2b\x2d-\x7e]{1,512})((?:,[A-Za-z]=[^,\0]+)*))"
)
# client-final-message = "c=" base64 "," "r=" nonce ["," extensions] "," "p=" base64
_FINAL = re.compile(
    rb"(c=([A-Za-z0-9+/=]+),r=([\x21-\x2b\x2d-\x7e]+)((?:,[A-Za-z]=[^,\0]+)*)),p=([A-Za-z0-9+/=]+)"
)


@implementer(IKeysLogin)
@attrs.frozen
class KeysLogin:
    """
    A name and a proof.

    @ivar scheme: whose keys it is about
    @ivar message: what both sides have said (C{AuthMessage}, RFC 5802 section 3)
    @ivar proof: C{ClientProof}
    """

    name: str
    scheme: str
    message: bytes = attrs.field(repr=False)
    proof: bytes = attrs.field(repr=False)
    link: Link
    mechanism: Mechanism
    service: str
    authorization: str = ""
    session: str = ""

    def answers(self, keys: ScramKeys) -> bool:
        """
        Whether the proof was made with the password of these keys.
        """
        return _proves(_DIGESTS[self.scheme], keys, self.message, self.proof)


def _proves(digest: str, keys: ScramKeys, message: bytes, proof: bytes) -> bool:
    signature = hmac.digest(keys.stored_key, message, digest)
    if len(signature) != len(proof):
        return False
    client_key = bytes(a ^ b for a, b in zip(signature, proof, strict=True))
    return hmac.compare_digest(hashlib.new(digest, client_key).digest(), keys.stored_key)


@attrs.define
class ScramExchange:
    """
    One run.

    @ivar scheme: C{SCRAM-SHA-256} or C{SCRAM-SHA-1}
    @ivar plus: with channel binding
    @ivar fresh_nonce: 18 octets from a good source; another one for test vectors
    """

    scheme: str
    plus: bool = False
    channel: Channel = NO_CHANNEL
    fresh_nonce: bytes = attrs.field(
        factory=lambda: base64.b64encode(secrets.token_bytes(_NONCE)), repr=False
    )
    known_name: str | None = attrs.field(default=None, init=False)
    _state: str = attrs.field(default="fresh", init=False)
    _header: bytes = attrs.field(default=b"", init=False)
    _binding: bytes = attrs.field(default=b"", init=False)
    _bare: bytes = attrs.field(default=b"", init=False)
    _nonce: bytes = attrs.field(default=b"", init=False)
    _server_first: bytes = attrs.field(default=b"", init=False)
    _authorization: str = attrs.field(default="", init=False)
    _keys: ScramKeys | None = attrs.field(default=None, init=False, repr=False)
    _done: Done | None = attrs.field(default=None, init=False, repr=False)

    def step(self, response: bytes | None) -> Step:
        """
        The client's two messages, and its silence at the end.
        """
        state, self._state = self._state, "over"
        if state == "fresh" and response is None:
            self._state = "asked"
            return Challenge(b"")
        if response is None or len(response) > _MAX_MESSAGE:
            return Failed()
        if state in ("fresh", "asked"):
            return self._first(response)
        if state == "proving":
            return self._final(response)
        if state == "proved" and not response and self._done is not None:
            return self._done
        return Failed()

    def _first(self, message: bytes) -> Step:
        found = _FIRST.fullmatch(message)
        if found is None:
            return Failed(detail="no client-first-message")
        header, flag, kind, authorization, bare, name, nonce, rest = found.groups()
        if not _distinct(b",n=x,r=x" + rest):
            return Failed(detail="an attribute twice, or a mandatory extension")
        wrong = self._bind(flag, kind)
        if wrong:
            return Failed(detail=wrong)
        try:
            self.known_name = _decode(name)
            self._authorization = _decode(authorization) if authorization else ""
        except BadName as bad:
            self.known_name = None
            return Failed(detail=str(bad))
        self._header, self._bare = header, bare
        self._nonce = nonce + self.fresh_nonce
        self._state = "looking"
        return Lookup(self.known_name, self.scheme)

    def _bind(self, flag: bytes | None, kind: bytes | None) -> str:
        """
        RFC 5802 section 6; what is wrong, if anything.
        """
        if kind is None:
            if self.plus:
                return "a -PLUS mechanism without channel binding"
            if flag == b"y" and f"{self.scheme}-PLUS" in self.channel.offered:
                return "the client was kept from seeing that channel binding is offered"
            return ""
        if not self.plus:
            return "channel binding with a mechanism that has none"
        data = self.channel.binding(kind.decode("ascii"))
        if data is None:
            return f"no channel binding {kind.decode('ascii')} here"
        self._binding = data
        return ""

    def found(self, keys: ScramKeys) -> Step:
        """
        server-first-message: nonce, salt, iterations.
        """
        state, self._state = self._state, "over"
        if state != "looking":
            return Failed()
        self._keys = keys
        salt = base64.b64encode(keys.salt)
        self._server_first = b"r=%b,s=%b,i=%d" % (self._nonce, salt, keys.iterations)
        self._state = "proving"
        return Challenge(self._server_first)

    def _final(self, message: bytes) -> Step:
        found = _FINAL.fullmatch(message)
        if found is None or self._keys is None or self.known_name is None:
            return Failed(detail="no client-final-message")
        without_proof, binding, nonce, rest, proof64 = found.groups()
        if not _distinct(b",c=x,r=x,p=x" + rest):
            return Failed(detail="an attribute twice, or a mandatory extension")
        if not hmac.compare_digest(nonce, self._nonce):
            return Failed(detail="another nonce")
        # Compared as text, not as octets: one encoding is the right one.
        if not hmac.compare_digest(binding, base64.b64encode(self._header + self._binding)):
            return Failed(detail="another channel")
        try:
            proof = base64.b64decode(proof64, validate=True)
        except binascii.Error:
            return Failed(detail="no client-final-message")
        said = b",".join((self._bare, self._server_first, without_proof))
        make = partial(KeysLogin, scheme=self.scheme, message=said, proof=proof)
        done = Done(self.known_name, make, self._authorization)
        digest = _DIGESTS[self.scheme]
        if not _proves(digest, self._keys, said, proof):
            # Not a word of the server's own proof, which would help to try passwords at leisure.
            return done
        self._done = done
        self._state = "proved"
        return Challenge(b"v=" + base64.b64encode(hmac.digest(self._keys.server_key, said, digest)))


def _distinct(attributes: bytes) -> bool:
    """
    No attribute twice, and no C{m}, which would be an extension that nobody knows here.
    """
    names = [each[:1] for each in attributes.split(b",")[1:]]
    return len(set(names)) == len(names) and b"m" not in names


def _decode(saslname: bytes) -> str:
    # saslname = 1*(value-safe-char / "=2C" / "=3D")
    if re.search(rb"=(?!2C|3D)", saslname):
        raise BadName("= that means nothing")
    return decode_name(saslname.replace(b"=2C", b",").replace(b"=3D", b"="))


def _mechanism(scheme: str, needs: Needs, plus: bool) -> SASLMechanism:
    name = f"{scheme}-PLUS" if plus else scheme
    mechanism = Mechanism(name, Exposes.NOTHING, initial=True, needs=needs, binds=plus)

    def start(channel: Channel = NO_CHANNEL) -> ScramExchange:
        return ScramExchange(scheme, plus, channel)

    return SASLMechanism(mechanism, start)


ROWS = tuple(
    _mechanism(scheme, needs, plus)
    for scheme, needs in (
        ("SCRAM-SHA-256", Needs.KEYS_SHA256),
        ("SCRAM-SHA-1", Needs.KEYS_SHA1),
    )
    for plus in (True, False)
)
