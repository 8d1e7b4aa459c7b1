"""
SELECT and EXAMINE: RFC 3501 sections 6.3.1 and 6.3.2.
"""

from __future__ import annotations

from collections.abc import Sequence
from sys import byteorder
from typing import Annotated

from ....errors import BadMailboxName
from ....interfaces import SEEN
from ....wire.cursor import Cursor
from ....wire.grammar.names import mailbox
from ..registry import Effect, Extension, Reply, State
from ..session import Session

extension = Extension("SELECT")

Chosen = str | BadMailboxName

_SLICE = 4096
_ONLY_SEEN = bytes(octet & SEEN for octet in range(256))


def first_unseen(flags: Sequence[int]) -> int:
    """
    The sequence number of the first message without C{\\Seen}, or 0.
    """
    if isinstance(flags, memoryview) and flags.format == "q" and byteorder == "little":
        # The lowest octet of each mask, all at once: 0.4 ms for 100,000 messages, not 3 ms.
        return flags.cast("B")[::8].tobytes().translate(_ONLY_SEEN).find(0) + 1
    for start in range(0, len(flags), _SLICE):
        at = bytes(map(SEEN.__and__, flags[start : start + _SLICE])).find(0)
        if at >= 0:
            return start + at + 1
    return 0


def chosen(cursor: Cursor) -> Chosen:
    """
    A mailbox name, or why it can be none: whatever was selected is left all the same.
    """
    try:
        return mailbox(cursor)
    except BadMailboxName as wrong:
        return wrong


async def enter(session: Session, name: Chosen, command: str, read_only: bool) -> Reply:
    """
    Select a mailbox, and say what it has. Whatever was selected is left first: after a failure
    nothing is (RFC 3501 section 6.3.1).
    """
    session.unselect()
    if isinstance(name, BadMailboxName):
        raise name
    session.select(await session.account.select(name, read_only))
    selected = session.selected
    session.untagged(b"FLAGS (%b)" % session.flag_list())
    session.untagged_ok(b"PERMANENTFLAGS (%b)" % session.permanent_flags(), b"Flags kept")
    session.untagged(b"%d EXISTS" % len(selected.rows))
    session.untagged(b"%d RECENT" % selected.recent)
    unseen = first_unseen(selected.rows.flags)
    if unseen:
        session.untagged_ok(b"UNSEEN %d" % unseen, b"First unseen message")
    session.untagged_ok(b"UIDVALIDITY %d" % selected.uid_validity, b"UIDs valid")
    session.untagged_ok(b"UIDNEXT %d" % selected.uid_next, b"Predicted next UID")
    return Reply(f"{command} completed", b"READ-ONLY" if selected.read_only else b"READ-WRITE")


@extension.command(b"SELECT", State.LOGGED_IN, Effect.SILENT)
async def select(session: Session, name: Annotated[Chosen, chosen]) -> Reply:
    """
    Select a mailbox to read and change it.

    RFC 3501 section 6.3.1.
    """
    return await enter(session, name, "SELECT", read_only=False)


@extension.command(b"EXAMINE", State.LOGGED_IN, Effect.SILENT)
async def examine(session: Session, name: Annotated[Chosen, chosen]) -> Reply:
    """
    Select a mailbox to read it; nothing changes, not even which messages are recent.

    RFC 3501 section 6.3.2.
    """
    return await enter(session, name, "EXAMINE", read_only=True)
