"""
A server as its administrator starts it, and the people who have mail on it.
"""

from __future__ import annotations

import base64
import itertools
import os
import re
import shutil
import signal
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import attrs

from mailaccess.auth.passwords import make
from mailaccess.message.lineends import to_crlf
from mailaccess.services.demo.certificate import ensure_certificate
from mailaccess.wire import utf7

ROOT = Path(__file__).parents[2]
CORPUS = ROOT / "tests" / "data" / "corpus"
PATIENCE = 60.0
"""Seconds after which a wait that never ends fails; none comes near."""

PEOPLE = 2000
"""Accounts of a server that serves a whole run: far more than there are tests."""

_CLEAN = (0, -signal.SIGTERM)  # Twisted dies of the signal it was told to end by, at the very end

ODD = (
    b"Subject: dots\n\n.\n..\n.hidden\n...\nend\n.\n",
    b"Subject: line ends\r\nFrom: a@example.org\n\nfirst\r\nsecond\nthird\r\n",
    b"Subject: a long line\n\n" + b"0123456789" * 1200 + b"\n",
    b"Subject: no end of line\n\nand there it stops",
    b"Subject: 8-bit \xe4 \xff\nFrom: J\xf6rg <j@example.org>\n\n\x80\x81\xfe\xff raw\n",
    b"Subject: no body at all\nFrom: a@example.org\n",
)
"""Messages as broken programs leave them."""


def corpus(folder: str) -> list[bytes]:
    """
    The messages of one directory of the corpus, as they lie there.
    """
    return [path.read_bytes() for path in sorted((CORPUS / folder).glob("*.eml"))]


def program(name: str) -> str:
    """
    Where a program is.
    """
    found = shutil.which(name)
    assert found, f"{name} is missing; run tests/setup_programs.sh"
    return found


def until(what: Callable[[], Any], said: object = "") -> Any:
    """
    Ask until the answer is true; that answer.
    """
    end = time.monotonic() + PATIENCE
    while not (answer := what()):
        assert time.monotonic() < end, f"still not so: {said}"
        time.sleep(0.05)
    return answer


class Log:
    """
    What a process says, read by a thread as it comes.
    """

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.lines: list[str] = []
        self._came = threading.Condition()
        self._ended = False
        self._process = process
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            with self._came:
                self.lines.append(line)
                self._came.notify_all()
        with self._came:
            self._ended = True
            self._came.notify_all()

    def wait_for(self, pattern: str, since: int = 0) -> str:
        """
        The first line that matches.
        """

        def found() -> str | None:
            return next((each for each in self.lines[since:] if re.search(pattern, each)), None)

        with self._came:
            self._came.wait_for(lambda: found() or self._ended, PATIENCE)
            line = found()
        assert line is not None, f"no {pattern!r} in\n{''.join(self.lines[since:])}"
        return line

    def all(self) -> str:
        """
        Everything, once it has ended.
        """
        self._reader.join(PATIENCE)
        return "".join(self.lines)


@attrs.frozen
class Person:
    """
    An account.

    @ivar home: its Maildir
    """

    name: str
    password: str = attrs.field(repr=False)
    home: Path

    def folder(self, name: str = "INBOX") -> Path:
        """
        The directory of a mailbox.
        """
        if name == "INBOX":
            return self.home
        levels = (utf7.encode(level).decode("ascii") for level in name.split("/"))
        return self.home / ("." + ".".join(levels))

    def deliver(
        self, messages: Iterable[bytes], folder: str = "INBOX", flags: str | None = None
    ) -> None:
        """
        Put messages into C{new}, or with flags into C{cur}.
        """
        directory = self.folder(folder)
        for each in ("cur", "new", "tmp"):
            (directory / each).mkdir(mode=0o700, parents=True, exist_ok=True)
        for data in messages:
            name = f"{next(_times)}.M{next(_numbers)}P{os.getpid()}.example"
            written = directory / "tmp" / name
            written.write_bytes(data)
            if flags is None:
                written.rename(directory / "new" / name)
            else:
                written.rename(directory / "cur" / f"{name}:2,{flags}")

    def stored(self, folder: str = "INBOX") -> list[bytes]:
        """
        The messages of a mailbox, as clients should get them, sorted by content.
        """
        directory = self.folder(folder)
        files = itertools.chain((directory / "cur").iterdir(), (directory / "new").iterdir())
        return sorted(to_crlf(path.read_bytes()) for path in files)

    def deliver_all(self) -> dict[str, list[bytes]]:
        """
        The whole corpus in several mailboxes, part of it new. What clients should find, by mailbox
        in the order of delivery.
        """
        legacy, rfc = corpus("legacy"), corpus("rfc")
        self.deliver(legacy[:20], flags="S")
        self.deliver(legacy[20:24], flags="FS")
        self.deliver(legacy[24:])
        self.deliver(rfc, "Archive", "RS")
        self.deliver(ODD[:-1], "Archive/Ödland & Co")
        self.deliver(rfc[:2], "Entwürfe", "D")
        return {
            "INBOX": [to_crlf(each) for each in legacy],
            "Archive": [to_crlf(each) for each in rfc],
            "Archive/Ödland & Co": [to_crlf(each) for each in ODD[:-1]],
            "Entwürfe": [to_crlf(each) for each in rfc[:2]],
        }


_times = itertools.count(1_700_000_000)
_numbers = itertools.count(1)


