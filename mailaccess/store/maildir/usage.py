"""
How much an account holds, by the sums in its record, and how that is kept right with others.

The sums change in the transactions that add and remove messages, so that all processes see the
same. What other programs deliver is in them once a look took it in: L{Usage.look} has all mailboxes
looked at where something changed. Nothing of this happens in accounts without a limit.
"""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING

from twisted.internet.defer import DeferredLock

from mailaccess.errors import NoSuchMailbox, OverQuota
from mailaccess.store import names
from mailaccess.store.disk import Tree
from mailaccess.store.maildir import index, maildirsize, places
from mailaccess.store.maildir.index import Index
from mailaccess.store.quota import UNLIMITED, Allowance, Quota

if TYPE_CHECKING:
    from mailaccess.store.maildir.account import MaildirAccount

ROOT = "User quota"
"""Name of the only quota root; clients show it to people."""

_FEW = 20_000
"""Messages whose sizes are added up at the first look: some milliseconds of a thread."""

_LOOK_AGAIN = 60.0
"""Seconds after which an upload has the mailboxes looked at again."""


class Usage:
    """
    The use of one account.

    @ivar looked: when all mailboxes were looked at, or None
    """

    def __init__(self, account: MaildirAccount) -> None:
        self._account = account
        self._given: Allowance | None = None
        self._file = UNLIMITED
        self._lock = DeferredLock()
        self.looked: float | None = None
        self._lost = False

    @property
    def allowance(self) -> Allowance:
        """
        The limits: those that were given, or else those that C{maildirsize} defines.
        """
        return self._file if self._given is None else self._given

    def give(self, allowance: Allowance | None) -> None:
        """
        Say what the account may hold; None where nobody said anything.
        """
        if allowance != self._given:
            self._given = allowance
            self.looked = None
        self._settle()

    def _settle(self) -> None:
        self._account.ledger.allowance = self.allowance

    def read_definition(self) -> None:
        """
        Learn what limits C{maildirsize} defines; in a thread.
        """
        with contextlib.suppress(OSError):
            tally = maildirsize.read(self._account.tree)
            self._file = tally.allowance if tally is not None else UNLIMITED
        self._settle()

    def look_for_losses(self) -> None:
        """
        Before the record is opened: what stands in its log tells that a process did not end in
        order, or that one is at work. Lines of C{maildirsize} may be lost then, whose messages
        level out while their octets do not. Where it takes little time this is not asked: whoever
        looked at the record since has cleared its log.
        """
        with contextlib.suppress(OSError):
            self._lost = os.stat(f"{self._account.ledger.path}-wal").st_size > 0

    def now(self) -> Quota:
        """
        What is known, at once.
        """
        account = self._account
        with account.reading():
            messages, octets = account.index.used()
        return Quota(ROOT, octets, messages, self.allowance, account.options.quota_warning)

    async def quota(self) -> Quota:
        """
        The same, after a look at what others did.
        """
        if self._given is None:
            await self._account.in_thread(self.read_definition)
        if self.allowance:
            await self.look()
        return self.now()

    async def before_upload(self) -> None:
        """
        See to it that what is known is not much out of date.
        """
        if not self.allowance:
            return
        if self.looked is None or self._account.seconds() - self.looked >= _LOOK_AGAIN:
            await self.look()

    def need_room(self, octets: int, messages: int) -> None:
        """
        Refuse what cannot fit, before it is sent.

        @raise OverQuota: it would be more than is allowed
        """
        if self.allowance:
            used = self.now()
            if not self.allowance.fits(used.octets + octets, used.messages + messages):
                raise OverQuota("Quota exceeded", detail=f"{octets} octets, {messages} messages")

    async def look(self) -> None:
        """
        Take in what others did in any mailbox, and have C{maildirsize} say what there is.
        """
        start = self._account.seconds()
        await self._lock.acquire()
        try:
            if self.looked is None or self.looked < start:
                await self._look()
                self.looked = start
        finally:
            self._lock.release()

    async def _look(self) -> None:
        account = self._account
        for name in await account.in_thread(changed, account.tree, account.ledger.path):
            with contextlib.suppress(NoSuchMailbox):
                await account.shared(name)
        with account.reading():
            messages, _ = account.index.used()
        first = self.looked is None
        lost, self._lost = self._lost or (first and messages <= _FEW), False
        await account.in_thread(keep_size, account.tree, self.allowance, messages, lost)


def changed(tree: Tree, path: str) -> list[str]:
    """
    Names of mailboxes in which others changed something since the last look; in a thread.

    @param path: of the database
    """
    connection = index.connect(path, writer=False)
    try:
        rows = (
            Index(connection)
            .run("SELECT directory, new_seen, cur_seen, adopted FROM mailbox")
            .fetchall()
        )
    finally:
        connection.close(True)
    seen = {directory: (new, cur) for directory, new, cur, adopted in rows if adopted}
    found = []
    with tree.open() as at:
        for directory in ["", *tree.disk.listdir(at)]:
            if directory[:1] not in ("", "."):
                continue
            known = seen.get(directory)
            if known is None:
                # Only of those that are new here it has to be found out what they are.
                there = not directory or places.is_mailbox(tree.disk, directory, at)
            else:
                there = known != _times(os.path.join(tree.path, directory))
            name = names.name_of(directory) if there else None
            if name is not None:
                found.append(name)
    return sorted(found)


def _times(top: str) -> tuple[int, int]:
    try:
        return (
            os.stat(f"{top}/new", follow_symlinks=False).st_mtime_ns,
            os.stat(f"{top}/cur", follow_symlinks=False).st_mtime_ns,
        )
    except FileNotFoundError:
        return 0, 0


def keep_size(tree: Tree, allowance: Allowance, messages: int, lost: bool = False) -> None:
    """
    Have C{maildirsize} say what is true, if the account has limits; in a thread.

    @param messages: how many there are
    @param lost: not everything that came and went may be in it
    """
    if not allowance:
        return
    tally = maildirsize.read(tree)
    wrong = tally is None or maildirsize.has_to_be_counted(tally, allowance, messages)
    with contextlib.suppress(OSError):
        if wrong or (lost and tally is not None and maildirsize.measure(tree)[0] != tally.octets):
            maildirsize.count(tree, allowance)
