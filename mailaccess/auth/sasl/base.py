"""
What a SASL exchange looks like from outside: octets in (base64 already removed), a step out.

    state      response       step
    fresh      None           the first Challenge (empty where the client speaks first)
    fresh      octets         an initial response (RFC 4422 section 3.3; RFC 4959)
    asked      octets         the next Challenge, Finished or Failed
    over       anything       Failed

An exchange knows nothing of lines, base64, C{*} (the protocol drops the exchange then), policy or
checkers. It never raises on what a client sends.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import attrs

from ...policy.mechanism import Mechanism


@attrs.frozen
class Challenge:
    """
    Send this and give the answer to C{step}.
    """

    data: bytes


@attrs.frozen
class Finished:
    """
    All has been said; whether it is true is for the checker.

    @ivar name: as typed, never empty
    @ivar secret: never empty, no NUL, at most 1024 octets
    @ivar authorization: who to act as, as typed; empty for the same. Kept apart: not compared here
    """

    name: str
    secret: bytes = attrs.field(repr=False)
    authorization: str = ""


@attrs.frozen
class Failed:
    """
    The exchange is over.

    @ivar public: for the client; the same whatever was wrong with a name or a password
    @ivar malformed: the command itself was wrong (C{BAD} in IMAP), not the credentials
    """

    public: str = "Invalid credentials"
    malformed: bool = False


Step = Challenge | Finished | Failed


class Exchange(Protocol):
    """
    One run of a mechanism.
    """

    @property
    def known_name(self) -> str | None:
        """
        The user name as soon as it is known before the password is asked for, so that the policy
        can refuse before it is sent; else None.
        """

    def step(self, response: bytes | None) -> Step:
        """
        Go on with what the client sent; None where it has not said anything yet.
        """


@attrs.frozen
class SASLMechanism:
    """
    A mechanism for AUTHENTICATE and AUTH.

    @ivar mechanism: what the policy is asked about; its C{name} is the SASL name
    @ivar start: makes a fresh exchange
    @ivar initial_response: the command may carry one
    """

    mechanism: Mechanism
    start: Callable[[], Exchange]
    initial_response: bool = True
