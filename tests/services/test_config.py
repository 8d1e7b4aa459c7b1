"""
Configuration files: what a site writes, and all that can be wrong with it.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from mailaccess.errors import ConfigurationErrors
from mailaccess.services.config import load, parse
from mailaccess.services.options import reference, sections
from mailaccess.services.settings import Limits, ListenerSettings, Settings

SITE = """\
[mail]
home = "/srv/mail/{user}"
[[users]]
type = "file"
path = "/etc/mailaccess/users"
[tls]
certificate = "/etc/ssl/mail.pem"
[server]
user = "mailaccess"
"""


def problems(text: str) -> list[str]:
    with pytest.raises(ConfigurationErrors) as caught:
        parse(text, "m.toml")
    return caught.value.problems


def site(more: str) -> str:
    return SITE + more


def test_a_site_gets_by_with_few_lines_and_the_four_standard_ports() -> None:
    """TLS-21: implicit TLS and STARTTLS, both by default."""
    settings = parse(SITE)
    assert [(it.label, it.port_number, it.tls, it.cleartext) for it in settings.listeners] == [
        ("imap", 143, "starttls", "refuse"),
        ("imaps", 993, "implicit", "refuse"),
        ("pop3", 110, "starttls", "refuse"),
        ("pop3s", 995, "implicit", "refuse"),
    ]
    assert settings.mail.home == "/srv/mail/{user}"
    assert settings.limits == Limits()


def test_implicit_and_starttls_ports_are_chosen_apart() -> None:
    """TLS-21: the STARTTLS port can be left out, or have another policy."""
    settings = parse(site('[[listener]]\nprotocol = "imap"\ntls = "implicit"\n'))
    assert [(it.label, it.port_number) for it in settings.listeners] == [("imaps", 993)]
    settings = parse(
        site(
            '[[listener]]\nprotocol = "pop3"\nmechanisms = "USER"\n'
            '[[listener]]\nprotocol = "pop3"\ntls = "implicit"\n'
        )
    )
    assert [it.mechanisms for it in settings.listeners] == [("USER",), ()]


def test_units_are_understood() -> None:
    settings = parse(
        site('[limits]\nmessage_size = "10 MB"\nlogin = "1m"\nimap_idle = 2400\n[tls.x]\n').replace(
            "[tls.x]\n", ""
        )
    )
    assert settings.limits.message_size == 10 * 2**20
    assert settings.limits.login == 60
    assert settings.limits.imap_idle == 2400


def test_everything_wrong_is_said_at_once_with_its_line() -> None:
    text = """\
