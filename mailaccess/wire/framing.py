"""
Where IMAP commands and literals begin and end, before anybody asks what they mean.

Give what arrives to L{Framer.feed}, then call L{Framer.next} until it returns None. Reading the
bytes of a literal is the session's decision: after L{Announced} it calls one of C{accept},
C{stream} and C{refuse}. How the bytes were cut on the way never changes the events.

State          next() does                                        left by
-------------  -------------------------------------------------  ---------------------------------
COMMAND        waits for a line end                               Announced, Overlong, BadLiteral
ANNOUNCED      raises: a decision is due                          accept, stream, refuse
COLLECTING     waits for the literal, gives nothing               the literal's end: COMMAND
STREAMING      gives Chunks                                       the literal's end: COMMAND
SKIP_LITERAL   drops octets                                       the literal's end: SKIP_COMMAND
SKIP_COMMAND   drops a line                                       its end: COMMAND or SKIP_LITERAL
SKIP_LINE      drops a line without looking for literals          its end: COMMAND
LOST           drops everything: a literal of unknown size began  never
"""

from __future__ import annotations

import re
from enum import IntEnum

from mailaccess.wire.events import (
    POST_AUTH,
    PRE_AUTH,
    Announced,
    BadLiteral,
    Chunk,
    Command,
    Event,
    FramingLimits,
    Overlong,
)

__all__ = [
    "POST_AUTH",
    "PRE_AUTH",
    "Announced",
    "BadLiteral",
    "Chunk",
    "Command",
    "Event",
    "Framer",
    "FramingLimits",
    "Overlong",
]

_CR = 13
_CLOSING_BRACE = ord("}")
_LARGEST = 2**63 - 1
_TAIL = 64
"""Octets kept of a line that is dropped: enough for any announcement at its end."""
_ANSWERABLE = 1024
_ANNOUNCED = 65536
_COMPACT = 65536

# Nothing but whole quoted strings and octets outside of them. Possessive: linear on any input.
_OUTSIDE_QUOTES = re.compile(rb'[^"]*+(?:"[^"\\]*+(?:\\.[^"\\]*+)*+"[^"]*+)*+', re.DOTALL)
# What stands between the braces.
_SIZE = re.compile(rb"0*+([0-9]*)(\+?)")
_SKIPPED_SIZE = re.compile(rb"(\{|\A)([0-9]+)\+\}\r?\n\Z")


class _State(IntEnum):
    COMMAND = 0
    ANNOUNCED = 1
    COLLECTING = 2
    STREAMING = 3
    SKIP_LITERAL = 4
    SKIP_COMMAND = 5
    SKIP_LINE = 6
    LOST = 7


