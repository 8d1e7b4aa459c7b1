"""
Who is logged in on a connection, as a value: for administrators.
"""

from __future__ import annotations

import attrs

from .connection import MailConnection


@attrs.frozen
class Presence:
    """
    One session.

    @ivar session: the connection's name in the log
    @ivar user: whose mail it is, canonical
    @ivar actor: who really logged in, if that is somebody else; else empty
    @ivar peer: the client's address
    @ivar tls: version and cipher; without TLS the kind of layer
    @ivar client: what the client said of itself, or empty
    @ivar mailbox: the one that is open, or empty
    @ivar seconds: since the login
    @ivar idle: seconds since the client's last word
    """

    session: str
    user: str
    actor: str
    service: str
    listener: str
    peer: str
    tls: str
    mechanism: str
    client: str
    mailbox: str
    seconds: int
    idle: int


def presence(connection: MailConnection) -> Presence | None:
    """
    What there is to say of a connection; None while nobody is logged in.
    """
    visit = connection.visit
    if visit is None:
        return None
    link, identity = connection.link, visit.user.identity
    now = connection.clock.seconds()
    seconds = max(0, int(now - connection.entered))
    return Presence(
        session=connection.number,
        user=identity.name,
        actor=identity.actor,
        service=connection.entrance.service,
        listener=link.listener,
        peer=link.peer,
        tls=f"{link.tls_version} {link.cipher}".strip() or link.layer.value,
        mechanism=visit.mechanism.name,
        client=connection.client_name,
        mailbox=connection.mailbox_name,
        seconds=seconds,
        # Looked at once a second; what came since the last look counts as now. The last word may be
        # the login itself, which was heard before it had succeeded.
        idle=min(seconds, max(0, int(connection.pulse.now - connection.tick))),
    )
