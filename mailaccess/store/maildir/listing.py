"""
The names of all mailboxes of an account, with what LIST says of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from mailaccess.interfaces import MailboxInfo
from mailaccess.store import names
from mailaccess.store.disk import Tree
from mailaccess.store.maildir import given, places
from mailaccess.store.uses import uses_of

if TYPE_CHECKING:
    from mailaccess.store.maildir.account import MaildirAccount


async def mailboxes(account: MaildirAccount) -> Sequence[MailboxInfo]:
    """
    All names, C{INBOX} first.
    """
    subscribed = set(await account.subscriptions())
    real, marked = await account.in_thread(_look, account.tree)
    uses = uses_of(sorted(real), marked, account.options.folders)
    parents: set[str] = set()
    for name in real:
        above = name.rpartition(names.DELIMITER)[0]
        # Of a name whose parent is known, all above it are.
        while above and above not in parents:
            parents.add(above)
            above = above.rpartition(names.DELIMITER)[0]
    listed = sorted((real | parents) - {names.INBOX})
    return [
        MailboxInfo(
            name,
            selectable=name in real,
            has_children=name in parents,
            subscribed=name in subscribed,
            special_use=" ".join(uses.get(name, ())),
        )
        for name in [names.INBOX, *listed]
    ]


def _look(tree: Tree) -> tuple[set[str], dict[str, tuple[str, ...]]]:
    found = {name for name, _ in places.directories(tree.disk, tree)}
    return found, given.by_name(given.load(tree))
