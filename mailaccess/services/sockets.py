"""
Listening sockets: bound here, or inherited from systemd.

    bind("0.0.0.0", 143, "imap", backlog=512)
    bind_unix("/run/mailaccess/imap", "imap", backlog=512)
    inherited("systemd:imap", "imap")

All have TCP_NODELAY and keep-alive, which the connections they accept inherit: without the first, a
login over TLS stalls for 40 ms.
"""

from __future__ import annotations

import contextlib
import errno
import grp
import os
import socket
import stat
from ipaddress import ip_address

import attrs
from twisted.python.systemd import ListenFDs

from .activation import AT_START

PREFIX = "systemd:"
UNIX = "unix:"


class CannotListen(Exception):
    """
    A port could not be opened; the text says for which listener, why, and the way out.
    """


@attrs.frozen(eq=False)
class Inherited:
    """
    Sockets that whoever started this process opened for it (C{LISTEN_FDS}).

    @ivar by_name: names as C{FileDescriptorName=} in the socket unit gives them
    """

    descriptors: list[int] = attrs.field(factory=list)
    by_name: dict[str, int] = attrs.field(factory=dict)

    @classmethod
    def from_environment(cls) -> Inherited:
        """
        Those of this process.
        """
        found = ListenFDs.fromEnvironment()
        if not found.inheritedDescriptors():
            found = AT_START
        return cls(found.inheritedDescriptors(), found.inheritedNamedDescriptors())

    def socket(self, address: str, listener: str) -> socket.socket:
        """
        The socket of C{systemd:NAME} or C{systemd:NUMBER} (from 0).

        @raise CannotListen: there is none
        """
        name = address.removeprefix(PREFIX)
        if name.isdecimal() and int(name) < len(self.descriptors):
            descriptor = self.descriptors[int(name)]
        elif name in self.by_name:
            descriptor = self.by_name[name]
        else:
            there = ", ".join(sorted(self.by_name)) or f"{len(self.descriptors)} without names"
            raise CannotListen(
                f"listener {listener}: systemd passed no socket {name!r} (there are: {there});"
                f" add one with FileDescriptorName={name} to the socket unit"
            )
        try:
            if not stat.S_ISSOCK(os.fstat(descriptor).st_mode):
                raise CannotListen(f"listener {listener}: {address} is no socket")
            found = socket.socket(fileno=os.dup(descriptor))
        except OSError as error:
            raise CannotListen(f"listener {listener}: {address}: {error.strerror}") from None
        _prepare(found)
        return found


def bind(address: str, port: int, listener: str, backlog: int) -> socket.socket:
    """
    A listening TCP socket on an IP address. An IPv6 one takes no IPv4 connections, so both may have
    the same port.

    @raise CannotListen: with a way out
    """
    family = socket.AF_INET6 if ip_address(address).version == 6 else socket.AF_INET
    try:
        made = socket.socket(family, socket.SOCK_STREAM)
    except OSError as error:
        raise CannotListen(_why(address, port, listener, error)) from None
    try:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        made.bind((address, port))
        made.listen(backlog)
    except OSError as error:
        made.close()
        raise CannotListen(_why(address, port, listener, error)) from None
    _prepare(made)
    return made


def bind_unix(
    path: str, listener: str, backlog: int, mode: int = 0o660, group: str = ""
) -> socket.socket:
    """
    A listening unix socket at a path. One that nobody listens on any more is removed first.

    @param mode: its permissions, from the moment on at which it can be connected to
    @raise CannotListen: with a way out
    """
    where = f"listener {listener}: cannot listen on {path}"
    made = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        owner = grp.getgrnam(group).gr_gid if group else -1
        _remove_stale(path, where)
        before = os.umask(0o177)
        try:
            made.bind(path)
        finally:
            os.umask(before)
        os.chown(path, -1, owner)
        os.chmod(path, mode)
        made.listen(backlog)
    except KeyError:
        made.close()
        raise CannotListen(f"{where}: no group {group!r}; groupadd --system {group}") from None
    except OSError as error:
        made.close()
        raise CannotListen(f"{where}: {error.strerror}; choose another path") from None
    except CannotListen:
        made.close()
        raise
    made.setblocking(False)
    return made


def _remove_stale(path: str, where: str) -> None:
    try:
        found = os.lstat(path)
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(found.st_mode):
        raise CannotListen(f"{where}: there is something that is no socket; choose another path")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.setblocking(False)
        if probe.connect_ex(path) != errno.ECONNREFUSED:
            raise CannotListen(
                f"{where}: another program has it (ss -xlp names it); stop that, or choose another"
                " path"
            )
    os.unlink(path)


@attrs.frozen
class SocketFile:
    """
    The file of a unix socket.
    """

    path: str
    device: int
    number: int

    @classmethod
    def of(cls, path: str) -> SocketFile:
        """
        What is there now.
        """
        found = os.lstat(path)
        return cls(path, found.st_dev, found.st_ino)

    def remove(self) -> None:
        """
        Take it away, if that is possible and another server has not put its own there.
        """
        with contextlib.suppress(OSError):
            if SocketFile.of(self.path) == self:
                os.unlink(self.path)


def _prepare(made: socket.socket) -> None:
    made.setblocking(False)
    if made.family in (socket.AF_INET, socket.AF_INET6):
        made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        made.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)


_WAYS_OUT: dict[int | None, str] = {
    errno.EADDRINUSE: (
        "another program has it (ss -ltnp 'sport = :PORT' names it); stop that, or choose"
        " another port"
    ),
    errno.EACCES: (
        "ports below 1024 need root at the start, CAP_NET_BIND_SERVICE, or a socket from systemd;"
        " or choose a higher port"
    ),
    errno.EADDRNOTAVAIL: "this machine does not have that address; correct it",
    errno.EAFNOSUPPORT: "this machine has no IPv6; remove that address",
}


def _why(address: str, port: int, listener: str, error: OSError) -> str:
    way_out = _WAYS_OUT.get(error.errno, "see the system's log").replace("PORT", str(port))
    return (
        f"listener {listener}: cannot listen on {address} port {port}: {error.strerror}: {way_out}"
    )


def is_loopback(address: str) -> bool:
    """
    Whether only this machine can connect to it.
    """
    if address.startswith(UNIX):
        return True
    return not address.startswith(PREFIX) and ip_address(address).is_loopback
