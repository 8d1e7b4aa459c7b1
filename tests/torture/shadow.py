"""
A disk that keeps only what was synced, for machines where no file system can be cut off.

In the server, each C{fsync} of a file copies its content into a second directory, each C{fsync} of
a directory its names; SQLite's syncs too. After the power cut the mail is what is in there, and
nothing else: much less than any real file system would keep, except that a file that was renamed is
where it was seen last. Programs beside the server call L{Shadow.sync} for what they sync.
"""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import json
import os
import shutil
import stat
import struct
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import attrs

from tests.torture.syncs import watch_sqlite


@attrs.frozen(eq=False)
class Shadow:
    """
    @ivar place: the copies: a file per inode, and one with what all directories hold, so that it
        changes at once
    @ivar mail: what is copied
    """

    place: Path
    mail: Path
    _lock: Any = attrs.field(factory=threading.Lock)

    def sync(self, path: str, data: bytes | None = None) -> None:
        """
        A file or directory was synced; a file with C{data} in it, if they are given.
        """
        if not f"{path}/".startswith(f"{self.mail}/"):
            return
        with self._alone(), contextlib.suppress(FileNotFoundError):
            found = os.stat(path)
            if stat.S_ISDIR(found.st_mode):
                self._sync_directory(path)
            else:
                data = Path(path).read_bytes() if data is None else data
                self._write(f"f{identity(path)}", data, found.st_mtime_ns)

    @contextlib.contextmanager
    def _alone(self) -> Iterator[None]:
        # Several processes sync, and one of them may be killed at any moment.
        with self._lock, (self.place / "lock").open("w") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield

    def _sync_directory(self, path: str) -> None:
        """
        A rename is seen in both directories or in none: what left this one has arrived, and what
        arrived has left.
        """
        everything = self._load()
        names = _scan(path)
        before = set(map(tuple, everything.get(identity(path), {}).values()))
        moved = before ^ set(names.values())
        for folder, _, _ in os.walk(self.mail) if moved else ():
            with contextlib.suppress(FileNotFoundError):
                known = everything.setdefault(identity(folder), {})
                for name in [name for name, value in known.items() if tuple(value) in moved]:
                    del known[name]
                known.update({n: value for n, value in _scan(folder).items() if value in moved})
        everything[identity(path)] = names
        self._write("names", json.dumps(everything).encode())

    def _load(self) -> dict[str, Any]:
        try:
            found: dict[str, Any] = json.loads((self.place / "names").read_bytes())
        except FileNotFoundError:
            return {}
        return found

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
        fresh = self.mail.with_name(self.mail.name + ".fresh")
        self._restore(identity(self.mail), fresh)
        shutil.rmtree(self.mail)
        fresh.rename(self.mail)
        for each in self.place.iterdir():
            each.unlink()
        for folder, _, files in os.walk(self.mail):
            for name in files:
                self.sync(os.path.join(folder, name))
            self.sync(folder)

    def _restore(self, top: str, target: Path) -> None:
        everything = self._load()
        waiting = [(top, target)]
        while waiting:
            number, path = waiting.pop()
            path.mkdir()
            for name, (child, is_directory) in everything.get(number, {}).items():
                copy = self.place / f"f{child}"
                if is_directory:
                    waiting.append((child, path / name))
                elif copy.exists():
                    shutil.copy2(copy, path / name)
                else:
                    (path / name).touch()


def _scan(path: str) -> dict[str, tuple[str, bool]]:
    """
    By name: which file, and whether it is a directory.
    """
    found = {}
    for entry in os.scandir(path):
        with contextlib.suppress(FileNotFoundError):
            found[entry.name] = (identity(entry.path), entry.is_dir(follow_symlinks=False))
    return found


_libc = ctypes.CDLL(None, use_errno=True)
_HERE, _DO_NOT_FOLLOW, _BIRTH = -100, 0x100, 0x800
_STATX = struct.Struct("@32xQ40xqI")


def identity(path: str | Path) -> str:
    """
    Inode and time of birth: numbers of inodes are used again at once.
    """
    buffer = ctypes.create_string_buffer(256)
    if _libc.statx(_HERE, os.fsencode(path), _DO_NOT_FOLLOW, 0x100 | _BIRTH, buffer):
        raise FileNotFoundError(path)
    return ".".join(map(str, _STATX.unpack_from(buffer)))


def install(place: Path, mail: Path) -> None:
    """
    From here on, what this process syncs is copied.
    """
    shadow = Shadow(place, mail)
    real = os.fsync

    def fsync(descriptor: int) -> None:
        real(descriptor)
        shadow.sync(os.readlink(f"/proc/self/fd/{descriptor}"))

    os.fsync = fsync
    install.kept = watch_sqlite(lambda _: None, shadow.sync)  # type: ignore[attr-defined]
