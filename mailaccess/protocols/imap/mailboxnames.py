"""
Names of mailboxes to be, and how names are listed: RFC 3501 sections 5.1 and 7.2.2.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import attrs

from ...errors import BadMailboxName
from ...interfaces import MailboxInfo
from ...wire.cursor import Cursor
from ...wire.grammar.names import reference
from ...wire.naming import INBOX, Naming
from ...wire.writer import mailbox


def new_mailbox(cursor: Cursor) -> str:
    """
    The name of a mailbox to be made. A delimiter at its end says that children are planned; here
    every mailbox can have them, so it is dropped (RFC 3501 section 6.3.3).

    @raise BadMailboxName: C{#} at the beginning names a namespace that is not here (RFC 3501
        section 5.1.2)
    """
    name = reference(cursor)
    if name.startswith("#"):
        raise BadMailboxName
    return cursor.naming.here(name.removesuffix(cursor.naming.delimiter))


def listed(kind: bytes, attributes: Sequence[bytes], name: str, naming: Naming) -> bytes:
    """
    C{LIST} or C{LSUB} and the rest of the response, for a name as it is on the wire.
    """
    return b"%b (%b) %b %b" % (kind, b" ".join(attributes), naming.quoted, mailbox(name))


def as_listed(
    mailboxes: Sequence[MailboxInfo], naming: Naming
) -> Iterable[tuple[str, MailboxInfo]]:
    """
    Mailboxes with their names on the wire. C{INBOX} is above all others where it is their prefix,
    and what is below it here is below C{INBOX.INBOX} there, which is no mailbox.
    """
    if not naming.prefix:
        names = (each.name for each in mailboxes)
        return zip(names if naming.plain else map(naming.there, names), mailboxes, strict=True)
    return _below_inbox(mailboxes, naming)


def _below_inbox(
    mailboxes: Sequence[MailboxInfo], naming: Naming
) -> Iterator[tuple[str, MailboxInfo]]:
    for each in mailboxes:
        if each.name != INBOX:
            yield naming.there(each.name), each
            continue
        above = any(naming.is_personal(other.name) for other in mailboxes)
        yield INBOX, attrs.evolve(each, has_children=above)
        if each.has_children:
            name = naming.prefix + INBOX
            yield name, MailboxInfo(name, selectable=False, has_children=True)
