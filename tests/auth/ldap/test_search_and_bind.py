"""
Users of a real directory: who gets in, as whom, and what the directory sees of it.
"""

from __future__ import annotations

import contextlib
import re
from pathlib import Path
from typing import Any

import pytest
from ldap3.utils.dn import escape_rdn

from mailaccess.auth.ldap.options import Finding
from mailaccess.auth.passwords import make
from mailaccess.errors import (
    AccountUnusable,
    AuthenticationFailed,
    AuthorizationFailed,
    ContactAdmin,
    DirectoryUnavailable,
    PasswordExpired,
)
from mailaccess.policy.mechanism import Coverage, Needs

from .asking import Asker
from .slapd import AMYS, BASE, GROUPS, PEOPLE, READER, READER_SECRET, Slapd, person

RIGHT = AMYS.encode()


async def refusal(checker: Any, name: str, secret: bytes) -> Exception:
    try:
        found = await checker.check(name, secret, "imap")
    except Exception as error:
        return error
    raise AssertionError(f"let in: {found}")


def operations(slapd: Slapd, since: int = 0) -> list[str]:
    """
    What was asked, without the ends of connections, which may be told late.
    """
    return re.findall(
        r"op=\d+ (BIND dn=\S+ method|SRCH base|WHOAMI|STARTTLS)", slapd.said()[since:]
    )


def binds(slapd: Slapd, dn: str, since: int = 0) -> int:
    return len(re.findall(rf'BIND dn="{re.escape(dn)}" method=128', slapd.said()[since:]))


@pytest.mark.parametrize("scheme", ["uri", "tls_uri", "ipc_uri"])
async def test_the_right_password_opens_and_a_wrong_one_does_not(
    asker: Asker, slapd: Slapd, scheme: str
) -> None:
    """LD-04, LD-19: by StartTLS, ldaps and ldapi."""
    checker = asker.checker(getattr(slapd, scheme))
    identity = await checker.check("amy", RIGHT, "imap")
    assert (identity.name, identity.source) == ("amy", "ldap")
    assert isinstance(await refusal(checker, "amy", b"wrong"), AuthenticationFailed)
    assert isinstance(await refusal(checker, "nobody-here", RIGHT), AuthenticationFailed)


async def test_nobody_logs_in_with_an_empty_name_or_password(asker: Asker, slapd: Slapd) -> None:
    """LD-01: nothing of the kind is even sent; a directory would call it success."""
    template = f"uid={{user}},{PEOPLE}"
    for way in ({}, {"way": "template", "template": template}, {"way": "hash"}):
        checker = asker.checker(slapd.uri, **way)
        since = len(slapd.said())
        for name, secret in (("amy", b""), ("", RIGHT), (" ", RIGHT), ("", b"")):
            assert isinstance(await refusal(checker, name, secret), AuthenticationFailed)
        assert operations(slapd, since) == []


async def test_a_login_is_one_search_one_bind_and_nothing_about_schemas(
    asker: Asker, slapd: Slapd
) -> None:
    """LD-02, LD-07, LD-10: the search connection stays; the user's bind has its own, and ends."""
    checker = asker.checker(slapd.uri)
    await checker.check("bert", RIGHT, "imap")
    since = len(slapd.said())
    await refusal(checker, "bert", b"wrong")
    await checker.check("bert", RIGHT, "imap")
    said = slapd.said()[since:]
    login = ["SRCH base", "STARTTLS", f'BIND dn="uid=bert,{PEOPLE}" method']
    # A wrong password may have changed the entry, which has nothing better to be known by.
    assert operations(slapd, since) == [*login, "SRCH base", *login, "WHOAMI"]
    searching = set(re.findall(r"conn=(\d+) op=\d+ SRCH", said))
    binding = set(re.findall(r"conn=(\d+) op=\d+ BIND", said))
    assert len(searching) == 1
    assert not searching & binding


async def test_searches_go_on_as_the_service_after_users_have_bound(
    asker: Asker, slapd: Slapd
) -> None:
    """LD-02: never bound again as somebody else: who am I, after right and wrong logins."""
    checker = asker.checker(slapd.uri)
    for secret in (RIGHT, b"wrong", RIGHT):
        with contextlib.suppress(AuthenticationFailed):
            await checker.check("carl", secret, "imap")
    kept = [session for session, _ in checker.upstreams.servers[0].idle]
    assert kept
    assert {session.whoami() for session in kept} == {f"dn:{READER}"}


