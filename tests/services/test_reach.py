"""
Files that root can read at the start and the user of C{[server]} could not read again.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from twisted.internet.task import Clock
from twisted.logger import capturedLogs

from mailaccess.cli import main
from mailaccess.services import process, reach, site
from mailaccess.services.config import load
from mailaccess.services.site import MailService

UID, GID, OTHER = 54321, 54322, 54323


@pytest.fixture
def place(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """
    A directory that everybody may search, which pytest's own is not, and a user who is not us.
    """
    person = SimpleNamespace(pw_uid=UID, pw_gid=GID)
    monkeypatch.setattr(process.pwd, "getpwnam", lambda _name: person)
    monkeypatch.setattr(reach.grp, "getgrgid", lambda _gid: SimpleNamespace(gr_name="post"))
    monkeypatch.setattr(os, "getgrouplist", lambda _name, gid: [gid, OTHER])
    directory = Path(tempfile.mkdtemp(dir="/tmp"))
    directory.chmod(0o755)
    yield directory
    shutil.rmtree(directory)


@pytest.fixture
def file(place: Path, certificate_writer: Any) -> Path:
    (place / "mail").mkdir()
    users = place / "users"
    users.write_text("amy:{PLAIN-MD5}5f4dcc3b5aa765d61d8327deb882cf99\n")
    users.chmod(0o600)
    certificate_writer(place / "c.pem", "mail.example.org")
    path = place / "m.toml"
    path.write_text(
        f'[mail]\nhome = "{place}/mail/{{user}}"\n'
        f'[[users]]\ntype = "file"\npath = "{users}"\n'
        f'[tls]\ncertificate = "{place}/c.pem"\n'
        '[server]\nuser = "post"\n'
    )
    return path


def may(monkeypatch: pytest.MonkeyPatch, **owned: int) -> None:
    """
    Files of these names have this group, whoever owns them.
    """
    real = os.stat

    def stat(path: Any, *args: Any, **options: Any) -> Any:
        found = real(path, *args, **options)
        name = os.path.basename(str(path)).partition(".")[0]
        if name not in owned:
            return found
        values = list(found)
        values[5] = owned[name]
        return os.stat_result(values)

    monkeypatch.setattr(reach.os, "stat", stat)


def test_check_names_files_that_only_root_can_read(
    file: Path, place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """TLS-15: option, file, and the way out."""
    assert main(["check", str(file)]) == 1
    assert capsys.readouterr().err.splitlines() == [
        f'{file}:5: path = "{place}/users": {place}/users cannot be read again by post, whom the'
        f" server becomes; chgrp post {place}/users; chmod 640 {place}/users",
        f'{file}:7: certificate = "{place}/c.pem": {place}/c.pem cannot be read again by post, whom'
        f" the server becomes; chgrp post {place}/c.pem; chmod 640 {place}/c.pem",
    ]


@pytest.mark.parametrize("group", [GID, OTHER])
def test_the_way_out_is_one_and_any_group_of_the_user_will_do(
    file: Path, place: Path, monkeypatch: pytest.MonkeyPatch, group: int
) -> None:
    """A key that its group reads is no key that everybody reads."""
    may(monkeypatch, users=group, c=group)
    for name in ("users", "c.pem"):
        (place / name).chmod(0o640)
    assert main(["check", str(file)]) == 0


def test_without_a_user_nobody_else_has_to_read_the_files(file: Path) -> None:
    file.write_text(file.read_text().partition("[server]")[0])
    assert main(["check", str(file)]) == 0


def test_a_directory_on_the_way_of_a_link_counts_once(
    file: Path, place: Path, certificate_writer: Any
) -> None:
    """As certbot has them: the names lead into a directory that only root may search."""
    archive = place / "archive"
    archive.mkdir()
    names = place / "names"
    names.mkdir()
    names.chmod(0o755)
    for name in ("a.example.org.pem", "b.example.org.pem"):
        certificate_writer(archive / name, name.removesuffix(".pem"))
        (archive / name).chmod(0o604)
        (names / name).symlink_to(f"../archive/{name}")
    archive.chmod(0o700)
    (place / "users").chmod(0o604)
    (place / "c.pem").chmod(0o604)
    file.write_text(file.read_text().replace("[server]", f'names = "{names}"\n[server]'))
    ((option, text),) = reach.out_of_reach(load(str(file)))
    assert option == ("tls", "names")
    assert f"may not search {archive}; chgrp post {archive}; chmod g+x {archive}" in text


def test_the_password_of_a_directory_may_not_be_for_a_group(file: Path, place: Path) -> None:
    secret = place / "secret"
    secret.write_text("x")
    secret.chmod(0o600)
    for name in ("users", "c.pem"):
        (place / name).chmod(0o604)
    file.write_text(
        file.read_text()
        + '[[users]]\ntype = "ldap"\nuri = "ldaps://127.0.0.1"\nbase = "dc=x"\n'
        + f'bind_dn = "cn=x"\nbind_password_file = "{secret}"\n'
    )
    ((option, text),) = reach.out_of_reach(load(str(file)))
    assert option == ("users", 1, "bind_password_file")
    assert text.endswith(f"; chown post {secret}")


def test_the_log_names_them_before_root_is_given_up(
    file: Path, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = load(str(file))
    service = MailService(settings, Clock())
    monkeypatch.setattr(site.os, "geteuid", lambda: 0)
    monkeypatch.setattr(site, "harden", lambda: None)
    monkeypatch.setattr(service.listeners, "privilegedStartService", lambda: None)
    became: list[int] = []
    with capturedLogs() as events:
        monkeypatch.setattr(site, "become", lambda _server: became.append(len(events)))
        service.privilegedStartService()
    told = [each for each in events if each.get("event") == "out-of-reach"]
    assert [each["option"] for each in told] == ["certificate", "path"]
    assert f"chmod 640 {place}/c.pem" in told[0]["reason"]
    assert became == [len(events)]
