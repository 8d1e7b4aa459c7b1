"""
A disk that keeps only what was synced, for machines where no file system can be cut off.

In the server, each C{fsync} of a file copies its content into a second directory, each C{fsync} of
a directory its names; SQLite's syncs too. After the power cut the mail is what is in there, and
nothing else: much less than any real file system would keep, except that a file that was renamed is
where it was seen last. Programs beside the server call L{Shadow.sync} for what they sync.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import stat
import threading
from pathlib import Path
from typing import Any

import attrs


@attrs.frozen(eq=False)
class Shadow:
    """
    @ivar place: the copies; C{mail}: what is copied
    """

    place: Path
    mail: Path
    _lock: Any = attrs.field(factory=threading.Lock)

    def sync(self, path: str) -> None:
        """
        A file or directory was synced.
        """
        if not f"{path}/".startswith(f"{self.mail}/"):
            return
        with self._lock, contextlib.suppress(FileNotFoundError):
            found = os.stat(path)
            if stat.S_ISDIR(found.st_mode):
                names = {}
                for entry in os.scandir(path):
                    with contextlib.suppress(FileNotFoundError):
                        names[entry.name] = (entry.inode(), entry.is_dir(follow_symlinks=False))
                self._write(f"d{found.st_ino}", json.dumps(names).encode())
            else:
                self._write(f"f{found.st_ino}", Path(path).read_bytes(), found.st_mtime_ns)

    def _write(self, name: str, data: bytes, modified: int = 0) -> None:
        temporary = self.place / f".{name}.{os.getpid()}"
        temporary.write_bytes(data)
        if modified:
            os.utime(temporary, ns=(modified, modified))
        temporary.rename(self.place / name)

    def cut(self) -> None:
        """
        Make the mail what was synced of it.
        """
        top = os.stat(self.mail).st_ino
        fresh = self.mail.with_name(self.mail.name + ".fresh")
        seen: dict[int, tuple[int, Path]] = {}
        self._restore(top, fresh, seen)
        shutil.rmtree(self.mail)
        fresh.rename(self.mail)
        for each in self.place.iterdir():
            each.unlink()
        for folder, _, files in os.walk(self.mail):
            for name in (".", *files):
                self.sync(os.path.join(folder, name) if name != "." else folder)

    def _restore(self, inode: int, target: Path, seen: dict[int, tuple[int, Path]]) -> None:
        # Breadth does not matter; a Maildir is three levels deep.
        waiting = [(inode, target)]
        while waiting:
            number, path = waiting.pop()
            path.mkdir()
            names = self.place / f"d{number}"
            if not names.exists():
                continue
            when = names.stat().st_mtime_ns
            for name, (child, is_directory) in json.loads(names.read_bytes()).items():
                if is_directory:
                    waiting.append((child, path / name))
                    continue
                before = seen.get(child)
                copy = self.place / f"f{child}"
                if before is not None and not self._linked(before[1], path / name):
                    # One file in two directories was renamed: the one synced last is right.
                    if before[0] > when:
                        continue
                    before[1].unlink()
                seen[child] = (when, path / name)
                if copy.exists():
                    shutil.copy2(copy, path / name)
                else:
                    (path / name).touch()

    @staticmethod
    def _linked(one: Path, other: Path) -> bool:
        # Copies are links with other bases; a rename within the mail keeps the base or the mailbox.
        return one.name.partition(":")[0] != other.name.partition(":")[0]


def install(place: Path, mail: Path) -> None:
    """
    From here on, what this process syncs is copied.
    """
    import apsw

    shadow = Shadow(place, mail)
    real = os.fsync

    def fsync(descriptor: int) -> None:
        real(descriptor)
        shadow.sync(os.readlink(f"/proc/self/fd/{descriptor}"))

    os.fsync = fsync

    class File(apsw.VFSFile):  # type: ignore[misc]
        def __init__(self, name: Any, flags: list[int]) -> None:
            self.path = name.filename() if isinstance(name, apsw.URIFilename) else name
            super().__init__("", name, flags)

        def xSync(self, flags: int) -> None:
            super().xSync(flags)
            if self.path:
                shadow.sync(self.path)
                shadow.sync(os.path.dirname(self.path))

    class Files(apsw.VFS):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__("shadow", "", makedefault=True)

        def xOpen(self, name: Any, flags: list[int]) -> File:
            return File(name, flags)

        def xDelete(self, name: str, sync: bool) -> None:
            super().xDelete(name, sync)
            if sync:
                shadow.sync(os.path.dirname(name))

    install.kept = Files()  # type: ignore[attr-defined]
