"""
C{mailaccess kick USER}: end sessions of the running server.
"""

from __future__ import annotations

import json
from argparse import ArgumentParser, Namespace

from . import server
from .command import Command


def _arguments(parser: ArgumentParser) -> None:
    parser.add_argument(
        "user", help="whose sessions: of this user's mail, and those that they opened as others"
    )
    parser.add_argument(
        "-s", "--session", default="", metavar="NUMBER", help="only this one, as who names it"
    )
    parser.add_argument(
        "-r", "--reason", default="", metavar="TEXT", help="for the clients and for the log"
    )
    parser.add_argument("--json", action="store_true", help="print JSON, one object a line")
    server.add_arguments(parser)


def _run(chosen: Namespace) -> int:
    ended = list(
        server.asked(chosen, "kick", user=chosen.user, session=chosen.session, reason=chosen.reason)
    )
    if chosen.json:
        for each in ended:
            print(json.dumps(each))
    else:
        print("\n".join(server.table(ended)) or f"{chosen.user}: no such session")
    return 0 if ended else 1


command = Command(
    "kick",
    "end sessions of a user on the running server",
    "End the sessions of a user. Clients are told, and may log in again unless the account is"
    " disabled. A command that runs may end first, within 15 seconds; a POP3 session deletes"
    " nothing. Prints the sessions that were ended; exit status 1 if there was none.",
    _arguments,
    _run,
)
