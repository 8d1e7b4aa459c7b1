"""
What L{mailaccess.wire.framing.Framer} tells, and the limits it is given.
"""

from __future__ import annotations

import attrs


@attrs.frozen
class FramingLimits:
    """
    What one command may take, in octets.

    @ivar line: all of a command but its literals
    @ivar literal: one literal
    @ivar literals_total: all accepted literals of a command
    @ivar literals_count: how many of them
    """

    line: int
    literal: int
    literals_total: int
    literals_count: int


PRE_AUTH = FramingLimits(8192, 4096, 65536, 10)
POST_AUTH = FramingLimits(65536, 131072, 1024 * 1024, 1000)


def _size(octets: bytes) -> str:
    return f"<{len(octets)} octets>"  # they may hold a password


@attrs.define
class Command:
    """
    A complete command. Not frozen: one is made for every command, and freezing doubles the cost.

    @ivar text: literals stand where they came, C{{5}\\r\\nhello}; without the last line end. After
        a streamed literal only what followed it
    """

    text: bytes = attrs.field(repr=_size)


@attrs.frozen
class Announced:
    """
    A literal is about to come; C{accept}, C{stream} or C{refuse} it.

    @ivar text: the command so far, announcement and its line end included; of a longer one the
        first 64 KiB, so that a thousand literals do not copy the whole a thousand times
    @ivar size: octets, 0 to 2**63-1
    @ivar synchronising: the client waits for a continuation request
    @ivar binary: a literal8, C{~{5}} (RFC 3516 section 4.4)
    """

    text: bytes = attrs.field(repr=_size)
    size: int
    synchronising: bool
    binary: bool


@attrs.frozen
class Chunk:
    """
    Octets of a streamed literal.

    @ivar last: the literal is complete
    """

    data: bytes = attrs.field(repr=_size)
    last: bool


@attrs.frozen
class Overlong:
    """
    A line over the limit. Its rest, and the non-synchronising literals that belong to it, are
    dropped as they come.

    @ivar text: the first octets, so that the tag can be answered
    """

    text: bytes = attrs.field(repr=_size)


@attrs.frozen
class BadLiteral:
    """
    Braces at the end of a line, outside quotes, without a size in them.

    @ivar synchronising: false if the client goes on sending all the same. How much is unknown, so
        nothing after it can be told from commands: the framer reads nothing more, the session ends
    """

    text: bytes = attrs.field(repr=_size)
    expected: str
    synchronising: bool = True


Event = Command | Announced | Chunk | Overlong | BadLiteral
