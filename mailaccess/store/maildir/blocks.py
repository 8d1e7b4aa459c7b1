"""
What can be computed from messages, packed for some neighbouring UIDs at a time.

A block holds values of one kind for UIDs that share their upper bits. A value has the same number
of parts for each message of a kind; all first parts lie together, then all second ones, so that a
part can be searched through, or cut up, for the whole block at once. A value that would be too long
is not kept; its UID says so, so that nobody tries again.

Nothing here is believed without its checksum, into which goes what the block is of: one that was
garbled, or that belongs elsewhere, is as good as none (DS-05). No length in it is trusted either.
"""

from __future__ import annotations

import struct
import sys
import zlib
from array import array
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise

import attrs

FORMAT = 1 if sys.byteorder == "little" else 129
"""Changes with the meaning of what is in blocks."""

_KEY = struct.Struct("<Bqqq")
_COUNTS = 2

Values = Mapping[int, Sequence[bytes] | None]
"""By UID; None for one that is too long."""


@attrs.frozen
class Kind:
    """
    @ivar bits: of a UID that tell messages of the same block apart
    @ivar limit: octets of one message's value, at most
    """

    number: int
    bits: int
    parts: int
    limit: int


@attrs.frozen(eq=False)
class Block:
    """
    @ivar uids: ascending
    @ivar long: UIDs whose value is not kept
    @ivar streams: of each part, all values
    @ivar ends: for each part, where values end in the stream
    """

    uids: array[int]
    long: array[int]
    streams: Sequence[bytes]
    ends: Sequence[array[int]]

    def part(self, number: int) -> list[bytes]:
        """
        One part of each value.
        """
        stream = self.streams[number]
        return [stream[start:end] for start, end in pairwise([0, *self.ends[number]])]

    def values(self) -> dict[int, tuple[bytes, ...] | None]:
        """
        What was packed.
        """
        parts = [self.part(number) for number in range(len(self.streams))]
        found: dict[int, tuple[bytes, ...] | None] = dict.fromkeys(self.long)
        found.update(zip(self.uids, zip(*parts, strict=True), strict=True))
        return found


def numbers_of(kind: Kind, uids: Iterable[int]) -> list[int]:
    """
    Blocks that the values of these UIDs are in, ascending.
    """
    bits = kind.bits
    return sorted({uid >> bits for uid in uids})


def pack(kind: Kind, token: int, number: int, values: Values) -> tuple[int, bytes, bytes]:
    """
    Checksum, head and data of a block.
    """
    kept: list[int] = []
    long: list[int] = []
    parts: list[Sequence[bytes]] = []
    for uid in sorted(values):
        value = values[uid]
        if value is None or sum(map(len, value)) > kind.limit:
            long.append(uid)
        else:
            kept.append(uid)
            parts.append(value)
    head = array("I", [len(kept), len(long), *kept, *long])
    streams = []
    for part in range(kind.parts):
        column = [value[part] for value in parts]
        end = 0
        for each in column:
            end += len(each)
            head.append(end)
        streams.append(b"".join(column))
    packed, data = head.tobytes(), b"".join(streams)
    return _sum(kind, token, number, packed, data), packed, data


def unpack(
    kind: Kind, token: int, number: int, row: tuple[object, object, object] | None
) -> Block | None:
    """
    A block that was packed; None if there is none, or it is not what was packed.
    """
    if row is None:
        return None
    total, packed, data = row
    if not isinstance(packed, bytes) or not isinstance(data, bytes) or len(packed) % 4:
        return None
    if total != _sum(kind, token, number, packed, data):
        return None
    head = array("I", packed)
    if len(head) < _COUNTS:
        return None
    count, long = head[0], head[1]
    if len(head) != _COUNTS + count + long + count * kind.parts:
        return None
    at = _COUNTS + count + long
    start = 0
    streams, ends = [], []
    for _ in range(kind.parts):
        column = head[at : at + count]
        at += count
        end = start + (column[-1] if count else 0)
        streams.append(data[start:end])
        ends.append(column)
        start = end
    uids = head[_COUNTS : _COUNTS + count]
    return Block(uids, head[_COUNTS + count : _COUNTS + count + long], streams, ends)


def _sum(kind: Kind, token: int, number: int, head: bytes, data: bytes) -> int:
    key = _KEY.pack(FORMAT, token, kind.number, number)
    return zlib.crc32(data, zlib.crc32(head, zlib.crc32(key)))
