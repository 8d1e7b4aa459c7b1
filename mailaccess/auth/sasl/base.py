"""
What a SASL exchange looks like from outside: octets in (base64 already removed), a step out.

    state      response       step
    fresh      None           the first Challenge (empty where the client speaks first)
    fresh      octets         an initial response (RFC 4422 section 3.3; RFC 4959)
    asked      octets         the next Challenge, a Lookup, Inspect, Finished, Done or Failed
    looking    (keys)         as asked, by C{found} instead of C{step}; C{inspected} for a token
    over       anything       Failed

An exchange knows nothing of lines, base64, C{*} (the protocol drops the exchange then), policy or
checkers. It never raises on what a client sends. What it ends with is a claim: whether it is true
is for the guard to say.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any, Protocol

import attrs

from ...interfaces import IMailLogin
from ...policy.link import Link
from ...policy.mechanism import Mechanism
from ..credentials import PasswordLogin


@attrs.frozen
class Challenge:
    """
    Send this and give the answer to C{step}.
    """

    data: bytes


@attrs.frozen
class Lookup:
    """
    Give the keys of this user, real ones or (for whoever has none) invented ones, to C{found}.

    @ivar name: as typed
    @ivar scheme: C{SCRAM-SHA-256} or C{SCRAM-SHA-1}
    """

    name: str
    scheme: str


@attrs.frozen
class Inspect:
    """
    Say to C{inspected} whether this token is good.
    """

    token: str = attrs.field(repr=False)


@attrs.frozen
class Finished:
    """
    A name and a password.

    @ivar name: as typed, never empty
    @ivar secret: never empty, no NUL, at most 1024 octets
    @ivar authorization: who to act as, as typed; empty for the same. Kept apart: not compared here
    """

    name: str
    secret: bytes = attrs.field(repr=False)
    authorization: str = ""

    def login(self, link: Link, mechanism: Mechanism, service: str, session: str) -> IMailLogin:
        """
        What goes to the portal.
        """
        return PasswordLogin(
            self.name, self.secret, link, mechanism, service, self.authorization, session
        )


@attrs.frozen
class Done:
    """
    A claim of another kind.

    @ivar name: as typed; empty where only the guard finds out
    @ivar make: makes the credentials, given C{name}, C{link}, C{mechanism}, C{service},
        C{authorization} and C{session}
    @ivar authorization: as L{Finished.authorization}
    """

    name: str
    make: Callable[..., Any] = attrs.field(repr=False)
    authorization: str = ""

    def login(self, link: Link, mechanism: Mechanism, service: str, session: str) -> IMailLogin:
        """
        What goes to the portal.
        """
        login: IMailLogin = self.make(
            name=self.name,
            link=link,
            mechanism=mechanism,
            service=service,
            authorization=self.authorization,
            session=session,
        )
        return login


@attrs.frozen
class Failed:
    """
    The exchange is over.

    @ivar public: for the client; the same whatever was wrong with a name or a password
    @ivar malformed: the command itself was wrong (C{BAD} in IMAP), not the credentials
    @ivar detail: for the log
    """

    public: str = "Invalid credentials"
    malformed: bool = False
    detail: str = ""


Step = Challenge | Lookup | Inspect | Finished | Done | Failed


@attrs.frozen
class Channel:
    """
    What an exchange may want to know of its connection.

    @ivar binding: the data of a kind of channel binding (RFC 5056), or None where there is none
    @ivar offered: names of the mechanisms that are offered now
    @ivar holder: the user whose certificate the client has shown and proved to have, or empty
    """

    binding: Callable[[str], bytes | None] = attrs.field(default=lambda kind: None)
    offered: Collection[str] = ()
    holder: str = ""


NO_CHANNEL = Channel()


class Exchange(Protocol):
    """
    One run of a mechanism. One that ever answers with L{Lookup} or L{Inspect} has C{found} or
    C{inspected}, too, which takes the keys or the verdict and gives the next step.
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


@attrs.define
class OneMessage:
    """
    An exchange in which the client says everything at once, with the command or when it is asked.
    """

    known_name: str | None = attrs.field(default=None, init=False)
    _state: str = attrs.field(default="fresh", init=False)

    def step(self, response: bytes | None) -> Step:
        """
        An empty challenge, then the message.
        """
        state, self._state = self._state, "over"
        if state == "fresh" and response is None:
            self._state = "asked"
            return Challenge(b"")
        if response is None or state == "over":
            return Failed()
        return self.read(response)

    def read(self, message: bytes) -> Step:
        """
        What it comes to.
        """
        raise NotImplementedError


@attrs.frozen
class SASLMechanism:
    """
    A mechanism for AUTHENTICATE and AUTH.

    @ivar mechanism: what the policy is asked about; its C{name} is the SASL name
    @ivar start: makes a fresh exchange; may be given a L{Channel}
    @ivar initial_response: the command may carry one
    """

    mechanism: Mechanism
    start: Callable[..., Exchange]
    initial_response: bool = True
