"""
Memory of the server with many connections in IDLE, on many accounts.

The clients are several processes with an address of the loopback network each, so that neither
ports nor descriptors run out: this module is also what they run.
"""

from __future__ import annotations

import socket
import sys
from collections.abc import Iterator

from . import ours
from .figures import Figure, Plan
from .load import ask, log_in, read_until
from .process import PATIENCE, Process, more_descriptors, until

MB = 1000000
CLIENTS = 4
GOAL = 400
NOTE = "Each has SELECTed the INBOX of its account, which is watched for changes."


def run(plan: Plan) -> Iterator[Figure]:
    """
    Measure.
    """
    users = [f"user{each}" for each in range(plan.accounts)]
    many = min(plan.idlers, more_descriptors(65536) - 1000)
    with ours.serve(plan.place / "idle", users) as server:
        before = server.process.rss()
        clients = []
        try:
            for index in range(CLIENTS):
                arguments = (server.plain, plan.accounts, index, many)
                clients.append(
                    Process.python(
                        "benchmarks.idle",
                        *map(str, arguments),
                        output=plan.place / f"idle-{index}.output",
                    )
                )
            for each in clients:
                until(lambda: "ready" in each.said() or None, each, 10 * PATIENCE)  # noqa: B023
            total = server.process.rss()
        finally:
            for each in clients:
                each.popen.kill()
                each.stop()
    yield Figure(
        name=f"{many:,} in IDLE on {plan.accounts:,} accounts",
        unit="MB",
        ours=total / MB,
        note=NOTE,
    ).to_goal(f"< {GOAL} MB", total / MB < GOAL)
    yield Figure(name="  of that, per connection", unit="KB", ours=(total - before) / many / 1000)


def hold(port: int, accounts: int, index: int, many: int) -> None:
    """
    A client process: its share of the connections, until it is killed.
    """
    more_descriptors(65536)
    held: list[socket.socket] = []
    for number in range(index, many, CLIENTS):
        user = f"user{number % accounts}"
        connection = log_in(port, user, ours.PASSWORD, source=f"127.0.0.{index + 2}")
        ask(connection, b"SELECT INBOX")
        connection.sendall(b"i IDLE\r\n")
        read_until(connection, b"+")
        held.append(connection)
    print("ready", flush=True)
    # Until the other side ends, or somebody kills this process.
    held[0].settimeout(None)
    while held[0].recv(65536):
        pass


if __name__ == "__main__":
    hold(*map(int, sys.argv[1:]))
