"""
How long a NOOP of somebody else takes: one is due every two milliseconds, and one that the server
keeps waiting counts from when it was due, with all that were due meanwhile.

Run as a process; it writes the moments and the waits when it is told to end.
"""

from __future__ import annotations

import contextlib
import json
import signal
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import FrameType

from . import ours
from .load import log_in
from .process import Process, until

INTERVAL = 0.002


class Probe:
    """
    A probe that runs.
    """

    def __init__(self, process: Process, result: Path) -> None:
        self._process = process
        self._result = result
        self._waits: list[tuple[float, float]] = []

    def end(self) -> None:
        """
        Tell it to write what it saw.
        """
        self._process.stop()
        self._waits = json.loads(self._result.read_text(encoding="ascii"))

    def waits(self, windows: Sequence[tuple[float, float]]) -> list[float]:
        """
        Seconds that NOOPs due in these times (of L{time.monotonic}) took, shortest first.
        """
        return sorted(
            wait for due, wait in self._waits if any(begin <= due <= end for begin, end in windows)
        )


@contextlib.contextmanager
def probing(place: Path, port: int, user: str) -> Iterator[Probe]:
    """
    Probe a server until told to end.
    """
    result = place / "probe.json"
    process = Process.python(
        "benchmarks.probe", str(port), user, str(result), output=place / "probe.output"
    )
    try:
        until(lambda: "ready" in process.said() or None, process)
        yield Probe(process, result)
    finally:
        process.stop()


def main(port: int, user: str, result: Path) -> None:
    """
    The process.
    """
    going = True

    def end(_number: int, _frame: FrameType | None) -> None:
        nonlocal going
        going = False

    signal.signal(signal.SIGTERM, end)
    connection = log_in(port, user, ours.PASSWORD)
    seen: list[tuple[float, float]] = []
    print("ready", flush=True)
    due = time.monotonic()
    while going:
        connection.sendall(b"p NOOP\r\n")
        while not connection.recv(4096).endswith(b"\n"):
            pass
        now = time.monotonic()
        while due <= now:
            seen.append((due, now - due))
            due += INTERVAL
        time.sleep(max(0.0, due - time.monotonic()))
    connection.close()
    result.write_text(json.dumps(seen), encoding="ascii")


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2], Path(sys.argv[3]))
