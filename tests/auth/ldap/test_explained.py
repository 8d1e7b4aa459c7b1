"""
C{mailaccess explain} asks the directory what it says of a user.
"""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from mailaccess.cli import main

from .slapd import AMYS, BASE, READER, READER_SECRET, Authority, Slapd, person, running


@pytest.fixture(scope="module")
def site(authority: Authority) -> Iterator[tuple[Path, Slapd]]:
    place = Path(tempfile.mkdtemp(prefix="explain-"))
    authority.write_ca(place / "ca.pem")
    secret = place / "secret"
    secret.touch(0o600)
    secret.write_text(READER_SECRET + "\n")
    slapds = running(place / "slapd", authority)
    slapd = next(slapds)
    slapd.add(
        person("old", AMYS, "businessCategory: allow") + person("new", AMYS, "employeeType: 1.3")
    )
    (place / "m.toml").write_text(
        '[mail]\nhome = "/srv/mail/{user}"\n'
        f'[[users]]\ntype = "ldap"\nlabel = "corp"\nuri = "{slapd.tls_uri}"\n'
        f'ca = "{place}/ca.pem"\nbase = "{BASE}"\nbind_dn = "{READER}"\n'
        f'bind_password_file = "{secret}"\n'
        'fields = { cleartext = "businessCategory", minimum_tls = "employeeType" }\n'
        '[tls]\ncertificate = "/etc/mail.pem"\n'
        '[[listener]]\nprotocol = "imap"\nexceptions = true\n'
    )
    yield place / "m.toml", slapd
    slapds.close()
    shutil.rmtree(place, ignore_errors=True)


@pytest.mark.parametrize(
    ("user", "tls", "said"),
    [
        ("old", "none", "allow for this user: cleartext = allow (corp: uid=old,"),
        ("amy", "none", "refuse cleartext = refuse ("),
        ("nobody", "none", "refuse cleartext = refuse ("),
        ("new", "1.2", 'refuse for this user: minimum_tls = "1.3" (corp: uid=new,'),
        ("new", "1.3", "allow the connection is private: tls ("),
    ],
)
def test_the_rule_of_a_directory_is_named_with_its_entry(
    user: str,
    tls: str,
    said: str,
    site: tuple[Path, Slapd],
    capsys: pytest.CaptureFixture[str],
) -> None:
    """POL-08"""
    command = ["explain", str(site[0]), "-l", "imap", "-u", user, "--tls", tls, "-m", "plain"]
    assert main(command) == 0
    assert f"PLAIN {said}" in " ".join(capsys.readouterr().out.split())


def test_a_directory_that_is_down_is_said(
    tmp_path: Path, site: tuple[Path, Slapd], capsys: pytest.CaptureFixture[str]
) -> None:
    config = tmp_path / "m.toml"
    config.write_text(site[0].read_text().replace(site[1].tls_uri, "ldaps://127.0.0.1:1"))
    assert main(["explain", str(config), "-l", "imap", "-u", "old"]) == 1
    assert "a source of users cannot be asked" in capsys.readouterr().err
    assert main(["explain", str(config), "-l", "imap"]) == 0


def test_the_table_has_people_of_whom_the_directory_says_something(
    tmp_path: Path, site: tuple[Path, Slapd], capsys: pytest.CaptureFixture[str]
) -> None:
    """POL-08: found by one search, and no others; without the directory the table is not whole."""
    assert main(["matrix", str(site[0]), "--json"]) == 0
    shown = capsys.readouterr()
    assert shown.err == ""
    cells = json.loads(shown.out)["cells"]
    assert {each["users"] for each in cells} == {"anyone else", "user new", "user old"}
    plain = {
        (each["users"], each["connection"]): each["verdict"]
        for each in cells
        if each["mechanism"] == "PLAIN"
    }
    assert plain["user old", "no TLS"] == "allow"
    assert plain["user new", "TLS 1.2"] == "refuse"
    assert plain["user new", "TLS 1.3"] == "allow"
    assert plain["anyone else", "no TLS"] == "refuse"

    config = tmp_path / "m.toml"
    config.write_text(site[0].read_text().replace(site[1].tls_uri, "ldaps://127.0.0.1:1"))
    assert main(["matrix", str(config), "--json"]) == 0
    shown = capsys.readouterr()
    assert {each["users"] for each in json.loads(shown.out)["cells"]} == {"anyone else"}
    assert "corp cannot be asked for its users" in shown.err


def test_a_difference_names_people_of_the_directory(
    tmp_path: Path, site: tuple[Path, Slapd], capsys: pytest.CaptureFixture[str]
) -> None:
    """POL-08"""
    config = tmp_path / "m.toml"
    config.write_text(site[0].read_text().replace("exceptions = true", ""))
    assert main(["policy-diff", str(config), str(site[0]), "--json"]) == 1
    changes = json.loads(capsys.readouterr().out)
    assert any(each["users"] == "user old" for each in changes), changes
