"""
Names of users and mailboxes as names of directories.

A mailbox C{A/B} is the directory C{.A.B} (Maildir++), its components in modified UTF-7. A full stop
inside a component is written C{&AC4-}: modified UTF-7 proper never writes printable ASCII in
base64, so that no other name has this form, and a reader that does not know the rule shows the full
stop all the same. A directory whose name is not what its mailbox's name would give is no mailbox:
thus no two names share a directory, and no two directories a name (PATH-02).
"""

from __future__ import annotations

import re
from functools import lru_cache

from mailaccess.errors import BadMailboxName, BadSyntax
from mailaccess.wire import utf7

INBOX = "INBOX"
DELIMITER = "/"

_LONGEST_NAME = 1000
_LONGEST_FILE = 255
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
_DOT, _ESCAPED_DOT = b".", b"&AC4-"


def directory_of(name: str) -> str:
    """
    The directory of a mailbox, below the user's Maildir; empty for C{INBOX}.

    @raise BadMailboxName: no mailbox can have this name (PATH-01)
    """
    if name.upper() == INBOX:
        return ""
    if len(name.encode("utf-8", "surrogatepass")) > _LONGEST_NAME or _CONTROL.search(name):
        raise BadMailboxName(detail="too long, or control characters")
    parts = name.split(DELIMITER)
    for part in parts:
        # A leading "." or "~" is harmless here, but not to what else may read the tree.
        if not part or part[0] in ".~":
            raise BadMailboxName(detail="a part is empty or starts with '.' or '~'")
    directory = b"." + b".".join(utf7.encode(part).replace(_DOT, _ESCAPED_DOT) for part in parts)
    if len(directory) > _LONGEST_FILE:
        raise BadMailboxName(detail="too long for a directory")
    return directory.decode("ascii")


# As many as a large account has: all of them are asked for each time they are listed.
@lru_cache(maxsize=16384)
def name_of(directory: str) -> str | None:
    """
    The mailbox that a directory is, or None if it is none.
    """
    if not directory:
        return INBOX
    if directory[0] != "." or not directory.isascii():
        return None
    try:
        parts = [
            utf7.decode(part.replace(_ESCAPED_DOT, _DOT))
            for part in directory[1:].encode("ascii").split(b".")
        ]
        name = DELIMITER.join(parts)
        return name if directory_of(name) == directory else None
    except (BadSyntax, BadMailboxName):
        return None


def parents_of(name: str) -> list[str]:
    """
    The names above a name, topmost first.
    """
    parts = name.split(DELIMITER)
    return [DELIMITER.join(parts[:count]) for count in range(1, len(parts))]


def escape_user(name: str) -> str:
    """
    A user name, or a part of one, as one component of a path: different names give different
    components, and none is C{.} or C{..} or has a slash (PATH-03).
    """
    escaped = "".join(
        char if char.isalnum() or char in "@_-+=" or (char == "." and index) else _percent(char)
        for index, char in enumerate(name)
    )
    return escaped or "%"


def _percent(char: str) -> str:
    return "".join(f"%{octet:02x}" for octet in char.encode("utf-8", "surrogatepass"))


def user_directory(template: str, user: str) -> str:
    """
    Fill C{{user}}, C{{local}} and C{{domain}} in a path.
    """
    local, _, domain = user.rpartition("@") if "@" in user else (user, "", "")
    values = {"user": user, "local": local, "domain": domain}
    return re.sub(r"\{(user|local|domain)\}", lambda found: escape_user(values[found[1]]), template)
