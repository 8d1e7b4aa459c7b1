"""
Where the control socket is: one server's, with its owner, group and mode from the first moment.

    place = Place(settings.control, settings.server)
    place.take()        # a listening socket
    place.leave()

Beside the socket is a file C{PATH.lock}, locked as long as a server has the place: the lock goes
with the process, however that ends, so what is left of a dead server is told from a live one.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import grp
import os
import pwd
import socket
import stat

from ..controlsettings import ControlSettings
from ..process import MayNotRun, ids_of
from ..settings import ServerSettings
from ..sockets import CannotListen

_BACKLOG = 16
_LATER = (errno.EAGAIN, errno.EINPROGRESS)


class Place:
    """
    The path of a socket, to be taken and left.
    """

    def __init__(self, settings: ControlSettings, server: ServerSettings) -> None:
        self._settings = settings
        self._server = server
        self._lock = -1
        self._made: tuple[int, int] | None = None

    @property
    def path(self) -> str:
        """
        Of the socket.
        """
        return self._settings.path

    def take(self) -> socket.socket:
        """
        The listening socket. What a server that died left is removed; nothing else is.

        @raise CannotListen: another server has it, or it cannot be made
        """
        try:
            uid, gid = owners(self._settings, self._server)
            self._ready_directory()
            self._take_lock()
            self._remove_stale()
            return self._make(uid, gid)
        except (OSError, MayNotRun) as error:
            self.leave()
            why = error.strerror if isinstance(error, OSError) else str(error)
            raise CannotListen(f"[control] path = {self.path}: {why}; {_way_out(error)}") from None
        except CannotListen:
            self.leave()
            raise

    def leave(self) -> None:
        """
        Remove the socket if it is still ours and that may be done, and give back the place.
        """
        with contextlib.suppress(OSError):
            found = os.lstat(self.path)
            if stat.S_ISSOCK(found.st_mode) and self._made == (found.st_dev, found.st_ino):
                os.unlink(self.path)
        self._made = None
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1

    def _ready_directory(self) -> None:
        directory = os.path.dirname(self.path)
        if not os.path.isdir(directory):
            os.mkdir(directory)
            os.chmod(directory, 0o755)  # noqa: S103 - who may use the socket is for its mode to say
            if os.geteuid() == 0 and self._server.user:
                os.chown(directory, *ids_of(self._server))
        if open_to_all(directory):
            raise CannotListen(
                f"[control] path = {self.path}: everybody may write to {directory}, and could put"
                " a socket of their own there; choose a directory of the server's own"
            )

    def _take_lock(self) -> None:
        flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
        self._lock = os.open(f"{self.path}.lock", flags, 0o600)
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(self._lock)
            self._lock = -1
            raise CannotListen(self._taken()) from None
        if os.geteuid() == 0 and self._server.user:
            # The next start may be by that user.
            os.fchown(self._lock, *ids_of(self._server))

    def _remove_stale(self) -> None:
        try:
            found = os.lstat(self.path)
        except FileNotFoundError:
            return
        if not stat.S_ISSOCK(found.st_mode):
            raise CannotListen(
                f"[control] path = {self.path}: there is something that is no socket; remove it,"
                " or choose another path"
            )
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
            probe.setblocking(False)
            answer = probe.connect_ex(self.path)
        if answer == 0 or answer in _LATER:
            raise CannotListen(self._taken())
        os.unlink(self.path)

    def _taken(self) -> str:
        return (
            f"[control] path = {self.path}: another server has it (ss -xlp names it); stop that, or"
            " choose another path"
        )

    def _make(self, uid: int, gid: int) -> socket.socket:
        made = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            made.setblocking(False)
            before = os.umask(0o177)
            try:
                made.bind(self.path)
            finally:
                os.umask(before)
            found = os.lstat(self.path)
            self._made = (found.st_dev, found.st_ino)
            if (uid, gid) != (found.st_uid, found.st_gid):
                os.chown(self.path, uid, gid)
            os.chmod(self.path, int(self._settings.mode, 8))
            # Nobody can connect before this, so nobody has who should not.
            made.listen(_BACKLOG)
        except OSError:
            made.close()
            raise
        return made


def owners(settings: ControlSettings, server: ServerSettings) -> tuple[int, int]:
    """
    Numbers of the user and the group whose the socket is to be.

    @raise MayNotRun: there is no such user or group
    """
    uid, gid = os.geteuid(), os.getegid()
    if uid == 0 and server.user:
        uid, gid = ids_of(server)
    try:
        if settings.owner:
            uid = pwd.getpwnam(settings.owner).pw_uid
        if settings.group:
            gid = grp.getgrnam(settings.group).gr_gid
    except KeyError as error:
        raise MayNotRun(str(error.args[0])) from None
    return uid, gid


def open_to_all(directory: str) -> bool:
    """
    Whether everybody may remove what is in it.
    """
    mode = os.stat(directory).st_mode
    return bool(mode & stat.S_IWOTH) and not mode & stat.S_ISVTX


def _way_out(error: Exception) -> str:
    if isinstance(error, PermissionError):
        return (
            "choose a directory of the server's own (RuntimeDirectory= in systemd makes one); owner"
            " and group can be others' only where root starts the server"
        )
    if isinstance(error, FileNotFoundError):
        return "make the directory above it"
    return "correct [control]"
