"""
The TLS policy that a configuration means, with the line of each rule for whoever asks why.
"""

from __future__ import annotations

from collections.abc import Sequence
from ipaddress import IPv4Network, IPv6Network, ip_network

from mailaccess.policy.link import Layer
from mailaccess.policy.tls import ListenerRule, PersonRule, TLSPolicy, Verdict

from .settings import ListenerSettings, RuleSettings

Network = IPv4Network | IPv6Network


def tls_policy(
    listeners: Sequence[ListenerSettings], rules: Sequence[RuleSettings] = ()
) -> TLSPolicy:
    """
    One rule per listener, and the rules for persons in their order.
    """
    return TLSPolicy(
        {each.label: _listener_rule(each) for each in listeners},
        tuple(
            PersonRule(name, Verdict(each.cleartext), frozenset(each.listeners), each.source)
            for each in rules
            for name in each.users
        ),
    )


def _listener_rule(settings: ListenerSettings) -> ListenerRule:
    return ListenerRule(
        Verdict(settings.cleartext),
        settings.exceptions,
        frozenset(settings.mechanisms) if settings.mechanisms else None,
        settings.source,
    )


def private_layers(settings: ListenerSettings) -> tuple[frozenset[Layer], tuple[Network, ...]]:
    """
    Which layers besides TLS count as private on a listener, and the networks that are trusted.
    """
    networks = tuple(ip_network(each) for each in settings.private if each != "loopback")
    layers = set()
    if "loopback" in settings.private:
        layers.add(Layer.LOOPBACK)
    if networks:
        layers.add(Layer.TRUSTED_NETWORK)
    return frozenset(layers), networks
