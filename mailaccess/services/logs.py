"""
The log: one line per event, as C{key=value} or JSON, that no client can forge.

Protocols log with a key C{event}; their lines have the time, the event and what is known in a fixed
order::

    time=2026-11-22T10:00:00.000Z event=failed session=4f-1 user="amy" listener=imaps ...

Everything else that is logged (tracebacks, messages of Twisted) becomes a line with C{event=log}.
A value with anything in it but letters, digits and a few marks is written in quotes, with control
characters, quotes and everything that is not printable as escapes (AUTH-10, AB-14), so a line never
has a key that its writer did not give it.
"""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, TextIO

from twisted.logger import ILogObserver, LogEvent, formatEvent
from zope.interface import implementer

from .repeats import Repeats

ORDER = (
    "session",
    "user",
    "listener",
    "method",
    "rip",
    "lip",
    "tls",
    "octets_in",
    "octets_out",
    "reason",
    "detail",
)
"""Keys after time and event, as far as an event has them; then the others by name."""

LONGEST_VALUE = 512
LONGEST_TEXT = 8192

_HIDDEN = frozenset({"password", "passwd", "secret", "token", "credentials", "response"})
"""Keys whose values are never written, whoever logs them (AUTH-10)."""

_NOT_OURS = frozenset({"event", "format", "message", "time", "system", "isError"})
"""Keys that the logging itself adds, or that stand at the front."""

_BARE = re.compile(r"[A-Za-z0-9._:/@%+-]+")
_QUOTED = frozenset({"user"})
"""Keys that clients fill are quoted always: a filter need know one form only."""

Line = Callable[[LogEvent], str]
"""Makes one line, with its end, of an event."""


def fields(event: LogEvent) -> Iterator[tuple[str, Any]]:
    """
    What is written of an event, in order.
    """
    yield "time", _time(event)
    name = event.get("event")
    if not isinstance(name, str):
        yield from _plain(event)
        return
    yield "event", name
    for key in ORDER:
        if key in event:
            yield key, _value(key, event[key])
    for key in sorted(event):
        if key not in ORDER and key not in _NOT_OURS and not key.startswith("log_"):
            yield key, _value(key, event[key])
    if event.get("log_failure") is not None:
        yield "failure", _traceback(event)


def _plain(event: LogEvent) -> Iterator[tuple[str, Any]]:
    yield "event", "log"
    level = event.get("log_level")
    yield "level", level.name if level is not None else "info"
    yield "from", str(event.get("log_namespace", ""))[:LONGEST_VALUE]
    yield "text", formatEvent(event)[:LONGEST_TEXT]
    if event.get("log_failure") is not None:
        yield "failure", _traceback(event)


def _traceback(event: LogEvent) -> str:
    try:
        text: str = event["log_failure"].getTraceback()
    except Exception:
        text = "traceback not available"
    # Its end says what happened.
    return text[-LONGEST_TEXT:]


def _time(event: LogEvent) -> str:
    moment = event.get("log_time", 0.0)
    second = int(moment)
    return f"{_second(second)}.{int((moment - second) * 1000):03}Z"


@lru_cache(maxsize=2)
def _second(second: int) -> str:
    return f"{datetime.fromtimestamp(second, UTC):%Y-%m-%dT%H:%M:%S}"


def _value(key: str, value: Any) -> Any:
    if key in _HIDDEN:
        return "(hidden)"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int | float):
        return value
    if isinstance(value, bytes):
        value = value.decode("utf-8", "backslashreplace")
    text = str(value)
    return text if len(text) <= LONGEST_VALUE else text[: LONGEST_VALUE - 3] + "..."


def key_value_line(event: LogEvent) -> str:
    """
    C{key=value} with spaces between.
    """
    return " ".join(f"{key}={_written(key, value)}" for key, value in fields(event)) + "\n"


def _written(key: str, value: Any) -> str:
    text = str(value)
    if key not in _QUOTED and _BARE.fullmatch(text):
        return text
    return _quoted(text)


@lru_cache(maxsize=1024)
def _quoted(text: str) -> str:
    """
    Names and ciphers come again and again.
    """
    return '"' + "".join(map(_escaped, text)) + '"'


def _escaped(character: str) -> str:
    if character in '"\\':
        return "\\" + character
    if character.isprintable():
        return character
    code = ord(character)
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def json_line(event: LogEvent) -> str:
    """
    A JSON object.
    """
    return json.dumps(dict(fields(event))) + "\n"


LINES: dict[str, Line] = {"key=value": key_value_line, "json": json_line}


@implementer(ILogObserver)
class LogWriter:
    """
    Writes lines to a stream, or to a file that can be opened anew after it was rotated.
    """

    def __init__(
        self, line: Line, stream: TextIO | None = None, path: str = "", repeats: int = 0
    ) -> None:
        """
        @param repeats: lines of one kind and address a minute; see L{Repeats}
        """
        self._line = line
        self._repeats = Repeats(repeats)
        self._path = path
        self._stream = _open(path) if path else stream if stream is not None else sys.stderr

    def __call__(self, event: LogEvent) -> None:
        """
        Write one event. A disk that is full does not stop the server.
        """
        try:
            for each in self._repeats.written(event):
                self._stream.write(self._line(each))
            self._stream.flush()
        except (OSError, ValueError):
            return

    def reopen(self) -> None:
        """
        Go on in a new file of the same name; in the old one if that cannot be made.
        """
        if not self._path:
            return
        try:
            fresh = _open(self._path)
        except OSError:
            return
        old, self._stream = self._stream, fresh
        old.close()


def _open(path: str) -> TextIO:
    descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o640)
    return os.fdopen(descriptor, "a", encoding="utf-8", errors="backslashreplace")
