"""
Login mechanisms: what each gives away to somebody who reads the connection, and what it needs.

Those that are SASL mechanisms only are described in their own files (L{mailaccess.auth.sasl}); here
are the facts that the policy reads.
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


class Needs(Enum):
    """
    What a source of users, or the site, has to have for a mechanism.
    """

    PASSWORD = "password"  # noqa: S105 - the name of a need
    SECRET = "secret"  # noqa: S105 - the same
    KEYS_SHA1 = "SCRAM-SHA-1"
    KEYS_SHA256 = "SCRAM-SHA-256"
    CERTIFICATE = "certificate"
    TOKEN = "token"  # noqa: S105 - the same
    NOTHING = "nothing"


class Coverage(Enum):
    """
    For how many users there is what a mechanism needs. What only some have is offered only where a
    listener names the mechanism: a client takes the strongest that is offered, and would fail with
    it for the others.
    """

    NONE = "none"
    SOME = "some"
    ALL = "all"


@attrs.frozen
class Mechanism:
    """
    A way to log in.

    @ivar name: SASL name, or C{LOGIN command}, C{USER}, C{APOP}
    @ivar sasl: can be given to AUTHENTICATE and AUTH
    @ivar initial: the client speaks first (RFC 4422 section 3.3): an initial response makes sense
    @ivar needs: what it takes to check somebody
    @ivar default: offered where a listener does not name its mechanisms
    @ivar binds: to the TLS channel, which has to have a binding (RFC 5802 section 6)
    @ivar weak: why nobody should switch it on; empty if there is no reason
    """

    name: str
    exposes: Exposes
    sasl: bool = True
    initial: bool = False
    needs: Needs = Needs.PASSWORD
    default: bool = True
    binds: bool = False
    weak: str = ""


PLAIN = Mechanism("PLAIN", Exposes.PASSWORD, initial=True)
LOGIN = Mechanism("LOGIN", Exposes.PASSWORD)
LOGIN_COMMAND = Mechanism("LOGIN command", Exposes.PASSWORD, sasl=False)
USER_PASS = Mechanism("USER", Exposes.PASSWORD, sasl=False)
APOP = Mechanism(
    "APOP",
    Exposes.VERIFIER,
    sasl=False,
    needs=Needs.SECRET,
    default=False,
    weak="MD5, and passwords that can be read back; whoever listens can try passwords at leisure",
)

MECHANISMS = {each.name: each for each in (PLAIN, LOGIN, LOGIN_COMMAND, USER_PASS, APOP)}
