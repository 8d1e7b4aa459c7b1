"""
Passwords that are not hashed at all: only where L{Limits.clear_text} says so, for tests.
"""

from __future__ import annotations

import hmac
import secrets

import attrs

from .base import BadHash, Limits


@attrs.frozen
class Clear:
    """
    C{{PLAIN}}, C{{CLEAR}}, C{{CLEARTEXT}}.
    """

    name: str
    encoding: str = "text"
    cheap: bool = True

    def cost(self, data: bytes, limits: Limits) -> str:
        """
        None, where it is allowed.
        """
        if not limits.clear_text:
            raise BadHash("passwords in the clear are not accepted")
        if not data:
            raise BadHash("empty password")
        return "PLAIN"

    def verify(self, data: bytes, secret: bytes) -> bool:
        """
        In constant time.
        """
        return hmac.compare_digest(data, secret)

    def make(self, secret: bytes) -> bytes:
        """
        As it is.
        """
        return secret

    def dummy(self, data: bytes) -> bytes:
        """
        A random password.
        """
        return secrets.token_hex(16).encode("ascii")

    def weak(self, data: bytes) -> bool:
        """
        Always.
        """
        return True


CLEAR = (Clear("PLAIN"), Clear("CLEAR"), Clear("CLEARTEXT"))
