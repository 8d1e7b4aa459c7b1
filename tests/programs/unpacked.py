"""
Programs of Debian packages that are unpacked, not installed, run as if they were installed.

A process gets a mount namespace of its own, in which the unpacked files lie over C{/usr}, and
directories of the test stand where the program's paths are compiled in. Nobody else sees that.
"""

from __future__ import annotations

import os
import shlex
import shutil
import socket
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import attrs

from .running import PATIENCE, ROOT

FILES = ROOT / ".programs" / "files"
"""Where tests/setup_programs.sh unpacks."""


def free_ports(count: int) -> list[int]:
    """
    Ports of 127.0.0.1 on which nobody listens now.
    """
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports


@attrs.frozen
class Unpacked:
    """
    A place where unpacked programs run.

    @ivar place: a directory of the test
    @ivar over: directories of the place by the absolute path at which the programs see them; their
        parents must exist in the system
    @ivar log: what the programs say
    """

    place: Path
    over: Mapping[str, Path]

    @property
    def log(self) -> Path:
        return self.place / "log"

    def command(self, *command: str | Path) -> list[str]:
        """
        A command line that runs a program inside.
        """
        script = self.place / "inside"
        if not script.exists():  # Shells may be reading it.
            self._write(script)
        flags = "-m" if os.geteuid() == 0 else "-Urm"
        return [
            _outside("unshare"),
            flags,
            "--propagation=private",
            "sh",
            str(script),
            *map(str, command),
        ]

    def _write(self, script: Path) -> None:
        assert (FILES / "usr").is_dir(), "run tests/setup_programs.sh"
        upper = self.place / "upper"
        upper.mkdir(exist_ok=True)
        lines = ["set -e"]
        for path in self.over:
            if path.count("/") > 1:
                (upper / path.lstrip("/")).mkdir(parents=True, exist_ok=True)
        for top in sorted({"usr"} | {each.name for each in upper.iterdir()}):
            lower = [each / top for each in (upper, FILES) if (each / top).is_dir()]
            layers = ":".join(map(str, [*lower, Path("/", top).resolve()]))
            lines.append(f"mount -t overlay overlay -o {shlex.quote(f'lowerdir={layers}')} /{top}")
        lines += [
            f"mount --bind {shlex.quote(str(source))} {shlex.quote(path)}"
            for path, source in self.over.items()
        ]
        script.write_text("\n".join([*lines, 'exec "$@"', ""]))

    def add_account(self, name: str, uid: int, gid: int) -> None:
        """
        Let the programs find a system account; before they are started.
        """
        for file, line in (
            ("passwd", f"{name}:x:{uid}:{gid}::/nonexistent:/bin/false"),
            ("group", f"{name}:x:{gid}:"),
        ):
            written = self.place / "upper" / "etc" / file
            written.parent.mkdir(parents=True, exist_ok=True)
            there = Path("/etc", file).read_text().splitlines()
            others = [each for each in there if not each.startswith(f"{name}:")]
            written.write_text("\n".join([*others, line, ""]))

    def run(self, *command: str | Path, given: bytes = b"") -> bytes:
        """
        Run a program to its end; what it prints.
        """
        done = subprocess.run(
            self.command(*command),
            input=given,
            capture_output=True,
            timeout=PATIENCE,
            check=False,
        )
        assert done.returncode == 0, (command, done.stdout, done.stderr)
        return done.stdout

    def start(
        self, *command: str | Path, environment: Mapping[str, str] | None = None
    ) -> subprocess.Popen[bytes]:
        """
        Start a program, in a process group of its own; L{end} ends it.
        """
        with self.log.open("ab") as log:
            return subprocess.Popen(
                self.command(*command),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=dict(environment) if environment is not None else None,
                # Not a session: couriertcpd wants to make a group of its own itself.
                process_group=0,
            )

    def wait_for(self, processes: Sequence[subprocess.Popen[bytes]], ports: Sequence[int]) -> None:
        """
        Wait until somebody listens on each port.
        """
        end = time.monotonic() + PATIENCE
        for port in ports:
            while True:
                ended = [each.args for each in processes if each.poll() is not None]
                assert not ended, (ended, self.log.read_text())
                assert time.monotonic() < end, f"nobody listens on {port}: {self.log.read_text()}"
                try:
                    socket.create_connection(("127.0.0.1", port), timeout=1).close()
                    break
                except OSError:
                    time.sleep(0.02)


def end(process: subprocess.Popen[bytes]) -> None:
    """
    End a program and the children that are in its group.
    """
    if process.poll() is not None:
        return
    # It leads its process group, so this id is nobody else's while it has not been waited for.
    os.killpg(process.pid, 15)
    try:
        process.wait(10)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, 9)
        process.wait()


def _outside(name: str) -> str:
    found = shutil.which(name)
    assert found, f"{name} is missing; run tests/setup_programs.sh"
    return found
