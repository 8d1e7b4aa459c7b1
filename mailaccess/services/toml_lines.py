"""
On which line of a TOML file each key stands; C{tomllib} does not say.

L{key_lines} expects text that C{tomllib} has accepted, so it looks only at what moves lines and
keys: strings, brackets, commas and dots. It reads the text once, from left to right, with a stack
of its own. What lies deeper than L{DEEPEST}, where no option is, has the line of what it lies in.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Mapping
from enum import Enum

import attrs

Path = tuple[str | int, ...]
"""Keys and, inside arrays, positions from 0: C{("listener", 0, "port")}."""

DEEPEST = 20
"""Steps in the longest path that is told apart."""

_PIECE = re.compile(
    r'''
    (?P<skip>   [ \t\r]+ | \#[^\n]* )
  | (?P<newline>\n)
  | (?P<string> """(?:[^"\\]|\\.|"{1,2}(?!"))*"{3,5}
              | \'\'\'(?:[^']|'{1,2}(?!'))*'{3,5}
              | "(?:[^"\\\n]|\\.)*"
              | '[^'\n]*' )
  | (?P<mark>   [\[\]{},=.] )
  | (?P<bare>   [^\s\[\]{},=.#"']+ )
    ''',
    re.VERBOSE | re.DOTALL,
)


class _Place(Enum):
    TOP = "between statements"
    HEADER = "inside [ ]"
    KEY = "before ="
    VALUE = "after ="


@attrs.define
class _Container:
    """
    What is open: the file (its current table), an array or an inline table.
    """

    path: Path
    kind: str
    index: int = 0


def key_lines(text: str) -> Mapping[Path, int]:
    """
    The line, counted from 1, of every key, table, array element and table of an array of tables. A
    table that is opened several times, or only implied by a dotted key, has the line where it first
    appears.
    """
    return _Reader().read(text)


def _pieces(text: str) -> Iterator[tuple[str, str, int]]:
    line = 1
    for match in _PIECE.finditer(text):
        kind = match.lastgroup or ""
        if kind != "skip":
            yield kind, match.group(), line
        line += match.group().count("\n")


class _Reader:
    """
    One pass over one text.
    """

    def __init__(self) -> None:
        self.lines: dict[Path, int] = {}
        self.tables: dict[Path, int] = {}
        self.stack = [_Container((), "file")]
        self.place = _Place.TOP
        self.key: list[str] = []
        self.key_line = 0
        self.brackets = 0

    def read(self, text: str) -> dict[Path, int]:
        for kind, piece, line in _pieces(text):
            if self.place is _Place.VALUE:
                self._value(kind, piece, line)
            elif self.place is _Place.HEADER:
                self._header(kind, piece)
            else:
                self._statement(kind, piece, line)
        return self.lines

    def _statement(self, kind: str, piece: str, line: int) -> None:
        """
        Before the C{=}: a key, or the start of a header, or the end of an inline table.
        """
        if kind in ("string", "bare"):
            if not self.key:
                self.key_line = line
            self.key.append(_name(kind, piece))
            self.place = _Place.KEY
        elif piece == "=":
            self._enter(self.stack[-1].path, self.key, self.key_line)
            self.place = _Place.VALUE
        elif piece == "[" and not self.key:
            self.brackets, self.key_line = 1, line
            self.place = _Place.HEADER
        elif piece == "}":
            self._close()

    def _header(self, kind: str, piece: str) -> None:
        if kind in ("string", "bare"):
            self.key.append(_name(kind, piece))
        elif piece == "[":
            self.brackets = 2
        elif piece == "]" and self.key:
            self._open_table()
            self.key = []
        elif kind == "newline":
            self.place = _Place.TOP

    def _open_table(self) -> None:
        path: Path = ()
        last = len(self.key) - 1
        for position, name in enumerate(self.key):
            path = _below(path, name)
            self.lines.setdefault(path, self.key_line)
            if position == last and self.brackets == 2:
                self.tables[path] = self.tables.get(path, 0) + 1
            if path in self.tables:
                # Below an array of tables, a header speaks of its latest element.
                path = _below(path, self.tables[path] - 1)
                self.lines.setdefault(path, self.key_line)
        self.stack[0].path = path

    def _enter(self, path: Path, names: list[str], line: int) -> None:
        for name in names:
            path = _below(path, name)
            self.lines.setdefault(path, line)
        self.value_path = path
        self.key = []

    def _value(self, kind: str, piece: str, line: int) -> None:
        """
        After the C{=} or inside an array: a scalar, or something that opens or closes.
        """
        container = self.stack[-1]
        if kind == "newline":
            if container.kind == "file":
                self.place = _Place.TOP
        elif (piece, container.kind) in (("]", "array"), ("}", "inline")):
            self._close()
        elif piece == "," and container.kind == "array":
            container.index += 1
        elif piece == "," and container.kind == "inline":
            self.place = _Place.KEY
        else:
            self._start_of_value(container, piece, line)

    def _start_of_value(self, container: _Container, piece: str, line: int) -> None:
        if container.kind == "array":
            self.value_path = _below(container.path, container.index)
            self.lines.setdefault(self.value_path, line)
        if piece == "[":
            self.stack.append(_Container(self.value_path, "array"))
        elif piece == "{":
            self.stack.append(_Container(self.value_path, "inline"))
            self.place = _Place.KEY

    def _close(self) -> None:
        self.stack.pop()
        # The bracket was the end of a value of what is around it.
        self.place = _Place.VALUE


def _below(path: Path, step: str | int) -> Path:
    return (*path, step) if len(path) < DEEPEST else path


def _name(kind: str, piece: str) -> str:
    if kind == "bare":
        return piece
    decoded: str = tomllib.loads(f"k = {piece}")["k"]
    return decoded
