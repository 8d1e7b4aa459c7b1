"""
When flags are written into file names.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from twisted.internet.defer import Deferred

from mailaccess.store.maildir.flags import Mirror

if TYPE_CHECKING:
    from mailaccess.store.maildir.shared import SharedMailbox


class Mirroring:
    """
    For one mailbox.
    """

    def __init__(self, shared: SharedMailbox) -> None:
        self._shared = shared
        self._due = False

    def soon(self) -> None:
        """
        Have flags written into file names, if that is wanted, soon.
        """
        account = self._shared.account
        if self._due or account.options.mirror == "never":
            return
        self._due = True
        if account.options.mirror == "immediate":
            self._now()
        else:
            account.later(account.options.mirror_delay, self._now)

    def _now(self) -> None:
        self._due = False
        account, mailbox = self._shared.account, self._shared.box.id

        async def run() -> None:
            after = await account.submit(Mirror(mailbox))
            # Other jobs get their turn between the slices.
            while after is not None:
                after = await account.submit(Mirror(mailbox, after))

        Deferred.fromCoroutine(run()).addErrback(account.failed, "mirroring flags")
