"""
How each kind of credentials is proved: what a source of users is asked, and what makes it true.

    credentials          proved by
    IPasswordLogin       the source: is this the password
    IChallengeLogin      an answer that takes the password, which the source has in readable form
    IKeysLogin           a SCRAM proof that fits the source's keys
    ICertificateLogin    the TLS layer: the certificate of the link is for this name, by the rules
    ITokenLogin          the signature of an issuer whom the site trusts
    IAnonymousLogin      nothing; the site names the user

Whoever is not known to any source takes as much work as somebody who is (AUTH-05).
"""

from __future__ import annotations

import hmac
from collections.abc import Awaitable, Callable, Mapping
from secrets import token_bytes
from typing import Any

import attrs

from ..errors import AuthenticationFailed, MechanismRefused
from ..interfaces import Identity, IMailLogin
from ..policy.link import Link
from ..policy.mechanism import Coverage, Mechanism, Needs
from .coverage import coverage_of
from .holders import Holders
from .interfaces import (
    Ground,
    IAnonymousLogin,
    ICertificateLogin,
    IChallengeLogin,
    IFindsUsers,
    IKeysLogin,
    IKnowsKeys,
    IKnowsSecrets,
    IPasswordLogin,
    ITokenLogin,
)
from .names import BadName, BadPassword, canonical_name, prepare_password
from .passwords import ScramKeys
from .tokens import LooksAtTokens

_USUAL = (16, 50_000)
_SIZES = {"SCRAM-SHA-1": 20, "SCRAM-SHA-256": 32}


@attrs.frozen
class Inventor:
    """
    Keys for users who have none: the same salt each time, so that nobody can tell (SASL-04).

    @ivar secret: of this site; the same after a restart if salts are to be the same
    """

    secret: bytes = attrs.field(factory=lambda: token_bytes(32), repr=False)

    def keys(self, name: str, scheme: str, usual: tuple[int, int]) -> ScramKeys:
        """
        For a canonical name; nobody can prove anything with them.
        """
        octets, iterations = usual
        seed = f"{scheme} {name}".encode("utf-8", "surrogateescape")
        salt = hmac.digest(self.secret, seed, "sha512")
        size = _SIZES[scheme]
        return ScramKeys(salt[:octets], iterations, token_bytes(size), token_bytes(size))


@attrs.frozen(eq=False)
class Proofs:
    """
    What the guard asks.

    @ivar checker: a source of users; what it can do tells which kinds of credentials are good
    @ivar default_domain: for names that come without one
    @ivar holders: which user a certificate is for
    @ivar tokens: whose tokens are good; None for nobody's
    @ivar anonymous: whose mail those see who say nothing of themselves; empty for nobody's
    """

    checker: Any
    default_domain: str = ""
    holders: Holders = attrs.field(factory=Holders)
    anonymous: str = ""
    tokens: LooksAtTokens | None = None
    inventor: Inventor = attrs.field(factory=Inventor)

    def coverage(self, mechanism: Mechanism) -> Coverage:
        """
        For how many users a mechanism could work here.
        """
        needs = mechanism.needs
        if needs is Needs.TOKEN and self.tokens is None:
            return Coverage.NONE
        if needs is Needs.NOTHING and not self.anonymous:
            return Coverage.NONE
        if needs is Needs.CERTIFICATE and not (self.holders.field or self.holders.hosts):
            return Coverage.NONE
        return coverage_of(self.checker, needs)

    async def prove(self, credentials: Any) -> Identity:
        """
        Who it is.

        @raise mailaccess.errors.AuthenticationFailed: not proved
        @raise mailaccess.errors.MechanismRefused: they are not what their mechanism gives, so the
            policy was asked about another than was used
        @raise Exception: whatever breaks in a source
        """
        kind, prove = _KINDS.get(credentials.mechanism.needs, (None, None))
        if kind is None or prove is None or not kind.providedBy(credentials):
            raise MechanismRefused(detail="credentials that do not fit their mechanism")
        return await prove(self, credentials)

    async def person(self, name: str) -> Identity | None:
        """
        The identity of a canonical name, without any proof.
        """
        if not IFindsUsers.providedBy(self.checker):
            return None
        found: Identity | None = await self.checker.person(name)
        return found

    async def keys(self, name: str, scheme: str) -> ScramKeys:
        """
        Of a name as typed; invented ones where there are none.

        @raise Exception: whatever breaks in a source
        """
        try:
            canonical = canonical_name(name, self.default_domain)
        except BadName:
            canonical = ""
        return (await self._keys(canonical, scheme))[1]

    async def _keys(self, name: str, scheme: str) -> tuple[Identity | None, ScramKeys]:
        known: tuple[Identity, ScramKeys] | None = None
        usual = None
        if IKnowsKeys.providedBy(self.checker):
            usual = self.checker.usual(scheme)
            known = await self.checker.keys(name, scheme) if name else None
        # Made for everybody, so that it takes the same time.
        invented = self.inventor.keys(name, scheme, usual or _USUAL)
        return known or (None, invented)

    def _canonical(self, credentials: IMailLogin) -> str:
        try:
            return canonical_name(credentials.name, self.default_domain)
        except BadName as error:
            raise AuthenticationFailed(detail=str(error)) from None


