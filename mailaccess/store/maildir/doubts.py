"""
What is wrong with a list of UIDs that another server wrote, and what can be believed all the same.

A UID that two lines give to two files is neither's: which of them a client has under it nobody
knows, and both get new ones. A UID near the end of all UIDs is passed over: after it there would be
none for new messages.
"""

from __future__ import annotations

from collections.abc import Iterable

from mailaccess.store.maildir.uidlist import number

TOO_HIGH = 2**32 - 2**20
"""Numbers from here on are nobody's: too few are left behind them."""


class Doubts:
    """
    Notes by kind; of each the first line and how many there are.
    """

    def __init__(self) -> None:
        self._found: dict[tuple[str, str], tuple[int, int]] = {}

    def note(self, what: str, text: str, line: int) -> None:
        """
        One more.

        @param what: what is meant, such as C{line}
        """
        first, count = self._found.get((what, text), (line, 0))
        self._found[what, text] = first, count + 1

    def texts(self) -> tuple[str, ...]:
        """
        For people.
        """
        return tuple(
            f"{what} {text} (line {first}" + (f" and {count - 1} more)" if count > 1 else ")")
            for (what, text), (first, count) in self._found.items()
        )


def gather(entries: Iterable[tuple[int, str, str]], doubts: Doubts) -> tuple[int, dict[str, int]]:
    """
    The highest UID, and UIDs by base.

    @param entries: number of the line, UID and file name as they stand there
    """
    highest = 0
    by_uid: dict[int, str] = {}
    by_base: dict[str, int] = {}
    doubled: set[int] = set()
    for line, first, name in entries:
        uid = number(first)
        # Dovecot writes the whole name where the message has not been moved out of new/.
        base = name.partition(":")[0]
        if uid >= TOO_HIGH:
            doubts.note("UID", "is too high: the message gets a new one", line)
            continue
        highest = max(highest, uid)
        if not uid or not base or "/" in base or "\0" in base:
            doubts.note("line", "makes no sense and is passed over", line)
            continue
        if by_uid.setdefault(uid, base) != base:
            doubts.note("UID", "was given before: both messages get new ones", line)
            doubled.add(uid)
        other = by_base.get(base, uid)
        if other != uid:
            doubts.note("file", "is listed twice: the higher UID counts", line)
        by_base[base] = max(other, uid)
    if doubled:
        by_base = {base: uid for base, uid in by_base.items() if uid not in doubled}
    return highest, by_base
