"""
The lock of RFC 1939 section 4, for one POP3 session at a time, in all processes.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable

from mailaccess.errors import InUse
from mailaccess.store.disk import Tree, refusal
from mailaccess.store.maildir import index


def lock(tree: Tree) -> Callable[[], None]:
    """
    Take it; returns what lets go.

    @raise InUse: another session has it
    """
    try:
        with tree.open(index.DIRECTORY) as at:
            descriptor = tree.disk.extend("maildrop.lock", at)
    except OSError as error:
        raise refusal(error, "maildrop lock") from error
    try:
        # Of an open file, not of a process: another session of ours is kept out too, and the
        # kernel lets go when a process dies.
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(descriptor)
        raise InUse(detail=str(error)) from error
    held = [descriptor]

    def release() -> None:
        if held:
            os.close(held.pop())

    return release
