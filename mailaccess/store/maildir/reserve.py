"""
Room that every account keeps for the day the disk is full: it is given up for commands that make
room, so that somebody can log in, mark messages and expunge them (DS-09).
"""

from __future__ import annotations

import contextlib
import os

from mailaccess.store.disk import Tree
from mailaccess.store.maildir import index

FILE = "reserve"
SIZE = 128 * 1024
"""Octets: what SQLite shares between processes, and some pages of its log."""


def _path(tree: Tree) -> str:
    return os.path.join(tree.path, index.DIRECTORY, FILE)


def keep(tree: Tree) -> None:
    """
    Take the room, unless it is taken or there is none.
    """
    path = _path(tree)
    with contextlib.suppress(OSError):
        if os.path.exists(path):
            return
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        descriptor = os.open(path, flags, 0o600)
        try:
            os.posix_fallocate(descriptor, 0, SIZE)
        except OSError:
            os.unlink(path)
        finally:
            os.close(descriptor)


def give_up(tree: Tree) -> bool:
    """
    Let go of the room. Returns whether there was any.
    """
    try:
        os.unlink(_path(tree))
    except OSError:
        return False
    return True


def is_full(tree: Tree) -> bool:
    """
    Whether the disk has no more room left than is kept.
    """
    found = os.statvfs(tree.path)
    return found.f_bavail * found.f_frsize <= SIZE
