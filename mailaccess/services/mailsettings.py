"""
The tables of the configuration that say what is in accounts: C{[[quota]]} and C{[folders]}.
"""

from __future__ import annotations

import attrs

from mailaccess.store.uses import SiteFolders

from .kinds import Number, Size, Switch, Text, Words
from .options import option


@attrs.frozen(kw_only=True)
class QuotaSettings:
    """
    How much mail somebody may have. The first table that is for somebody counts, for those whose
    own record says nothing (`quota`). Who is in none may have as much as the disk holds, or as
    `maildirsize` in their Maildir says.
    """

    users: tuple[str, ...] = option(
        Words(what="array of names or patterns"), [], "names; `*`, `?` and `[...]` as in a shell"
    )
    groups: tuple[str, ...] = option(
        Words(what="array of names"),
        [],
        "members of groups, as `groups` of their records names them; everybody, if there are"
        " neither users nor groups",
    )
    storage: int = option(Size(0, 2**62), 0, "all messages together; 0 for no limit")
    messages: int = option(Number(0), 0, "how many messages; 0 for no limit")
    source: str = "default"


USES = ("drafts", "sent", "trash", "junk", "archive")


@attrs.frozen(kw_only=True)
class FolderSettings:
    """
    Folders that have a use which clients ask for (RFC 6154). A mailbox of such a name, or of one of
    the usual names, has that use, until the user gives it to another one.
    """

    drafts: str = option(Text(what="name"), "Drafts", "messages that are being written")
    sent: str = option(Text(what="name"), "Sent", "copies of messages that were sent")
    trash: str = option(Text(what="name"), "Trash", "messages that were deleted")
    junk: str = option(Text(what="name"), "Junk", "messages that nobody wants")
    archive: str = option(Text(what="name"), "Archive", "messages that are done with")
    create: tuple[str, ...] = option(
        Words(USES),
        [],
        "those that are made when somebody uses IMAP for the first time, unless they have a mailbox"
        " for it; once only, so that those who delete one are rid of it",
    )
    subscribe: bool = option(Switch(), True, "subscribe users to what is made")

    @property
    def site(self) -> SiteFolders:
        """
        The same for the store.
        """
        words = {each: f"\\{each.capitalize()}" for each in USES}
        return SiteFolders(
            {words[each]: getattr(self, each) for each in USES},
            tuple(words[each] for each in USES if each in self.create),
            self.subscribe,
        )
