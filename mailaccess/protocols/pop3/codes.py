"""
POP3's response codes for what was refused: RFC 2449 section 8, RFC 3206.
"""

from __future__ import annotations

from ...errors import (
    AuthenticationFailed,
    AuthorizationFailed,
    ContactAdmin,
    DirectoryUnavailable,
    InUse,
    LimitReached,
    MessageGone,
    OverQuota,
    PasswordExpired,
    Refused,
    SessionEnded,
    StoreDamaged,
    StoreFailed,
    TooManyConnections,
)

_CODES: tuple[tuple[type[Refused], bytes], ...] = (
    # [AUTH] only where other credentials could help (RFC 3206 section 4)
    (AuthenticationFailed, b"AUTH"),
    (PasswordExpired, b"AUTH"),
    (AuthorizationFailed, b"SYS/PERM"),
    (ContactAdmin, b"SYS/PERM"),
    (DirectoryUnavailable, b"SYS/TEMP"),
    (TooManyConnections, b"SYS/TEMP"),
    (SessionEnded, b"SYS/TEMP"),
    (InUse, b"IN-USE"),
    (StoreFailed, b"SYS/TEMP"),
    (OverQuota, b"SYS/TEMP"),
    (LimitReached, b"SYS/TEMP"),
    (StoreDamaged, b"SYS/PERM"),
)


class LoginDelay(Refused):
    """
    RFC 2449 section 8.1.1: too soon after the last login.
    """

    public = "Too soon after the last login"


def error_line(refused: Refused) -> bytes:
    """
    C{-ERR [code] text} with CRLF.
    """
    text = refused.public.encode("ascii", "replace")
    if isinstance(refused, LoginDelay):
        return b"-ERR [LOGIN-DELAY] %b\r\n" % text
    if isinstance(refused, MessageGone):
        return b"-ERR no such message\r\n"
    for kind, code in _CODES:
        if isinstance(refused, kind):
            return b"-ERR [%b] %b\r\n" % (code, text)
    return b"-ERR %b\r\n" % text
