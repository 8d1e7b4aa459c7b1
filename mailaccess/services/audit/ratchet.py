"""
The ratchet: whoever has used nothing but TLS for long enough is refused in the clear from then on.

It decides nothing: for a user whom it holds it gives the text that L{Person.ratchet} carries into
the one decision, where rules of the configuration and what the user's own record says come before
it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from fnmatch import fnmatchcase

import attrs

from .database import Standing


def where(since: int) -> str:
    """
    Where the rule is written, as C{explain} and the log say it.
    """
    return f"ratchet since {datetime.fromtimestamp(since, UTC):%Y-%m-%d}"


@attrs.define
class Ratchet:
    """
    Those whom it holds. Read on the reactor's thread, replaced as a whole by the keeper's.

    @ivar after: seconds with nothing but TLS; 0 for never
    @ivar logins: at least so many
    @ivar exempt: patterns of names, compared without case
    """

    after: int = 0
    logins: int = 1
    exempt: Sequence[str] = ()
    _held: dict[str, int] = attrs.field(factory=dict)

    def hold(self, standings: Iterable[Standing]) -> None:
        """
        Whom the database names; nobody else.
        """
        self._held = {each.user: each.since for each in standings if each.since}

    def __len__(self) -> int:
        return len(self._held)

    def __call__(self, name: str) -> str:
        """
        C{ratchet since 2026-11-22} for a canonical name that it holds; else empty.
        """
        since = self._held.get(name, 0)
        if not since or not self.after or self.exempts(name):
            return ""
        return where(since)

    def exempts(self, name: str) -> bool:
        """
        Whether the configuration leaves somebody out.
        """
        return any(fnmatchcase(name.casefold(), each.casefold()) for each in self.exempt)
