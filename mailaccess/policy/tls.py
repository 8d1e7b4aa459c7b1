"""
The one decision: may this mechanism be used on this connection, by this person.

Used by L{TLSPolicy.decide}'s callers only: whatever advertises or accepts a login asks it, and the
guard before the portal asks again. A listener that has no rule refuses.

Rules, strongest first:

    1. a listener without a rule, a mechanism not in the listener's list, or one that cannot do
       without what the connection has not (a channel to bind to, a certificate, TLS for tokens):
       refuse
    2. a client certificate is demanded and there is none: refuse
    3. a rule for the person demands another mechanism, a newer TLS or a certificate: refuse
    4. the connection lacks nothing (C{minimum_tls}, C{minimum_layer}; if the mechanism exposes the
       password, privacy): allow
    5. a rule for the person says C{cleartext}, and opens no more than the listener, or the listener
       permits exceptions: that; an exception whose time is over refuses
    6. the listener: refuse, or for want of privacy its C{cleartext}

Of several rules that match a person, the first that says something of a matter counts; the person's
own attributes come after them, and last the ratchet, which refuses in the clear whoever has used
nothing but TLS for long.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence

import attrs

from .decision import Decision, Verdict
from .link import Link
from .mechanism import Exposes, Mechanism, Needs
from .rules import ListenerRule, Person, PersonRule, is_tls, own_rule, tls_at_least

__all__ = ["Decision", "ListenerRule", "Person", "PersonRule", "TLSPolicy", "Verdict"]

_NEWER = "A newer version of TLS is needed"
_STRONGER = "A stronger TLS connection is needed"
_CERTIFICATE = "A client certificate is needed"


@attrs.frozen
class TLSPolicy:
    """
    Who may log in how, on which listener.

    @ivar listeners: by name
    @ivar people: the first that matches counts; they come before the person's own attributes
    @ivar attributes_demand: persons' own attributes may demand more than privacy (mechanism, TLS
        version, certificate), so they are looked up on private connections, too
    @ivar seconds: the time now, seconds since 1970 UTC
    """

    listeners: Mapping[str, ListenerRule] = attrs.field(factory=dict)
    people: Sequence[PersonRule] = ()
    attributes_demand: bool = False
    seconds: Callable[[], float] = time.time
    _demanding: bool = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        demanding = self.attributes_demand or any(each.demands for each in self.people)
        object.__setattr__(self, "_demanding", demanding)

    def decide(self, link: Link, mechanism: Mechanism, person: Person | None = None) -> Decision:
        """
        The decision for a mechanism on a connection as it is now.

        The answer never depends on whether a person exists or a password is right: a person of whom
        nothing is known gets what the listener says.
        """
        rule = self.listeners.get(link.listener)
        if rule is None:
            return Decision(Verdict.REFUSE, "no rule for this listener", "default")
        if not rule.offers(mechanism):
            return Decision(Verdict.REFUSE, f"{mechanism.name} is not offered", rule.source)
        missing = _missing(link, mechanism)
        if missing:
            return _not_without(link, mechanism, missing, rule.source)
        if rule.certificate and not link.certificate:
            return _no_certificate(link, 'client_certificate = "require"', rule.source)
        said = self._said(person, link) if person is not None else ()
        verdict, lack = rule.lacking(link, mechanism)
        return (
            _demanded(said, link, mechanism)
            or (self._enough(rule, link, mechanism, person) if not lack else None)
            or self._cleartext(said, rule, verdict, link, mechanism)
            or Decision(
                verdict,
                lack,
                rule.source,
                private_would_do=verdict is Verdict.REFUSE,
                depends_on_person=person is None
                and (verdict is not Verdict.REFUSE or rule.exceptions),
                public=_too_weak(link, rule),
            )
        )

    def _said(self, person: Person, link: Link) -> list[PersonRule]:
        """
        The rules for a person on a connection, the strongest first.
        """
        found = [each for each in self.people if each.matches(person, link)]
        own = own_rule(person)
        if own is not None and not self.attributes_demand:
            own = PersonRule(cleartext=own.cleartext, source=own.source, until=own.until)
        if own is not None:
            found.append(own)
        if person.ratchet:
            found.append(PersonRule(cleartext=Verdict.REFUSE, source=person.ratchet))
        return found

    def _enough(
        self, rule: ListenerRule, link: Link, mechanism: Mechanism, person: Person | None
    ) -> Decision:
        why = (
            f"{mechanism.name} hides the password"
            if mechanism.exposes is not Exposes.PASSWORD
            else f"the connection is private: {link.layer.value}"
        )
        depends = person is None and self._demanding
        return Decision(Verdict.ALLOW, why, rule.source, depends_on_person=depends)

    def _cleartext(
        self,
        said: Sequence[PersonRule],
        rule: ListenerRule,
        verdict: Verdict,
        link: Link,
        mechanism: Mechanism,
    ) -> Decision | None:
        """
        What a rule for the person says where the connection lacks something.
        """
        for each in said:
            if each.cleartext is None:
                continue
            over = each.cleartext is not Verdict.REFUSE and each.expired(self.seconds())
            says = Verdict.REFUSE if over else each.cleartext
            if says.openness > verdict.openness and not rule.exceptions:
                return None
            words = f"{each.title}: cleartext = {each.cleartext.value}"
            return Decision(
                says,
                f"{words}, but its time is over" if over else words,
                each.source,
                private_would_do=says is Verdict.REFUSE,
                public=_too_weak(link, rule) if says is Verdict.REFUSE else "",
            )
        return None


def _missing(link: Link, mechanism: Mechanism) -> str:
    """
    What the mechanism cannot do without and the connection has not, in words.
    """
    if mechanism.binds and not link.bindings:
        return "a TLS channel to bind to"
    if mechanism.needs is Needs.CERTIFICATE and not link.certificate:
        return "a verified client certificate"
    if mechanism.needs is Needs.TOKEN and not link.private:
        return "a private connection"
    return ""


def _not_without(link: Link, mechanism: Mechanism, missing: str, source: str) -> Decision:
    return Decision(
        Verdict.REFUSE,
        f"{mechanism.name} needs {missing}",
        source,
        private_would_do=not link.private and mechanism.needs is Needs.TOKEN,
    )


def _demanded(said: Sequence[PersonRule], link: Link, mechanism: Mechanism) -> Decision | None:
    """
    A refusal for what rules for the person demand besides privacy.
    """
    only = next((each for each in said if each.mechanisms is not None), None)
    if only is not None and mechanism.name not in (only.mechanisms or ()):
        words = f"{only.title}: only {', '.join(sorted(only.mechanisms or ()))}"
        return Decision(Verdict.REFUSE, words, only.source)
    newer = next((each for each in said if each.minimum_tls), None)
    if newer is not None and not tls_at_least(link.tls_version, newer.minimum_tls):
        return Decision(
            Verdict.REFUSE,
            f'{newer.title}: minimum_tls = "{newer.minimum_tls}"',
            newer.source,
            private_would_do=True,
            public=_NEWER if is_tls(link) else "",
        )
    certified = next((each for each in said if each.certificate), None)
    if certified is not None and not link.certificate:
        words = f'{certified.title}: client_certificate = "require"'
        return _no_certificate(link, words, certified.source)
    return None


def _no_certificate(link: Link, words: str, source: str) -> Decision:
    tls = is_tls(link)
    return Decision(
        Verdict.REFUSE,
        words,
        source,
        private_would_do=not tls,
        public=_CERTIFICATE if tls else "",
    )


def _too_weak(link: Link, rule: ListenerRule) -> str:
    """
    What to say where there is TLS already.
    """
    if not is_tls(link):
        return ""
    weak_version = rule.minimum_tls and not tls_at_least(link.tls_version, rule.minimum_tls)
    return _NEWER if weak_version else _STRONGER
