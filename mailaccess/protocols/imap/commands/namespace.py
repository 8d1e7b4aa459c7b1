"""
NAMESPACE: RFC 2342.
"""

from __future__ import annotations

from ....store.rights import ISharesMailboxes
from ....wire import utf7
from ....wire.naming import Naming
from ....wire.writer import string
from ..registry import Extension, State
from ..session import Session

extension = Extension("NAMESPACE", capabilities=(b"NAMESPACE",))


@extension.command(b"NAMESPACE", State.LOGGED_IN)
async def namespace(session: Session) -> None:
    """
    The user's own names, and those that many share, if there are any; there are no other users'.

    RFC 2342 section 5.
    """
    offered = session.store_offers(ISharesMailboxes)
    prefixes = session.account.shared if offered else ()
    naming = session.naming
    shared = b"".join([_described(naming, naming.there(each)) for each in prefixes])
    own = _described(naming, naming.prefix)
    session.untagged(b"NAMESPACE (%b) NIL " % own + (b"(%b)" % shared if shared else b"NIL"))


def _described(naming: Naming, prefix: str) -> bytes:
    return b"(%b %b)" % (string(utf7.encode(prefix)), naming.quoted)
