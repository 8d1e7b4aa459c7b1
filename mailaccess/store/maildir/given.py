"""
The files in which an account keeps which mailboxes were given a use (RFC 6154), and which folders
it got from the site. They outlive the record.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence

from mailaccess.store import names
from mailaccess.store.disk import Tree
from mailaccess.store.maildir import index
from mailaccess.store.uses import USUAL

USES = "uses"
FURNISHED = "furnished"
_LARGEST = 4 * 1024 * 1024

Given = dict[str, tuple[str, ...]]
"""Uses by directory; those that are only kept from an old name begin with L{KEPT}."""

KEPT = "~"
"""
Before a use that a mailbox has from the name it had: a new mailbox of such a name takes it over.
"""


def load(tree: Tree) -> Given:
    """
    Uses by directory, also of directories that are gone.
    """
    given: Given = {}
    for line in _read(tree, USES).split("\n"):
        directory, _, words = line.partition("\t")
        uses = tuple(each for each in words.split(" ") if each.removeprefix(KEPT) in USUAL)
        if uses:
            given[directory] = uses
    return given


def save(tree: Tree, given: Mapping[str, Sequence[str]]) -> None:
    """
    Durably.
    """
    lines = [f"{each}\t{' '.join(uses)}\n" for each, uses in sorted(given.items()) if uses]
    tree.replace(USES, "".join(lines).encode("utf-8", "surrogateescape"), index.DIRECTORY)


def by_name(given: Given) -> dict[str, tuple[str, ...]]:
    """
    The same by the names of mailboxes.
    """
    found = ((names.name_of(directory), uses) for directory, uses in given.items())
    return {
        name: tuple(each.removeprefix(KEPT) for each in uses)
        for name, uses in found
        if name is not None
    }


def furnished(tree: Tree) -> list[str]:
    """
    The uses whose folders the account was furnished with, or had.
    """
    return [each for each in _read(tree, FURNISHED).split("\n") if each in USUAL]


def note_furnished(tree: Tree, uses: Sequence[str]) -> None:
    """
    Durably.
    """
    text = "".join(f"{each}\n" for each in uses)
    tree.replace(FURNISHED, text.encode("ascii"), index.DIRECTORY)


def _read(tree: Tree, name: str) -> str:
    try:
        with tree.open(index.DIRECTORY) as at:
            return os.fsdecode(tree.disk.read(name, at, _LARGEST))
    except FileNotFoundError:
        return ""
