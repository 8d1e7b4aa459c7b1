"""
A configuration file as it was read, and what was found wrong with it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import attrs

from .options import toml
from .toml_lines import Path

LONGEST_VALUE = 80


@attrs.define
class Document:
    """
    Values with their lines, and a list of problems to add to.

    @ivar secret: options whose values are not shown
    @ivar borrowed: tables that are another file's, whose problems are none of this one
    """

    name: str
    data: Mapping[str, Any]
    lines: Mapping[Path, int]
    found: list[tuple[int, str]] = attrs.field(factory=list)
    secret: set[Path] = attrs.field(factory=set)
    borrowed: frozenset[str] = frozenset()

    def line(self, path: Path) -> int:
        """
        The line of a key, or of the nearest table around it that is in the file; 0 for none.
        """
        while path:
            if path in self.lines:
                return self.lines[path]
            path = path[:-1]
        return 0

    def place(self, path: Path) -> str:
        """
        C{file:line}.
        """
        line = self.line(path)
        return f"{self.name}:{line}" if line else self.name

    def value(self, path: Path) -> Any:
        """
        What the file says there, or None.
        """
        here: Any = self.data
        for step in path:
            try:
                here = here[step]
            except (KeyError, IndexError, TypeError):
                return None
        return here

    def wrong(self, path: Path, text: str) -> None:
        """
        Note a problem.

        @param text: C{what is wrong; what to do}
        """
        if path and path[0] in self.borrowed:
            return
        self.found.append((self.line(path), f"{self.place(path)}: {self._shown(path)}: {text}"))

    def note(self, path: Path, text: str) -> None:
        """
        Note a problem of a file that an option names; C{text} begins with that file and its line.
        """
        self.found.append((self.line(path), text))

    def _shown(self, path: Path) -> str:
        """
        C{key = value}, or the header of a table.
        """
        names = [each for each in path if isinstance(each, str)]
        value = self.value(path)
        if isinstance(value, dict) or (value is None and len(names) == 1):
            many = isinstance(path[-1], int)
            return f"[[{'.'.join(names)}]]" if many else f"[{'.'.join(names)}]"
        key = names[-1] if names else "file"
        if value is None:
            return key
        text = "(hidden)" if path in self.secret else toml(value)
        if len(text) > LONGEST_VALUE:
            text = text[: LONGEST_VALUE - 3] + "..."
        return f"{key} = {text}"

    def sort(self) -> None:
        """
        Into the order of the file.
        """
        self.found.sort(key=lambda each: each[0])

    @property
    def problems(self) -> list[str]:
        """
        As texts.
        """
        return [text for _, text in self.found]
