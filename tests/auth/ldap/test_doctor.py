"""
C{mailaccess ldap-doctor}: every step, the one that fails, and why.
"""

from __future__ import annotations

import io
import socket
import sys
from pathlib import Path
from typing import Any

import pytest

from mailaccess.auth.ldap.doctor import Step, examine
from mailaccess.cli import main

from .asking import Asker
from .mock import BIND, SEARCH, MockServer, bind_result, message, result, search_done
from .slapd import AMYS, BASE, GROUPS, READER, READER_SECRET, Slapd, person


def steps(
    asker: Asker, *uris: str, user: str = "", secret: bytes | None = None, **more: Any
) -> Any:
    connecting = {"deadline": 5, "answer_timeout": 1, **more.pop("connecting", {})}
    made = examine(asker.connecting(*uris, **connecting), asker.finding(**more), user, secret)
    return [(target.uri, list(each)) for target, each in made]


def names(found: list[Step]) -> list[str]:
    return [each.name for each in found]


def test_a_healthy_directory_is_shown_step_by_step(asker: Asker, slapd: Slapd) -> None:
    """Each with its time; TLS, certificate, service account, filter, attributes, login."""
    [(_, found)] = steps(asker, slapd.uri, user="amy", secret=AMYS.encode())
    assert names(found) == [
        *("resolve", "connect", "starttls", "tls", "certificate", "bind", "server", "base"),
        *("filter", "attributes", "login"),
    ]
    assert all(each.good and each.seconds >= 0 for each in found)
    said = {each.name: each for each in found}
    assert "127.0.0.1" in said["certificate"].text
    assert "20" in said["certificate"].text
    assert READER in said["bind"].text
    assert "1 hits" in said["filter"].text
    assert "name 'amy'" in said["attributes"].text
    assert "right" in said["login"].text
    everything = str(found)
    assert READER_SECRET not in everything
    assert AMYS not in everything


@pytest.mark.parametrize(
    ("more", "step", "cause"),
    [
        ({"connecting": {"server_name": "other.example"}}, "tls", "another name"),
        ({"connecting": {"ca_file": ""}}, "tls", "set ca"),
        ({"connecting": {"ca_file": "/nonexistent"}}, "tls", "no good PEM"),
        ({"connecting": {"bind_dn": f"cn=unknown,{BASE}"}}, "bind", "bind_dn or its password"),
        ({"connecting": {"password_file": "/nonexistent"}}, "bind", "bind_password_file"),
        ({"connecting": {"bind": "anonymous"}}, "base", "may not see it"),
        ({"base": "dc=nowhere"}, "base", "spelled wrong"),
        ({"user": "nobody"}, "filter", "no such user"),
        ({"filter": "(|(uid={user})(sn=Body))"}, "filter", "several"),
        ({"groups": (f"cn=gone,{GROUPS}",)}, "groups", "memberOf"),
        ({"groups": (f"cn=gone,{GROUPS}",), "group_check": "member"}, "groups", "DN of the group"),
        ({"name": "mail"}, "attributes", "one value"),
        ({"secret": b"wrong"}, "login", "password is wrong"),
    ],
)
def test_the_failing_step_is_named_with_its_likely_cause(
    asker: Asker, slapd: Slapd, more: dict[str, Any], step: str, cause: str
) -> None:
    """The last line is the one to read."""
    given = {"user": "amy", **more}
    [(_, found)] = steps(asker, slapd.uri, **given)
    *before, last = found
    assert all(each.good for each in before)
    assert (last.name, last.good) == (step, False)
    assert cause in last.cause
    assert last.text != "wrong"


