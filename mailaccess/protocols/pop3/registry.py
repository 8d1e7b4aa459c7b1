"""
POP3 commands as a table: each says in which states it is there and how many arguments it takes.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from enum import IntFlag
from typing import TYPE_CHECKING

import attrs

if TYPE_CHECKING:
    from .server import POP3Server


class State(IntFlag):
    """
    RFC 1939 section 3.
    """

    AUTHORIZATION = 1
    TRANSACTION = 2
    UPDATE = 4
    ANY = AUTHORIZATION | TRANSACTION


Handler = Callable[["POP3Server", list[bytes]], Awaitable[None]]


@attrs.frozen
class Command:
    """
    A command as the dispatcher sees it.

    @ivar least: fewest arguments
    @ivar most: most arguments
    @ivar raw: gets all that stands behind the keyword as one argument, spaces and all
    """

    name: str
    states: State
    handler: Handler
    least: int = 0
    most: int = 0
    raw: bool = False


@attrs.define
class CommandTable:
    """
    Commands by keyword.
    """

    commands: dict[str, Command] = attrs.field(factory=dict)

    def command(
        self,
        name: str,
        states: State,
        least: int = 0,
        most: int | None = None,
        *,
        raw: bool = False,
    ) -> Callable[[Handler], Handler]:
        """
        Declare the handler of a command.
        """

        def declare(handler: Handler) -> Handler:
            self.commands[name] = Command(
                name, states, handler, least, least if most is None else most, raw
            )
            return handler

        return declare


table = CommandTable()
"""All commands of RFC 1939 and its extensions; the modules of this package fill it."""
