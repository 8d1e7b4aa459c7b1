"""
The options for what listeners and rules demand: read, refused where they contradict each other, and
carried into the policy.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from twisted.internet.task import Clock

from mailaccess.errors import ConfigurationErrors
from mailaccess.policy.link import Layer, Link
from mailaccess.policy.mechanism import PLAIN
from mailaccess.policy.rules import day_over
from mailaccess.policy.tls import Person, Verdict
from mailaccess.protocols.tlsfacts import link_facts
from mailaccess.services.certificates import BrokenCertificates
from mailaccess.services.config import parse
from mailaccess.services.policies import policy_of
from mailaccess.services.settings import TLSSettings
from mailaccess.services.tls import ServerTLS

SITE = """\
[mail]
home = "/srv/mail/{user}"
[[users]]
type = "file"
path = "/etc/mailaccess/users"
[tls]
certificate = "/etc/ssl/mail.pem"
"""
IMAP = '[[listener]]\nprotocol = "imap"\n'

WRONG = {
    "report where nothing is in the clear": (
        IMAP + 'tls = "implicit"\ncleartext = "report"\n',
        [(11, "cleartext", "no meaning with tls")],
    ),
    "a version and passwords in the clear": (
        IMAP + 'cleartext = "allow"\nminimum_tls = "1.2"\n',
        [(11, "minimum_tls", "no meaning with cleartext")],
    ),
    "a layer and passwords in the clear": (
        IMAP + 'cleartext = "report"\nminimum_layer = 112\n',
        [(11, "minimum_layer", "no meaning with cleartext")],
    ),
    "a version and private networks": (
        IMAP + 'private = "loopback"\nminimum_tls = "1.3"\n',
        [(10, "private", "no meaning with minimum_tls")],
    ),
    "a version that cannot come": (
        IMAP + 'tls = "none"\nminimum_tls = "1.2"\n',
        [(11, "minimum_tls", "which is not there")],
    ),
    "a layer that cannot come": (
        IMAP + 'tls = "none"\nminimum_layer = 1\n',
        [(11, "minimum_layer", "which is not there")],
    ),
    "a certificate without TLS": (
        IMAP + 'tls = "none"\nexceptions = true\nclient_certificate = "ask"\n',
        [
            (12, "client_certificate", "comes with TLS only"),
            (12, "client_certificate", "client_ca"),
        ],
    ),
    "a certificate that nobody can verify": (
        IMAP + 'client_certificate = "ask"\n',
        [(10, "client_certificate", "add client_ca to [tls]")],
    ),
    "an authority that nobody asks": (
        'client_ca = "/etc/ssl/ca.pem"\n' + IMAP,
        [(8, "client_ca", "used by no listener")],
    ),
    "a version that there is not": (
        IMAP + 'minimum_tls = "1.1"\n',
        [(10, "minimum_tls", "did you mean")],
    ),
    "a rule without anybody": (
        '[[rule]]\ncleartext = "refuse"\n',
        [(8, "[[rule]]", "has no users")],
    ),
    "a rule for an empty group": (
        '[[rule]]\ngroups = []\ncleartext = "refuse"\n',
        [(9, "groups", "is for nobody")],
    ),
    "a rule that says nothing": (
        '[[rule]]\nusers = "x"\nowner = "it"\n',
        [(8, "[[rule]]", "says nothing")],
    ),
    "the end of what is no exception": (
        '[[rule]]\nusers = "x"\ncleartext = "refuse"\nuntil = 2026-12-31\n',
        [(11, "until", "ends an exception")],
    ),
    "a day that there is not": (
        '[[rule]]\nusers = "x"\ncleartext = "refuse"\nuntil = "2026-02-30"\n',
        [(11, "until", "is no day")],
    ),
    "a day with a time": (
        '[[rule]]\nusers = "x"\ncleartext = "refuse"\nuntil = 2026-12-31T10:00:00Z\n',
        [(11, "until", "a date or time")],
    ),
    "report that its listener forbids": (
        IMAP + '[[rule]]\nusers = "x"\ncleartext = "report"\nlisteners = "imap"\n',
        [(12, "cleartext", "not permitted by the listener")],
    ),
    "more than a listener reports": (
        IMAP + 'cleartext = "report"\n[[rule]]\nusers = "x"\ncleartext = "allow"\n',
        [(13, "cleartext", "not permitted by any listener")],
    ),
    "a certificate that is not asked for": (
        IMAP + '[[rule]]\nusers = "x"\nclient_certificate = "require"\n',
        [(12, "client_certificate", 'by the listener "imap"')],
    ),
}


@pytest.mark.parametrize("case", WRONG, ids=str)
def test_demands_that_contradict_each_other_are_errors(case: str) -> None:
    text, expected = WRONG[case]
    with pytest.raises(ConfigurationErrors) as caught:
        parse(SITE + text, "m.toml")
    found = caught.value.problems
    assert len(found) == len(expected), found
    for problem, (line, key, said) in zip(found, expected, strict=True):
        assert problem.startswith(f"m.toml:{line}: ")
        assert key in problem
        assert said in problem
        assert "; " in problem, "says a way out"


GOOD = """\
[[listener]]
protocol = "imap"
exceptions = true
minimum_layer = 128
[[listener]]
protocol = "pop3"
cleartext = "report"
[[rule]]
users = ["scanner-*"]
from = ["10.1.2.0/24", "loopback"]
cleartext = "allow"
until = 2026-12-31
owner = "facility"
reason = "knows no TLS"
listeners = ["imap"]
[[rule]]
groups = "board"
minimum_tls = "1.3"
mechanisms = ["PLAIN"]
"""


def test_every_demand_reaches_the_policy_with_its_line() -> None:
    """POL-06"""
    policy = policy_of(parse(SITE + GOOD, "m.toml"))
    assert policy.attributes_demand
    scanner, board = policy.people
    assert (scanner.pattern, scanner.cleartext) == ("scanner-*", Verdict.ALLOW)
    assert scanner.until == day_over("2026-12-31")
    assert (scanner.owner, scanner.reason) == ("facility", "knows no TLS")
    assert (board.group, board.minimum_tls, board.source) == ("board", "1.3", "m.toml:23")

    def decide(listener: str, name: str, peer: str, **attributes: str) -> tuple[str, str]:
        person = Person(name, attributes)
        found = policy.decide(Link(listener, peer=peer), PLAIN, person)
        return found.verdict.value, found.source

    assert decide("imap", "scanner-1", "10.1.2.9") == ("allow", "m.toml:15")
    assert decide("imap", "scanner-1", "::1") == ("allow", "m.toml:15")
    assert decide("imap", "scanner-1", "10.1.3.9") == ("refuse", "m.toml:8")
    assert decide("pop3", "scanner-1", "10.1.2.9") == ("report", "m.toml:12")
    assert decide("pop3", "amy", "10.1.2.9", groups="board") == ("refuse", "m.toml:23")


# ---- client certificates -----------------------------------------------------------------------


@pytest.fixture
def asking(pem: Path, tmp_path: Path, certificate_writer: Any) -> ServerTLS:
    """
    A server that trusts one authority: the certificate that amy signed herself.
    """
    certificate_writer(tmp_path / "amy.pem", "amy")
    certificate_writer(tmp_path / "eve.pem", "eve")
    settings = TLSSettings(certificate=str(pem), client_ca=str(tmp_path / "amy.pem"))
    return ServerTLS(settings, Clock())


def test_a_verified_client_certificate_is_a_fact_of_the_connection(
    asking: ServerTLS, talk: Any, client: Any, tmp_path: Path
) -> None:
    """TLS-19"""
    context = client()
    context.load_cert_chain(tmp_path / "amy.pem")
    it = talk(asking.factory_for("imap", True), context)
    it.handshake()
    assert link_facts(it.server).certificate == "CN=amy"
    it = talk(asking.factory_for("imap", True), client())
    it.handshake()
    assert link_facts(it.server).certificate == ""
    it = talk(asking.factory_for("imap"), context)
    it.handshake()
    assert link_facts(it.server).certificate == "", "was not asked for"


def test_a_client_certificate_of_a_stranger_ends_the_connection(
    asking: ServerTLS, talk: Any, client: Any, tmp_path: Path
) -> None:
    """TLS-19"""
    context = client()
    context.load_cert_chain(tmp_path / "eve.pem")
    it = talk(asking.factory_for("imap", True), context)
    it.handshake()
    it.pump()
    assert it.recorder.reason is not None
    assert it.recorder.received == b""


def test_authorities_that_cannot_be_read_are_said(pem: Path, tmp_path: Path) -> None:
    """TLS-15"""
    (tmp_path / "ca.pem").write_text("nothing")
    settings = TLSSettings(certificate=str(pem), client_ca=str(tmp_path / "ca.pem"))
    with pytest.raises(BrokenCertificates) as caught:
        ServerTLS(settings, Clock())
    ((option, text),) = caught.value.problems
    assert option == "client_ca"
    assert "holds no certificate" in text


def test_a_required_certificate_is_the_policys_to_demand() -> None:
    text = SITE + 'client_ca = "/etc/ca.pem"\n' + IMAP + 'client_certificate = "require"\n'
    policy = policy_of(parse(text, "m.toml"))
    link = Link("imap", Layer.TLS, 256, "TLSv1.3")
    assert policy.decide(link, PLAIN).source == "m.toml:9"
    assert not policy.decide(link, PLAIN).allowed
