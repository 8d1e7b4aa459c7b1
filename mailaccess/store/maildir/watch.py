"""
Being told by the kernel that a directory or a file changed.
"""

from __future__ import annotations

import ctypes
import errno
import os
import struct
from collections.abc import Callable

from twisted.internet.interfaces import IReactorFDSet, IReadDescriptor
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

ATTRIBUTES = 0x4
MOVED_FROM, MOVED_TO, CREATED, DELETED = 0x40, 0x80, 0x100, 0x200
FILES = MOVED_FROM | MOVED_TO | CREATED | DELETED
"""Files came to a directory, or went."""

_OVERFLOW, _IGNORED = 0x4000, 0x8000
_ONLY_DIRECTORIES = 0x01000000
_DONT_FOLLOW = 0x02000000
_CLOSE_ON_EXEC, _NONBLOCK = os.O_CLOEXEC, os.O_NONBLOCK
_EVENT = struct.Struct("iIII")

Called = Callable[[], None]


@implementer(IReadDescriptor)
class Watcher:
    """
    One C{inotify} descriptor for a process; L{twisted.internet.inotify} makes an object and
    resolves a path per watch and event, which is too much for tens of thousands.
    """

    log = Logger()

    def __init__(self, reactor: IReactorFDSet) -> None:
        self._reactor = reactor
        self._descriptor = -1
        self._called: dict[int, list[Called]] = {}
        self._libc = ctypes.CDLL(None, use_errno=True)

    def add(self, path: str, mask: int, called: Called) -> Callable[[], None] | None:
        """
        Call when something happens there; returns what ends it, or None where the kernel has no
        more watches or there is nothing at that path.
        """
        if self._descriptor < 0:
            self._descriptor = self._libc.inotify_init1(_CLOSE_ON_EXEC | _NONBLOCK)
            if self._descriptor < 0:
                return None
            self._reactor.addReader(self)
        # All users of a path get one watch with the mask of the last: always ask for the same.
        watch = self._libc.inotify_add_watch(
            self._descriptor, os.fsencode(path), mask | _DONT_FOLLOW
        )
        if watch < 0:
            if ctypes.get_errno() not in (errno.ENOSPC, errno.ENOENT, errno.ENOMEM):
                self.log.info("cannot watch: errno {errno}", errno=ctypes.get_errno())
            return None
        self._called.setdefault(watch, []).append(called)
        return lambda: self._remove(watch, called)

    def _remove(self, watch: int, called: Called) -> None:
        callbacks = self._called.get(watch)
        if callbacks is None or called not in callbacks:
            return
        callbacks.remove(called)
        if not callbacks:
            del self._called[watch]
            self._libc.inotify_rm_watch(self._descriptor, watch)

    def close(self) -> None:
        """
        End all watches.
        """
        self._called.clear()
        if self._descriptor >= 0:
            self._reactor.removeReader(self)
            os.close(self._descriptor)
            self._descriptor = -1

    def fileno(self) -> int:
        """
        For the reactor.
        """
        return self._descriptor

    def logPrefix(self) -> str:
        """
        For the reactor.
        """
        return "store-watcher"

    def connectionLost(self, reason: Failure) -> None:
        """
        For the reactor, at its end.
        """
        self._called.clear()
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def doRead(self) -> None:
        """
        Some events; each callback once.
        """
        try:
            data = os.read(self._descriptor, 65536)
        except BlockingIOError:
            return
        position = 0
        hit: dict[int, None] = {}
        everybody = False
        while position + _EVENT.size <= len(data):
            watch, mask, _, length = _EVENT.unpack_from(data, position)
            position += _EVENT.size + length
            if mask & _OVERFLOW:
                everybody = True
            elif mask & _IGNORED:
                self._called.pop(watch, None)
            else:
                hit[watch] = None
        watches = list(self._called) if everybody else list(hit)
        callbacks = {called: None for w in watches for called in self._called.get(w, ())}
        for called in callbacks:
            called()
