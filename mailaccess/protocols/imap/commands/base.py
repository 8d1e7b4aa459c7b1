"""
CAPABILITY, NOOP, CHECK, LOGOUT: RFC 3501 sections 6.1 and 6.4.1.
"""

from __future__ import annotations

from ..registry import Effect, Extension, Reply, State
from ..session import Session

extension = Extension("IMAP4rev1", capabilities=(b"IMAP4rev1",))


@extension.command(b"CAPABILITY", State.ANY)
async def capability(session: Session) -> None:
    """
    What is there now.

    RFC 3501 section 6.1.1.
    """
    session.untagged(b"CAPABILITY " + session.connection.capability())


@extension.command(b"NOOP", State.ANY, Effect.POLLS)
async def noop(session: Session) -> None:
    """
    Nothing but a chance to report changes.

    RFC 3501 section 6.1.2.
    """


@extension.command(b"CHECK", State.SELECTED)
async def check(session: Session) -> None:
    """
    All that was answered is on the disk already.

    RFC 3501 section 6.4.1.
    """


@extension.command(b"LOGOUT", State.ANY, Effect.SILENT)
async def logout(session: Session) -> Reply:
    """
    BYE comes before the tagged OK.

    RFC 3501 section 6.1.3.
    """
    session.untagged(b"BYE Logging out")
    session.connection.end_after_reply("logout")
    return Reply("LOGOUT completed")
