"""
What became of one attempt to log in, for whoever keeps count: audit, shadow policy, ratchet,
metrics.

The guard in front of the portal tells a L{Witness} of each attempt that it saw, and the protocols
of those that they refused before. A witness only looks: nothing that it does changes an answer.
"""

from __future__ import annotations

from enum import Enum
from typing import Protocol

import attrs

from .decision import Decision
from .link import Link
from .mechanism import Exposes, Mechanism


class Result(Enum):
    """
    What the check of the password came to.

    C{RIGHT}: somebody is in. C{DENIED}: it was right, and something else was in the way (an account
    that is locked, a rule for the name that the password proved). C{WRONG}: it was not right, or
    the name is nobody's. C{UNCHECKED}: refused before anybody looked. C{UNKNOWN}: it could not be
    found out, or the client did not wait.
    """

    RIGHT = "right"
    DENIED = "denied"
    WRONG = "wrong"
    UNCHECKED = "unchecked"
    UNKNOWN = "unknown"


@attrs.frozen
class Attempt:
    """
    One attempt.

    @ivar session: the connection's name in the log
    @ivar service: C{imap} or C{pop3}
    @ivar user: whose password it was: the canonical name where it was right, else as typed
    @ivar decision: what the policy said
    @ivar sent: the client had sent the password, or whatever stands for one
    """

    session: str
    service: str
    link: Link
    mechanism: Mechanism
    user: str
    decision: Decision
    result: Result
    sent: bool

    @property
    def in_the_clear(self) -> bool:
        """
        Whether it is about a password that others can read.
        """
        return self.mechanism.exposes is Exposes.PASSWORD and not self.link.private

    @property
    def exposed(self) -> bool:
        """
        Whether others could read a password, even if it was refused (POL-05).
        """
        return self.sent and self.in_the_clear


class Witness(Protocol):
    """
    Is told, on the reactor's thread, and returns at once.
    """

    def saw(self, attempt: Attempt) -> None:
        """
        An attempt is over.
        """

    def heard(self, session: str, client: str) -> None:
        """
        What the client of a connection says of itself, before or after a login.
        """
