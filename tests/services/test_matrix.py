"""
The policy as a table, and what a change of the configuration does to it.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from fnmatch import fnmatchcase
from pathlib import Path

import pytest

from mailaccess.cli import main
from mailaccess.services.config import load, parse
from mailaccess.services.differences import changes
from mailaccess.services.matrix import audiences, example, matrix, places
from mailaccess.services.rehearsal import Rehearsal

HEAD = """\
[mail]
home = "/srv/mail/{{user}}"
[[users]]
type = "file"
path = "{place}/users"
[tls]
certificate = "{place}/mail.pem"
"""
LISTENERS = """\
[[listener]]
protocol = "imap"
mechanisms = ["LOGIN command", "PLAIN"]
exceptions = true
[[listener]]
protocol = "pop3"
mechanisms = ["USER"]
private = ["10.9.0.0/24"]
"""
RULES = """\
[[rule]]
users = ["scanner-*"]
from = ["10.1.2.0/24"]
cleartext = "allow"
[[rule]]
groups = ["board"]
minimum_tls = "1.3"
"""
USERS = (
    "amy:{PLAIN}x::::::\n"
    "boss:{PLAIN}x::::::cleartext=refuse minimum_tls=1.3\n"
    "carl:{PLAIN}x::::::groups=board\n"
    "scanner-1:{PLAIN}x::::::\n"
    "scanner-2:{PLAIN}x::::::\n"
)

TABLE = """\
listener imap
LOGIN command PLAIN
anyone else no TLS refuse refuse
TLS 1.2 allow allow
TLS 1.3 allow allow
scanner-* no TLS refuse refuse
TLS 1.2 allow allow
TLS 1.3 allow allow
scanner-* from 10.1.2.0/24 no TLS allow allow
TLS 1.2 allow allow
TLS 1.3 allow allow
group board no TLS refuse refuse
TLS 1.2 refuse refuse
TLS 1.3 allow allow
user boss no TLS refuse refuse
TLS 1.2 refuse refuse
TLS 1.3 allow allow

listener pop3
USER
anyone else no TLS refuse
no TLS from 10.9.0.0/24 allow
TLS 1.2 allow
TLS 1.3 allow
scanner-* no TLS refuse
no TLS from 10.9.0.0/24 allow
TLS 1.2 allow
TLS 1.3 allow
scanner-* from 10.1.2.0/24 no TLS refuse
TLS 1.2 allow
TLS 1.3 allow
group board no TLS refuse
no TLS from 10.9.0.0/24 refuse
TLS 1.2 refuse
TLS 1.3 allow
user boss no TLS refuse
no TLS from 10.9.0.0/24 refuse
TLS 1.2 refuse
TLS 1.3 allow

