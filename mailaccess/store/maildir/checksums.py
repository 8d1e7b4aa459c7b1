"""
A checksum in each page of a database, by SQLite's own C{cksumvfs}: a page in which a bit is wrong
is an error, not a wrong answer (DS-05).

The wheels of C{apsw} have it. Without it databases are made without checksums; one that has them is
not opened then, for what is written to it would look like damage to those who verify.
"""

from __future__ import annotations

import contextlib

import apsw

from mailaccess.errors import StoreDamaged

_NAME = "cksmvfs"
_OCTETS = 8


def _load() -> str:
    """
    The name of the VFS; empty if there is none.
    """
    default: str = apsw.vfs_names()[0]
    connection = apsw.Connection(":memory:")
    try:
        with contextlib.suppress(ImportError, AttributeError, apsw.Error):
            from apsw import sqlite_extra

            with contextlib.suppress(sqlite_extra.NotAvailable):
                sqlite_extra.load(connection, "cksumvfs")
                # Only for those who ask for it, in whatever program this runs.
                apsw.set_default_vfs(default)
    finally:
        connection.close(True)
    return _NAME if _NAME in apsw.vfs_names() else ""


class Checksums:
    """
    @ivar vfs: for connections to databases that have checksums; empty for SQLite's default
    """

    def __init__(self) -> None:
        self.vfs = _load()

    def begin(self, connection: apsw.Connection) -> None:
        """
        Have them in a database that is about to be made.
        """
        if self.vfs:
            connection.reserve_bytes("main", _OCTETS)

    def check(self, connection: apsw.Connection) -> None:
        """
        Whether a database that was made before can be written to.

        @raise StoreDamaged: it has checksums, and there is nobody to keep them right
        """
        known = not self.vfs and hasattr(connection, "reserve_bytes")
        if known and connection.reserve_bytes("main") == _OCTETS:
            raise StoreDamaged(detail="index: it has checksums, which this apsw cannot keep")


CHECKSUMS = Checksums()
