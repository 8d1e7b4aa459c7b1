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

COMMANDS = 1000
PEER = "twisted.mail.imap4.IMAP4Server"
NOTE = (
    "A NOOP without news takes a short way here, which nothing else takes; CAPABILITY goes the way"
    " of all commands."
)


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
        for name, lines, goal in (("NOOP", 1, 4.0), ("CAPABILITY", 2, None)):
            batch = b"".join(b"a%03d %b\r\n" % (each, name.encode()) for each in range(COMMANDS))
            sides = (
                lambda: turn(
                    server.process,
                    lambda: pipelined(mine, batch, COMMANDS, lines, plan.seconds),  # noqa: B023
                ),
                lambda: turn(
                    peer.process,
                    lambda: pipelined(theirs, batch, COMMANDS, lines, plan.seconds),  # noqa: B023
                ),
            )
            with no_collector():
                took = take_turns(plan.rounds, sides)
            rates, beside = ([each.rate for each in side] for side in took)
            note = "" if goal is None else NOTE
            yield against(
                f"{name}, 1,000 in a write", "/s", rates, beside, PEER, least=goal, note=note
            )
        mine.close()
        theirs.close()
