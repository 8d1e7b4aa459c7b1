"""
How long and how much: what one connection may take before it is ended.

The defaults are an absolute deadline for logging in, whatever
is sent meanwhile; an idle time of at least 30 minutes for IMAP (RFC 3501 section 5.4) and 10 for
POP3 (RFC 1939 section 3); an end for a client that does not read.
"""

from __future__ import annotations

import attrs


@attrs.frozen
class Limits:
    """
    Times in seconds, sizes in octets.

    @ivar handshake_seconds: for a TLS handshake (TLS-13)
    @ivar first_seconds: from the greeting to the client's first octet (AB-02)
    @ivar login_seconds: from the connection to a login, whatever is sent meanwhile (AB-02)
    @ivar idle_seconds: without a word from somebody who is logged in (AB-04)
    @ivar stall_seconds: without reading what was asked for (AB-05)
    @ivar literal_seconds: how often is looked whether a literal comes on (AB-02)
    @ivar literal_rate: octets a second that have to come meanwhile
    @ivar grace_seconds: from the last word to a hard end (AB-03)
    @ivar mistakes_before_login: bad commands before BYE (AB-06)
    @ivar message: octets of one message (APPENDLIMIT)
    """

    handshake_seconds: float = 10.0
    first_seconds: float = 30.0
    login_seconds: float = 120.0
    idle_seconds: float = 1860.0
    stall_seconds: float = 300.0
    literal_seconds: float = 60.0
    literal_rate: float = 128.0
    grace_seconds: float = 15.0
    mistakes_before_login: int = 3
    mistakes: int = 20
    failed_logins: int = 3
    message: int = 104857600
