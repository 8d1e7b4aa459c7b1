"""
The files that Courier keeps in a Maildir, read:

    courierimapuiddb            UIDs, in the form of the first version of Dovecot's list
    courierpop3dsizelist        what POP3 clients know messages by, in the INBOX
    courierimapkeywords/        C{:list} has the names, an empty line, and numbers of names by
                                message; a file with a message's name has its keywords as they are
                                since then
    courierimapsubscribed       C{INBOX.Folder.Below}, in UTF-8 since version 5

Courier gives POP3 unique-ids from a count of their own: C{UID17-1700000000} is nobody's UID.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping

import attrs

from mailaccess.store.disk import Disk
from mailaccess.store.maildir import dovecot
from mailaccess.store.maildir.doubts import Doubts
from mailaccess.store.maildir.uidlist import UidList, is_no_file, number

LIST = "courierimapuiddb"
SIZES = "courierpop3dsizelist"
KEYWORDS = "courierimapkeywords"
SUBSCRIBED = "courierimapsubscribed"

_NAMES = ":list"
_LARGEST = 1 << 28
_LARGEST_NOTE = 64 * 1024
_VERSIONS = ("/1", "/2", "/3")
_UNSAFE = re.compile(r"[^!-~]|['\"+]")
_LATER = re.compile(r"\.(\d{1,20})\.(.+)", re.S)


def parse(text: str) -> UidList:
    """
    A list of UIDs.
    """
    found = dovecot.parse(text if text[:2] == "1 " else "")
    return attrs.evolve(found, source="courier")


def parse_sizes(text: str) -> dict[str, str]:
    """
    Unique-ids by base, in Courier's own order.
    """
    head, _, rest = text.partition("\n")
    if head.split(" ")[0] not in _VERSIONS:
        return {}
    rows: list[tuple[int, int, str, str]] = []
    for place, line in enumerate(rest.split("\n")):
        name, _, last = line.rpartition(" ")
        base = name.rpartition(" ")[0].partition(":")[0]
        count, _, after = last.partition(":")
        if not base:
            continue
        uid, validity = number(count), number(after.partition(":")[0])
        if not uid:
            unique_id = _UNSAFE.sub(lambda char: "".join(map(_plus, os.fsencode(char[0]))), base)
        else:
            unique_id = f"UID{uid}-{validity}" if validity else f"UID{uid}"
        rows.append((uid, place, base, unique_id))
    return {base: unique_id for _, _, base, unique_id in sorted(rows)}


def _plus(octet: int) -> str:
    return f"+{octet:02X}"


def with_unique_ids(found: UidList | None, sizes: Mapping[str, str]) -> UidList:
    """
    A list with what POP3 clients know. Messages that only POP3 has seen get the UIDs that follow;
    where only POP3 was used, all.
    """
    base = found or UidList(0, 1, {}, "courier")
    uids = dict(base.uids)
    following = base.uid_next
    for name in sizes:
        if name not in uids:
            uids[name] = following
            following += 1
    texts = {uids[name]: text for name, text in sizes.items()}
    return attrs.evolve(base, uids=uids, uid_next=following, unique_ids=texts)


@attrs.frozen
class Keywords:
    """
    @ivar names: in their order
    @ivar places: numbers of names by base
    """

    names: list[str]
    places: dict[str, set[int]]
    doubts: tuple[str, ...] = ()


def load_keywords(disk: Disk, at: int) -> Keywords:
    """
    Keywords of the mailbox whose directory this is; nothing where it has none.

    @raise OSError: they are there and cannot be read
    """
    try:
        below = disk.open_directory(KEYWORDS, at)
    except OSError as error:
        if not is_no_file(error):
            raise
        return Keywords([], {})
    try:
        try:
            text = os.fsdecode(disk.read(_NAMES, below, _LARGEST))
        except OSError as error:
            if not is_no_file(error):
                raise
            text = ""
        found = parse_keywords(text)
        newest: dict[str, tuple[int, str]] = {}
        for name in disk.listdir(below):
            later = _LATER.fullmatch(name)
            # A note without a number was written after all that have one.
            count, base = (int(later[1]), later[2]) if later else (1 << 70, name)
            if name != _NAMES and (count, name) > newest.get(base, (-1, "")):
                newest[base] = count, name
        known = {name: place for place, name in enumerate(found.names)}
        for base, (_, name) in newest.items():
            try:
                lines = os.fsdecode(disk.read(name, below, _LARGEST_NOTE)).split("\n")
            except OSError as error:
                if not is_no_file(error):
                    raise
                continue
            found.places[base] = {
                known.setdefault(line, len(known)) for line in lines if _is_keyword(line)
            }
        return attrs.evolve(found, names=list(known))
    finally:
        os.close(below)


def parse_keywords(text: str) -> Keywords:
    """
    The file C{:list}.
    """
    doubts = Doubts()
    head, _, rest = text.partition("\n\n")
    names = [line for line in head.split("\n") if line]
    places: dict[str, set[int]] = {}
    for line, entry in enumerate(rest.split("\n"), len(names) + 2):
        base, colon, numbers = entry.rpartition(":")
        if not entry:
            continue
        wanted = {int(word) for word in numbers.split(" ") if word.isdigit() and len(word) < 6}
        if not colon or not base or any(place >= len(names) for place in wanted):
            doubts.note("line", "makes no sense and is passed over", line)
            continue
        places[base] = wanted
    return Keywords(names, places, doubts.texts())


def _is_keyword(text: str) -> bool:
    return bool(text) and not text.startswith("\\")


def subscriptions(text: str) -> list[str]:
    """
    Names of directories without the full stop before them, or C{INBOX}.
    """
    found = []
    for line in text.split("\n"):
        if line.upper() == "INBOX":
            found.append("INBOX")
        elif line[:6].upper() == "INBOX." and line[6:]:
            found.append(line[6:])
    return found
