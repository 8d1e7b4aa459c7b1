"""
The search keys of RFC 3501 section 6.4.4.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from .....errors import BadSyntax
from .....store.query import (
    All,
    And,
    Before,
    Body,
    Flag,
    Header,
    Larger,
    On,
    Query,
    Since,
    Smaller,
    Text,
)
from .terms import KeyParser, Terms


def _fixed(query: Query) -> KeyParser:
    return lambda _terms: query


def _field(name: str) -> KeyParser:
    return lambda terms: Header(name, terms.text())


def _header(terms: Terms) -> Query:
    cursor = terms.cursor
    name = terms.word()
    if not name:
        raise BadSyntax("header-fld-name", cursor.pos)
    return Header(name, terms.text())


def _day(kind: Callable[..., Any], *, internal: bool = True) -> KeyParser:
    return lambda terms: kind(terms.date(), internal)


def _flags() -> dict[bytes, KeyParser]:
    keys = {}
    for word in ("Answered", "Deleted", "Draft", "Flagged", "Seen"):
        name = word.upper().encode("ascii")
        keys[name] = _fixed(Flag("\\" + word))
        keys[b"UN" + name] = _fixed(Flag("\\" + word, present=False))
    return keys


KEYS: Mapping[bytes, KeyParser] = {
    **_flags(),
    b"ALL": _fixed(All()),
    b"BCC": _field("Bcc"),
    b"BEFORE": _day(Before),
    b"BODY": lambda terms: Body(terms.text()),
    b"CC": _field("Cc"),
    b"FROM": _field("From"),
    b"HEADER": _header,
    b"KEYWORD": lambda terms: Flag(terms.keyword()),
    b"LARGER": lambda terms: Larger(terms.number()),
    b"NEW": _fixed(And((Flag("\\Recent"), Flag("\\Seen", present=False)))),
    b"OLD": _fixed(Flag("\\Recent", present=False)),
    b"ON": _day(On),
    b"RECENT": _fixed(Flag("\\Recent")),
    b"SENTBEFORE": _day(Before, internal=False),
    b"SENTON": _day(On, internal=False),
    b"SENTSINCE": _day(Since, internal=False),
    b"SINCE": _day(Since),
    b"SMALLER": lambda terms: Smaller(terms.number()),
    b"SUBJECT": _field("Subject"),
    b"TEXT": lambda terms: Text(terms.text()),
    b"TO": _field("To"),
    b"UID": Terms.uids,
    b"UNKEYWORD": lambda terms: Flag(terms.keyword(), present=False),
}
