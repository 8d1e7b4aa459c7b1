"""
STAT, LIST, RETR, DELE, NOOP, RSET, TOP, UIDL: what can be done with a maildrop (RFC 1939 sections
5, 7).
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import islice

from ...message.header import header_end
from ...wire.pop3 import DotStuffer, line_count
from ..line import FLUSH_AT
from .registry import State, table
from .server import POP3Server

LONG = 1 << 20
"""Octets of a message over which nothing is looked for on the reactor's thread."""

SLICE = 1024
"""Lines made or looked for before others have their turn."""


@table.command("STAT", State.TRANSACTION)
async def stat(server: POP3Server, arguments: list[bytes]) -> None:
    """
    RFC 1939 section 5.
    """
    server.ok(b"%d %d" % server.maildrop.stat())


@table.command("LIST", State.TRANSACTION, 0, 1)
async def list_(server: POP3Server, arguments: list[bytes]) -> None:
    """
    RFC 1939 section 5.
    """
    drop = server.maildrop
    if arguments:
        number = drop.number(arguments[0])
        server.ok(b"%d %d" % (number, drop.size(number)))
        return
    server.ok(b"%d messages, %d octets" % drop.stat())
    await _list(server, lambda each: b"%d %d\r\n" % (each, drop.size(each)))


@table.command("UIDL", State.TRANSACTION, 0, 1)
async def uidl(server: POP3Server, arguments: list[bytes]) -> None:
    """
    RFC 1939 section 7.
    """
    drop = server.maildrop
    await drop.learn_unique_ids()
    if arguments:
        number = drop.number(arguments[0])
        server.ok(b"%d %b" % (number, drop.unique_id(number)))
        return
    server.ok(b"Unique ids")
    await _list(server, lambda each: b"%d %b\r\n" % (each, drop.unique_id(each)))


async def _list(server: POP3Server, line: Callable[[int], bytes]) -> None:
    """
    A line for each message that is not marked, in slices.
    """
    numbers = server.maildrop.numbers()
    while part := list(islice(numbers, SLICE)):
        server.write(b"".join(map(line, part)))
        await server.pace()
    server.write(b".\r\n")


@table.command("RETR", State.TRANSACTION, 1)
async def retr(server: POP3Server, arguments: list[bytes]) -> None:
    """
    RFC 1939 section 5.
    """
    drop = server.maildrop
    number = drop.number(arguments[0])
    data = await drop.octets(number)
    drop.retrieved.add(number)
    await _send(server, b"+OK %d octets\r\n" % len(data), data)


@table.command("TOP", State.TRANSACTION, 2)
async def top(server: POP3Server, arguments: list[bytes]) -> None:
    """
    The header, the empty line and some lines of the body.

    RFC 1939 section 7.
    """
    drop = server.maildrop
    number, lines = drop.number(arguments[0]), line_count(arguments[1])
    data = await drop.octets(number)
    end = await drop.mailbox.aside(header_end, data) if len(data) > LONG else header_end(data)
    while lines and end < len(data):
        end, taken = _lines_on(data, end, min(lines, SLICE))
        lines -= taken
        await server.pace()
    await _send(server, b"+OK\r\n", data[:end])


def _lines_on(data: bytes, start: int, count: int) -> tuple[int, int]:
    """
    Where so many lines end, and how many there were.
    """
    for taken in range(count):
        at = data.find(b"\r\n", start)
        if at < 0:
            return len(data), taken + 1
        start = at + 2
    return start, count


async def _send(server: POP3Server, first: bytes, data: bytes) -> None:
    """
    A message, a piece at a time: a large one at once would hold up everybody else.
    """
    stuffer = DotStuffer()
    server.write(first)
    for at in range(0, len(data), FLUSH_AT):
        server.write(stuffer.feed(data[at : at + FLUSH_AT]))
        await server.pace()
    server.write(stuffer.end())


@table.command("DELE", State.TRANSACTION, 1)
async def dele(server: POP3Server, arguments: list[bytes]) -> None:
    """
    A mark, until QUIT.

    RFC 1939 section 5.
    """
    drop = server.maildrop
    number = drop.number(arguments[0])
    drop.deleted.add(number)
    server.ok(b"Message %d marked" % number)


@table.command("RSET", State.TRANSACTION)
async def rset(server: POP3Server, arguments: list[bytes]) -> None:
    """
    No marks any more.

    RFC 1939 section 5.
    """
    drop = server.maildrop
    drop.deleted.clear()
    server.ok(b"%d messages, %d octets" % drop.stat())


@table.command("NOOP", State.TRANSACTION)
async def noop(server: POP3Server, arguments: list[bytes]) -> None:
    """
    RFC 1939 section 5.
    """
    server.ok()
