"""
LIST with CHILDREN and SPECIAL-USE: RFC 3501 section 6.3.8, RFC 3348, RFC 6154.

Of the extended form (RFC 5258 section 3) there is what SPECIAL-USE needs: several patterns, the
selection option SPECIAL-USE, and the return options SPECIAL-USE and CHILDREN, which ask for what is
told anyway.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import attrs

from ....errors import BadSyntax
from ....interfaces import MailboxInfo
from ....wire.cursor import Cursor
from ....wire.grammar.atoms import atom, parenthesised
from ....wire.grammar.names import list_mailbox, reference
from ..mailboxnames import as_listed, listed
from ..registry import Extension, State
from ..session import Session

extension = Extension("CHILDREN", capabilities=(b"CHILDREN", b"SPECIAL-USE"))

MAX_PATTERNS = 20
_MAX_OPTIONS = 20
_SLICE = 16
"""Names between two looks at the clock: the longest and the worst patterns take 1 ms each."""

_SPECIAL_USE = b"SPECIAL-USE"
_SELECTIONS = frozenset({_SPECIAL_USE})
_RETURNS = frozenset({_SPECIAL_USE, b"CHILDREN"})


@attrs.frozen
class Wanted:
    """
    What a LIST asks for.

    @ivar special: only mailboxes that have a special use
    @ivar extended: the command has one of the extended forms
    """

    reference: str
    patterns: Sequence[str]
    special: bool = False
    extended: bool = False


# list = "LIST" [SP list-select-opts] SP mailbox SP mbox-or-pat [SP list-return-opts]
# list-select-opts = "(" [list-select-opt *(SP list-select-opt)] ")"
# mbox-or-pat = list-mailbox / patterns
# patterns = "(" list-mailbox *(SP list-mailbox) ")"
# list-return-opts = "RETURN" SP "(" [return-option *(SP return-option)] ")"
def list_arguments(cursor: Cursor) -> Wanted:
    """
    All arguments of LIST.

    RFC 5258 section 3: an option that is not known is BAD.
    """
    extended = cursor.looking_at(b"(")
    selected: frozenset[bytes] = frozenset()
    if extended:
        selected = _options(cursor, _SELECTIONS)
        cursor.space()
    before = reference(cursor)
    cursor.space()
    if cursor.looking_at(b"("):
        extended = True
        patterns = parenthesised(cursor, list_mailbox, MAX_PATTERNS)
    else:
        patterns = [list_mailbox(cursor)]
    if not cursor.at_end():
        extended = True
        cursor.space()
        cursor.expect(b"RETURN")
        cursor.space()
        _options(cursor, _RETURNS)
    return Wanted(before, patterns, _SPECIAL_USE in selected, extended)


def _options(cursor: Cursor, known: frozenset[bytes]) -> frozenset[bytes]:
    start = cursor.pos
    found = {each.upper() for each in parenthesised(cursor, atom, _MAX_OPTIONS, empty=True)}
    if not found <= known:
        raise BadSyntax("options that are supported", start)
    return frozenset(found)


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
async def list_(session: Session, wanted: Annotated[Wanted, list_arguments]) -> None:
    """
    Mailboxes whose name follows a pattern. No pattern asks for the hierarchy delimiter, but not in
    the extended forms.

    RFC 3501 section 6.3.8, RFC 5258 section 3, RFC 6154 section 2.
    """
    naming = session.naming
    if not wanted.extended and not wanted.patterns[0]:
        session.untagged(listed(b"LIST", [b"\\Noselect"], "", naming))
        return
    patterns = [naming.pattern(wanted.reference, each) for each in wanted.patterns if each]
    slice_ = max(1, _SLICE // max(1, len(patterns)))
    found = as_listed(await session.account.mailboxes(), naming)
    for count, (name, each) in enumerate(found, 1):
        chosen = each.special_use or not wanted.special
        if chosen and any(pattern.matches(name) for pattern in patterns):
            session.untagged(listed(b"LIST", attributes(each), name, naming))
        if not count % slice_:
            await session.pace()
