"""
The other end of the control socket, for commands.
"""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from typing import Any

LONGEST = 1 << 16
"""Octets of a line of an answer."""

PATIENCE = 30.0


class NoAnswer(Exception):
    """
    The server could not be asked, or would not answer; the text says why, and the way out.
    """


def ask(path: str, kind: str, **words: str) -> Iterator[dict[str, Any]]:
    """
    The items of the answer to a question, as they come.

    @param path: of the socket
    @raise NoAnswer: it is not there, is not ours to use, or does not make sense
    """
    question = {"ask": kind, **{key: value for key, value in words.items() if value}}
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as link:
        link.settimeout(PATIENCE)
        try:
            link.connect(path)
            link.sendall(json.dumps(question).encode("ascii") + b"\n")
            with link.makefile("rb") as answers:
                yield from _items(path, answers)
        except TimeoutError:
            raise NoAnswer(
                f"{path}: the server does not answer; it may be busy or stopped: see its log"
            ) from None
        except OSError as error:
            raise NoAnswer(f"{path}: {_reason(error)}") from None


def _items(path: str, answers: Any) -> Iterator[dict[str, Any]]:
    while True:
        line = answers.readline(LONGEST)
        if not line.endswith(b"\n"):
            raise NoAnswer(f"{path}: the answer broke off; the server may have stopped: ask again")
        try:
            said = json.loads(line)
        except ValueError:
            said = None
        if not isinstance(said, dict) or not said.keys() & {"item", "done", "error"}:
            raise NoAnswer(f"{path}: what answers there is no mailaccess; correct [control] path")
        if "error" in said:
            raise NoAnswer(str(said["error"]))
        if "done" in said:
            return
        yield said["item"]


def _reason(error: OSError) -> str:
    if isinstance(error, FileNotFoundError):
        return (
            "no server has made this socket; start the server, or add path to [control] and start"
            " it again"
        )
    if isinstance(error, ConnectionRefusedError):
        return "the server is not running; start it"
    if isinstance(error, PermissionError):
        return (
            "you may not use this socket; run this as root or as the server's user, or set group"
            ' and mode = "0660" in [control]'
        )
    return f"{error.strerror or error}; correct [control] path"
