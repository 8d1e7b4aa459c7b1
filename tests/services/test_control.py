"""
The control socket: whose it is, what can be asked, and what becomes of sessions that are ended.
"""

from __future__ import annotations

import contextlib
import fcntl
import imaplib
import json
import os
import poplib
import socket
import stat
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from mailaccess.auth.passwords import make
from mailaccess.cli import main
from mailaccess.errors import ConfigurationErrors
from mailaccess.interfaces import Identity
from mailaccess.policy.link import Layer, Link
from mailaccess.policy.mechanism import PLAIN
from mailaccess.protocols.presence import presence
from mailaccess.services.check import check
from mailaccess.services.config import parse
from mailaccess.services.control.asking import NoAnswer, ask
from mailaccess.services.control.place import Place
from mailaccess.services.control.questions import Asker, NotAnswerable, Questions
from mailaccess.services.controlsettings import ControlSettings
from mailaccess.services.settings import ServerSettings
from mailaccess.services.sockets import CannotListen
from tests.services.live import SECRET, Live

LETTER = b"From: a@example.org\r\nSubject: here\r\n\r\nText\r\n"

# ---- where it is -------------------------------------------------------------------------------


def place_at(path: Path, **settings: str) -> Place:
    return Place(ControlSettings(path=str(path), **settings), ServerSettings())


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "run" / "control"


def test_the_socket_is_only_its_owners(path: Path) -> None:
    """AUTH-12"""
    place = place_at(path)
    with place.take():
        found = path.stat()
        assert stat.S_ISSOCK(found.st_mode)
        assert stat.S_IMODE(found.st_mode) == 0o600
        assert found.st_uid == os.geteuid()
        assert stat.S_IMODE(path.parent.stat().st_mode) == 0o755
    place.leave()
    assert not path.exists()


def test_the_group_may_be_let_in(path: Path) -> None:
    place = place_at(path, mode="0660")
    with place.take():
        assert stat.S_IMODE(path.stat().st_mode) == 0o660
    place.leave()


def test_a_live_servers_socket_is_not_replaced(path: Path) -> None:
    first, second = place_at(path), place_at(path)
    with first.take():
        inode = path.stat().st_ino
        with pytest.raises(CannotListen, match="another server has it"):
            second.take()
        second.leave()
        assert path.stat().st_ino == inode
    first.leave()


def test_a_strangers_live_socket_is_not_replaced(path: Path) -> None:
    """A program without our lock."""
    path.parent.mkdir()
    with socket.socket(socket.AF_UNIX) as stranger:
        stranger.bind(str(path))
        stranger.listen(1)
        with pytest.raises(CannotListen, match="another server has it"):
            place_at(path).take()
        assert path.exists()


def test_what_a_dead_server_left_is_removed(path: Path) -> None:
    path.parent.mkdir()
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))
    assert path.exists()
    place = place_at(path)
    with place.take(), socket.socket(socket.AF_UNIX) as client:
        client.connect(str(path))
    place.leave()


def test_a_file_that_is_no_socket_is_left_alone(path: Path) -> None:
    path.parent.mkdir()
    path.write_text("precious")
    with pytest.raises(CannotListen, match="no socket"):
        place_at(path).take()
    assert path.read_text() == "precious"


def test_a_directory_of_everybodys_is_refused(path: Path) -> None:
    path.parent.mkdir()
    path.parent.chmod(0o777)
    with pytest.raises(CannotListen, match="everybody may write"):
        place_at(path).take()
    assert not path.exists()


def test_a_place_that_was_left_can_be_taken_again(path: Path) -> None:
    for _ in range(2):
        place = place_at(path)
        place.take().close()
        place.leave()
    descriptor = os.open(f"{path}.lock", os.O_RDWR)
    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    os.close(descriptor)


def test_a_socket_that_is_no_longer_ours_is_not_removed(path: Path) -> None:
    place = place_at(path)
    place.take().close()
    path.unlink()
    path.write_text("somebody else's")
    place.leave()
    assert path.exists()


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"group": "no-such-group"}, "no-such-group"),
        ({"owner": "no-such-user"}, "no-such-user"),
    ],
)
def test_owners_have_to_exist(path: Path, options: dict[str, str], text: str) -> None:
    with pytest.raises(CannotListen, match=text):
        place_at(path, **options).take()


