"""
C{mailaccess explain} says what the server does: every listener, TLS, mechanism and user is tried on
a real server, over real sockets.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from mailaccess.auth.passwords import make
from mailaccess.cli import main
from mailaccess.services.config import load
from mailaccess.services.rehearsal import NotPlayable, Rehearsal, Scene

from .live import SECRET, Client, Live

HERE = 'address = "127.0.0.1"\nport = 0\n'
LISTENERS = {
    "exceptions": ("imap", "exceptions = true"),
    "open": ("imap", 'cleartext = "allow"'),
    "report": ("imap", 'cleartext = "report"'),
    "layer": ("imap", "minimum_layer = 128\nexceptions = true"),
    "newest": ("imap", 'minimum_tls = "1.3"'),
    "loopback": ("imap", 'private = ["loopback"]'),
    "scram": ("imap", 'mechanisms = ["SCRAM-SHA-256", "PLAIN"]'),
    "scramlayer": ("pop3", 'mechanisms = ["SCRAM-SHA-256", "PLAIN"]\nminimum_layer = 112'),
    "few": ("imap", 'mechanisms = ["PLAIN"]'),
    "imaps": ("imap", 'tls = "implicit"'),
    "certified": ("imap", 'tls = "implicit"\nclient_certificate = "require"'),
    "clear": ("pop3", 'tls = "none"\nexceptions = true'),
    "pop3": ("pop3", 'cleartext = "allow"'),
    "pop3strict": ("pop3", ""),
    "pop3s": ("pop3", 'tls = "implicit"\nminimum_tls = "1.3"'),
}
USERS = {
    "amy": "",
    "own": "cleartext=refuse",  # in the file
    "newest": "minimum_tls=1.3",
    "scanner": "",
    "gone": "",
    "held": "",
    "member": "groups=board,staff",
}
RULES = """
[[rule]]
users = "scanner"
from = ["loopback"]
cleartext = "allow"
[[rule]]
users = "gone"
cleartext = "allow"
until = 2020-01-01
[[rule]]
users = "held"
mechanisms = ["PLAIN"]
[[rule]]
groups = "board"
cleartext = "refuse"
"""


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory, certificate_writer: Callable[..., Any]) -> Path:
    top = tmp_path_factory.mktemp("site")
    certificate_writer(top / "mail.pem", "localhost")
    certificate_writer(top / "amy.pem", "amy")
    stored = make("SSHA256", SECRET.encode())
    lines = [f"{name}:{stored}::::::{extra}\n" for name, extra in USERS.items()]
    lines.append(f"keyed:{make('SCRAM-SHA-256', SECRET.encode())}::::::mechanisms=SCRAM-SHA-256\n")
    (top / "users").write_text("".join(lines))
    (top / "users").chmod(0o640)
    (top / "mail").mkdir()
    tables = [
        f'[[listener]]\nname = "{name}"\nprotocol = "{protocol}"\n{HERE}{more}\n'
        for name, (protocol, more) in LISTENERS.items()
    ]
    (top / "m.toml").write_text(
        f'[mail]\nhome = "{top}/mail/{{user}}"\n[[users]]\ntype = "file"\npath = "{top}/users"\n'
        f'[tls]\ncertificate = "{top}/mail.pem"\nclient_ca = "{top}/amy.pem"\n'
        + "".join(tables)
        + RULES
    )
    return top / "m.toml"


@pytest.fixture(scope="module")
def live(site: Path) -> Iterator[Live]:
    server = Live(site)
    yield server
    log = server.stop()
    assert SECRET not in log
    assert "Traceback" not in log


@pytest.fixture(scope="module")
def rehearsal(site: Path) -> Rehearsal:
    return Rehearsal(load(str(site)))


def states(name: str) -> list[tuple[str, str]]:
    """
    TLS and certificate of the connections that a listener can have.
    """
    more = LISTENERS[name][1]
    if 'tls = "none"' in more:
        return [("none", "")]
    found = [("1.2", ""), ("1.3", "")]
    if "client_certificate" in more:
        found.append(("1.3", "CN=amy"))
    return found if "implicit" in more else [("none", ""), *found]


@pytest.mark.parametrize("name", LISTENERS)
def test_what_is_explained_is_what_the_server_does(
    name: str, live: Live, rehearsal: Rehearsal, site: Path
) -> None:
    """POL-08, POL-02, POL-04, POL-06, POL-07: word for word, for every user and mechanism."""
    protocol, more = LISTENERS[name]
    for tls, certificate in states(name):

        def connect(tls: str = tls, certificate: str = certificate) -> Client:
            file = site.parent / "amy.pem" if certificate else None
            implicit = "implicit" in more
            return Client(protocol, live.ports[name], tls, implicit=implicit, certificate=file)

        for user in (*USERS, "keyed"):
            scene = Scene(name, tls, user, "127.0.0.1", certificate)
            explanation = rehearsal.explain(scene)
            client = connect()
            if user == "amy":
                if not (protocol == "imap" and tls != "none" and "implicit" not in more):
                    assert client.greeting == explanation.greeting
                assert client.capability() == list(explanation.capability)
            client.close()
            for outcome in explanation.outcomes:
                client = connect()
                answer = client.login(outcome.mechanism.name, user)
                client.close()
                told = (tls, user, outcome)
                if outcome.decision.allowed:
                    assert answer.startswith(("a OK", "+OK", "+ ")), told
                    assert outcome.answer == "", told
                else:
                    assert answer == outcome.answer, told


def test_a_stranger_is_told_what_the_listener_says(live: Live, rehearsal: Rehearsal) -> None:
    """POL-04: who has no record and no rule; the password is never looked at."""
    for name in ("exceptions", "newest", "pop3strict"):
        for outcome in rehearsal.explain(Scene(name)).outcomes:
            client = Client(LISTENERS[name][0], live.ports[name])
            assert client.login(outcome.mechanism.name, "nobody") == outcome.answer
            client.close()
            assert "[AUTH" not in outcome.answer


def test_every_refusal_has_a_text_and_no_permission_has(rehearsal: Rehearsal) -> None:
    """A refusal whose text is that of a wrong password would have come from behind the policy."""
    for name in LISTENERS:
        for tls, certificate in states(name):
            for user in ("", *USERS):
                scene = Scene(name, tls, user, "127.0.0.1", certificate)
                for outcome in rehearsal.explain(scene).outcomes:
                    assert bool(outcome.answer) is not outcome.decision.allowed
                    assert "Invalid credentials" not in outcome.answer
                    assert ":" in outcome.decision.source


def test_logins_that_are_only_reported_are_in_the_log(site: Path) -> None:
    """POL-05: with rule and line, and the session's name."""
    server = Live(site)
    client = Client("imap", server.ports["report"])
    assert client.login("PLAIN", "amy").startswith("a OK")
    client.close()
    log = server.stop()
    (line,) = [each for each in log.splitlines() if "event=would-refuse" in each]
    (login,) = [each for each in log.splitlines() if "event=login" in each]
    assert 'user="amy" listener=report method=PLAIN' in line
    assert f'detail="cleartext = report ({site}:' in line
    assert line.split()[2] == login.split()[2]
    assert line.split()[2].startswith("session=")


