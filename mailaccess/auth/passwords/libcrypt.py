"""
The schemes of crypt(3), through the system's libcrypt.

Called with ctypes on every Python: the C{crypt} module is gone in 3.13, and before that held the
interpreter's lock while it hashed, which stops the reactor from a thread as well; ctypes lets go of
the lock. C{crypt_r} writes into memory that each call brings along, so threads do not meet.
"""

from __future__ import annotations

import ctypes
import hmac
import re
import secrets
import string
from collections.abc import Callable
from functools import cache

import attrs

from .base import BadHash, Limits

_ALPHABET = "./" + string.digits + string.ascii_uppercase + string.ascii_lowercase
_LIBRARIES = ("libcrypt.so.1", "libcrypt.so.2", "libcrypt.so", "libc.musl-x86_64.so.1", "libc.so")

# struct crypt_data: 32,768 octets in libxcrypt, 131,232 in glibc before 2.38, 260 in musl. All zero
# is what each of them wants to begin with.
_WORKSPACE = 256 * 1024

# libxcrypt fails above this, others hash on; nobody's password is that long by intention.
_MAX_SECRET = 511

_MD5 = re.compile(rb"\$1\$([^$:\0-\x20]{0,8})\$[./0-9A-Za-z]{22}")
_SHA = re.compile(
    rb"\$([56])\$(?:rounds=([1-9][0-9]{3,8})\$)?[^$:\0-\x20]{0,16}\$(?:[./0-9A-Za-z]{43}){1,2}"
)
_SHA_LENGTH = {b"5": 43, b"6": 86}
_YESCRYPT = re.compile(
    rb"\$(y|gy)\$j([./0-9A-Z])([./0-9A-Z])\$[./0-9A-Za-z]{1,86}\$[./0-9A-Za-z]{43}"
)
_DES = re.compile(rb"[./0-9A-Za-z]{13}")
_DEFAULT_SHA_ROUNDS = 5000
_ROUNDS = 100_000


@attrs.frozen
class Crypt:
    """
    C{{CRYPT}} takes each kind; the others name theirs.

    @ivar prefix: of the hashes that this scheme takes and makes
    """

    name: str
    prefix: bytes
    encoding: str = "text"
    cheap: bool = False

    def cost(self, data: bytes, limits: Limits) -> str:
        """
        Kind and rounds. Only forms whose cost can be read are let through.
        """
        if not data.startswith(self.prefix):
            raise BadHash(f"not a {self.name} hash")
        if _MD5.fullmatch(data):
            return "MD5-CRYPT"
        if _DES.fullmatch(data):
            return "DES-CRYPT"
        if (found := _SHA.fullmatch(data)) is not None:
            if len(data.rpartition(b"$")[2]) != _SHA_LENGTH[found[1]]:
                raise BadHash(f"malformed {self.name} hash")
            rounds = int(found[2] or _DEFAULT_SHA_ROUNDS)
            if rounds > limits.crypt_rounds:
                raise BadHash(f"{self.name} with {rounds} rounds is over the ceiling")
            return f"{'SHA256' if found[1] == b'5' else 'SHA512'}-CRYPT {rounds}"
        if (found := _YESCRYPT.fullmatch(data)) is not None:
            return _yescrypt_cost(found, limits)
        raise BadHash(f"malformed {self.name} hash, or of an unknown kind")

    def verify(self, data: bytes, secret: bytes) -> bool:
        """
        By the library, which lets other threads run.
        """
        # What the library cannot take is hashed all the same, so that the answer takes as long.
        whole = len(secret) <= _MAX_SECRET and b"\0" not in secret
        computed = _crypt(secret if whole else b"x", data)
        return hmac.compare_digest(computed, data) and whole

    def make(self, secret: bytes) -> bytes:
        """
        SHA-512 with 100,000 rounds where the scheme leaves the choice.

        @raise ValueError: NUL, or over 511 octets
        """
        if b"\0" in secret or len(secret) > _MAX_SECRET:
            raise ValueError("crypt takes no password with NUL or over 511 octets")
        return _crypt(secret, self._setting())

    def dummy(self, data: bytes) -> bytes:
        """
        The same kind, parameters and lengths.
        """
        if not data:
            sizes = {b"$1$": 22, b"$5$": 43, b"": 86, b"$6$": 86}
            return self._setting() + _random(sizes.get(self.prefix, 86))
        if not data.startswith(b"$"):
            return _random(len(data))
        # The salt stays: what is compared is made up.
        head, _, digest = data.rpartition(b"$")
        return head + b"$" + _random(len(digest))

    def weak(self, data: bytes) -> bool:
        """
        MD5, DES, or fewer rounds than new ones get.
        """
        found = _SHA.fullmatch(data)
        if found is not None:
            return int(found[2] or _DEFAULT_SHA_ROUNDS) < _ROUNDS
        return _YESCRYPT.fullmatch(data) is None

    def _setting(self) -> bytes:
        if self.prefix == b"$1$":
            return b"$1$" + _random(8) + b"$"
        kind = self.prefix or b"$6$"
        return b"%brounds=%d$%b$" % (kind, _ROUNDS, _random(16))


CRYPTS = (
    Crypt("CRYPT", b""),
    Crypt("MD5-CRYPT", b"$1$"),
    Crypt("SHA256-CRYPT", b"$5$"),
    Crypt("SHA512-CRYPT", b"$6$"),
)


def _yescrypt_cost(found: re.Match[bytes], limits: Limits) -> str:
    # $y$j9T$: N = 2 ** (1 + index), r = 1 + index; memory is 128 * r * N octets.
    exponent = 1 + _ALPHABET.index(found[2].decode("ascii"))
    blocks = 1 + _ALPHABET.index(found[3].decode("ascii"))
    if blocks << exponent > limits.yescrypt_memory * 8:
        raise BadHash("yescrypt is over the ceiling")
    kind = "YESCRYPT" if found[1] == b"y" else "GOST-YESCRYPT"
    return f"{kind} {exponent},{blocks}"


def _random(characters: int) -> bytes:
    return "".join(secrets.choice(_ALPHABET) for _ in range(characters)).encode("ascii")


@cache
def _library() -> Callable[..., bytes | None] | None:
    for each in _LIBRARIES:
        try:
            found = ctypes.CDLL(each).crypt_r
        except (OSError, AttributeError):
            continue
        found.argtypes = (ctypes.c_char_p, ctypes.c_char_p, ctypes.c_char_p)
        found.restype = ctypes.c_char_p
        result: Callable[..., bytes | None] = found
        return result
    return None


def _crypt(secret: bytes, setting: bytes) -> bytes:
    function = _library()
    if function is None:
        raise BadHash("this system has no crypt_r")
    workspace = ctypes.create_string_buffer(_WORKSPACE)
    computed = function(secret, setting, workspace)
    if not computed or computed.startswith(b"*"):
        raise BadHash("crypt does not know this kind of hash")
    return computed
