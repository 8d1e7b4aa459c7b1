"""
CREATE, DELETE, RENAME: RFC 3501 sections 6.3.3 to 6.3.5.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

from ....errors import BadSyntax
from ....store.uses import IGivesUses
from ....wire.grammar.names import mailbox
from ..mailboxnames import new_mailbox
from ..registry import Extension, State
from ..session import Session
from .create_special_use import create_parameters

extension = Extension("mailboxes")


@extension.command(b"CREATE", State.LOGGED_IN)
async def create(
    session: Session,
    name: Annotated[str, new_mailbox],
    uses: Annotated[Sequence[str] | None, create_parameters] = None,
) -> None:
    """
    Make a mailbox; for special uses, if they are given.

    RFC 3501 section 6.3.3, RFC 6154 section 3.
    """
    if uses is not None and not session.store_offers(IGivesUses):
        raise BadSyntax("end of command")
    if uses:
        await session.account.create_for(name, uses)
    else:
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
