"""
What the process may do: who it is, what it leaves behind when it dies (AB-15, PATH-05).
"""

from __future__ import annotations

import contextlib
import ctypes
import grp
import os
import pwd
import resource
from collections.abc import Sequence

from .settings import ListenerSettings, ServerSettings
from .sockets import is_loopback

_PR_SET_DUMPABLE = 4
_PR_SET_NO_NEW_PRIVS = 38


class MayNotRun(Exception):
    """
    The process would have more power than it needs; the text says the way out.
    """


def harden() -> None:
    """
    New files are for this user only; passwords in memory reach no core file and no debugger.
    """
    os.umask(0o077)
    with contextlib.suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    _prctl(_PR_SET_DUMPABLE, 0)
    _prctl(_PR_SET_NO_NEW_PRIVS, 1)


def _prctl(option: int, value: int) -> None:
    # Where there is no prctl (not Linux) there is nothing to set.
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(option, value, 0, 0, 0)


def become(settings: ServerSettings) -> None:
    """
    Give up root for good, for the user of C{[server]}. Nothing happens to a process that is not
    root.

    @raise MayNotRun: there is no such user or group
    """
    if os.geteuid() != 0 or not settings.user:
        return
    uid, gid = ids_of(settings)
    os.setgroups([])
    with contextlib.suppress(PermissionError):
        os.initgroups(settings.user, gid)
    os.setresgid(gid, gid, gid)
    os.setresuid(uid, uid, uid)


def ids_of(settings: ServerSettings) -> tuple[int, int]:
    """
    Numbers of the user and the group of C{[server]}, which has a user.

    @raise MayNotRun: there is no such user or group
    """
    try:
        user = pwd.getpwnam(settings.user)
    except KeyError:
        raise MayNotRun(
            f"[server] user = {settings.user!r}: no such user;"
            f" useradd --system --no-create-home {settings.user}"
        ) from None
    if user.pw_uid == 0:
        raise MayNotRun("[server] user is root itself; name another user")
    if not settings.group:
        return user.pw_uid, user.pw_gid
    try:
        return user.pw_uid, grp.getgrnam(settings.group).gr_gid
    except KeyError:
        raise MayNotRun(
            f"[server] group = {settings.group!r}: no such group;"
            f" groupadd --system {settings.group}"
        ) from None


def check_may_serve(listeners: Sequence[ListenerSettings]) -> None:
    """
    Refuse to serve others as root; on the loopback it is for trying things out.

    @raise MayNotRun: with the way out
    """
    if os.geteuid() != 0:
        return
    if all(is_loopback(address) for each in listeners for address in each.address):
        return
    raise MayNotRun(
        "will not serve as root; set user in [server], or start twistd with --uid and --gid, or"
        " start as that user (see docs/howto/files/mailaccess.service)"
    )
