"""
LOGIN: never standardised (draft-murchison-sasl-login), still what Outlook and old phones speak.
"""

from __future__ import annotations

import attrs

from ...policy.mechanism import LOGIN
from ..names import MAX_PASSWORD, BadName, BadPassword, decode_name, prepare_password
from .base import NO_CHANNEL, Challenge, Channel, Failed, Finished, SASLMechanism, Step

# The draft's own prompts ("User Name", with a NUL) break Outlook; these are what everybody sends.
NAME_PROMPT = b"Username:"
PASSWORD_PROMPT = b"Password:"


@attrs.define
class LoginExchange:
    """
    The name, then the password, each asked for.

        state     response    then
        fresh     None        asked for the name
        fresh     octets      with C{initial_is_name} as in "name", else over: malformed
        name      octets      asked for the password; C{known_name} is set
        password  octets      over: finished or failed

    @ivar initial_is_name: take an initial response for the name, as curl sends it
    """

    initial_is_name: bool = False
    known_name: str | None = attrs.field(default=None, init=False)
    _state: str = attrs.field(default="fresh", init=False)

    def step(self, response: bytes | None) -> Step:
        """
        Ask for the next of the two, or take the last.
        """
        state, self._state = self._state, "over"
        if state == "fresh" and response is None:
            self._state = "name"
            return Challenge(NAME_PROMPT)
        if state == "fresh" and not self.initial_is_name:
            return Failed("LOGIN takes no initial response", malformed=True)
        if response is None or state == "over":
            return Failed()
        if self.known_name is None:
            return self._take_name(response)
        return self._take_password(self.known_name, response)

    def _take_name(self, response: bytes) -> Step:
        try:
            self.known_name = decode_name(response)
        except BadName:
            return Failed()
        self._state = "password"
        return Challenge(PASSWORD_PROMPT)

    def _take_password(self, name: str, response: bytes) -> Step:
        # Some clients end the password with a NUL or CRLF of their own; that is not the password,
        # and guessing at it would make two passwords of one.
        if len(response) > MAX_PASSWORD:
            return Failed()
        try:
            return Finished(name, prepare_password(response))
        except BadPassword:
            return Failed()


def rows(initial_is_name: bool) -> tuple[SASLMechanism, ...]:
    """
    With or without a tolerance.
    """

    def start(channel: Channel = NO_CHANNEL) -> LoginExchange:
        return LoginExchange(initial_is_name)

    return (SASLMechanism(LOGIN, start, initial_response=initial_is_name),)