class Framer:
    """
    Cuts what a client sends into commands and literals. Memory is bounded by the limits and by what
    the caller feeds before it has taken the events.

    @ivar bare_lf: a tolerance: LF alone ends a line as CRLF does. CR alone never does
    """

    __slots__ = (
        "_binary",
        "_count",
        "_data",
        "_left",
        "_limits",
        "_line",
        "_literals",
        "_room",
        "_scan",
        "_size",
        "_start",
        "_state",
        "_synchronising",
        "_tail",
        "bare_lf",
    )

    def __init__(self, limits: FramingLimits = PRE_AUTH, *, bare_lf: bool = True) -> None:
        self.bare_lf = bare_lf
        self._limits = limits
        self._room = limits.line  # octets the command may have: limit and accepted literals
        self._data: bytes | bytearray = b""
        self._start = 0  # of the command, in _data; what lies before is done with
        self._line = 0  # of the line that is being looked at
        self._scan = 0  # no line end between _line and here
        self._state = _State.COMMAND
        self._literals = 0
        self._count = 0
        self._size = 0
        self._left = 0
        self._synchronising = True
        self._binary = False
        self._tail = b""

    @property
    def limits(self) -> FramingLimits:
        """
        May be set at any time; holds from the next line on.
        """
        return self._limits

    @limits.setter
    def limits(self, limits: FramingLimits) -> None:
        self._limits = limits
        self._room = limits.line + self._literals

    @property
    def buffered(self) -> int:
        """
        Octets held: fed, and not yet given out.
        """
        return len(self._data) - self._start

    @property
    def at_rest(self) -> bool:
        """
        The next octet begins a command: nothing is held, awaited or being dropped.
        """
        return not self._state and self._start >= len(self._data)

    @property
    def in_literal(self) -> bool:
        """
        Octets of a literal that was granted, or is dropped, have yet to come.
        """
        return _State.COLLECTING <= self._state <= _State.SKIP_LITERAL

    def over_limit(self, size: int) -> bool:
        """
        Whether one more literal of this size is over a limit of the running command.
        """
        limits = self._limits
        return (
            size > limits.literal
            or self._literals + size > limits.literals_total
            or self._count >= limits.literals_count
        )

    def feed(self, data: bytes) -> None:
        """
        Take in what arrived, cut anyhow.
        """
        held = self._data
        if self._start >= len(held):
            self._data = data
            self._start = self._line = self._scan = 0
            return
        if not isinstance(held, bytearray):
            held = bytearray(held[self._start :])
            self._moved(held)
        elif self._start > _COMPACT and self._start * 2 > len(held):
            del held[: self._start]
            self._moved(held)
        held += data

    def _moved(self, held: bytearray) -> None:
        self._data = held
        self._line -= self._start
        self._scan -= self._start
        self._start = 0

    def next(self) -> Event | None:
        """
        The next event, or None until more is fed.

        @raise RuntimeError: a literal was announced and not decided upon
        """
        while True:
            if self._state:
                event = self._go_on()
                if event is not None or self._state:
                    return event
            data = self._data
            end = data.find(b"\n", self._scan)
            if end < 0:
                return self._wait()
            stop = end
            if end > self._line and data[end - 1] == _CR:
                stop -= 1
            elif not self.bare_lf:
                self._scan = end + 1
                continue
            start = self._start
            if stop - start > self._room:
                return self._overlong(_State.SKIP_COMMAND)
            if data[stop - 1] == _CLOSING_BRACE:
                event = self._announcement(stop, end + 1)
                if event is not None:
                    return event
            text = data[start:stop]
            self._start = self._line = self._scan = end + 1
            if self._count:
                self._forget_literals()
            return Command(text if text.__class__ is bytes else bytes(text))

    def accept(self) -> None:
        """
        Collect the announced literal into the text of the command.
        """
        self._decide()
        self._count += 1
        self._literals += self._size
        self._room += self._size
        self._scan = self._line  # where the literal begins
        self._line += self._size
        self._state = _State.COLLECTING

    def stream(self) -> None:
        """
        Give the announced literal out in L{Chunk}s, and then what follows it. It counts against no
        limit.
        """
        self._decide()
        self._start = self._scan = self._line
        self._left = self._size
        self._forget_literals()
        self._state = _State.STREAMING

    def refuse(self) -> None:
        """
        Forget the command. A client that waits is ready for the next; of one that does not wait,
        the literal and all the rest of the command are dropped as they come.
        """
        self._decide()
        self._start = self._scan = self._line
        self._forget_literals()
        if self._synchronising:
            self._state = _State.COMMAND
        else:
            self._left = self._size
            self._state = _State.SKIP_LITERAL

    def line(self, limit: int) -> bytes | Overlong | None:
        """
        The next line as it is, without its end and without a meaning of braces: for SASL responses
        and for what ends IDLE. None until it is complete.

        @param limit: octets without the line end; the rest of a longer line is dropped
        @raise RuntimeError: a literal is running
        """
        if self._state:
            if self._state < _State.SKIP_LITERAL:
                raise RuntimeError("a literal is running")
            self._go_on()
            if self._state:
                return None
        while True:
            data, start = self._data, self._start
            end = data.find(b"\n", self._scan)
            if end < 0:
                if len(data) - start > limit + 1:
                    return self._overlong(_State.SKIP_LINE, limit)
                self._idle()
                return None
            stop = end
            if end > start and data[end - 1] == _CR:
                stop -= 1
            elif not self.bare_lf:
                self._scan = end + 1
                continue
            if stop - start > limit:
                return self._overlong(_State.SKIP_LINE, limit)
            self._start = self._line = self._scan = end + 1
            return bytes(data[start:stop])

    def take_rest(self) -> bytes:
        """
        Everything that was fed and not given out, which is forgotten here: for the TLS layer.
        """
        rest = bytes(self._data[self._start :])
        self._data = b""
        self._start = self._line = self._scan = 0
        self._forget_literals()
        self._state = _State.COMMAND
        return rest

    # ---- one step of each state -----------------------------------------------------------------

    def _wait(self) -> Overlong | None:
        # One octet more may be the CR of a line end that is still to come.
        if len(self._data) - self._start > self._room + 1:
            return self._overlong(_State.SKIP_COMMAND)
        self._idle()
        return None

    def _idle(self) -> None:
        """
        A waiting connection keeps no buffer, and does not look twice at what it keeps.
        """
        if self._start >= len(self._data):
            self._data = b""
            self._start = self._line = 0
        self._scan = len(self._data)

    def _overlong(self, state: _State, limit: int | None = None) -> Overlong:
        shown = min(_ANSWERABLE, self._room if limit is None else limit)
        text = bytes(self._data[self._start : self._start + shown])
        self._start = self._scan = self._line
        self._forget_literals()
        self._tail = b""
        self._state = state
        return Overlong(text)

    def _announcement(self, stop: int, after: int) -> Announced | BadLiteral | None:
        # literal = "{" number64 ["+"] "}" CRLF *CHAR8
        # literal8 = "~{" number64 ["+"] "}" CRLF *OCTET
        data = self._data
        brace = data.rfind(b"{", self._line, stop)
        if brace < 0 or not _OUTSIDE_QUOTES.fullmatch(data, self._line, brace):
            return None
        found = _SIZE.fullmatch(data, brace + 1, stop - 1)
        size = -1
        if found and len(found[1]) <= 19 and data[brace + 1 : brace + 2].isdigit():
            size = int(found[1] or b"0")
        if not 0 <= size <= _LARGEST:
            event = BadLiteral(
                bytes(data[self._start : min(stop, self._start + _ANSWERABLE)]),
                "a literal size of 0 to 9223372036854775807",
                data[stop - 2] != ord("+"),
            )
            self._start = self._line = self._scan = after
            self._forget_literals()
            if not event.synchronising:
                self._state = _State.LOST
            return event
        self._line = self._scan = after
        self._size = size
        self._synchronising = not (found and found[2])
        binary = brace > self._start and data[brace - 1] == ord("~")
        self._state = _State.ANNOUNCED
        text = bytes(data[self._start : min(after, self._start + _ANNOUNCED)])
        return Announced(text, size, self._synchronising, binary)

    def _go_on(self) -> Event | None:
        """
        Work in any state but COMMAND; the caller looks whether it is left.
        """
        state = self._state
        if state is _State.ANNOUNCED:
            raise RuntimeError("a literal awaits accept, stream or refuse")
        if state is _State.COLLECTING:
            if len(self._data) >= self._line:
                self._scan = self._line
                self._state = _State.COMMAND
            return None
        if state is _State.STREAMING:
            return self._chunk()
        while self._state >= _State.SKIP_LITERAL and self._skip():
            pass
        return None

    def _chunk(self) -> Chunk | None:
        data, start = self._data, self._start
        end = min(len(data), start + self._left)
        if start == end and self._left:
            self._data = b""
            self._start = self._line = self._scan = 0
            return None
        self._start = self._line = self._scan = end
        self._left -= end - start
        if not self._left:
            self._state = _State.COMMAND
        return Chunk(bytes(data[start:end]), not self._left)

    def _skip(self) -> bool:
        """
        Drop what may be dropped; whether the state changed.
        """
        data, start = self._data, self._start
        if self._state is _State.SKIP_LITERAL:
            end = min(len(data), start + self._left)
            self._left -= end - start
            changed = not self._left
            if changed:
                self._tail = b""
                self._state = _State.SKIP_COMMAND
        elif self._state is _State.LOST:
            end = len(data)
            changed = False
        else:
            end = data.find(b"\n", self._scan) + 1
            changed = end > 0
            end = end or len(data)
            self._tail = (self._tail + data[max(start, end - _TAIL) : end])[-_TAIL:]
            if changed and (self.bare_lf or self._tail.endswith(b"\r\n")):
                self._line_dropped()
        self._start = self._line = self._scan = end
        if end == len(data):
            self._data = b""
            self._start = self._line = self._scan = 0
        return changed

    def _line_dropped(self) -> None:
        tail, self._tail = self._tail, b""
        found = _SKIPPED_SIZE.search(tail) if self._state is _State.SKIP_COMMAND else None
        self._state = _State.COMMAND
        if found and (found[1] or len(tail) >= _TAIL):
            self._left = int(found[2])
            # Digits without the brace: more of them than any size has.
            known = found[1] and self._left <= _LARGEST
            self._state = _State.SKIP_LITERAL if known else _State.LOST

    def _decide(self) -> None:
        if self._state is not _State.ANNOUNCED:
            raise RuntimeError("no literal awaits a decision")

    def _forget_literals(self) -> None:
        self._literals = self._count = 0
        self._room = self._limits.line
