"""
What a password scheme is, and what limits a stored hash.
"""

from __future__ import annotations

from typing import Protocol

import attrs


class BadHash(Exception):
    """
    A stored hash that cannot be used: malformed, of no known scheme, or too expensive.

    @ivar reason: for the log; contains nothing of the hash but its parameters
    """

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


@attrs.frozen
class Limits:
    """
    What a stored hash may cost at most (AUTH-03): whoever can write one hash must not be able to
    keep the threads of everybody busy. The defaults allow about a second on a slow core.

    @ivar argon2_memory: KiB
    @ivar argon2_work: KiB times passes
    @ivar argon2_lanes: parallelism
    @ivar bcrypt_cost: logarithm of the rounds
    @ivar pbkdf2_rounds: of HMAC-SHA-1
    @ivar scram_rounds: of SCRAM-SHA-1 and SCRAM-SHA-256
    @ivar crypt_rounds: of SHA256-CRYPT and SHA512-CRYPT
    @ivar yescrypt_memory: KiB
    @ivar clear_text: accept C{{PLAIN}} and C{{CLEAR}}; for tests
    """

    argon2_memory: int = 256 * 1024
    argon2_work: int = 1024 * 1024
    argon2_lanes: int = 16
    bcrypt_cost: int = 14
    pbkdf2_rounds: int = 2_000_000
    scram_rounds: int = 1_000_000
    crypt_rounds: int = 1_000_000
    yescrypt_memory: int = 256 * 1024
    clear_text: bool = False


DEFAULT_LIMITS = Limits()


class Scheme(Protocol):
    """
    One way to store a password. C{data} is what follows C{{SCHEME}}, its outer encoding removed.
    """

    @property
    def name(self) -> str:
        """
        As written between braces, in capitals.
        """

    @property
    def encoding(self) -> str:
        """
        How C{data} is written where no suffix says so: C{text}, C{b64} or C{hex}.
        """

    @property
    def cheap(self) -> bool:
        """
        Verified in less time than it takes to ask a thread to do so.
        """

    def cost(self, data: bytes, limits: Limits) -> str:
        """
        Two hashes with the same cost take the same time to verify.

        @raise BadHash: C{data} is malformed or over the limits
        """

    def verify(self, data: bytes, secret: bytes) -> bool:
        """
        Whether the secret made C{data}, which L{cost} has let through.

        @raise BadHash: it cannot be computed after all
        """

    def make(self, secret: bytes) -> bytes:
        """
        C{data} for a secret, with a fresh salt and the default cost.

        @raise ValueError: the scheme cannot represent this secret
        """

    def dummy(self, data: bytes) -> bytes:
        """
        Data of the same cost that no secret is known for. It takes no hashing to make.
        """

    def weak(self, data: bytes) -> bool:
        """
        Whether L{make} would make something stronger.
        """
