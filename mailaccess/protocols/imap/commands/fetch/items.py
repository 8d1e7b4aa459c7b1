"""
What one FETCH item is made of: the seam for extensions.

An extension puts a parser into its C{fetch_items}, by the item's name in capitals. The parser gets
a cursor behind the name and returns one of three kinds of L{Item}, by what the value is made from:

    Column      columns of the mailbox, or ENVELOPE and BODYSTRUCTURE: many messages at a time
    OfHeader    the header block
    OfOctets    the whole message, which is read once for all items that need it
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Hashable, Iterable, Mapping, Sequence
from typing import Any, TypeVar

import attrs

from .....interfaces import Description, IMailbox
from .....message.header import header_end
from .....message.scan import Part, scan
from .....wire.cursor import Cursor
from .....wire.writer import literal
from ...session import Session

T = TypeVar("T")


@attrs.define(eq=False)
class Batch:
    """
    Some messages that are answered together.

    @ivar rows: which, ascending, from 0
    @ivar uids: theirs
    @ivar recents: UIDs that are recent for this session; none if that is none of these messages
    @ivar descriptions: theirs, if an item asked for them
    @ivar headers: their header blocks, if an item asked for them
    @ivar fields: header fields of some names, if items asked for nothing else of the header
    """

    session: Session
    mailbox: IMailbox
    rows: Sequence[int]
    uids: Sequence[int]
    recents: Collection[int] = ()
    descriptions: Sequence[Description] = ()
    headers: Sequence[bytes] = ()
    fields: Mapping[frozenset[bytes], Sequence[bytes]] = attrs.field(factory=dict)

    def of(self, column: Sequence[T]) -> Sequence[T]:
        """
        The values of a whole column for these rows.
        """
        return picked(column, self.rows)


def picked(column: Sequence[T], rows: Sequence[int]) -> Sequence[T]:
    """
    Values of a column by row.
    """
    if isinstance(rows, range):
        return column[rows.start : rows.stop]
    return [column[row] for row in rows]


class Message:
    """
    One message that was read.

    @ivar data: the whole of it
    """

    __slots__ = ("_root", "data")

    def __init__(self, data: bytes) -> None:
        self.data = data
        self._root: Part | None = None

    @property
    def root(self) -> Part:
        """
        Its tree of parts, found once.
        """
        if self._root is None:
            self._root = scan(self.data)
        return self._root

    @property
    def header(self) -> bytes:
        """
        Its header block, with the empty line.
        """
        return self.data[: header_end(self.data)]


@attrs.frozen
class Column:
    """
    A value from the mailbox's columns or descriptions.

    @ivar label: the item's name in the response
    @ivar values: a value for each message of a batch
    @ivar form: how one is written: C{%d} of a number, C{%b} of octets
    @ivar describes: needs L{Batch.descriptions}
    """

    label: bytes
    values: Callable[[Batch], Iterable[Any]]
    form: bytes = b"%b"
    describes: bool = False
    sets_seen: bool = False
    key: Hashable = None


@attrs.frozen
class OfHeader:
    """
    A value from the header block.

    @ivar octets: the value, made an C{nstring} by who asks
    @ivar sets_seen: asking for it sets C{\\Seen} (RFC 3501 section 6.4.5)
    @ivar key: what besides the label makes it another item
    @ivar names: the value is made from fields of these names, in lower case, and an empty line
    """

    label: bytes
    octets: Callable[[bytes], bytes | None]
    sets_seen: bool = False
    key: Hashable = None
    names: frozenset[bytes] | None = None


@attrs.frozen
class OfOctets:
    """
    A value from the whole message.

    @ivar octets: the value, made an C{nstring} by who asks
    @ivar binary: written as a C{literal8} (RFC 3516 section 4.2)
    @ivar rendered: it is written as it is, being no string
    """

    label: bytes
    octets: Callable[[Message], bytes | None]
    sets_seen: bool = False
    binary: bool = False
    rendered: bool = False
    key: Hashable = None


Item = Column | OfHeader | OfOctets
ItemParser = Callable[[Cursor], Item]


def short(value: bytes | None) -> bytes:
    """
    A value small enough to be written in one go.
    """
    return literal(value) if value else b"NIL" if value is None else b'""'
