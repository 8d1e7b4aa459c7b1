"""
What a search asks for, as values: the grammar of IMAP SEARCH builds them, the store evaluates them.

A query is a tree of the classes below. Whoever builds one keeps it within L{MAX_NODES} and
L{MAX_DEPTH}; evaluation refuses what is larger and never recurses over it. Text is compared as a
case-folded substring of decoded text; an empty text matches every message that has the field (RFC
9051 section 6.4.4).
"""

from __future__ import annotations

import datetime
from collections.abc import Sequence

import attrs

MAX_NODES = 1000
"""Most nodes a query may have."""

MAX_DEPTH = 50
"""Most nodes on the way from the root to a leaf."""


@attrs.frozen
class All:
    """
    Every message.
    """


@attrs.frozen
class And:
    """
    All of the parts match; of none: every message.
    """

    parts: Sequence[Query]


@attrs.frozen
class Or:
    """
    At least one of the two matches.
    """

    a: Query
    b: Query


@attrs.frozen
class Not:
    """
    The part does not match.
    """

    part: Query


@attrs.frozen
class Flag:
    """
    A flag is there, or is not. Case does not matter; a keyword the mailbox does not know is
    nowhere.

    @ivar name: C{\\Seen} and the like, C{\\Recent}, or a keyword
    """

    name: str
    present: bool = True


@attrs.frozen
class Rows:
    """
    A sequence set, resolved by the session.

    @ivar ranges: sorted C{(low, high)} of rows as Python counts them: row 0 is sequence number 1,
        C{high} is not in it. C{2:4} is C{(1, 4)}.
    """

    ranges: Sequence[tuple[int, int]]


@attrs.frozen
class Uids:
    """
    A set of UIDs, which need not exist.

    @ivar ranges: C{(low, high)}, both of them in it, as written in the set: C{2:4} is C{(2, 4)}
    """

    ranges: Sequence[tuple[int, int]]


@attrs.frozen
class Since:
    """
    On the day or later. Days are those of UTC for the internal date, and those written in the
    header for the date sent (RFC 3501 section 6.4.4).

    @ivar internal: the internal date (SINCE), else the header's (SENTSINCE)
    """

    date: datetime.date
    internal: bool = True


@attrs.frozen
class Before:
    """
    Before the day (BEFORE, SENTBEFORE).
    """

    date: datetime.date
    internal: bool = True


@attrs.frozen
class On:
    """
    On the day (ON, SENTON).
    """

    date: datetime.date
    internal: bool = True


@attrs.frozen
class Older:
    """
    The internal date lies at least so many seconds back (RFC 5032 section 3).
    """

    seconds: int


@attrs.frozen
class Younger:
    """
    The internal date lies at most so many seconds back (RFC 5032 section 3).
    """

    seconds: int


@attrs.frozen
class Larger:
    """
    RFC822.SIZE is greater than so many octets.
    """

    octets: int


@attrs.frozen
class Smaller:
    """
    RFC822.SIZE is less than so many octets.
    """

    octets: int


@attrs.frozen
class Modseq:
    """
    The mod-sequence is at least this (RFC 7162 section 3.1.5).
    """

    value: int


@attrs.frozen
class Header:
    """
    A header field has the text in its value; SUBJECT, FROM, TO, CC and BCC are this too.

    @ivar name: field name, case does not matter
    @ivar text: empty for "has the field"
    """

    name: str
    text: str


@attrs.frozen
class Body:
    """
    The text parts have the text.
    """

    text: str


@attrs.frozen
class Text:
    """
    The header or the text parts have the text.
    """

    text: str


Query = (
    All
    | And
    | Or
    | Not
    | Flag
    | Rows
    | Uids
    | Since
    | Before
    | On
    | Older
    | Younger
    | Larger
    | Smaller
    | Modseq
    | Header
    | Body
    | Text
)
"""Any of them."""
