"""
Who may act as somebody else (RFC 4422 section 2: the authorization identity).

    administrators    of the configuration: patterns; they may act as anybody
    may_act_as        in somebody's own record: patterns of the names they may act as, with commas

Patterns are as in a shell and are compared with canonical names. Without either, nobody may.
"""

from __future__ import annotations

from collections.abc import Sequence
from fnmatch import fnmatchcase

import attrs

from ..interfaces import Identity
from .gate import STATES


@attrs.frozen
class Rights:
    """
    The rights.

    @ivar administrators: patterns
    @ivar open_disabled: they may see the mail of those who are disabled or expired
    """

    administrators: Sequence[str] = ()
    open_disabled: bool = False

    def may_act_as(self, identity: Identity, other: str) -> bool:
        """
        Whether somebody whose credentials were right may act as another user (canonical name).
        """
        if self._administers(identity):
            return True
        own = identity.fields.get("may_act_as", "").lower().split(",")
        return any(fnmatchcase(other, each.strip()) for each in own)

    def as_seen(self, identity: Identity, other: Identity) -> Identity:
        """
        The other one, as the account gate is to see them when somebody acts as them.
        """
        if not self.open_disabled or not self._administers(identity):
            return other
        fields = {key: value for key, value in other.fields.items() if key not in STATES}
        return attrs.evolve(other, fields=fields)

    def _administers(self, identity: Identity) -> bool:
        return any(fnmatchcase(identity.name, each.lower()) for each in self.administrators)
