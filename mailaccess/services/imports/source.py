"""
What an import asks of the place where mail comes from.
"""

from __future__ import annotations

import re
from collections.abc import Container, Iterator
from typing import Protocol

import attrs

KEYWORD = re.compile(r"[!#$&'+,\-./0-9:;<=>?@A-Z^_`a-z|~]{1,100}")
"""What may be a keyword: an atom (RFC 9051 section 9)."""


class CannotImport(Exception):
    """
    The source cannot be read; the text says why, and the way out.
    """


@attrs.frozen
class Folder:
    """
    A mailbox there.

    @ivar name: of the mailbox here, levels parted by C{/}
    @ivar place: how the source finds it
    @ivar count: messages, as far as it is known
    """

    name: str
    place: str
    count: int | None = None
    subscribed: bool = False


@attrs.frozen
class Message:
    """
    A message there.

    @ivar key: the same each time the message is seen, of no other in its folder
    @ivar data: with CRLF line ends
    @ivar flags: system flags with their backslash, and keywords
    @ivar date: seconds since 1970, None if it is not known
    @ivar fraction: how much of the folder has been read with this one
    """

    key: str
    data: bytes = attrs.field(repr=False)
    flags: tuple[str, ...] = ()
    date: int | None = None
    fraction: float = 0.0


class Source(Protocol):
    """
    Blocks; used by one thread at a time.

    @ivar label: what it is, the same the next time
    @ivar left_out: what cannot be brought, in words, with its place
    """

    label: str
    left_out: list[str]

    def folders(self) -> list[Folder]:
        """
        All there are.

        @raise CannotImport: it cannot be read
        """

    def messages(self, folder: Folder, done: Container[str]) -> Iterator[Message]:
        """
        Those whose key is not done yet.

        @raise CannotImport: it cannot be read any further
        """

    def close(self) -> None:
        """
        Nothing more is asked.
        """
