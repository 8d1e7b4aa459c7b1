"""
Cyrus, if the set-up of the tests unpacked it: an instance of its own, as Debian has it, with
passwords in the clear.

It keeps mail in a form of its own, so messages are uploaded; what it computes of a message it
computes then. It has no first time that could be set beside those of others.
"""

from __future__ import annotations

import contextlib
import datetime
import subprocess
from collections.abc import Iterator
from pathlib import Path

from tests.programs.cyrus import running_cyrus
from tests.programs.unpacked import FILES

from . import mail, ours
from .load import Unexpected, log_in

NAME = "Cyrus"

_TOGETHER = 50
_NAMES = {"F": "\\Flagged", "R": "\\Answered", "S": "\\Seen"}


@contextlib.contextmanager
def serve(place: Path, messages: int) -> Iterator[int | None]:
    """
    The port of one whose user C{amy} has the big mailbox; None where there is no Cyrus.
    """
    if not (FILES / "usr" / "lib" / "cyrus" / "bin" / "imapd").exists():
        yield None
        return
    place.mkdir(parents=True)
    with contextlib.ExitStack() as stack:
        try:
            cyrus = stack.enter_context(
                running_cyrus(place, {"amy": ours.PASSWORD}, settings={"allowplaintext": "yes"})
            )
        except (AssertionError, OSError, subprocess.SubprocessError):
            # No namespaces for who runs this: as good as not there.
            cyrus = None
        if cyrus is None:
            yield None
            return
        fill(cyrus.ports["imap"], messages)
        yield cyrus.ports["imap"]


def fill(port: int, messages: int) -> None:
    """
    Upload the mailbox, some messages in a command (RFC 3502).
    """
    connection = log_in(port, "amy", ours.PASSWORD)
    connection.settimeout(600)
    for start in range(0, messages, _TOGETHER):
        parts = [b"a APPEND INBOX"]
        for number in range(start, min(start + _TOGETHER, messages)):
            data = mail.message(number).replace(b"\n", b"\r\n")
            names = " ".join(_NAMES[letter] for letter in mail.flags(number))
            date = datetime.datetime.fromtimestamp(mail.stamp(number), datetime.UTC)
            written = f' ({names}) "{date:%d-%b-%Y %H:%M:%S} +0000" {{{len(data)}+}}\r\n'
            parts += [written.encode("ascii"), data]
        connection.sendall(b"".join(parts) + b"\r\n")
        answer = b""
        while not answer.endswith(b"\r\n") or b"a " not in answer:
            more = connection.recv(65536)
            if not more:
                raise Unexpected("Cyrus ended the connection")
            answer += more
        if b"a OK" not in answer:
            raise Unexpected(f"APPEND: {answer!r}")
    connection.close()
