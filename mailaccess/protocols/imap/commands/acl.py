"""
ACL, where mailboxes are shared: RFC 4314.

Rights can be read. They are kept by the administrator, so nobody has a way to change them here:
SETACL and DELETEACL are understood, and refused.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Annotated

from ....errors import NotPermitted
from ....store.rights import ISharesMailboxes
from ....wire import writer
from ....wire.grammar.atoms import astring
from ....wire.grammar.names import mailbox
from ..registry import Extension, State
from ..session import Session

_ORDER = "lrswipkxteacd"
_VIRTUAL = {"c": "k", "d": "xte"}
"""RFC 4314 section 2.1.1: rights of older clients, shown where one of these is there."""


def words(session: Session) -> tuple[bytes, ...]:
    """
    Announced when it is known whose mailboxes they are: without namespaces there are no rights.
    """
    return () if session.connection.visit is None else (b"ACL", b"RIGHTS=kxte")


extension = Extension("ACL", requires=ISharesMailboxes, words=words)


class KeptElsewhere(NotPermitted):
    """
    There is a right to administer, but not in this way.
    """

    public = "Rights are kept by the administrator"


def letters(rights: Collection[str]) -> bytes:
    """
    Rights as they are written, in the order of the RFC.
    """
    shown = set(rights)
    shown.update(old for old, new in _VIRTUAL.items() if shown.intersection(new))
    return writer.astring("".join(each for each in _ORDER if each in shown).encode("ascii"))


@extension.command(b"MYRIGHTS", State.LOGGED_IN)
async def myrights(session: Session, name: Annotated[str, mailbox]) -> None:
    """
    What the user may do in a mailbox.

    RFC 4314 section 3.5.
    """
    rights = letters(await session.account.rights(name))
    session.untagged(b"MYRIGHTS %b %b" % (session.naming.written(name), rights))


@extension.command(b"GETACL", State.LOGGED_IN)
async def getacl(session: Session, name: Annotated[str, mailbox]) -> None:
    """
    Who may do what in a mailbox. Groups have a C{$} before their name.

    RFC 4314 section 3.3.
    """
    pairs = [
        b" %b %b" % (writer.astring(identifier.encode("utf-8")), letters(rights))
        for identifier, rights in await session.account.access(name)
    ]
    session.untagged(b"ACL %b%b" % (session.naming.written(name), b"".join(pairs)))


@extension.command(b"LISTRIGHTS", State.LOGGED_IN)
async def listrights(
    session: Session, name: Annotated[str, mailbox], identifier: Annotated[bytes, astring]
) -> None:
    """
    What somebody may be given: nothing but what they have.

    RFC 4314 section 3.4.
    """
    found = {who.encode("utf-8"): rights for who, rights in await session.account.access(name)}
    words = (
        session.naming.written(name),
        writer.astring(identifier),
        letters(found.get(identifier, ())),
    )
    session.untagged(b"LISTRIGHTS %b %b %b" % words)


@extension.command(b"SETACL", State.LOGGED_IN)
async def setacl(
    session: Session,
    name: Annotated[str, mailbox],
    _identifier: Annotated[bytes, astring],
    _rights: Annotated[bytes, astring],
) -> None:
    """
    Refused.

    RFC 4314 section 3.1.
    """
    await _refuse(session, name)


@extension.command(b"DELETEACL", State.LOGGED_IN)
async def deleteacl(
    session: Session, name: Annotated[str, mailbox], _identifier: Annotated[bytes, astring]
) -> None:
    """
    Refused.

    RFC 4314 section 3.2.
    """
    await _refuse(session, name)


async def _refuse(session: Session, name: str) -> None:
    """
    To those who may not even see the mailbox, as if it were missing.
    """
    await session.account.access(name)
    raise KeptElsewhere
