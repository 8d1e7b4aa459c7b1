"""
What a site decides about POP3.
"""

from __future__ import annotations

import attrs


@attrs.frozen
class POP3Options:
    """
    Options of the POP3 protocol.

    @ivar refuse_at: C{user}: somebody whom the policy refuses is told at USER, before the password
        is sent; C{pass}: at PASS, so that USER says the same to everybody (POL-04)
    @ivar second_session: C{in-use}: one session at a time has the maildrop (RFC 1939 section 4);
        C{snapshot}: each sees the maildrop as it was when it came
    @ivar apop: offer APOP; needs passwords that can be recovered
    @ivar login_delay: seconds between two logins of a user (RFC 2449 section 6.5), 0 for none
    @ivar expire: days after which the site removes messages (RFC 2449 section 6.7); None for never.
        Only announced: what removes them is the site's own
    @ivar mark_seen: at QUIT, messages that were retrieved get C{\\Seen}
    """

    refuse_at: str = "user"
    second_session: str = "in-use"
    apop: bool = False
    login_delay: int = 0
    expire: int | None = None
    mark_seen: bool = True
