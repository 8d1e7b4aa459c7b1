"""
Search for the store in memory: plain and slow, by the standard library's reading of a message.
"""

from __future__ import annotations

import datetime
from collections.abc import Callable, Sequence
from email import message_from_bytes
from email.errors import HeaderParseError
from email.header import decode_header, make_header
from email.message import Message
from email.utils import parsedate
from typing import TYPE_CHECKING, Any

from ..errors import LimitReached
from ..interfaces import KEYWORD_BIT, SYSTEM_FLAGS
from ..store import query as q

if TYPE_CHECKING:
    from .memory_mailbox import MemoryMailbox, MemoryMessage

_SYSTEM = {name.lower(): bit for name, bit in SYSTEM_FLAGS.items()}


def search(view: MemoryMailbox, query: q.Query, now: float) -> list[int]:
    """
    Sequence numbers, ascending, of the rows that match.

    @raise LimitReached: more than L{q.MAX_NODES} nodes
    """
    everything = frozenset(range(len(view.messages)))
    results: list[frozenset[int]] = []
    for node in _leaves_first(query):
        if isinstance(node, q.And | q.Or):
            parts = node.parts if isinstance(node, q.And) else (node.a, node.b)
            taken = [results.pop() for _ in parts]
            combine = frozenset.intersection if isinstance(node, q.And) else frozenset.union
            results.append(combine(*taken) if taken else everything)
        elif isinstance(node, q.Not):
            results.append(everything - results.pop())
        else:
            matches = _leaf(view, node, now)
            results.append(
                frozenset(row for row, each in enumerate(view.messages) if matches(row, each))
            )
    return [row + 1 for row in sorted(results.pop())]


def _leaves_first(query: q.Query) -> list[q.Query]:
    order: list[q.Query] = []
    waiting = [query]
    while waiting:
        node = waiting.pop()
        order.append(node)
        if len(order) > q.MAX_NODES:
            raise LimitReached("Too many search keys")
        if isinstance(node, q.And):
            waiting.extend(node.parts)
        elif isinstance(node, q.Or):
            waiting.extend((node.a, node.b))
        elif isinstance(node, q.Not):
            waiting.append(node.part)
    order.reverse()
    return order


_Test = Callable[[int, "MemoryMessage"], bool]


def _leaf(view: MemoryMailbox, node: Any, now: float) -> _Test:
    match node:
        case q.All():
            return lambda _row, _message: True
        case q.Flag(name=name, present=present):
            return _flag(view, name, present)
        case q.Rows(ranges=ranges):
            return lambda row, _message: any(low <= row < high for low, high in ranges)
        case q.Uids(ranges=ranges):
            return lambda _row, message: any(low <= message.uid <= high for low, high in ranges)
        case q.Since() | q.Before() | q.On():
            return _date(node)
        case q.Older(seconds=seconds):
            return lambda _row, message: message.date <= now - seconds
        case q.Younger(seconds=seconds):
            return lambda _row, message: message.date >= now - seconds
        case q.Larger(octets=octets):
            return lambda _row, message: message.size > octets
        case q.Smaller(octets=octets):
            return lambda _row, message: message.size < octets
        case q.Modseq(value=value):
            return lambda _row, message: message.modseq >= value
    return _text(node)


def _flag(view: MemoryMailbox, name: str, present: bool) -> _Test:
    if name.lower() == "\\recent":
        return lambda _row, message: view.is_recent(message.uid) is present
    bit = _SYSTEM.get(name.lower(), 0)
    for index, keyword in enumerate(view.keywords):
        if keyword.lower() == name.lower():
            bit = 1 << (KEYWORD_BIT + index)
    return lambda _row, message: bool(message.flags & bit) is present


def _date(node: q.Since | q.Before | q.On) -> _Test:
    def matches(_row: int, message: MemoryMessage) -> bool:
        if node.internal:
            day = datetime.datetime.fromtimestamp(message.date, datetime.UTC).date()
        else:
            written = parsedate(str(message_from_bytes(message.octets)["Date"]))
            if written is None:
                return False
            day = datetime.date(*written[:3])
        if isinstance(node, q.Since):
            return day >= node.date
        return day < node.date if isinstance(node, q.Before) else day == node.date

    return matches


def _text(node: q.Header | q.Body | q.Text) -> _Test:
    wanted = node.text.casefold()

    def matches(_row: int, message: MemoryMessage) -> bool:
        parsed = message_from_bytes(message.octets)
        if isinstance(node, q.Header):
            return any(wanted in each for each in _values(parsed, node.name))
        texts = _bodies(parsed)
        if isinstance(node, q.Text):
            texts = [*(each for part in parsed.walk() for each in _fields(part)), *texts]
        return any(wanted in each for each in texts)

    return matches


def _values(parsed: Message, name: str) -> Sequence[str]:
    return [_decoded(each) for each in parsed.get_all(name, [])]


def _fields(parsed: Message) -> Sequence[str]:
    return [f"{name}: ".casefold() + _decoded(value) for name, value in parsed.items()]


def _decoded(value: Any) -> str:
    try:
        return str(make_header(decode_header(value))).casefold()
    except (HeaderParseError, LookupError, ValueError):
        return str(value).casefold()


def _bodies(parsed: Message) -> list[str]:
    found = []
    for part in parsed.walk():
        if part.get_content_maintype() != "text":
            continue
        payload = part.get_payload(decode=True)
        if isinstance(payload, bytes):
            charset = part.get_content_charset("utf-8")
            try:
                found.append(payload.decode(charset, "replace").casefold())
            except LookupError:
                found.append(payload.decode("latin-1").casefold())
    return found
