"""
What the server can do, and when: commands, extensions, capabilities.

An extension is one module with an L{Extension} named C{extension}; its decorators declare commands,
FETCH items, search keys and STATUS items. L{Registry} collects them. All of an extension is visible
under one condition, L{Extension.active}: what is advertised is what is accepted.

The signature of a handler is its grammar: each parameter after the session is annotated with
C{Annotated[type, parser]}, a parser taking a L{Cursor<mailaccess.wire.cursor.Cursor>}; parameters
are separated by one space, and one with a default may be missing at the end.
"""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Iterable, Sequence
from enum import IntEnum
from typing import TYPE_CHECKING, Any, get_type_hints

import attrs

from ...wire.cursor import Cursor
from .polling import Polls

if TYPE_CHECKING:
    from .session import Session


class State(IntEnum):
    """
    RFC 3501 section 3; bits, because a command names several.
    """

    NOT_AUTHENTICATED = 1
    AUTHENTICATED = 2
    SELECTED = 4
    LOGOUT = 8
    LOGGED_IN = 6
    ANY = 7


class Effect(IntEnum):
    """
    What a command does that others must know; bits, to be combined with C{|}.

    C{USES_SEQUENCE}: sequence numbers must not change while it runs, so no EXPUNGE is sent
    (RFC 3501 section 7.4.1). C{STREAMS}: the handler takes its literals itself: after the session
    it gets the first L{Announced<mailaccess.wire.events.Announced>} and where the arguments begin
    in its text, and leaves no literal undecided. C{SILENT}: no changes are reported with it.
    C{POLLS}: it does nothing but report changes; where there are none, its handler may be passed
    over.
    """

    NONE = 0
    USES_SEQUENCE = 1
    STREAMS = 2
    SILENT = 4
    POLLS = 8


Handler = Callable[..., Awaitable["Reply | None"]]
Parser = Callable[[Cursor], Any]


@attrs.frozen
class Reply:
    """
    A tagged answer other than the plain C{OK NAME completed}.

    @ivar code: response code without brackets, or empty
    """

    text: str = ""
    code: bytes = b""
    kind: bytes = b"OK"


LATER = Reply()
"""The command goes on without its handler; whoever takes it over gives the tagged reply."""


@attrs.frozen
class Command:
    """
    A command as the dispatcher sees it.

    @ivar admit: asked before a literal is granted, with the command so far; may raise Refused
    @ivar spoiled: told of arguments that make no sense, where something in them is not to be lost
    """

    name: bytes
    states: int
    effects: int
    handler: Handler
    extension: Extension
    parse: Callable[[Cursor], Sequence[Any]]
    admit: Callable[[Session, bytes], Awaitable[None]] | None = None
    spoiled: Callable[[Session, bytes], None] | None = None


def _always(_session: Session) -> bool:
    return True


@attrs.define(eq=False)
class Extension:
    """
    One file's worth of protocol.

    @ivar capabilities: words to advertise while active
    @ivar requires: an interface that the account's mailboxes must provide
    @ivar condition: when it is there, besides C{requires}
    @ivar words: capability words that depend on the session, if any
    @ivar enables: words for ENABLE (RFC 5161)
    """

    name: str
    capabilities: Sequence[bytes] = ()
    requires: Any = None
    condition: Callable[[Session], bool] = _always
    words: Callable[[Session], Iterable[bytes]] | None = None
    enables: Sequence[bytes] = ()
    commands: dict[bytes, Command] = attrs.field(factory=dict)
    fetch_items: dict[bytes, Any] = attrs.field(factory=dict)
    search_keys: dict[bytes, Any] = attrs.field(factory=dict)
    status_items: dict[bytes, Any] = attrs.field(factory=dict)

    @property
    def unconditional(self) -> bool:
        """
        Whether it is there for every session.
        """
        return self.requires is None and self.condition is _always

    def active(self, session: Session) -> bool:
        """
        Whether it is there for this session now.
        """
        if self.requires is not None and not session.store_offers(self.requires):
            return False
        return self.condition(session)

    def command(
        self,
        name: bytes,
        states: int,
        effects: int = Effect.NONE,
        admit: Callable[[Session, bytes], Awaitable[None]] | None = None,
        spoiled: Callable[[Session, bytes], None] | None = None,
    ) -> Callable[[Handler], Handler]:
        """
        Declare the handler of a command.
        """

        def declare(handler: Handler) -> Handler:
            parse = _needs_literal if effects & Effect.STREAMS else grammar_of(handler)
            self.commands[name] = Command(
                name, states, effects, handler, self, parse, admit, spoiled
            )
            return handler

        return declare


