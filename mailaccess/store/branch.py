"""
A namespace that many share, and one user's part in it: what its account does, within the user's
rights.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

import attrs
from twisted.internet.task import deferLater

from mailaccess.errors import BadMailboxName, NoSuchMailbox, NotPermitted, StoreFailed
from mailaccess.interfaces import MailboxInfo, Status
from mailaccess.policy.rules import Person
from mailaccess.store.accounts import MaildirAccounts
from mailaccess.store.maildir.account import MaildirAccount
from mailaccess.store.maildir.public import PublicMailbox, PublicUpload
from mailaccess.store.maildir.routed import Routes
from mailaccess.store.maildir.seen import MarkSeen, SeenByUser, file_of, load, rows_in
from mailaccess.store.names import DELIMITER, INBOX, parents_of
from mailaccess.store.rights import NO_GRANTS, Contents, Grants, Rights
from mailaccess.store.rightsfile import GivesRights

_ANY = frozenset("lrikxa")
"""With none of these a mailbox is none (RFC 4314 section 4, MYRIGHTS)."""

_SLICE = 500


@attrs.frozen(eq=False)
class Namespace:
    """
    A namespace that many share.

    @ivar prefix: one level of hierarchy and the delimiter: C{Public/}
    @ivar path: the Maildir
    """

    prefix: str
    path: str
    rights: GivesRights

    @property
    def top(self) -> str:
        """
        The prefix as a name.
        """
        return self.prefix.removesuffix(DELIMITER)


@attrs.define(eq=False)
class Branch:
    """
    One user's part in a namespace, in one session. The account behind it is opened when first
    needed.

    @ivar personal: the user's own account
    """

    space: Namespace
    person: Person
    personal: MaildirAccount
    accounts: MaildirAccounts
    _account: MaildirAccount | None = attrs.field(default=None, init=False)
    _over: bool = attrs.field(default=False, init=False)
    _read: Contents | None = attrs.field(default=None, init=False)
    _grants: Grants = attrs.field(default=NO_GRANTS, init=False)

    @property
    def prefix(self) -> str:
        """
        Of its names.
        """
        return self.space.prefix

    async def account(self) -> MaildirAccount:
        """
        The account, opened; again if its record had to be made anew.
        """
        if self._account is None or self._account.dead:
            # No user's name has a capital.
            opened = await self.accounts.account_at(f"Namespace {self.prefix}", self.space.path)
            self._let_go()
            self._account = opened
            if self._over:
                self._let_go()
                raise StoreFailed(detail="the session is over")
        return self._account

    def _let_go(self) -> None:
        if self._account is not None:
            account, self._account = self._account, None
            account.release()

    def release(self) -> None:
        """
        The session is over.
        """
        self._over = True
        self._let_go()

    # ---- rights --------------------------------------------------------------------------------

    def _of(self, contents: Contents, name: str) -> Rights:
        if contents is not self._read:
            self._read = contents
            self._grants = contents.grants(self.person.name, self.person.groups)
        return self._grants.of(name)

    def rights_now(self, name: str) -> Rights:
        """
        As last read.
        """
        return self._of(self.space.rights.now(), name)

    async def rights(self, name: str) -> Rights:
        """
        As they are.
        """
        return self._of(await self.space.rights.current(), name)

    def inside(self, name: str) -> str:
        """
        The name within the account.

        @raise NoSuchMailbox: it is the namespace itself or its account's C{INBOX}
        """
        inside = name.removeprefix(self.prefix)
        if name == self.space.top or not inside or inside.upper() == INBOX:
            raise NoSuchMailbox
        return inside

    async def permit(self, name: str, letters: str) -> str:
        """
        The name within the account, if all of these rights are there.

        @raise NoSuchMailbox: the mailbox may not even be seen (PATH-06)
        @raise NotPermitted: it may be seen
        """
        inside = self.inside(name)
        rights = await self.rights(name)
        if not rights.issuperset(letters):
            raise NotPermitted if "l" in rights else NoSuchMailbox
        return inside

    async def some_rights(self, name: str) -> Rights:
        """
        The rights in a mailbox, or in the namespace itself.

        @raise NoSuchMailbox: it is missing, or there are none
        """
        rights = await self.rights(name)
        if not rights & _ANY:
            raise NoSuchMailbox
        if name != self.space.top:
            await (await self.account()).box(self.inside(name))
        return rights

    async def access(self, name: str) -> Sequence[tuple[str, Rights]]:
        """
        Who has which rights in a mailbox; takes the right to administer.
        """
        rights = await self.some_rights(name)
        if "a" not in rights:
            raise NotPermitted if "l" in rights else NoSuchMailbox
        return self.space.rights.now().access(name)

    # ---- what an account does ------------------------------------------------------------------

    async def mailboxes(self, subscribed: Collection[str]) -> list[MailboxInfo]:
        """
        Those that may be seen, and the names above them.
        """
        await self.rights(self.space.top)
        if self._grants is NO_GRANTS:
            return []
        account = await self.account()
        seen = set()
        for count, each in enumerate(await account.mailboxes(), 1):
            name = self.prefix + each.name
            if each.selectable and each.name != INBOX and "l" in self.rights_now(name):
                seen.add(name)
            if not count % _SLICE:
                await deferLater(account.reactor, 0)
        parents = {parent for name in seen for parent in parents_of(name)}
        return [
            MailboxInfo(
                name,
                selectable=name in seen,
                has_children=name in parents,
                subscribed=name in subscribed,
            )
            for name in sorted(seen | parents)
        ]

    async def create(self, name: str) -> None:
        """
        With the parents it needs; takes the right to create in the parent of each.
        """
        if name == self.space.top or name.removeprefix(self.prefix).upper() == INBOX:
            raise BadMailboxName
        await self._may_come(name)
        await (await self.account()).create(self.inside(name))

    async def _may_come(self, name: str) -> None:
        account = await self.account()
        there = {self.prefix + each.name for each in await account.mailboxes() if each.selectable}
        for each in [*parents_of(name), name]:
            if each != self.space.top and (each not in there or each == name):
                above = each.rpartition(DELIMITER)[0]
                if "k" not in await self.rights(above):
                    raise NotPermitted

    async def delete(self, name: str) -> None:
        """
        Takes the right to.
        """
        inside = await self.permit(name, "x")
        await (await self.account()).delete(inside)

    async def rename(self, old: str, new: str) -> None:
        """
        Takes the right to delete the mailbox and all below it, and to create the new ones. Rights
        are those of names: nobody learns to read what they could not.
        """
        inside = await self.permit(old, "x")
        account = await self.account()
        below = f"{inside}{DELIMITER}"
        for each in await account.mailboxes():
            if each.selectable and (each.name == inside or each.name.startswith(below)):
                name = self.prefix + each.name
                rights, later = await self.rights(name), self.rights_now(new + name[len(old) :])
                if "x" not in rights or ("r" in later and "r" not in rights):
                    raise NotPermitted
        if new == self.space.top or new.removeprefix(self.prefix).upper() == INBOX:
            raise BadMailboxName
        await self._may_come(new)
        await account.rename(inside, self.inside(new))

    async def status(self, name: str) -> Status:
        """
        Counts, with what this user has not seen.
        """
        inside = await self.permit(name, "r")
        account = await self.account()
        counts = await account.status(inside)
        shared = await account.opened(inside)
        if not shared.views:
            self.accounts.cooled(shared)
        file = file_of(self.prefix, shared.box.uid_validity)
        ranges = await account.in_thread(load, self.personal.tree, file)
        uids = shared.columns.rows().uids
        seen = sum(after - first for first, after in rows_in(ranges, uids))
        return attrs.evolve(counts, unseen=max(0, len(uids) - seen))

    async def select(self, name: str, read_only: bool, routes: Routes) -> PublicMailbox:
        """
        A session's view.
        """
        inside = await self.permit(name, "r")
        account = await self.account()
        shared = await account.opened(inside)
        seen = SeenByUser(self.personal.tree, file_of(self.prefix, shared.box.uid_validity))
        seen.take(await account.in_thread(seen.read))
        return PublicMailbox(shared, read_only, routes, self, name, seen)

    async def upload(self, name: str) -> PublicUpload:
        """
        An upload, with the flags that there is a right to set.
        """
        inside = await self.permit(name, "i")
        upload = await (await self.account()).upload(inside)
        return PublicUpload(upload, await self.rights(name), self._mark)

    async def _mark(self, uid_validity: int, uids: Sequence[int]) -> None:
        # If this fails the answer is NO, though the messages are there: what is answered OK is
        # there with all that was asked for (DS-01).
        await self.personal.submit(MarkSeen(file_of(self.prefix, uid_validity), uids, True))
