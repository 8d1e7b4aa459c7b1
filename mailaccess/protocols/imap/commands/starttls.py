"""
STARTTLS: RFC 3501 section 6.2.1, RFC 9051 section 6.2.1, RFC 2595 section 3.1.
"""

from __future__ import annotations

from ....errors import BadSyntax
from ....policy.rules import is_tls
from ..registry import Effect, Extension, State
from ..session import Session


def offered(session: Session) -> bool:
    """
    Advertised before a login on a connection without TLS (TLS-08).
    """
    connection = session.connection
    return (
        session.state is State.NOT_AUTHENTICATED
        and connection.entrance.tls is not None
        and not is_tls(connection.link)
    )


def words(session: Session) -> tuple[bytes, ...]:
    """
    The capability goes once TLS is there; the command stays, to be answered with BAD (TLS-06).
    """
    return (b"STARTTLS",) if offered(session) else ()


extension = Extension("STARTTLS", words=words)


@extension.command(b"STARTTLS", State.NOT_AUTHENTICATED, Effect.SILENT)
async def starttls(session: Session) -> None:
    """
    Begin TLS right after the tagged OK; what the client sent behind the command belongs to TLS.

    RFC 9051 section 6.2.1: BAD where TLS is active. A session that stays in the clear goes on.
    """
    connection = session.connection
    if not offered(session):
        raise BadSyntax("STARTTLS only once, where it is offered")
    connection.tls_after_reply()
