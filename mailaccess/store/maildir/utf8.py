"""
Mailboxes whose directories are named in UTF-8, as Courier 5 names them and a Dovecot that was told
to: they get the names that Maildir++ has always had, in modified UTF-7.
"""

from __future__ import annotations

import contextlib
import os

from mailaccess.errors import BadMailboxName
from mailaccess.store import names
from mailaccess.store.disk import Tree


def name_of(directory: str) -> str | None:
    """
    The mailbox that a directory is, whichever way it is named; None if it is none.

    @param directory: its name as the system gives it
    """
    found = names.name_of(directory)
    if found is not None or directory[:1] != ".":
        return found
    try:
        text = os.fsencode(directory[1:]).decode("utf-8")
        name = names.DELIMITER.join(text.split("."))
        if names.DELIMITER in text:
            return None
        names.directory_of(name)
    except (UnicodeDecodeError, BadMailboxName):
        return None
    return name


def misnamed(tree: Tree) -> list[tuple[str, str]]:
    """
    Directories of mailboxes that have another name, and the one they should have.
    """
    found = []
    with tree.open() as at:
        for directory in tree.disk.listdir(at):
            if directory.isascii() and ("&" not in directory or directory[0] != "."):
                continue
            name = name_of(directory)
            wanted = names.directory_of(name) if name is not None else directory
            if wanted != directory and _is_mailbox(tree, directory):
                found.append((directory, wanted))
    return sorted(found)


def _is_mailbox(tree: Tree, directory: str) -> bool:
    # Not where it cannot be found out either: what is not renamed stays as it is.
    with contextlib.suppress(OSError), tree.open(directory) as at:
        return tree.disk.exists("cur", at)
    return False


def rename_all(tree: Tree) -> list[tuple[str, str]]:
    """
    Rename them. Returns those that stay as they are, since their names are taken or the system does
    not let us: the other mailboxes are served all the same.
    """
    left = []
    wanted = misnamed(tree)
    if not wanted:
        return []
    with tree.open() as at:
        for old, new in wanted:
            try:
                taken = tree.disk.exists(new, at)
                if not taken:
                    tree.disk.rename(old, new, at, at)
            except OSError:
                taken = True
            if taken:
                left.append((old, new))
        tree.disk.fsync(at)
    return left
