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


@attrs.frozen
class Rights:
    """
    The rights.
    """

    administrators: Sequence[str] = ()

    def may_act_as(self, identity: Identity, other: str) -> bool:
        """
        Whether somebody whose credentials were right may act as another user (canonical name).
        """
        if any(fnmatchcase(identity.name, each.lower()) for each in self.administrators):
            return True
        own = identity.fields.get("may_act_as", "").lower().split(",")
        return any(fnmatchcase(other, each.strip()) for each in own)
