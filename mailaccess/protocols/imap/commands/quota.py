"""
QUOTA, where the store has limits: RFC 9208. Limits are set by whoever runs the server, so there is
no SETQUOTA, and QUOTASET is not advertised.

Commands that add messages enter L{warned}: people are told when a limit comes near.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from operator import attrgetter
from typing import Annotated

from ....errors import Refused
from ....store.quota import IKeepsToQuota, Quota
from ....wire import writer
from ....wire.grammar.atoms import astring
from ....wire.grammar.names import mailbox
from ..registry import Extension, State
from ..session import Session

extension = Extension(
    "QUOTA",
    capabilities=(b"QUOTA", b"QUOTA=RES-STORAGE", b"QUOTA=RES-MESSAGE"),
    requires=IKeepsToQuota,
    status_items={
        b"DELETED": attrgetter("deleted"),
        b"DELETED-STORAGE": attrgetter("deleted_size"),
    },
)

INBOX = "INBOX"
_UNIT = 1024


class NoSuchRoot(Refused):
    """
    GETQUOTA of a quota root that is not the user's own: which others there are is not told
    (RFC 9208 section 8).
    """

    code = "NONEXISTENT"
    public = "No such quota root"


# quota-response = "QUOTA" SP quota-root-name SP quota-list
def response(quota: Quota) -> bytes:
    """
    Use and limits; what is not limited is left out.

    RFC 9208 section 4.2.1. STORAGE is in units of 1024 octets, begun ones counted.
    """
    allowed = quota.allowance
    resources = []
    if allowed.octets is not None:
        resources.append(b"STORAGE %d %d" % (_units(quota.octets), _units(allowed.octets)))
    if allowed.messages is not None:
        resources.append(b"MESSAGE %d %d" % (quota.messages, allowed.messages))
    return b"QUOTA %b (%b)" % (_root(quota), b" ".join(resources))


def _units(octets: int) -> int:
    return -(-octets // _UNIT)


def _root(quota: Quota) -> bytes:
    return writer.astring(quota.root.encode("utf-8"))


@extension.command(b"GETQUOTA", State.LOGGED_IN)
async def get_quota(session: Session, root: Annotated[bytes, astring]) -> None:
    """
    Use and limits of a quota root.

    RFC 9208 section 4.1.1.
    """
    quota: Quota | None = await session.account.quota(INBOX)
    if quota is None or quota.root.encode("utf-8") != root:
        raise NoSuchRoot
    session.untagged(response(quota))


@extension.command(b"GETQUOTAROOT", State.LOGGED_IN)
async def get_quota_root(session: Session, name: Annotated[str, mailbox]) -> None:
    """
    The quota root of a mailbox, which need not exist, and its use and limits.

    RFC 9208 section 4.1.2.
    """
    quota: Quota | None = await session.account.quota(name)
    roots = b" " + _root(quota) if quota is not None else b""
    session.untagged(b"QUOTAROOT %b%b" % (session.naming.written(name), roots))
    if quota is not None:
        session.untagged(response(quota))


@asynccontextmanager
async def warned(session: Session, name: str) -> AsyncIterator[None]:
    """
    Around what adds messages to a mailbox: an untagged NO when it was that which made the use so
    great that people are to be warned.

    RFC 9208 section 4.3.1.
    """
    before = _now(session, name)
    yield
    after = _now(session, name) if before is not None else None
    if before is not None and after is not None and after.warns and not before.warns:
        text = b"%d%% of the quota is used" % after.percent
        session.untagged(b"NO [OVERQUOTA] " + text)


def _now(session: Session, name: str) -> Quota | None:
    if IKeepsToQuota not in session.account.powers:
        return None
    quota: Quota | None = session.account.quota_now(name)
    return quota
