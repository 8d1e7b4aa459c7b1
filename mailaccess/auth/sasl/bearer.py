"""
OAUTHBEARER (RFC 7628) and XOAUTH2, which came before it: a token instead of a password.

    state     response        then
    fresh     None            asked for the message
    asked     message         the token is looked at
    looking   (good)          over: done
    looking   (not good)      told why, in the mechanism's own words
    told      anything        over: done; the guard refuses it, after its delay

The token is as good as a password to whoever reads it, so these are for private connections only.
"""

from __future__ import annotations

import json
import re
from functools import partial

import attrs
from zope.interface import implementer

from ...policy.link import Link
from ...policy.mechanism import Exposes, Mechanism, Needs
from ..interfaces import ITokenLogin
from ..names import BadName, decode_name
from ..tokens import MOST_OCTETS
from .base import NO_CHANNEL, Challenge, Channel, Done, Failed, Inspect, SASLMechanism, Step

# gs2-header kvsep *( key "=" value kvsep ) kvsep
_BEARER = re.compile(rb"(?:n|y),(?:a=([^,\0\x01]+))?,\x01((?:[A-Za-z]+=[^\0\x01]*\x01)*)\x01")
_XOAUTH2 = re.compile(rb"user=([^\0\x01]+)\x01((?:[A-Za-z]+=[^\0\x01]*\x01)*)\x01")
_TOKEN = re.compile(rb"[Bb][Ee][Aa][Rr][Ee][Rr] +([A-Za-z0-9._~+/=-]+)")
_FAILURES = {
    "OAUTHBEARER": {"status": "invalid_token"},
    "XOAUTH2": {"status": "401", "schemes": "bearer"},
}


@implementer(ITokenLogin)
@attrs.frozen
class TokenLogin:
    """
    A token. Who it is stands in the token only; what the client says besides is whom it wants to
    act as.
    """

    name: str
    token: str = attrs.field(repr=False)
    link: Link
    mechanism: Mechanism
    service: str
    authorization: str = ""
    session: str = ""


@attrs.define
class BearerExchange:
    """
    One run.

    @ivar dialect: C{OAUTHBEARER} or C{XOAUTH2}
    """

    dialect: str
    known_name: str | None = attrs.field(default=None, init=False)
    _state: str = attrs.field(default="fresh", init=False)
    _done: Done | None = attrs.field(default=None, init=False)

    def step(self, response: bytes | None) -> Step:
        """
        The message; after a failure, whatever the client says to end it.
        """
        state, self._state = self._state, "over"
        if state == "fresh" and response is None:
            self._state = "asked"
            return Challenge(b"")
        if response is None or len(response) > 2 * MOST_OCTETS:
            return Failed()
        if state in ("fresh", "asked"):
            return self._message(response)
        if state == "told" and self._done is not None:
            return self._done
        return Failed()

    def _message(self, message: bytes) -> Step:
        form = _BEARER if self.dialect == "OAUTHBEARER" else _XOAUTH2
        found = form.fullmatch(message)
        pairs = [each.split(b"=", 1) for each in found[2].split(b"\x01")[:-1]] if found else []
        tokens = [value for key, value in pairs if key.lower() == b"auth"]
        bearer = _TOKEN.fullmatch(tokens[0]) if len(tokens) == 1 else None
        if found is None or bearer is None or len(bearer[1]) > MOST_OCTETS:
            return Failed(detail="no token")
        try:
            raw = (found[1] or b"").replace(b"=2C", b",").replace(b"=3D", b"=")
            authorization = decode_name(raw) if raw else ""
        except BadName as bad:
            return Failed(detail=str(bad))
        token = bearer[1].decode("ascii")
        self._done = Done("", partial(TokenLogin, token=token), authorization)
        self._state = "looking"
        return Inspect(token)

    def inspected(self, good: bool) -> Step:
        """
        Go on with what was found of the token.
        """
        state, self._state = self._state, "over"
        if state != "looking" or self._done is None:
            return Failed()
        if good:
            return self._done
        self._state = "told"
        return Challenge(json.dumps(_FAILURES[self.dialect]).encode("ascii"))


def _mechanism(dialect: str) -> SASLMechanism:
    mechanism = Mechanism(dialect, Exposes.PASSWORD, initial=True, needs=Needs.TOKEN)

    def start(channel: Channel = NO_CHANNEL) -> BearerExchange:
        return BearerExchange(dialect)

    return SASLMechanism(mechanism, start)


ROWS = tuple(_mechanism(each) for each in ("OAUTHBEARER", "XOAUTH2"))
