"""
Whether somebody whose session lasts would still be let in (AUTH-12).

What was proved stays proved: nobody is asked for a password again. What is looked at is what can
change without them: that the source of users knows them, that the password is the one they had, the
account gate, the policy, and the right to act as somebody else.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from ..errors import AccountGone, AuthorizationFailed, SessionEnded
from ..interfaces import Identity
from ..policy.link import Link
from ..policy.mechanism import Mechanism
from .guard import GuardedChecker, refusal
from .interfaces import Ground, IFollowsUsers

Ask = Callable[[str], Awaitable[Identity | None]]
"""How somebody stands now, by canonical name; None where it cannot be told."""


def asker(guard: GuardedChecker) -> Ask:
    """
    What asks the guard's sources of users, once for each name.
    """
    known: dict[str, Identity | None] = {}

    async def ask(name: str) -> Identity | None:
        if name not in known:
            known[name] = await _standing(guard, name)
        return known[name]

    return ask


async def _standing(guard: GuardedChecker, name: str) -> Identity | None:
    checker = guard.checker
    if not IFollowsUsers.providedBy(checker):
        return None
    found: Identity | None = await checker.standing(name)
    if found is not None:
        return guard.canonical(found)
    if checker.follows(name):
        raise AccountGone(detail=f"no source of users knows {name!r} any more")
    return None


async def look_again(
    guard: GuardedChecker,
    identity: Identity,
    link: Link,
    mechanism: Mechanism,
    service: str,
    ask: Ask,
) -> None:
    """
    Return if this session may go on, or if it cannot be told.

    @param identity: as the guard gave it at the login
    @raise mailaccess.errors.DirectoryUnavailable: it could not be found out
    @raise mailaccess.errors.Refused: it may not, as it says
    """
    found: list[Identity] = []
    for ground in identity.grounds:
        now = await ask(ground.name)
        if now is None:
            return
        seen = guard.rights.as_seen(found[0], now) if found else now
        guard.gate.check(seen, link, service)
        decision = await guard.decide(link, mechanism, ground.name)
        if not decision.allowed:
            raise refusal(decision)
        # Last: who closes an account may change its password, too, and the reason says more.
        _same_password(ground, now)
        found.append(now)
    if len(found) > 1 and not guard.rights.may_act_as(found[0], identity.grounds[1].name):
        detail = f"{found[0].name!r} may no longer act as {identity.grounds[1].name!r}"
        raise AuthorizationFailed(detail=detail)


def _same_password(ground: Ground, now: Identity) -> None:
    """
    Marks are compared only where both have one of a kind: others tell nothing, nor does one that
    has gone. One that was not there before has come with another password.
    """
    before = _marks(ground.mark)
    for kind, after in _marks(now.mark).items():
        if not after or before.get(kind, after) == after:
            continue
        raise SessionEnded(
            "Password changed, log in again", f"the password of {ground.name!r} has changed"
        )


def _marks(mark: str) -> dict[str, str]:
    return {kind: value for kind, _, value in (each.partition("=") for each in mark.split())}
