"""
What a configuration means to the policy.
"""

from __future__ import annotations

from ipaddress import ip_address

import pytest

from mailaccess.policy.link import Layer, Link
from mailaccess.policy.mechanism import APOP, LOGIN_COMMAND, PLAIN, USER_PASS
from mailaccess.policy.tls import Person
from mailaccess.services.config import parse
from mailaccess.services.policies import private_layers, tls_policy
from mailaccess.services.settings import STANDARD_LISTENERS, ListenerSettings

TEXT = """\
[mail]
home = "/srv/mail/{user}"
[[users]]
type = "file"
path = "/etc/mailaccess/users"
[tls]
certificate = "/etc/ssl/mail.pem"
[[listener]]
protocol = "imap"
[[listener]]
protocol = "pop3"
exceptions = true
mechanisms = ["USER", "PLAIN"]
[[rule]]
users = ["scanner", "copier-*"]
listeners = "pop3"
cleartext = "allow"
[[rule]]
users = "boss"
cleartext = "refuse"
"""


def test_standard_listeners_refuse_passwords_in_the_clear() -> None:
    """POL-01, TLS-21: on every port, until TLS is there."""
    policy = tls_policy(STANDARD_LISTENERS)
    assert set(policy.listeners) == {"imap", "imaps", "pop3", "pop3s"}
    for name in policy.listeners:
        for mechanism in (PLAIN, LOGIN_COMMAND, USER_PASS):
            assert not policy.decide(Link(name), mechanism).allowed
            assert policy.decide(Link(name, Layer.TLS, bits=128), mechanism).allowed
        assert not policy.decide(Link(name, Layer.TLS, bits=128), APOP).allowed


@pytest.mark.parametrize(
    ("listener", "name", "allowed", "source"),
    [
        ("pop3", "scanner", True, "m.toml:14"),
        ("pop3", "copier-7", True, "m.toml:14"),
        ("pop3", "amy", False, "m.toml:10"),
        ("imap", "scanner", False, "m.toml:8"),
        ("pop3", "boss", False, "m.toml:18"),
    ],
)
def test_each_decision_names_the_line_that_made_it(
    listener: str, name: str, allowed: bool, source: str
) -> None:
    settings = parse(TEXT, "m.toml")
    policy = tls_policy(settings.listeners, settings.rule)
    decision = policy.decide(Link(listener), PLAIN, Person(name))
    assert (decision.allowed, decision.source) == (allowed, source)


def test_mechanisms_that_are_not_listed_are_not_offered() -> None:
    settings = parse(TEXT, "m.toml")
    policy = tls_policy(settings.listeners, settings.rule)
    link = Link("pop3", Layer.TLS, bits=128)
    assert policy.decide(link, USER_PASS).allowed
    assert not policy.decide(link, LOGIN_COMMAND).allowed


def test_private_networks_are_those_that_are_named() -> None:
    it = ListenerSettings(protocol="imap", private=("loopback", "10.1.0.0/16", "2001:db8::/32"))
    layers, networks = private_layers(it)
    assert layers == {Layer.LOOPBACK, Layer.TRUSTED_NETWORK}
    assert any(ip_address("10.1.2.3") in each for each in networks)
    assert not any(ip_address("10.2.0.1") in each for each in networks)
    assert private_layers(ListenerSettings(protocol="imap")) == (frozenset(), ())
