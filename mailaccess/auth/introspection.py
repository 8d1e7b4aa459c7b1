"""
Tokens that only their issuer can check: it is asked for each login (RFC 7662).

    tokens = Introspection(Asked("https://id.example.org/introspect"), trust, web, run, time)
    await tokens.holder(token)          # "amy@example.org"

An answer holds for a few seconds, so that one login asks once; a token that was revoked is good for
nothing after that. What the issuer says is believed about tokens for this service only: one for
another service is no login here.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections import OrderedDict
from collections.abc import Callable
from typing import Any
from urllib.parse import quote_plus, urlencode

import attrs
from twisted.internet.defer import Deferred

from ..errors import AuthenticationFailed, DirectoryUnavailable
from .issuer import Web
from .tokens import Trust, holder_in, looks_like_a_token

SECONDS = 10.0
"""For which an answer holds."""

_MOST_ANSWERS = 1000
_MOST_QUESTIONS = 200
_LEEWAY = 30
_FARTHEST = 1e12  # seconds; what is no number in JSON's own terms (NaN) is not below it
_UNKNOWN: tuple[float, str | AuthenticationFailed] = (0.0, "")


@attrs.frozen
class Asked:
    """
    Where to ask, and as whom.

    @ivar client: name of this server with the issuer; empty to ask without
    @ivar secret: gives its password, blocking; raises L{DirectoryUnavailable}
    @ivar scope: word that a token has to have in its C{scope}; empty for none
    """

    address: str
    client: str = ""
    secret: Callable[[], bytes] = attrs.field(default=bytes, repr=False)
    scope: str = ""


class Introspection:
    """
    Asks about tokens.
    """

    def __init__(
        self,
        asked: Asked,
        trust: Trust,
        web: Web,
        run: Callable[..., Deferred[Any]],
        clock: Callable[[], float],
    ) -> None:
        """
        @param run: runs a function in a thread: L{mailaccess.auth.pool.HashPool.run}
        @param clock: seconds since 1970
        """
        self._asked = asked
        self._trust = trust
        self._web = web
        self._run = run
        self._clock = clock
        self._known: OrderedDict[bytes, tuple[float, str | AuthenticationFailed]] = OrderedDict()
        self._open = 0

    async def holder(self, token: str) -> str:
        """
        The name that a good token gives.

        @raise AuthenticationFailed: the token is not good; the detail, for the log, tells why
        @raise DirectoryUnavailable: the issuer could not be asked
        """
        looks_like_a_token(token)
        digest = hashlib.sha256(token.encode("ascii")).digest()
        until, known = self._known.get(digest, _UNKNOWN)
        if self._clock() < until:
            return _told(known)
        if self._open >= _MOST_QUESTIONS:
            raise DirectoryUnavailable(detail="token: too many questions to the issuer are open")
        self._open += 1
        try:
            answer = await self._ask(token)
        finally:
            self._open -= 1
        ends = self._clock() + SECONDS
        try:
            known = self._judge(answer)
            if answer.get("exp") is not None:
                ends = min(ends, answer["exp"])
        except AuthenticationFailed as error:
            known = error
        self._known[digest] = (ends, known)
        self._known.move_to_end(digest)
        if len(self._known) > _MOST_ANSWERS:
            self._known.popitem(last=False)
        return _told(known)

    async def _ask(self, token: str) -> dict[str, Any]:
        asked, authorization = self._asked, ""
        if asked.client:
            secret = await self._run(asked.secret)
            # RFC 6749 section 2.3.1: both are written as in a form before they are joined.
            pair = f"{quote_plus(asked.client)}:{quote_plus(secret)}"
            authorization = "Basic " + base64.b64encode(pair.encode("ascii")).decode("ascii")
        form = urlencode({"token": token, "token_type_hint": "access_token"}).encode("ascii")
        text = await self._web.post(asked.address, form, authorization)
        try:
            answer = json.loads(text)
        except (ValueError, RecursionError):
            answer = None
        if not isinstance(answer, dict):
            raise DirectoryUnavailable(detail="token: the issuer's answer is no JSON object")
        return answer

    def _judge(self, answer: dict[str, Any]) -> str:
        trust, now = self._trust, self._clock()
        if answer.get("active") is not True:
            raise AuthenticationFailed(detail="token: its issuer says that it is not active")
        for name, late in (("exp", True), ("nbf", False)):
            when = answer.get(name)
            if when is None:
                continue
            number = isinstance(when, int | float) and not isinstance(when, bool)
            if not number or not -_FARTHEST < when < _FARTHEST:
                raise AuthenticationFailed(detail=f"token: {name} is no time")
            if (now - _LEEWAY > when) if late else (now + _LEEWAY < when):
                raise AuthenticationFailed(detail=f"token: {name} forbids it now")
        if trust.issuer and answer.get("iss", trust.issuer) != trust.issuer:
            raise AuthenticationFailed(detail="token: made by another issuer")
        if trust.audience and trust.audience not in _words(answer.get("aud")):
            raise AuthenticationFailed(detail="token: not for this audience")
        scopes = answer.get("scope")
        held = scopes.split(" ") if isinstance(scopes, str) else []
        if self._asked.scope and self._asked.scope not in held:
            raise AuthenticationFailed(detail=f"token: has no scope {self._asked.scope}")
        return holder_in(answer, trust.claim)


def _told(known: str | AuthenticationFailed) -> str:
    if isinstance(known, AuthenticationFailed):
        raise AuthenticationFailed(detail=known.detail)
    return known


def _words(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]
