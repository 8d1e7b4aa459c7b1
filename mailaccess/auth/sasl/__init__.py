"""
SASL mechanisms, server side, without I/O: one file each.

A file says of its mechanism what it is called, what it exposes and what it needs
(L{Mechanism<mailaccess.policy.mechanism.Mechanism>}: the policy and the lists of capabilities read
that), what it ends with (credentials that the guard knows how to check), and has an exchange that
is fed with octets. A protocol picks from L{MECHANISMS} what may be used, calls C{start} and feeds
the exchange until it ends. Adding a mechanism: a file, and its C{ROWS} in L{mechanisms}.

DIGEST-MD5 is not here and does not come: RFC 6331.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from . import anonymous, bearer, crammd5, external, login, plain, scram
from .base import (
    NO_CHANNEL,
    Challenge,
    Channel,
    Done,
    Exchange,
    Failed,
    Finished,
    Inspect,
    Lookup,
    SASLMechanism,
    Step,
)
from .login import LoginExchange
from .plain import PlainExchange

__all__ = [
    "MECHANISMS",
    "NO_CHANNEL",
    "Challenge",
    "Channel",
    "Done",
    "Exchange",
    "Failed",
    "Finished",
    "Inspect",
    "LoginExchange",
    "Lookup",
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
        *scram.ROWS,
        *external.ROWS,
        *bearer.ROWS,
        *plain.ROWS,
        *login.rows(login_initial_is_name),
        *crammd5.ROWS,
        *anonymous.ROWS,
    )
    return MappingProxyType({each.mechanism.name: each for each in rows})


MECHANISMS: Mapping[str, SASLMechanism] = mechanisms()
"""What is there with no tolerance switched on."""