async def _password(proofs: Proofs, credentials: Any) -> Identity:
    name = proofs._canonical(credentials)
    try:
        secret = prepare_password(credentials.secret)
    except BadPassword as error:
        raise AuthenticationFailed(detail=str(error)) from None
    identity: Identity = await proofs.checker.check(name, secret, credentials.service)
    return identity


async def _challenge(proofs: Proofs, credentials: Any) -> Identity:
    name = proofs._canonical(credentials)
    known = None
    if IKnowsSecrets.providedBy(proofs.checker):
        known = await proofs.checker.recoverable(name)
    # Nobody's password, where there is none: the same work for every name (AUTH-05).
    identity, secret = known or (None, token_bytes(16))
    if not credentials.answers(secret) or identity is None:
        raise AuthenticationFailed(detail=f"{name!r}: wrong answer, or no recoverable password")
    return identity


async def _keys(proofs: Proofs, credentials: Any) -> Identity:
    name = proofs._canonical(credentials)
    identity, keys = await proofs._keys(name, credentials.scheme)
    if not credentials.answers(keys) or identity is None:
        raise AuthenticationFailed(detail=f"{name!r}: wrong proof, or no {credentials.scheme} keys")
    return identity


async def _certificate(proofs: Proofs, credentials: Any) -> Identity:
    link: Link = credentials.link
    holder = proofs.holders.user_of(link)
    if not holder or holder != credentials.name:
        raise AuthenticationFailed(detail=f"certificate {link.certificate!r} is for no user")
    return await _known(proofs, holder, f"certificate {link.certificate!r}")


async def _token(proofs: Proofs, credentials: Any) -> Identity:
    if proofs.tokens is None:
        raise MechanismRefused(detail="nobody's tokens are good here")
    holder = await proofs.tokens.holder(credentials.token)
    return await _known(proofs, holder, f"token of {holder!r}")


async def _anonymous(proofs: Proofs, credentials: Any) -> Identity:
    if not proofs.anonymous:
        raise MechanismRefused(detail="no user for those who say nothing of themselves")
    return await _known(proofs, proofs.anonymous, "anonymous")


async def _known(proofs: Proofs, typed: str, how: str) -> Identity:
    try:
        name = canonical_name(typed, proofs.default_domain)
    except BadName as error:
        raise AuthenticationFailed(detail=f"{how}: {error}") from None
    identity = await proofs.person(name)
    if identity is None:
        raise AuthenticationFailed(detail=f"{how}: no user {name!r}")
    return attrs.evolve(identity, grounds=(Ground(name),))


_KINDS: Mapping[Needs, tuple[Any, Callable[[Proofs, Any], Awaitable[Identity]]]] = {
    Needs.PASSWORD: (IPasswordLogin, _password),
    Needs.SECRET: (IChallengeLogin, _challenge),
    Needs.KEYS_SHA1: (IKeysLogin, _keys),
    Needs.KEYS_SHA256: (IKeysLogin, _keys),
    Needs.CERTIFICATE: (ICertificateLogin, _certificate),
    Needs.TOKEN: (ITokenLogin, _token),
    Needs.NOTHING: (IAnonymousLogin, _anonymous),
}
