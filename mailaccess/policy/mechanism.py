"""
Login mechanisms, and what each gives away to somebody who reads the connection.
"""

from __future__ import annotations

from enum import Enum

import attrs


class Exposes(Enum):
    """
    What a listener on the wire learns.
    """

    PASSWORD = "password"  # noqa: S105 - the name of a kind of exposure
    VERIFIER = "verifier"
    NOTHING = "nothing"


@attrs.frozen
class Mechanism:
    """
    A way to log in.

    @ivar name: SASL name, or C{LOGIN command}, C{USER}, C{APOP}
    @ivar sasl: can be given to AUTHENTICATE and AUTH
    @ivar initial: the client speaks first (RFC 4422 section 3.3): an initial response makes sense
    """

    name: str
    exposes: Exposes
    sasl: bool = True
    initial: bool = False


PLAIN = Mechanism("PLAIN", Exposes.PASSWORD, initial=True)
LOGIN = Mechanism("LOGIN", Exposes.PASSWORD)
LOGIN_COMMAND = Mechanism("LOGIN command", Exposes.PASSWORD, sasl=False)
USER_PASS = Mechanism("USER", Exposes.PASSWORD, sasl=False)
APOP = Mechanism("APOP", Exposes.VERIFIER, sasl=False)

MECHANISMS = {each.name: each for each in (PLAIN, LOGIN, LOGIN_COMMAND, USER_PASS, APOP)}
