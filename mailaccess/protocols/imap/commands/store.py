"""
STORE and UID STORE: RFC 3501 sections 6.4.6 and 6.4.8.
"""

from __future__ import annotations

from typing import Annotated

import attrs

from ....errors import MessageGone
from ....wire.cursor import Cursor
from ....wire.grammar.names import flags, sequence_set
from ....wire.sequence import SequenceSet
from ..arguments import uids_meant
from ..registry import Effect, Extension, Reply, State
from ..session import Session
from .fetch.plan import compiled, run
from .fetch.standard import FLAGS, UID

extension = Extension("STORE")

_FLAGS = compiled([FLAGS])
_UID_FLAGS = compiled([UID, FLAGS])


@attrs.frozen
class Action:
    """
    What to do with the flags.

    @ivar operation: as L{IMailbox.store<mailaccess.interfaces.IMailbox.store>} takes it
    @ivar silent: the new flags are not answered
    """

    operation: str
    silent: bool


# store-att-flags = (["+" / "-"] "FLAGS" [".SILENT"]) SP (flag-list / (flag *(SP flag)))
def action(cursor: Cursor) -> Action:
    """
    The name of the data item.
    """
    operation = "add" if cursor.take(b"+") else "remove" if cursor.take(b"-") else "set"
    cursor.expect(b"FLAGS")
    return Action(operation, cursor.take(b".SILENT"))


@extension.command(b"STORE", State.SELECTED, Effect.USES_SEQUENCE)
async def store(
    session: Session,
    messages: Annotated[SequenceSet, sequence_set],
    wanted: Annotated[Action, action],
    names: Annotated[list[str], flags],
) -> None:
    """
    Change flags by sequence number.

    RFC 3501 section 6.4.6; RFC 2180 section 4.2: NO where some messages were expunged meanwhile,
    the others are changed.
    """
    if await _change(session, messages, wanted, names, by_uid=False):
        raise MessageGone


@extension.command(b"UID STORE", State.SELECTED)
async def uid_store(
    session: Session,
    messages: Annotated[SequenceSet, sequence_set],
    wanted: Annotated[Action, action],
    names: Annotated[list[str], flags],
) -> Reply | None:
    """
    Change flags by UID; the answers have the UID.

    RFC 3501 section 6.4.8.
    """
    if await _change(session, messages, wanted, names, by_uid=True):
        return Reply(MessageGone.public, MessageGone.code.encode("ascii"))
    return None


async def _change(
    session: Session, messages: SequenceSet, wanted: Action, names: list[str], *, by_uid: bool
) -> bool:
    """
    Change, and answer the new flags unless silent; whether some of the messages are gone.
    """
    mailbox = session.selected
    uids = uids_meant(session, messages, by_uid=by_uid)
    session.must_have("stw")
    if not uids:
        return False
    stored = await mailbox.store(uids, wanted.operation, names)
    if not wanted.silent:
        # A keyword that is new is announced before a message is said to have it.
        await session.report(expunges=False)
        plan = _UID_FLAGS if by_uid else _FLAGS
        await run(session, plan, [number - 1 for number in stored.changed])
    return stored.gone
