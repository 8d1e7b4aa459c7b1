"""
Stored passwords: C{{SCHEME}data} as in Dovecot and RFC 2307, C{{SCHEME.b64}} and C{{SCHEME.hex}}
for another encoding, or bare C{$...$} as crypt(3) and the libraries write it.

    ARGON2ID ARGON2I                         argon.py
    BLF-CRYPT (bcrypt)                       blowfish.py
    SHA512-CRYPT SHA256-CRYPT MD5-CRYPT      libcrypt.py; CRYPT takes these, yescrypt and DES
    PBKDF2                                   pbkdf2.py
    SCRAM-SHA-256 SCRAM-SHA-1                scram.py; also bare, as PostgreSQL writes them
    SSHA SSHA256 SSHA512 SMD5 SHA SHA256     digests.py
    SHA512 LDAP-MD5 PLAIN-MD5
    PLAIN CLEAR CLEARTEXT                    clear.py; only where the limits allow it

C{{MD5}} is MD5-CRYPT (Dovecot) where the data begins with C{$1$}, else a digest (directories).
All functions are pure and slow, but for those that L{is_cheap}: call them in a thread.
"""

from __future__ import annotations

import base64
import binascii
import re
import sys
from collections.abc import Mapping
from types import MappingProxyType

import attrs

from .argon import ARGON2
from .base import DEFAULT_LIMITS, BadHash, Limits, Scheme
from .blowfish import Bcrypt
from .clear import CLEAR, Clear
from .digests import DIGESTS, Digest
from .libcrypt import CRYPTS
from .pbkdf2 import PBKDF2
from .scram import SCRAM, Scram, ScramKeys

__all__ = [
    "DEFAULT_LIMITS",
    "SCHEMES",
    "BadHash",
    "Limits",
    "ScramKeys",
    "cost",
    "dummy",
    "is_cheap",
    "make",
    "needs_upgrade",
    "scheme_of",
    "scram_keys",
    "verify",
]

SCHEMES: Mapping[str, Scheme] = MappingProxyType(
    {each.name: each for each in (*ARGON2, Bcrypt(), *CRYPTS, PBKDF2(), *SCRAM, *DIGESTS, *CLEAR)}
)
"""By name."""

_ALIASES = {"BCRYPT": "BLF-CRYPT", "DES-CRYPT": "CRYPT"}
_BRACED = re.compile(r"\{([A-Za-z0-9-]{1,32})(?:\.([A-Za-z0-9]{1,8}))?\}(.*)", re.DOTALL)
_ENCODINGS = {"B64": "b64", "BASE64": "b64", "HEX": "hex"}
_MAX_STORED = 4096

# For looking at a hash without computing it: only its form matters.
_ANY_COST = Limits(
    **{each.name: sys.maxsize for each in attrs.fields(Limits) if each.name != "clear_text"},
    clear_text=True,
)


@attrs.frozen
class _Stored:
    """
    A stored password taken apart; C{encoding} is how C{data} was written.
    """

    scheme: Scheme
    data: bytes = attrs.field(repr=False)
    encoding: str


def verify(stored: str, secret: bytes, limits: Limits = DEFAULT_LIMITS) -> bool:
    """
    Whether this is the password.

    @raise BadHash: malformed, unknown, or over the limits: nobody can log in with it
    """
    found = _parse(stored)
    found.scheme.cost(found.data, limits)
    return found.scheme.verify(found.data, secret)


def cost(stored: str, limits: Limits = DEFAULT_LIMITS) -> str:
    """
    Scheme and parameters in words: equal for two hashes that take equally long to verify.

    @raise BadHash: as L{verify}
    """
    found = _parse(stored)
    return found.scheme.cost(found.data, limits)


def in_the_clear(stored: str, limits: Limits = DEFAULT_LIMITS) -> bytes | None:
    """
    The password itself, if it is stored like that and that is allowed; None for a hash.
    """
    try:
        found = _parse(stored)
        found.scheme.cost(found.data, limits)
    except BadHash:
        return None
    return found.data if isinstance(found.scheme, Clear) else None


def scram_keys(stored: str, scheme: str, limits: Limits = DEFAULT_LIMITS) -> ScramKeys | None:
    """
    The keys, if they are stored for this scheme (C{SCRAM-SHA-256}) and within the limits; else
    None.
    """
    try:
        found = _parse(stored)
        if found.scheme.name != scheme or not isinstance(found.scheme, Scram):
            return None
        found.scheme.cost(found.data, limits)
        return found.scheme.keys(found.data)
    except BadHash:
        return None