HOSTILE = [
    "*",
    "a*",
    "amy*",
    "*)(uid=*",
    "amy)(description=secret*",
    ")(|(uid=*",
    "\\2a",
    "amy\\",
    "a,ou=admin",
    "amy,ou=people",
    "#amy",
    '"amy"',
    "amy+cn=x",
    "amy;x",
    "<amy>",
    "amy=amy",
    "(amy)",
    "a\\00my",
]


@pytest.mark.parametrize("way", ["search", "template"])
async def test_names_are_data_in_filters_and_dns(asker: Asker, slapd: Slapd, way: str) -> None:
    """LD-03, AUTH-09: nothing in a name is taken for a filter or a part of a DN."""
    template = f"uid={{user}},{PEOPLE}" if way == "template" else ""
    checker = asker.checker(slapd.uri, way=way, template=template)
    for name in HOSTILE:
        error = await refusal(checker, name, RIGHT)
        assert isinstance(error, AuthenticationFailed), (name, error)


@pytest.mark.parametrize("way", ["search", "template"])
async def test_people_with_odd_names_log_in(asker: Asker, own_slapd: Slapd, way: str) -> None:
    """AUTH-09: what would be syntax elsewhere is a name here, there and back."""
    odd = ["o'neil, jr", "plus+minus", "a\\b", "st*r", "(paren)", "#hash", "eq=ual", "jörg"]
    for number, name in enumerate(odd):
        connection = own_slapd.admin()
        good = connection.add(
            f"uid={escape_rdn(name)},{PEOPLE}",
            "inetOrgPerson",
            {"uid": name, "cn": "x", "sn": str(number), "userPassword": AMYS},
        )
        assert good, connection.result
        connection.unbind()
    template = f"uid={{user}},{PEOPLE}" if way == "template" else ""
    checker = asker.checker(own_slapd.uri, way=way, template=template)
    for name in odd:
        assert (await checker.check(name, RIGHT, "imap")).name == name
        assert isinstance(await refusal(checker, name, b"wrong"), AuthenticationFailed)


async def test_two_entries_for_a_name_are_none(asker: Asker, slapd: Slapd) -> None:
    """LD-03: exactly one, or nobody; the next source is not asked either."""
    checker = asker.checker(slapd.uri, filter="(|(uid={user})(sn=Body))")
    error = await refusal(checker, "amy", RIGHT)
    assert isinstance(error, AccountUnusable)
    assert error.public == AuthenticationFailed.public


async def test_a_template_binds_at_once_and_reads_its_own_entry(
    asker: Asker, own_slapd: Slapd
) -> None:
    """No account that searches is needed."""
    checker = asker.checker(
        own_slapd.uri,
        connecting={"bind": ""},
        way="template",
        template=f"uid={{local}},{PEOPLE}",
    )
    assert (await checker.check("amy", RIGHT, "imap")).name == "amy"
    assert (await checker.check("amy@corp.example", RIGHT, "imap")).name == "amy"
    assert isinstance(await refusal(checker, "amy", b"wrong"), AuthenticationFailed)
    assert isinstance(await refusal(checker, "nobody", b"wrong"), AuthenticationFailed)
    assert 'SRCH base="dc=corp' not in own_slapd.said()
    assert await checker.attributes("amy") is None


async def test_hashes_are_read_and_verified_here(asker: Asker, own_slapd: Slapd) -> None:
    """LD-16: {SSHA}, {CRYPT}, {ARGON2} as OpenLDAP writes it; none is a failure; no writing."""
    argon = "{ARGON2}" + make("ARGON2ID", RIGHT).partition("}")[2]
    crypt = "{CRYPT}" + make("SHA512-CRYPT", RIGHT).partition("}")[2]
    own_slapd.add(
        person("argon", stored=argon)
        + person("crypt", stored=crypt)
        + person("odd", stored="{SASL}odd@corp")
    )
    connection = own_slapd.admin()
    connection.add(f"uid=none,{PEOPLE}", "inetOrgPerson", {"cn": "x", "sn": "x"})
    connection.unbind()
    checker = asker.checker(own_slapd.uri, way="hash")
    for name in ("amy", "argon", "crypt"):
        assert (await checker.check(name, RIGHT, "imap")).name == name
        assert isinstance(await refusal(checker, name, b"wrong"), AuthenticationFailed)
    for name in ("odd", "none", "nobody"):
        assert isinstance(await refusal(checker, name, RIGHT), AuthenticationFailed)
    assert binds(own_slapd, f"uid=amy,{PEOPLE}") == 0
    # A directory that keeps argon2 itself verifies it, too.
    by_bind = asker.checker(own_slapd.uri)
    assert (await by_bind.check("argon", RIGHT, "imap")).name == "argon"


