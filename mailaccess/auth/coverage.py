"""
For how many users there is what a mechanism needs: asked of a source, added up over several.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from ..interfaces import IChecksPasswords
from ..policy.mechanism import Coverage, Needs
from .interfaces import IFindsUsers, IKnowsKeys, IKnowsSecrets, IMeetsNeeds

_POWERS = {
    Needs.PASSWORD: (IChecksPasswords, Coverage.ALL),
    Needs.SECRET: (IKnowsSecrets, Coverage.SOME),
    Needs.KEYS_SHA1: (IKnowsKeys, Coverage.SOME),
    Needs.KEYS_SHA256: (IKnowsKeys, Coverage.SOME),
    Needs.CERTIFICATE: (IFindsUsers, Coverage.ALL),
    Needs.TOKEN: (IFindsUsers, Coverage.ALL),
    Needs.NOTHING: (IFindsUsers, Coverage.ALL),
}


def coverage_of(checker: Any, needs: Needs) -> Coverage:
    """
    What a source says; if it does not say, what its interfaces promise.
    """
    if IMeetsNeeds.providedBy(checker):
        said: Coverage = checker.coverage(needs)
        return said
    power, coverage = _POWERS[needs]
    return coverage if power.providedBy(checker) else Coverage.NONE


def together(each: Iterable[Coverage]) -> Coverage:
    """
    Of several sources: all where all have it for all, none where none has it for anybody.
    """
    found = set(each)
    if found == {Coverage.ALL}:
        return Coverage.ALL
    return Coverage.SOME if found - {Coverage.NONE} else Coverage.NONE


def share(having: int, users: int) -> Coverage:
    """
    From two counts.
    """
    if not having:
        return Coverage.NONE
    return Coverage.ALL if having == users else Coverage.SOME
