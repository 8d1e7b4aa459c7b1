"""
Disks that lose what was not synced.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import struct
import subprocess
import time
from pathlib import Path
from typing import Protocol

from tests.torture.shadow import Shadow

_SHUTDOWN = 0x8004587D
_NO_FLUSH = 2
_MEGABYTES = 192
_PATIENCE = 60.0


class Disk(Protocol):
    """
    Where the mail is.

    @ivar mail: the directory
    @ivar shadow: for L{tests.torture.serve.Servers.serve}
    """

    mail: Path
    shadow: tuple[Path, ...]

    def fail(self) -> None:
        """
        The power goes: from here on nothing comes to the disk. The server still runs.
        """

    def recover(self) -> None:
        """
        The power is back; the server was ended before.
        """

    def synced(self, path: str) -> None:
        """
        A program beside the server has synced this.
        """

    def close(self) -> None:
        """
        Not needed any more.
        """


class PlainDisk:
    """
    The machine's own: nothing is lost but what a killed process had not written.
    """

    shadow: tuple[Path, ...] = ()

    def __init__(self, place: Path) -> None:
        self.mail = place / "mail"
        self.mail.mkdir()

    def fail(self) -> None:
        """
        Never.
        """

    def recover(self) -> None:
        """
        Nothing to do.
        """

    def synced(self, path: str) -> None:
        """
        Nothing to do.
        """

    def close(self) -> None:
        """
        Nothing to do.
        """


class ShadowDisk(PlainDisk):
    """
    For machines where nothing can be mounted: only what was synced is kept, in a second directory.
    """

    def __init__(self, place: Path) -> None:
        super().__init__(place)
        copies = place / "synced"
        copies.mkdir()
        self._shadow = Shadow(copies, self.mail)
        self.shadow = (copies, self.mail)
        self.synced(str(self.mail))

    def recover(self) -> None:
        """
        Only what was synced.
        """
        self._shadow.cut()

    def synced(self, path: str) -> None:
        """
        Copy it.
        """
        self._shadow.sync(path)


class LoopDisk(PlainDisk):
    """
    An ext4 file system in a file, which stops as a disk without power does.
    """

    def __init__(self, place: Path) -> None:
        super().__init__(place)
        self._image = place / "disk"
        with self._image.open("wb") as file:
            file.truncate(_MEGABYTES * 1024 * 1024)
        subprocess.run(["mkfs.ext4", "-q", "-F", self._image], check=True, capture_output=True)
        self._mount()

    def _mount(self) -> None:
        command = ["mount", "-o", "loop", self._image, self.mail]
        subprocess.run(command, check=True, capture_output=True)

    def _unmount(self) -> None:
        subprocess.run(["umount", self.mail], check=True, capture_output=True)
        # Whoever made a mount namespace meanwhile has it mounted too. As long as that lives,
        # another mount gives the same file system again, still without power.
        end = time.monotonic() + _PATIENCE
        while subprocess.run(
            ["losetup", "-j", self._image], check=True, capture_output=True
        ).stdout:
            assert time.monotonic() < end, f"{self._image} stays in use"
            time.sleep(0.01)

    def fail(self) -> None:
        """
        Without writing its journal.
        """
        descriptor = os.open(self.mail, os.O_RDONLY)
        try:
            fcntl.ioctl(descriptor, _SHUTDOWN, struct.pack("I", _NO_FLUSH))
        finally:
            os.close(descriptor)

    def recover(self) -> None:
        """
        Mount it again, with what is in its journal.
        """
        self._unmount()
        self._mount()

    def close(self) -> None:
        """
        Unmount it.
        """
        self._unmount()


def cut_disk(place: Path) -> LoopDisk | ShadowDisk:
    """
    The best there is on this machine.
    """
    with contextlib.suppress(OSError, subprocess.CalledProcessError):
        place.mkdir(exist_ok=True)
        return LoopDisk(place)
    again = place / "shadow"
    again.mkdir()
    return ShadowDisk(again)
