"""
CREATE-SPECIAL-USE, where the store can: RFC 6154 section 3. It is a parameter of CREATE.
"""

from __future__ import annotations

from ....store.uses import IGivesUses
from ....wire.cursor import Cursor
from ....wire.grammar.atoms import atom, parenthesised
from ..registry import Extension

extension = Extension(
    "CREATE-SPECIAL-USE", capabilities=(b"CREATE-SPECIAL-USE",), requires=IGivesUses
)

_MAX_USES = 20


# create-param = "USE" SP "(" [use-attr *(SP use-attr)] ")", in parentheses
def create_parameters(cursor: Cursor) -> list[str]:
    """
    The special uses of a mailbox to be made.

    RFC 6154 section 6; RFC 4466 section 2.2.
    """
    cursor.open()
    cursor.expect(b"USE")
    cursor.space()
    uses = parenthesised(cursor, _use, _MAX_USES, empty=True)
    cursor.close()
    return uses


def _use(cursor: Cursor) -> str:
    cursor.expect(b"\\")
    return "\\" + atom(cursor).decode("ascii")
