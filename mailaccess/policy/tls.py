"""
The one decision: may this mechanism be used on this connection, by this person.

Used by L{TLSPolicy.decide}'s callers only: whatever advertises or accepts a login asks it, and the
guard before the portal asks again. A listener that has no rule refuses.

Rules, strongest first:

    1. a listener without a rule, or a mechanism not in the listener's list: refuse
    2. a mechanism that does not expose the password, or a private link: allow
    3. a rule for the person that refuses: refuse
    4. a rule for the person that allows, where the listener permits exceptions: allow
    5. the listener's C{cleartext}
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import Enum
from fnmatch import fnmatchcase

import attrs

from .link import Link
from .mechanism import Exposes, Mechanism


class Verdict(Enum):
    """
    What is decided.
    """

    ALLOW = "allow"
    REFUSE = "refuse"


@attrs.frozen
class Decision:
    """
    The outcome, and why.

    @ivar rule: in words, for the log and the administrator
    @ivar source: where the rule is written: C{file:line}, an attribute, or C{default}
    @ivar private_would_do: the same login over TLS would be allowed (PRIVACYREQUIRED applies)
    @ivar depends_on_person: knowing the name could change the verdict
    """

    verdict: Verdict
    rule: str
    source: str
    private_would_do: bool = False
    depends_on_person: bool = False

    @property
    def allowed(self) -> bool:
        """
        Whether to go on.
        """
        return self.verdict is Verdict.ALLOW


@attrs.frozen
class Person:
    """
    What is known of a user name before a password is seen.

    @ivar attributes: policy attributes, such as C{cleartext} (C{refuse} or C{allow})
    @ivar source: where they are written
    """

    name: str
    attributes: Mapping[str, str] = attrs.field(factory=dict)
    source: str = ""


@attrs.frozen
class ListenerRule:
    """
    What one listener demands.

    @ivar cleartext: for mechanisms that expose the password on a link that is not private
    @ivar exceptions: rules for persons may open what C{cleartext} refuses
    @ivar mechanisms: names that may be used at all, or None for all that are not off by default
    """

    cleartext: Verdict = Verdict.REFUSE
    exceptions: bool = False
    mechanisms: frozenset[str] | None = None
    source: str = "default"


@attrs.frozen
class PersonRule:
    """
    A rule for some names: C{pattern} as in a shell (C{*}, C{?}, C{[...]}), compared without case.

    @ivar listeners: names of listeners it is for; empty for all
    """

    pattern: str
    cleartext: Verdict
    listeners: frozenset[str] = frozenset()
    source: str = "default"

    def matches(self, name: str, listener: str) -> bool:
        """
        Whether it speaks of this name on this listener.
        """
        if self.listeners and listener not in self.listeners:
            return False
        return fnmatchcase(name.casefold(), self.pattern.casefold())


OFF_BY_DEFAULT = frozenset({"APOP"})
"""Need a recoverable password in the record (SASL-06): only where a listener names them."""


@attrs.frozen
class TLSPolicy:
    """
    Who may log in how, on which listener.

    @ivar listeners: by name
    @ivar people: first match counts; they are asked before the person's own attributes
    """

    listeners: Mapping[str, ListenerRule] = attrs.field(factory=dict)
    people: Sequence[PersonRule] = ()

    def decide(self, link: Link, mechanism: Mechanism, person: Person | None = None) -> Decision:
        """
        The decision for a mechanism on a connection as it is now.

        The answer never depends on whether a person exists or a password is right: a person of whom
        nothing is known gets what the listener says.
        """
        rule = self.listeners.get(link.listener)
        if rule is None:
            return Decision(Verdict.REFUSE, "no rule for this listener", "default")
        if not self._offered(rule, mechanism):
            return Decision(Verdict.REFUSE, f"{mechanism.name} is not offered", rule.source)
        if mechanism.exposes is not Exposes.PASSWORD:
            return Decision(Verdict.ALLOW, f"{mechanism.name} hides the password", rule.source)
        if link.private:
            return Decision(
                Verdict.ALLOW, f"the connection is private: {link.layer.value}", rule.source
            )
        return self._in_the_clear(rule, link, person)

    def _offered(self, rule: ListenerRule, mechanism: Mechanism) -> bool:
        if rule.mechanisms is None:
            return mechanism.name not in OFF_BY_DEFAULT
        return mechanism.name in rule.mechanisms

    def _in_the_clear(self, rule: ListenerRule, link: Link, person: Person | None) -> Decision:
        if person is not None:
            verdict, why, source = self._for_person(person, link.listener)
            if verdict is Verdict.REFUSE:
                return Decision(verdict, why, source, private_would_do=True)
            if verdict is Verdict.ALLOW and rule.exceptions:
                return Decision(verdict, why, source)
        return Decision(
            rule.cleartext,
            f"cleartext = {rule.cleartext.value}",
            rule.source,
            private_would_do=rule.cleartext is Verdict.REFUSE,
            depends_on_person=person is None
            and (rule.cleartext is Verdict.ALLOW or rule.exceptions),
        )

    def _for_person(self, person: Person, listener: str) -> tuple[Verdict | None, str, str]:
        for rule in self.people:
            if rule.matches(person.name, listener):
                return rule.cleartext, f"rule for {rule.pattern!r}", rule.source
        said = person.attributes.get("cleartext")
        if said is None:
            return None, "", ""
        # Anything but a clear "allow" tightens: a typing error must not open a door.
        verdict = Verdict.ALLOW if said == Verdict.ALLOW.value else Verdict.REFUSE
        return verdict, f"cleartext = {said} for this user", person.source
