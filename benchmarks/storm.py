"""
How long a NOOP of somebody else takes while hundreds log in whose directory needs five seconds for
every answer.
"""

from __future__ import annotations

import select
import socket
import threading
import time
from collections.abc import Iterator

from tests.auth.ldap import mock

from . import ours
from .figures import Figure, Plan
from .load import Unexpected, connect
from .probe import probing

SLOW = 5.0
"""Seconds before the directory answers."""

STORM = 200
LEAST = 0.05
NOTE = (
    f"{STORM} connections log in again and again, each as somebody else, at a directory that"
    f" answers after {SLOW:g} s."
)

_DIRECTORY = """\
[[users]]
type = "ldap"
uri = ["{uri}"]
tls = "none"
bind = "anonymous"
base = "dc=corp"
connect_timeout = "30s"
answer_timeout = "30s"
deadline = "60s"
threads = 20
queue = 1000
"""


def run(plan: Plan) -> Iterator[Figure]:
    """
    Measure.
    """
    answers = mock.directory(lambda dn, secret: mock.bind_result(0), uid="somebody")

    def slowly(request: mock.Request) -> list[bytes] | None:
        if directory.over.wait(SLOW):
            return None
        return answers(request)

    directory = mock.MockServer(slowly)
    place = plan.place / "storm"
    more = _DIRECTORY.format(uri=directory.uri)
    try:
        with (
            ours.serve(place, ["amy"], more) as server,
            probing(place, server.plain, "amy") as probe,
        ):
            began = time.monotonic()
            asked = _storm(server.plain, max(2 * SLOW, plan.rounds * plan.seconds))
            ended = time.monotonic()
            probe.end()
        if not directory.count(mock.SEARCH):
            raise Unexpected("the directory was never asked")
    finally:
        directory.stop()
    waits = probe.waits([(began, ended)])
    worst = waits[min(len(waits) - 1, int(len(waits) * 0.99))]
    yield Figure(
        name=f"NOOP p99 during a storm of {asked} logins",
        unit="ms",
        ours=worst * 1000,
        note=NOTE,
    ).to_goal(f"< {LEAST * 1000:.0f} ms", worst < LEAST)


def _storm(port: int, seconds: float) -> int:
    """
    Log in from many connections, whatever comes of it, for so long. How many logins it was.
    """
    end, asked = time.monotonic() + seconds, 0
    poller = select.epoll()
    connections: dict[int, socket.socket] = {}

    def log_in(number: int) -> None:
        made = connect(port)
        made.setblocking(False)
        made.sendall(b"a LOGIN nobody%d x\r\n" % number)
        connections[made.fileno()] = made
        poller.register(made, select.EPOLLIN)

    pause = threading.Event()
    for number in range(STORM):
        log_in(number)
        pause.wait(0.002)
    asked = STORM
    while time.monotonic() < end:
        for descriptor, _ in poller.poll(0.1):
            made = connections[descriptor]
            data = made.recv(4096)
            if data and not data.startswith(b"a ") and b"\na " not in data:
                continue
            poller.unregister(descriptor)
            made.close()
            del connections[descriptor]
            asked += 1
            log_in(asked)
    for made in connections.values():
        made.close()
    poller.close()
    return asked
