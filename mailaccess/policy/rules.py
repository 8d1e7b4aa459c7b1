"""
What can be demanded of a login: by a listener, by a rule for persons, by a person's own record.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from fnmatch import fnmatchcase
from ipaddress import IPv4Network, IPv6Address, IPv6Network, ip_address

import attrs

from .decision import Verdict
from .link import Layer, Link
from .mechanism import MECHANISMS, Exposes, Mechanism

Network = IPv4Network | IPv6Network

_VERSIONS = {"TLSv1": 0, "TLSv1.1": 1, "TLSv1.2": 2, "TLSv1.3": 3}


def tls_at_least(version: str, minimum: str) -> bool:
    """
    Whether a connection's TLS version is good enough; what is not known is not.

    @param version: as L{Link.tls_version}
    @param minimum: C{1.2} or C{1.3}
    """
    return _VERSIONS.get(version, -1) >= _VERSIONS.get(f"TLSv{minimum}", len(_VERSIONS))


def day_over(day: str) -> float:
    """
    When a day such as C{2026-12-31} is over (UTC), in seconds since 1970; long ago for what is no
    day.
    """
    try:
        return (datetime.strptime(day, "%Y-%m-%d").replace(tzinfo=UTC) + _DAY).timestamp()
    except (ValueError, OverflowError):
        return float("-inf")


_DAY = timedelta(days=1)


@attrs.frozen
class Person:
    """
    What is known of a user name before a password is seen.

    @ivar attributes: policy attributes: see L{own_rule}
    @ivar source: where they are written
    @ivar ratchet: C{ratchet since 2026-11-22} for somebody who has used nothing but TLS for so long
        that the site wants it to stay so; else empty
    """

    name: str
    attributes: Mapping[str, str] = attrs.field(factory=dict)
    source: str = ""
    ratchet: str = ""

    @property
    def groups(self) -> frozenset[str]:
        """
        Names of groups, without case: attribute C{groups}, separated by commas.
        """
        said = self.attributes.get("groups", "")
        return frozenset(each.strip().casefold() for each in said.split(",") if each.strip())


@attrs.frozen
class ListenerRule:
    """
    What one listener demands.

    @ivar cleartext: for mechanisms that expose the password on a link that is not private
    @ivar exceptions: rules for persons may open what C{cleartext}, C{minimum_layer} and
        C{minimum_tls} refuse
    @ivar mechanisms: names that may be used at all, or None for all that are not off by default
    @ivar minimum_layer: secret bits that the connection needs for any login, whatever the
        mechanism; a link that counts as private without TLS is strong enough
    @ivar minimum_tls: C{1.2} or C{1.3}: any login needs TLS of this version; empty for none
    @ivar certificate: any login needs a verified client certificate
    """

    cleartext: Verdict = Verdict.REFUSE
    exceptions: bool = False
    mechanisms: frozenset[str] | None = None
    source: str = "default"
    minimum_layer: int = 0
    minimum_tls: str = ""
    certificate: bool = False

    def offers(self, mechanism: Mechanism) -> bool:
        """
        Whether it is there at all.
        """
        if self.mechanisms is None:
            return mechanism.default
        return mechanism.name in self.mechanisms

    def names(self, mechanism: Mechanism) -> bool:
        """
        Whether it is offered because somebody wants it, and not by default.
        """
        return self.mechanisms is not None and mechanism.name in self.mechanisms

    def lacking(self, link: Link, mechanism: Mechanism) -> tuple[Verdict, str]:
        """
        What happens for want of something that the connection has not, and what it is; no words if
        it lacks nothing.
        """
        if self.minimum_tls and not tls_at_least(link.tls_version, self.minimum_tls):
            return Verdict.REFUSE, f'minimum_tls = "{self.minimum_tls}"'
        if link.strength < self.minimum_layer:
            return Verdict.REFUSE, f"minimum_layer = {self.minimum_layer}"
        if mechanism.exposes is Exposes.PASSWORD and not link.private:
            return self.cleartext, f"cleartext = {self.cleartext.value}"
        return Verdict.ALLOW, ""


@attrs.frozen
class PersonRule:
    """
    A rule for some persons. What it says nothing of is left to the next rule that matches.

    @ivar pattern: names, as in a shell (C{*}, C{?}, C{[...]}), compared without case
    @ivar cleartext: instead of the listener's; more open than that only where it permits exceptions
    @ivar listeners: names of listeners it is for; empty for all
    @ivar group: members of this group instead of a pattern
    @ivar networks: only for connections from there; empty for all
    @ivar until: from this second on (since 1970) an exception refuses
    @ivar mechanisms: only these
    @ivar minimum_tls: as L{ListenerRule.minimum_tls}
    @ivar certificate: as L{ListenerRule.certificate}
    @ivar owner: who answers for it
    @ivar reason: why it is there
    """

    pattern: str = ""
    cleartext: Verdict | None = None
    listeners: frozenset[str] = frozenset()
    source: str = "default"
    group: str = ""
    networks: Sequence[Network] = ()
    until: float | None = None
    mechanisms: frozenset[str] | None = None
    minimum_tls: str = ""
    certificate: bool = False
    owner: str = ""
    reason: str = ""

    @property
    def title(self) -> str:
        """
        Whom it is for, and who answers for it.
        """
        if self.group:
            whom = f"rule for group {self.group!r}"
        else:
            whom = f"rule for {self.pattern!r}" if self.pattern else "for this user"
        owner = f"owner {self.owner}" if self.owner else ""
        facts = [each for each in (self.last_day, owner, self.reason) if each]
        return f"{whom} ({', '.join(facts)})" if facts else whom

    @property
    def last_day(self) -> str:
        """
        C{until 2026-12-31}, or empty.
        """
        if self.until is None:
            return ""
        if self.until < 0:
            return "until a day that is none"
        return f"until {datetime.fromtimestamp(self.until - 1, UTC):%Y-%m-%d}"

    @property
    def demands(self) -> bool:
        """
        Whether it can refuse what is private.
        """
        return self.mechanisms is not None or bool(self.minimum_tls) or self.certificate

    def expired(self, now: float) -> bool:
        """
        Whether its time is over.
        """
        return self.until is not None and now >= self.until

    def matches(self, person: Person, link: Link) -> bool:
        """
        Whether it speaks of this person on this connection.
        """
        if self.listeners and link.listener not in self.listeners:
            return False
        if self.group:
            named = self.group.casefold() in person.groups
        else:
            named = fnmatchcase(person.name.casefold(), self.pattern.casefold())
        return named and (not self.networks or _within(link.peer, self.networks))


def own_rule(person: Person) -> PersonRule | None:
    """
    What somebody's own record demands, if anything; a value that is not understood refuses.

        cleartext            refuse, report or allow
        cleartext_until      last day of an allow or report: 2026-12-31
        minimum_tls          1.2 or 1.3
        mechanisms           names separated by commas; LOGIN_COMMAND for the command
        client_certificate   require
    """
    said = person.attributes
    if not OWN_KEYS.intersection(said):
        return None
    word = said.get("cleartext")
    mechanisms = said.get("mechanisms")
    return PersonRule(
        cleartext=None if word is None else _VERDICTS.get(word, Verdict.REFUSE),
        source=person.source,
        until=day_over(said["cleartext_until"]) if "cleartext_until" in said else None,
        mechanisms=None
        if mechanisms is None
        else frozenset(_mechanism(each) for each in mechanisms.split(",")),
        minimum_tls=said["minimum_tls"] or "?" if "minimum_tls" in said else "",
        certificate=said.get("client_certificate", "no") != "no",
    )


def _mechanism(word: str) -> str:
    word = word.strip().upper()
    return _MECHANISMS.get(word, word)


# A password file separates its fields by spaces.
_MECHANISMS = {each.upper().replace(" ", "_"): each for each in MECHANISMS}
OWN_KEYS = frozenset({"cleartext", "minimum_tls", "mechanisms", "client_certificate"})
"""What a record may say of its own; see L{own_rule}."""

DEMAND_KEYS = OWN_KEYS - {"cleartext"}
"""What of that can refuse on a private connection, too."""

_VERDICTS = {each.value: each for each in Verdict}


def _within(peer: str, networks: Sequence[Network]) -> bool:
    try:
        address = ip_address(peer.partition("%")[0])
    except ValueError:
        return False
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        address = address.ipv4_mapped
    return any(address in each for each in networks)


def is_tls(link: Link) -> bool:
    """
    Whether there is TLS at all, good enough or not.
    """
    return link.layer in (Layer.TLS, Layer.PROXY_TLS)
