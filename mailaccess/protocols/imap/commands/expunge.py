"""
EXPUNGE, and UIDPLUS with UID EXPUNGE: RFC 3501 section 6.4.3, RFC 4315.
"""

from __future__ import annotations

from typing import Annotated

from ....wire.grammar.names import sequence_set
from ....wire.sequence import SequenceSet
from ..arguments import uids_meant
from ..registry import Extension, State
from ..session import Session

extension = Extension("UIDPLUS", capabilities=(b"UIDPLUS",))


@extension.command(b"EXPUNGE", State.SELECTED)
async def expunge(session: Session) -> None:
    """
    Remove what has C{\\Deleted}.

    RFC 3501 section 6.4.3.
    """
    session.must_have("e")
    await session.selected.expunge()


@extension.command(b"UID EXPUNGE", State.SELECTED)
async def uid_expunge(session: Session, messages: Annotated[SequenceSet, sequence_set]) -> None:
    """
    Remove what has C{\\Deleted}, of these messages only.

    RFC 4315 section 2.1.
    """
    session.must_have("e")
    uids = uids_meant(session, messages, by_uid=True)
    if uids:
        await session.selected.expunge(uids)