async def test_the_canonical_name_is_the_directorys(asker: Asker, own_slapd: Slapd) -> None:
    """LD-15: one value, whatever was typed; two values are nobody."""
    own_slapd.add(
        person("dora", AMYS, "mail: Dora.Doe@Corp.Example", "uid: dora2")
        + person("emil", AMYS, "mail: emil@corp.example")
    )
    by_mail = asker.checker(own_slapd.uri, filter="(|(uid={user})(mail={user}))", name="mail")
    assert (await by_mail.check("dora", RIGHT, "imap")).name == "dora.doe@corp.example"
    assert (await by_mail.check("dora.doe@corp.example", RIGHT, "imap")).name == (
        "dora.doe@corp.example"
    )
    by_uid = asker.checker(own_slapd.uri)
    assert (await by_uid.check("EMIL", RIGHT, "imap")).name == "emil"
    assert isinstance(await refusal(by_uid, "dora", RIGHT), ContactAdmin)
    assert isinstance(await refusal(by_uid, "dora", b"wrong"), AuthenticationFailed)
    none = asker.checker(own_slapd.uri, name="mail")
    assert isinstance(await refusal(none, "amy", RIGHT), ContactAdmin)


async def test_names_get_the_domain_they_came_with_only_where_it_is_served(
    asker: Asker, slapd: Slapd
) -> None:
    """LD-15, AUTH-08: one person is not as many as there are domains to type."""
    local = {"filter": "(uid={local})", "default_domain": "corp.example"}
    one = asker.checker(slapd.uri, **local)
    assert (await one.check("amy@elsewhere.example", RIGHT, "imap")).name == "amy@corp.example"
    two = asker.checker(slapd.uri, domains=("other.example",), **local)
    assert (await two.check("amy@other.example", RIGHT, "imap")).name == "amy@other.example"
    since = len(slapd.said())
    assert isinstance(await refusal(two, "amy@corp.example", RIGHT), AuthenticationFailed)
    assert operations(slapd, since) == []


async def test_attributes_become_fields(asker: Asker, own_slapd: Slapd) -> None:
    """Home, quota, protocols, policy and groups by a map; several values become one."""
    own_slapd.add(
        person(
            "fred",
            AMYS,
            "labeledURI: /srv/mail/fred",
            "employeeType: imap",
            "employeeType: pop3",
            "businessCategory: refuse",
            "carLicense: 5G",
        )
        + person("gina", AMYS, "labeledURI: ../../etc", "carLicense: no")
        + f"dn: cn=Mail Users,{GROUPS}\nobjectClass: groupOfNames\nmember: uid=fred,{PEOPLE}\n"
        "cn: Mail Users\n\n"
    )
    fields = {
        "home": "labeledURI",
        "protocols": "employeeType",
        "cleartext": "businessCategory",
        "Quota": "carLicense",
        "groups": "memberOf",
        "missing": "pager",
    }
    checker = asker.checker(own_slapd.uri, fields=fields)
    identity = await checker.check("fred", RIGHT, "imap")
    assert identity.home == "/srv/mail/fred"
    assert identity.fields == {
        "protocols": "imap,pop3",
        "cleartext": "refuse",
        "quota": "5G",
        "groups": "Mail Users",
    }
    assert isinstance(await refusal(checker, "gina", RIGHT), ContactAdmin)
    known = await checker.attributes("fred")
    assert known is not None
    assert known["cleartext"] == "refuse"
    assert known["policy_source"] == f"ldap: uid=fred,{PEOPLE}"
    assert await checker.attributes("nobody") is None
    plain = asker.checker(own_slapd.uri, fields={"home": "labeledURI"})
    asked = len(operations(own_slapd))
    assert await plain.attributes("fred") is None
    assert len(operations(own_slapd)) == asked
    enabled = asker.checker(own_slapd.uri, fields={"enabled": "carLicense"})
    assert "disabled" in (await enabled.check("gina", RIGHT, "imap")).fields
    assert (await enabled.check("amy", RIGHT, "imap")).fields == {}


