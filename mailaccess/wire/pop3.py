"""
POP3 on the wire: lines, the words of a command, and messages with their dots doubled
(RFC 1939 section 3, RFC 2449 section 4).
"""

from __future__ import annotations

import re

from mailaccess.errors import BadSyntax
from mailaccess.wire.framing import Framer, Overlong

COMMAND_LIMIT = 255
"""Octets of a command line with its CRLF (RFC 2449 section 4)."""

_COMMAND = re.compile(rb"([A-Za-z][A-Za-z0-9]{2,15})(?: ([^\x00\r\n]*))?")
_POSITIVE = re.compile(rb"[1-9][0-9]{0,9}")
_COUNT = re.compile(rb"0|[1-9][0-9]{0,9}")


class LineFramer:
    """
    Cuts what a client sends into lines. How it was cut on the way never changes them.

    @ivar limit: octets of a line with its CRLF; may be set at any time, to a greater one while a
        SASL exchange runs (RFC 5034 section 4)
    """

    __slots__ = ("_framer", "limit")

    def __init__(self, limit: int = COMMAND_LIMIT, *, bare_lf: bool = True) -> None:
        self.limit = limit
        self._framer = Framer(bare_lf=bare_lf)

    @property
    def buffered(self) -> int:
        """
        Octets held: fed, and not yet given out.
        """
        return self._framer.buffered

    def feed(self, data: bytes) -> None:
        """
        Take in what arrived, cut anyhow.
        """
        self._framer.feed(data)

    def next(self) -> bytes | Overlong | None:
        """
        The next line without its end, or None until more is fed. The rest of an overlong line is
        dropped as it comes.
        """
        return self._framer.line(self.limit - 2)

    def take_rest(self) -> bytes:
        """
        Everything that was fed and not given out, which is forgotten here: for the TLS layer.
        """
        return self._framer.take_rest()


def parse(line: bytes) -> tuple[str, list[bytes], bytes]:
    """
    A command line: keyword in capitals, arguments, and all that stands behind the first space as it
    came, because spaces are part of a password (RFC 1939 section 7, PASS).

    @raise BadSyntax: no keyword, or NUL, CR or LF in the line
    """
    found = _COMMAND.fullmatch(line)
    if found is None:
        raise BadSyntax("a POP3 command")
    rest = found[2] or b""
    return found[1].decode("ascii").upper(), [word for word in rest.split(b" ") if word], rest


def message_number(word: bytes) -> int:
    """
    1 to 2**32-1, in ASCII digits without leading zeros.

    @raise BadSyntax: anything else
    """
    if not _POSITIVE.fullmatch(word) or int(word) >= 2**32:
        raise BadSyntax("a message number")
    return int(word)


def line_count(word: bytes) -> int:
    """
    0 to 2**32-1, as TOP takes it.

    @raise BadSyntax: anything else
    """
    if not _COUNT.fullmatch(word) or int(word) >= 2**32:
        raise BadSyntax("a number of lines")
    return int(word)


def dot_stuff(data: bytes) -> bytes:
    """
    A complete message with CRLF line ends, as a multi-line reply: dots doubled at the start of
    lines, a CRLF added where the last line has none, and the final C{.} line.
    """
    stuffer = DotStuffer()
    return stuffer.feed(data) + stuffer.end()


class DotStuffer:
    """
    The same for a message that comes in chunks, cut anywhere: also between the CR and the LF, or
    between the LF and the dot.
    """

    __slots__ = ("_before",)

    def __init__(self) -> None:
        self._before = b"\r\n"  # the last two octets; a message begins as a line does

    def feed(self, chunk: bytes) -> bytes:
        """
        What to send for the next octets of the message.
        """
        if not chunk:
            return b""
        stuffed = chunk.replace(b"\r\n.", b"\r\n..")
        if self._before == b"\r\n" and chunk[:1] == b".":
            stuffed = b"." + stuffed
        elif self._before[-1:] == b"\r" and chunk[:2] == b"\n.":
            stuffed = b"\n." + stuffed[1:]
        self._before = chunk[-2:] if len(chunk) > 1 else (self._before + chunk)[-2:]
        return stuffed

    def end(self) -> bytes:
        """
        What to send when the message is complete. The next L{feed} begins another.
        """
        complete = self._before == b"\r\n"
        self._before = b"\r\n"
        return b".\r\n" if complete else b"\r\n.\r\n"
