"""
Start one of them.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

import attrs

from ..process import Process, until


@attrs.frozen
class Peer:
    """
    One that runs.
    """

    process: Process
    port: int


@contextlib.contextmanager
def start(name: str, place: Path) -> Iterator[Peer]:
    """
    Run the peer of that name.
    """
    place.mkdir(parents=True, exist_ok=True)
    process = Process.python(f"benchmarks.peers.{name}", output=place / f"{name}.output")

    def port() -> int | None:
        said = process.said()
        return int(said) if said.endswith("\n") else None

    try:
        yield Peer(process, until(port, process))
    finally:
        process.stop()
