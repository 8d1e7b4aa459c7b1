"""
A process that helps: reads messages and computes what is kept of them, so that a server with much
to compute goes on answering. Runs C{python -m mailaccess.store.maildir.helper}; L{helpers} starts
it and talks to it through its standard input and output.

A request is a tuple C{(what, root, directory, names)}, the answer a list with a value or None for
each name: None for what cannot be read, is not a regular file, or is so long that the asker had
better do it with care. Both are what L{marshal} writes, with their length before them. It ends
with its input, or when nobody asked for a while.

Only modules that are quickly loaded are imported here: none of Twisted.
"""

from __future__ import annotations

import contextlib
import gc
import marshal
import select
import signal
import struct
import sys
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import BinaryIO

from mailaccess.message.decode import unstructured
from mailaccess.message.header import header_end, unfold
from mailaccess.message.lineends import crlf_size, to_crlf
from mailaccess.message.scan import Fields, fields_of_message, scan
from mailaccess.message.structure import forms
from mailaccess.message.text import fold
from mailaccess.store.disk import Disk, Tree
from mailaccess.store.maildir import kinds
from mailaccess.store.searched import Message

LENGTH = struct.Struct("<I")
READY = b"r"
REST = 30.0
"""Seconds without a request after which it ends."""

LONG = 1024 * 1024
"""Octets of a message that is not read here."""

HEAD = 16 * 1024
"""Octets that are read of a message whose header is asked for."""

ROOM = 32 * 1024 * 1024
"""Octets of an answer above which the rest is None."""

Request = tuple[str, str, str, list[str]]
Parts = tuple[bytes, ...] | None
Value = Mapping[int, Parts] | tuple[int, int]


_VALUES = [(name.encode("ascii"), kind) for name, kind in kinds.VALUES.items()]
_SHORT = 128


def _folded(value: bytes) -> bytes:
    plain = unfold(value)
    if plain.isascii() and b"=?" not in plain:
        return plain.lower() + kinds.END
    return kinds.folded((fold(unstructured(plain)),))[0]


_known = lru_cache(maxsize=4096)(_folded)


def described(data: bytes) -> Mapping[int, Parts]:
    """
    What clients ask for when they list messages, and search there: values by number of their kind.
    """
    root = scan(data)
    found = _listed(data[: root.body_start], root.fields)
    found[kinds.DESCRIPTION.number] = forms(data, root)
    return found


def listed(header: bytes) -> Mapping[int, Parts]:
    """
    As much of it as a header block tells.
    """
    return _listed(header, fields_of_message(header, 0, len(header)))


def _listed(header: bytes, fields: Fields) -> dict[int, Parts]:
    found: dict[int, Parts] = {kinds.FIELDS.number: kinds.usual_fields(header)}
    for name, kind in _VALUES:
        values = fields.get(name)
        if values is None:
            found[kind.number] = (b"",)
        else:
            known = [_folded(each) if len(each) > _SHORT else _known(each) for each in values]
            found[kind.number] = (b"".join(known),)
    return found


def searched(data: bytes) -> Mapping[int, Parts]:
    """
    All that is searched, and header fields.
    """
    texts = kinds.texts_of(Message(data), data)
    found: dict[int, Parts] = {kind.number: value for kind, value in texts.items()}
    found[kinds.FIELDS.number] = kinds.usual_fields(data[: header_end(data)])
    return found


def answer(disk: Disk, request: Request) -> list[Value | None]:
    """
    Do what is asked.
    """
    what, root, directory, names = request
    work = WORK[what]
    found: list[Value | None] = []
    room = ROOM
    with Tree(disk, root).open(directory, "cur") as cur:
        for name in names:
            value: Value | None = None
            if room > 0:
                with contextlib.suppress(OSError):
                    value = work(disk, name, cur)
            if isinstance(value, dict):
                room -= sum(len(part) for parts in value.values() for part in parts or ())
            found.append(value)
    return found


def _describe(disk: Disk, name: str, cur: int) -> Value | None:
    data = disk.read_short(name, cur, LONG)
    return None if data is None else described(to_crlf(data))


def _list(disk: Disk, name: str, cur: int) -> Value | None:
    data = disk.read(name, cur, HEAD)
    end = header_end(data)
    return None if end == HEAD else listed(to_crlf(data[:end]))


def _search(disk: Disk, name: str, cur: int) -> Value | None:
    data = disk.read_short(name, cur, LONG)
    return None if data is None else searched(to_crlf(data))


def _size(disk: Disk, name: str, cur: int) -> Value | None:
    found = disk.read_dated(name, cur, LONG)
    return None if found is None else (crlf_size(found[0]), found[1])


WORK: Mapping[str, Callable[[Disk, str, int], Value | None]] = {
    "describe": _describe,
    "list": _list,
    "search": _search,
    "size": _size,
}
"""
What can be asked for: what listings show, as much of that as headers tell, what is searched; and
octets with CRLF for line ends with the time when the file was written, in seconds.
"""


def main(source: BinaryIO, sink: BinaryIO) -> None:
    """
    Answer until there is no more to do.
    """
    disk = Disk()
    # Trees of parts have no cycles.
    gc.disable()
    sink.write(READY)
    sink.flush()
    while select.select([source], [], [], REST)[0]:
        head = source.read(LENGTH.size)
        if len(head) < LENGTH.size:
            return
        request: Request = marshal.loads(source.read(*LENGTH.unpack(head)))  # noqa: S302 - ours
        try:
            found = answer(disk, request)
        except OSError:
            # Of the directory: who asked will see it again, and say it.
            found = [None] * len(request[3])
        data = marshal.dumps(found)
        sink.write(LENGTH.pack(len(data)))
        sink.write(data)
        sink.flush()


if __name__ == "__main__":
    # Who started it says when it ends.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with contextlib.suppress(BrokenPipeError):
        main(sys.stdin.buffer, sys.stdout.buffer)
