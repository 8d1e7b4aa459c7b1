"""
A real server in a process of its own, and a client that says what it is told to.
"""

from __future__ import annotations

import os
import re
import socket
import ssl
import subprocess
import sys
import threading
from base64 import b64encode
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
SECRET = "s3cret-pass"
LISTENING = re.compile(r"event=listen listener=(\S+) .*port=(\d+)")


class Live:
    """
    C{twist mailaccess} on ports that are free.

    @ivar ports: by the name of the listener
    """

    def __init__(self, config: Path) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "twisted", "mailaccess", "--config", str(config)],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env=os.environ | {"PYTHONPATH": str(ROOT)},
            cwd=config.parent,
        )
        self.watchdog = threading.Timer(100, self.process.kill)
        self.watchdog.start()
        self.ports: dict[str, int] = {}
        self.lines: list[str] = []
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.lines.append(line)
            for name, port in LISTENING.findall(line):
                self.ports[name] = int(port)
            if "Starting reactor" in line:
                break
        else:
            raise AssertionError("".join(self.lines))
        self.news = threading.Condition()
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            with self.news:
                self.lines.append(line)
                self.news.notify_all()

    def wait_for(self, text: str, times: int = 1) -> None:
        """
        Until so many lines that have this in them were written.
        """
        with self.news:
            there = self.news.wait_for(
                lambda: sum(text in each for each in self.lines) >= times, 30
            )
            assert there, self.lines

    def stop(self) -> str:
        """
        End it; all that it wrote.
        """
        self.watchdog.cancel()
        self.process.terminate()
        self.process.wait(30)
        self.reader.join(30)
        assert self.process.stdout is not None
        self.process.stdout.close()
        return "".join(self.lines)


def context(tls: str, certificate: Path | None = None) -> ssl.SSLContext:
    """
    A client of one TLS version that trusts everybody.
    """
    version = {"1.2": ssl.TLSVersion.TLSv1_2, "1.3": ssl.TLSVersion.TLSv1_3}[tls]
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    made.check_hostname = False
    made.verify_mode = ssl.CERT_NONE
    made.minimum_version = made.maximum_version = version
    if certificate is not None:
        made.load_cert_chain(certificate)
    return made


class Client:
    """
    One connection.
    """

    def __init__(
        self,
        protocol: str,
        port: int,
        tls: str = "none",
        *,
        implicit: bool = False,
        certificate: Path | None = None,
    ) -> None:
        self.protocol = protocol
        self.socket: Any = socket.create_connection(("127.0.0.1", port), timeout=20)
        self.file: Any = None
        if tls != "none" and implicit:
            self._secure(tls, certificate)
        else:
            self.file = self.socket.makefile("rb")
        self.greeting = self.line()
        if tls != "none" and not implicit:
            self.send("STLS" if protocol == "pop3" else "s STARTTLS")
            assert "OK" in self.line()
            self.file.close()
            self._secure(tls, certificate)

    def _secure(self, tls: str, certificate: Path | None) -> None:
        self.socket = context(tls, certificate).wrap_socket(self.socket)
        self.file = self.socket.makefile("rb")

    def line(self) -> str:
        return str(self.file.readline().decode().removesuffix("\r\n"))

    def send(self, text: str) -> None:
        self.socket.sendall(text.encode() + b"\r\n")

    def until(self, end: str) -> list[str]:
        found = [self.line()]
        while found[-1] and not found[-1].startswith(end):
            found.append(self.line())
        return found

    def capability(self) -> list[str]:
        if self.protocol == "imap":
            self.send("c CAPABILITY")
            return [each for each in self.until("c ") if each.startswith("* CAPABILITY")]
        self.send("CAPA")
        return self.until(".")[1:-1]

    def login(self, mechanism: str, name: str, secret: str = SECRET) -> str:
        """
        The answer that ends the attempt; with SCRAM, the one to the first message.
        """
        plain = b64encode(f"\0{name}\0{secret}".encode()).decode()
        words = [b64encode(each.encode()).decode() for each in (name, secret)]
        if mechanism == "LOGIN command":
            self.send(f'a LOGIN "{name}" "{secret}"')
        elif mechanism == "USER":
            self.send(f"USER {name}")
            answer = self.line()
            if not answer.startswith("+OK"):
                return answer
            self.send(f"PASS {secret}")
        else:
            verb = "AUTH" if self.protocol == "pop3" else "a AUTHENTICATE"
            self.send(f"{verb} PLAIN {plain}" if mechanism == "PLAIN" else f"{verb} {mechanism}")
        if mechanism.startswith("SCRAM-"):
            words = [b64encode(f"n,,n={name},r=0123456789abcdef".encode()).decode()]
        answer = self.line()
        while answer.startswith("+ ") and words:
            self.send(words.pop(0))
            answer = self.line()
        while answer.startswith("* "):
            answer = self.line()
        return answer

    def close(self) -> None:
        self.file.close()
        self.socket.close()