async def test_a_service_account_that_may_not_read_is_no_wrong_password(
    asker: Asker, slapd: Slapd
) -> None:
    """LD-11: a base that is missing or hidden, and a service that is refused: UNAVAILABLE."""
    for more in ({"base": "dc=nowhere"}, {"base": f"ou=gone,{BASE}"}):
        error = await refusal(asker.checker(slapd.uri, **more), "amy", RIGHT)
        assert isinstance(error, DirectoryUnavailable)
        assert "base" in error.detail
    for connecting in (
        {"bind": "anonymous"},
        {"password_file": asker.secret_file("wrong")},
        {"bind_dn": "cn=unknown"},
    ):
        checker = asker.checker(slapd.uri, connecting=connecting)
        assert isinstance(await refusal(checker, "amy", RIGHT), DirectoryUnavailable)


async def test_a_refused_service_password_is_not_tried_with_every_login(
    asker: Asker, own_slapd: Slapd
) -> None:
    """LD-10, LD-17: nobody's logins lock the account that searches; a new password is tried."""
    secret = Path(asker.secret_file("wrong"))
    checker = asker.checker(own_slapd.uri, connecting={"password_file": str(secret)})
    for _ in range(4):
        error = await refusal(checker, "amy", RIGHT)
        assert isinstance(error, DirectoryUnavailable)
        assert "refused" in error.detail
    assert binds(own_slapd, READER) == 1
    checker.flush()
    await refusal(checker, "amy", RIGHT)
    assert binds(own_slapd, READER) == 2
    secret.write_text(READER_SECRET + "\n")  # noqa: ASYNC240
    assert (await checker.check("amy", RIGHT, "imap")).name == "amy"


# ---- groups -------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def grouped(slapd: Slapd) -> Slapd:
    def group(name: str, *members: str) -> str:
        lines = "".join(f"member: {each}\n" for each in members)
        return f"dn: cn={name},{GROUPS}\nobjectClass: groupOfNames\ncn: {name}\n{lines}\n"

    def dn(name: str) -> str:
        return f"cn={name},{GROUPS}"

    slapd.add(
        group("direct", f"uid=amy,{PEOPLE}")
        + group("inner", f"uid=bert,{PEOPLE}", dn("circle"))
        + group("middle", dn("inner"))
        + group("circle", dn("middle"))
        + group("outer", dn("middle"), f"uid=amy,{PEOPLE}")
        + f"dn: cn=posix,{GROUPS}\nobjectClass: posixGroup\ncn: posix\ngidNumber: 7\n"
        "memberUid: carl\n\n"
    )
    return slapd


async def test_groups_restrict(asker: Asker, grouped: Slapd) -> None:
    """LD-14: memberOf, member, memberUid; after the password, so that strangers learn nothing."""
    direct = f"cn=direct,{GROUPS}"
    for check in ("memberOf", "member", "nested"):
        checker = asker.checker(grouped.uri, groups=(direct.upper(),), group_check=check)
        assert (await checker.check("amy", RIGHT, "imap")).name == "amy"
        assert isinstance(await refusal(checker, "bert", RIGHT), AuthorizationFailed)
        assert isinstance(await refusal(checker, "bert", b"wrong"), AuthenticationFailed)
    posix = asker.checker(
        grouped.uri, groups=(f"cn=posix,{GROUPS}",), group_check="member", member="memberUid"
    )
    assert (await posix.check("carl", RIGHT, "imap")).name == "carl"
    assert isinstance(await refusal(posix, "amy", RIGHT), AuthorizationFailed)


async def test_groups_in_groups_are_walked_and_circles_end(asker: Asker, grouped: Slapd) -> None:
    """LD-14: three levels up; a circle on the way."""
    checker = asker.checker(
        grouped.uri, groups=(f"cn=outer, {GROUPS}",), group_check="nested", group_base=GROUPS
    )
    assert (await checker.check("bert", RIGHT, "imap")).name == "bert"
    assert isinstance(await refusal(checker, "carl", RIGHT), AuthorizationFailed)
    flat = asker.checker(grouped.uri, groups=(f"cn=outer,{GROUPS}",))
    assert isinstance(await refusal(flat, "bert", RIGHT), AuthorizationFailed)


async def test_people_are_known_without_a_password(asker: Asker, grouped: Slapd) -> None:
    """LD-14: states and groups for logins that never bind."""
    checker = asker.checker(grouped.uri, groups=(f"cn=direct,{GROUPS}",), group_check="member")
    found = await checker.person("amy")
    assert found is not None
    assert found.name == "amy"
    assert await checker.person("nobody") is None
    with pytest.raises(AuthorizationFailed):
        await checker.person("bert")


# ---- states -------------------------------------------------------------------------------------


