"""
Memory of the server per connection that is logged in and idle, over TCP and over TLS, when all
share an account.
"""

from __future__ import annotations

import socket
import ssl
from collections.abc import Iterator

from . import ours
from .figures import Figure, Plan
from .load import log_in, no_verification
from .ours import Server

KB = 1000


def run(plan: Plan) -> Iterator[Figure]:
    """
    Measure.
    """
    for title, tls, goal in (("TCP", None, 5), ("TLS 1.3", no_verification(), 32)):
        with ours.serve(plan.place / "memory", ["amy"]) as server:
            used = per_connection(server, plan.memory, tls) / KB
        note = (
            "" if tls is None else "Growth of the resident set; what the kernel holds is not in it."
        )
        yield Figure(
            name=f"memory of an idle connection, {title}", unit="KB", ours=used, note=note
        ).to_goal(f"< {goal} KB", used < goal)


def per_connection(server: Server, many: int, tls: ssl.SSLContext | None) -> float:
    """
    Octets that one more connection costs, of many. The first few are not counted: the server has
    grown to its working size when they are there.
    """
    port = server.tls if tls is not None else server.plain

    def more(number: int) -> list[socket.socket]:
        return [log_in(port, "amy", ours.PASSWORD, tls) for _ in range(number)]

    held = more(many // 4)
    before = server.process.rss()
    held += more(many)
    grown = server.process.rss() - before
    for each in held:
        each.close()
    return grown / many
