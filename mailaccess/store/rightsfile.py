"""
A file of rights, read again when it changes.

Looked at once a second at most, when somebody does something in the namespace; read in a thread. A
file that is not there, cannot be read or has a wrong line gives nobody any right until it is
mended: what was to be taken away may stand in just that line.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any, Protocol

import attrs
from twisted.internet.defer import Deferred
from twisted.internet.threads import deferToThreadPool
from twisted.logger import Logger
from twisted.python.failure import Failure

from mailaccess.store.rights import BadLines, Contents, everybody, read_lines

_LOOK_EVERY = 1.0
_MAX_SIZE = 1024 * 1024
_MAX_REPORTED = 20

log = Logger()

Signature = tuple[int, int, int]


class GivesRights(Protocol):
    """
    Where the rights of a namespace come from.
    """

    def now(self) -> Contents:
        """
        As last read. Another object when it changed.
        """

    async def current(self) -> Contents:
        """
        As they are.
        """


@attrs.frozen
class ForAll:
    """
    The same for everybody, for good.
    """

    contents: Contents

    @classmethod
    def of(cls, prefix: str, rights: str) -> ForAll:
        """
        These rights in all mailboxes of a namespace.
        """
        return cls(everybody(prefix, rights))

    def now(self) -> Contents:
        """
        As ever.
        """
        return self.contents

    async def current(self) -> Contents:
        """
        As ever.
        """
        return self.contents


class RightsFile:
    """
    One file, for one namespace.
    """

    def __init__(
        self,
        path: str,
        prefix: str,
        reactor: Any,
        canonical: Callable[[str], str] = str.lower,
        anonymous: str = "",
    ) -> None:
        """
        @param canonical: makes user names canonical; may raise L{ValueError}
        @param anonymous: canonical name of the user who is not C{authenticated}, or empty
        """
        self._path = path
        self._prefix = prefix
        self._reactor = reactor
        self._canonical = canonical
        self._anonymous = anonymous
        self._contents = Contents()
        self._seen: Signature | None = None
        self._looked: float | None = None
        self._waiting: list[Deferred[None]] | None = None

    def load(self) -> Contents:
        """
        Read the file on this thread: for checking a configuration.

        @raise BadLines: something is wrong with it
        """
        return self._read()[1]

    def now(self) -> Contents:
        """
        As last read; a look at the file is begun if it is time.
        """
        self._look()
        return self._contents

    async def current(self) -> Contents:
        """
        As it is now, or was within the last second.
        """
        self._look()
        if self._waiting is not None:
            waiting: Deferred[None] = Deferred()
            self._waiting.append(waiting)
            await waiting
        return self._contents

    def _look(self) -> None:
        now = self._reactor.seconds()
        if self._waiting is not None or (
            self._looked is not None and now - self._looked < _LOOK_EVERY
        ):
            return
        first, self._looked = self._looked is None, now
        signature = self._signature()
        if first or signature != self._seen:
            self._seen = signature
            self._waiting = []
            pool = self._reactor.getThreadPool()
            reading = deferToThreadPool(self._reactor, pool, self._read)
            reading.addCallbacks(self._take, self._close)
            reading.addBoth(self._done)

    def _signature(self) -> Signature | None:
        try:
            found = os.stat(self._path)
        except OSError:
            return None
        return found.st_mtime_ns, found.st_size, found.st_ino

    def _read(self) -> tuple[Signature, Contents]:
        try:
            with open(self._path, "rb") as file:
                found = os.fstat(file.fileno())
                text = file.read(_MAX_SIZE + 1)
        except OSError as error:
            raise BadLines([f"0: cannot be read: {error.strerror}"]) from None
        if len(text) > _MAX_SIZE:
            raise BadLines([f"0: is over {_MAX_SIZE} octets"])
        contents = read_lines(text, self._prefix, self._canonical, self._anonymous)
        return (found.st_mtime_ns, found.st_size, found.st_ino), contents

    def _take(self, read: tuple[Signature, Contents]) -> None:
        self._seen, self._contents = read
        log.info("rights of {prefix}: {lines} lines", prefix=self._prefix, lines=len(read[1].lines))

    def _close(self, failure: Failure) -> None:
        self._contents = Contents()
        wrong = failure.value
        problems = wrong.problems if isinstance(wrong, BadLines) else [f"0: {wrong!r}"]
        for problem in problems[:_MAX_REPORTED]:
            log.error(
                "{path}:{reason}; {prefix} is closed to everybody until that is mended",
                event="rights-broken",
                path=self._path,
                reason=problem,
                prefix=self._prefix,
            )

    def _done(self, _result: object) -> None:
        waiting, self._waiting = self._waiting or [], None
        for each in waiting:
            each.callback(None)
