"""
Clients that poll: commands which do nothing but ask for news, answered all at once when there is
none.

A NOOP that finds nothing to report needs no parser, no coroutine and no session. L{Polls} looks
whether input is nothing but such commands; everything else goes the usual way, which gives the
same answers.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

# tag = 1*<any ASTRING-CHAR except "+">; possessive, so that it is linear in its input
_LINES = rb'(?:[^\x00-\x20\x7f-\xff(){%%*"\\+]{1,256} (?:%b)\r\n)++'


class Polls:
    """
    Whole input that is nothing but polls.
    """

    def __init__(self, names: Iterable[bytes]) -> None:
        """
        @param names: commands without arguments and effects, in capitals
        """
        self._names = tuple(names)
        # A pattern that matches nothing where there are no names.
        one_of = b"|".join(map(re.escape, self._names)) or b"(?!)"
        self._lines = re.compile(_LINES % one_of)
        self._ends = tuple(b" %b\r\n" % each for each in self._names)
        self._replies = tuple(
            (end, b" OK %b completed\r\n" % name)
            for name, end in zip(self._names, self._ends, strict=True)
        )

    def answer(self, data: bytes) -> bytes | None:
        """
        The tagged replies to input of whole commands; None if any of it is something else.
        """
        if not data.endswith(self._ends) or self._lines.fullmatch(data) is None:
            return None
        # No tag has a space, so what is replaced is always a command.
        for end, reply in self._replies:
            data = data.replace(end, reply)
        return data
