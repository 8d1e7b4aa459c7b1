"""
IDLE: RFC 2177.
"""

from __future__ import annotations

import attrs

from ..idling import Idling
from ..registry import LATER, Effect, Extension, Reply, State
from ..session import Session

extension = Extension("IDLE", capabilities=(b"IDLE",))


@extension.command(b"IDLE", State.LOGGED_IN, Effect.SILENT)
async def idle(session: Session) -> Reply:
    """
    Tell the news as they come, until the client says DONE.

    RFC 2177 section 3; how long it lasts is for the limits to say.
    """
    connection = session.connection
    connection.go_ahead(b"idling")
    Idling(connection, connection.tag, _DONE)
    return LATER


async def _done(_session: Session) -> None:
    pass


_DONE = attrs.evolve(extension.commands[b"IDLE"], effects=Effect.NONE, handler=_done)
