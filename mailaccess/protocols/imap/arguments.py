"""
Arguments that several commands take.
"""

from __future__ import annotations

from collections.abc import Sequence

from ...errors import BadSyntax
from ...wire.cursor import Cursor
from ...wire.sequence import SequenceSet
from .session import Session


def rest(cursor: Cursor) -> Cursor:
    """
    All that is left, unread: for a grammar that depends on the session's extensions.
    """
    left = Cursor(cursor.text, cursor.pos, utf8=cursor.utf8, naming=cursor.naming)
    cursor.pos = len(cursor.text)
    return left


def rows_meant(session: Session, messages: SequenceSet, *, by_uid: bool) -> Sequence[int]:
    """
    Rows of the selected mailbox, ascending.

    @raise BadSyntax: a sequence number that no message has (RFC 9051 section 9, seq-number);
        UIDs that are not there mean nothing instead (RFC 3501 section 6.4.8)
    """
    rows = session.selected.rows
    if by_uid:
        return messages.rows(rows.uids)
    if not messages.valid_for(len(rows)):
        raise BadSyntax("sequence numbers of messages that are there")
    return messages.indexes(len(rows))


def uids_meant(session: Session, messages: SequenceSet, *, by_uid: bool) -> list[int]:
    """
    The same, by their UIDs.
    """
    uids = session.selected.rows.uids
    return [uids[row] for row in rows_meant(session, messages, by_uid=by_uid)]
