"""
Servers as processes of their own: start them, ask the kernel what they used, end them.
"""

from __future__ import annotations

import contextlib
import gc
import os
import resource
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

T = TypeVar("T")

ROOT = Path(__file__).resolve().parent.parent
PATIENCE = 60.0
"""Seconds that a server may take to come up, or to answer."""

_TICK = os.sysconf("SC_CLK_TCK")


class DidNotStart(Exception):
    """
    A server did not come up; the text has what it said.
    """


def free_port() -> int:
    """
    A TCP port that nobody listens on now.
    """
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def until(look: Callable[[], T | None], process: Process, patience: float = PATIENCE) -> T:
    """
    What C{look} gives, once it gives something.

    @raise DidNotStart: it gave nothing in time, or the process has ended
    """
    deadline = time.monotonic() + patience
    while True:
        found = look()
        if found is not None:
            return found
        if process.popen.poll() is not None or time.monotonic() > deadline:
            raise DidNotStart(process.said())
        time.sleep(0.02)


def more_descriptors(wanted: int) -> int:
    """
    Raise the limit on open files, for this process and those it starts; what it is now.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < wanted:
        with contextlib.suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, max(hard, wanted)))
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < min(wanted, hard):
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return resource.getrlimit(resource.RLIMIT_NOFILE)[0]


@contextlib.contextmanager
def no_collector() -> Iterator[None]:
    """
    The client's garbage is not collected while it measures.
    """
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


class Process:
    """
    A program that was started, and those that it started.
    """

    def __init__(self, command: list[str], output: Path, **more: Any) -> None:
        """
        @param output: file for what it says
        """
        self.output = output
        environment = os.environ | {"PYTHONPATH": str(ROOT)}
        with output.open("wb") as file:
            self.popen = subprocess.Popen(
                command, stdout=file, stderr=subprocess.STDOUT, env=environment, **more
            )
        self.pid = self.popen.pid

    @classmethod
    def python(cls, module: str, *arguments: str, output: Path) -> Process:
        """
        Run a module of ours.
        """
        return cls([sys.executable, "-m", module, *arguments], output, cwd=ROOT)

    def said(self) -> str:
        """
        All of its output so far.
        """
        return self.output.read_text(encoding="utf-8", errors="replace")

    def cpu(self) -> float:
        """
        Seconds of processor time that it and its descendants used, those that ended too.
        """
        return sum(_used(pid) for pid in self.family())

    def rss(self) -> int:
        """
        Octets of memory that it holds now, without its descendants.
        """
        with open(f"/proc/{self.pid}/status", encoding="ascii", errors="replace") as file:
            for line in file:
                if line.startswith("VmRSS:"):
                    return int(line.split()[1]) * 1024
        return 0

    def family(self) -> list[int]:
        """
        Its number, and those of its descendants.
        """
        family = [self.pid]
        for pid in family:
            # Each thread has those that it started.
            for children in Path(f"/proc/{pid}/task").glob("*/children"):
                with contextlib.suppress(OSError):
                    family += map(int, children.read_text(encoding="ascii").split())
        return family

    def stop(self) -> None:
        """
        Tell it to end, and wait; by force if it takes long.
        """
        if self.popen.poll() is None:
            self.popen.send_signal(signal.SIGTERM)
            try:
                self.popen.wait(30)
            except subprocess.TimeoutExpired:
                self.popen.kill()
        self.popen.wait()


def _used(pid: int) -> float:
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as file:
            fields = file.read().rpartition(")")[2].split()
    except OSError:
        return 0.0
    # utime, stime, cutime, cstime: proc(5) fields 14 to 17; the state is the third
    return sum(int(each) for each in fields[11:15]) / _TICK
