"""
As whom root works on a Maildir.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator


@contextlib.contextmanager
def as_owner(path: str) -> Iterator[None]:
    """
    Root does it as whom the Maildir belongs to: else the server could not write what is made here.
    """
    try:
        found = os.stat(path)
    except OSError:
        # Whoever opens it says so.
        yield
        return
    if os.geteuid() != 0 or not found.st_uid:
        yield
        return
    group, groups = os.getegid(), os.getgroups()
    # Root's own groups may read what the owner may not. Some containers allow no change of them.
    with contextlib.suppress(PermissionError):
        os.setgroups([])
    os.setegid(found.st_gid)
    os.seteuid(found.st_uid)
    try:
        yield
    finally:
        os.seteuid(0)
        os.setegid(group)
        with contextlib.suppress(PermissionError):
            os.setgroups(groups)