class Site:
    """
    A directory with a configuration, certificates, a password file and mail.
    """

    def __init__(
        self,
        place: Path,
        people: int = PEOPLE,
        more: str = "",
        *,
        scheme: str = "SSHA256",
        tls: str = "",
        listener: str = "",
    ) -> None:
        self.place = place
        self.certificate = place / "cert.pem"
        self.users = place / "users"
        self.config = place / "mailaccess.toml"
        self.secrets: set[str] = set()
        # Known only when wanted: every line of the log is searched for the secrets of all.
        self._left = (self._person(f"anna{number}") for number in range(people))
        ensure_certificate(self.certificate, place / "key.pem", datetime.now(UTC))
        (place / "mail").mkdir()
        self.users.touch(0o600)
        self.users.write_text(
            "".join(
                f"anna{number}:{make(scheme, self._password(number).encode())}::::::\n"
                for number in range(people)
            )
        )
        listeners = "".join(
            f'[[listener]]\nprotocol = "{protocol}"\ntls = "{layer}"\n'
            f'address = "127.0.0.1"\nport = 0\n{listener}'
            for protocol in ("imap", "pop3")
            for layer in ("starttls", "implicit")
        )
        self.config.write_text(
            f'[mail]\nhome = "{place}/mail/{{user}}"\n'
            f'[[users]]\ntype = "file"\npath = "{self.users}"\n'
            f'[tls]\ncertificate = "{self.certificate}"\nkey = "{place}/key.pem"\n{tls}'
            f"{listeners}{more}"
        )

    @staticmethod
    def _password(number: int) -> str:
        return f"Geheim-{number:02}-Wort"

    def _person(self, name: str) -> Person:
        person = Person(name, self._password(int(name[4:])), self.place / "mail" / name)
        self.secret(person.password, person.name)
        return person

    def person(self) -> Person:
        """
        Somebody who has no mail yet, and whom no other test knows.
        """
        return next(self._left)

    def secret(self, password: str, user: str) -> str:
        """
        Note a password that must not be logged, in any form it has on the wire.
        """
        self.secrets.add(password)
        for blob in (password, f"\0{user}\0{password}", f"{user}\0{user}\0{password}"):
            self.secrets.add(base64.b64encode(blob.encode()).decode())
        return password


class Server:
    """
    A running server.

    @ivar ports: by listener: C{imap}, C{imaps}, C{pop3}, C{pop3s}
    """

    def __init__(self, site: Site) -> None:
        self.site = site
        bin_ = Path(sys.executable).parent
        checked = subprocess.run(
            [bin_ / "mailaccess", "check", site.config], capture_output=True, text=True, check=False
        )
        assert checked.returncode == 0, checked.stderr
        assert checked.stderr == ""
        self.process = subprocess.Popen(
            [bin_ / "twist", "mailaccess", "--config", site.config],
            cwd=site.place,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self.log = Log(self.process)
        self.log.wait_for("Starting reactor")
        listening = re.findall(r"event=listen listener=(\S+) .*port=(\d+)", "".join(self.log.lines))
        self.ports = {name: int(port) for name, port in listening}

    def context(self) -> ssl.SSLContext:
        """
        For clients that verify the certificate.
        """
        return ssl.create_default_context(cafile=str(self.site.certificate))

    def check_log(self, since: int = 0) -> None:
        """
        Nothing failed, and no password was written (AUTH-10).
        """
        lines = self.log.lines[since:]
        failures = re.compile("Traceback|failure=|level=(error|critical)")
        assert [each for each in lines if failures.search(each)] == []
        assert [each for each in lines for secret in self.site.secrets if secret in each] == []

    def stop(self) -> None:
        """
        End it as a service manager does.
        """
        self.process.send_signal(signal.SIGTERM)
        assert self.process.wait(PATIENCE) in _CLEAN
        text = self.log.all()
        assert "event=stopped" in text
        self.check_log()

    def kill(self) -> None:
        """
        For whoever cannot end it otherwise.
        """
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        assert self.process.stdout is not None
        self.process.stdout.close()


def serving(site: Site) -> Iterator[Server]:
    """
    A server that is ended in order and looked over afterwards.
    """
    server = Server(site)
    try:
        yield server
        server.stop()
    finally:
        server.kill()


@attrs.frozen
class Desk:
    """
    Somebody at a computer: the programs they run know a home directory of their own.
    """

    server: Server
    person: Person
    home: Path

    @property
    def environment(self) -> dict[str, str]:
        """
        For programs.
        """
        kept = {key: os.environ[key] for key in ("PATH", "LD_LIBRARY_PATH") if key in os.environ}
        return kept | {
            "HOME": str(self.home),
            "LANG": "C.UTF-8",
            "LC_ALL": "C.UTF-8",
            "TERM": "xterm",
            "TMPDIR": str(self.home),
        }

    @property
    def certificate(self) -> Path:
        """
        What clients trust.
        """
        return self.server.site.certificate

    def port(self, listener: str) -> int:
        """
        Where it listens.
        """
        return self.server.ports[listener]

    def write(self, name: str, text: str) -> Path:
        """
        A file in the home directory, private as programs want it.
        """
        path = self.home / name
        path.touch(0o600)
        path.write_text(text)
        return path

    def run(
        self, *command: str | Path, status: int | tuple[int, ...] = 0, given: bytes | None = None
    ) -> subprocess.CompletedProcess[bytes]:
        """
        Run a program to its end.
        """
        name, *rest = map(str, command)
        done = subprocess.run(
            [program(name), *rest],
            env=self.environment,
            cwd=self.home,
            input=given if given is not None else b"",
            capture_output=True,
            timeout=PATIENCE,
            check=False,
        )
        wanted = (status,) if isinstance(status, int) else status
        said = (done.stdout + done.stderr).decode("utf-8", "backslashreplace")
        assert done.returncode in wanted, f"{name} ended with {done.returncode}:\n{said}"
        return done
