"""
What a subcommand is.
"""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from collections.abc import Callable

import attrs


class Failed(Exception):
    """
    A subcommand could not do its work; the text is for the person at the terminal.
    """


@attrs.frozen
class Command:
    """
    One subcommand.

    @ivar run: does it; returns the exit status
    """

    name: str
    help: str
    description: str
    add_arguments: Callable[[ArgumentParser], None]
    run: Callable[[Namespace], int]
