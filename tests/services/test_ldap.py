"""
Users from LDAP in the configuration file.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from mailaccess.auth.ldap.options import Connecting
from mailaccess.errors import ConfigurationErrors
from mailaccess.services.check import check
from mailaccess.services.config import parse
from mailaccess.services.directories import connecting, directory, finding
from mailaccess.services.ldapsettings import LDAPSettings
from mailaccess.services.options import reference
from mailaccess.services.settings import Settings

REST = '[mail]\nhome = "/srv/mail/{user}"\n[tls]\ncertificate = "/etc/ssl/mail.pem"\n'
GOOD = (
    '[[users]]\ntype = "ldap"\nuri = ["ldaps://a.example", "ldap://b.example"]\n'
    'base = "dc=example"\nbind_dn = "cn=reader"\nbind_password_file = "/etc/secret"\n'
)


def users(more: str = "", good: str = GOOD) -> LDAPSettings:
    found = parse(REST + good + more).users[0]
    assert isinstance(found, LDAPSettings)
    return found


def problems(more: str = "", good: str = GOOD) -> str:
    with pytest.raises(ConfigurationErrors) as caught:
        parse(REST + good + more, "m.toml")
    return "\n".join(caught.value.problems)


def test_a_directory_takes_few_lines_and_is_safe_by_default() -> None:
    """LD-04, LD-08, LD-09, AUTH-20: encrypted, bounded, nothing cached."""
    settings = users()
    made = connecting(settings)
    assert [each.uri for each in made.uris] == ["ldaps://a.example", "ldap://b.example"]
    assert made.encrypt
    assert made.deadline <= 15
    assert made.connect_timeout == made.answer_timeout == 5
    assert (settings.cache, settings.cache_wrong, settings.outage) == (0, 0, 0)
    assert settings.if_down == "stop"
    assert finding(settings).filter == "(uid={user})"
    assert made.bind_dn == "cn=reader"
    assert Connecting(uris=()).encrypt


def test_fields_and_lists_are_read() -> None:
    settings = users(
        'fields = { home = "mailHome", cleartext = "mailTLS" }\ngroups = "cn=mail,dc=example"\n'
        'group_check = "nested"\ndomains = ["Example.ORG"]\ncache = "30s"\n'
    )
    made = finding(settings)
    assert dict(made.fields) == {"home": "mailHome", "cleartext": "mailTLS"}
    assert made.groups == ("cn=mail,dc=example",)
    assert made.domains == ("example.org",)
    assert {"mailHome", "mailTLS", "uid"} <= set(made.attributes)


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ('tls = "none"\n', "sends passwords in the clear to b.example"),
        ('filter = "(objectClass=*)"\n', "is the same for every user"),
        ('filter = "(uid={name})"\n', "knows no {name}"),
        ('check = "template"\n', "template: is missing"),
        ('template = "uid={user}"\n', 'has no meaning with check = "search"'),
        ('bind = "anonymous"\n', 'has no meaning with bind = "anonymous"'),
        ('bind = "external"\n', "needs a certificate"),
        ('bind = "none"\n', "leaves nobody to search"),
        ('key = "/etc/key"\n', "has no certificate beside it"),
        ('fields = "mailHome"\n', "is no table"),
        ('groups_check = "ad"\n', 'did you mean "group_check"?'),
        ('path = "/etc/users"\n', "is no option here"),
        ('cache = "5m"\n', "is too big"),
        ('cache_wrong = "11s"\n', "is too big"),
        ('deadline = "5m"\n', "is too big"),
    ],
)
def test_what_cannot_be_meant_is_said(more: str, said: str) -> None:
    assert said in problems(more)


def test_what_is_missing_is_said() -> None:
    text = problems(good='[[users]]\ntype = "ldap"\nuri = "ldap://"\n')
    assert "uri" in text
    assert "base: is missing" in text
    assert "bind_dn: is missing" in text
    assert "bind_password_file: is missing" in text
    assert 'type = "sql": is not known' in problems(good='[[users]]\ntype = "sql"\n')


def test_the_clear_is_for_the_same_machine_or_on_demand() -> None:
    """LD-04: plaintext only where it is said, or where nobody else can read it."""
    local = GOOD.replace('["ldaps://a.example", "ldap://b.example"]', '"ldap://127.0.0.1"')
    assert not connecting(users('tls = "none"\n', local)).encrypt
    assert not connecting(users('tls = "none"\ninsecure = true\n')).encrypt


def test_files_are_checked_beforehand(tmp_path: Path) -> None:
    """LD-17: a password that others may read is found by `mailaccess check`."""
    secret = tmp_path / "secret"
    secret.touch(0o644)
    secret.write_text("geheim\n")
    config = tmp_path / "m.toml"
    config.write_text(
        REST + GOOD.replace("/etc/secret", str(secret)) + 'ca = "/nonexistent/ca.pem"\n'
    )
    text = "\n".join(check(str(config))[0])
    assert "others may read it; chmod 600" in text
    assert "ca.pem" in text
    assert "geheim" not in text
    secret.chmod(0o600)
    assert "bind_password_file" not in "\n".join(check(str(config))[0])


def test_two_equal_directories_are_two_checkers() -> None:
    """AUTH-21: each with its own connections, memory and key."""
    settings = users('cache = "10s"\n')
    from twisted.internet.testing import MemoryReactorClock

    from mailaccess.auth.pool import HashPool

    reactor = MemoryReactorClock()
    pool = HashPool(reactor, 1)
    one, first = directory(settings, reactor, pool)
    two, second = directory(settings, reactor, pool)
    assert one is not two
    assert one.upstreams is not two.upstreams
    assert first.checker is not second.checker


def test_the_options_are_documented_apart() -> None:
    text = reference(Settings, ["users"])
    assert '### `[[users]]` with `type = "ldap"`' in text
    assert "| `lockout_guard` |" in text
