"""
STAT, LIST, RETR, DELE, NOOP, RSET, TOP, UIDL: what can be done with a maildrop (RFC 1939 sections
5, 7).
"""

from __future__ import annotations

import re

from ...message.header import header_end
from ...wire.pop3 import dot_stuff, line_count
from ..line import FLUSH_AT
from .registry import State, table
from .server import POP3Server

_LINES = re.compile(rb"\r\n")


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
    lines = [b"%d %d" % (each, drop.size(each)) for each in drop.numbers()]
    server.listing(b"%d messages, %d octets" % drop.stat(), lines)


@table.command("UIDL", State.TRANSACTION, 0, 1)
async def uidl(server: POP3Server, arguments: list[bytes]) -> None:
    """
    RFC 1939 section 7.
    """
    drop = server.maildrop
    if arguments:
        number = drop.number(arguments[0])
        server.ok(b"%d %b" % (number, drop.unique_id(number)))
        return
    lines = [b"%d %b" % (each, drop.unique_id(each)) for each in drop.numbers()]
    server.listing(b"Unique ids", lines)


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
    end = header_end(data)
    for _ in range(lines):
        found = _LINES.search(data, end)
        if found is None:
            end = len(data)
            break
        end = found.end()
    await _send(server, b"+OK\r\n", data[:end])


async def _send(server: POP3Server, first: bytes, data: bytes) -> None:
    stuffed = dot_stuff(data)
    server.write(first)
    for at in range(0, len(stuffed), FLUSH_AT):
        server.write(stuffed[at : at + FLUSH_AT])
        await server.pace()


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
