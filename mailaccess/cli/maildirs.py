"""
Which Maildirs a command works on, and as whom: C{adopt} and C{release} take paths, or accounts that
a configuration file knows.
"""

from __future__ import annotations

import os
from argparse import ArgumentParser, Namespace

from mailaccess.services.config import load
from mailaccess.services.settings import Settings

from .accounts import maildirs_of
from .command import Failed

WELL, NOT_ALL, NOT_DONE = 0, 1, 2


def arguments(parser: ArgumentParser) -> None:
    """
    Those that both have.
    """
    parser.add_argument(
        "name", nargs="*", metavar="PATH", help="Maildir; with --config, the name of an account"
    )
    parser.add_argument("--config", metavar="FILE", help="the configuration, which knows accounts")
    parser.add_argument("--all", action="store_true", help="all accounts that have mail")
    parser.add_argument("--json", action="store_true", help="one JSON object per account")


def chosen_maildirs(chosen: Namespace) -> tuple[Settings | None, list[tuple[str, str]]]:
    """
    The configuration, if one is given, and names and paths.

    @raise Failed: used wrongly
    """
    if bool(chosen.name) == chosen.all:
        raise Failed("give names, or --all and --config")
    if chosen.config is None:
        if chosen.all:
            raise Failed("--all needs --config")
        return None, [(path, os.path.abspath(path)) for path in chosen.name]
    settings = load(chosen.config)
    if chosen.all:
        return settings, list(maildirs_of(settings, None))
    return settings, [each for name in chosen.name for each in maildirs_of(settings, name)]
