"""
LOGIN and LOGOUT per second, each on a connection of its own, against Dovecot: over TCP and over
TLS 1.3.
"""

from __future__ import annotations

import ssl
from collections.abc import Callable, Iterator

from . import dovecot, ours
from .figures import Figure, Plan, against, take_turns
from .load import Turn, log_in, no_verification, turn, visits
from .ours import Server
from .process import no_collector

AT_ONCE = 10
USERS = tuple(f"user{each}" for each in range(10))
DIALOGUE = (
    (b"a LOGIN user1 " + ours.PASSWORD.encode("ascii") + b"\r\n", b"a OK"),
    (b"b LOGOUT\r\n", b"b OK"),
)
GOAL = 2000
NOTE = (
    "Dovecot's work is spread over processes, so it may use both sides of the machine; ours is"
    " one process. A full handshake each, P-256."
)


def run(plan: Plan) -> Iterator[Figure]:
    """
    Measure.
    """
    with (
        ours.serve(plan.place / "logins", USERS) as server,
        dovecot.serve(plan.place / "logins-dovecot", USERS) as peer,
    ):
        named = dovecot.version() or "Dovecot"
        for title, tls in (("TCP", None), ("TLS 1.3", no_verification())):
            sides = [_side(each, plan, tls) for each in (server, peer) if each is not None]
            with no_collector():
                took = take_turns(plan.rounds, sides)
            rates = [[each.rate for each in side] for side in took] + [[]]
            costs = [[each.cost for each in side] for side in took] + [[]]
            figure = against(f"LOGIN+LOGOUT over {title}", "/s", rates[0], rates[1], named)
            if tls is None:
                figure = figure.to_goal(f">= {GOAL:,} /s", figure.ours >= GOAL)
            yield figure
            note = NOTE if tls is not None else ""
            yield against(
                "  processor time of the server", "us", costs[0], costs[1], named, note=note
            )


def _side(server: Server, plan: Plan, tls: ssl.SSLContext | None) -> Callable[[], Turn]:
    port = server.tls if tls is not None else server.plain
    for user in USERS:
        # The first login of a user makes the account.
        log_in(port, user, ours.PASSWORD, tls).close()
    return lambda: turn(server.process, lambda: visits(port, DIALOGUE, AT_ONCE, plan.seconds, tls))
