"""
UNSELECT: RFC 3691.
"""

from __future__ import annotations

from ..registry import Effect, Extension, State
from ..session import Session

extension = Extension("UNSELECT", capabilities=(b"UNSELECT",))


@extension.command(b"UNSELECT", State.SELECTED, Effect.SILENT)
async def unselect(session: Session) -> None:
    """
    Leave the mailbox, and remove nothing.

    RFC 3691 section 2.
    """
    session.unselect()
