"""
The list of UIDs of a mailbox: what brings them back when the record is lost.

A file C{mailaccess-uidlist} in the mailbox's directory, so that it goes along when the directory is
renamed or copied. It only grows, by lines written inside the transaction that gives the UIDs::

    mailaccess-uidlist 1 1700000000
    R 1001
    1 1700000000.M1P2.host,S=10,W=11
    2 1700000000.M2P2.host

The lines are not synced on their own: after a power cut the record still has them. What is synced
is the reservation C{R}: no UID from there on has been given yet. A list that lost its end together
with the record therefore never gives a UID twice.

Not C{,U=} in file names: that would rename every file of a mailbox that is taken over, and other
programs would take them for new ones; and a file moved between mailboxes by hand would bring a
wrong UID.

Where there is none of ours, L{mailaccess.store.maildir.before} reads what another server left.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterable, Mapping, Sequence

import attrs

from mailaccess.store.disk import Disk, Tree

FILE = "mailaccess-uidlist"
RESERVE = 1000
"""UIDs reserved at a time."""

_HEADER = "mailaccess-uidlist 1 "
_MOST = 2**32 - 1
_LARGEST = 1 << 30
_CHUNK = 1 << 13
_LONGEST_END = 1 << 22
"""Octets in which lines of one transaction are looked for."""


@attrs.frozen
class UidList:
    """
    What a list says.

    @ivar uid_validity: 0 if it does not say: the mailbox gets a new one
    @ivar uids: UID by base
    @ivar source: who wrote it: C{mailaccess}, C{dovecot}, C{courier}; empty for nobody
    @ivar unique_ids: by UID, what POP3 clients know messages by
    @ivar extensions: by UID, fields of Dovecot's as they stand there
    @ivar header: words of Dovecot's header other than UIDVALIDITY and the next UID
    @ivar doubts: what is wrong with it, for people
    """

    uid_validity: int
    uid_next: int
    uids: Mapping[str, int]
    source: str = "mailaccess"
    unique_ids: Mapping[int, str] = attrs.field(factory=dict)
    extensions: Mapping[int, str] = attrs.field(factory=dict)
    header: str = ""
    doubts: Sequence[str] = ()


def load(disk: Disk, at: int) -> UidList | None:
    """
    Our list of the mailbox whose directory this is, or None. Lines that make no sense are passed
    over.

    @raise OSError: it is there and cannot be read, which is never taken for "none": UIDs would be
        given anew
    """
    try:
        return parse_ours(os.fsdecode(disk.read(FILE, at, _LARGEST)))
    except OSError as error:
        if not is_no_file(error):
            raise
        return None


def is_no_file(error: OSError) -> bool:
    """
    Whether there is no such file, or something else of that name; else it cannot be read now.
    """
    return error.errno in (errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.EISDIR)


def parse_ours(text: str) -> UidList | None:
    """
    Our own form. A line without its end is one that a crash cut off; a later line for the same UID
    or the same base is right, and one without a base takes the UID back.
    """
    lines = text.split("\n")[:-1]
    if not lines or not lines[0].startswith(_HEADER):
        return None
    validity = number(lines[0][len(_HEADER) :])
    if not validity:
        return None
    by_uid: dict[int, str] = {}
    highest = 0
    reserved = 1
    for line in lines[1:]:
        first, _, base = line.partition(" ")
        if first == "R":
            reserved = max(reserved, number(base))
        elif uid := number(first):
            by_uid[uid] = base
            highest = max(highest, uid)
    uids = {base: uid for uid, base in by_uid.items() if base}
    return UidList(validity, max(reserved, highest + 1), uids)


def number(text: str) -> int:
    """
    A UID or UIDVALIDITY in decimal, or 0.
    """
    good = len(text) < 12 and text.isascii() and text.isdigit()
    return int(text) if good and int(text) <= _MOST else 0


def text_of(uid_validity: int, reserved: int, entries: Iterable[tuple[int, str]]) -> bytes:
    """
    A whole list.
    """
    lines = [f"{_HEADER}{uid_validity}\n", f"R {reserved}\n"]
    lines += [f"{uid} {base}\n" for uid, base in entries]
    return os.fsencode("".join(lines))


def append(tree: Tree, directory: str, lines: str, sync: bool, known: int) -> int:
    """
    Add lines, inside the transaction that gives the UIDs. Returns the length of the list.

    Lines that are not synced may be lost, but not before lines that others wrote, who died: those
    may give the same UIDs, and ones that are given later, to files that were never committed. They
    are taken back first.

    @param lines: the first of them with the first UID that is given
    @param known: the length after the last lines that are known to have been committed; if it is
        another, the list is synced
    """
    with tree.open(directory) as at:
        flags = os.O_RDWR | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC
        descriptor = os.open(FILE, flags, dir_fd=at)
        try:
            size = os.fstat(descriptor).st_size
            strange = size != known
            back = _not_committed(descriptor, size, lines) if strange else ""
            # The empty line ends one that a crash may have cut off.
            tree.disk.write(descriptor, os.fsencode(f"\n{back}{lines}"))
            if sync or strange:
                tree.disk.fsync(descriptor)
            return os.fstat(descriptor).st_size
        finally:
            os.close(descriptor)


def _not_committed(descriptor: int, size: int, lines: str) -> str:
    """
    Lines that take back those at the end whose UIDs are only given now.
    """
    first = number(lines.partition(" ")[0])
    found: set[int] = set()
    end, rest = size, b""
    while end and size - end < _LONGEST_END:
        start = max(0, end - _CHUNK)
        before = (os.pread(descriptor, end - start, start) + rest).split(b"\n")
        end, rest = start, before[0][:_CHUNK] if start else b""
        for line in reversed(before[1:] if start else before):
            uid = number(line.partition(b" ")[0].decode("latin-1"))
            if 0 < uid < first:
                end = 0
                break
            if uid:
                found.add(uid)
    return "".join(f"{uid} \n" for uid in sorted(found))
