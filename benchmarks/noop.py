"""
NOOP round trips per second, one connection and fifty, against a bare epoll loop.
"""

from __future__ import annotations

from collections.abc import Iterator

from . import ours
from .figures import Figure, Plan, against, take_turns
from .load import connect, log_in, round_trips, turn
from .peers.start import start
from .process import no_collector

LINE = b"a NOOP\r\n"
FLOOR = "bare epoll loop"
NOTE = "What the server alone used: the client, which both sides wait for, is not in it."


def run(plan: Plan) -> Iterator[Figure]:
    """
    Measure.
    """
    note = NOTE
    with ours.serve(plan.place / "noop", ["amy"]) as server, start("echo", plan.place) as floor:
        for many, goal in ((1, None), (50, 0.6)):
            mine = [log_in(server.plain, "amy", ours.PASSWORD) for _ in range(many)]
            bare = [connect(floor.port) for _ in range(many)]
            sides = (
                lambda: turn(server.process, lambda: round_trips(mine, LINE, plan.seconds)),  # noqa: B023
                lambda: turn(floor.process, lambda: round_trips(bare, LINE, plan.seconds)),  # noqa: B023
            )
            with no_collector():
                took = take_turns(plan.rounds, sides)
            for each in mine + bare:
                each.close()
            name = f"NOOP round trips, {many} connection{'s' if many > 1 else ''}"
            rates, floor_rates = ([each.rate for each in side] for side in took)
            costs, floor_costs = ([each.cost for each in side] for side in took)
            yield against(name, "/s", rates, floor_rates, FLOOR, least=goal)
            title = "  processor time of the server"
            yield against(title, "us", costs, floor_costs, FLOOR, note=note)
            note = ""
