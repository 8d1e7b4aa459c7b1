"""
Evaluating a search.

First on columns, for all messages at once: a set of rows is an integer with one octet a row, 0 or
1, so that AND, OR and NOT are single operations. Keys that need the message's text leave rows
undecided. For rows that the rest of the query leaves open, what is kept of messages is asked, where
that costs least first. Only for those that are open then, messages are read, a slice at a time in a
thread.

No step recurses over the query: it is turned into a list, parts before what they are parts of.
"""

from __future__ import annotations

import datetime
import sys
import time
from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from itertools import accumulate, compress
from typing import Any, Protocol

import attrs
from twisted.internet.task import deferLater

from mailaccess.errors import LimitReached
from mailaccess.interfaces import KEYWORD_BIT, SYSTEM_FLAGS
from mailaccess.message import text as message_text
from mailaccess.store import query as q
from mailaccess.store.searched import Message, compares_with

_SYSTEM = {name.lower(): bit for name, bit in SYSTEM_FLAGS.items()}
_SLICE_ROWS = 100
_SLICE_SECONDS = 0.02
_DAY = 86400
_EPOCH = datetime.date(1970, 1, 1)
_COLUMNS_AT_ONCE = 200_000
_FEW = 4
_NOT = bytes((1, 0)) + bytes(254)


class View(Protocol):
    """
    What is needed of a session's mailbox.
    """

    @property
    def rows(self) -> Any:
        """
        Its rows.
        """

    @property
    def keywords(self) -> Sequence[str]:
        """
        Its keywords.
        """

    def is_recent(self, uid: int) -> bool:
        """
        Whether a message is recent.
        """


class Texts(Protocol):
    """
    Where the text of messages comes from: read and decoded each time, or from a cache.
    """

    def matching(
        self, uids: Sequence[int], test: Callable[[int, Message], bool]
    ) -> Awaitable[Sequence[bool]]:
        """
        Which of some messages pass a test, which is also given their place in C{uids}; one that is
        gone does not.
        """

    def kept(self, key: q.Query, uids: Sequence[int]) -> Awaitable[tuple[bytes, bytes]]:
        """
        What is known of a key that needs the text without reading messages: for each UID, all of
        them ascending, an octet that is 1 if the message matches, and one that is 1 if that is
        known.
        """


@attrs.frozen
class Step:
    """
    A node of the query, in the list.

    @ivar node: what it is
    @ivar parts: places of its parts in the list
    """

    node: q.Query
    parts: tuple[int, ...]


def flatten(query: q.Query) -> list[Step]:
    """
    The query as a list, parts first, the root last.

    @raise LimitReached: too many nodes, or too deep
    """
    order: list[tuple[q.Query, int]] = []
    waiting: list[tuple[q.Query, int, int]] = [(query, -1, 1)]
    while waiting:
        node, parent, depth = waiting.pop()
        place = len(order)
        order.append((node, parent))
        if place >= q.MAX_NODES or depth > q.MAX_DEPTH:
            raise LimitReached("Search too complex")
        waiting.extend((part, place, depth + 1) for part in _parts(node))
    last = len(order) - 1
    below: list[list[int]] = [[] for _ in order]
    for place, (_, parent) in enumerate(order):
        if parent >= 0:
            below[parent].append(last - place)
    return [
        Step(node, tuple(below[place])) for place, (node, _) in reversed(list(enumerate(order)))
    ]


def _parts(node: q.Query) -> Sequence[q.Query]:
    if isinstance(node, q.And):
        return node.parts
    if isinstance(node, q.Or):
        return (node.a, node.b)
    return (node.part,) if isinstance(node, q.Not) else ()


async def run(view: View, query: q.Query, texts: Texts, reactor: Any) -> Sequence[int]:
    """
    Sequence numbers, ascending, of the rows that match.

    @raise LimitReached: the query is too large
    """
    steps = flatten(query)
    rows = view.rows
    count = len(rows)
    if not count:
        return []
    columns = Columns(view, rows, count)
    sets = await _evaluate(steps, columns, {}, reactor)
    # A thread for a few messages would cost more than reading them.
    if sets[-1][1].bit_count() > _FEW:
        known: dict[int, tuple[int, int]] = {}
        for cost in (1, 2, 3):
            places = [n for n, step in enumerate(steps) if _cost(step.node) == cost]
            if places and sets[-1][1]:
                for place in places:
                    known[place] = await _kept(steps[place].node, rows, sets[-1][1], texts, count)
                sets = await _evaluate(steps, columns, known, reactor)
    sure, open_ = sets[-1]
    if open_:
        sure |= await _read(steps, sets, rows, open_, texts, count)
    return _numbers(sure, count)


