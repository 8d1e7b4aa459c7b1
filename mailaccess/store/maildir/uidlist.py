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

Dovecot's and Courier's lists are read where there is none of ours.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping

import attrs

from mailaccess.store.disk import Disk, Tree

FILE = "mailaccess-uidlist"
RESERVE = 1000
"""UIDs reserved at a time."""

_HEADER = "mailaccess-uidlist 1 "
_MOST = 2**32 - 1
_LARGEST = 1 << 30


@attrs.frozen
class UidList:
    """
    What a list says.

    @ivar uids: UID by base
    @ivar ours: it has our own form
    """

    uid_validity: int
    uid_next: int
    uids: Mapping[str, int]
    ours: bool


def load(disk: Disk, at: int) -> UidList | None:
    """
    The list of the mailbox whose directory this is: ours, else Dovecot's, else Courier's, else
    None. Lines that make no sense are passed over.
    """
    for name, parse in (
        (FILE, parse_ours),
        ("dovecot-uidlist", parse_dovecot),
        ("courierimapuiddb", parse_courier),
    ):
        try:
            data = disk.read(name, at, _LARGEST)
        except OSError:
            continue
        found = parse(os.fsdecode(data))
        if found is not None:
            return found
    return None


def parse_ours(text: str) -> UidList | None:
    """
    Our own form. A line without its end is one that a crash cut off.
    """
    lines = text.split("\n")[:-1]
    if not lines or not lines[0].startswith(_HEADER):
        return None
    validity = _number(lines[0][len(_HEADER) :])
    if not validity:
        return None
    uid_next, uids = _pairs(lines[1:])
    return UidList(validity, uid_next, uids, True)


def _pairs(lines: Iterable[str]) -> tuple[int, dict[str, int]]:
    """
    Lines of a UID and a base; a later line for the same UID or the same base is right.
    """
    by_uid: dict[int, str] = {}
    highest = 0
    reserved = 1
    for line in lines:
        first, _, base = line.partition(" ")
        if first == "R":
            reserved = max(reserved, _number(base))
        elif uid := _number(first):
            by_uid[uid] = base
            highest = max(highest, uid)
    uids = {base: uid for uid, base in by_uid.items() if base}
    return max(reserved, highest + 1), uids


def parse_dovecot(text: str) -> UidList | None:
    """
    Dovecot's form: C{3 V1 N2 Gguid}, then C{uid fields :base}; version 1 without letters and colon.
    """
    lines = text.split("\n")
    head = lines[0].split(" ")
    validity = uid_next = 0
    if head[0] == "3":
        for word in head[1:]:
            if word[:1] == "V":
                validity = _number(word[1:])
            elif word[:1] == "N":
                uid_next = _number(word[1:])
        pairs = (
            f"{line.partition(' ')[0]} {line.partition(' :')[2]}" for line in lines[1:] if line
        )
    elif head[0] == "1" and len(head) >= 3:
        validity, uid_next = _number(head[1]), _number(head[2])
        pairs = (line for line in lines[1:] if line)
    else:
        return None
    if not validity:
        return None
    following, uids = _pairs(pairs)
    return UidList(validity, max(uid_next, following), _by_base(uids), False)


def parse_courier(text: str) -> UidList | None:
    """
    Courier's form: C{1 validity next}, then C{uid base}.
    """
    found = parse_dovecot(text)
    return found if text[:2] == "1 " else None


def _by_base(uids: Mapping[str, int]) -> dict[str, int]:
    # Dovecot writes the whole name where the message has not been moved out of new/.
    return {base.partition(":")[0]: uid for base, uid in uids.items()}


def _number(text: str) -> int:
    return int(text) if text.isascii() and text.isdigit() and int(text) <= _MOST else 0


def text_of(uid_validity: int, reserved: int, entries: Iterable[tuple[int, str]]) -> bytes:
    """
    A whole list.
    """
    lines = [f"{_HEADER}{uid_validity}\n", f"R {reserved}\n"]
    lines += [f"{uid} {base}\n" for uid, base in entries]
    return os.fsencode("".join(lines))


def append(tree: Tree, directory: str, lines: str, sync: bool) -> int:
    """
    Add lines, inside the transaction that gives the UIDs. Returns the length of the list.
    """
    with tree.open(directory) as at:
        flags = os.O_WRONLY | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC
        descriptor = os.open(FILE, flags, dir_fd=at)
        try:
            # The empty line ends one that a crash may have cut off.
            tree.disk.write(descriptor, os.fsencode("\n" + lines))
            if sync:
                tree.disk.fsync(descriptor)
            return os.fstat(descriptor).st_size
        finally:
            os.close(descriptor)
