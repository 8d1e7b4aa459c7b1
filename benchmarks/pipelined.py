"""
Commands per second when a thousand come in one write, against the IMAP server of Twisted.
"""

from __future__ import annotations

from collections.abc import Iterator

from . import ours
from .figures import Figure, Plan, against, take_turns
from .load import log_in, pipelined, turn
from .peers.start import start
from .process import no_collector

LINES = 1000
BATCH = b"".join(b"a%03d NOOP\r\n" % each for each in range(LINES))
PEER = "twisted.mail.imap4.IMAP4Server"


def run(plan: Plan) -> Iterator[Figure]:
    """
    Measure.
    """
    with (
        ours.serve(plan.place / "pipelined", ["amy"]) as server,
        start("twisted_imap", plan.place) as peer,
    ):
        mine = log_in(server.plain, "amy", ours.PASSWORD)
        theirs = log_in(peer.port, "amy", ours.PASSWORD)
        sides = (
            lambda: turn(server.process, lambda: pipelined(mine, BATCH, LINES, plan.seconds)),
            lambda: turn(peer.process, lambda: pipelined(theirs, BATCH, LINES, plan.seconds)),
        )
        with no_collector():
            took = take_turns(plan.rounds, sides)
        mine.close()
        theirs.close()
    rates, beside = ([each.rate for each in side] for side in took)
    yield against("NOOP, 1,000 in a write", "/s", rates, beside, PEER, least=4.0)