SITE = """\
[mail]
home = "/srv/mail/{user}"
[[users]]
type = "file"
path = "/etc/mailaccess/users"
[[listener]]
protocol = "imap"
tls = "none"
private = ["loopback"]
"""


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("[control]\n", "has no path; add path"),
        ('[control]\npath = "run/control"\n', "not absolute"),
        ('[control]\npath = "/run/c"\nmode = "0666"\n', "lets everybody end sessions"),
        ('[control]\npath = "/run/c"\nmode = "0060"\n', "keeps out its owner"),
        ('[control]\npath = "/run/c"\nmode = 600\n', "digits would count differently"),
        ('[control]\npath = "/run/c"\nmode = "rw"\n', "is not understood"),
        ('[control]\npath = "/%s"\n' % ("x" * 200), "too long for a socket"),
    ],
)
def test_a_socket_that_cannot_be_is_said_beforehand(text: str, wanted: str) -> None:
    with pytest.raises(ConfigurationErrors, match=wanted):
        parse(SITE + text)


# ---- what can be asked -------------------------------------------------------------------------


@pytest.mark.parametrize(
    "question",
    [
        {},
        {"ask": "everything"},
        {"ask": ["who"]},
        {"ask": "who", "all": "yes"},
        {"ask": "who", "user": 1},
        {"ask": "kick"},
        {"ask": "kick", "user": ""},
        {"ask": "who", "user": "a\u0007b"},
    ],
)
def test_a_question_without_sense_is_refused_at_once(question: dict[str, Any]) -> None:
    with pytest.raises(NotAnswerable):
        Questions(list).answer(question, Asker(0, 1))


class Site:
    """
    A server with a control socket and two users.
    """

    def __init__(self, top: Path) -> None:
        (top / "users").write_text(
            "".join(f"{name}:{make('SSHA512', SECRET.encode())}\n" for name in ("amy", "bob"))
            + f"boss:{make('SSHA512', SECRET.encode())}::::::may_act_as=amy\n"
        )
        for name in ("amy", "bob"):
            for each in ("cur", "new", "tmp"):
                (top / "mail" / name / each).mkdir(parents=True)
            (top / "mail" / name / "new" / "1.1.x").write_bytes(LETTER)
        self.config = top / "mailaccess.toml"
        self.socket = top / "run" / "control"
        self.mail = top / "mail"
        self.config.write_text(
            f'[mail]\nhome = "{top}/mail/{{user}}"\n'
            f'[[users]]\ntype = "file"\npath = "{top}/users"\n'
            f'[control]\npath = "{self.socket}"\n'
            + "".join(
                f'[[listener]]\nprotocol = "{each}"\naddress = "127.0.0.1"\nport = 0\n'
                f'tls = "none"\ncleartext = "allow"\n'
                for each in ("imap", "pop3")
            )
        )
        (top / "users").chmod(0o600)
        self.live = Live(self.config)

    def imap(self, name: str = "amy") -> imaplib.IMAP4:
        client = imaplib.IMAP4("127.0.0.1", self.live.ports["imap"], timeout=20)
        client.login(name, SECRET)
        return client

    def pop3(self, name: str = "bob") -> poplib.POP3:
        client = poplib.POP3("127.0.0.1", self.live.ports["pop3"], timeout=20)
        client.user(name)
        client.pass_(SECRET)
        return client

    def command(self, *words: str) -> int:
        return main([*words, "--config", str(self.config)])


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    made = Site(tmp_path_factory.mktemp("site"))
    yield made
    log = made.live.stop()
    assert SECRET not in log
    assert "Traceback" not in log
    assert not made.socket.exists()


Printed = Callable[[], str]


@pytest.fixture
def printed(capsys: pytest.CaptureFixture[str]) -> Printed:
    return lambda: capsys.readouterr().out


