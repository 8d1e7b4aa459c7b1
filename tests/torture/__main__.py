"""
Kill the server, and cut its disk off, again and again; nothing acknowledged may be lost (DS-01,
DS-02, DS-16).

    python -m tests.torture [--kills N] [--cuts N] [--sharing S] [--seconds S] [--seed N] [--shadow]
                            [--histories N] [--mutations N]
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from random import Random

from tests.conftest import run_on_reactor
from tests.torture.disks import PlainDisk, ShadowDisk, cut_disk
from tests.torture.histories import histories, live, make_template
from tests.torture.mutations import FILES, mutate
from tests.torture.mutations import make_template as make_account
from tests.torture.oracle import Wrong
from tests.torture.rounds import Torture
from tests.torture.serve import Servers
from tests.torture.sharing import share

_TOGETHER = 20


def main() -> int:
    """
    Exit status 1 if something was lost; what is left of the mail is kept then.
    """
    parser = argparse.ArgumentParser(prog="python -m tests.torture")
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--cuts", type=int, default=100)
    parser.add_argument("--seconds", type=float, default=1.0, help="of work a round, at most")
    parser.add_argument("--sharing", type=float, default=30, help="seconds of it")
    parser.add_argument("--histories", type=int, default=5, help="steps of the longest")
    parser.add_argument("--mutations", type=int, default=1000, help="of each file")
    parser.add_argument("--seed", type=int, default=int.from_bytes(os.urandom(4), "big"))
    parser.add_argument(
        "--shadow", action="store_true", help="copy what is synced instead of mounting a disk"
    )
    chosen = parser.parse_args()
    print(f"seed {chosen.seed}")
    place = Path(tempfile.mkdtemp(prefix="torture-"))
    servers = Servers.start()
    try:
        for what, count in (("kills", chosen.kills), ("cuts", chosen.cuts)):
            if count and not _run(place / what, servers, chosen, what, count):
                print(f"kept: {place / what}")
                return 1
        if chosen.sharing and not _share(place / "sharing", servers, chosen):
            print(f"kept: {place / 'sharing'}")
            return 1
        if not _live(place / "histories", chosen.histories):
            return 1
        if not _mutate(place / "mutations", chosen.mutations, Random(chosen.seed)):
            return 1
    finally:
        servers.stop()
    shutil.rmtree(place)
    return 0


def _live(place: Path, length: int) -> bool:
    """
    Every order of so many steps.
    """
    make_template(place / "template")
    count = 0
    for foreign in (False, True):
        for steps in histories(length, foreign):
            try:
                live(place / "template", place / "mail", steps)
            except AssertionError as error:
                print(f"histories: LOST\n{error}")
                return False
            count += 1
    print(f"histories: {count} of {length} steps; nothing lost")
    return True


def _mutate(place: Path, count: int, chance: Random) -> bool:
    """
    Harm each file beside the mail.
    """
    from twisted.internet import reactor

    known = run_on_reactor(lambda: make_account(place / "template", reactor))
    for name in FILES if count else ():
        found: Counter[str] = Counter()
        while found.total() < count:
            several = min(_TOGETHER, count - found.total())
            found += run_on_reactor(
                lambda name=name, n=several: mutate(place, known, name, n, chance, reactor)
            )
        print(f"{name}: " + ", ".join(f"{number} {what}" for what, number in found.items()))
        if not set(found) <= {"right", "refused"}:
            return False
    return True


def _share(place: Path, servers: Servers, chosen: argparse.Namespace) -> bool:
    place.mkdir()
    try:
        truth = share(place, servers, Random(chosen.seed), chosen.sharing, 2000)
    except Wrong as error:
        print(f"sharing: LOST\n{error}")
        return False
    counts = ", ".join(f"{count} {what}" for what, count in truth.counts.items())
    print(f"sharing: {chosen.sharing:.0f} s; nothing lost\n  {counts}")
    return True


def _run(place: Path, servers: Servers, chosen: argparse.Namespace, what: str, count: int) -> bool:
    place.mkdir()
    cutting = what == "cuts"
    if cutting:
        disk = ShadowDisk(place) if chosen.shadow else cut_disk(place)
    else:
        disk = PlainDisk(place)
    torture = Torture(place, disk, servers, Random(chosen.seed), cutting)
    start = time.monotonic()
    try:
        torture.prepare()
        for _ in range(count):
            torture.round(chosen.seconds)
            if sys.stderr.isatty():
                print(f"\r{what}: {torture.rounds}", end="", file=sys.stderr, flush=True)
        torture.finish()
    except Wrong as error:
        print(f"{what}, round {torture.rounds}: LOST\n{error}")
        return False
    finally:
        torture.end()
        disk.close()
    told, open_ = torture.oracle.acknowledged, torture.oracle.unanswered
    taken = time.monotonic() - start
    print(f"{what}: {count} in {taken:.0f} s on {type(disk).__name__}; nothing lost")
    print("  acknowledged: " + ", ".join(f"{n} {kind}" for kind, n in told.most_common()))
    print("  without an answer: " + ", ".join(f"{n} {kind}" for kind, n in open_.most_common()))
    return True


if __name__ == "__main__":
    sys.exit(main())
