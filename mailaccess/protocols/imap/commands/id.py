"""
ID: RFC 2971. What clients call themselves is kept in the log: who still comes with what.
"""

from __future__ import annotations

from typing import Annotated

from .... import __version__
from ....errors import BadSyntax
from ....wire.cursor import Cursor
from ....wire.grammar.atoms import nstring, string
from ....wire.writer import string as written
from ..registry import Extension, State
from ..session import Session

MAX_PAIRS = 30
MAX_FIELD = 30
MAX_VALUE = 1024
LOGGED = 400
"""Characters of all that is said that go into the log."""

Pairs = list[tuple[bytes, bytes | None]]

extension = Extension("ID", capabilities=(b"ID",))


# id-params-list = "(" *(string SP nstring) ")" / nil
def id_params(cursor: Cursor) -> Pairs:
    """
    Fields and values, within the bounds of RFC 2971 section 3.3.
    """
    if cursor.take(b"NIL"):
        return []
    pairs: Pairs = []
    cursor.open()
    while cursor.peek() != ord(")"):
        if pairs:
            cursor.space()
        if len(pairs) >= MAX_PAIRS:
            raise cursor.wrong(f"at most {MAX_PAIRS} fields")
        field = string(cursor)
        cursor.space()
        value = nstring(cursor)
        if len(field) > MAX_FIELD or len(value or b"") > MAX_VALUE:
            raise BadSyntax("a shorter field", cursor.pos)
        pairs.append((field, value))
    cursor.close()
    return pairs


def readable(pairs: Pairs) -> str:
    """
    One line for the log, without what could begin another (AUTH-10).
    """
    said = b" ".join(b"%b=%b" % (field, value) for field, value in pairs if value)
    text = said[:LOGGED].decode("utf-8", "replace")
    return "".join(each if each.isprintable() else "?" for each in text)


@extension.command(b"ID", State.ANY)
async def id_(session: Session, pairs: Annotated[Pairs, id_params]) -> None:
    """
    Who is there; before a login C{NIL}, which tells a stranger nothing (CODE-03, TLS-09).

    RFC 2971 section 3.1. A connection's first word of itself is logged, not each.
    """
    connection = session.connection
    if pairs and not session.client:
        session.client = readable(pairs)
        visit, witness = connection.visit, connection.entrance.guard.witness
        if witness is not None:
            witness.heard(connection.number, session.client)
        connection.log.info(
            "client",
            event="client",
            session=connection.number,
            user=visit.user.identity.name if visit is not None else "",
            rip=connection.link.peer,
            client=session.client,
        )
    if not connection.logged_in:
        session.untagged(b"ID NIL")
        return
    said = (b"name", b"mailaccess", b"version", __version__.encode("ascii"))
    session.untagged(b"ID (%b)" % b" ".join(map(written, said)))
