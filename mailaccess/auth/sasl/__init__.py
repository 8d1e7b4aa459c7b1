"""
SASL mechanisms, server side, without I/O: one file each.

A protocol picks from L{MECHANISMS} what its policy allows, calls C{start} and feeds the exchange
until it gives L{Finished} or L{Failed}. Adding a mechanism: a file with an L{Exchange}, its
L{Mechanism<mailaccess.policy.mechanism.Mechanism>} in the policy, a row in L{mechanisms}.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from types import MappingProxyType

from ...policy.mechanism import LOGIN, PLAIN
from .base import Challenge, Exchange, Failed, Finished, SASLMechanism, Step
from .login import LoginExchange
from .plain import PlainExchange

__all__ = [
    "MECHANISMS",
    "Challenge",
    "Exchange",
    "Failed",
    "Finished",
    "LoginExchange",
    "PlainExchange",
    "SASLMechanism",
    "Step",
    "mechanisms",
]


def mechanisms(*, login_initial_is_name: bool = False) -> Mapping[str, SASLMechanism]:
    """
    All mechanisms by SASL name, in the order to offer them.

    @param login_initial_is_name: tolerance: LOGIN with an initial response takes it for the name
        (curl C{--sasl-ir} sends it so); without it that is a malformed command (SASL-02)
    """
    rows = (
        SASLMechanism(PLAIN, PlainExchange),
        SASLMechanism(
            LOGIN,
            partial(LoginExchange, initial_is_name=login_initial_is_name),
            initial_response=login_initial_is_name,
        ),
    )
    return MappingProxyType({each.mechanism.name: each for each in rows})


MECHANISMS: Mapping[str, SASLMechanism] = mechanisms()
"""What is there with no tolerance switched on."""
