"""
SUBSCRIBE, UNSUBSCRIBE, LSUB: RFC 3501 sections 6.3.6, 6.3.7 and 6.3.9.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated

from ....wire.grammar.names import list_mailbox, mailbox, reference
from ..mailboxnames import listed
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


def parents(name: str, delimiter: str) -> Iterable[str]:
    """
    The names above a name, topmost first.
    """
    at = name.find(delimiter)
    while at >= 0:
        yield name[:at]
        at = name.find(delimiter, at + 1)


@extension.command(b"LSUB", State.LOGGED_IN)
async def lsub(
    session: Session,
    before: Annotated[str, reference],
    pattern: Annotated[str, list_mailbox],
) -> None:
    """
    Subscribed names that follow a pattern. Where C{%} stops above a subscribed name, the name it
    stops at is given with C{\\Noselect}.

    RFC 3501 section 6.3.9.
    """
    naming = session.naming
    if not pattern:
        session.untagged(listed(b"LSUB", [b"\\Noselect"], "", naming))
        return
    wanted = naming.pattern(before, pattern)
    names = await session.account.subscriptions()
    if not naming.plain:
        names = [naming.there(each) for each in names]
    given = set(names)
    for count, each in enumerate(names, 1):
        if wanted.matches(each):
            session.untagged(listed(b"LSUB", [], each, naming))
        elif "%" in wanted.text:
            for above in parents(each, naming.delimiter):
                if above not in given and wanted.matches(above):
                    given.add(above)
                    session.untagged(listed(b"LSUB", [b"\\Noselect"], above, naming))
        if not count % _SLICE:
            await session.pace()
