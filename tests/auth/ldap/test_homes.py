"""
Commands on Maildirs find the mail of users where their entries say that it is.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from mailaccess.cli import main

from .slapd import BASE, READER, READER_SECRET, Authority, Slapd, person

SITE = """\
[mail]
home = "{place}/by-template/{{user}}"
[[users]]
type = "ldap"
uri = "{uri}"
ca = "{place}/ca.pem"
bind_dn = "{reader}"
bind_password_file = "{place}/reader"
base = "{base}"
fields = {{ home = "description" }}
[[listener]]
protocol = "imap"
tls = "none"
private = "loopback"
"""


@pytest.fixture
def site(tmp_path: Path, own_slapd: Slapd, authority: Authority) -> Path:
    authority.write_ca(tmp_path / "ca.pem")
    (tmp_path / "reader").touch(0o600)
    (tmp_path / "reader").write_text(READER_SECRET)
    config = tmp_path / "mailaccess.toml"
    said = {"place": tmp_path, "uri": own_slapd.tls_uri, "reader": READER, "base": BASE}
    config.write_text(SITE.format(**said))
    own_slapd.add(person("zoe", "x", f"description: {tmp_path}/by-entry/zoe"))
    for name in ("cur", "new", "tmp"):
        (tmp_path / "by-entry" / "zoe" / name).mkdir(parents=True)
        (tmp_path / "by-template" / "amy" / name).mkdir(parents=True)
    (tmp_path / "by-entry" / "zoe" / "new" / "1.a.b").write_bytes(b"Subject: x\n\ny\n")
    return config


def test_the_entry_says_where_the_mail_is(site: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """LD-14: for adopt, fsck and release; without a word in it, the template does."""
    for name, wanted in (("zoe", "by-entry"), ("amy", "by-template")):
        assert main(["adopt", "--config", str(site), "--json", name]) == 0
        told = json.loads(capsys.readouterr().out)
        assert told["maildir"] == str(site.parent / wanted / name)
    assert main(["fsck", str(site), "zoe", "--json"]) == 0
    assert main(["release", "--config", str(site), "zoe"]) == 0
    assert (site.parent / "by-entry" / "zoe" / "dovecot-uidlist").exists()


def test_a_directory_that_is_down_is_no_other_home(
    site: Path, own_slapd: Slapd, capsys: pytest.CaptureFixture[str]
) -> None:
    """LD-09: nothing is done in the wrong place."""
    own_slapd.kill()
    assert main(["fsck", str(site), "zoe"]) == 1
    assert "where the mail is cannot be told" in capsys.readouterr().err
