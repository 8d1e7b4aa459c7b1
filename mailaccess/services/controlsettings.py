"""
The configuration of the control socket.
"""

from __future__ import annotations

import re
from typing import Any

import attrs

from .kinds import FileName, Text, WrongValue
from .options import option


@attrs.frozen
class Mode:
    """
    Permissions of a file, as C{chmod} takes them, for its owner and its group.
    """

    title: str = 'permissions like `"0600"`'

    def read(self, value: Any) -> str:
        if isinstance(value, int) and not isinstance(value, bool):
            raise WrongValue('is a number, whose digits would count differently; write "0600"')
        text = Text().read(value)
        if not re.fullmatch(r"0?[0-7]{3}", text):
            raise WrongValue('is not understood; write it like "0600"')
        mode = int(text, 8)
        if mode & 0o007:
            raise WrongValue('lets everybody end sessions; write "0600", or "0660" with a group')
        if not mode & 0o600 == 0o600:
            raise WrongValue('keeps out its owner; write "0600", or "0660" with a group')
        return text


@attrs.frozen(kw_only=True)
class ControlSettings:
    """
    A socket through which administrators of this machine speak to the running server: `mailaccess
    who`, `kick` and `reload`. Whoever may write to it may do all that.
    """

    path: str = option(
        FileName(),
        "",
        "where it is; empty for none. Its directory is made if only that is missing, and must not"
        " be one that everybody may write to",
    )
    mode: str = option(Mode(), "0600", "who may use it")
    owner: str = option(
        Text(what="user name"), "", "whose it is; empty for the user that the server runs as"
    )
    group: str = option(
        Text(what="group name"), "", 'its group, for `mode = "0660"`; empty for the server\'s'
    )
