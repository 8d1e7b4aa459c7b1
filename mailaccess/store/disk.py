"""
The operating system, as the store uses it: one object that tests can replace.

Directories are opened component by component without following symbolic links, and files by name
below such a directory (PATH-04). What the system refuses becomes a L{Refused} in one place.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from collections.abc import Iterator, Sequence

from mailaccess.errors import OverQuota, Refused, StoreDamaged, StoreFailed

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


def refusal(error: OSError, what: str = "") -> Refused:
    """
    What to tell a client of an error of the system.
    """
    detail = f"{what}: {error}" if what else str(error)
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return OverQuota(detail=detail)
    if error.errno in (errno.ELOOP, errno.ENOTDIR):
        return StoreDamaged(detail=detail)
    return StoreFailed(detail=detail)


class Disk:
    """
    Calls of the system that the store makes. Everything that C{fsync} has returned for is on the
    disk.
    """

    def open_directory(self, name: str, at: int | None = None) -> int:
        """
        A descriptor of a directory.
        """
        return os.open(name, _DIRECTORY, dir_fd=at)

    def read(self, name: str, at: int, limit: int = -1) -> bytes:
        """
        The content of a regular file, its first C{limit} octets if that is not negative.
        """
        descriptor = os.open(name, _FILE, dir_fd=at)
        try:
            found = os.fstat(descriptor)
            if not stat.S_ISREG(found.st_mode):
                raise OSError(errno.ELOOP, "not a regular file", name)
            size = found.st_size
            if limit >= 0:
                size = min(size, limit)
            data = os.read(descriptor, size)
            if len(data) == size:
                return data
            parts = [data]
            left = size - len(data)
            while left and (more := os.read(descriptor, left)):
                parts.append(more)
                left -= len(more)
            return b"".join(parts)
        finally:
            os.close(descriptor)

    def read_short(self, name: str, at: int, most: int) -> bytes | None:
        """
        The content of a regular file, or None if that is more than so many octets.
        """
        found = self.read_dated(name, at, most)
        return None if found is None else found[0]

    def read_dated(self, name: str, at: int, most: int) -> tuple[bytes, int] | None:
        """
        The same, and when it was last written, in seconds.
        """
        descriptor = os.open(name, _FILE, dir_fd=at)
        try:
            found = os.fstat(descriptor)
            if not stat.S_ISREG(found.st_mode):
                raise OSError(errno.ELOOP, "not a regular file", name)
            size = found.st_size
            if size > most:
                return None
            data = os.read(descriptor, size)
            while len(data) < size and (more := os.read(descriptor, size - len(data))):
                data += more
            return data, int(found.st_mtime)
        finally:
            os.close(descriptor)

    def create(self, name: str, at: int) -> int:
        """
        A descriptor of a file that was not there, to write.
        """
        return os.open(name, _NEW, 0o600, dir_fd=at)

    def extend(self, name: str, at: int) -> int:
        """
        A descriptor of a file of ours, to write at its end.
        """
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC
        return os.open(name, flags, 0o600, dir_fd=at)

    def write(self, descriptor: int, data: bytes) -> None:
        """
        All of the octets.
        """
        view = memoryview(data)
        while view:
            view = view[os.write(descriptor, view) :]

    def fsync(self, descriptor: int) -> None:
        """
        Wait until the disk has it.
        """
        os.fsync(descriptor)

    def close(self, descriptor: int) -> None:
        """
        Let go of a descriptor.
        """
        os.close(descriptor)

    def rename(self, old: str, new: str, old_at: int, new_at: int) -> None:
        """
        Move, in place of whatever has the new name.
        """
        os.rename(old, new, src_dir_fd=old_at, dst_dir_fd=new_at)

    def link(self, old: str, new: str, old_at: int, new_at: int) -> None:
        """
        A second name for a file; fails where the new name is taken.
        """
        os.link(old, new, src_dir_fd=old_at, dst_dir_fd=new_at, follow_symlinks=False)

    def unlink(self, name: str, at: int) -> None:
        """
        Remove a name.
        """
        os.unlink(name, dir_fd=at)

    def mkdir(self, name: str, at: int) -> None:
        """
        A directory for nobody but us.
        """
        os.mkdir(name, 0o700, dir_fd=at)

    def stat(self, name: str, at: int) -> os.stat_result:
        """
        What is known of a name, a symbolic link itself included.
        """
        return os.stat(name, dir_fd=at, follow_symlinks=False)

    def listdir(self, at: int) -> Sequence[str]:
        """
        All names in a directory.
        """
        return os.listdir(at)

    def utime(self, name: str, seconds: int, at: int) -> None:
        """
        Set the time of modification.
        """
        os.utime(name, (seconds, seconds), dir_fd=at, follow_symlinks=False)

    def exists(self, name: str, at: int) -> bool:
        """
        Whether something has this name.
        """
        try:
            self.stat(name, at)
        except FileNotFoundError:
            return False
        return True


class Tree:
    """
    A directory and what lies below it.
    """

    def __init__(self, disk: Disk, path: str) -> None:
        self.disk = disk
        self.path = path

    @contextlib.contextmanager
    def open(self, *parts: str) -> Iterator[int]:
        """
        A descriptor of a directory below; empty parts are passed over.
        """
        descriptor = self.descriptor(*parts)
        try:
            yield descriptor
        finally:
            os.close(descriptor)

    def descriptor(self, *parts: str) -> int:
        """
        The same, for the caller to close.
        """
        descriptor = self.disk.open_directory(self.path)
        for part in parts:
            if part:
                try:
                    below = self.disk.open_directory(part, descriptor)
                finally:
                    os.close(descriptor)
                descriptor = below
        return descriptor

    def sync(self, *parts: str) -> None:
        """
        Make the names in a directory durable.
        """
        with self.open(*parts) as descriptor:
            self.disk.fsync(descriptor)

    def replace(self, name: str, data: bytes, *parts: str) -> None:
        """
        Give a small file new content, durably and at once.
        """
        self.put(name, data, *parts)
        self.sync(*parts)

    def put(self, name: str, data: bytes, *parts: str) -> None:
        """
        The same, for a caller that syncs the directory: until then a power cut may bring back what
        was there before, whole.
        """
        with self.open(*parts) as at:
            temporary = f"{name}.{os.getpid()}.{os.urandom(4).hex()}"
            descriptor = self.disk.create(temporary, at)
            try:
                try:
                    self.disk.write(descriptor, data)
                    self.disk.fsync(descriptor)
                finally:
                    os.close(descriptor)
                self.disk.rename(temporary, name, at, at)
            except BaseException:
                with contextlib.suppress(OSError):
                    self.disk.unlink(temporary, at)
                raise
