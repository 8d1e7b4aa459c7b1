"""
What another server knew of a mailbox: Dovecot's files, else Courier's.
"""

from __future__ import annotations

import os

import attrs

from mailaccess.store.disk import Disk
from mailaccess.store.maildir import courier, dovecot
from mailaccess.store.maildir.uidlist import UidList, is_no_file

LARGEST = 1 << 28
"""Octets of a list; one of two million messages is not as long."""


def load(disk: Disk, at: int, inbox: bool) -> UidList | None:
    """
    The list of UIDs of the mailbox whose directory this is, or None where no server left one.

    @raise OSError: it is there and cannot be read, which is never taken for "none"
    """
    text = _read(disk, dovecot.LIST, at)
    if text is not None:
        return dovecot.parse(text)
    text = _read(disk, courier.LIST, at)
    found = courier.parse(text) if text is not None else None
    sizes = _read(disk, courier.SIZES, at) if inbox else None
    if sizes is not None:
        unique_ids = courier.parse_sizes(sizes)
        if unique_ids:
            return courier.with_unique_ids(found, unique_ids)
    return found


def _read(disk: Disk, name: str, at: int) -> str | None:
    """
    A file; empty if it is longer than any can be, or no file.
    """
    try:
        data = disk.read_short(name, at, LARGEST)
    except FileNotFoundError:
        return None
    except OSError as error:
        if not is_no_file(error):
            raise
        # Not a file at all: what it would say is lost.
        data = None
    return "" if data is None else os.fsdecode(data)


def empty(source: str = "") -> UidList:
    """
    What is known where no server was before.
    """
    return attrs.evolve(UidList(0, 1, {}), source=source)
