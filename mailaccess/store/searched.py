"""
What a search looks at in a message. Without Twisted: processes that help use it, too.
"""

from __future__ import annotations

import datetime
from collections.abc import Callable
from operator import eq, ge, lt
from typing import Any

from mailaccess.message import text as message_text
from mailaccess.message.scan import scan
from mailaccess.store import query as q


class Message:
    """
    A message as a search sees it; each form is computed when first asked for.
    """

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._header: str | None = None
        self._body: str | None = None
        self._values: dict[str, list[str]] = {}
        self._sent: datetime.date | bool | None = False

    def values(self, name: str) -> list[str]:
        """
        Folded values of a header field.
        """
        found = self._values.get(name)
        if found is None:
            raw = name.encode("ascii", "replace")
            values = message_text.header_value(self._data, raw)
            found = self._values[name] = [message_text.fold(value) for value in values]
        return found

    @property
    def header(self) -> str:
        """
        The folded header.
        """
        if self._header is None:
            self._header = message_text.fold(message_text.header_text(self._data))
        return self._header

    @property
    def body(self) -> str:
        """
        The folded text of the text parts.
        """
        if self._body is None:
            self._body = message_text.fold(message_text.body_text(self._data, scan(self._data)))
        return self._body

    @property
    def sent(self) -> datetime.date | None:
        """
        The day in the Date field.
        """
        if isinstance(self._sent, bool):
            self._sent = message_text.sent_date(self._data)
        return self._sent


_COMPARE: dict[type, Callable[[Any, Any], bool]] = {q.Since: ge, q.Before: lt, q.On: eq}


def compares_with(node: q.Since | q.Before | q.On) -> Callable[[Any, Any], bool]:
    """
    How the day of a message has to stand to the one that is asked for.
    """
    return _COMPARE[type(node)]