def test_who_is_there(site: Site, printed: Printed) -> None:
    """AUTH-12"""
    assert site.command("who") == 0
    assert printed() == "nobody is logged in\n"
    client = site.imap()
    client.xatom("ID", '("name" "probe")')
    client.select()
    drop = site.pop3()
    assert site.command("who", "--json") == 0
    found = sorted(
        (json.loads(line) for line in printed().splitlines()), key=lambda each: each["user"]
    )
    assert [
        [each[key] for key in ("user", "actor", "service", "listener", "peer", "mechanism")]
        for each in found
    ] == [
        ["amy", "", "imap", "imap", "127.0.0.1", "LOGIN command"],
        ["bob", "", "pop3", "pop3", "127.0.0.1", "USER"],
    ]
    assert found[0]["client"] == "name=probe"
    assert [each["mailbox"] for each in found] == ["INBOX", "INBOX"]
    assert [each["tls"] for each in found] == ["none", "none"]
    assert all(0 <= each["idle"] <= each["seconds"] + 1 < 60 for each in found)
    assert site.command("who", "AMY") == 0
    lines = printed().splitlines()
    assert lines[0].split()[:3] == ["session", "user", "protocol"]
    assert [found[0]["session"], "amy"] == lines[1].split()[:2]
    assert len(lines) == 2
    client.logout()
    drop.quit()


def test_nobody_is_silent_for_longer_than_there() -> None:
    """A login that takes long was heard before the session began."""
    identity = Identity("amy")
    connection: Any = SimpleNamespace(
        visit=SimpleNamespace(user=SimpleNamespace(identity=identity), mechanism=PLAIN),
        link=Link("imap", Layer.NONE, peer="192.0.2.1"),
        entrance=SimpleNamespace(service="imap"),
        clock=SimpleNamespace(seconds=lambda: 103.0),
        pulse=SimpleNamespace(now=103.0),
        entered=101.0,
        tick=90.0,
        number="1",
        client_name="",
        mailbox_name="",
    )
    there = presence(connection)
    assert there is not None
    assert (there.seconds, there.idle) == (2, 2)


def test_a_session_in_idle_is_ended(site: Site, printed: Printed) -> None:
    """AUTH-12"""
    client, other = site.imap(), site.imap("bob")
    client.select()
    client.send(b"i IDLE\r\n")
    assert client.readline().startswith(b"+ ")
    assert site.command("kick", "amy", "--reason", "Moving to\r\nthe new server") == 0
    assert "amy" in printed()
    said = client.readline()
    while said.startswith((b"* OK", b"* 1")):
        said = client.readline()
    assert said == b"* BYE [UNAVAILABLE] Moving to??the new server\r\n"
    assert client.readline() == b""
    assert other.noop()[0] == "OK"
    other.logout()
    site.live.wait_for("event=kicked")
    line = next(each for each in site.live.lines if "event=kicked" in each)
    assert line.endswith(f" uid={os.geteuid()}\n")
    assert f"pid={os.getpid()}" in line
    assert 'user="amy"' in line
    assert 'reason="Moving to??the new server"' in line


def test_a_pop3_transaction_is_ended_without_an_update(site: Site, printed: Printed) -> None:
    """AUTH-12, DS-15: what was marked is still there, and the maildrop is free again."""
    drop = site.pop3()
    assert drop.stat()[0] == 1
    drop.dele(1)
    assert site.command("kick", "bob") == 0
    with pytest.raises(poplib.error_proto, match=r"\[SYS/TEMP\] Session ended by the admin"):
        drop.noop()
    drop.close()
    site.live.wait_for('reason="kicked by uid')
    again = site.pop3()
    assert again.stat()[0] == 1
    again.quit()


def test_one_session_of_several_is_ended(site: Site, printed: Printed) -> None:
    first, second = site.imap(), site.imap()
    sessions = [each["session"] for each in ask(str(site.socket), "who", user="amy")]
    assert len(sessions) == 2
    assert site.command("kick", "amy", "--session", sessions[0]) == 0
    assert [each["session"] for each in ask(str(site.socket), "who", user="amy")] == sessions[1:]
    states = []
    for client in (first, second):
        try:
            states.append(client.noop()[0])
            client.logout()
        except imaplib.IMAP4.abort:
            states.append("ended")
    assert sorted(states) == ["OK", "ended"]


