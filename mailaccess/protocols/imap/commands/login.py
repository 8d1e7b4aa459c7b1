"""
LOGIN and LOGINDISABLED: RFC 3501 section 6.2.3, RFC 2595 section 3.2.
"""

from __future__ import annotations

from contextlib import suppress
from typing import Annotated

from ....auth.names import BadName, decode_name
from ....errors import AuthenticationFailed, BadSyntax
from ....policy.mechanism import LOGIN_COMMAND
from ....wire.cursor import Cursor
from ....wire.grammar.atoms import astring
from ..registry import Effect, Extension, Reply, State
from ..session import Session


def words(session: Session) -> tuple[bytes, ...]:
    """
    C{LOGINDISABLED} where nobody in general may log in by LOGIN now.
    """
    connection = session.connection
    if connection.logged_in or connection.decide(LOGIN_COMMAND).allowed:
        return ()
    return (b"LOGINDISABLED",)


extension = Extension("LOGIN", words=words)


def name_of(raw: bytes) -> str:
    """
    A user name from the wire.
    """
    try:
        return decode_name(raw)
    except BadName as bad:
        raise AuthenticationFailed(detail=f"name not possible: {bad}") from None


async def admit(session: Session, arguments: bytes) -> None:
    """
    Before a literal is granted: the policy for everybody, and, where the name is complete and the
    literal is the password, the policy for that name (POL-03).
    """
    connection = session.connection
    # Behind {5+} the client goes on without waiting.
    sent = arguments.rstrip(b"\r\n").endswith(b"+}")
    with connection.noting_refusal(LOGIN_COMMAND, sent=sent) as known:
        connection.refuse_early(LOGIN_COMMAND)
        cursor = Cursor(arguments)
        cursor.space()
        if cursor.looking_at(b"{") and arguments.count(b"\r\n") == 1:
            return
        known.name = name_of(astring(cursor))
        await connection.refuse_name(LOGIN_COMMAND, known.name)


def spoiled(session: Session, arguments: bytes) -> None:
    """
    A LOGIN that makes no sense has shown its password all the same.
    """
    name = ""
    cursor = Cursor(arguments)
    with suppress(BadSyntax):
        cursor.space()
        name = astring(cursor).decode("utf-8", "replace")
        if cursor.at_end():
            return
    if arguments.strip():
        session.connection.note_exposure(LOGIN_COMMAND, name)


@extension.command(b"LOGIN", State.NOT_AUTHENTICATED, Effect.SILENT, admit, spoiled)
async def login(
    session: Session, name: Annotated[bytes, astring], password: Annotated[bytes, astring]
) -> Reply:
    """
    Log in; the answer carries the capabilities that hold now.

    RFC 3501 section 6.2.3; RFC 2595 section 3.2: a tagged NO where it is disabled.
    """
    connection = session.connection
    with connection.noting_refusal(LOGIN_COMMAND, sent=True) as known:
        known.name = name.decode("utf-8", "replace")  # for the log only
        connection.refuse_early(LOGIN_COMMAND)
        typed = name_of(name)
    return await connection.admit(LOGIN_COMMAND, typed, password)
