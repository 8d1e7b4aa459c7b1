"""
FETCH and UID FETCH: RFC 3501 sections 6.4.5 and 6.4.8.

L{items} is what an extension needs for items of its own, L{standard} has those of the RFC, L{plan}
makes a list of items ready and runs it.
"""

from __future__ import annotations

from typing import Annotated

from .....errors import MessageGone, NotPermitted
from .....wire.cursor import Cursor
from .....wire.grammar.names import sequence_set
from .....wire.sequence import SequenceSet
from ...arguments import rest, rows_meant
from ...registry import Effect, Extension, Reply, State
from ...session import Session
from . import plan
from .standard import ITEMS

extension = Extension("FETCH", fetch_items=dict(ITEMS))


@extension.command(b"FETCH", State.SELECTED, Effect.USES_SEQUENCE)
async def fetch(
    session: Session,
    messages: Annotated[SequenceSet, sequence_set],
    items: Annotated[Cursor, rest],
) -> None:
    """
    Data of messages by sequence number.

    RFC 3501 section 6.4.5; RFC 2180 section 4.1.2: NO where some of them were expunged meanwhile.
    """
    if not await _answer(session, messages, items, by_uid=False):
        raise MessageGone


@extension.command(b"UID FETCH", State.SELECTED)
async def uid_fetch(
    session: Session,
    messages: Annotated[SequenceSet, sequence_set],
    items: Annotated[Cursor, rest],
) -> Reply | None:
    """
    The same by UID, with the UID in each response; what is not there is no error.

    RFC 3501 section 6.4.8.
    """
    if await _answer(session, messages, items, by_uid=True):
        return None
    return Reply(MessageGone.public, MessageGone.code.encode("ascii"))


async def _answer(session: Session, messages: SequenceSet, items: Cursor, *, by_uid: bool) -> bool:
    if "r" not in session.selected.rights:
        # It was there when the mailbox was selected (RFC 4314 section 5.1.1).
        raise NotPermitted
    parsers = session.connection.registry.collect("fetch_items", session)
    ready = plan.parse(items, parsers, by_uid=by_uid)
    return await plan.run(session, ready, rows_meant(session, messages, by_uid=by_uid))
