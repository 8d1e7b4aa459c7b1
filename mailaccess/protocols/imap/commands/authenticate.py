"""
AUTHENTICATE, with and without an initial response: RFC 3501 section 6.2.2, RFC 4959.
"""

from __future__ import annotations

from base64 import b64encode
from functools import partial
from typing import Annotated

from ....errors import BadSyntax, Refused
from ....wire.cursor import Cursor
from ....wire.grammar.atoms import atom
from ....wire.grammar.names import base64
from ...login import claimed_name, sasl_dialogue
from ..registry import Effect, Extension, Reply, State
from ..session import Session

LINE = 16384
"""Octets of a client's response, base64 included."""


def words(session: Session) -> list[bytes]:
    """
    C{AUTH=} for what may be used now.
    """
    connection = session.connection
    if connection.logged_in:
        return []
    return [b"AUTH=" + name.encode("ascii") for name in connection.sasl_mechanisms()]


extension = Extension("SASL-IR", capabilities=(b"SASL-IR",), words=words)


class NoSuchMechanism(Refused):
    """
    RFC 3501 section 6.2.2: a mechanism that is not there is answered with NO.
    """

    public = "Mechanism not supported"


def initial_response(cursor: Cursor) -> bytes:
    """
    base64 / "=": the latter is an empty response (RFC 4959 section 3).
    """
    if cursor.text[cursor.pos :] == b"=":
        cursor.pos += 1
        return b""
    return base64(cursor)


def spoiled(session: Session, arguments: bytes) -> None:
    """
    What is no base64 may have been a password all the same.
    """
    connection = session.connection
    name, _, initial = arguments.strip().partition(b" ")
    each = connection.sasl_mechanism(name)
    if each is not None and each.mechanism.initial and initial:
        connection.note_exposure(each.mechanism)


@extension.command(b"AUTHENTICATE", State.NOT_AUTHENTICATED, Effect.SILENT, spoiled=spoiled)
async def authenticate(
    session: Session,
    mechanism: Annotated[bytes, atom],
    initial: Annotated[bytes | None, initial_response] = None,
) -> Reply:
    """
    A SASL exchange; refused by policy before anything is asked.

    RFC 3501 section 6.2.2: C{*} cancels and is answered with BAD, as is what is not base64
    (SASL-01).
    """
    connection = session.connection
    each = connection.sasl_mechanism(mechanism)
    if each is None:
        raise NoSuchMechanism

    async def ask(challenge: bytes) -> bytes:
        line = await connection.ask(b64encode(challenge), LINE)
        if line == b"*":
            raise BadSyntax("no cancellation")
        cursor = Cursor(line)
        response = base64(cursor) if line else b""
        cursor.end()
        return response

    sent = initial is not None and each.mechanism.initial
    with connection.noting_refusal(each.mechanism, sent=sent) as known:
        known.claim = partial(claimed_name, each, initial)
        connection.refuse_early(each.mechanism)
        login = await sasl_dialogue(connection, each, initial, ask, known.hear)
    return await connection.admit_login(login)