def test_a_session_that_acts_for_another_is_found_by_both_names(site: Site) -> None:
    """AUTH-12, SASL-03"""
    client = imaplib.IMAP4("127.0.0.1", site.live.ports["imap"], timeout=20)
    client.authenticate("PLAIN", lambda _: f"amy\0boss\0{SECRET}".encode())
    for name in ("amy", "boss"):
        found = list(ask(str(site.socket), "who", user=name))
        assert [(each["user"], each["actor"]) for each in found] == [("amy", "boss")]
    assert len(list(ask(str(site.socket), "kick", user="boss"))) == 1
    with pytest.raises(imaplib.IMAP4.abort):
        client.noop()


def test_nobody_to_kick_is_a_failure(site: Site, printed: Printed) -> None:
    assert site.command("kick", "carla") == 1
    assert printed() == "carla: no such session\n"
    assert site.command("kick", "carla", "--json") == 1
    assert printed() == ""


def test_reload_does_what_sighup_does(site: Site, printed: Printed) -> None:
    assert site.command("reload") == 0
    site.live.wait_for("event=reload")
    assert any("event=reload reason=control" in each for each in site.live.lines)


def raw(site: Site, question: bytes) -> bytes:
    with socket.socket(socket.AF_UNIX) as link:
        link.settimeout(20)
        link.connect(str(site.socket))
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            link.sendall(question)
        answer = b""
        with contextlib.suppress(ConnectionResetError):
            while part := link.recv(65536):
                answer += part
        return answer


@pytest.mark.parametrize(
    "question",
    [b"who\n", b"[]\n", b"\xff\n", b"x" * 10_000, b"[" * 4000 + b"\n", b"{}\n", b'{"ask":1}\n'],
)
def test_what_is_no_question_is_answered_in_one_line(site: Site, question: bytes) -> None:
    answer = raw(site, question)
    assert answer == b"" or (answer.count(b"\n") == 1 and b"error" in answer)
    assert raw(site, b'{"ask": "who"}\n').endswith(b'{"done": 0}\n')


def test_only_one_question_is_taken(site: Site) -> None:
    assert raw(site, b'{"ask": "who"}\n{"ask": "who"}\n') == b'{"done": 0}\n'


def test_the_second_server_says_who_has_the_socket(site: Site) -> None:
    with pytest.raises(AssertionError, match="another server has it"):
        Live(site.config)
    assert raw(site, b'{"ask": "who"}\n') == b'{"done": 0}\n'


# ---- when it does not answer -------------------------------------------------------------------


def failure(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    assert main([*words]) == 1
    return capsys.readouterr().err


def test_who_cannot_ask_is_told_why(
    path: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    said = failure(capsys, "who", "--socket", str(path))
    assert "no server has made this socket" in said
    path.parent.mkdir()
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))
    assert "not running; start it" in failure(capsys, "who", "--socket", str(path))
    config = tmp_path / "c.toml"
    config.write_text(SITE)
    assert "[control] has no path" in failure(capsys, "who", "--config", str(config))


def test_who_may_not_use_the_socket_is_told_so(monkeypatch: pytest.MonkeyPatch, path: Path) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    with pytest.raises(NoAnswer, match="you may not use this socket; run this as root"):
        list(ask(str(path), "who"))


@pytest.mark.parametrize("answer", [b"", b'{"item":', b"220 hello\r\n", b"{}\n", b"[1]\n"])
def test_an_answer_without_sense_is_no_answer(path: Path, answer: bytes) -> None:
    path.parent.mkdir()
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path))
        server.listen(1)
        asking = ask(str(path), "who")
        child = os.fork()
        if child == 0:
            link, _ = server.accept()
            link.recv(4096)
            link.sendall(answer)
            link.close()
            os._exit(0)
        with pytest.raises(NoAnswer):
            next(asking)
        os.waitpid(child, 0)


def test_check_looks_at_the_place(tmp_path: Path) -> None:
    open_one = tmp_path / "open"
    open_one.mkdir()
    open_one.chmod(0o777)
    config = tmp_path / "c.toml"
    for where, wanted in (
        (open_one / "control", "everybody may write"),
        (tmp_path / "no" / "where" / "control", "no directory"),
    ):
        config.write_text(f'{SITE}[control]\npath = "{where}"\n')
        assert any(wanted in each for each in check(str(config))[0])
    config.write_text(f'{SITE}[control]\npath = "{tmp_path}/c"\ngroup = "no-such-group"\n')
    assert any("no-such-group" in each for each in check(str(config))[0])
