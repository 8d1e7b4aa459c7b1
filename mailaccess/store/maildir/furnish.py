"""
The folders of the site, made once for each account.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mailaccess.errors import Refused
from mailaccess.store import names
from mailaccess.store.maildir import given, places
from mailaccess.store.maildir.folders import Create, Subscribe
from mailaccess.store.maildir.ledger import Job, Ledger
from mailaccess.store.uses import SiteFolders, uses_of

if TYPE_CHECKING:
    from mailaccess.store.maildir.account import MaildirAccount


async def furnish(account: MaildirAccount) -> None:
    """
    See to it that an account has the folders, where that is wanted. What prevents it is logged:
    nothing that somebody asked for fails for it.
    """
    if not account.wants_folders:
        return
    account.wants_folders = False
    site = account.options.folders
    try:
        if not set(site.create) <= set(given.furnished(account.tree)):
            await account.submit(Furnish(site))
    except (OSError, Refused) as error:
        account.log.warn("no folders for {user}: {error}", user=account.name, error=error)


class Furnish(Job):
    """
    Make the folders that the site wants and the account never had. Whoever has a mailbox for a use,
    by whatever name, gets none; whoever deletes one does not get it again.
    """

    def __init__(self, site: SiteFolders) -> None:
        self.site = site
        self._done: list[Job] = []
        self._before: list[str] | None = None

    def apply(self, ledger: Ledger) -> None:
        """
        Inside the transaction, which keeps other processes from doing the same.
        """
        tree = ledger.tree
        before = self._before = given.furnished(tree)
        missing = [each for each in self.site.create if each not in before]
        there = [name for name, _ in places.directories(tree.disk, tree)]
        uses = uses_of(there, given.by_name(given.load(tree)), self.site)
        had = {each for words in uses.values() for each in words}
        taken = {name.casefold() for name in there}
        made = []
        for use in missing:
            name = self.site.names[use]
            if use not in had and name.casefold() not in taken:
                self._do(Create(name, uses=(use,)), ledger)
                made += [*names.parents_of(name), name]
        if made and self.site.subscribe:
            self._do(Subscribe(add=made), ledger)
        given.note_furnished(tree, [*before, *missing])

    def _do(self, job: Job, ledger: Ledger) -> None:
        self._done.append(job)
        job.apply(ledger)

    def undo(self, ledger: Ledger) -> None:
        """
        As it was.
        """
        while self._done:
            self._done.pop().undo(ledger)
        if self._before is not None:
            given.note_furnished(ledger.tree, self._before)
