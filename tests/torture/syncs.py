"""
SQLite's own files, with somebody who is told of each sync, and who may make it fail.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import apsw

from mailaccess.store.maildir.checksums import CHECKSUMS

_BASE = "unix"


def watch_sqlite(
    before: Callable[[str], None],
    after: Callable[[str, bytes | None], None],
    writing: Callable[[str], None] = lambda _: None,
) -> apsw.VFS:
    """
    Call with the path before and after each sync of a file or directory by SQLite, after it also
    with the content: whoever opened the file to read it would lose SQLite's locks by closing it.
    What C{before} and C{writing}, which is called before each write, raise is what SQLite is told.
    It holds for connections made while the result is kept and not unregistered; databases made so
    have no checksums.
    """

    class File(apsw.VFSFile):  # type: ignore[misc]
        def __init__(self, name: Any, flags: list[int]) -> None:
            self.path = name.filename() if isinstance(name, apsw.URIFilename) else name
            super().__init__(_BASE, name, flags)

        def xSync(self, flags: int) -> None:
            before(self.path or "")
            super().xSync(flags)
            if self.path:
                after(self.path, super().xRead(super().xFileSize(), 0))
                # The first sync of a new file is one of its directory too.
                after(os.path.dirname(self.path), None)

        def xWrite(self, data: bytes, offset: int) -> None:
            writing(self.path or "")
            super().xWrite(data, offset)

    class Files(apsw.VFS):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__("watched", _BASE, makedefault=True)
            self.checked, CHECKSUMS.vfs = CHECKSUMS.vfs, ""

        def unregister(self) -> None:
            CHECKSUMS.vfs = self.checked
            super().unregister()

        def xOpen(self, name: Any, flags: list[int]) -> File:
            return File(name, flags)

        def xDelete(self, name: str, sync: bool) -> None:
            super().xDelete(name, sync)
            if sync:
                after(os.path.dirname(name), None)

    return Files()