def scheme_of(stored: str) -> str:
    """
    The scheme's name.

    @raise BadHash: malformed or unknown
    """
    return _parse(stored).scheme.name


def is_cheap(stored: str) -> bool:
    """
    Whether L{verify} takes microseconds; so it does for what it refuses at once.
    """
    try:
        return _parse(stored).scheme.cheap
    except BadHash:
        return True


def make(scheme: str, secret: bytes) -> str:
    """
    A stored password with a fresh salt and the default cost.

    @raise BadHash: no such scheme
    @raise ValueError: the scheme cannot represent this secret
    """
    found = _scheme(scheme.upper())
    return f"{{{found.name}}}{_encode(found.make(secret), found.encoding)}"


def dummy(like: str) -> str:
    """
    A stored password that nobody knows and that costs as much to verify (AUTH-05); costs nothing to
    make.

    @param like: a stored password, or the name of a scheme for its default cost
    @raise BadHash: malformed or unknown
    """
    if like.startswith("{") or "$" in like:
        found = _parse(like)
        found.scheme.cost(found.data, _ANY_COST)
    else:
        scheme = _scheme(like.upper())
        found = _Stored(scheme, b"", scheme.encoding)
    data = _encode(found.scheme.dummy(found.data), found.encoding)
    suffix = "" if found.encoding == found.scheme.encoding else f".{found.encoding}"
    return f"{{{found.scheme.name}{suffix}}}{data}"


def needs_upgrade(stored: str) -> bool:
    """
    Whether a hash made now would be stronger.

    @raise BadHash: malformed or unknown
    """
    found = _parse(stored)
    found.scheme.cost(found.data, _ANY_COST)
    return found.scheme.weak(found.data)


def _parse(stored: str) -> _Stored:
    if len(stored) > _MAX_STORED:
        raise BadHash("longer than any hash")
    if stored.startswith("$"):
        return _Stored(_by_content("CRYPT", stored), _octets(stored), "text")
    if stored.startswith("SCRAM-SHA-"):
        return _Stored(_scheme(stored.partition("$")[0]), _octets(stored), "text")
    found = _BRACED.fullmatch(stored)
    if found is None:
        raise BadHash("no scheme: write {SCHEME} before the hash")
    name, suffix, text = found[1].upper(), found[2], found[3]
    if suffix is not None and suffix.upper() not in _ENCODINGS:
        raise BadHash(f"unknown encoding .{suffix}")
    scheme = _by_content(name, text)
    encoding = _ENCODINGS[suffix.upper()] if suffix else scheme.encoding
    if suffix is None and isinstance(scheme, Digest) and not scheme.salted:
        encoding = "hex" if len(text) == 2 * scheme.size else encoding
    data = _decode(text, encoding)
    if suffix is not None and scheme.encoding == "text":
        scheme = _by_content(name, data.decode("latin-1"))
    return _Stored(scheme, data, encoding)


def _by_content(name: str, text: str) -> Scheme:
    """
    The scheme, where the name leaves it open.
    """
    if name == "MD5":
        return SCHEMES["MD5-CRYPT" if text.startswith("$") else "LDAP-MD5"]
    if name == "CRYPT" and text.startswith("$2"):
        return SCHEMES["BLF-CRYPT"]
    if name == "CRYPT" and text.startswith("$argon2"):
        return SCHEMES["ARGON2ID"]
    return _scheme(name)


def _scheme(name: str) -> Scheme:
    scheme = SCHEMES.get(_ALIASES.get(name, name))
    if scheme is None:
        raise BadHash(f"unknown scheme {name}")
    return scheme


def _octets(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")


def _decode(text: str, encoding: str) -> bytes:
    try:
        if encoding == "b64":
            return base64.b64decode(text.encode("ascii"), validate=True)
        if encoding == "hex":
            return bytes.fromhex(text) if " " not in text else b""
        return _octets(text)
    except (binascii.Error, ValueError):
        raise BadHash(f"not {encoding}") from None


def _encode(data: bytes, encoding: str) -> str:
    if encoding == "b64":
        return base64.b64encode(data).decode("ascii")
    if encoding == "hex":
        return data.hex()
    return data.decode("utf-8", "surrogateescape")
