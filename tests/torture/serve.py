"""
Servers that start in a moment: a process that has imported everything forks one for each line it
reads.

    python -m tests.torture.serve            one line in: configuration [shadow mail]
                                             one line out: pid port, or an error

With a shadow, what the server syncs is copied there (L{tests.torture.shadow}).
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import attrs

ROOT = Path(__file__).resolve().parents[2]
PATIENCE = 60.0


class DidNotStart(Exception):
    """
    A server did not come up; the text has what it said.
    """


@attrs.define
class Servers:
    """
    The process that forks servers, seen from outside.
    """

    _process: subprocess.Popen[str]

    @classmethod
    def start(cls) -> Servers:
        """
        Import everything.
        """
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.torture.serve"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=ROOT,
        )
        return cls(process)

    def serve(self, place: Path, *shadow: Path) -> Server:
        """
        A server that answers, with the configuration C{place/mailaccess.toml}.
        """
        log = place / "log"
        log.unlink(missing_ok=True)
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        words = [str(place / "mailaccess.toml"), *map(str, shadow)]
        print(*words, file=self._process.stdin, flush=True)
        server = Server(int(self._process.stdout.readline()), log)
        wanted = (place / "mailaccess.toml").read_text().count("[[listener]]")
        end = time.monotonic() + PATIENCE
        while len(server.ports) < wanted:
            text = log.read_text(encoding="utf-8") if log.exists() else ""
            found = re.findall(r"event=listen listener=\S+ .*port=(\d+)", text)
            if len(found) == wanted:
                server.ports = [int(port) for port in found]
            elif time.monotonic() > end or not server.alive():
                raise DidNotStart(text)
            else:
                time.sleep(0.01)
        return server

    def stop(self) -> None:
        """
        End the process; servers are ended by whoever has them.
        """
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(PATIENCE)
        assert self._process.stdout is not None
        self._process.stdout.close()


@attrs.define
class Server:
    """
    One server.

    @ivar ports: of its listeners, in the order of the configuration
    """

    pid: int
    log: Path
    ports: list[int] = attrs.field(factory=list)

    @property
    def port(self) -> int:
        """
        For IMAP.
        """
        return self.ports[0]

    def alive(self) -> bool:
        """
        Whether it still runs.
        """
        try:
            os.kill(self.pid, 0)
        except ProcessLookupError:
            return False
        return True

    def kill(self) -> None:
        """
        As a crash does; returns when it is gone.
        """
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        """
        As a service manager does.
        """
        self._end(signal.SIGTERM)

    def _end(self, number: signal.Signals) -> None:
        end = time.monotonic() + PATIENCE
        try:
            os.kill(self.pid, number)
        except ProcessLookupError:
            return
        while self.alive():
            assert time.monotonic() < end, f"server {self.pid} does not end"
            time.sleep(0.002)


def _serve(words: list[str]) -> None:
    if len(words) > 1:
        from tests.torture import shadow

        shadow.install(Path(words[1]), Path(words[2]))
    from twisted.internet import reactor

    from mailaccess.services import tap

    options = tap.Options()
    options["config"] = words[0]
    service = tap.makeService(options)
    if service.log_writer is not None:
        from twisted.logger import globalLogBeginner

        globalLogBeginner.beginLoggingTo([service.log_writer], redirectStandardIO=False)
    reactor.callWhenRunning(service.startService)
    reactor.addSystemEventTrigger("before", "shutdown", service.stopService)
    reactor.run()


def main() -> None:
    """
    Fork a server for each line.
    """
    import mailaccess.services.tap  # noqa: F401

    assert "twisted.internet.reactor" not in sys.modules, "it cannot be shared"
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    for line in sys.stdin:
        child = os.fork()
        if child == 0:
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            null = os.open(os.devnull, os.O_RDWR)
            os.dup2(null, 0)
            os.dup2(null, 1)
            try:
                _serve(line.split())
            except BaseException as error:
                print(repr(error), file=sys.stderr, flush=True)
            os._exit(0)
        print(child, flush=True)


if __name__ == "__main__":
    main()
