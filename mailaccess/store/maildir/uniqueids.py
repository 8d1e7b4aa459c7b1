"""
What POP3 clients know messages by (RFC 1939 section 7), where another server gave it out: the file
C{mailaccess-uniqueids} in a mailbox's directory, a UID and a unique-id per line, written when the
mailbox is taken over and left alone from then on. A message that is not in it has the unique-id
that is made from its UID and UIDVALIDITY, which is Dovecot's usual one, too.

    rule = Pattern("%v.%u")
    rule.text(uid=17, uid_validity=1700000000, base="1700000000.M1P2.host", guid="")
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Callable, Mapping

from mailaccess.store.disk import Disk, Tree
from mailaccess.store.maildir.uidlist import UidList, number

FILE = "mailaccess-uniqueids"
USUAL = "%08Xu%08Xv"
"""Dovecot's default, as C{pop3_uidl_format} has it."""

_HEADER = "mailaccess-uniqueids 1"
_LARGEST = 1 << 28
_LONGEST = 255
_GOOD = re.compile(rf"[!-~]{{1,{_LONGEST}}}")
_KEYS = {"uidvalidity": "v", "uid": "u", "md5": "m", "filename": "f", "guid": "g"}
_ITEM = re.compile(
    r"%(?:(?P<percent>%)|(?P<width>\d{0,3})(?P<modifiers>[A-Z]{0,4})"
    r"(?:(?P<key>[a-z])|\{(?P<name>[a-z0-9]+)\s*(?:\|\s*hex\((?P<hex>\d{1,2})\)\s*)?\}))|(?P<bad>%)"
)
_CHANGES: Mapping[str, Callable[[str], str]] = {
    "L": str.lower,
    "U": str.upper,
    "R": lambda text: text[::-1],
    "X": lambda text: f"{int(text):x}" if text.isdigit() else text,
    "M": lambda text: hashlib.md5(os.fsencode(text), usedforsecurity=False).hexdigest(),
}


class Pattern:
    """
    How a Dovecot made unique-ids: its C{pop3_uidl_format}.
    """

    def __init__(self, text: str) -> None:
        """
        @raise ValueError: it says nothing, or what cannot be found out; the text is for people
        """
        self.source = text
        found = list(_ITEM.finditer(text))
        keys = {self._key(item) for item in found if not item["percent"]}
        if "m" in keys:
            raise ValueError("%m is of headers in an mbox; there is none of a Maildir")
        if not keys & set("ufg"):
            raise ValueError("it does not tell messages apart: it has none of %u, %f and %g")

    @staticmethod
    def _key(item: re.Match[str]) -> str:
        key = item["key"] or _KEYS.get(item["name"] or "", "")
        unknown = set(item["modifiers"] or "") - set(_CHANGES)
        if item["bad"] or key not in _KEYS.values() or unknown:
            raise ValueError(f"{item[0]!r} at {item.start() + 1} is not known")
        return key

    def text(self, uid: int, uid_validity: int, base: str, guid: str) -> str:
        """
        The unique-id of a message.

        @param guid: what Dovecot's list calls it, or empty
        """
        values = {"u": str(uid), "v": str(uid_validity), "f": base, "g": guid or base}

        def fill(item: re.Match[str]) -> str:
            if item["percent"]:
                return "%"
            value = values[self._key(item)]
            if item["hex"]:
                return f"{int(value):0{int(item['hex'])}x}"
            for modifier in item["modifiers"]:
                value = _CHANGES[modifier](value)
            width = int(item["width"] or 0)
            # A width with a zero before it fills up, one without cuts off.
            return value.zfill(width) if item["width"][:1] == "0" else value[: width or None]

        return _ITEM.sub(fill, self.source)


def usual(uid: int, uid_validity: int) -> str:
    """
    The unique-id of a message that has no other.
    """
    return f"{uid:08x}{uid_validity:08x}"


def kept(found: UidList, uid_validity: int, pattern: Pattern | None) -> tuple[dict[int, str], int]:
    """
    Unique-ids, other than the usual ones, that messages had with another server; and how many had
    one that cannot be kept, since it is another message's or no unique-id.

    @param pattern: how that server made those that its list does not have
    """
    given = dict(found.unique_ids)
    if pattern is not None and pattern.source != USUAL and found.source == "dovecot":
        for base, uid in found.uids.items():
            if uid not in given:
                guid = next(
                    (w[1:] for w in found.extensions.get(uid, "").split(" ") if w[:1] == "G"), ""
                )
                given[uid] = pattern.text(uid, uid_validity, base, guid)
    good: dict[int, str] = {}
    seen: set[str] = set()
    suffix = f"{uid_validity:08x}"
    bad = 0
    for uid, text in sorted(given.items()):
        if text == usual(uid, uid_validity):
            continue
        # Another message has or will have that one.
        others = len(text) == 16 and text.endswith(suffix)
        if not _GOOD.fullmatch(text) or text in seen or others:
            bad += 1
            continue
        seen.add(text)
        good[uid] = text
    return good, bad


def write(tree: Tree, directory: str, texts: Mapping[int, str]) -> None:
    """
    Make them durable.
    """
    lines = "".join(f"{uid} {text}\n" for uid, text in sorted(texts.items()))
    tree.replace(FILE, f"{_HEADER}\n{lines}".encode("ascii"), directory)


def load(disk: Disk, at: int) -> dict[int, str]:
    """
    Those of the mailbox whose directory this is.

    @raise OSError: they cannot be read, which is never taken for "none"
    """
    try:
        text = disk.read(FILE, at, _LARGEST).decode("ascii", "replace")
    except FileNotFoundError:
        return {}
    found = {}
    for line in text.split("\n")[1:-1]:
        first, _, value = line.partition(" ")
        if (uid := number(first)) and _GOOD.fullmatch(value):
            found[uid] = value
    return found
