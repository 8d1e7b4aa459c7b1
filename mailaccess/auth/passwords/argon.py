"""
Argon2 (RFC 9106), the scheme for new passwords.
"""

from __future__ import annotations

import base64
import os
import re

import attrs
from argon2 import low_level
from argon2.exceptions import Argon2Error, VerifyMismatchError

from .base import BadHash, Limits

_FORM = re.compile(
    rb"\$argon2(id|i|d)(?:\$v=(?:16|19))?\$m=([1-9][0-9]{0,9}),t=([1-9][0-9]{0,9}),p=([1-9][0-9]{0,4})"
    rb"\$([A-Za-z0-9+/]{11,86})\$([A-Za-z0-9+/]{16,86})"
)
_TYPES = {b"id": low_level.Type.ID, b"i": low_level.Type.I, b"d": low_level.Type.D}

# 19 MiB, 2 passes, one lane: what OWASP's password storage sheet asks for at least. A mail
# client logs in every few minutes, so more would be paid all day.
_MEMORY, _PASSES, _LANES = 19 * 1024, 2, 1
_SALT, _HASH = 16, 32


@attrs.frozen
class Argon2:
    """
    C{{ARGON2ID}}, C{{ARGON2I}}; the data says itself which of them it is.
    """

    name: str
    kind: low_level.Type
    encoding: str = "text"
    cheap: bool = False

    def cost(self, data: bytes, limits: Limits) -> str:
        """
        Type, memory, passes, lanes.
        """
        found = _parts(data)
        memory, passes, lanes = int(found[2]), int(found[3]), int(found[4])
        if (
            memory > limits.argon2_memory
            or memory * passes > limits.argon2_work
            or lanes > limits.argon2_lanes
        ):
            raise BadHash(f"Argon2 with m={memory},t={passes},p={lanes} is over the ceiling")
        return f"ARGON2{found[1].decode('ascii').upper()} m={memory},t={passes},p={lanes}"

    def verify(self, data: bytes, secret: bytes) -> bool:
        """
        By the library, which lets other threads run.
        """
        kind = _TYPES[_parts(data)[1]]
        try:
            return low_level.verify_secret(data, secret, kind)
        except VerifyMismatchError:
            return False
        except Argon2Error as error:
            raise BadHash(f"Argon2: {error}") from None

    def make(self, secret: bytes) -> bytes:
        """
        With 19 MiB, two passes, one lane.
        """
        salt = os.urandom(_SALT)
        return low_level.hash_secret(secret, salt, _PASSES, _MEMORY, _LANES, _HASH, self.kind)

    def dummy(self, data: bytes) -> bytes:
        """
        The same parameters, another salt and hash of the same lengths.
        """
        if not data:
            name = {kind: each for each, kind in _TYPES.items()}[self.kind]
            head = b"$argon2%b$v=19$m=%d,t=%d,p=%d" % (name, _MEMORY, _PASSES, _LANES)
            return b"%b$%b$%b" % (head, _random(22), _random(43))
        head, salt, digest = data.rsplit(b"$", 2)
        return b"%b$%b$%b" % (head, _random(len(salt)), _random(len(digest)))

    def weak(self, data: bytes) -> bool:
        """
        Not Argon2id, or less memory times passes than new ones get.
        """
        found = _parts(data)
        return found[1] != b"id" or int(found[2]) * int(found[3]) < _MEMORY * _PASSES


ARGON2 = (Argon2("ARGON2ID", low_level.Type.ID), Argon2("ARGON2I", low_level.Type.I))


def _parts(data: bytes) -> re.Match[bytes]:
    found = _FORM.fullmatch(data)
    if found is None:
        raise BadHash("malformed Argon2 hash")
    return found


def _random(characters: int) -> bytes:
    """
    Base64 without padding of as many octets as take this many characters.
    """
    return base64.b64encode(os.urandom(characters * 3 // 4)).rstrip(b"=")
