"""
What mailboxes are for: special-use attributes (RFC 6154), by what a user said or by their names.

A use that was given to a mailbox stays with it under whatever name. Where no mailbox was given a
use, the one whose name says it has it: that of the site's folder, or else a usual one.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from types import MappingProxyType

import attrs
from zope.interface import Interface

from mailaccess.errors import Refused

DRAFTS, SENT, TRASH, JUNK, ARCHIVE = "\\Drafts", "\\Sent", "\\Trash", "\\Junk", "\\Archive"

USUAL: Mapping[str, Sequence[str]] = MappingProxyType(
    {
        DRAFTS: ("drafts",),
        SENT: ("sent", "sent items", "sent messages"),
        TRASH: ("trash", "deleted items", "deleted messages"),
        JUNK: ("junk", "spam", "junk e-mail"),
        ARCHIVE: ("archive", "archives"),
    }
)
"""Names that mail programs give to such folders, in lower case, the likeliest first."""


class UnknownUse(Refused):
    """
    CREATE with a use that no mailbox can have here (RFC 6154 section 5.3).
    """

    code = "USEATTR"
    public = "Special use not supported"


class IGivesUses(Interface):
    """
    Optional power of an L{IAccount<mailaccess.interfaces.IAccount>}, named in its C{powers}:
    CREATE-SPECIAL-USE (RFC 6154 section 3).
    """

    async def create_for(name: str, uses: Collection[str]) -> None:
        """
        Make a mailbox and give it uses, which others lose to it; all or nothing.

        @raise UnknownUse: one of them is unknown here
        """


@attrs.frozen
class SiteFolders:
    """
    A site's folders.

    @ivar names: by use
    @ivar create: uses whose folder users get
    @ivar subscribe: subscribe them to what they get
    """

    names: Mapping[str, str] = MappingProxyType(
        {DRAFTS: "Drafts", SENT: "Sent", TRASH: "Trash", JUNK: "Junk", ARCHIVE: "Archive"}
    )
    create: Sequence[str] = ()
    subscribe: bool = True


DEFAULT = SiteFolders()


def known(uses: Iterable[str]) -> list[str]:
    """
    The uses in their usual spelling and order, each once.

    @raise UnknownUse: one of them is unknown here
    """
    folded = {each.casefold() for each in uses}
    found = [each for each in USUAL if each.casefold() in folded]
    if len(found) < len(folded):
        raise UnknownUse
    return found


def uses_of(
    mailboxes: Iterable[str], given: Mapping[str, Sequence[str]], folders: SiteFolders
) -> dict[str, list[str]]:
    """
    The uses of those mailboxes that have any.

    @param mailboxes: names of all that there are
    @param given: uses by name, as users gave them
    """
    there = list(mailboxes)
    found = {name: list(given[name]) for name in there if given.get(name)}
    taken = {use for uses in found.values() for use in uses}
    ranks = {
        name: (use, rank)
        for use, names in USUAL.items()
        if use not in taken
        for rank, name in enumerate(names, 2)
    }
    own = {name.casefold(): (use, name) for use, name in folders.names.items() if use not in taken}
    best: dict[str, tuple[int, str]] = {}
    for name in there:
        if name in found:
            continue
        folded = name.casefold()
        use, exact = own.get(folded, ("", ""))
        rank = int(name != exact)
        if not use:
            use, rank = ranks.get(folded, ("", 0))
        if use:
            best[use] = min(best.get(use, (rank, name)), (rank, name))
    for use, (_, name) in best.items():
        found.setdefault(name, []).append(use)
    return found
