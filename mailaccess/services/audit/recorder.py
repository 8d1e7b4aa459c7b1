"""
The witness of all logins of a server: what it sees is logged, counted, and given to be kept.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable
from functools import partial

import attrs
from twisted.logger import Logger

from mailaccess.policy.attempt import Attempt, Result
from mailaccess.policy.decision import Decision
from mailaccess.policy.link import Layer, Link
from mailaccess.policy.rules import is_tls

from .facts import SCHEMA, Facts, against, cleaned, facts_of, user_of
from .keeper import Keeper
from .pending import Pending
from .shadow import Shadow

SESSIONS = 10_000
"""Connections of which is remembered what was recorded, for clients that name themselves later."""
ROWS = 4
"""Of one connection."""


@attrs.define
class _Session:
    """
    @ivar client: what the client said of itself
    @ivar rows: recorded before it did
    """

    client: str = ""
    rows: list[Facts] = attrs.field(factory=list)


@attrs.define(eq=False)
class Recorder:
    """
    A L{Witness<mailaccess.policy.attempt.Witness>}.

    @ivar keeper: None where nothing is kept
    @ivar shadow: None where there is none
    @ivar count: counts attempts, for metrics
    @ivar domain: for names that come without one
    """

    keeper: Keeper | None = None
    shadow: Shadow | None = None
    count: Callable[[Attempt], None] | None = None
    domain: str = ""
    seconds: Callable[[], float] = time.time
    log: Logger = attrs.field(factory=lambda: Logger(namespace="mailaccess.audit"))
    _sessions: OrderedDict[str, _Session] = attrs.field(factory=OrderedDict)

    def saw(self, attempt: Attempt) -> None:
        """
        As L{Witness.saw<mailaccess.policy.attempt.Witness.saw>}.
        """
        if self.count is not None:
            self.count(attempt)
        if self.keeper is not None:
            self._for_ratchet(self.keeper, attempt)
        if self.shadow is not None:
            self.shadow.ask(attempt, partial(self._differs, attempt))
        if attempt.in_the_clear:
            facts = self._facts(attempt)
            self._tell(attempt, facts)
            self._keep(attempt.session, facts)

    def heard(self, session: str, client: str) -> None:
        """
        As L{Witness.heard<mailaccess.policy.attempt.Witness.heard>}. What was recorded of the
        session before gets its client.
        """
        it = self._session(session)
        it.client = client
        rows, it.rows = it.rows, []
        if self.keeper is None or not rows:
            return
        now = int(self.seconds())

        def rename(pending: Pending) -> None:
            for facts in rows:
                pending.add(facts, now, -1)
                pending.add(attrs.evolve(facts, client=cleaned(client)), now)

        self.keeper.put(rename)

    def _session(self, name: str) -> _Session:
        it = self._sessions.get(name)
        if it is None:
            if len(self._sessions) >= SESSIONS:
                self._sessions.popitem(last=False)
            it = self._sessions[name] = _Session()
        return it

    def _facts(self, attempt: Attempt) -> Facts:
        known = self._sessions.get(attempt.session)
        return facts_of(attempt, known.client if known is not None else "", self.domain)

    def _differs(self, attempt: Attempt, link: Link, decision: Decision, policy: str) -> None:
        self._keep(attempt.session, against(self._facts(attempt), link, decision, policy))

    def _keep(self, session: str, facts: Facts) -> None:
        if self.keeper is None:
            return
        now = int(self.seconds())
        self.keeper.put(lambda to: to.add(facts, now))
        if not facts.client and session:
            rows = self._session(session).rows
            if len(rows) < ROWS:
                rows.append(facts)

    def _for_ratchet(self, keeper: Keeper, attempt: Attempt) -> None:
        """
        Connections that are private without TLS, as on loopback, say nothing of a user's programs.
        """
        if attempt.result is not Result.RIGHT or not keeper.ratchets:
            return
        user = user_of(attempt, self.domain)
        if is_tls(attempt.link):
            now = int(self.seconds())
            keeper.put(lambda to: to.secure(user, now))
        elif attempt.link.layer is Layer.NONE:
            keeper.put(lambda to: to.insecure(user))

    def _tell(self, attempt: Attempt, facts: Facts) -> None:
        # One event for each decision about a password in the clear; docs/reference/log.md.
        tell = self.log.warn if facts.exposed else self.log.info
        tell(
            "a password in the clear",
            event="cleartext",
            schema=SCHEMA,
            session=attempt.session,
            user=facts.user,
            listener=facts.listener,
            protocol=facts.protocol,
            method=facts.mechanism,
            rip=facts.address,
            lip=attempt.link.local,
            client=facts.client,
            layer=facts.layer,
            tls=facts.tls or facts.layer,
            outcome=facts.outcome,
            result=facts.result,
            exposed=facts.exposed,
            rule=facts.rule,
            source=facts.source,
        )