def _numbers(sure: int, count: int) -> Sequence[int]:
    """
    The numbers, from 1, of the rows in a set.
    """
    octets = sure.to_bytes(count, "little")
    if sure.bit_count() > count // 4:
        return list(compress(range(1, count + 1), octets))
    # Few: from one to the next at the speed of a search for an octet.
    gaps = octets.split(b"\x01")
    del gaps[-1]
    return list(accumulate(map((1).__add__, map(len, gaps))))


async def _evaluate(
    steps: Sequence[Step], columns: Columns, known: Mapping[int, tuple[int, int]], reactor: Any
) -> list[tuple[int, int]]:
    """
    The rows that match each step for sure, and those left open.

    @param known: the same for some of them
    """
    until = time.monotonic() + _SLICE_SECONDS
    sets: list[tuple[int, int]] = []
    for place, step in enumerate(steps):
        sets.append(known.get(place) or columns.evaluate(step, sets))
        if columns.count > _COLUMNS_AT_ONCE or time.monotonic() > until:
            await deferLater(reactor, 0)
            until = time.monotonic() + _SLICE_SECONDS
    return sets


async def _kept(key: q.Query, rows: Any, open_: int, texts: Texts, count: int) -> tuple[int, int]:
    """
    What is known of a key: rows that match, and those, open ones or not, of which nothing is known.
    """
    asked = open_.to_bytes(count, "little")
    if asked.count(1) == count:
        hits, known = await texts.kept(key, array("I", rows.uids))
    else:
        hits, known = await texts.kept(key, array("I", compress(rows.uids, asked)))
        undecided = list(compress(range(count), asked))
        hits, known = _spread(hits, undecided, count), _spread(known, undecided, count)
    return int.from_bytes(hits, "little"), int.from_bytes(known.translate(_NOT), "little")


def _spread(octets: bytes, rows: Sequence[int], count: int) -> bytes:
    """
    What is known of some rows, put where they are among all.
    """
    found = bytearray(count)
    for row in compress(rows, octets):
        found[row] = 1
    return bytes(found)


async def _read(
    steps: Sequence[Step],
    sets: Sequence[tuple[int, int]],
    rows: Any,
    open_: int,
    texts: Texts,
    count: int,
) -> int:
    """
    Read the messages of rows that the columns left open.
    """
    undecided = list(compress(range(count), open_.to_bytes(count, "little")))
    decider = Decider(steps, sets, count)
    matched = bytearray(count)
    for start in range(0, len(undecided), _SLICE_ROWS):
        part = undecided[start : start + _SLICE_ROWS]

        def test(number: int, message: Message, part: Sequence[int] = part) -> bool:
            return decider.decide(part[number], message)

        found = await texts.matching([rows.uids[row] for row in part], test)
        for row, hit in zip(part, found, strict=True):
            matched[row] = hit
    return int.from_bytes(matched, "little")


class Decider:
    """
    Decides single rows, reading no more than is needed: what costs less is asked first.
    """

    def __init__(self, steps: Sequence[Step], sets: Sequence[tuple[int, int]], count: int) -> None:
        self._steps = steps
        self._sure = [sure.to_bytes(count, "little") for sure, _ in sets]
        self._open = [left.to_bytes(count, "little") for _, left in sets]
        self._tests = [_test(step.node) for step in steps]
        costs: list[int] = []
        for step in steps:
            costs.append(max((costs[part] for part in step.parts), default=_cost(step.node)))
        self._order = [sorted(step.parts, key=costs.__getitem__) for step in steps]

    def decide(self, row: int, message: Message) -> bool:
        """
        Whether a row matches.
        """
        frames: list[tuple[int, Iterator[int]]] = []
        place = len(self._steps) - 1
        while True:
            test = self._tests[place]
            if not self._open[place][row]:
                value = bool(self._sure[place][row])
            elif test is not None:
                value = test(message)
            else:
                frames.append((place, iter(self._order[place])))
                place = next(frames[-1][1])
                continue
            following = None
            while frames and following is None:
                parent, rest = frames[-1]
                node = self._steps[parent].node
                if isinstance(node, q.Not):
                    value = not value
                # The first true part decides an OR, the first false one an AND.
                elif isinstance(node, q.Or) is not value:
                    following = next(rest, None)
                if following is None:
                    frames.pop()
            if following is None:
                return value
            place = following


def _cost(node: q.Query) -> int:
    match node:
        case q.Since(internal=False) | q.Before(internal=False) | q.On(internal=False):
            return 1
        case q.Header():
            return 2
        case q.Body() | q.Text():
            return 3
    return 0