async def test_password_policy_is_understood(asker: Asker, own_slapd: Slapd) -> None:
    """LD-12, LD-13: locked looks like wrong; expired and "must change" only after the password."""
    own_slapd.add(person("lock") + person("aged") + person("reset") + person("warned"))
    own_slapd.change(f"uid=lock,{PEOPLE}", pwdPolicySubentry=f"cn=strict,{BASE}")
    own_slapd.change(f"uid=aged,{PEOPLE}", pwdPolicySubentry=f"cn=aging,{BASE}")
    own_slapd.change(f"uid=warned,{PEOPLE}", pwdPolicySubentry=f"cn=warning,{BASE}")
    resetting = f"cn=resetting,{BASE}"
    own_slapd.change(f"uid=reset,{PEOPLE}", pwdPolicySubentry=resetting, pwdReset="TRUE")
    checker = asker.checker(own_slapd.uri)
    for _ in range(3):
        error = await refusal(checker, "lock", b"wrong")
        assert type(error) is AuthenticationFailed
    for secret in (RIGHT, b"wrong"):
        error = await refusal(checker, "lock", secret)
        assert isinstance(error, AccountUnusable)
        assert "locked" in error.detail
        assert (error.code, error.public) == ("AUTHENTICATIONFAILED", "Invalid credentials")
    found = await checker.person("lock")
    assert found is not None
    assert "pwdAccountLockedTime" in found.fields["disabled"]
    assert isinstance(await refusal(checker, "reset", RIGHT), PasswordExpired)
    assert isinstance(await refusal(checker, "reset", b"wrong"), AuthenticationFailed)
    assert (await checker.check("warned", RIGHT, "imap")).name == "warned"


async def test_expired_passwords_are_told_apart(asker: Asker, own_slapd: Slapd) -> None:
    """LD-13: passwordExpired by the control, with the right password only."""
    own_slapd.kill()
    old = "20200101000000Z"
    own_slapd.load(
        person("aged", AMYS, f"pwdPolicySubentry: cn=aging,{BASE}", f"pwdChangedTime: {old}")
    )
    own_slapd.start()
    checker = asker.checker(own_slapd.uri)
    assert isinstance(await refusal(checker, "aged", RIGHT), PasswordExpired)
    assert type(await refusal(checker, "aged", b"wrong")) is AuthenticationFailed


async def test_shadow_expiry_is_left_to_the_gate(asker: Asker, own_slapd: Slapd) -> None:
    """LD-14: days since 1970 become seconds."""
    own_slapd.add(
        person("past", AMYS, "shadowExpire: 10000") + person("ever", AMYS, "shadowExpire: -1")
    )
    checker = asker.checker(own_slapd.uri)
    assert (await checker.check("past", RIGHT, "imap")).fields == {"expires": "864000000"}
    assert (await checker.check("ever", RIGHT, "imap")).fields == {}
    deaf = asker.checker(own_slapd.uri, states=())
    assert (await deaf.check("past", RIGHT, "imap")).fields == {}


def test_what_is_read_of_an_entry_is_what_is_configured() -> None:
    """LD-16: the stored password is asked for only where it is verified here."""
    assert "userPassword" not in Finding().attributes
    assert "userPassword" in Finding(way="hash").attributes


async def test_keys_of_scram_are_read_where_stored_passwords_are(
    asker: Asker, own_slapd: Slapd
) -> None:
    """LD-14, LD-16: with the states and groups of the entry, as no bind would tell."""
    own_slapd.add(person("scram", stored=make("SCRAM-SHA-256", RIGHT)))
    checker = asker.checker(own_slapd.uri, way="hash")
    assert checker.usual("SCRAM-SHA-256") is None
    found = await checker.keys("scram", "SCRAM-SHA-256")
    assert found is not None
    identity, keys = found
    assert identity.name == "scram"
    assert checker.usual("SCRAM-SHA-256") == (len(keys.salt), keys.iterations)
    assert await checker.keys("scram", "SCRAM-SHA-1") is None
    assert await checker.keys("amy", "SCRAM-SHA-256") is None
    assert await checker.keys("nobody", "SCRAM-SHA-256") is None
    assert (await checker.check("scram", RIGHT, "imap")).name == "scram"
    assert checker.coverage(Needs.KEYS_SHA256) is Coverage.SOME
    by_bind = asker.checker(own_slapd.uri)
    assert await by_bind.keys("scram", "SCRAM-SHA-256") is None
    assert by_bind.coverage(Needs.KEYS_SHA256) is Coverage.NONE
    assert by_bind.coverage(Needs.PASSWORD) is Coverage.ALL
    assert by_bind.coverage(Needs.SECRET) is Coverage.NONE
