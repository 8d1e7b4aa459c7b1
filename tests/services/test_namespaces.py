"""
Public folders in the configuration: what it means, what is wrong with it, and who proves their
Maildir.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from twisted.internet import reactor

from mailaccess.cli import main
from mailaccess.errors import ConfigurationErrors
from mailaccess.protocols.imap.factory import IMAPFactory
from mailaccess.services.check import check
from mailaccess.services.config import parse
from mailaccess.services.factories import Factories
from mailaccess.services.namespaces import with_namespaces
from mailaccess.services.site import maildirs
from mailaccess.store.namespaces import NamespaceAccounts
from mailaccess.wire.naming import Naming

SITE = """\
[mail]
home = "HERE/mail/{user}"
domain = "example.org"
[login]
anonymous = "nobody"
[[users]]
type = "file"
path = "HERE/users"
[[listener]]
protocol = "imap"
tls = "none"
private = "loopback"
mechanisms = ["PLAIN", "ANONYMOUS"]
"""
PUBLIC = '[[namespace]]\nprefix = "Public/"\npath = "HERE/public"\n'


def text(place: object, more: str) -> str:
    return (SITE + more).replace("HERE", str(place))


def problems(more: str) -> list[str]:
    with pytest.raises(ConfigurationErrors) as caught:
        parse(text("/srv", more))
    return caught.value.problems


def test_namespaces_are_as_the_configuration_says() -> None:
    """Names in the file of rights are canonical names, with the site's domain."""
    more = PUBLIC + 'read_only = true\n[[namespace]]\nprefix = "Ämter/"\n'
    settings = parse(text("/srv", more + 'path = "/srv/b/"\nrights = "/srv/rights"\n'))
    store = maildirs(settings.mail, reactor)
    accounts = with_namespaces(store, settings, reactor)
    assert isinstance(accounts, NamespaceAccounts)
    first, second = accounts.spaces
    assert (first.prefix, first.path, second.prefix, second.path) == (
        "Public/", "/srv/public", "Ämter/", "/srv/b",
    )  # fmt: skip
    grants = first.rights.now().grants("nobody@example.org", frozenset())
    assert grants.of("Public/A") == frozenset("lrs")
    store.stop()


def test_without_namespaces_nothing_stands_between() -> None:
    settings = parse(text("/srv", ""))
    store = maildirs(settings.mail, reactor)
    assert with_namespaces(store, settings, reactor) is store
    store.stop()


@pytest.mark.parametrize(
    ("more", "line", "said"),
    [
        (PUBLIC, 14, "says nothing of who may do what; add rights = FILE, or read_only = true"),
        (PUBLIC + 'read_only = true\nrights = "/r"\n', 17, "is not needed beside rights"),
        (PUBLIC.replace("Public/", "Public") + "read_only = true\n", 15, "one level of names"),
        (PUBLIC.replace("Public/", "A/B/") + "read_only = true\n", 15, "one level of names"),
        (PUBLIC.replace("Public/", "inbox/") + "read_only = true\n", 15, "where mail arrives"),
        (PUBLIC.replace("Public/", ".a/") + "read_only = true\n", 15, "can be no name"),
        (PUBLIC.replace("Public/", "/") + "read_only = true\n", 15, "can be no name"),
        (PUBLIC.replace("Public/", "a*/") + "read_only = true\n", 15, "has * or %"),
        (PUBLIC.replace("Public/", "#a/") + "read_only = true\n", 15, "has * or %"),
        ('[[namespace]]\nprefix = "P/"\nread_only = true\n', 14, "has no path; add path"),
    ],
)
def test_what_is_wrong_is_said_with_its_line(more: str, line: int, said: str) -> None:
    (found,) = problems(more)
    assert found.startswith(f"configuration:{line}: ")
    assert said in found


def test_two_namespaces_share_nothing() -> None:
    other = PUBLIC.replace("Public", "public").replace("HERE/public", "HERE/x/../public/")
    found = problems(PUBLIC + "read_only = true\n" + other + "read_only = true\n")
    assert [each.split(":")[1] for each in found] == ["19", "20"]
    assert all("is that of another namespace, too" in each for each in found)