def _test(node: q.Query) -> Callable[[Message], bool] | None:
    """
    What a key that needs the text asks of a message.
    """
    match node:
        case q.Header(name=name, text=text):
            wanted, field = message_text.fold(text), name.lower()
            return lambda message: any(wanted in value for value in message.values(field))
        case q.Body(text=text):
            wanted = message_text.fold(text)
            return lambda message: wanted in message.body
        case q.Text(text=text):
            wanted = message_text.fold(text)
            return lambda message: wanted in message.header or wanted in message.body
        case q.Since(date=date) | q.Before(date=date) | q.On(date=date):
            compare = compares_with(node)
            return lambda message: message.sent is not None and compare(message.sent, date)
    return None


class Columns:
    """
    Keys that columns answer, for all rows at once.
    """

    def __init__(self, view: View, rows: Any, count: int) -> None:
        self._view = view
        self._rows = rows
        self.count = self._count = count
        self._all = int.from_bytes(b"\x01" * count, "little")
        self._now = int(time.time())

    def evaluate(self, step: Step, sets: Sequence[tuple[int, int]]) -> tuple[int, int]:
        """
        The rows that match for sure, and those left open.
        """
        node = step.node
        parts = [sets[part] for part in step.parts]
        if isinstance(node, q.And):
            sure = possible = self._all
            for part_sure, part_open in parts:
                sure &= part_sure
                possible &= part_sure | part_open
            return sure, possible & ~sure
        if isinstance(node, q.Or):
            sure = parts[0][0] | parts[1][0]
            return sure, (parts[0][1] | parts[1][1]) & ~sure
        if isinstance(node, q.Not):
            sure, left = parts[0]
            return self._all & ~(sure | left), left
        if _test(node) is not None and not getattr(node, "internal", False):
            return 0, self._all
        return self._leaf(node), 0

    def _leaf(self, node: q.Query) -> int:
        rows, now = self._rows, self._now
        match node:
            case q.Flag(name=name, present=present):
                found = self._flag(name)
                return found if present else self._all & ~found
            case q.Rows(ranges=ranges):
                return self._spans(ranges)
            case q.Uids(ranges=ranges):
                uids = rows.uids
                return self._spans(
                    (bisect_left(uids, low), bisect_right(uids, high)) for low, high in ranges
                )
            case q.Larger(octets=octets):
                return self._where(octets.__lt__, rows.sizes)
            case q.Smaller(octets=octets):
                return self._where(octets.__gt__, rows.sizes)
            case q.Modseq(value=value):
                return self._where(value.__le__, rows.modseqs)
            case q.Older(seconds=seconds):
                return self._where((now - seconds).__ge__, rows.dates)
            case q.Younger(seconds=seconds):
                return self._where((now - seconds).__le__, rows.dates)
            case q.Since(date=date):
                return self._where(_midnight(date).__le__, rows.dates)
            case q.Before(date=date):
                return self._where(_midnight(date).__gt__, rows.dates)
            case q.On(date=date):
                start = _midnight(date)
                since = self._where(start.__le__, rows.dates)
                return since & self._where((start + _DAY).__gt__, rows.dates)
        return self._all

    def _flag(self, name: str) -> int:
        if name.lower() == "\\recent":
            return self._where(self._view.is_recent, self._rows.uids)
        bit = _bit(name, self._view.keywords)
        if bit < 0:
            return 0
        flags = self._rows.flags
        if isinstance(flags, memoryview) and sys.byteorder == "little":
            # One octet of each mask, then one table look-up each, all in C.
            # A slice of octets is ten times as fast as one of a view.
            octets = flags.tobytes()[bit // 8 :: flags.itemsize]
            table = bytes(value >> bit % 8 & 1 for value in range(256))
            return int.from_bytes(octets.translate(table), "little")
        return int.from_bytes(bytes(mask >> bit & 1 for mask in flags), "little")

    def _where(self, test: Callable[[int], Any], column: Iterable[int]) -> int:
        return int.from_bytes(bytes(map(test, column)), "little")

    def _spans(self, spans: Iterable[tuple[int, int]]) -> int:
        found = bytearray(self._count)
        for low, high in spans:
            high = min(high, self._count)
            if low < high:
                found[low:high] = b"\x01" * (high - low)
        return int.from_bytes(found, "little")


def _bit(name: str, keywords: Sequence[str]) -> int:
    folded = name.lower()
    if folded in _SYSTEM:
        return _SYSTEM[folded].bit_length() - 1
    for number, keyword in enumerate(keywords):
        if keyword.lower() == folded:
            return KEYWORD_BIT + number
    return -1


def _midnight(date: datetime.date) -> int:
    return (date - _EPOCH).days * _DAY
