"""
CREATE, DELETE, RENAME: RFC 3501 sections 6.3.3 to 6.3.5; CREATE-SPECIAL-USE, where the store can:
RFC 6154 section 3.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

from ....errors import BadSyntax
from ....store.uses import IGivesUses
from ....wire.cursor import Cursor
from ....wire.grammar.atoms import atom, parenthesised
from ....wire.grammar.names import mailbox
from ..mailboxnames import new_mailbox
from ..registry import Extension, State
from ..session import Session

extension = Extension("mailboxes")


special_use = Extension(
    "CREATE-SPECIAL-USE", capabilities=(b"CREATE-SPECIAL-USE",), requires=IGivesUses
)

_MAX_USES = 20


# create-param = "USE" SP "(" [use-attr *(SP use-attr)] ")", in parentheses
def create_parameters(cursor: Cursor) -> list[str]:
    """
    The special uses of a mailbox to be made.

    RFC 6154 section 6; RFC 4466 section 2.2.
    """
    cursor.open()
    cursor.expect(b"USE")
    cursor.space()
    uses = parenthesised(cursor, _use, _MAX_USES, empty=True)
    cursor.close()
    return uses


def _use(cursor: Cursor) -> str:
    cursor.expect(b"\\")
    return "\\" + atom(cursor).decode("ascii")


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
