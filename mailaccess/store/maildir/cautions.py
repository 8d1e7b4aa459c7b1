"""
What to tell an administrator before a Maildir is taken over: mail that would not be served, or not
as it is now.
"""

from __future__ import annotations

import contextlib
import os
from collections import Counter

from mailaccess.store.disk import Tree

_RIGHTS = ("dovecot-acl", "courierimapacl")
_USUAL_RIGHTS = {"owner aceilrstwx", "administrators aceilrstwx"}
_LARGEST = 64 * 1024
_SAMPLE = 200
"""Messages of a mailbox that are looked at, about."""
_MAGIC = {
    b"\x1f\x8b": "compressed",
    b"BZh": "compressed",
    b"\xfd7zXZ": "compressed",
    b"\x28\xb5\x2f\xfd": "compressed",
    b"Dovecot-LZ4": "compressed",
    b"CRYPTED\x03\x07": "encrypted",
}
_MAGIC_LENGTH = max(map(len, _MAGIC))


_KNOWN_AS = {"courier": (".", "INBOX."), "dovecot": (".", "")}
"""What stands between the parts of folders' names, and before them, unless told otherwise."""


def other_names(source: str, delimiter: str, prefix: str) -> str:
    """
    What to set so that clients find folders under the names they know; empty if nothing.

    @param source: who had the mail before
    @param delimiter: as it is set now
    @param prefix: as it is set now
    """
    theirs, before = _KNOWN_AS.get(source, (delimiter, prefix))
    # Of Dovecot's, which has both as its configuration says, whatever was set is believed.
    if (delimiter, prefix) == (theirs, before) or (
        source == "dovecot" and delimiter + prefix != "/"
    ):
        return ""
    lines = f'delimiter = "{theirs}"' + (f' and prefix = "{before}"' if before else "")
    unless = "" if before else ", unless separator or prefix of its namespace say otherwise"
    return (
        f"{source.capitalize()}'s clients know folders as {before}Work{theirs}2024{unless}; so that"
        f" none loads them again, add {lines} to [mail]"
    )


def unserved(tree: Tree, directory: str) -> list[str]:
    """
    Whether a directory that is no mailbox here is one for others.
    """
    with contextlib.suppress(OSError), tree.open(directory) as at:
        if tree.disk.exists("cur", at):
            why = "its name is none that a mailbox can have"
            if directory[0] != ".":
                why = "folders in folders, as with Dovecot's LAYOUT=fs, are not read"
            return [f"{directory!r} is not served: {why}"]
    return []


def kept_elsewhere(tree: Tree, directory: str) -> list[str]:
    """
    Whether Dovecot was here, and its list of UIDs, which is not, is elsewhere.
    """
    with tree.open(directory) as at:
        if tree.disk.exists("dovecot.index.log", at):
            return ["Dovecot's list of UIDs is not here: copy what its CONTROL= says to here"]
    return []


def rights(tree: Tree, directory: str) -> list[str]:
    """
    Who else may see the mailbox, which is nobody's business here.
    """
    found = []
    for file in _RIGHTS:
        with contextlib.suppress(OSError), tree.open(directory) as at:
            lines = os.fsdecode(tree.disk.read(file, at, _LARGEST)).split("\n")
            granted = [line for line in lines if line.strip() and line not in _USUAL_RIGHTS]
            if granted:
                found.append(f"{file} gives rights to others, which are not taken over")
    return found


def unreadable(tree: Tree, directory: str) -> list[str]:
    """
    Whether a plugin of Dovecot's wrote messages in a form that only Dovecot reads.
    """
    found: Counter[str] = Counter()
    looked = 0
    for below in ("cur", "new"):
        with contextlib.suppress(FileNotFoundError), tree.open(directory, below) as at:
            there = sorted(tree.disk.listdir(at))
            sample = there[:: max(1, len(there) // _SAMPLE)]
            looked += len(sample)
            for name in sample:
                with contextlib.suppress(OSError):
                    start = tree.disk.read(name, at, _MAGIC_LENGTH)
                    found.update(what for magic, what in _MAGIC.items() if start.startswith(magic))
    return [
        f"messages are {what}, which only Dovecot reads: {count} of {looked}"
        " that were looked at; have it write them as they are first"
        for what, count in found.items()
    ]
