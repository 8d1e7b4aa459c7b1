"""
Answers of a source of users, reused for some seconds (AUTH-20). Off unless a site asks for it.

    request                                     answer
    the password that was right lately          the same identity
    another password than that                  the source is asked
    a password that was wrong lately            wrong; another one is not held up by it
    anything but a password                     never from here

Only passwords in the clear are answered: a challenge needs the source. States that depend on the
connection are not in here: the policy is asked before, the account gate after it, each time. A
failure to find out is never kept. Each cache has its own key and belongs to one source, so that two
sources with equal settings share nothing (AUTH-21).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from twisted.internet.interfaces import IReactorTime
from zope.interface import implementer

from ..errors import AccountUnusable, AuthenticationFailed
from ..interfaces import IChecksPasswords, Identity, IKnowsPeople
from ..policy.mechanism import Coverage, Needs
from .interfaces import IFindsUsers, IFollowsUsers, IKnowsKeys, IMeetsNeeds
from .memory import Fingerprints, Remembered
from .passwords import ScramKeys

LONGEST_RIGHT = 60.0
LONGEST_WRONG = 10.0


@implementer(IChecksPasswords, IKnowsPeople, IFindsUsers, IFollowsUsers, IKnowsKeys, IMeetsNeeds)
class CachedChecker:
    """
    A source with a memory.

    @ivar checker: provides the same interfaces; only L{check} is ever answered from here
    """

    def __init__(
        self,
        checker: Any,
        clock: IReactorTime,
        right: float = 0.0,
        wrong: float = 0.0,
        size: int = 10_000,
    ) -> None:
        """
        @param right: seconds, at most L{LONGEST_RIGHT}
        @param wrong: seconds, at most L{LONGEST_WRONG}
        """
        self.checker = checker
        self._fingerprints = Fingerprints()
        self._right: Remembered[Identity] = Remembered(clock, min(right, LONGEST_RIGHT), size)
        self._wrong: Remembered[str] = Remembered(clock, min(wrong, LONGEST_WRONG), size)

    @property
    def label(self) -> str:
        """
        The source's.
        """
        label: str = self.checker.label
        return label

    async def check(self, name: str, secret: bytes, service: str) -> Identity:
        """
        As the source's, or as it was.
        """
        fingerprint = self._fingerprints.of(name, secret)
        key = (name, service)
        known = self._right.get(key, fingerprint)
        if known is not None:
            return known
        if self._wrong.get((fingerprint, service)) is not None:
            raise AuthenticationFailed(detail=f"{self.label}: {name!r}: wrong a moment ago")
        try:
            identity: Identity = await self.checker.check(name, secret, service)
        except AccountUnusable:
            self._right.drop(key)
            raise
        except AuthenticationFailed:
            if self._right.get(key, fingerprint) is not None:
                self._right.drop(key)
            self._wrong.put((fingerprint, service), name)
            raise
        self._right.put(key, identity, fingerprint)
        return identity

    async def attributes(self, name: str) -> Mapping[str, str] | None:
        """
        As the source's: never from here.
        """
        found: Mapping[str, str] | None = await self.checker.attributes(name)
        return found

    async def person(self, name: str) -> Identity | None:
        """
        As the source's.
        """
        found: Identity | None = await self.checker.person(name)
        return found

    def follows(self, name: str) -> bool:
        """
        As the source.
        """
        follows: bool = self.checker.follows(name)
        return follows

    async def standing(self, name: str) -> Identity | None:
        """
        As the source's: never from here.
        """
        found: Identity | None = await self.checker.standing(name)
        return found

    async def keys(self, name: str, scheme: str) -> tuple[Identity, ScramKeys] | None:
        """
        As the source's.
        """
        found: tuple[Identity, ScramKeys] | None = await self.checker.keys(name, scheme)
        return found

    def usual(self, scheme: str) -> tuple[int, int] | None:
        """
        As the source's.
        """
        found: tuple[int, int] | None = self.checker.usual(scheme)
        return found

    def coverage(self, needs: Needs) -> Coverage:
        """
        As the source's.
        """
        found: Coverage = self.checker.coverage(needs)
        return found

    def flush(self) -> None:
        """
        Forget everything, and have the source forget what it remembers (AUTH-22).
        """
        forget = getattr(self.checker, "flush", None)
        if forget is not None:
            forget()
        self._right.flush()
        self._wrong.flush()
