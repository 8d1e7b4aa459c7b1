"""
LIST with CHILDREN and special-use attributes: RFC 3501 section 6.3.8, RFC 3348, RFC 6154.
"""

from __future__ import annotations

from typing import Annotated

from ....interfaces import MailboxInfo
from ....wire.grammar.names import list_mailbox, mailbox
from ....wire.pattern import ListPattern
from ..mailboxnames import DELIMITER, listed
from ..registry import Extension, State
from ..session import Session

extension = Extension("CHILDREN", capabilities=(b"CHILDREN",))

_SLICE = 16
"""Names between two looks at the clock: the longest and the worst patterns take 1 ms each."""


def attributes(mailbox: MailboxInfo) -> list[bytes]:
    """
    What is said of a mailbox in LIST.

    RFC 3348 section 3 says whether there are children; RFC 6154 section 2 what it is for.
    """
    words = [] if mailbox.selectable else [b"\\Noselect"]
    words.append(b"\\HasChildren" if mailbox.has_children else b"\\HasNoChildren")
    if mailbox.special_use:
        words.append(mailbox.special_use.encode("ascii"))
    return words


@extension.command(b"LIST", State.LOGGED_IN)
async def list_(
    session: Session,
    reference: Annotated[str, mailbox],
    pattern: Annotated[str, list_mailbox],
) -> None:
    """
    Mailboxes whose name follows a pattern. No pattern asks for the hierarchy delimiter.

    RFC 3501 section 6.3.8.
    """
    if not pattern:
        session.untagged(listed(b"LIST", [b"\\Noselect"], ""))
        return
    wanted = ListPattern(reference, pattern, DELIMITER)
    for count, each in enumerate(await session.account.mailboxes(), 1):
        if wanted.matches(each.name):
            session.untagged(listed(b"LIST", attributes(each), each.name))
        if not count % _SLICE:
            await session.pace()
