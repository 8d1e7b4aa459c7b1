"""
One round of a hash function, with a salt or without: what directories are full of (RFC 2307).

The salt follows the digest. Fast to verify, and so to guess: always weak.
"""

from __future__ import annotations

import hashlib
import hmac
import os

import attrs

from .base import BadHash, Limits

_SALT = 8
_MAX_SALT = 256


@attrs.frozen
class Digest:
    """
    C{{SSHA512}} and its kin.

    @ivar algorithm: for hashlib
    @ivar size: octets of the digest
    """

    name: str
    algorithm: str
    size: int
    salted: bool = False
    encoding: str = "b64"
    cheap: bool = True

    def cost(self, data: bytes, limits: Limits) -> str:
        """
        All of one kind cost the same: a salt of up to 256 octets does not count.
        """
        salt = len(data) - self.size
        if not (0 <= salt <= _MAX_SALT if self.salted else salt == 0):
            raise BadHash(f"{self.name} of {len(data)} octets")
        return self.name

    def verify(self, data: bytes, secret: bytes) -> bool:
        """
        The digest over secret and salt.
        """
        salt = data[self.size :]
        return hmac.compare_digest(data[: self.size], self._digest(secret + salt))

    def make(self, secret: bytes) -> bytes:
        """
        With eight octets of salt if there is one.
        """
        salt = os.urandom(_SALT) if self.salted else b""
        return self._digest(secret + salt) + salt

    def dummy(self, data: bytes) -> bytes:
        """
        As many random octets.
        """
        return os.urandom(len(data) or self.size)

    def weak(self, data: bytes) -> bool:
        """
        Always.
        """
        return True

    def _digest(self, text: bytes) -> bytes:
        # Not our choice: these are in directories, and MD5 may be off for everything else (FIPS).
        return hashlib.new(self.algorithm, text, usedforsecurity=False).digest()


DIGESTS = (
    Digest("SHA", "sha1", 20),
    Digest("SHA1", "sha1", 20),
    Digest("SHA256", "sha256", 32),
    Digest("SHA512", "sha512", 64),
    Digest("SSHA", "sha1", 20, salted=True),
    Digest("SSHA256", "sha256", 32, salted=True),
    Digest("SSHA512", "sha512", 64, salted=True),
    Digest("SMD5", "md5", 16, salted=True),
    Digest("LDAP-MD5", "md5", 16),
    Digest("PLAIN-MD5", "md5", 16, encoding="hex"),
)
