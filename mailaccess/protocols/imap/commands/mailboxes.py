"""
CREATE, DELETE, RENAME: RFC 3501 sections 6.3.3 to 6.3.5.
"""

from __future__ import annotations

from typing import Annotated

from ....wire.grammar.names import mailbox
from ..mailboxnames import new_mailbox
from ..registry import Extension, State
from ..session import Session

extension = Extension("mailboxes")


@extension.command(b"CREATE", State.LOGGED_IN)
async def create(session: Session, name: Annotated[str, new_mailbox]) -> None:
    """
    Make a mailbox.

    RFC 3501 section 6.3.3.
    """
    await session.account.create(name)


@extension.command(b"DELETE", State.LOGGED_IN)
async def delete(session: Session, name: Annotated[str, mailbox]) -> None:
    """
    Remove a mailbox; its name stays while it has children.

    RFC 3501 section 6.3.4.
    """
    await session.account.delete(name)


@extension.command(b"RENAME", State.LOGGED_IN)
async def rename(
    session: Session, old: Annotated[str, mailbox], new: Annotated[str, new_mailbox]
) -> None:
    """
    Give a mailbox and its children another name; of C{INBOX}, move its messages.

    RFC 3501 section 6.3.5.
    """
    await session.account.rename(old, new)
