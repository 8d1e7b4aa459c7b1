"""
From the words of SEARCH to a query: the seam for extensions, and the loop.

An extension puts a parser into its C{search_keys}, by the key's name in capitals. The parser gets
L{Terms} with the cursor behind the name, and returns a L{mailaccess.store.query.Query}.
NOT, OR and parentheses are read here, without recursion and within limits (PAR-09).
"""

from __future__ import annotations

import datetime
import re
from collections.abc import Callable, Mapping

import attrs

from .....errors import BadSyntax, LimitReached
from .....store.query import MAX_DEPTH, MAX_NODES, And, Not, Or, Query, Rows, Uids
from .....wire.cursor import Cursor
from .....wire.grammar import atoms, dates
from .....wire.grammar.names import sequence_set
from ...session import Session

_WORD = re.compile(rb"[A-Za-z][A-Za-z0-9.-]*")
_SET = re.compile(rb"[0-9*]")


@attrs.define(eq=False)
class Terms:
    """
    What a key's parser works with. Each method takes one argument and the space before it.

    @ivar codec: Python's name for the character set of strings
    """

    session: Session
    cursor: Cursor
    codec: str = "utf-8"

    def text(self) -> str:
        """
        A string in the character set of the command.

        @raise BadSyntax: octets that the character set does not have
        """
        cursor = self.cursor
        cursor.space()
        start = cursor.pos
        raw = atoms.astring(cursor)
        try:
            return raw.decode(self.codec)
        except (UnicodeError, ValueError):
            raise BadSyntax("text in the character set of the command", start) from None

    def word(self) -> str:
        """
        An atom or string of ASCII, C{header-fld-name} and the like.
        """
        cursor = self.cursor
        cursor.space()
        start = cursor.pos
        raw = atoms.astring(cursor)
        if not raw.isascii():
            raise BadSyntax("astring of ASCII", start)
        return raw.decode("ascii")

    def keyword(self) -> str:
        """
        A C{flag-keyword}.
        """
        self.cursor.space()
        return atoms.atom(self.cursor).decode("ascii")

    def number(self) -> int:
        """
        0 to 2**63-1.
        """
        self.cursor.space()
        return atoms.number64(self.cursor)

    def date(self) -> datetime.date:
        """
        A day.
        """
        self.cursor.space()
        return dates.date(self.cursor)

    def uids(self) -> Query:
        """
        A set of UIDs, C{*} being the highest there is.
        """
        self.cursor.space()
        uids = self.session.selected.rows.uids
        return Uids(tuple(sequence_set(self.cursor).resolve(uids[-1] if len(uids) else 0)))

    def rows(self) -> Query:
        """
        A set of sequence numbers. Those that no message has match none: a search in an empty
        mailbox finds nothing rather than fails.
        """
        ranges = sequence_set(self.cursor).resolve(len(self.session.selected.rows))
        return Rows(tuple((low - 1, high) for low, high in ranges))


KeyParser = Callable[[Terms], Query]


@attrs.define(eq=False)
class _Open:
    """
    Something that waits for its parts.
    """

    kind: bytes
    parts: list[Query] = attrs.field(factory=list)


class _Reader:
    """
    One reading of the keys of a command.
    """

    def __init__(self, terms: Terms, parsers: Mapping[bytes, KeyParser]) -> None:
        self.terms = terms
        self.parsers = parsers
        self.nodes = 1
        self.open = [_Open(b"")]

    # search-key = ... / "(" search-key *(SP search-key) ")" / "NOT" SP search-key /
    #              "OR" SP search-key SP search-key / sequence-set / "UID" SP sequence-set
    def read(self) -> Query:
        cursor = self.terms.cursor
        while True:
            key = self._begin()
            if key is None:
                continue
            complete = self._finish(key)
            if complete is not None:
                return complete
            cursor.space()

    def _begin(self) -> Query | None:
        """
        One key, or None where something was opened that waits for its parts.
        """
        cursor = self.terms.cursor
        if cursor.looking_at(b"("):
            self._push(b"(")
            cursor.open()
            return None
        if _SET.match(cursor.text, cursor.pos):
            key: Query = self.terms.rows()
            self._count(key)
            return key
        start = cursor.pos
        name = cursor.match(_WORD, "search-key")[0].upper()
        if name in (b"NOT", b"OR"):
            self._push(name)
            cursor.space()
            return None
        parser = self.parsers.get(name)
        if parser is None:
            raise BadSyntax("search-key", start)
        key = parser(self.terms)
        self._count(key)
        return key

    def _finish(self, key: Query) -> Query | None:
        """
        Put a key where it belongs, and whatever it completes; the whole query once that is.
        """
        cursor = self.terms.cursor
        while True:
            waiting = self.open[-1]
            waiting.parts.append(key)
            parts = waiting.parts
            if waiting.kind == b"NOT":
                key = Not(key)
            elif waiting.kind == b"OR":
                if len(parts) < 2:
                    return None
                key = Or(parts[0], parts[1])
            elif waiting.kind == b"(":
                if not cursor.looking_at(b")"):
                    return None
                cursor.close()
                key = _all_of(parts)
            elif cursor.at_end():
                return _all_of(parts)
            else:
                return None
            self.open.pop()

    def _push(self, kind: bytes) -> None:
        # A leaf may be two deep itself (NEW).
        if len(self.open) + 2 >= MAX_DEPTH:
            raise BadSyntax(
                "search keys that are not so deep in one another", self.terms.cursor.pos
            )
        self.open.append(_Open(kind))
        self._add(1)

    def _count(self, key: Query) -> None:
        self._add(1 + len(key.parts) if isinstance(key, And) else 1)

    def _add(self, nodes: int) -> None:
        self.nodes += nodes
        if self.nodes > MAX_NODES:
            raise LimitReached("Too many search keys")


def _all_of(parts: list[Query]) -> Query:
    return parts[0] if len(parts) == 1 else And(tuple(parts))


def parse(terms: Terms, parsers: Mapping[bytes, KeyParser]) -> Query:
    """
    All keys that are left, to the end of the command; each of them has to match.

    @raise BadSyntax: a key that is not there, or keys too deep in one another
    @raise LimitReached: too many keys
    """
    return _Reader(terms, parsers).read()
