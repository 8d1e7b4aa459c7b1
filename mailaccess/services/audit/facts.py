"""
One decision about a password in the clear, as it is logged, kept and printed.

The keys are stable: a change of their meaning changes C{SCHEMA}.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import attrs

from mailaccess.auth.names import BadName, canonical_name
from mailaccess.policy.attempt import Attempt, Result
from mailaccess.policy.decision import Decision, Verdict
from mailaccess.policy.link import Link

SCHEMA = 1
LONGEST = 200
"""Characters of a value that a client made up."""

OUTCOMES = {
    Verdict.ALLOW: "allowed",
    Verdict.REPORT: "reported",
    Verdict.REFUSE: "refused",
}


@attrs.frozen(cache_hash=True)
class Facts:
    """
    What makes one row: the same again only counts.

    @ivar user: canonical name, or as typed; empty where none was said
    @ivar address: of the client
    @ivar protocol: C{imap} or C{pop3}
    @ivar mechanism: C{LOGIN command}, C{USER}, C{APOP} or the name of a SASL mechanism
    @ivar client: what it said of itself by ID (RFC 2971), or empty
    @ivar layer: as L{mailaccess.policy.link.Layer}
    @ivar tls: version, or empty
    @ivar outcome: C{allowed}, C{reported} or C{refused} by the policy
    @ivar result: as L{mailaccess.policy.attempt.Result}
    @ivar exposed: others could read a password, even if it was refused
    @ivar rule: that decided, in words
    @ivar source: where it is written
    @ivar shadow: what the shadow policy says, in a row about that; C{rule} and C{source} are its
    @ivar policy: which shadow policy: a fingerprint of its file
    """

    user: str
    address: str
    listener: str
    protocol: str
    mechanism: str
    client: str
    layer: str
    tls: str
    outcome: str
    result: str
    exposed: bool
    rule: str
    source: str
    shadow: str = ""
    policy: str = ""

    @property
    def must_change(self) -> bool:
        """
        Whether the user should get another password: one crossed in the clear that was right, or
        that nobody compared.
        """
        return self.exposed and self.result in ("right", "denied", "unchecked")


KEYS = tuple(each.name for each in attrs.fields(Facts))


@attrs.frozen
class Row:
    """
    What is kept: facts, when first and last (seconds since 1970), how often.
    """

    facts: Facts
    first: int
    last: int
    count: int

    def as_json(self) -> dict[str, Any]:
        """
        For programs; keys of L{Facts} and those of this class.
        """
        found = attrs.asdict(self.facts)
        if not self.facts.policy:
            del found["shadow"], found["policy"]
            found["must_change"] = self.facts.must_change
        times = {"first": moment(self.first), "last": moment(self.last)}
        return {**found, **times, "count": self.count}


def moment(second: int) -> str:
    """
    C{2026-11-22T10:00:00Z}.
    """
    return f"{datetime.fromtimestamp(second, UTC):%Y-%m-%dT%H:%M:%SZ}"


def facts_of(attempt: Attempt, client: str, domain: str = "") -> Facts:
    """
    The facts of an attempt.

    @param domain: for names that come without one
    """
    link, decision = attempt.link, attempt.decision
    return Facts(
        user_of(attempt, domain),
        link.peer or "unix",
        link.listener,
        attempt.service,
        attempt.mechanism.name,
        cleaned(client),
        link.layer.value,
        link.tls_version,
        OUTCOMES[decision.verdict],
        attempt.result.value,
        attempt.exposed,
        cleaned(decision.rule),
        cleaned(decision.source),
    )


def against(facts: Facts, link: Link, decision: Decision, policy: str) -> Facts:
    """
    The same login as the shadow policy sees it.

    @param link: as that policy sees it
    @param policy: its fingerprint
    """
    return attrs.evolve(
        facts,
        layer=link.layer.value,
        rule=cleaned(decision.rule),
        source=cleaned(decision.source),
        shadow=OUTCOMES[decision.verdict],
        policy=policy,
    )


def user_of(attempt: Attempt, domain: str) -> str:
    """
    The canonical name, if what was typed has one.
    """
    if attempt.result is Result.RIGHT:
        return attempt.user
    try:
        return canonical_name(attempt.user, domain) if attempt.user else ""
    except BadName:
        return cleaned(attempt.user)


def cleaned(text: str) -> str:
    """
    One line, bounded, with nothing in it that a terminal would obey.
    """
    text = text if len(text) <= LONGEST else text[: LONGEST - 3] + "..."
    return "".join(each if each.isprintable() else "?" for each in text)
