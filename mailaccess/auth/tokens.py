"""
Tokens that another program signs and clients bring (JWT: RFC 7519), checked against keys in a file.

    tokens = Tokens(Trust("/etc/mailaccess/keys.json", "https://id.example.org", "mail"), pool)
    await tokens.holder(token)          # "amy@example.org"

The file is a key set (JWKS: RFC 7517); it is read again when it changes. A key is found by the name
that the token gives it in the set, and nowhere else: the name is never a path or an address. Only
signatures by a pair of keys count: a public key is no secret to sign with.
"""

from __future__ import annotations

import os
from typing import Any

import attrs
import jwt

from ..errors import AuthenticationFailed, DirectoryUnavailable
from .pool import HashPool

MOST_OCTETS = 8192
"""A longer token is not looked at."""

_ALGORITHMS = frozenset(
    {"RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"}
)
_MOST_KEYS = 1 << 20  # octets of the file
_LEEWAY = 30  # seconds by which clocks may differ

Signature = tuple[int, int, int]


@attrs.frozen
class Trust:
    """
    Whose tokens are good.

    @ivar keys: file with the key set
    @ivar issuer: who has to have made a token (C{iss})
    @ivar audience: for whom it has to be (C{aud}): one for another service is no login here
    @ivar claim: where it has the user's name
    """

    keys: str
    issuer: str
    audience: str
    claim: str = "email"


class Tokens:
    """
    Checks tokens, in threads.
    """

    def __init__(self, trust: Trust, pool: HashPool | None) -> None:
        """
        @param pool: where the work is done; None where nothing is ever asked
        """
        self._trust = trust
        self._pool = pool
        self._read: tuple[Signature, dict[str, Any]] | None = None

    async def holder(self, token: str) -> str:
        """
        The name that a good token gives.

        @raise AuthenticationFailed: the token is not good; the detail, for the log, tells why
        @raise DirectoryUnavailable: the keys cannot be read
        """
        if not token.isascii() or len(token) > MOST_OCTETS:
            raise AuthenticationFailed(detail="token: too long, or not ASCII")
        if self._pool is None:
            raise DirectoryUnavailable(detail="token: nobody is there to look at it")
        return await self._pool.run(self._holder, token)

    def _holder(self, token: str) -> str:
        """
        Runs in a thread.
        """
        trust = self._trust
        try:
            key = self._key(jwt.get_unverified_header(token))
            claims = jwt.decode(
                token,
                key.key,
                algorithms=[key.algorithm_name],
                audience=trust.audience,
                issuer=trust.issuer,
                leeway=_LEEWAY,
                options={"require": ["exp", "iss", "aud", trust.claim]},
            )
        except (jwt.PyJWTError, ValueError) as error:
            raise AuthenticationFailed(detail=f"token: {type(error).__name__}: {error}") from None
        name = claims.get(trust.claim)
        if not isinstance(name, str) or not name:
            raise AuthenticationFailed(detail=f"token: {trust.claim} is no name")
        if trust.claim == "email" and claims.get("email_verified", True) is not True:
            raise AuthenticationFailed(detail="token: the address was not verified")
        return name

    def _key(self, header: dict[str, Any]) -> Any:
        keys, kid = self._keys(), header.get("kid")
        if kid is None and len(keys) == 1:
            return next(iter(keys.values()))
        found = keys.get(kid) if isinstance(kid, str) else None
        if found is None:
            raise jwt.InvalidTokenError("no such key in the set")
        return found

    def _keys(self) -> dict[str, Any]:
        try:
            with open(self._trust.keys, "rb") as file:
                about = os.fstat(file.fileno())
                seen = (about.st_mtime_ns, about.st_size, about.st_ino)
                if self._read is not None and self._read[0] == seen:
                    return self._read[1]
                text = file.read(_MOST_KEYS)
            made = jwt.PyJWKSet.from_json(text.decode("utf-8")).keys
        except (OSError, ValueError, jwt.PyJWTError) as error:
            raise DirectoryUnavailable(
                detail=f"{self._trust.keys}: {type(error).__name__}"
            ) from None
        keys = {
            str(each.key_id): each
            for each in made
            if each.algorithm_name in _ALGORITHMS and each.public_key_use in (None, "sig")
        }
        self._read = (seen, keys)
        return keys
