"""
COPY and UID COPY, and what MOVE shares with them: RFC 3501 sections 6.4.7 and 6.4.8, RFC 4315
section 3.
"""

from __future__ import annotations

from typing import Annotated

from ....errors import NoSuchMailbox
from ....interfaces import Copied
from ....wire.grammar.names import mailbox, sequence_set
from ....wire.sequence import SequenceSet, format_uids
from ..arguments import uids_meant
from ..registry import Effect, Extension, Reply, State
from ..session import Session
from .quota import warned

extension = Extension("COPY")


class TryCreate(NoSuchMailbox):
    """
    The destination is missing, and could be made (RFC 3501 section 7.1).
    """

    code = "TRYCREATE"


def copy_uid(copied: Copied) -> bytes:
    """
    C{COPYUID} with what became what (RFC 4315 section 3).
    """
    sources, targets = format_uids(copied.sources), format_uids(copied.targets)
    return b"COPYUID %d %b %b" % (copied.uid_validity, sources, targets)


@extension.command(b"COPY", State.SELECTED, Effect.USES_SEQUENCE)
async def copy(
    session: Session,
    messages: Annotated[SequenceSet, sequence_set],
    destination: Annotated[str, mailbox],
) -> Reply:
    """
    Copy by sequence number, all or none.

    RFC 3501 section 6.4.7.
    """
    return await _copy(session, messages, destination, by_uid=False)


@extension.command(b"UID COPY", State.SELECTED)
async def uid_copy(
    session: Session,
    messages: Annotated[SequenceSet, sequence_set],
    destination: Annotated[str, mailbox],
) -> Reply:
    """
    Copy by UID.

    RFC 3501 section 6.4.8.
    """
    return await _copy(session, messages, destination, by_uid=True)


async def _copy(
    session: Session, messages: SequenceSet, destination: str, *, by_uid: bool
) -> Reply:
    uids = uids_meant(session, messages, by_uid=by_uid)
    if not uids:
        return Reply("Nothing to copy")
    try:
        async with warned(session, destination):
            copied = await session.selected.copy(uids, destination)
    except NoSuchMailbox as missing:
        raise TryCreate(detail=missing.detail) from None
    return Reply("Copied", copy_uid(copied))
