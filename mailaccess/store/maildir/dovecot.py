"""
The files that Dovecot keeps in a Maildir, read and written: C{dovecot-uidlist},
C{dovecot-keywords}, C{dovecot-uidvalidity}.

Version 3 of the list of UIDs::

    3 V1700000000 N18 G3110c12b995a026b876b000083ecc375
    16 :1700000000.M1P2.host,S=10,W=11
    17 P000000016b025a99 W11 :1700000000.M2P2.host

V is UIDVALIDITY, N the next UID, G the mailbox's own number. Of a message, P is the unique-id that
POP3 clients know it by (its file's base if the field is empty), G a number of its own, and W, S and
O are what can be found out again. Version 1, which Courier has too, is C{1 validity next} and a UID
and a base per line.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping

from mailaccess.store.disk import Disk, Tree
from mailaccess.store.maildir.doubts import TOO_HIGH, Doubts, gather
from mailaccess.store.maildir.uidlist import UidList, is_no_file, number

LIST = "dovecot-uidlist"
KEYWORDS = "dovecot-keywords"
VALIDITY = "dovecot-uidvalidity"
KEYWORD_LETTERS = 26
"""Keywords that Dovecot has letters for; it keeps others in files that only it can read."""

_KEYWORDS_LARGEST = 64 * 1024
_SPARE = 100_000
"""UIDs passed over after a list that was cut off: what it lost may have had them."""


def parse(text: str) -> UidList:
    """
    A list of version 3 or 1. One whose header cannot be believed has neither UIDVALIDITY nor UIDs.
    """
    doubts = Doubts()
    head, _, rest = text.partition("\n")
    words = head.split(" ")
    extensions: dict[int, str] = {}
    other: list[str] = []
    validity = following = 0
    if words[0] == "3":
        validity = _valued(words, "V")
        following = _valued(words, "N")
        other = [word for word in words[1:] if word[:1] not in ("", "V", "N")]
        entries = _third(rest, extensions)
    elif words[0] == "1" and len(words) >= 3:
        validity, following = number(words[1]), number(words[2])
        entries = _first(rest)
    else:
        entries = iter(())
    if not validity or not following:
        doubts.note("header", "cannot be read: the mailbox gets new UIDs", 1)
        return UidList(0, 1, {}, "dovecot", doubts=doubts.texts())
    highest, uids = gather(entries, doubts)
    following = max(following, highest + 1)
    if not text.endswith("\n"):
        doubts.note("end", "is missing: the next UIDs are passed over", text.count("\n") + 1)
        following += _SPARE
    return UidList(
        validity,
        following,
        uids,
        "dovecot",
        unique_ids=_unique_ids(uids, extensions),
        extensions=extensions,
        header=" ".join(other),
        doubts=doubts.texts(),
    )


def _valued(words: Iterable[str], key: str) -> int:
    return next((number(word[1:]) for word in words if word[:1] == key), 0)


def _third(text: str, extensions: dict[int, str]) -> Iterator[tuple[int, str, str]]:
    for line, entry in _lines(text):
        head, _, base = entry.partition(" :")
        first, _, fields = head.partition(" ")
        if fields:
            extensions[number(first)] = fields
        yield line, first, base


def _first(text: str) -> Iterator[tuple[int, str, str]]:
    for line, entry in _lines(text):
        first, _, base = entry.partition(" ")
        yield line, first, base


def _lines(text: str) -> Iterator[tuple[int, str]]:
    """
    Lines with their numbers, one after another: a long list is not held twice.
    """
    start, line = 0, 2
    while start < len(text):
        end = text.find("\n", start)
        if end < 0:
            end = len(text)
        if end > start:
            yield line, text[start:end]
        start, line = end + 1, line + 1


def _unique_ids(uids: Mapping[str, int], extensions: Mapping[int, str]) -> dict[int, str]:
    if not extensions:
        return {}
    found = {}
    for base, uid in uids.items():
        value = field(extensions.get(uid, ""), "P")
        if value is not None:
            found[uid] = value or base
    return found


def field(fields: str, key: str) -> str | None:
    """
    One of the fields of a message, or None.
    """
    return next((word[1:] for word in fields.split(" ") if word[:1] == key), None)


def text_of(box_validity: int, box_next: int, header: str, entries: Iterable[str]) -> bytes:
    """
    A list of version 3.

    @param entries: lines without their ends, in the order of UIDs
    """
    head = f"3 V{box_validity} N{box_next}" + (f" {header}" if header else "")
    return os.fsencode("".join(f"{line}\n" for line in (head, *entries)))


def entry(uid: int, fields: str, unique_id: str | None, base: str) -> str:
    """
    A line for one message: fields that were there, but for the unique-id, which is this one.
    """
    kept = [word for word in fields.split(" ") if word and word[0] != "P"]
    if unique_id is not None:
        kept.append(f"P{unique_id}")
    return " ".join([str(uid), *kept, f":{base}"])


def keywords(text: str) -> dict[int, str]:
    """
    Names of keywords by the number of their letters.
    """
    found: dict[int, str] = {}
    for line in text.split("\n"):
        place, _, name = line.partition(" ")
        if place.isascii() and place.isdigit() and len(place) < 3 and name:
            found[int(place)] = name
    return found


def load_keywords(disk: Disk, at: int) -> dict[int, str]:
    """
    L{keywords} of a mailbox, given its directory; nothing where there is no file.

    @raise OSError: it is there and cannot be read
    """
    try:
        return keywords(os.fsdecode(disk.read(KEYWORDS, at, _KEYWORDS_LARGEST)))
    except OSError as error:
        if not is_no_file(error):
            raise
        return {}


def last_validity(disk: Disk, at: int) -> int:
    """
    The greatest UIDVALIDITY that Dovecot gave in an account, given its Maildir; 0 if it cannot be
    known.
    """
    try:
        texts = [os.fsdecode(disk.read(VALIDITY, at, 8))]
    except OSError:
        texts = []
    texts += [name.removeprefix(f"{VALIDITY}.") for name in _marks(disk, at)]
    return max((_hexadecimal(text) for text in texts), default=0)


def write_validity(tree: Tree, value: int) -> None:
    """
    Have Dovecot's next mailboxes get a greater UIDVALIDITY: it believes the file if there is an
    empty one by the name of what it says.
    """
    with tree.open() as at:
        old = _marks(tree.disk, at)
        wanted = f"{VALIDITY}.{value:08x}"
        if wanted not in old:
            os.close(tree.disk.create(wanted, at))
    tree.replace(VALIDITY, f"{value:08x}".encode("ascii"))
    with tree.open() as at:
        for name in old:
            if name != wanted:
                tree.disk.unlink(name, at)


def _marks(disk: Disk, at: int) -> list[str]:
    prefix = f"{VALIDITY}."
    return [
        name
        for name in disk.listdir(at)
        if name.startswith(prefix) and _hexadecimal(name[len(prefix) :])
    ]


def _hexadecimal(text: str) -> int:
    good = len(text) == 8 and all(char in "0123456789abcdef" for char in text)
    value = int(text, 16) if good else 0
    return value if value < TOO_HIGH else 0
