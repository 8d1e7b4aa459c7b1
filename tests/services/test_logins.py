"""
The options for logins other than by password: refused where they contradict each other, and carried
into what the guard asks.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Any

import pytest
from twisted.internet.task import Clock

from mailaccess.auth.holders import Host
from mailaccess.auth.sasl import MECHANISMS
from mailaccess.errors import ConfigurationErrors
from mailaccess.interfaces import Identity
from mailaccess.policy.mechanism import Coverage
from mailaccess.services.config import parse
from mailaccess.services.demo.certificate import ensure_certificate
from mailaccess.services.logins import proofs_of, rights_of, weak_mechanisms
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
client_ca = "/etc/ssl/clients.pem"
"""
IMAP = '[[listener]]\nprotocol = "imap"\nclient_certificate = "ask"\n'

WRONG = {
    "CRAM-MD5 without passwords": (
        IMAP + 'mechanisms = ["CRAM-MD5"]\n',
        "CRAM-MD5.*clear_text = true",
    ),
    "ANONYMOUS without a user": (IMAP + 'mechanisms = ["ANONYMOUS"]\n', "add anonymous to"),
    "a user for nobody": (IMAP + '[login]\nanonymous = "amy"\n', "is used by no listener"),
    "EXTERNAL without names": (IMAP + 'mechanisms = ["EXTERNAL"]\n', "add certificate_name"),
    "EXTERNAL without asking": (
        IMAP
        + '[[listener]]\nprotocol = "pop3"\nmechanisms = ["EXTERNAL"]\n'
        + '[login]\ncertificate_name = "cn"\n',
        'add client_certificate = "ask"',
    ),
    "tokens without keys": (IMAP + 'mechanisms = ["OAUTHBEARER"]\n', "add token_keys"),
    "tokens for anybody": (
        IMAP + '[login]\ntoken_keys = "/keys.json"\ntoken_issuer = "x"\n',
        "needs token_audience",
    ),
    "tokens of anybody": (
        IMAP + '[login]\ntoken_keys = "/keys.json"\ntoken_audience = "x"\n',
        "needs token_issuer",
    ),
    "APOP for IMAP": (IMAP + 'mechanisms = ["APOP"]\n', "which imap does not have"),
    "DIGEST-MD5": (IMAP + 'mechanisms = ["DIGEST-MD5"]\n', "RFC 6331.*write SCRAM-SHA-256"),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_cannot_be_meant_together_is_said(case: str) -> None:
    """SASL-06, SASL-07, TLS-19"""
    text, wanted = WRONG[case]
    with pytest.raises(ConfigurationErrors) as caught:
        parse(SITE + text)
    assert re.search(wanted, str(caught.value), re.DOTALL)


RIGHT = (
    IMAP
    + 'mechanisms = ["SCRAM-SHA-256", "PLAIN", "ANONYMOUS", "EXTERNAL"]\n'
    + '[login]\nadministrators = ["boss"]\ncertificate_name = "uid"\nanonymous = "everybody"\n'
    + '[[certificate]]\nhost = "backup.example.org"\nuser = "backup"\n'
)


def test_options_reach_the_guard() -> None:
    """SASL-03, TLS-19"""
    settings = parse(SITE + RIGHT)
    assert rights_of(settings).may_act_as(Identity("boss"), "amy")
    assert not rights_of(settings).may_act_as(Identity("amy"), "boss")
    proofs = proofs_of(settings, None)
    assert proofs.holders.field == "uid"
    assert proofs.holders.hosts == (Host("backup.example.org", "backup"),)
    assert proofs.anonymous == "everybody"
    assert proofs.coverage(MECHANISMS["OAUTHBEARER"].mechanism) is Coverage.NONE


def test_weak_mechanisms_are_warned_of() -> None:
    """SASL-06"""
    found = [(name, each.name) for name, each in weak_mechanisms(parse(SITE + RIGHT))]
    assert found == [("imap", "ANONYMOUS")]
    assert list(weak_mechanisms(parse(SITE + IMAP))) == []


def test_invented_salts_outlive_a_restart(tmp_path: Any) -> None:
    """SASL-04: else a stranger would see which of them are invented."""
    certificate, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    ensure_certificate(certificate, key, datetime.now(UTC))
    settings = parse(SITE + IMAP)
    salts = []
    for _ in range(2):
        tls = ServerTLS(TLSSettings(certificate=str(certificate), key=str(key)), Clock())
        inventor = proofs_of(settings, None, tls.certificates).inventor
        salts.append(inventor.keys("nobody", "SCRAM-SHA-256", (16, 4096)).salt)
    assert salts[0] == salts[1]
    assert len(salts[0]) == 16
    other = proofs_of(settings, None).inventor
    assert other.keys("nobody", "SCRAM-SHA-256", (16, 4096)).salt != salts[0]


@pytest.mark.parametrize("check", ["search", "hash"])
def test_scram_needs_somebody_with_keys(check: str) -> None:
    """SASL-04: a listener with nothing else would let nobody in, without a word."""
    site = (
        '[mail]\nhome = "/srv/mail/{user}"\n[tls]\ncertificate = "/etc/ssl/mail.pem"\n'
        '[[users]]\ntype = "ldap"\nuri = "ldaps://ldap.example.org"\nbase = "dc=x"\n'
        f'bind_dn = "cn=x"\nbind_password_file = "/x"\ncheck = "{check}"\n'
        '[[listener]]\nprotocol = "imap"\nmechanisms = ["SCRAM-SHA-256"]\n'
    )
    if check == "hash":
        parse(site)
    else:
        with pytest.raises(ConfigurationErrors, match='check = "hash"'):
            parse(site)
