"""
The whole way: a server as an administrator starts it, clients of the standard library, a directory.
"""

from __future__ import annotations

import imaplib
import itertools
import poplib
import shutil
import socket
import ssl
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import attrs
import pytest

from tests.services.live import Live

from .slapd import AMYS, BASE, GROUPS, PEOPLE, READER, READER_SECRET, Authority, Slapd, person
from .slapd import running as running_slapd
from .test_search_and_bind import binds

LASTING = ("disabled", "deleted", "changed", "stays")
_addresses = itertools.count(1)


@attrs.frozen
class Site:
    """
    A mail server over a directory of its own.
    """

    live: Live
    slapd: Slapd
    place: Path

    def imap(self, listener: str = "imaps", address: str = "127.0.0.1") -> imaplib.IMAP4:
        context = ssl.create_default_context(cafile=str(self.place / "ca.pem"))

        class Client(imaplib.IMAP4):
            def _create_socket(self, timeout: float | None = None) -> socket.socket:
                made = socket.create_connection((self.host, self.port), 60, (address, 0))
                if listener == "imap":
                    return made
                return context.wrap_socket(made, server_hostname=self.host)

        return Client("127.0.0.1", self.live.ports[listener])

    def refused(self, *tries: tuple[str, str], listener: str = "imaps") -> list[str]:
        """
        What clients are told, each at an address of its own, all at once: so that none waits for
        the wrong passwords of another.
        """

        def one(attempt: tuple[str, str]) -> str:
            client = self.imap(listener, f"127.0.{next(_addresses)}.1")
            with pytest.raises(imaplib.IMAP4.error) as caught:
                client.login(*attempt)
            client.shutdown()
            return str(caught.value)

        with ThreadPoolExecutor(len(tries)) as threads:
            return list(threads.map(one, tries))


@pytest.fixture(scope="module")
def site(authority: Authority) -> Iterator[Site]:
    place = Path(tempfile.mkdtemp(prefix="site-"))
    authority.write_ca(place / "ca.pem")
    authority.write(place / "mail.pem", "mail", "127.0.0.1")
    secret = place / "secret"
    secret.touch(0o600)
    secret.write_text(READER_SECRET + "\n")
    (place / "mail").mkdir()
    slapds = running_slapd(place / "slapd", authority)
    slapd = next(slapds)
    config = place / "m.toml"
    listeners = "".join(
        f'[[listener]]\nprotocol = "{protocol}"\ntls = "{tls}"\n{more}'
        'address = "127.0.0.1"\nport = 0\n'
        for protocol, tls, more in (
            ("imap", "starttls", "exceptions = true\n"),
            ("imap", "implicit", ""),
            ("pop3", "implicit", ""),
        )
    )
    config.write_text(
        f'[mail]\nhome = "{place}/mail/{{user}}"\n'
        f'[[users]]\ntype = "ldap"\nlabel = "corp"\nuri = "{slapd.tls_uri}"\n'
        f'ca = "{place}/ca.pem"\nbase = "{BASE}"\nfilter = "(|(uid={{user}})(mail={{user}}))"\n'
        f'bind_dn = "{READER}"\nbind_password_file = "{secret}"\n'
        'fields = { protocols = "employeeType", cleartext = "businessCategory",'
        ' quota = "employeeNumber", enabled = "departmentNumber" }\n'
        f'groups = "cn=mail,{GROUPS}"\nanswer_timeout = "2s"\nconnect_timeout = "2s"\n'
        f'deadline = "5s"\nretry = "1s"\noutage = "1h"\n'
        f'[login]\nrecheck = "2s"\n[tls]\ncertificate = "{place}/mail.pem"\n{listeners}'
    )
    members = ("amy", "bert", "lock", "pops", "old", "full", "off", *LASTING)
    slapd.add(
        "".join(person(each, AMYS) for each in LASTING)
        + person("lock", AMYS, f"pwdPolicySubentry: cn=strict,{BASE}")
        + person("pops", AMYS, "employeeType: pop3")
        + person("full", AMYS, "employeeNumber: 4K", "departmentNumber: yes")
        + person("off", AMYS, "departmentNumber: no")
        + person("old", AMYS, "businessCategory: allow", "mail: Old.Device@corp.example")
        + f"dn: cn=mail,{GROUPS}\nobjectClass: groupOfNames\ncn: mail\n"
        + "".join(f"member: uid={each},{PEOPLE}\n" for each in members)
        + "\n"
    )
    live = Live(config)
    try:
        yield Site(live, slapd, place)
        said = live.stop()
        for each in (AMYS, READER_SECRET, "Traceback"):
            assert each not in said, said
    finally:
        if live.process.poll() is None:
            live.stop()
        slapds.close()  # type: ignore[attr-defined]
        shutil.rmtree(place)


