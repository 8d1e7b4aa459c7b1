"""
bcrypt, C{{BLF-CRYPT}}.

bcrypt knows 72 octets of a password. Hashes made elsewhere (Dovecot, htpasswd) of longer ones are
over the first 72, so that is what is compared; new ones are not made of longer passwords at all.
"""

from __future__ import annotations

import re
import secrets
import string

import attrs
import bcrypt

from .base import BadHash, Limits

_FORM = re.compile(rb"\$2[aby]\$([0-9]{2})\$[./A-Za-z0-9]{53}")
_KNOWN = 72
_COST = 11
_ALPHABET = "./" + string.ascii_letters + string.digits


@attrs.frozen
class Bcrypt:
    """
    C{$2y$11$...}.
    """

    name: str = "BLF-CRYPT"
    encoding: str = "text"
    cheap: bool = False

    def cost(self, data: bytes, limits: Limits) -> str:
        """
        The logarithm of the rounds.
        """
        rounds = _rounds(data)
        if rounds > limits.bcrypt_cost:
            raise BadHash(f"bcrypt with cost {rounds} is over the ceiling")
        return f"BLF-CRYPT {rounds}"

    def verify(self, data: bytes, secret: bytes) -> bool:
        """
        Over the first 72 octets of the secret.
        """
        try:
            return bcrypt.checkpw(secret[:_KNOWN], data)
        except ValueError as error:
            raise BadHash(f"bcrypt: {error}") from None

    def make(self, secret: bytes) -> bytes:
        """
        With cost 11.

        @raise ValueError: over 72 octets, of which some would not count
        """
        if len(secret) > _KNOWN:
            raise ValueError("bcrypt takes no password over 72 octets")
        return bcrypt.hashpw(secret, bcrypt.gensalt(_COST))

    def dummy(self, data: bytes) -> bytes:
        """
        The same cost, a fresh salt, a random end.
        """
        salt = bcrypt.gensalt(_rounds(data) if data else _COST)
        return salt + "".join(secrets.choice(_ALPHABET) for _ in range(31)).encode("ascii")

    def weak(self, data: bytes) -> bool:
        """
        A lower cost than new ones get.
        """
        return _rounds(data) < _COST


def _rounds(data: bytes) -> int:
    found = _FORM.fullmatch(data)
    if found is None or not 4 <= int(found[1]) <= 31:
        raise BadHash("malformed bcrypt hash")
    return int(found[1])
