"""
Which directories of a Maildir are mailboxes.
"""

from __future__ import annotations

import errno
import stat

from mailaccess.store import names
from mailaccess.store.disk import Disk, Tree


def directories(disk: Disk, tree: Tree) -> list[tuple[str, str]]:
    """
    All mailboxes: name and directory; C{INBOX} first.
    """
    with tree.open() as at:
        found = [(names.INBOX, "")]
        for directory in sorted(disk.listdir(at)):
            if directory[0] != ".":
                continue
            name = names.name_of(directory)
            if name is not None and is_mailbox(disk, directory, at):
                found.append((name, directory))
    return found


def is_mailbox(disk: Disk, directory: str, at: int) -> bool:
    """
    Whether a directory below the Maildir is a mailbox, and not a symbolic link to one.

    @raise OSError: it cannot be found out, which is never taken for "no" (DS-11)
    """
    try:
        if not stat.S_ISDIR(disk.stat(directory, at).st_mode):
            return False
        disk.stat(f"{directory}/cur", at)
    except OSError as error:
        if error.errno in (errno.ENOENT, errno.ENOTDIR, errno.ELOOP):
            return False
        raise
    return True
