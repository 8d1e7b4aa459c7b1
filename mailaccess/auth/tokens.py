"""
Tokens that another program signs and clients bring (JWT: RFC 7519), checked against its keys.

    trust = Trust("https://id.example.org", "mail")
    tokens = Tokens(trust, KeyFile("/etc/mailaccess/keys.json"), pool)
    await tokens.holder(token)          # "amy@example.org"

A key is found by the name that the token gives it in the key set, and nowhere else: the name is
never a path or an address. Only signatures by a pair of keys count: a public key is no secret to
sign with.
"""

from __future__ import annotations

from typing import Any, Protocol

import attrs
import jwt

from ..errors import AuthenticationFailed, DirectoryUnavailable
from .keysets import Keys
from .pool import HashPool

MOST_OCTETS = 8192
"""A longer token is not looked at."""

_LEEWAY = 30  # seconds by which clocks may differ


@attrs.frozen
class Trust:
    """
    Whose tokens are good.

    @ivar issuer: who has to have made a token (C{iss})
    @ivar audience: for whom it has to be (C{aud}): one for another service is no login here
    @ivar claim: where it has the user's name
    """

    issuer: str
    audience: str
    claim: str = "email"


class LooksAtTokens(Protocol):
    """
    Somebody who knows whose a token is.
    """

    async def holder(self, token: str) -> str:
        """
        The name that a good token gives.

        @raise AuthenticationFailed: the token is not good; the detail, for the log, tells why
        @raise DirectoryUnavailable: it cannot be found out
        """


class Tokens:
    """
    Checks signatures of tokens, in threads.
    """

    def __init__(self, trust: Trust, keys: Keys, pool: HashPool) -> None:
        """
        @param pool: where the work is done
        """
        self._trust = trust
        self._keys = keys
        self._pool = pool

    async def holder(self, token: str) -> str:
        """
        The name that a good token gives.

        @raise AuthenticationFailed: the token is not good; the detail, for the log, tells why
        @raise DirectoryUnavailable: the keys cannot be read
        """
        looks_like_a_token(token)
        try:
            kid = jwt.get_unverified_header(token).get("kid")
        except (jwt.PyJWTError, ValueError) as error:
            raise AuthenticationFailed(detail=f"token: {type(error).__name__}: {error}") from None
        await self._keys.ready(kid if isinstance(kid, str) else None)
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
        return holder_in(claims, trust.claim)

    def _key(self, header: dict[str, Any]) -> Any:
        keys, kid = self._keys.current(), header.get("kid")
        if kid is None and len(keys) == 1:
            return next(iter(keys.values()))
        found = keys.get(kid) if isinstance(kid, str) else None
        if found is None:
            raise jwt.InvalidTokenError("no such key in the set")
        return found


class Untold:
    """
    Somebody who is never asked, where it is only told what is offered.
    """

    async def holder(self, token: str) -> str:
        """
        Nobody.

        @raise DirectoryUnavailable: always
        """
        raise DirectoryUnavailable(detail="token: nobody is there to look at it")


def looks_like_a_token(token: str) -> None:
    """
    @raise AuthenticationFailed: it is too long to look at, or not ASCII
    """
    if not token.isascii() or len(token) > MOST_OCTETS:
        raise AuthenticationFailed(detail="token: too long, or not ASCII")


def holder_in(claims: dict[str, Any], claim: str) -> str:
    """
    The name in what a token says, or its issuer says of it.

    @raise AuthenticationFailed: there is none
    """
    name = claims.get(claim)
    if not isinstance(name, str) or not name:
        raise AuthenticationFailed(detail=f"token: {claim} is no name")
    if claim == "email" and claims.get("email_verified", True) is not True:
        raise AuthenticationFailed(detail="token: the address was not verified")
    return name
