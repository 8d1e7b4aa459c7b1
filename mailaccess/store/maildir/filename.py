"""
Names of message files: C{unique,S=size,W=size:2,flags}.

The part before the colon, the base, is what identifies a message; it never changes. Letters that
mean nothing to us and text after the flags are kept as they are (DS-08).
"""

from __future__ import annotations

import itertools
import os
import re
import socket
import time
from collections.abc import Mapping

from mailaccess.interfaces import ANSWERED, DELETED, DRAFT, FLAGGED, SEEN

_LETTERS = {"D": DRAFT, "F": FLAGGED, "R": ANSWERED, "S": SEEN, "T": DELETED}
_SIZES = re.compile(r",([SW])=(\d{1,12})(?=[,:]|$)")
_HOST = socket.gethostname().replace("/", "\\057").replace(":", "\\072").replace(",", "\\054")
_counter = itertools.count(1)

Letters = Mapping[str, int]
"""Bit of a mailbox's keyword by its letter, C{a} to C{z}."""


def base_of(name: str) -> str:
    """
    What identifies the message.
    """
    return name.partition(":")[0]


def info_of(name: str) -> str:
    """
    The letters that tell flags.
    """
    return name.partition(":2,")[2].partition(",")[0]


def flags_of(name: str, letters: Letters) -> int:
    """
    The flag mask that a name tells.
    """
    mask = 0
    for letter in info_of(name):
        mask |= _LETTERS.get(letter) or letters.get(letter, 0)
    return mask


def with_flags(name: str, mask: int, letters: Letters) -> str:
    """
    The name with other flags; what we do not know in it stays.
    """
    base, _, info = name.partition(":")
    old, comma, rest = info[2:].partition(",") if info.startswith("2,") else ("", "", "")
    known = [letter for letter, bit in _LETTERS.items() if mask & bit]
    known += [letter for letter, bit in letters.items() if mask & bit]
    kept = [letter for letter in old if letter not in _LETTERS and letter not in letters]
    return f"{base}:2,{''.join(sorted({*known, *kept}))}{comma}{rest}"


def sizes_of(name: str) -> tuple[int, int]:
    """
    The sizes in a name: of the file and with CRLF; -1 where it does not tell.
    """
    found = dict(_SIZES.findall(name.partition(":")[0]))
    return int(found.get("S", -1)), int(found.get("W", -1))


def unique() -> str:
    """
    A base that no other process on any machine makes.
    """
    now = time.time_ns()
    return (
        f"{now // 1_000_000_000}.M{now // 1000 % 1_000_000}P{os.getpid()}"
        f"Q{next(_counter)}R{os.urandom(4).hex()}.{_HOST}"
    )
