"""
Keys of SCRAM: what a server keeps instead of a password (RFC 5802 section 3, RFC 7677).

    {SCRAM-SHA-256}ITERATIONS,SALT,STOREDKEY,SERVERKEY      Dovecot's form; this is what we make
    SCRAM-SHA-256$ITERATIONS:SALT$STOREDKEY:SERVERKEY       PostgreSQL's, with or without braces

They let somebody log in by SCRAM, and by any mechanism that brings the password itself.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re
import secrets

import attrs

from ..names import BadName, saslprep
from .base import BadHash, Limits

LEAST_ROUNDS = 4096
"""RFC 7677 section 4."""

_ROUNDS = 50_000  # libraries of clients refuse more than 65,536
_SALT = 16
_COMMAS = re.compile(rb"([0-9]{1,9}),([A-Za-z0-9+/=]+),([A-Za-z0-9+/=]+),([A-Za-z0-9+/=]+)")
_DOLLARS = re.compile(rb"([0-9]{1,9}):([A-Za-z0-9+/=]+)\$([A-Za-z0-9+/=]+):([A-Za-z0-9+/=]+)")


@attrs.frozen
class ScramKeys:
    """
    What a server knows of somebody. Neither key gives the password or lets anybody log in.
    """

    salt: bytes
    iterations: int
    stored_key: bytes = attrs.field(repr=False)
    server_key: bytes = attrs.field(repr=False)


@attrs.frozen
class Scram:
    """
    C{{SCRAM-SHA-1}} and C{{SCRAM-SHA-256}}.

    @ivar digest: hashlib's name of the hash
    """

    name: str
    digest: str
    encoding: str = "text"
    cheap: bool = False

    def cost(self, data: bytes, limits: Limits) -> str:
        """
        The rounds. Fewer than 4,096 are refused: clients may do so as well.
        """
        rounds = self.keys(data).iterations
        if not LEAST_ROUNDS <= rounds <= limits.scram_rounds:
            raise BadHash(f"{self.name} with {rounds} rounds is out of bounds")
        return f"{self.name} {rounds}"

    def verify(self, data: bytes, secret: bytes) -> bool:
        """
        Derive the key from the password; other threads run meanwhile.
        """
        keys = self.keys(data)
        derived = self.derive(secret, keys.salt, keys.iterations)
        return hmac.compare_digest(derived.stored_key, keys.stored_key)

    def make(self, secret: bytes) -> bytes:
        """
        With 50,000 rounds.
        """
        return _written(self.derive(secret, secrets.token_bytes(_SALT), _ROUNDS))

    def dummy(self, data: bytes) -> bytes:
        """
        Random keys, the same rounds.
        """
        rounds = self.keys(data).iterations if data else _ROUNDS
        size = hashlib.new(self.digest).digest_size
        random = secrets.token_bytes
        return _written(ScramKeys(random(_SALT), rounds, random(size), random(size)))

    def weak(self, data: bytes) -> bool:
        """
        SHA-1, or fewer rounds than new ones get.
        """
        return self.digest == "sha1" or self.keys(data).iterations < _ROUNDS

    def keys(self, data: bytes) -> ScramKeys:
        """
        Taken apart.

        @raise BadHash: neither form
        """
        text = data.removeprefix(self.name.encode("ascii") + b"$")
        found = _COMMAS.fullmatch(data) or _DOLLARS.fullmatch(text)
        if found is None:
            raise BadHash(f"{self.name} is not rounds,salt,key,key")
        try:
            salt, stored, server = (
                base64.b64decode(it, validate=True) for it in found.groups()[1:]
            )
        except binascii.Error:
            raise BadHash(f"{self.name}: not base64") from None
        size = hashlib.new(self.digest).digest_size
        if not salt or len(stored) != size or len(server) != size:
            raise BadHash(f"{self.name}: a key has the wrong size")
        return ScramKeys(salt, int(found[1]), stored, server)

    def derive(self, secret: bytes, salt: bytes, iterations: int) -> ScramKeys:
        """
        The keys of a password: RFC 5802 section 3. Slow.
        """
        salted = hashlib.pbkdf2_hmac(self.digest, _prepared(secret), salt, iterations)
        client_key = hmac.digest(salted, b"Client Key", self.digest)
        stored = hashlib.new(self.digest, client_key).digest()
        return ScramKeys(salt, iterations, stored, hmac.digest(salted, b"Server Key", self.digest))


def _prepared(secret: bytes) -> bytes:
    # RFC 5802 section 2.2: SASLprep; what has no prepared form is used as it is (so in PostgreSQL).
    try:
        return saslprep(secret.decode("utf-8")).encode("utf-8")
    except (UnicodeDecodeError, BadName):
        return secret


def _written(keys: ScramKeys) -> bytes:
    parts = (base64.b64encode(it) for it in (keys.salt, keys.stored_key, keys.server_key))
    return b",".join((b"%d" % keys.iterations, *parts))


SCRAM = (Scram("SCRAM-SHA-256", "sha256"), Scram("SCRAM-SHA-1", "sha1"))
