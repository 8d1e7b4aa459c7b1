"""
MOVE and UID MOVE, where the store can: RFC 6851.
"""

from __future__ import annotations

from typing import Annotated

from ....errors import NoSuchMailbox
from ....interfaces import IMovesMessages
from ....wire.grammar.names import mailbox, sequence_set
from ....wire.sequence import SequenceSet
from ..arguments import uids_meant
from ..registry import Extension, Reply, State
from ..session import Session
from .copy import TryCreate, copy_uid

extension = Extension("MOVE", capabilities=(b"MOVE",), requires=IMovesMessages)


@extension.command(b"MOVE", State.SELECTED)
async def move(
    session: Session,
    messages: Annotated[SequenceSet, sequence_set],
    destination: Annotated[str, mailbox],
) -> Reply:
    """
    Move by sequence number; the expunges are part of the answer.

    RFC 6851 section 3.1.
    """
    return await _move(session, messages, destination, by_uid=False)


@extension.command(b"UID MOVE", State.SELECTED)
async def uid_move(
    session: Session,
    messages: Annotated[SequenceSet, sequence_set],
    destination: Annotated[str, mailbox],
) -> Reply:
    """
    Move by UID.

    RFC 6851 section 3.2.
    """
    return await _move(session, messages, destination, by_uid=True)


async def _move(
    session: Session, messages: SequenceSet, destination: str, *, by_uid: bool
) -> Reply:
    """
    Move; report the new UIDs before the expunges.

    RFC 6851 section 4.3: a client matches COPYUID to messages it still knows.
    """
    selected = session.selected
    uids = uids_meant(session, messages, by_uid=by_uid)
    session.must_have("e")
    if not uids:
        return Reply("Nothing to move")
    try:
        copied = await IMovesMessages(selected).move(uids, destination)
    except NoSuchMailbox as missing:
        raise TryCreate(detail=missing.detail) from None
    session.untagged_ok(copy_uid(copied), b"Moved")
    return Reply("Done")
