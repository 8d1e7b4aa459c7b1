"""
NAMESPACE: RFC 2342.
"""

from __future__ import annotations

from ..registry import Extension, State
from ..session import Session

extension = Extension("NAMESPACE", capabilities=(b"NAMESPACE",))


@extension.command(b"NAMESPACE", State.LOGGED_IN)
async def namespace(session: Session) -> None:
    """
    All names are the user's own; there are no other users' and no shared ones.

    RFC 2342 section 5.
    """
    session.untagged(b'NAMESPACE (("" "/")) NIL NIL')