def test_people_of_the_directory_log_in_over_tls(site: Site) -> None:
    """IMAP and POP3; the home is that of the directory's name."""
    client = site.imap()
    client.login("AMY", AMYS)
    assert client.select()[0] == "OK"
    client.logout()
    assert (site.place / "mail" / "amy").is_dir()
    context = ssl.create_default_context(cafile=str(site.place / "ca.pem"))
    pop = poplib.POP3_SSL("127.0.0.1", site.live.ports["pop3s"], context=context, timeout=30)
    pop.user("bert")
    pop.pass_(AMYS)
    pop.quit()


def test_refusals_reach_the_client_as_codes_without_details(site: Site) -> None:
    """LD-11, CODE-01, CODE-02: one text for wrong, unknown and locked; nothing of the directory."""
    locking = site.refused(*(("lock", f"wrong{number}") for number in range(3)))
    wrong, unknown, locked, other, no_imap = site.refused(
        ("amy", "wrong"), ("nobody", "wrong"), ("lock", AMYS), ("carl", AMYS), ("pops", AMYS)
    )
    assert "AUTHENTICATIONFAILED" in wrong
    assert {unknown, locked, *locking} == {wrong}
    assert "AUTHORIZATIONFAILED" in other
    assert "AUTHORIZATIONFAILED" in no_imap
    for said in (wrong, other, no_imap):
        assert not any(each in said.lower() for each in ("ldap", "dc=", "locked", "slapd", "group"))
    site.live.wait_for("locked")


def test_attributes_of_the_directory_limit_its_people(site: Site) -> None:
    """LD-14, AUTH-11: how much mail somebody may have, and who may not log in at all."""
    client = site.imap()
    client.login("full", AMYS)
    assert b"(STORAGE 0 4)" in b"".join(each[0] for each in client.getquotaroot("INBOX")[1])
    mail = b"Subject: x\r\n\r\n" + b"y" * 3000
    assert client.append("INBOX", "", "", mail)[0] == "OK"
    answer, [said] = client.append("INBOX", "", "", mail)
    assert (answer, said[:11]) == ("NO", b"[OVERQUOTA]")
    client.logout()
    assert "CONTACTADMIN" in site.refused(("off", AMYS))[0]
    site.live.wait_for("departmentNumber = no")


def test_a_phone_with_an_old_password_is_sent_once(site: Site) -> None:
    """The guard in place: four connections at once, then another."""
    before = binds(site.slapd, f"uid=bert,{PEOPLE}")
    site.refused(*[("bert", "stale")] * 4)
    site.refused(("bert", "stale"))
    assert binds(site.slapd, f"uid=bert,{PEOPLE}") == before + 1
    client = site.imap()
    client.login("bert", AMYS)
    client.logout()


def test_the_policy_in_the_directory_opens_the_clear_for_one(site: Site) -> None:
    """IKnowsPeople: an attribute permits what the listener refuses to the others."""
    client = site.imap("imap")
    client.login("old.device@corp.example", AMYS)
    client.logout()
    assert "PRIVACYREQUIRED" in site.refused(("amy", AMYS), listener="imap")[0]


def idling(site: Site, name: str) -> imaplib.IMAP4:
    client = site.imap()
    client.login(name, AMYS)
    client.send(b"i IDLE\r\n")
    assert client.readline().startswith(b"+ ")
    return client


def test_sessions_end_when_the_directory_says_so(site: Site) -> None:
    """AUTH-12: in IDLE, by what is changed there alone; others stay."""
    clients = {each: idling(site, each) for each in LASTING}
    site.slapd.change(f"uid=disabled,{PEOPLE}", employeeType="none")
    site.slapd.change(f"uid=changed,{PEOPLE}", userPassword="another")
    connection = site.slapd.admin()
    assert connection.delete(f"uid=deleted,{PEOPLE}")
    connection.unbind()
    assert clients["disabled"].readline().startswith(b"* BYE [AUTHORIZATIONFAILED] ")
    assert clients["changed"].readline().startswith(b"* BYE [UNAVAILABLE] Password changed")
    assert clients["deleted"].readline().startswith(b"* BYE [CONTACTADMIN] ")
    clients["stays"].send(b"DONE\r\n")
    assert clients["stays"].readline().startswith(b"i OK")
    clients["stays"].logout()


def test_a_directory_that_is_down_is_unavailable_and_bridged_over_tls(site: Site) -> None:
    """LD-11, AUTH-04: known passwords over TLS; others UNAVAILABLE; then as before."""
    client = site.imap()
    client.login("amy", AMYS)
    client.logout()
    idle = idling(site, "stays")
    site.slapd.kill()
    try:
        site.live.wait_for("event=recheck-down")
        for _ in range(3):
            assert "UNAVAILABLE" in site.refused(("amy", "other"))[0]
        assert "UNAVAILABLE" in site.refused(("old", AMYS), listener="imap")[0]
        client = site.imap()
        client.login("amy", AMYS)
        client.logout()
    finally:
        site.slapd.start()
    site.live.wait_for("is back")
    site.live.wait_for("event=recheck-up")
    idle.send(b"DONE\r\n")
    assert idle.readline().startswith(b"i OK")
    idle.logout()
    client = site.imap()
    client.login("bert", AMYS)
    client.logout()
