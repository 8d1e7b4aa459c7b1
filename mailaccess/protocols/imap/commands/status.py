"""
STATUS: RFC 3501 section 6.3.10.
"""

from __future__ import annotations

from operator import attrgetter
from typing import Annotated

from ....errors import BadSyntax
from ....wire.cursor import Cursor
from ....wire.grammar.atoms import atom, parenthesised
from ....wire.grammar.names import mailbox
from ..registry import Extension, State
from ..session import Session

MAX_ITEMS = 50

extension = Extension(
    "STATUS",
    status_items={
        b"MESSAGES": attrgetter("messages"),
        b"RECENT": attrgetter("recent"),
        b"UIDNEXT": attrgetter("uid_next"),
        b"UIDVALIDITY": attrgetter("uid_validity"),
        b"UNSEEN": attrgetter("unseen"),
    },
)


# status = "STATUS" SP mailbox SP "(" status-att *(SP status-att) ")"
def status_items(cursor: Cursor) -> list[bytes]:
    """
    The words in parentheses, in capitals, each once.
    """
    words = parenthesised(cursor, atom, MAX_ITEMS)
    return list(dict.fromkeys(word.upper() for word in words))


@extension.command(b"STATUS", State.LOGGED_IN)
async def status(
    session: Session,
    name: Annotated[str, mailbox],
    items: Annotated[list[bytes], status_items],
) -> None:
    """
    Counts of a mailbox that need not be selected.

    RFC 3501 section 6.3.10. An item is a function of a L{Status<mailaccess.interfaces.Status>} that
    gives a number.
    """
    known = session.connection.registry.collect("status_items", session)
    for each in items:
        if each not in known:
            raise BadSyntax("a status item")
    counts = await session.account.status(name)
    values = b" ".join([b"%b %d" % (each, known[each](counts)) for each in items])
    session.untagged(b"STATUS %b (%b)" % (session.naming.written(name), values))
