"""
A directory as a source of users, on the reactor's side: it hands work to threads, holds it to a
deadline, remembers, and turns what came out into an identity or a refusal.

    checker = LDAPChecker(connecting, finding, reactor, hashes)
    checker.start()
    identity = await checker.check("amy", b"secret", "imap")
    checker.stop()

Nothing here waits on the reactor's thread. Two logins with the same name and password at the same
time are one question to the directory, so that a phone with four connections and an old password is
one wrong attempt there and not four.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, TypeVar

import attrs
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import deferLater
from twisted.logger import Logger
from twisted.python.threadpool import ThreadPool
from zope.interface import implementer

from ...errors import (
    AccountUnusable,
    AuthenticationFailed,
    AuthorizationFailed,
    ContactAdmin,
    DirectoryUnavailable,
    PasswordExpired,
    Refused,
)
from ...interfaces import IChecksPasswords, Identity, IKnowsPeople
from ...policy.mechanism import Coverage, Needs
from ...policy.rules import OWN_KEYS
from ..interfaces import IFindsUsers, IFollowsUsers, IKnowsKeys, IMeetsNeeds
from ..memory import Fingerprints, Remembered
from ..passwords import DEFAULT_LIMITS, BadHash, Limits, ScramKeys, dummy, scram_keys, verify
from ..pool import HashPool
from .deadline import Deadline
from .entry import fields_of, identity_of
from .faults import Fault
from .lookup import NOBODY, Ambiguous, Found, Lookup
from .options import Connecting, Finding
from .results import Outcome
from .upstream import FIRST_LOOK, Upstream, Upstreams

log = Logger()

T = TypeVar("T")

_MOST_STORED = 4

_POLICY = OWN_KEYS | {"groups"}
"""Fields that decisions before a password are made from."""

_UNMARKED = 60.0
"""
Seconds for which a wrong password is remembered of an entry where it cannot be seen that the
password changed.
"""


@attrs.frozen(kw_only=True)
class Remembering:
    """
    What is kept in memory, and for how long.

    @ivar guard: seconds for which a wrong password is not sent to the directory again, so that a
        device with an old one does not lock the account; 0 for not at all
    @ivar outage: seconds since the last success for which a password is taken while the directory
        is down; 0 for not at all
    @ivar beat: answers to wrong logins leave at multiples of so many seconds, so that their time
        does not tell whether there is such a user (AUTH-05)
    """

    guard: float = 600.0
    outage: float = 0.0
    beat: float = 0.25
    size: int = 10_000


@implementer(IChecksPasswords, IKnowsPeople, IFindsUsers, IFollowsUsers, IKnowsKeys, IMeetsNeeds)
class LDAPChecker:
    """
    A checker over one directory.

    @ivar label: for the log
    """

    def __init__(
        self,
        connecting: Connecting,
        finding: Finding,
        reactor: Any,
        hashes: HashPool | None = None,
        remembering: Remembering = Remembering(),
        limits: Limits = DEFAULT_LIMITS,
        default_domain: str = "",
        label: str = "ldap",
    ) -> None:
        """
        @param hashes: to verify passwords with where they are read; needed with the way C{hash}
        """
        self.label = label
        self._finding = finding
        self._connecting = connecting
        self._reactor = reactor
        self._hashes = hashes
        self._limits = limits
        self._default_domain = default_domain
        self._beat = remembering.beat
        self._pool = HashPool(
            reactor,
            connecting.threads,
            connecting.queue,
            ThreadPool(0, connecting.threads, f"ldap {label}"),
            "ldap",
        )
        self.upstreams = Upstreams(
            connecting,
            lambda upstream: reactor.callFromThread(self._look_later, upstream, FIRST_LOOK),
            label=label,
        )
        self._lookup = Lookup(self.upstreams, finding)
        self._fingerprints = Fingerprints()
        self._wrong: Remembered[str] = Remembered(reactor, remembering.guard, remembering.size)
        self._right: Remembered[Identity] = Remembered(
            reactor, remembering.outage, remembering.size
        )
        self._asking: dict[bytes, list[Deferred[Identity]]] = {}
        self._deadlines: set[Deadline] = set()
        self._looks: dict[int, Any] = {}
        self._dummy = dummy("ARGON2ID")
        self._usual: dict[str, tuple[int, int]] = {}
        self._running = False

    def start(self) -> None:
        """
        Begin to take logins. Nothing is asked yet: a directory that is down does not keep the
        server from starting.
        """
        self._running = True
        self._pool.start()

    def stop(self) -> None:
        """
        End what is going on and close the connections.
        """
        self._running = False
        for look in self._looks.values():
            look.cancel()
        self._looks.clear()
        for deadline in [*self._deadlines]:
            deadline.abort()
        self._pool.stop()
        self.upstreams.close()
        self.flush()

    def flush(self) -> None:
        """
        Forget every password that was right or wrong (AUTH-22), that of the account that searches
        included.
        """
        self.upstreams.forgive()
        self._wrong.flush()
        self._right.flush()

    def knows(self, name: str) -> bool:
        """
        Whether a name is of one of the domains that this directory is for.
        """
        domains = self._finding.domains
        return not domains or name.rpartition("@")[2] in domains

    # ---- the checker ----------------------------------------------------------------------------

    async def check(self, name: str, secret: bytes, service: str) -> Identity:
        """
        The identity of a name (canonical) with this password.
        """
        if not self.knows(name):
            raise AuthenticationFailed(detail=f"{self.label}: not for the domain of {name!r}")
        if not name.strip() or not secret:
            raise AuthenticationFailed(detail=f"{self.label}: empty name or password")
        started = self._reactor.seconds()
        try:
            return await self._shared(name, secret)
        except AuthenticationFailed:
            spent = self._reactor.seconds() - started
            if self._beat > 0:
                beats = math.floor(spent / self._beat) + 1
                await deferLater(self._reactor, beats * self._beat - spent)
            raise

    async def attributes(self, name: str) -> Mapping[str, str] | None:
        """
        What the entry says, with C{policy_source}. None where there is no entry, where nobody may
        search for it before the user has bound, and, without asking, where none of the fields that
        are read says anything about policy: that would be a second search for each login.
        """
        says = not _POLICY.isdisjoint(each.lower() for each in self._finding.fields)
        if not says or not self.knows(name) or not self._connecting.bind:
            return None
        found = await self._found(name)
        if found.entry is None:
            return None
        fields = fields_of(found.entry, self._finding, bound=False)
        return {**fields, "policy_source": f"{self.label}: {found.entry.dn}"}

    async def person(self, name: str) -> Identity | None:
        """
        Who this is, by the directory alone, for logins without a password (LD-14): account states
        are in the fields, for the account gate.

        @raise mailaccess.errors.AuthorizationFailed: in none of the groups that may log in
        @raise mailaccess.errors.DirectoryUnavailable: it could not be found out
        """
        if not self.knows(name) or not self._connecting.bind:
            return None
        found = await self._found(name)
        if found.entry is None:
            return None
        return self._identity(found, name, bound=False)

    def follows(self, name: str) -> bool:
        """
        Only where somebody may search before users have bound.
        """
        return bool(self._connecting.bind)

    async def standing(self, name: str) -> Identity | None:
        """
        As L{person}, but who is locked only for a while stays: others could bring that about.
        """
        if not self.knows(name) or not self._connecting.bind:
            return None
        found = await self._found(name)
        return self._identity(found, name, bound=True) if found.entry is not None else None

    async def keys(self, name: str, scheme: str) -> tuple[Identity, ScramKeys] | None:
        """
        Of C{{SCRAM-SHA-256}} and C{{SCRAM-SHA-1}} values, where stored passwords are read.
        """
        if self._finding.way != "hash" or not self.knows(name):
            return None
        found = await self._found(name)
        for stored in self._stored(found):
            keys = scram_keys(stored, scheme, self._limits)
            if keys is not None:
                self._usual[scheme] = (len(keys.salt), keys.iterations)
                return self._identity(found, name, bound=False), keys
        return None

    def usual(self, scheme: str) -> tuple[int, int] | None:
        """
        Of the keys seen last.
        """
        return self._usual.get(scheme)

    def coverage(self, needs: Needs) -> Coverage:
        """
        Some may have keys, where stored passwords are read; passwords are never recoverable.
        """
        if needs in (Needs.KEYS_SHA1, Needs.KEYS_SHA256):
            return Coverage.SOME if self._finding.way == "hash" else Coverage.NONE
        return Coverage.NONE if needs is Needs.SECRET else Coverage.ALL

    async def _found(self, name: str) -> Found:
        try:
            return await self._run(self._lookup.find, name)
        except Ambiguous as error:
            log.error("{label}: {detail}", label=self.label, detail=error.detail)
            return Found(NOBODY)
        except Fault as fault:
            raise DirectoryUnavailable(detail=f"{self.label}: {fault.detail}") from None

    # ---- one question for all who ask the same --------------------------------------------------

    def _shared(self, name: str, secret: bytes) -> Deferred[Identity]:
        fingerprint = self._fingerprints.of(name, secret)
        mine: Deferred[Identity] = Deferred(lambda it: self._leave(fingerprint, it))
        waiting = self._asking.setdefault(fingerprint, [])
        waiting.append(mine)
        if len(waiting) == 1:

            def tell(result: Any) -> None:
                for each in self._asking.pop(fingerprint, ()):
                    each.callback(result)

            Deferred.fromCoroutine(self._ask(name, secret, fingerprint)).addBoth(tell)
        return mine

    def _leave(self, fingerprint: bytes, mine: Deferred[Identity]) -> None:
        """
        Somebody no longer waits; what was asked is still remembered when it is answered.
        """
        waiting = self._asking.get(fingerprint, [])
        if mine in waiting:
            waiting.remove(mine)

    async def _ask(self, name: str, secret: bytes, fingerprint: bytes) -> Identity:
        try:
            if self._finding.way == "hash":
                found, right = await self._by_hash(name, secret)
            else:
                found, right = await self._by_bind(name, secret, fingerprint), False
            identity = self._concluded(found, name, right)
        except Ambiguous as error:
            log.error("{label}: {detail}", label=self.label, detail=error.detail)
            raise AccountUnusable(detail=f"{self.label}: {error.detail}") from None
        except Fault as fault:
            unavailable = DirectoryUnavailable(detail=f"{self.label}: {fault.detail}")
            return self._remembered(name, fingerprint, unavailable)
        except DirectoryUnavailable as unavailable:
            return self._remembered(name, fingerprint, unavailable)
        except Refused:
            if self._right.get(name, fingerprint) is not None:
                self._right.drop(name)
            raise
        self._right.put(name, identity, fingerprint)
        return identity

    def _remembered(
        self, name: str, fingerprint: bytes, unavailable: DirectoryUnavailable
    ) -> Identity:
        """
        In an outage: the identity, if this very password was right not too long ago. The account
        gate refuses it on connections that are not private.
        """
        known = self._right.get(name, fingerprint)
        if known is None:
            raise unavailable
        log.warn(
            "{label}: {name!r} let in from memory: {detail}",
            label=self.label,
            name=name,
            detail=unavailable.detail,
        )
        return attrs.evolve(known, fields={**known.fields, "outage": "yes"})

    # ---- ways to check --------------------------------------------------------------------------

    async def _by_bind(self, name: str, secret: bytes, fingerprint: bytes) -> Found:
        mark = self._wrong.get(fingerprint)
        if mark is not None and self._finding.way == "template":
            raise AuthenticationFailed(detail=f"{self.label}: the same wrong password again")
        wrong = () if mark is None else (mark,)
        found = await self._run(self._lookup.login, name, secret, wrong)
        if found.verdict.plain:
            seen = bool(found.mark)
            self._wrong.put(fingerprint, found.mark, most=0.0 if seen else _UNMARKED)
        elif not found.known:
            self._wrong.drop(fingerprint)
        return found

    async def _by_hash(self, name: str, secret: bytes) -> tuple[Found, bool]:
        found = await self._run(self._lookup.find, name)
        stored = self._stored(found)
        right = False
        for each in stored or [self._dummy]:
            right = await self._verify(each, secret, name) or right
        return found, right and bool(stored)

    def _stored(self, found: Found) -> list[str]:
        """
        At most a few: each costs as much as a login.
        """
        values = found.entry.values.get(self._finding.password.lower(), ()) if found.entry else ()
        return [_stored(each) for each in values[:_MOST_STORED]]

    async def _verify(self, stored: str, secret: bytes, name: str) -> bool:
        assert self._hashes is not None, "hashes are verified in threads"
        try:
            return await self._hashes.run(verify, stored, secret, self._limits)
        except BadHash as error:
            log.error(
                "{label}: password of {name!r}: {reason}",
                label=self.label,
                name=name,
                reason=error.reason,
            )
            return False

    def _concluded(self, found: Found, name: str, right: bool) -> Identity:
        """
        What the client is told (LD-11, LD-12).
        """
        verdict, detail = found.verdict, f"{self.label}: {name!r}: {found.verdict.reason}"
        by_hash = self._finding.way == "hash"
        if verdict.outcome is Outcome.WRONG or (by_hash and not right):
            raise AuthenticationFailed(
                detail=detail if not by_hash else f"{detail}; wrong password"
            )
        if verdict.outcome is Outcome.UNUSABLE:
            raise AccountUnusable(detail=detail)
        if verdict.outcome is Outcome.EXPIRED:
            raise PasswordExpired(detail=detail)
        if verdict.outcome is Outcome.REFUSED:
            raise ContactAdmin(detail=detail)
        if verdict.outcome is not Outcome.RIGHT:
            if verdict.outcome is Outcome.MISCONFIGURED:
                log.error("{detail}; see mailaccess ldap-doctor", detail=detail)
            raise DirectoryUnavailable(detail=detail)
        if verdict.warning:
            log.warn("{label}: {name!r}: {it}", label=self.label, name=name, it=verdict.warning)
        return self._identity(found, name, bound=not by_hash)

    def _identity(self, found: Found, name: str, *, bound: bool) -> Identity:
        if not found.member:
            raise AuthorizationFailed(detail=f"{self.label}: {name!r} is in none of the groups")
        assert found.entry is not None, "somebody who logs in has an entry"
        identity = identity_of(
            found.entry,
            self._finding,
            name,
            self.label,
            bound=bound,
            default_domain=self._default_domain,
        )
        if self._finding.way != "hash":
            return identity
        stored = b"\0".join(found.entry.values.get(self._finding.password.lower(), ()))
        mark = self._fingerprints.of(identity.name, stored)[:12].hex()
        return attrs.evolve(identity, mark=f"stored={mark}")

    # ---- threads --------------------------------------------------------------------------------

    async def _run(self, work: Callable[..., T], *args: Any) -> T:
        """
        C{work(*args, deadline)} in a thread, or the answer that there was no time (LD-08): the one
        who waits is told at the deadline, and the sockets are closed, which frees the thread.
        """
        seconds = self._connecting.deadline
        deadline = Deadline(seconds)
        self._deadlines.add(deadline)
        job = self._pool.run(partial(work, *args, deadline))
        late = False

        def over() -> None:
            nonlocal late
            late = True
            deadline.abort()
            job.cancel()

        timer = self._reactor.callLater(seconds, over)
        try:
            return await job
        except CancelledError:
            deadline.abort()
            if late:
                raise DirectoryUnavailable(
                    detail=f"{self.label}: no answer within {seconds:g} s"
                ) from None
            raise
        finally:
            self._deadlines.discard(deadline)
            if timer.active():
                timer.cancel()

    def _look_later(self, upstream: Upstream, seconds: float) -> None:
        """
        Look at a server that is down, again and again until it is up.
        """
        if not self._running or id(upstream) in self._looks:
            return

        def look() -> None:
            del self._looks[id(upstream)]
            begun = Deferred.fromCoroutine(self._run(self.upstreams.look, upstream))
            begun.addErrback(again)

        def again(failure: Any) -> None:
            if failure.check(Fault, Refused) is None:
                log.failure("{label}", failure, label=self.label)
            self._look_later(upstream, min(seconds * 2, self._connecting.retry))

        self._looks[id(upstream)] = self._reactor.callLater(seconds, look)


def _stored(value: bytes) -> str:
    """
    As the verifier knows it: OpenLDAP writes C{{ARGON2}} before what says itself what it is.
    """
    text = value.decode("utf-8", "surrogateescape")
    return text[8:] if text[:8].upper() == "{ARGON2}" else text