""".splitlines()

Site = Callable[[str, str], Path]


@pytest.fixture
def site(tmp_path: Path) -> Site:
    (tmp_path / "users").write_text(USERS)

    def write(name: str, text: str) -> Path:
        (tmp_path / name).write_text(HEAD.format(place=tmp_path) + text)
        return tmp_path / name

    return write


def test_the_whole_policy_is_one_table(site: Site, capsys: pytest.CaptureFixture[str]) -> None:
    """POL-08: a table that a person compares with what they meant."""
    assert main(["matrix", str(site("m.toml", LISTENERS + RULES))]) == 0
    assert [" ".join(each.split()) for each in capsys.readouterr().out.splitlines()] == TABLE


def test_the_table_is_json_and_a_page_with_reasons(
    site: Site, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = site("m.toml", LISTENERS + RULES)
    page = tmp_path / "page.html"
    assert main(["matrix", str(path), "--json", "--html", str(page)]) == 0
    cells = json.loads(capsys.readouterr().out)["cells"]
    (one,) = [
        each
        for each in cells
        if each["users"] == "user boss"
        and (each["connection"], each["mechanism"]) == ("TLS 1.2", "USER")
    ]
    assert one["verdict"] == "refuse"
    assert one["source"] == f"{tmp_path}/users:2"
    html = page.read_text()
    assert html.count("<table>") == 2
    assert html.count("<td class=") == len(cells)
    assert "minimum_tls = &quot;1.3&quot;" in html
    assert main(["matrix", str(path), "--html", str(tmp_path / "no" / "where")]) == 1


@pytest.mark.parametrize(
    "pattern",
    ["amy", "scanner-*", "*@example.org", "a?c", "[ab]x", "[!a]x", "x[", "[]]", "*", "[a"],
)
def test_an_example_is_one(pattern: str) -> None:
    assert fnmatchcase(example(pattern), pattern)


# ---- differences -------------------------------------------------------------------------------


def test_a_change_that_opens_is_named_with_rule_and_users(
    site: Site, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """The exit status says it to programs."""
    old = site("old.toml", LISTENERS + RULES)
    new = site("new.toml", LISTENERS + RULES.replace('from = ["10.1.2.0/24"]\n', ""))
    assert main(["policy-diff", str(old), str(new)]) == 1
    assert capsys.readouterr().out == (
        "opens: imap, no TLS, scanner-*: LOGIN command, PLAIN\n"
        f"    was refuse: cleartext = refuse ({old}:8)\n"
        f"    is  allow: rule for 'scanner-*': cleartext = allow ({new}:16)\n"
        "    for scanner-1, scanner-2\n"
    )
    assert main(["policy-diff", str(new), str(old)]) == 0
    assert capsys.readouterr().out.startswith("closes: imap, no TLS, scanner-*")


def test_nothing_changes_where_only_lines_move(
    site: Site, capsys: pytest.CaptureFixture[str]
) -> None:
    old = site("old.toml", LISTENERS + RULES)
    new = site("new.toml", "# a comment\n" + LISTENERS + RULES)
    assert main(["policy-diff", str(old), str(new)]) == 0
    assert capsys.readouterr().out == "nothing changes\n"


def test_a_listener_or_a_mechanism_that_is_new_opens(
    site: Site, capsys: pytest.CaptureFixture[str]
) -> None:
    old = site("old.toml", LISTENERS)
    more = LISTENERS.replace('["USER"]', '["USER", "PLAIN"]')
    more += '[[listener]]\nprotocol = "imap"\ntls = "implicit"\nmechanisms = ["PLAIN"]\n'
    new = site("new.toml", more)
    assert main(["policy-diff", str(old), str(new), "--json"]) == 1
    found = json.loads(capsys.readouterr().out)
    opened = {(each["listener"], *each["mechanisms"]) for each in found}
    assert opened == {("pop3", "PLAIN"), ("imaps", "PLAIN")}
    assert {each["change"] for each in found} == {"opens"}
    assert all(each["before"] is None and each["after"]["verdict"] == "allow" for each in found)
    strangers = [each for each in found if each["users"] == "anyone else"]
    assert strangers[0]["names"] is None


def test_trying_out_a_refusal_is_a_change_that_opens_nothing(
    site: Site, capsys: pytest.CaptureFixture[str]
) -> None:
    imap = '[[listener]]\nprotocol = "imap"\nmechanisms = ["PLAIN"]\n'
    old = site("old.toml", imap + 'cleartext = "allow"\n')
    new = site("new.toml", imap + 'cleartext = "report"\n')
    assert main(["policy-diff", str(old), str(new)]) == 0
    assert capsys.readouterr().out.startswith("changes: imap, no TLS, anyone else: PLAIN\n")
    strict = site("strict.toml", imap)
    assert main(["policy-diff", str(strict), str(new)]) == 1


def test_what_a_record_says_changes_for_that_user_only(site: Site, tmp_path: Path) -> None:
    rehearsal = Rehearsal(load(str(site("m.toml", LISTENERS))))
    people = audiences(rehearsal)
    before = matrix(rehearsal, people)
    (tmp_path / "users").write_text(USERS.replace("minimum_tls=1.3", ""))
    after = matrix(Rehearsal(rehearsal.settings), people)
    found = changes(before, after)
    assert {each.cell.audience for each in found} == {"user boss"}
    assert {each.cell.connection for each in found} == {"TLS 1.2", "no TLS from 10.9.0.0/24"}
    assert all(each.opens for each in found)


# ---- what opens without showing in the table ---------------------------------------------------

IMAP = '[[listener]]\nprotocol = "imap"\nmechanisms = ["PLAIN"]\n'
SCANNERS = """\
[[rule]]
users = ["scanner-*"]
from = ["10.1.2.0/24"]
cleartext = "allow"
until = 2098-12-31
"""
ALL_REFUSED = '[[rule]]\nusers = ["*"]\nfrom = ["10.1.2.0/25"]\ncleartext = "refuse"\n'

Compare = Callable[[str, str], tuple[int, list[dict[str, object]]]]


@pytest.fixture
def compare(site: Site, capsys: pytest.CaptureFixture[str]) -> Compare:
    def run(old: str, new: str) -> tuple[int, list[dict[str, object]]]:
        paths = [str(site("old.toml", old)), str(site("new.toml", new))]
        status = main(["policy-diff", *paths, "--json"])
        return status, json.loads(capsys.readouterr().out)

    return run


@pytest.mark.parametrize(
    ("old", "new", "users", "connection"),
    [
        pytest.param(
            IMAP + "exceptions = true\n" + SCANNERS,
            IMAP + "exceptions = true\n" + SCANNERS.replace("2.0/24", "0.0/16"),
            "scanner-* from 10.1.0.0/16",
            "no TLS",
            id="an exception for a wider network",
        ),
        pytest.param(
            IMAP + 'private = ["10.1.2.0/24"]\n',
            IMAP + 'private = ["10.1.0.0/16"]\n',
            "anyone else",
            "no TLS from 10.1.0.0/16",
            id="a wider network that is trusted",
        ),
        pytest.param(
            IMAP + 'private = ["proxy-tls"]\nproxies = ["10.1.2.0/24"]\n',
            IMAP + 'private = ["proxy-tls"]\nproxies = ["10.1.0.0/16"]\n',
            "anyone else",
            "TLS 1.3 at a proxy in 10.1.0.0/16",
            id="more proxies that are believed",
        ),
        pytest.param(
            IMAP + "exceptions = true\n" + ALL_REFUSED + SCANNERS,
            IMAP + "exceptions = true\n" + SCANNERS,
            "scanner-* from 10.1.2.0/25",
            "no TLS",
            id="a refusal of part of an exception that goes",
        ),
        pytest.param(
            IMAP + 'cleartext = "allow"\n[[rule]]\nusers = ["*-2"]\ncleartext = "refuse"\n'
            '[[rule]]\nusers = ["s*"]\ncleartext = "allow"\n',
            IMAP + 'cleartext = "allow"\n[[rule]]\nusers = ["s*"]\ncleartext = "allow"\n'
            '[[rule]]\nusers = ["*-2"]\ncleartext = "refuse"\n',
            "user scanner-2",
            "no TLS",
            id="two rules for the same user in another order",
        ),
    ],
)
def test_what_opens_for_some_only_is_found(
    old: str, new: str, users: str, connection: str, compare: Compare
) -> None:
    """POL-08: the table has one address for a network and one name for a pattern; others count."""
    status, found = compare(old, new)
    assert status == 1
    assert (users, connection) in {
        (each["users"], each["connection"]) for each in found if each["change"] == "opens"
    }
    status, found = compare(new, old)
    assert status == 0, found
    assert {each["change"] for each in found} == {"closes"}


def test_an_exception_that_ends_later_opens_on_the_day_after(compare: Compare) -> None:
    exceptions = IMAP + "exceptions = true\n"
    longer = exceptions + SCANNERS.replace("2098", "2099")
    status, found = compare(exceptions + SCANNERS, longer)
    assert status == 1
    assert [(each["change"], each["users"], each["from"], each["names"]) for each in found] == [
        ("opens", "scanner-* from 10.1.2.0/24", "2099-01-01", ["scanner-1", "scanner-2"])
    ]
    status, found = compare(longer, exceptions + SCANNERS)
    assert status == 0
    assert [(each["change"], each["from"]) for each in found] == [("closes", "2099-01-01")]


def test_what_holds_for_more_people_is_said_once(compare: Compare) -> None:
    status, found = compare(
        IMAP + "exceptions = true\n" + SCANNERS, IMAP + 'cleartext = "allow"\n' + SCANNERS
    )
    assert status == 1
    people = [each["users"] for each in found]
    assert people == ["anyone else", "scanner-*"]


def test_a_network_is_shown_by_an_address_that_no_smaller_one_has() -> None:
    text = HEAD.format(place="/srv") + IMAP
    text += 'private = ["10.0.0.0/8", "10.0.0.0/16", "10.0.0.1/32", "10.1.0.0/16", "10.9.0.0/31"]\n'
    where = {str(net): address for net, address in places(parse(text)).items()}
    assert where == {
        "10.0.0.0/8": "10.2.0.0",
        "10.0.0.0/16": "10.0.0.2",
        "10.0.0.1/32": "10.0.0.1",
        "10.1.0.0/16": "10.1.0.1",
        "10.9.0.0/31": "10.9.0.1",
    }
