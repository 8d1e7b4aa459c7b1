"""
C{mailaccess who [USER]}: the sessions of the running server.
"""

from __future__ import annotations

import json
from argparse import ArgumentParser, Namespace

from . import server
from .command import Command


def _arguments(parser: ArgumentParser) -> None:
    parser.add_argument(
        "user", nargs="?", default="", help="only those of this user's mail, or that they opened"
    )
    parser.add_argument("--json", action="store_true", help="print JSON, one object a line")
    server.add_arguments(parser)


def _run(chosen: Namespace) -> int:
    items = server.asked(chosen, "who", user=chosen.user)
    if chosen.json:
        for each in items:
            print(json.dumps(each))
        return 0
    sessions = sorted(items, key=lambda each: (each["user"], -each["seconds"]))
    print("\n".join(server.table(sessions)) or "nobody is logged in")
    return 0


command = Command(
    "who",
    "list the sessions of the running server",
    "List who is logged in: whose mail, who acts for them, from where, over which TLS, by which"
    " mechanism, since when, how long without a word. The server is asked through its control"
    " socket; exit status 1 if it does not answer.",
    _arguments,
    _run,
)
