"""
Processes that help with what takes long to compute: started when there is much to do, ended when
there is nothing more. L{helper} is what runs in them.

Nobody depends on them. Where none can be had, because they are busy, still starting, or cannot be
started, the asker does the work itself.
"""

from __future__ import annotations

import contextlib
import marshal
import os
import select
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from typing import IO

from twisted.logger import Logger

from mailaccess.store.disk import Disk, Tree
from mailaccess.store.maildir.helper import LENGTH, READY, Request, Value

MANY = 48
"""Messages that are worth asking for."""

_SULK = 60.0


class _Helper:
    """
    One process.
    """

    def __init__(self) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "mailaccess.store.maildir.helper"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            cwd="/",
            # As this process finds its modules, so shall that one.
            env={**os.environ, "PYTHONPATH": os.pathsep.join(map(os.path.abspath, sys.path))},
            start_new_session=True,
        )
        self._ready = False

    def state(self) -> bool | None:
        """
        Whether it can be asked now; None if it ended.
        """
        assert self.process.stdout is not None
        if self.process.poll() is not None:
            return None
        if not self._ready and self._says_something(self.process.stdout):
            if self.process.stdout.read(1) != READY:
                return None
            self._ready = True
        return self._ready

    @staticmethod
    def _says_something(pipe: IO[bytes]) -> bool:
        # Not select: it takes no descriptor over 1,023, and a server has many connections.
        poll = select.poll()
        poll.register(pipe, select.POLLIN)
        return bool(poll.poll(0))

    def ask(self, request: Request) -> None:
        """
        Send a request.
        """
        assert self.process.stdin is not None
        data = marshal.dumps(request)
        self.process.stdin.write(LENGTH.pack(len(data)) + data)
        self.process.stdin.flush()

    def answered(self, count: int) -> list[Value | None]:
        """
        Wait for the answer, of so many values.

        @raise ValueError: it ended
        """
        assert self.process.stdout is not None
        head = self.process.stdout.read(LENGTH.size)
        if len(head) < LENGTH.size:
            raise ValueError("ended")
        found: list[Value | None] = marshal.loads(  # noqa: S302 - ours
            self.process.stdout.read(*LENGTH.unpack(head))
        )
        if len(found) != count:
            raise ValueError("not what was asked for")
        return found

    def end(self) -> None:
        """
        End it, and wait; it never takes long.
        """
        self.process.kill()
        self.process.wait()
        for file in (self.process.stdin, self.process.stdout):
            assert file is not None
            with contextlib.suppress(OSError):
                file.close()


class Helpers:
    """
    Those of a server. To be asked in threads.
    """

    log = Logger()

    def __init__(self, most: int, started: Callable[[], None]) -> None:
        """
        @param most: processes at a time
        @param started: called, in a thread, when one was started: L{tidy} is wanted in a while
        """
        self._most = most
        self._started = started
        self._lock = threading.Lock()
        self._resting: list[_Helper] = []
        self._busy = 0
        self._not_before = 0.0
        self._stopped = False

    def ask(
        self, what: str, tree: Tree, directory: str, names: Sequence[str]
    ) -> list[Value | None]:
        """
        Have something computed of messages, shared out among who can help; None where nobody did.

        @param what: as in L{helper}
        """
        found: list[Value | None] = [None] * len(names)
        # What tests put in place of the disk is not known elsewhere.
        if len(names) < MANY or type(tree.disk) is not Disk:
            return found
        helpers = self._take(max(1, len(names) // MANY))
        if not helpers:
            return found
        step = -(-len(names) // len(helpers))
        spans = [(at, min(at + step, len(names))) for at in range(0, len(names), step)]
        asked = list(zip(helpers, spans, strict=False))
        fine: list[_Helper] = helpers[len(asked) :]
        lost: list[_Helper] = []
        for helper, (low, high) in asked:
            try:
                helper.ask((what, tree.path, directory, list(names[low:high])))
            except OSError:
                lost.append(helper)
        for helper, (low, high) in asked:
            if helper not in lost:
                try:
                    found[low:high] = helper.answered(high - low)
                    fine.append(helper)
                except (OSError, ValueError, EOFError, TypeError):
                    lost.append(helper)
        self._give_back(fine, lost)
        return found

    def _take(self, most: int) -> list[_Helper]:
        """
        Those that are ready; one more is started if there are few.
        """
        with self._lock:
            if self._stopped:
                return []
            resting, self._resting = self._resting, []
            taken: list[_Helper] = []
            for helper in resting:
                state = helper.state()
                if state is None:
                    helper.end()
                elif state and len(taken) < most:
                    taken.append(helper)
                else:
                    self._resting.append(helper)
            self._busy += len(taken)
            if len(taken) < most and not self._resting:
                self._start(self._most - self._busy)
            return taken

    def _start(self, count: int) -> None:
        if time.monotonic() < self._not_before or not sys.executable:
            return
        try:
            for _ in range(count):
                self._resting.append(_Helper())
                self._started()
        except OSError as error:
            self._not_before = time.monotonic() + _SULK
            self.log.warn("no process to help: {error}", error=error)

    def _give_back(self, fine: Sequence[_Helper], lost: Sequence[_Helper]) -> None:
        with self._lock:
            self._busy -= len(fine) + len(lost)
            if lost:
                self._not_before = time.monotonic() + _SULK
                self.log.warn("{count} processes that helped ended", count=len(lost))
            if not self._stopped:
                self._resting.extend(fine)
                fine = ()
        for helper in (*fine, *lost):
            helper.end()

    def tidy(self) -> bool:
        """
        Take leave of those that ended because nobody asked; whether there are others.
        """
        with self._lock:
            gone = [helper for helper in self._resting if helper.process.poll() is not None]
            for helper in gone:
                self._resting.remove(helper)
                helper.end()
            return bool(self._resting or self._busy)

    def stop(self) -> None:
        """
        End all that are not busy; the others end after that.
        """
        with self._lock:
            self._stopped = True
            resting, self._resting = self._resting, []
        for helper in resting:
            helper.end()
