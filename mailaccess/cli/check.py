"""
C{mailaccess check FILE}: everything that would keep the server from starting, at once.
"""

from __future__ import annotations

import sys
from argparse import ArgumentParser, Namespace

from mailaccess.services.check import check

from .command import Command


def _arguments(parser: ArgumentParser) -> None:
    parser.add_argument("file", help="the configuration file")


def _run(chosen: Namespace) -> int:
    problems, summary = check(chosen.file)
    if problems:
        print("\n".join(problems), file=sys.stderr)
        return 1
    print("\n".join(summary))
    return 0


command = Command(
    "check",
    "check a configuration file and what it names",
    "Check a configuration file, the certificates, the password files and the directories that it"
    " names. Prints all that is wrong; the exit status is 1 then.",
    _arguments,
    _run,
)
