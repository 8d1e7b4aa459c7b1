"""
SUBSCRIBE, UNSUBSCRIBE, LSUB: RFC 3501 sections 6.3.6, 6.3.7 and 6.3.9.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated

from ....wire.grammar.names import list_mailbox, mailbox
from ....wire.pattern import ListPattern
from ..mailboxnames import DELIMITER, listed
from ..registry import Extension, State
from ..session import Session

extension = Extension("subscriptions")

_SLICE = 16
"""Names between two looks at the clock: the longest and the worst patterns take 1 ms each."""


@extension.command(b"SUBSCRIBE", State.LOGGED_IN)
async def subscribe(session: Session, name: Annotated[str, mailbox]) -> None:
    """
    Add a name, of a mailbox that is there or not.

    RFC 3501 section 6.3.6.
    """
    await session.account.subscribe(name)


@extension.command(b"UNSUBSCRIBE", State.LOGGED_IN)
async def unsubscribe(session: Session, name: Annotated[str, mailbox]) -> None:
    """
    Take a name away.

    RFC 3501 section 6.3.7.
    """
    await session.account.unsubscribe(name)


def parents(name: str) -> Iterable[str]:
    """
    The names above a name, topmost first.
    """
    at = name.find(DELIMITER)
    while at >= 0:
        yield name[:at]
        at = name.find(DELIMITER, at + 1)


@extension.command(b"LSUB", State.LOGGED_IN)
async def lsub(
    session: Session,
    reference: Annotated[str, mailbox],
    pattern: Annotated[str, list_mailbox],
) -> None:
    """
    Subscribed names that follow a pattern. Where C{%} stops above a subscribed name, the name it
    stops at is given with C{\\Noselect}.

    RFC 3501 section 6.3.9.
    """
    if not pattern:
        session.untagged(listed(b"LSUB", [b"\\Noselect"], ""))
        return
    wanted = ListPattern(reference, pattern, DELIMITER)
    names = await session.account.subscriptions()
    given = set(names)
    for count, each in enumerate(names, 1):
        if wanted.matches(each):
            session.untagged(listed(b"LSUB", [], each))
        elif "%" in wanted.text:
            for above in parents(each):
                if above not in given and wanted.matches(above):
                    given.add(above)
                    session.untagged(listed(b"LSUB", [b"\\Noselect"], above))
        if not count % _SLICE:
            await session.pace()
