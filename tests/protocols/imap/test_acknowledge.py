"""
A literal is acknowledged when it is complete: the line end behind it may be waiting for that.
"""

from __future__ import annotations

import socket
from typing import Any

import pytest

from mailaccess.testing.talk import MemoryTransport


class Wire:
    """A socket that notes the options set on it."""

    def __init__(self) -> None:
        self.options: list[tuple[int, int, int]] = []

    def setsockopt(self, level: int, option: int, value: int) -> None:
        self.options.append((level, option, value))


QUICK = (socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)


@pytest.mark.parametrize("below", [False, True])
def test_the_line_end_behind_a_literal_need_not_wait_for_an_acknowledgement(
    house: Any, account: Any, below: bool
) -> None:
    """Over TCP, and where TLS lies between the protocol and the socket."""
    wire = Wire()
    transport = MemoryTransport()
    if below:
        raw = MemoryTransport()
        raw.socket = wire  # type: ignore[attr-defined]
        transport.transport = raw  # type: ignore[attr-defined]
    else:
        transport.socket = wire  # type: ignore[attr-defined]
    talk = house.connect(transport=transport)
    talk.send(b"a LOGIN amy secret")
    assert talk.raw(b"b APPEND INBOX {20}\r\n")[0].startswith(b"+ ")
    assert wire.options == []
    talk.raw(b"Subject: x\r\n\r\nbody\r\n")
    assert wire.options == [QUICK]
    assert talk.raw(b"\r\n")[-1].startswith(b"b OK [APPENDUID ")
