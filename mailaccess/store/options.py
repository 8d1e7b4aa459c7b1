"""
What an administrator can choose about the store.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Literal

import attrs

from mailaccess.interfaces import Identity
from mailaccess.store.maildir.uniqueids import Pattern
from mailaccess.store.quota import Allowance
from mailaccess.store.uses import DEFAULT, SiteFolders

Mirror = Literal["immediate", "lazy", "never"]


def _nothing_said(_identity: Identity) -> Allowance | None:
    return None


@attrs.frozen
class StoreOptions:
    """
    @ivar subdirectory: of the home, where the Maildir is; empty if the home itself is one
    @ivar mirror: when flags are written into file names: in the step that stores them, some seconds
        behind, or not at all
    @ivar mirror_delay: seconds that C{lazy} waits
    @ivar message_limit: octets of one message, at most
    @ivar idle_accounts: accounts without a session that stay open
    @ivar open_indexes: accounts whose database is open at one time, in each thread
    @ivar text_limit: octets of what is kept of an account's messages to answer faster, about; it is
        as long as their text
    @ivar unique_ids: how the Dovecot that Maildirs come from made unique-ids for POP3, if not as
        usual
    @ivar poll_interval: seconds between looks where the kernel gives no more watches
    @ivar helpers: processes at a time, at most, that compute what is kept of many messages
    @ivar allowance: what an account may hold; None where nobody said anything, and C{maildirsize}
        counts
    @ivar quota_warning: percent of it from which on people are warned; 0 for never
    @ivar folders: those that have a use
    """

    subdirectory: str = "Maildir"
    mirror: Mirror = "lazy"
    mirror_delay: float = 2.0
    message_limit: int = 128 * 1024 * 1024
    idle_accounts: int = 200
    open_indexes: int = 200
    text_limit: int = 4 * 1024 * 1024 * 1024
    unique_ids: Pattern | None = None
    poll_interval: float = 1.0
    helpers: int = min(4, os.cpu_count() or 1)
    allowance: Callable[[Identity], Allowance | None] = _nothing_said
    quota_warning: int = 90
    folders: SiteFolders = DEFAULT
