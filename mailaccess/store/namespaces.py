"""
Accounts whose mailboxes are not all the user's own: some names lead into namespaces that many share
(RFC 2342), each one Maildir with rights.

    accounts = NamespaceAccounts(maildirs, [Namespace("Public/", "/srv/public", rights)])

All sessions share a namespace's one account, so that they see each other's changes as those of one
user do. Its own C{INBOX} is no mailbox here. Subscriptions, and what a user has seen, are kept in
the user's own account.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import Any

from zope.interface import implementer

from mailaccess.errors import BadMailboxName
from mailaccess.interfaces import (
    IAccount,
    IAccounts,
    Identity,
    IMovesMessages,
    MailboxInfo,
    Status,
)
from mailaccess.policy.rules import Person
from mailaccess.store.accounts import MaildirAccounts
from mailaccess.store.branch import Branch, Namespace
from mailaccess.store.maildir.account import MaildirAccount
from mailaccess.store.maildir.mailbox import MaildirMailbox
from mailaccess.store.maildir.routed import RoutedMailbox
from mailaccess.store.quota import Quota
from mailaccess.store.rights import ALL, ISharesMailboxes
from mailaccess.store.uses import UnknownUse


class OtherNamespace(BadMailboxName):
    """
    A mailbox cannot be renamed into another namespace.
    """

    public = "Not from one namespace into another"


@implementer(IAccount, ISharesMailboxes)
class CompoundAccount:
    """
    One session's account: the user's own, and beside it the namespaces.

    A name leads to one of them, or to the user's own. A mailbox of the user's own whose name leads
    into a namespace is not seen.
    """

    def __init__(self, personal: MaildirAccount, branches: Sequence[Branch]) -> None:
        self.personal = personal
        self.branches = branches
        self.name = personal.name
        # Not those that say nothing here of whose mailbox is meant.
        passed_on = [each for each in personal.powers if _is_known(each)]
        self.powers: Collection[Any] = (*passed_on, ISharesMailboxes)
        self.shared = tuple(each.prefix for each in branches)

    def _branch(self, name: str) -> Branch | None:
        for each in self.branches:
            if name.startswith(each.prefix) or name == each.space.top:
                return each
        return None

    def is_own(self, name: str) -> bool:
        """
        Whether a mailbox is one of the user's own account.
        """
        return self._branch(name) is None

    async def mailboxes(self) -> Sequence[MailboxInfo]:
        """
        The user's own first, then those of the namespaces.
        """
        own = await self.personal.mailboxes()
        found = [each for each in own if self.is_own(each.name)]
        subscribed = frozenset(await self.personal.subscriptions())
        for branch in self.branches:
            found += await branch.mailboxes(subscribed)
        return found

    async def subscriptions(self) -> Sequence[str]:
        """
        All of them are the user's own.
        """
        return await self.personal.subscriptions()

    async def subscribe(self, name: str) -> None:
        """
        Durable.
        """
        await self.personal.subscribe(name)

    async def unsubscribe(self, name: str) -> None:
        """
        Durable.
        """
        await self.personal.unsubscribe(name)

    async def create(self, name: str) -> None:
        """
        Where its name leads.
        """
        await (self._branch(name) or self.personal).create(name)

    async def create_for(self, name: str, uses: Collection[str]) -> None:
        """
        Only the user's own mailboxes have uses, which are theirs alone (RFC 6154 section 2).

        @raise UnknownUse: it would be another
        """
        if not self.is_own(name):
            raise UnknownUse
        await self.personal.create_for(name, uses)

    async def delete(self, name: str) -> None:
        """
        Where its name leads.
        """
        await (self._branch(name) or self.personal).delete(name)

    async def rename(self, old: str, new: str) -> None:
        """
        Within one account.

        @raise OtherNamespace: not
        """
        branch = self._branch(old)
        if branch is not self._branch(new):
            raise OtherNamespace
        await (branch or self.personal).rename(old, new)

    async def status(self, name: str) -> Status:
        """
        Counts.
        """
        return await (self._branch(name) or self.personal).status(name)

    async def select(self, name: str, read_only: bool = False) -> MaildirMailbox:
        """
        A session's view of a mailbox.
        """
        branch = self._branch(name)
        if branch is not None:
            return await branch.select(name, read_only, self)
        return RoutedMailbox(await self.personal.opened(name), read_only, self)

    async def upload(self, name: str) -> Any:
        """
        An upload into a mailbox.
        """
        return await (self._branch(name) or self.personal).upload(name)

    async def quota(self, name: str) -> Quota | None:
        """
        What the user's own account holds; what many share is in nobody's quota.
        """
        return await self.personal.quota(name) if self.is_own(name) else None

    def quota_now(self, name: str) -> Quota | None:
        """
        The same at once.
        """
        return self.personal.quota_now(name) if self.is_own(name) else None

    async def rights(self, name: str) -> Collection[str]:
        """
        What the user may do in a mailbox.
        """
        branch = self._branch(name)
        if branch is None:
            await self.personal.box(name)
            return ALL
        return await branch.some_rights(name)

    async def access(self, name: str) -> Sequence[tuple[str, Collection[str]]]:
        """
        Who may do what in a mailbox.
        """
        branch = self._branch(name)
        if branch is None:
            await self.personal.box(name)
            return [(self.name, ALL)]
        return await branch.access(name)

    async def lock_maildrop(self) -> Callable[[], None]:
        """
        Of the user's own C{INBOX}.
        """
        return await self.personal.lock_maildrop()

    def release(self) -> None:
        """
        The session is over.
        """
        for each in self.branches:
            each.release()
        self.personal.release()


def _is_known(power: Any) -> bool:
    """
    Whether a power is one of mailboxes, or one that L{CompoundAccount} leads to where it belongs.
    """
    return power is IMovesMessages or all(hasattr(CompoundAccount, each) for each in power)


@implementer(IAccounts)
class NamespaceAccounts:
    """
    Accounts with namespaces beside the users' own mailboxes.
    """

    def __init__(self, personal: MaildirAccounts, spaces: Sequence[Namespace]) -> None:
        self.personal = personal
        self.spaces = spaces

    async def account(self, identity: Identity) -> CompoundAccount:
        """
        The user's account, for one session.
        """
        own = await self.personal.account(identity)
        person = Person(identity.name, identity.fields, identity.source)
        branches = [Branch(each, person, own, self.personal) for each in self.spaces]
        return CompoundAccount(own, branches)

    def stop(self) -> None:
        """
        As L{MaildirAccounts.stop}.
        """
        self.personal.stop()
