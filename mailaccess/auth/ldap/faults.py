"""
What goes wrong with a directory. C{detail} is for the log; no password is ever in it.
"""

from __future__ import annotations


class Fault(Exception):
    """
    Whether a password is right could not be found out.
    """

    def __init__(self, detail: str) -> None:
        super().__init__(detail)
        self.detail = detail


class Unreachable(Fault):
    """
    This server does not work now: another one may.
    """


class NoAnswer(Unreachable):
    """
    A password was sent and nothing came back: it is not sent a second time (LD-10).
    """


class Closed(Unreachable):
    """
    The server ended a connection that was there.
    """


class OutOfTime(Fault):
    """
    The deadline of this login has passed.
    """


class WrongSetup(Fault):
    """
    The directory works, but not as configured.
    """
