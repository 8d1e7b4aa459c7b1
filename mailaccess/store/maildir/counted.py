"""
What an account holds, without a reactor: for commands.
"""

from __future__ import annotations

import os

import attrs

from mailaccess.store.disk import Disk, Tree
from mailaccess.store.maildir import folders, fsck_mend, index, maildirsize, places
from mailaccess.store.maildir.index import Index
from mailaccess.store.maildir.ledger import Ledger
from mailaccess.store.quota import UNLIMITED, Allowance


@attrs.frozen
class Holding:
    """
    What there is.

    @ivar octets: with CRLF line ends; of files, where the record does not know the messages yet
    @ivar defined: the limits that C{maildirsize} has, if there is one
    """

    messages: int
    octets: int
    defined: Allowance | None


def holding(disk: Disk, path: str) -> Holding:
    """
    What the record says, and what was delivered since.

    @raise OSError: it cannot be read
    @raise apsw.Error: the record cannot
    """
    tree = Tree(disk, path)
    tally = maildirsize.read(tree)
    defined = tally.allowance if tally is not None else None
    database = os.path.join(path, index.DIRECTORY, index.FILE)
    if not index.inode_of(database):
        octets, messages = maildirsize.measure(tree)
        return Holding(messages, octets, defined)
    connection = index.connect(database, writer=False)
    try:
        record = Index(connection)
        messages, octets = record.used()
        known = {
            directory for (directory,) in record.run("SELECT directory FROM mailbox WHERE adopted")
        }
    finally:
        connection.close(True)
    wanted = []
    for _, directory in places.directories(tree.disk, tree):
        wanted.append((directory, "new"))
        if directory not in known:
            wanted.append((directory, "cur"))
    more = maildirsize.measure(tree, wanted)
    return Holding(messages + more[1], octets + more[0], defined)


def recount(disk: Disk, path: str, allowance: Allowance | None) -> None:
    """
    Take in all that there is, forget mailboxes that are gone, add it up, and write C{maildirsize}
    if there are limits. The account may be in use.

    @param allowance: None for that of C{maildirsize}
    @raise mailaccess.errors.Refused: it could not be done
    @raise OSError: nor this
    """
    folders.make_root(disk, path)
    tree = Tree(disk, path)
    ledger = Ledger(tree)
    index.prepare(ledger.path)
    ledger.inode = index.inode_of(ledger.path)
    try:
        ledger.recover()
        for _, directory in places.directories(disk, tree):
            fsck_mend.take_in(ledger, directory)
        fsck_mend.done(ledger.run([fsck_mend.MendAccount({"directory", "used"})]))
    finally:
        ledger.close()
    if allowance is None:
        tally = maildirsize.read(tree)
        allowance = tally.allowance if tally is not None else UNLIMITED
    if allowance:
        maildirsize.count(tree, allowance)