# ---- the command -------------------------------------------------------------------------------


def test_the_command_prints_rule_line_and_answer(
    site: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """POL-08"""
    assert main(["explain", str(site), "-l", "exceptions", "--user", "own"]) == 0
    text = " ".join(capsys.readouterr().out.split())
    assert "LOGINDISABLED" in text
    assert f"PLAIN refuse for this user: cleartext = refuse ({site.parent / 'users'}:2)" in text
    assert "a NO [PRIVACYREQUIRED] Login in the clear is refused here: use TLS" in text
    assert main(["explain", str(site), "-l", "clear", "-u", "scanner", "--from", "127.0.0.1"]) == 0
    assert "not advertised; works for who tries" in capsys.readouterr().out


def test_the_command_prints_json(site: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = ["explain", str(site), "-l", "pop3s", "--tls", "1.2", "-m", "user", "--json"]
    assert main(command) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["listener"], found["tls"], found["user"]) == ("pop3s", "1.2", None)
    (one,) = found["mechanisms"]
    assert (one["mechanism"], one["verdict"], one["command"]) == ("USER", "refuse", "USER")
    assert one["answer"] == "-ERR A newer version of TLS is needed"
    assert one["rule"] == 'minimum_tls = "1.3"'


@pytest.mark.parametrize(
    ("scene", "said"),
    [
        (Scene("imasp"), "no listener 'imasp'; there are: exceptions"),
        (Scene("imaps"), "has TLS from the start"),
        (Scene("clear", "1.2"), "has no TLS"),
        (Scene("open", peer="here"), "is no IP address"),
        (Scene("imaps", "1.3", certificate="CN=x"), "no client certificate"),
    ],
)
def test_what_cannot_be_is_said(rehearsal: Rehearsal, scene: Scene, said: str) -> None:
    with pytest.raises(NotPlayable, match=said):
        rehearsal.explain(scene)


def test_a_mechanism_that_there_is_not_is_said(
    site: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["explain", str(site), "-l", "open", "-m", "NTLM"]) == 1
    assert "there are: LOGIN command, " in capsys.readouterr().err
