"""
Names of mailboxes to be, and how names are listed: RFC 3501 sections 5.1 and 7.2.2.
"""

from __future__ import annotations

from collections.abc import Sequence

from ...errors import BadMailboxName
from ...wire import writer
from ...wire.cursor import Cursor
from ...wire.grammar.names import mailbox

DELIMITER = "/"


def new_mailbox(cursor: Cursor) -> str:
    """
    The name of a mailbox to be made. A delimiter at its end says that children are planned; here
    every mailbox can have them, so it is dropped (RFC 3501 section 6.3.3).

    @raise BadMailboxName: C{#} at the beginning names a namespace that is not here (RFC 3501
        section 5.1.2)
    """
    name = mailbox(cursor)
    if name.startswith("#"):
        raise BadMailboxName
    if not name.endswith(DELIMITER):
        return name
    name = name[: -len(DELIMITER)]
    return "INBOX" if name.upper() == "INBOX" and name.isascii() else name


def listed(kind: bytes, attributes: Sequence[bytes], name: str) -> bytes:
    """
    C{LIST} or C{LSUB} and the rest of the response.
    """
    return b'%b (%b) "/" %b' % (kind, b" ".join(attributes), writer.mailbox(name))
