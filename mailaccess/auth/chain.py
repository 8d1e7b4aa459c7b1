"""
Several sources of users, asked in order.

    answer of a source              what follows
    an identity                     that is the answer
    AuthenticationFailed            the next source; the last one's answer stands
    AccountUnusable                 that is the answer, though it looks like the one above
    another refusal                 that is the answer: a locked account is not looked for elsewhere
    DirectoryUnavailable, a fault   DirectoryUnavailable, unless the entry says C{continue}

A source that breaks stops the chain, so that knocking out the directory does not open the way to a
weaker source with an old password (AUTH-04). With C{continue} the rest is asked, but if nobody
knows the password the answer is still that it could not be found out.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

import attrs
from twisted.internet.defer import CancelledError
from twisted.logger import Logger
from zope.interface import implementer

from ..errors import AccountUnusable, AuthenticationFailed, DirectoryUnavailable, Refused
from ..interfaces import IChecksPasswords, Identity, IKnowsPeople
from ..policy.mechanism import Coverage, Needs
from .coverage import coverage_of, together
from .interfaces import IFindsUsers, IFollowsUsers, IKnowsKeys, IKnowsSecrets, IMeetsNeeds
from .passwords import ScramKeys

log = Logger()


@attrs.frozen
class Entry:
    """
    One source and what its failure means.

    @ivar checker: an L{IChecksPasswords}, maybe an L{IKnowsPeople}
    @ivar on_error: C{stop} or C{continue}
    """

    checker: Any
    on_error: str = attrs.field(
        default="stop", validator=attrs.validators.in_(("stop", "continue"))
    )


def _looks(checker: Any) -> bool:
    return bool(IFollowsUsers.providedBy(checker) or IFindsUsers.providedBy(checker))


def _follows(checker: Any, name: str) -> bool:
    return bool(IFollowsUsers.providedBy(checker) and checker.follows(name))


def _entries(given: Sequence[Any]) -> tuple[Entry, ...]:
    return tuple(each if isinstance(each, Entry) else Entry(each) for each in given)


@implementer(
    IChecksPasswords,
    IKnowsPeople,
    IKnowsSecrets,
    IKnowsKeys,
    IFindsUsers,
    IFollowsUsers,
    IMeetsNeeds,
)
@attrs.frozen(eq=False)
class CheckerChain:
    """
    The chain; a checker given bare is an entry that stops.
    """

    checkers: Sequence[Any] = attrs.field(converter=_entries)
    label: str = "chain"

    async def check(self, name: str, secret: bytes, service: str) -> Identity:
        """
        The identity from the first source that knows the password.
        """
        unavailable = False
        said: list[str] = []
        for entry in self.checkers:
            try:
                identity: Identity = await entry.checker.check(name, secret, service)
                return identity
            except AccountUnusable:
                raise
            except AuthenticationFailed as error:
                said.append(error.detail)
            except CancelledError:
                raise
            except Exception as error:
                if isinstance(error, Refused) and not isinstance(error, DirectoryUnavailable):
                    raise
                self._broken(entry, error)
                unavailable = True
        if unavailable:
            raise DirectoryUnavailable(detail="not every source could be asked")
        # Each in its own words: what an administrator looks for is not that nobody knew it.
        raise AuthenticationFailed(detail="; ".join(each for each in said if each))

    async def attributes(self, name: str) -> Mapping[str, str] | None:
        """
        What the first source that knows the name says of it.
        """
        # A source that is away might have said that this person's password must not cross in the
        # clear, so it is not passed over silently.
        found: Mapping[str, str] | None = await self._first(
            IKnowsPeople, lambda checker: checker.attributes(name)
        )
        return found

    async def recoverable(self, name: str) -> tuple[Identity, bytes] | None:
        """
        What the first source that has the password has.
        """
        found: tuple[Identity, bytes] | None = await self._first(
            IKnowsSecrets, lambda checker: checker.recoverable(name)
        )
        return found

    async def keys(self, name: str, scheme: str) -> tuple[Identity, ScramKeys] | None:
        """
        What the first source that has keys has.
        """
        found: tuple[Identity, ScramKeys] | None = await self._first(
            IKnowsKeys, lambda checker: checker.keys(name, scheme)
        )
        return found

    async def person(self, name: str) -> Identity | None:
        """
        What the first source that knows the name says.
        """
        found: Identity | None = await self._first(
            IFindsUsers, lambda checker: checker.person(name)
        )
        return found

    def follows(self, name: str) -> bool:
        """
        Only if every source does.
        """
        return all(_follows(each.checker, name) for each in self.checkers)

    async def standing(self, name: str) -> Identity | None:
        """
        What the first source that knows the name says. Nothing is logged: this is asked again and
        again.
        """
        down: DirectoryUnavailable | None = None
        for entry in self.checkers:
            checker = entry.checker
            if not _looks(checker):
                continue
            ask = checker.standing if IFollowsUsers.providedBy(checker) else checker.person
            try:
                found: Identity | None = await ask(name)
            except DirectoryUnavailable as error:
                down = error
            except (Refused, CancelledError):
                raise
            except Exception as error:
                down = DirectoryUnavailable(detail=f"{checker.label}: {type(error).__name__}")
            else:
                if found is not None:
                    return found
            if down is not None and entry.on_error != "continue":
                break
        if down is not None:
            raise down
        return None

    def usual(self, scheme: str) -> tuple[int, int] | None:
        """
        What is usual in the first source that has any keys.
        """
        for entry in self.checkers:
            if IKnowsKeys.providedBy(entry.checker):
                usual: tuple[int, int] | None = entry.checker.usual(scheme)
                if usual is not None:
                    return usual
        return None

    def coverage(self, needs: Needs) -> Coverage:
        """
        All users only if that is so in every source.
        """
        return together(coverage_of(entry.checker, needs) for entry in self.checkers)

    async def _first(self, power: Any, ask: Callable[[Any], Awaitable[Any]]) -> Any:
        """
        The first answer of a source with this power that is not None.
        """
        unavailable = False
        for entry in self.checkers:
            if not power.providedBy(entry.checker):
                continue
            try:
                found = await ask(entry.checker)
            except CancelledError:
                raise
            except Exception as error:
                if isinstance(error, Refused) and not isinstance(error, DirectoryUnavailable):
                    raise
                self._broken(entry, error)
                unavailable = True
                continue
            if found is not None:
                return found
        if unavailable:
            raise DirectoryUnavailable(detail="not every source could be asked")
        return None

    def _broken(self, entry: Entry, error: Exception) -> None:
        """
        Log it; go on only where that is configured.
        """
        detail = error.detail if isinstance(error, DirectoryUnavailable) else repr(type(error))
        log.error("{label}: cannot be asked: {detail}", label=entry.checker.label, detail=detail)
        if entry.on_error != "continue":
            if isinstance(error, DirectoryUnavailable):
                raise error
            raise DirectoryUnavailable(detail=f"{entry.checker.label}: {detail}") from None