[mail]
home = "/srv/mail/{usr}"
hme = 3
[[users]]
type = "fil"
[tls]
certificate = "mail.pem"
watch = "soon"
[[listener]]
protocol = "imap"
address = ["0.0.0.0", "localhost"]
port = "143"
exceptions = "yes"
[[listener]]
protocol = "pop"
[limits]
message_size = "64X"
imap_idle = "1m"
login = true
[lgo]
"""
    assert problems(text) == [
        'm.toml:2: home = "/srv/mail/{usr}": knows no {usr}; use {user}, {local} or {domain}',
        'm.toml:3: hme = 3: is no option here; did you mean "home"?',
        "m.toml:4: [[users]]: has no path; add path (path)",
        'm.toml:5: type = "fil": is not known; did you mean "file"?',
        'm.toml:7: certificate = "mail.pem": is not absolute; start it with /',
        'm.toml:8: watch = "soon": is not understood; write it like "30s, 10m, 2h"',
        'm.toml:11: address = ["0.0.0.0", "localhost"]: has "localhost", which is no IP address;'
        ' write numbers as in "127.0.0.1" or "::"',
        'm.toml:12: port = "143": is a string; write a whole number, without quotes',
        'm.toml:13: exceptions = "yes": is a string; write true or false, without quotes',
        'm.toml:15: protocol = "pop": is not known; did you mean "pop3"?',
        'm.toml:17: message_size = "64X": is not understood; write it like "64M"',
        'm.toml:18: imap_idle = "1m": is too small; the least is 1800',
        'm.toml:19: login = true: is true or false; write it like "30s, 10m, 2h"',
        'm.toml:20: [lgo]: is no table or option here; did you mean "log"?',
    ]


LISTENER = '[[listener]]\nprotocol = "imap"\n'

CONTRADICTIONS = {
    "cleartext on a port that is never clear": (
        LISTENER + 'tls = "implicit"\ncleartext = "allow"\n',
        [(13, "cleartext", "no meaning with tls")],
    ),
    "private on a port that is always private": (
        LISTENER + 'tls = "implicit"\nprivate = "loopback"\n',
        [(13, "private", "no meaning with tls")],
    ),
    "exceptions where nothing is refused": (
        LISTENER + 'cleartext = "allow"\nexceptions = true\n',
        [(13, "exceptions", "no meaning with cleartext")],
    ),
    "a port where no password is ever taken": (
        LISTENER + 'tls = "none"\n',
        [(12, "tls", "nobody could log in")],
    ),
    "two of one name": (
        LISTENER + LISTENER + "port = 144\n",
        [(12, "[[listener]]", 'is named "imap" like that of line 10')],
    ),
    "two on one port": (
        LISTENER + LISTENER + 'name = "b"\n',
        [(12, "port", "wants port 143, which the listener of line 10 has")],
    ),
    "one port, everywhere and on one address": (
        LISTENER + 'address = "127.0.0.1"\n' + LISTENER + 'name = "b"\naddress = "0.0.0.0"\n',
        [(13, "port", "wants port 143")],
    ),
    "one systemd socket twice": (
        LISTENER + 'address = "systemd:a"\n' + LISTENER + 'name = "b"\naddress = "systemd:a"\n',
        [(13, "port", "wants systemd:a as the listener of line 10 does")],
    ),
    "a port for a systemd socket": (
        LISTENER + 'address = "systemd:a"\nport = 143\n',
        [(13, "port", "chosen by systemd")],
    ),
    "a rule for no listener": (
        '[[rule]]\nusers = "x"\nlisteners = ["imasp"]\ncleartext = "refuse"\n',
        [(12, "listeners", 'no listener named "imasp"; did you mean "imap"?')],
    ),
    "a rule that its listener forbids": (
        '[[rule]]\nusers = "x"\nlisteners = ["imap"]\ncleartext = "allow"\n',
        [(13, "cleartext", "add exceptions = true")],
    ),
    "a rule that every listener forbids": (
        '[[rule]]\nusers = "x"\ncleartext = "allow"\n',
        [(12, "cleartext", "not permitted by any listener")],
    ),
    "a rule for nobody": (
        '[[rule]]\nusers = []\ncleartext = "refuse"\n',
        [(11, "users", "is for nobody")],
    ),
    "APOP that is off": (
        '[[listener]]\nprotocol = "pop3"\nmechanisms = ["APOP"]\n',
        [(12, "mechanisms", "add apop = true to [pop3]")],
    ),
    "APOP that nobody offers": (
        "[pop3]\napop = true\n",
        [(11, "apop", "passwords that can be recovered"), (11, "apop", "no listener offers it")],
    ),
    "a mechanism of the other protocol": (
        LISTENER + 'mechanisms = ["USER"]\n',
        [(12, "mechanisms", 'has "USER", which imap does not have')],
    ),
    "everybody trusted": (
        LISTENER + 'private = ["0.0.0.0/0"]\n',
        [(12, "private", "trusts everybody")],
    ),
    "more of one address than of all": (
        "[limits]\nconnections = 10\n",
        [(0, "connections_per_ip", "is more than connections (10)")],
    ),
}


@pytest.mark.parametrize("case", CONTRADICTIONS, ids=str)
def test_settings_that_contradict_each_other_are_errors(case: str) -> None:
    text, expected = CONTRADICTIONS[case]
    found = problems(site(text))
    assert len(found) == len(expected)
    for problem, (line, key, said) in zip(found, expected, strict=True):
        where = f"m.toml:{line}: " if line else "m.toml:"
        assert problem.startswith(where)
        assert key in problem
        assert said in problem
        assert "; " in problem, "says a way out"


def test_rules_and_exceptions_that_fit_are_taken() -> None:
    settings = parse(
        site(
            LISTENER
            + "exceptions = true\n"
            + '[[rule]]\nusers = ["scanner", "copier-*"]\nlisteners = "imap"\ncleartext = "allow"\n'
        ),
        "m.toml",
    )
    assert settings.rule[0].users == ("scanner", "copier-*")
    assert settings.rule[0].source == "m.toml:13"
    assert settings.listener[0].source == "m.toml:10"


def test_names_without_a_default_certificate_are_an_error() -> None:
    """TLS-16: clients that name no server need one."""
    text = SITE.replace('certificate = "/etc/ssl/mail.pem"', 'names = "/etc/mailaccess/certs"')
    (found,) = problems(text)
    assert found.startswith("m.toml:7: names = ")
    assert "add certificate" in found


def test_tls_without_certificates_is_an_error_for_each_listener() -> None:
    text = re.sub(r"\[tls\]\n.*\n", "", SITE)
    (found,) = problems(text)
    assert "the standard listeners need it" in found
    found_two = problems(text + LISTENER + LISTENER + 'tls = "implicit"\n')
    assert [each.split(": ")[0] for each in found_two] == ["m.toml:8", "m.toml:12"]
    assert parse(text + LISTENER + 'tls = "none"\nprivate = ["loopback"]\n')


def test_missing_tables_are_all_named() -> None:
    found = problems("")
    assert any("[mail]: has no home" in each for each in found)
    assert any("[users]: is missing" in each for each in found)
    assert any("[tls]: is missing" in each for each in found)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[mail\n", "m.toml:1: "),
        ("a = 1\na = 2\n", "m.toml:2: "),
        ("a = " + "[" * 100_000, "m.toml"),
    ],
)
def test_a_file_that_is_no_toml_says_where(text: str, said: str) -> None:
    (found,) = problems(text)
    assert found.startswith(said)


def test_wrong_shapes_are_named() -> None:
    found = problems(SITE.replace("[[users]]", "[users]") + "rule = 3\n")
    assert any("is not an array of tables; write [[users]]" in each for each in found)
    assert "m.toml:1: mail = 3: is not a table; write [mail]" in problems("mail = 3\n")


def test_files_that_cannot_be_read_are_reported(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationErrors, match="No such file"):
        load(str(tmp_path / "none.toml"))
    (tmp_path / "latin.toml").write_bytes(b"# \xe9\n")
    with pytest.raises(ConfigurationErrors, match="not UTF-8"):
        load(str(tmp_path / "latin.toml"))
    (tmp_path / "good.toml").write_text(SITE)
    assert load(str(tmp_path / "good.toml")).rule == ()


def test_line_numbers_hold_with_windows_line_ends(tmp_path: Path) -> None:
    path = tmp_path / "m.toml"
    path.write_bytes((SITE + "[log]\nfromat = 1\n").replace("\n", "\r\n").encode())
    with pytest.raises(ConfigurationErrors, match=r"m\.toml:11: fromat"):
        load(str(path))


def test_values_from_the_file_cannot_forge_a_message() -> None:
    """A problem stays one line, whatever the value."""
    (found,) = problems(site('[log]\nformat = "a\\nb\\u001b[0m"\n'))
    assert found.isprintable()


def test_the_reference_has_every_option() -> None:
    text = reference(Settings)
    for section in sections(Settings):
        assert f"### `{section.header}`" in text
        for name in section.options:
            assert f"| `{name}` |" in text
    assert all(line.count(" | ") == 3 for line in text.splitlines() if line.startswith("| `"))


def test_settings_can_be_made_without_a_file() -> None:
    it = ListenerSettings(protocol="pop3", tls="implicit", port=0)
    assert (it.label, it.port_number, it.address) == ("pop3s", 0, ("0.0.0.0", "::"))
