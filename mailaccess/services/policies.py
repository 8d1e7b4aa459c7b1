"""
The TLS policy that a configuration means, with the line of each rule for whoever asks why.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from ipaddress import IPv4Network, IPv6Network, ip_network

import attrs

from mailaccess.policy.link import Layer
from mailaccess.policy.rules import DEMAND_KEYS, day_over
from mailaccess.policy.tls import ListenerRule, PersonRule, TLSPolicy, Verdict

from .settings import ListenerSettings, RuleSettings, Settings

Network = IPv4Network | IPv6Network

LOOPBACK = (ip_network("127.0.0.0/8"), ip_network("::1/128"))
WORDS = {"loopback": Layer.LOOPBACK, "unix": Layer.UNIX, "proxy-tls": Layer.PROXY_TLS}
"""What is private besides networks."""


def tls_policy(
    listeners: Sequence[ListenerSettings],
    rules: Sequence[RuleSettings] = (),
    attributes_demand: bool = False,
) -> TLSPolicy:
    """
    One rule per listener, and the rules for persons in their order.

    @param attributes_demand: see L{TLSPolicy}
    """
    return TLSPolicy(
        {each.label: _listener_rule(each) for each in listeners},
        tuple(one for each in rules for one in person_rules(each)),
        attributes_demand,
    )


def policy_of(settings: Settings) -> TLSPolicy:
    """
    The policy of a whole configuration. What records demand besides privacy is looked up where that
    costs nothing, in files, and in directories that have attributes for it.
    """
    looked_up = any(
        each.type == "file" or DEMAND_KEYS.intersection(getattr(each, "fields", ()))
        for each in settings.users
    )
    return tls_policy(settings.listeners, settings.rule, looked_up)


def _listener_rule(settings: ListenerSettings) -> ListenerRule:
    return ListenerRule(
        Verdict(settings.cleartext),
        settings.exceptions,
        frozenset(settings.mechanisms) if settings.mechanisms else None,
        settings.source,
        settings.minimum_layer,
        settings.minimum_tls,
        settings.client_certificate == "require",
    )


def person_rules(settings: RuleSettings) -> Iterator[PersonRule]:
    """
    One rule per pattern and per group.
    """
    rule = PersonRule(
        cleartext=Verdict(settings.cleartext) if settings.cleartext else None,
        listeners=frozenset(settings.listeners),
        source=settings.source,
        networks=networks(settings.from_),
        until=day_over(settings.until) if settings.until else None,
        mechanisms=frozenset(settings.mechanisms) if settings.mechanisms else None,
        minimum_tls=settings.minimum_tls,
        certificate=settings.client_certificate == "require",
        owner=settings.owner,
        reason=settings.reason,
    )
    for name in settings.users:
        yield attrs.evolve(rule, pattern=name)
    for name in settings.groups:
        yield attrs.evolve(rule, group=name)


def networks(words: Sequence[str]) -> tuple[Network, ...]:
    """
    Networks as the configuration names them; C{unix} and C{proxy-tls} are none.
    """
    found: list[Network] = []
    for each in words:
        if each == "loopback":
            found += LOOPBACK
        elif each not in WORDS:
            found.append(ip_network(each))
    return tuple(found)


def private_layers(settings: ListenerSettings) -> tuple[frozenset[Layer], tuple[Network, ...]]:
    """
    Which layers besides TLS count as private on a listener, and the networks that are trusted.
    """
    trusted = networks([each for each in settings.private if each not in WORDS])
    layers = {WORDS[each] for each in settings.private if each in WORDS}
    if trusted:
        layers.add(Layer.TRUSTED_NETWORK)
    return frozenset(layers), trusted
