"""
How much mail somebody may have, by the configuration: who says it, what is wrong with it, and what
C{mailaccess quota} tells.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from twisted.logger import globalLogPublisher

from mailaccess.cli import main
from mailaccess.errors import ConfigurationErrors
from mailaccess.interfaces import Identity
from mailaccess.services.check import check
from mailaccess.services.config import parse
from mailaccess.services.quotas import Quotas
from mailaccess.services.site import maildirs
from mailaccess.store.quota import UNLIMITED, Allowance

SITE = """\
[mail]
home = "HERE/{user}"
quota_warning = 75
[[users]]
type = "file"
path = "HERE/users"
[[listener]]
protocol = "imap"
tls = "none"
private = "loopback"
"""

TABLES = """\
[[quota]]
users = "boss*"
storage = 0
[[quota]]
groups = "Staff"
storage = "10G"
messages = 5
[[quota]]
storage = "1K"
"""


def site(place: str | Path) -> str:
    return SITE.replace("HERE", str(place))


def quotas(text: str) -> Quotas:
    return Quotas(parse(site("/srv") + text).quota)


def problems(text: str) -> list[str]:
    with pytest.raises(ConfigurationErrors) as caught:
        quotas(text)
    return caught.value.problems


def test_the_record_counts_then_the_first_table_that_is_for_somebody() -> None:
    known = quotas(TABLES)
    assert known(Identity("amy", fields={"quota": "7,8C", "groups": "staff"})) == Allowance(7, 8)
    assert known(Identity("amy", fields={"quota_rule": "*:bytes=7"})) == Allowance(7)
    assert known(Identity("BOSS2", fields={"groups": "staff"})) == UNLIMITED
    assert known(Identity("amy", fields={"groups": "it, STAFF"})) == Allowance(10 * 2**30, 5)
    assert known(Identity("amy")) == Allowance(1024)
    assert quotas("")(Identity("amy")) is None


def test_a_record_that_is_not_understood_is_logged_and_says_nothing() -> None:
    seen = []
    globalLogPublisher.addObserver(seen.append)
    try:
        found = quotas(TABLES)(Identity("amy", fields={"quota": "lots"}))
    finally:
        globalLogPublisher.removeObserver(seen.append)
    assert found == Allowance(1024)
    assert [each["user"] for each in seen if each.get("event") == "quota-unclear"] == ["amy"]


def test_tables_that_never_count_are_told() -> None:
    found = problems(
        '[[quota]]\nstorage = "1G"\n[[quota]]\nusers = []\nstorage = "lots"\n[[quota]]\n'
    )
    texts = "\n".join(found)
    assert "never counts, the table in line 11 is for everybody; move it up" in texts
    assert "users = []: is for nobody" in texts
    assert 'storage = "lots"' in texts
    assert "limits nothing" in texts


def test_folders_need_names_of_their_own() -> None:
    found = problems(
        '[folders]\nsent = "INBOX"\njunk = "a//b"\ntrash = "drafts"\ncreate = "spam"\n'
    )
    texts = "\n".join(found)
    for each in ("is where mail arrives", "is no name for a mailbox", "is the name of drafts"):
        assert each in texts
    assert 'create = "spam"' in texts


def test_the_store_gets_what_the_configuration_says() -> None:
    settings = parse(site("/srv"))
    made = maildirs(settings.mail, None, 5, Quotas(settings.quota))
    assert made.options.quota_warning == 75
    assert made.options.allowance(Identity("amy")) is None


def test_folders_of_the_site_are_those_of_the_configuration() -> None:
    found = parse(site("/srv") + '[folders]\nsent = "Gesendet"\ncreate = ["trash", "sent"]\n')
    folders = found.folders.site
    assert folders.names["\\Sent"] == "Gesendet"
    assert folders.names["\\Drafts"] == "Drafts"
    assert folders.create == ("\\Sent", "\\Trash")
    assert maildirs(found.mail, None, 5, Quotas(), folders).options.folders is folders


@pytest.fixture
def place(tmp_path: Path) -> Path:
    (tmp_path / "users").write_text(
        "amy:{PLAIN}x::::::quota=100\nbob:{PLAIN}x::::::\ncy:{PLAIN}x::::::quota=lots\n"
    )
    (tmp_path / "users").chmod(0o600)
    (tmp_path / "m.toml").write_text(site(tmp_path))
    for name, count in (("amy", 3), ("bob", 2)):
        for below in ("cur", "new", "tmp"):
            (tmp_path / name / below).mkdir(parents=True)
        for number in range(count):
            (tmp_path / name / "new" / f"{number}.a").write_bytes(b"x: y\n\n" + b"z" * 34)
    return tmp_path


def told(capsys: pytest.CaptureFixture[str], *words: str | Path) -> tuple[int, str, str]:
    status = main(["quota", *map(str, words)])
    out, err = capsys.readouterr()
    return status, out, err


def test_the_command_tells_who_is_over(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    status, out, _ = told(capsys, place / "m.toml", "amy")
    assert status == 1
    assert out == (
        "amy: 120 B of 100 B, 3 of any number messages (120% OVER, limits: quota of the record)\n"
    )
    status, out, _ = told(capsys, place / "m.toml", "bob", "--json")
    assert status == 0
    found = json.loads(out)
    assert (found["octets"], found["messages"], found["octets_allowed"]) == (80, 2, None)
    (place / "bob" / "maildirsize").write_text("1000S,2C\n0 0\n")
    status, out, _ = told(capsys, place / "m.toml", "bob")
    assert (status, out) == (
        0,
        "bob: 80 B of 1000 B, 2 of 2 messages (100%, limits: maildirsize)\n",
    )


def test_the_command_counts_anew(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    status, out, _ = told(capsys, place / "m.toml", "amy", "--recalculate")
    assert status == 1
    # Line ends count as the client sees them, in the file as they are.
    assert out.startswith("amy: 126 B of 100 B, 3 of any number messages (126% OVER")
    assert (place / "amy" / "maildirsize").read_text().split() == ["100S", "120", "3"]
    (place / "amy" / "new" / "late").write_bytes(b"x: y\n\n")
    assert told(capsys, place / "m.toml", "amy")[1].startswith("amy: 132 B of 100 B, 4 ")


def test_a_mailbox_that_another_program_removed_counts_until_then(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for below in ("cur", "new", "tmp"):
        (place / "amy" / ".Work" / below).mkdir(parents=True)
    (place / "amy" / ".Work" / "new" / "1.a").write_bytes(b"x: y\n\n")
    assert ", 4 of " in told(capsys, place / "m.toml", "amy", "--recalculate")[1]
    shutil.rmtree(place / "amy" / ".Work")
    assert ", 4 of " in told(capsys, place / "m.toml", "amy")[1]
    assert ", 3 of " in told(capsys, place / "m.toml", "amy", "--recalculate")[1]


def test_public_folders_keep_to_their_maildirsize_alone(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for below in ("cur", "new", "tmp"):
        (place / "public" / below).mkdir(parents=True)
    more = f'[[namespace]]\nprefix = "Public/"\npath = "{place}/public"\nread_only = true\n'
    (place / "m.toml").write_text(site(place) + more + '[[quota]]\nstorage = "1K"\n')
    assert "(no limits)" in told(capsys, place / "m.toml", "Public/")[1]
    (place / "public" / "maildirsize").write_text("7C\n0 0\n")
    assert "0 of 7 messages" in told(capsys, place / "m.toml", "Public/")[1]
    assert "80 B of 1.0 kB" in told(capsys, place / "m.toml", "bob")[1]


def test_all_are_told_and_what_cannot_be_is(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for below in ("cur", "new", "tmp"):
        (place / "cy" / below).mkdir(parents=True)
    status, out, err = told(capsys, place / "m.toml", "--all")
    assert status == 2
    assert [line.partition(":")[0] for line in out.splitlines()] == ["amy", "bob"]
    assert err.startswith("cy: cannot be told: no quota")
    assert told(capsys, place / "m.toml")[0] == 1


def test_check_names_records_that_are_not_understood(place: Path) -> None:
    found, _ = check(str(place / "m.toml"))
    assert any("users:3: quota of 'cy'" in each and 'like "5G"' in each for each in found)
