"""
C{mailaccess auth-test}: every step of a login, by the code that serves.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from mailaccess.auth.passwords import make
from mailaccess.cli import main

SECRET = "correct horse"


class Site:
    """
    A configuration and a password.
    """

    def __init__(self, top: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.top, self.capsys = top, capsys
        hashed = make("SSHA512", SECRET.encode())
        (top / "users").write_text(
            f"amy:{hashed}\nboss:{hashed}\nleft:{hashed}::::::nologin=yes\n"
            f"keys:{make('SCRAM-SHA-256', SECRET.encode())}\nreadable:{{PLAIN}}{SECRET}\n"
            f"popper:{hashed}::::::protocols=pop3\nsafe:{hashed}::::::cleartext=refuse\n"
        )
        (top / "users").chmod(0o600)
        (top / "password").write_text(f"{SECRET}\n")
        (top / "wrong").write_text("guess\n")
        (top / "c.toml").write_text(
            f'[mail]\nhome = "{top}/mail/{{user}}"\n'
            f'[[users]]\ntype = "file"\npath = "{top}/users"\nclear_text = true\n'
            f'[tls]\ncertificate = "{top}/not-needed.pem"\n[pop3]\napop = true\n'
            '[login]\nadministrators = ["boss"]\nmaster_separator = "*"\n'
            '[[listener]]\nprotocol = "imap"\n'
            'mechanisms = ["PLAIN", "LOGIN", "LOGIN command", "CRAM-MD5", "SCRAM-SHA-256"]\n'
            '[[listener]]\nprotocol = "pop3"\ntls = "none"\ncleartext = "allow"\n'
            'mechanisms = ["USER", "APOP", "PLAIN"]\n'
        )

    def run(self, *words: str, password: str = "password") -> tuple[int, str]:
        status = main(
            [
                *("auth-test", *words, "-c", f"{self.top}/c.toml"),
                *("--password-file", f"{self.top}/{password}"),
            ]
        )
        said = self.capsys.readouterr()
        assert SECRET not in said.out + said.err
        return status, said.out + said.err

    def trial(self, *words: str, password: str = "password") -> tuple[int, Any]:
        status, out = self.run(*words, "--json", password=password)
        return status, json.loads(out)


@pytest.fixture
def site(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Site:
    return Site(tmp_path, capsys)


def names(trial: Any) -> list[str]:
    return [each["name"].rpartition(": ")[2] for each in trial["steps"]]


@pytest.mark.parametrize(
    ("words", "question"),
    [
        (["amy"], "password"),
        (["amy", "-m", "LOGIN"], "password"),
        (["amy", "-m", "LOGIN command"], "password"),
        (["amy", "-m", "LOGIN command", "--tls", "1.2"], "password"),
        (["keys", "-m", "SCRAM-SHA-256"], "keys"),
        (["readable", "-m", "CRAM-MD5"], "readable password"),
        (["amy", "-l", "pop3"], "password"),
        (["amy", "-l", "pop3", "-m", "USER"], "password"),
        (["readable", "-l", "pop3", "-m", "APOP"], "readable password"),
    ],
)
def test_a_login_that_succeeds_names_every_step(
    site: Site, words: list[str], question: str
) -> None:
    """AUTH-11"""
    status, trial = site.trial(*words)
    assert status == 0
    assert trial["admitted"]
    assert names(trial)[:2] == ["policy", "throttle"]
    assert question in names(trial)
    assert names(trial)[-2:] == [words[0], "home"]
    assert trial["steps"][-1]["answer"] == "would be made"
    assert trial["steps"][-1]["detail"] == f"{site.top}/mail/{words[0]}"
    assert all(each["good"] and each["seconds"] >= 0 for each in trial["steps"])
    assert trial["answer"].startswith(("a OK ", "+OK "))
    assert len(trial["log"]) == 1
    assert " event=login session=" in trial["log"][0]
    assert not (site.top / "mail").exists()


@pytest.mark.parametrize(
    ("words", "last", "said", "answer", "logged"),
    [
        (["left"], "left", "ContactAdmin", "a NO [CONTACTADMIN]", "event=refused"),
        (["popper"], "popper", "AuthorizationFailed", "a NO [AUTHORIZATIONFAILED]", "protocols"),
        (["nobody"], "password", "AuthenticationFailed", "a NO [AUTHENTICATIONFAILED]", "failed"),
        (["amy", "--tls", "none"], "throttle", "not asked", "a NO [PRIVACYREQUIRED]", "refused"),
        (["left", "-l", "pop3"], "left", "ContactAdmin", "-ERR [SYS/PERM]", "event=refused"),
        (["amy*keys"], "password", "right", "", ""),
    ],
)
def test_a_login_that_fails_says_where_and_what_the_client_reads(
    site: Site, words: list[str], last: str, said: str, answer: str, logged: str
) -> None:
    """AUTH-11, CODE-01"""
    status, trial = site.trial(*words)
    assert status == 1
    assert not trial["admitted"]
    assert "home" not in names(trial)
    if answer:
        assert names(trial)[-1] == last
        assert trial["steps"][-1]["answer"] == said
        assert trial["answer"].startswith(answer)
        assert logged in trial["log"][-1]


def test_a_wrong_password_fails(site: Site) -> None:
    for words in (["amy"], ["keys", "-m", "SCRAM-SHA-256"], ["readable", "-m", "CRAM-MD5"]):
        status, trial = site.trial(*words, password="wrong")
        assert status == 1
        assert trial["answer"].startswith("a NO [AUTHENTICATIONFAILED]")
    status, text = site.run("amy", password="wrong")
    assert status == 1
    assert "the login would fail" in text
    assert "guess" not in text


def test_a_master_is_shown_with_both_names(site: Site) -> None:
    """SASL-03"""
    status, trial = site.trial("amy*boss")
    assert status == 0
    gates = [each["name"] for each in trial["steps"] if "gate" in each["name"]]
    assert gates == ["account gate: boss", "account gate: amy"]
    assert 'user="amy"' in trial["log"][0]
    assert "actor=boss" in trial["log"][0]


def test_for_people_it_is_a_table(site: Site) -> None:
    status, text = site.run("amy", "--from", "192.0.2.77")
    assert status == 0
    lines = text.splitlines()
    assert lines[0].startswith("ok  policy")
    assert "rip=192.0.2.77" in text
    assert lines[-1] == "the login would succeed"


@pytest.mark.parametrize(
    ("words", "wanted"),
    [
        (["amy", "-l", "imaps"], "no listener 'imaps'; there are: imap, pop3"),
        (["amy", "-m", "USER"], "no mechanism 'USER' here; there are: "),
        (["amy", "-l", "pop3", "--tls", "1.3"], "has no TLS"),
        (["amy", "--from", "here"], "is no IP address"),
    ],
)
def test_what_cannot_be_is_said(site: Site, words: list[str], wanted: str) -> None:
    status, text = site.run(*words)
    assert status == 1
    assert wanted in text


def test_a_password_has_to_be_there(site: Site) -> None:
    (site.top / "empty").write_text("\n")
    for name, wanted in (("empty", "empty password"), ("missing", "No such file")):
        status, text = site.run("amy", password=name)
        assert status == 1
        assert wanted in text


def test_the_running_server_is_asked_how_long_it_would_wait(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """AUTH-07: read, not counted."""
    from mailaccess.cli import auth_test

    asked: list[tuple[str, dict[str, str]]] = []

    def ask(path: str, kind: str, **words: str) -> Any:
        asked.append((kind, words))
        return iter([{"seconds": 4.0}])

    monkeypatch.setattr(auth_test, "ask", ask)
    config = site.top / "c.toml"
    config.write_text(config.read_text() + '[control]\npath = "/run/mailaccess/control"\n')
    _, trial = site.trial("AMY", "--from", "192.0.2.7")
    assert asked == [("held", {"user": "amy", "peer": "192.0.2.7"})]
    assert trial["steps"][1]["answer"] == "4.0 s"
