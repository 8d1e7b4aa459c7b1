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
        commands = tuple(names)
        # A pattern that matches nothing where there are no names.
        one_of = b"|".join(map(re.escape, commands)) or b"(?!)"
        self._all_of = re.compile(_LINES % one_of).fullmatch
        self._replies = tuple(
            (b" %b\r\n" % each, b" OK %b completed\r\n" % each) for each in commands
        )

    def answer(self, data: bytes) -> bytes | None:
        """
        The tagged replies to input of whole commands; None if any of it is something else.
        """
        if self._all_of(data) is None:
            return None
        # No tag has a space, so what is replaced is always a command.
        for command, reply in self._replies:
            data = data.replace(command, reply)
        return data
