"""
Patterns of LIST and LSUB (RFC 3501 section 6.3.8), matched without going back: a hostile pattern
costs no more than its length times the length of the name (PAR-08).
"""

from __future__ import annotations

import re

from mailaccess.errors import BadSyntax

MAX_WILDCARDS = 50

_RUN = re.compile(r"[*%]{2,}")
_CAPITALS = {ord(c): ord(c.upper()) for c in "abcdefghijklmnopqrstuvwxyz"}


class ListPattern:
    """
    Which mailbox names are meant. C{*} stands for anything, C{%} for anything without the
    delimiter.

    @ivar text: reference and pattern, joined; wildcards side by side count as one
    """

    __slots__ = ("_inbox", "_matcher", "text")

    def __init__(self, reference: str, pattern: str, delimiter: str = "/") -> None:
        """
        @raise BadSyntax: too many wildcards
        """
        # "**" is "*" and "*%" is "*": what is left has no two wildcards side by side.
        self.text = _RUN.sub(lambda run: "*" if "*" in run[0] else "%", reference + pattern)
        if self.text.count("*") + self.text.count("%") > MAX_WILDCARDS:
            raise BadSyntax(f"at most {MAX_WILDCARDS} wildcards")
        self._matcher = _matcher(self.text, delimiter)
        # In ASCII only: there are letters that become an I when they are made capitals.
        self._inbox = _matcher(self.text.translate(_CAPITALS), delimiter).matches("INBOX")

    def __repr__(self) -> str:
        return f"<ListPattern {self.text!r}>"

    def matches(self, name: str) -> bool:
        """
        Whether the pattern means this name; C{INBOX} in any case.
        """
        return self._inbox if name == "INBOX" else self._matcher.matches(name)


class _Glob:
    """
    One kind of wildcard, which stands for anything: leftmost finds are as good as any.
    """

    __slots__ = ("_first", "_last", "_middle", "_whole")

    def __init__(self, text: str, wildcard: str) -> None:
        parts = text.split(wildcard)
        self._whole = text if len(parts) == 1 else None
        self._first, self._last, self._middle = parts[0], parts[-1], parts[1:-1]

    def matches(self, name: str) -> bool:
        if self._whole is not None:
            return name == self._whole
        position, end = len(self._first), len(name) - len(self._last)
        if end < position or not name.startswith(self._first) or not name.endswith(self._last):
            return False
        for part in self._middle:
            position = name.find(part, position, end)
            if position < 0:
                return False
            position += len(part)
        return True


class _Levels:
    """
    C{%} alone: as many levels in the name as in the pattern, and each matches.
    """

    __slots__ = ("_delimiter", "_globs")

    def __init__(self, text: str, delimiter: str) -> None:
        self._delimiter = delimiter
        self._globs = [_Glob(level, "%") for level in text.split(delimiter)]

    def matches(self, name: str) -> bool:
        levels = name.split(self._delimiter)
        return len(levels) == len(self._globs) and all(
            glob.matches(level) for glob, level in zip(self._globs, levels, strict=True)
        )


class _Mixed:
    """
    Both kinds: all places in the pattern where the match may be are bits of one number, and move on
    together with each character of the name.
    """

    __slots__ = ("_any", "_delimiter", "_end", "_level", "_literals", "_places")

    def __init__(self, text: str, delimiter: str) -> None:
        self._delimiter = delimiter
        self._any = self._level = 0
        self._places: dict[str, int] = {}
        self._literals = [part for part in re.split("[*%]", text) if part]
        self._end = 1 << len(text)
        for index, character in enumerate(text):
            if character == "*":
                self._any |= 1 << index
            elif character == "%":
                self._level |= 1 << index
            else:
                self._places[character] = self._places.get(character, 0) | 1 << index

    def matches(self, name: str) -> bool:
        if not all(part in name for part in self._literals):
            return False
        anything, level = self._any, self._level
        wild = anything | level
        now = 1 | (1 & wild) << 1
        for character in name:
            stay = anything if character == self._delimiter else wild
            now = (now & self._places.get(character, 0)) << 1 | now & stay
            now |= (now & wild) << 1
            if not now:
                return False
        return bool(now & self._end)


def _matcher(text: str, delimiter: str) -> _Glob | _Levels | _Mixed:
    if "%" not in text:
        return _Glob(text, "*")
    return _Mixed(text, delimiter) if "*" in text else _Levels(text, delimiter)
