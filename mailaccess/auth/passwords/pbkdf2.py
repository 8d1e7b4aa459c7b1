"""
PBKDF2 with HMAC-SHA-1 in Dovecot's form: C{$1$salt$rounds$hex}; the salt counts as written.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets

import attrs

from .base import BadHash, Limits

_FORM = re.compile(rb"\$1\$([^$]{0,64})\$([1-9][0-9]{0,9})\$([0-9a-fA-F]{40})")
_SIZE = 20
_ROUNDS = 300_000


@attrs.frozen
class PBKDF2:
    """
    C{{PBKDF2}}.
    """

    name: str = "PBKDF2"
    encoding: str = "text"
    cheap: bool = False

    def cost(self, data: bytes, limits: Limits) -> str:
        """
        The rounds.
        """
        _, rounds, _ = _parts(data)
        if rounds > limits.pbkdf2_rounds:
            raise BadHash(f"PBKDF2 with {rounds} rounds is over the ceiling")
        return f"PBKDF2 {rounds}"

    def verify(self, data: bytes, secret: bytes) -> bool:
        """
        The derived key; other threads run meanwhile.
        """
        salt, rounds, key = _parts(data)
        derived = hashlib.pbkdf2_hmac("sha1", secret, salt, rounds, _SIZE)
        return hmac.compare_digest(derived, key)

    def make(self, secret: bytes) -> bytes:
        """
        With 300,000 rounds.
        """
        salt = secrets.token_hex(8).encode("ascii")
        key = hashlib.pbkdf2_hmac("sha1", secret, salt, _ROUNDS, _SIZE)
        return b"$1$%b$%d$%b" % (salt, _ROUNDS, key.hex().encode("ascii"))

    def dummy(self, data: bytes) -> bytes:
        """
        Another salt and key, the same rounds.
        """
        rounds = _parts(data)[1] if data else _ROUNDS
        salt = secrets.token_hex(8).encode("ascii")
        return b"$1$%b$%d$%b" % (salt, rounds, secrets.token_hex(_SIZE).encode("ascii"))

    def weak(self, data: bytes) -> bool:
        """
        Fewer rounds than new ones get.
        """
        return _parts(data)[1] < _ROUNDS


def _parts(data: bytes) -> tuple[bytes, int, bytes]:
    found = _FORM.fullmatch(data)
    if found is None:
        raise BadHash("PBKDF2 is not $1$salt$rounds$hex")
    return found[1], int(found[2]), bytes.fromhex(found[3].decode("ascii"))