@pytest.fixture
def site(tmp_path: Path) -> Path:
    (tmp_path / "mail").mkdir()
    for below in ("cur", "new", "tmp", ".News/cur", ".News/new", ".News/tmp"):
        (tmp_path / "public" / below).mkdir(parents=True)
    users = tmp_path / "users"
    users.write_text("amy@example.org:{PLAIN-MD5}5f4dcc3b5aa765d61d8327deb882cf99\n")
    users.chmod(0o600)
    (tmp_path / "rights").write_text("Public/* user:amy lr\n")
    path = tmp_path / "m.toml"
    path.write_text(text(tmp_path, PUBLIC + 'rights = "HERE/rights"\n'))
    return path


def test_check_looks_at_the_directory_and_the_lines_of_rights(site: Path) -> None:
    here = site.parent
    found, summary = check(str(site))
    assert found == []
    assert "namespace Public/: 1 lines of rights" in summary
    rights = here / "rights"
    rights.write_text("Public/* anyone lr\nPublic/A user: l\nNews anyone lq\n")
    found, _ = check(str(site))
    assert [each.removeprefix(f"{rights}:").partition(":")[0] for each in found] == ["2", "3"]
    rights.chmod(0o666)
    (here / "public").rename(here / "elsewhere")
    found, _ = check(str(site))
    assert f"is no directory; mkdir -p {here}/public" in found[0]
    assert "can be written by everybody; chmod o-w" in found[1]
    rights.unlink()
    found, _ = check(str(site))
    assert "cannot be read (No such file or directory)" in found[1]


def test_names_of_users_in_the_file_get_the_domain_of_the_site(site: Path) -> None:
    settings = parse(site.read_text())
    store = maildirs(settings.mail, reactor)
    accounts = with_namespaces(store, settings, reactor)
    assert isinstance(accounts, NamespaceAccounts)
    contents = accounts.spaces[0].rights.load()  # type: ignore[attr-defined]
    assert contents.grants("amy@example.org", frozenset()).of("Public/A") == frozenset("lr")
    assert contents.anonymous == "nobody@example.org"
    store.stop()


def test_fsck_proves_a_namespace_as_any_account(
    site: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    letter = site.parent / "public" / ".News" / "cur" / "1.M1P1.h:2,"
    letter.write_bytes(b"Subject: x\n\ny\n")
    assert main(["adopt", "--config", str(site), "Public/"]) == 0
    capsys.readouterr()
    assert main(["fsck", str(site), "Public/", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["account"] == "Public/"
    assert told["maildir"] == str(site.parent / "public")
    assert told["failure"] == ""
    assert main(["fsck", str(site), "--all"]) == 0
    assert capsys.readouterr().out == "Public/: all well\n"


def test_clients_see_the_names_that_the_configuration_says(tmp_path: Path) -> None:
    """What C{[mail]} says is what the connections of a listener use."""
    mail = 'domain = "example.org"\ndelimiter = "."\nprefix = "INBOX."\n'
    settings = parse(text(tmp_path, "").replace('domain = "example.org"\n', mail))
    nothing: Any = None
    made = Factories(settings, *[nothing] * 4).make(settings.listener[0])
    assert isinstance(made, IMAPFactory)
    assert made.buildProtocol(None).naming == Naming(".", "INBOX.")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ('prefix = "INBOX."', 'is not INBOX with the delimiter "/" behind it; write "INBOX/"'),
        ('prefix = "Mail."\ndelimiter = "."', 'delimiter "." behind it; write "INBOX."'),
        ('prefix = "INBOX"\ndelimiter = "."', 'delimiter "." behind it; write "INBOX."'),
        ('delimiter = "\\\\"\nprefix = "INBOX."', "is not known; use one of ., /"),
    ],
)
def test_a_prefix_has_the_delimiter_behind_it(options: str, said: str) -> None:
    with pytest.raises(ConfigurationErrors) as caught:
        parse(text("/srv", "").replace("domain =", options + "\ndomain ="))
    (problem,) = caught.value.problems
    assert problem.startswith("configuration:3: ")
    assert said in problem


def test_check_says_how_clients_see_folders(site: Path) -> None:
    """Only where that is not as everywhere else."""
    assert not [each for each in check(str(site))[1] if each.startswith("folders are")]
    options = '[mail]\ndelimiter = "."\nprefix = "INBOX."\n'
    site.write_text(site.read_text().replace("[mail]\n", options))
    assert "folders are INBOX.Work.2024 to clients" in check(str(site))[1]
