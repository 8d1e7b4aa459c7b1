"""
CLOSE: RFC 3501 section 6.4.2.
"""

from __future__ import annotations

from contextlib import suppress

from ....errors import NoSuchMailbox, NotPermitted
from ..registry import Effect, Extension, State
from ..session import Session

extension = Extension("CLOSE")


@extension.command(b"CLOSE", State.SELECTED, Effect.SILENT)
async def close(session: Session) -> None:
    """
    Leave the mailbox, and remove its deleted messages without a word, unless it is read-only or
    there is no right to (RFC 4314 section 4).

    A mailbox that another connection has deleted has nothing to remove, and there is no NO.
    RFC 3501 section 6.4.2.
    """
    if "e" in session.selected.rights:
        with suppress(NoSuchMailbox, NotPermitted):
            await session.selected.expunge()
    session.unselect()
