"""
ENABLE: RFC 5161.
"""

from __future__ import annotations

from typing import Annotated

from ....wire.cursor import Cursor
from ....wire.grammar.atoms import atom
from ..registry import Extension, State
from ..session import Session

MAX_WORDS = 100

extension = Extension("ENABLE", capabilities=(b"ENABLE",))


# enable = "ENABLE" 1*(SP capability)
def capabilities(cursor: Cursor) -> list[bytes]:
    """
    Words in capitals.
    """
    words = [atom(cursor).upper()]
    while not cursor.at_end():
        if len(words) >= MAX_WORDS:
            raise cursor.wrong(f"at most {MAX_WORDS} capabilities")
        cursor.space()
        words.append(atom(cursor).upper())
    return words


@extension.command(b"ENABLE", State.AUTHENTICATED)
async def enable(session: Session, words: Annotated[list[bytes], capabilities]) -> None:
    """
    Switch on what may surprise older clients; words that are not known are passed over.

    RFC 5161 section 3.1: only what this command switched on is named.
    """
    known = {
        word
        for each in session.connection.registry.extensions
        if each.enables and each.active(session)
        for word in each.enables
    }
    enabled = []
    for word in words:
        name = word.decode("ascii")
        if word in known and name not in session.enabled:
            session.enabled.add(name)
            enabled.append(word)
    session.untagged(b" ".join([b"ENABLED", *enabled]))
