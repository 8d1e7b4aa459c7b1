"""
SEARCH and UID SEARCH: RFC 3501 sections 6.4.4 and 6.4.8.

L{terms} is what an extension needs for search keys of its own, L{standard} has those of the RFC.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

from .....errors import UnknownCharset
from .....message.decode import text_codec
from .....wire.cursor import Cursor
from .....wire.grammar.atoms import astring
from .....wire.writer import number_list
from ...arguments import rest
from ...registry import Effect, Extension, State
from ...session import Session
from . import terms
from .standard import KEYS

extension = Extension("SEARCH", search_keys=dict(KEYS))

SLICE = 4096
"""Numbers written at a time, all on one line."""


class BadCharset(UnknownCharset):
    """
    With the names of some that are known; others are, too (RFC 3501 section 7.1).
    """

    code = (
        "BADCHARSET (US-ASCII UTF-8 ISO-8859-1 ISO-8859-2 ISO-8859-15 WINDOWS-1252 KOI8-R "
        "ISO-2022-JP SHIFT_JIS EUC-JP GB18030 BIG5 EUC-KR)"
    )


@extension.command(b"SEARCH", State.SELECTED, Effect.USES_SEQUENCE)
async def search(session: Session, criteria: Annotated[Cursor, rest]) -> None:
    """
    Sequence numbers of what matches.

    RFC 3501 section 6.4.4.
    """
    await _answer(session, await _find(session, criteria))


@extension.command(b"UID SEARCH", State.SELECTED)
async def uid_search(session: Session, criteria: Annotated[Cursor, rest]) -> None:
    """
    UIDs of what matches.

    RFC 3501 section 6.4.8.
    """
    found = await _find(session, criteria)
    uids = session.selected.rows.uids
    await _answer(session, [uids[number - 1] for number in found])


# search = "SEARCH" [SP "CHARSET" SP astring] 1*(SP search-key)
async def _find(session: Session, cursor: Cursor) -> Sequence[int]:
    codec = "utf-8"
    if cursor.take(b"CHARSET "):
        known = text_codec(astring(cursor).decode("latin-1"))
        if known is None:
            raise BadCharset
        codec = known
        cursor.space()
    parsers = session.connection.registry.collect("search_keys", session)
    query = terms.parse(terms.Terms(session, cursor, codec), parsers)
    return await session.selected.search(query)


async def _answer(session: Session, numbers: Sequence[int]) -> None:
    session.write(b"* SEARCH")
    for at in range(0, len(numbers), SLICE):
        session.write(b" " + number_list(numbers[at : at + SLICE]))
        await session.pace()
    session.write(b"\r\n")
