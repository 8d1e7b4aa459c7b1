"""
X-SESSIONS: from where else somebody is logged in. An extension of ours, in one file.

    C: a XSESSIONS
    S: * XSESSION "imaps" "2001:db8::7" "TLSv1.3" THIS
    S: * XSESSION "imap" "192.0.2.44" "TLSv1.2"
    S: a OK XSESSIONS completed
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated

from mailaccess.protocols.connection import MailConnection
from mailaccess.protocols.imap.registry import Extension, State
from mailaccess.protocols.imap.session import Session
from mailaccess.wire.grammar.atoms import number
from mailaccess.wire.writer import string

extension = Extension(
    "X-SESSIONS",
    capabilities=(b"X-SESSIONS",),
    condition=lambda session: session.connection.logged_in,
)


# xsessions = "XSESSIONS" [SP number]
@extension.command(b"XSESSIONS", State.LOGGED_IN)
async def xsessions(session: Session, most: Annotated[int, number] = 20) -> None:
    """
    One line per session of this user on this listener, this one first, C{most} lines at most.
    """
    for count, each in enumerate(sessions_of(session)):
        if count >= most:
            break
        link = each.link
        this = b" THIS" if each is session.connection else b""
        words = [string(it.encode()) for it in (link.listener, link.peer, link.tls_version)]
        session.untagged(b"XSESSION " + b" ".join(words) + this)


def sessions_of(session: Session) -> Iterator[MailConnection]:
    """
    Only of the same user: whoever else is here is nobody's business.
    """
    connection = session.connection
    yield connection
    name = session.account.name
    for each in tuple(connection.factory.connections):
        visit = each.visit
        if visit is not None and visit.user.identity.name == name and each is not connection:
            yield each