def grammar_of(handler: Handler) -> Callable[[Cursor], Sequence[Any]]:
    """
    A parser of all arguments of a handler, made from its signature.
    """
    hints = get_type_hints(handler, include_extras=True)
    parameters = list(inspect.signature(handler).parameters.values())[1:]
    steps: list[tuple[Parser, bool, Any]] = []
    for each in parameters:
        metadata = getattr(hints[each.name], "__metadata__", None)
        if not metadata:
            raise TypeError(f"{handler.__name__}: parameter {each.name} has no grammar")
        optional = each.default is not inspect.Parameter.empty
        steps.append((metadata[0], optional, each.default))
    if not steps:
        return nothing

    def parse(cursor: Cursor) -> Sequence[Any]:
        values = []
        for parser, optional, default in steps:
            if optional and cursor.at_end():
                values.append(default)
                continue
            cursor.space()
            values.append(parser(cursor))
        cursor.end()
        return values

    return parse


def nothing(cursor: Cursor) -> Sequence[Any]:
    """
    The grammar of a command without arguments.
    """
    cursor.end()
    return ()


def _needs_literal(cursor: Cursor) -> Sequence[Any]:
    """
    The grammar of a command that streams, where all of it came without a literal.
    """
    cursor.pos = len(cursor.text)
    raise cursor.wrong("literal")


@attrs.define(eq=False)
class Registry:
    """
    All extensions of a server.

    @ivar always: commands that are there for every session, by name in capitals and in small
        letters
    @ivar polls: answers those that only ask for news
    """

    extensions: Sequence[Extension]
    commands: dict[bytes, Command] = attrs.field(factory=dict, init=False)
    always: dict[bytes, Command] = attrs.field(factory=dict, init=False)
    polls: Polls = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        for extension in self.extensions:
            for name, command in extension.commands.items():
                if name in self.commands:
                    raise ValueError(f"{name!r} is declared twice")
                self.commands[name] = command
                if extension.unconditional and not name.startswith(b"UID"):
                    self.always[name] = self.always[name.lower()] = command
        self.polls = Polls(
            name
            for name, command in self.commands.items()
            if name in self.always
            and command.effects == Effect.POLLS
            and command.states == State.ANY
            and command.parse is nothing
        )

    def find(self, name: bytes, session: Session) -> Command | None:
        """
        The command of that name, if it is there for this session.
        """
        command = self.commands.get(name) or self.commands.get(name.upper())
        if command is None or not command.extension.active(session):
            return None
        return command

    def capabilities(self, session: Session) -> list[bytes]:
        """
        What to advertise now, in the order of the extensions.
        """
        words: list[bytes] = []
        for extension in self.extensions:
            if extension.active(session):
                words.extend(extension.capabilities)
                if extension.words is not None:
                    words.extend(extension.words(session))
        return words

    def collect(self, kind: str, session: Session) -> dict[bytes, Any]:
        """
        FETCH items, search keys or STATUS items (C{kind} is the attribute's name) there are now.
        """
        found: dict[bytes, Any] = {}
        for extension in self.extensions:
            items = getattr(extension, kind)
            if items and extension.active(session):
                found.update(items)
        return found