def test_what_attributes_mean_for_logins_is_said(asker: Asker, own_slapd: Slapd) -> None:
    """LD-14: an account that is over, one that is disabled, and an attribute that is not there."""
    own_slapd.add(
        person("old", AMYS, "shadowExpire: 19000") + person("off", AMYS, "departmentNumber: no")
    )
    fields = {"enabled": "departmentNumber"}
    said = {
        user: steps(asker, own_slapd.uri, user=user, fields=fields)[0][1][-1]
        for user in ("old", "off", "amy")
    }
    assert "expires = 2022-01-08 00:00 UTC" in said["old"].text
    assert "has expired" in said["old"].cause
    assert "is disabled" in said["off"].cause
    assert "departmentNumber" in said["amy"].cause
    assert all(each.good for each in said.values())


def test_a_server_that_says_nothing_of_itself_can_be_well(asker: Asker) -> None:
    """Many do not show their root entry to the account that searches; logins do without."""

    def answer(request: Any) -> Any:
        if request.tag == BIND:
            return [message(request.number, bind_result(0))]
        if request.tag == SEARCH:
            root = request.content.startswith(b"\x04\x00")
            return [message(request.number, search_done(32 if root else 0))]
        return [message(request.number, result(0x78, 2, "no such operation"))]

    server = MockServer(answer)
    try:
        [(_, found)] = steps(asker, server.uri, connecting={"encrypt": False})
    finally:
        server.stop()
    assert names(found)[-2:] == ["server", "base"]
    assert all(each.good for each in found)


def test_a_refused_certificate_is_described(asker: Asker, slapd: Slapd) -> None:
    """What the server shows, although it is not believed."""
    for uri in (slapd.uri, slapd.tls_uri):
        [(_, found)] = steps(asker, uri, connecting={"server_name": "other.example"})
        assert "ldap.corp.example" in found[-1].text
        assert "Test CA" in found[-1].text


def test_each_server_is_looked_at(asker: Asker, slapd: Slapd) -> None:
    """One that is down does not hide the next; a hanging one ends in time."""
    hanging = MockServer(lambda request: None)
    silent = socket.create_server(("127.0.0.1", 0))
    tls = f"ldaps://127.0.0.1:{silent.getsockname()[1]}"
    try:
        found = steps(asker, "ldap://127.0.0.1:1", hanging.uri, tls, slapd.ipc_uri)
    finally:
        hanging.stop()
        silent.close()
    causes = [each[-1].cause for _, each in found]
    assert "nothing listens" in causes[0]
    assert "hangs" in causes[1]
    assert "hangs" in causes[2]
    assert found[3][1][-1].good


def config(tmp_path: Path, asker: Asker, slapd: Slapd, more: str = "") -> str:
    path = tmp_path / "m.toml"
    path.write_text(
        '[mail]\nhome = "/srv/mail/{user}"\n'
        f'[[users]]\ntype = "ldap"\nlabel = "corp"\nuri = ["{slapd.tls_uri}", "{slapd.ipc_uri}"]\n'
        f'ca = "{asker.ca}"\nbase = "{BASE}"\n'
        f'bind_dn = "{READER}"\nbind_password_file = "{asker.secret}"\n{more}'
        '[tls]\ncertificate = "/etc/ssl/mail.pem"\n'
    )
    return str(path)


def test_the_command_prints_and_says_whether_all_is_well(
    asker: Asker,
    slapd: Slapd,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Exit status 0 or 1; passwords are asked for, never shown, never arguments."""
    path = config(tmp_path, asker, slapd)

    class Input:
        buffer = io.BytesIO(AMYS.encode() + b"\n")

    monkeypatch.setattr(sys, "stdin", Input())
    assert main(["ldap-doctor", path, "--user", "amy", "--stdin"]) == 0
    out = capsys.readouterr().out
    assert f"corp: {slapd.tls_uri}" in out
    assert f"corp: {slapd.ipc_uri}" in out
    assert "the password is right" in out
    assert AMYS not in out
    assert READER_SECRET not in out
    assert main(["ldap-doctor", path, "--user", "nobody"]) == 1
    out = capsys.readouterr().out
    assert "FAILED filter" in out
    assert "likely cause: no such user" in out
    assert main(["ldap-doctor", path, "--directory", "other"]) == 1
    assert "no [[users]]" in capsys.readouterr().err
