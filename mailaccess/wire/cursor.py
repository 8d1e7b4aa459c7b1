"""
A place in the text of one command, which the functions of L{mailaccess.wire.grammar} move on.
"""

from __future__ import annotations

import re

from mailaccess.errors import BadSyntax
from mailaccess.wire.naming import PLAIN, Naming

MAX_DEPTH = 100
"""Parentheses open at one time (PAR-03)."""


class Cursor:
    """
    Text and a position in it. Everything raises L{BadSyntax} with that position.

    @ivar utf8: quoted strings may hold UTF-8 (RFC 6855 section 3)
    @ivar naming: what its names of mailboxes mean
    @ivar depth: parentheses that are open
    """

    __slots__ = ("depth", "naming", "pos", "text", "utf8")

    def __init__(
        self, text: bytes, pos: int = 0, *, utf8: bool = False, naming: Naming = PLAIN
    ) -> None:
        self.text = text
        self.pos = pos
        self.utf8 = utf8
        self.naming = naming
        self.depth = 0

    def __repr__(self) -> str:
        return f"<Cursor at {self.pos} of {len(self.text)}>"  # the text may hold a password

    def peek(self) -> int:
        """
        The next octet, or -1 at the end.
        """
        return self.text[self.pos] if self.pos < len(self.text) else -1

    def at_end(self) -> bool:
        """
        Whether nothing is left.
        """
        return self.pos >= len(self.text)

    def looking_at(self, word: bytes) -> bool:
        """
        Whether C{word} (in capitals) comes next, in any case.
        """
        return self.text[self.pos : self.pos + len(word)].upper() == word

    def take(self, word: bytes) -> bool:
        """
        Step over C{word} (in capitals) if it comes next, in any case.
        """
        if self.looking_at(word):
            self.pos += len(word)
            return True
        return False

    def expect(self, word: bytes) -> None:
        """
        Step over C{word} (in capitals), in any case.
        """
        if not self.take(word):
            raise self.wrong(f'"{word.decode("ascii")}"')

    def space(self) -> None:
        """
        Step over exactly one space.
        """
        if self.text[self.pos : self.pos + 1] != b" ":
            raise self.wrong("SP")
        self.pos += 1

    def end(self) -> None:
        """
        Nothing may be left.
        """
        if self.pos < len(self.text):
            raise self.wrong("end of command")

    def match(self, pattern: re.Pattern[bytes], expected: str) -> re.Match[bytes]:
        """
        Step over what C{pattern} matches here.
        """
        found = pattern.match(self.text, self.pos)
        if found is None:
            raise self.wrong(expected)
        self.pos = found.end()
        return found

    def open(self) -> None:
        """
        Step over C{(}, unless too many are open already.
        """
        self.expect(b"(")
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise BadSyntax(f"at most {MAX_DEPTH} nested parentheses", self.pos - 1)

    def close(self) -> None:
        """
        Step over C{)}.
        """
        self.expect(b")")
        self.depth -= 1

    def wrong(self, expected: str) -> BadSyntax:
        """
        To be raised: something else would have been right here.
        """
        return BadSyntax(expected, self.pos)
