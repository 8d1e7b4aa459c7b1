"""
C{python -m benchmarks [--quick | --full] [--large] [--only NAME ...] [--json FILE]}
"""

from __future__ import annotations

import argparse
import importlib
import json
import shutil
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import attrs

from .figures import Figure, Plan, machine, table
from .load import Unexpected
from .process import DidNotStart, more_descriptors

NAMES = (
    "noop",
    "pipelined",
    "logins",
    "ldap",
    "storm",
    "memory",
    "idle",
    "mailbox",
    "adopt",
    "large",
)


def plan(place: Path, *, quick: bool = False, full: bool = False, large: bool = False) -> Plan:
    """
    How much is measured: in a minute, in less than ten, or as long as it takes.
    """
    if quick:
        return Plan(
            place=place,
            seconds=0.5,
            memory=500,
            idlers=1000,
            accounts=100,
            messages=2000,
            folders=500,
        )
    million = 1_000_000 if large else 0
    if full:
        return Plan(place=place, rounds=5, seconds=5.0, messages=100000, million=million)
    return Plan(place=place, million=million)


def main(arguments: Sequence[str] | None = None) -> int:
    """
    Measure, print, and say by the exit status whether all goals are met.
    """
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks", description="Figures, with the floor or a peer beside each."
    )
    size = parser.add_mutually_exclusive_group()
    size.add_argument("--quick", action="store_true", help="small sizes, short turns")
    size.add_argument("--full", action="store_true", help="100,000 messages, long turns")
    parser.add_argument("--large", action="store_true", help="a mailbox of a million messages, too")
    parser.add_argument("--only", action="append", choices=NAMES, help="may be given again")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there, too")
    chosen = parser.parse_args(arguments)

    more_descriptors(65536)
    place = Path(tempfile.mkdtemp(prefix="mailaccess-bench-"))
    # Dovecot's mail belongs to another user.
    place.chmod(0o755)
    began = machine()
    sizes = plan(place, quick=chosen.quick, full=chosen.full, large=chosen.large)
    figures: list[Figure] = []
    failed = False
    try:
        for name in chosen.only or NAMES:
            print(f"{name} ...", file=sys.stderr, flush=True)
            module = importlib.import_module(f"benchmarks.{name}")
            try:
                figures += module.run(sizes)
            except (DidNotStart, Unexpected, OSError) as error:
                failed = True
                print(f"{name} could not be measured: {error}", file=sys.stderr)
    finally:
        shutil.rmtree(place, ignore_errors=True)
    print(began)
    print(table(figures))
    if chosen.json is not None:
        values = {"machine": began, "figures": [attrs.asdict(each) for each in figures]}
        chosen.json.write_text(json.dumps(values, indent=2) + "\n", encoding="utf-8")
    return 1 if failed or any(each.met is False for each in figures) else 0


if __name__ == "__main__":
    sys.exit(main())
