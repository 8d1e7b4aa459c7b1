"""
The table of the configuration for public folders: C{[[namespace]]}.
"""

from __future__ import annotations

import attrs

from .kinds import FileName, Switch, Text
from .options import REQUIRED, option


@attrs.frozen(kw_only=True)
class NamespaceSettings:
    """
    Public folders: mailboxes that many share, under a prefix of their own. Who may do what is in a
    file, or everybody may read.
    """

    prefix: str = option(
        Text(what="name with `/` behind it"),
        REQUIRED,
        'what all their names begin with, as `"Public/"`',
    )
    path: str = option(FileName(), REQUIRED, "the Maildir that they are in")
    read_only: bool = option(
        Switch(), False, "everybody may read, and nobody may write (`lrs`); in place of `rights`"
    )
    rights: str = option(
        FileName(), "", "file of who may do what; read again when it changes; closed while wrong"
    )
    source: str = "default"
