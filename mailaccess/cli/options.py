"""
C{mailaccess options}: all options of the configuration file, with defaults and meaning.
"""

from __future__ import annotations

from argparse import ArgumentParser, Namespace

from mailaccess.services.options import reference
from mailaccess.services.settings import Settings

from .command import Command


def _arguments(parser: ArgumentParser) -> None:
    parser.add_argument("table", nargs="*", help="names of tables, such as listener; all if none")


def _run(chosen: Namespace) -> int:
    print(reference(Settings, chosen.table), end="")
    return 0


command = Command(
    "options",
    "list the options of the configuration file",
    "List all options of the configuration file as Markdown.",
    _arguments,
    _run,
)
