"""
Servers started as an administrator starts them, and spoken to by the standard library's clients.
"""

from __future__ import annotations

import contextlib
import imaplib
import os
import poplib
import re
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from mailaccess.auth.passwords import make

ROOT = Path(__file__).parents[2]
TWIST = [sys.executable, "-m", "twisted"]
TWISTD = [sys.executable, "-c", "from twisted.scripts.twistd import run; run()"]

LISTENING = re.compile(
    r"(?:event=listen listener=|\] )([a-z0-9]+)(?: lip=.* port=|: listening on \S+ port )(\d+)"
)
"""In our own log, and in Twisted's."""


class Server:
    """
    A process and what it has written so far.
    """

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        self.lines: list[str] = []
        self.ports: dict[str, int] = {}

    def wait_for(self, pattern: str) -> str:
        """
        Read on to the first line that matches.
        """
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.lines.append(line)
            for name, port in LISTENING.findall(line):
                self.ports.setdefault(name, int(port))
            if re.search(pattern, line):
                return line
        raise AssertionError(f"ended without {pattern!r}:\n" + "".join(self.lines))

    def stop(self, number: int = signal.SIGTERM) -> str:
        """
        Tell it to end; everything it wrote.
        """
        self.process.send_signal(number)
        return self.ended()

    def ended(self) -> str:
        """
        Everything it wrote, after it ended.
        """
        rest, _ = self.process.communicate(timeout=30)
        self.lines.append(rest)
        return "".join(self.lines)


@pytest.fixture
def place() -> Iterator[Path]:
    """
    A directory that other users can look into, unlike pytest's own.
    """
    path = Path(tempfile.mkdtemp(prefix="mailaccess-test-"))
    path.chmod(0o755)
    yield path
    shutil.rmtree(path)


@pytest.fixture
def start() -> Iterator[Any]:
    running: list[tuple[subprocess.Popen[str], threading.Timer]] = []

    def begin(command: list[str], **more: Any) -> Server:
        environment = os.environ | {"PYTHONPATH": str(ROOT)}
        environment.update(more.pop("env", {}))
        process = subprocess.Popen(
            command,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env=environment,
            **more,
        )
        # A server that hangs ends the test with its log, not the whole run.
        watchdog = threading.Timer(60, process.kill)
        watchdog.start()
        running.append((process, watchdog))
        return Server(process)

    yield begin
    for each, watchdog in running:
        watchdog.cancel()
        if each.poll() is None:
            each.kill()
        each.wait()
        assert each.stdout is not None
        each.stdout.close()


ACTIVATE = """
import os, sys
os.dup2(int(sys.argv[1]), 3)
os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS="1", LISTEN_FDNAMES="mail")
os.execv(sys.argv[2], sys.argv[2:])
"""
"""What systemd does: passes the socket as descriptor 3."""

NOBODY = [
    *("/usr/bin/setpriv", "--reuid=65534", "--clear-groups"),
    # The interpreter may stand in a directory that only its owner may enter.
    *("--inh-caps=+dac_read_search", "--ambient-caps=+dac_read_search"),
]
"""Somebody who is not root, and may read what root may."""

LISTENERS = """
[[listener]]
protocol = "imap"
address = "127.0.0.1"
port = 0
[[listener]]
protocol = "imap"
tls = "implicit"
address = ["127.0.0.1", "::1"]
port = 0
[[listener]]
protocol = "pop3"
address = "127.0.0.1"
port = 0
[[listener]]
protocol = "pop3"
tls = "implicit"
address = "127.0.0.1"
port = 0
"""


@pytest.fixture
def site(place: Path, certificate_writer: Any) -> Path:
    """
    The configuration of a site with the users amy and scanner-1.
    """
    certificate_writer(place / "mail.pem", "localhost")
    stored = make("SSHA256", b"s3cret-pass")
    (place / "users").write_text(f"amy:{stored}::::::\nscanner-1:{stored}::::::\n")
    (place / "users").chmod(0o640)
    (place / "mail").mkdir()
    path = place / "mailaccess.toml"
    path.write_text(
        f"""\
[mail]
home = "{place}/mail/{{user}}"
[[users]]
type = "file"
path = "{place}/users"
[tls]
certificate = "{place}/mail.pem"
{LISTENERS}"""
    )
    return path


def imaps(port: int, context: ssl.SSLContext) -> imaplib.IMAP4_SSL:
    return imaplib.IMAP4_SSL("127.0.0.1", port, ssl_context=context, timeout=20)


def test_twist_serves_a_site_and_ends_in_order(start: Any, site: Path, client: Any) -> None:
    """TLS-21, AUTH-10, DS-17: each port logs people in; SIGTERM says good-bye to who waits."""
    server = start([*TWIST, "mailaccess", "--config", str(site)])
    server.wait_for("Starting reactor")
    assert set(server.ports) == {"imap", "imaps", "pop3", "pop3s"}

    waiting = imaps(server.ports["imaps"], client("imap"))
    waiting.login("amy", "s3cret-pass")
    assert waiting.select()[0] == "OK"

    clear = imaplib.IMAP4("127.0.0.1", server.ports["imap"], timeout=20)
    assert "LOGINDISABLED" in clear.capabilities
    with pytest.raises(imaplib.IMAP4.error, match="PRIVACYREQUIRED"):
        clear.login("amy", "s3cret-pass")
    clear.starttls(client())
    clear.login("amy", "s3cret-pass")
    clear.logout()

    pop = poplib.POP3("127.0.0.1", server.ports["pop3"], timeout=20)
    pop.stls(client())
    pop.user("amy")
    with pytest.raises(poplib.error_proto, match="AUTH"):
        pop.pass_("wr0ng-pass")
    pop.close()
    pops = poplib.POP3_SSL("127.0.0.1", server.ports["pop3s"], context=client("pop3"), timeout=20)
    pops.user("amy")
    pops.pass_("s3cret-pass")
    assert pops.stat() == (0, 0)
    pops.quit()

    server.process.send_signal(signal.SIGTERM)
    assert waiting.readline().startswith(b"* BYE")
    log = server.ended()
    assert server.process.returncode in (0, -signal.SIGTERM)
    assert log.count("event=login ") == 3
    assert len(re.findall('event=failed .*user="amy" .*reason=AuthenticationFailed', log)) == 1
    assert re.search("event=refused .*listener=imap .*reason=MustEncrypt", log)
    assert "event=stopped" in log
    assert "s3cret-pass" not in log
    assert "wr0ng-pass" not in log
    assert "Traceback" not in log


@pytest.mark.programs
def test_fail2ban_finds_the_failures_of_a_real_server(
    start: Any, site: Path, client: Any, tmp_path: Path
) -> None:
    """AB-14: a forged name is one failure, from where it came."""
    server = start([*TWIST, "mailaccess", "--config", str(site)])
    server.wait_for("Starting reactor")
    forged = 'x" listener=imaps method=PLAIN rip=192.0.2.9 y="'
    pops = poplib.POP3_SSL("127.0.0.1", server.ports["pop3s"], context=client(), timeout=20)
    pops.user(forged)
    with pytest.raises(poplib.error_proto):
        pops.pass_("wr0ng-pass")
    pops.close()
    (tmp_path / "mail.log").write_text(server.stop())
    done = subprocess.run(
        [
            *("fail2ban-regex", "--out", "ip", str(tmp_path / "mail.log")),
            str(ROOT / "docs" / "howto" / "files" / "mailaccess.conf"),
        ],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.split() == ["127.0.0.1"]


def test_hangup_brings_the_new_certificate_and_ends_no_session(
    start: Any, site: Path, place: Path, client: Any, certificate_writer: Any
) -> None:
    """DS-17, TLS-15."""
    server = start([*TWIST, "mailaccess", "--config", str(site)])
    server.wait_for("Starting reactor")
    before = imaps(server.ports["imaps"], client())
    before.login("amy", "s3cret-pass")
    renewed = certificate_writer(place / "mail.pem", "localhost")
    server.process.send_signal(signal.SIGHUP)
    line = server.wait_for("event=certificates-replaced")
    assert f"serial={renewed.serial_number:x}" in line
    after = imaps(server.ports["imaps"], client())
    assert after.sock.getpeercert(binary_form=True) != before.sock.getpeercert(binary_form=True)
    assert before.noop()[0] == "OK"
    (place / "mail.pem").write_text("broken")
    server.process.send_signal(signal.SIGHUP)
    assert f"serial={renewed.serial_number:x}" in server.wait_for("event=certificates-kept")
    again = imaps(server.ports["imaps"], client())
    assert again.sock.getpeercert(binary_form=True) == after.sock.getpeercert(binary_form=True)
    for each in (before, after, again):
        each.shutdown()


def test_what_runs_has_no_power_left(start: Any, site: Path, place: Path) -> None:
    """PATH-05, AB-15: no root, no way back, no core files; files it makes are its own."""
    root = os.geteuid() == 0
    if root:
        site.write_text(site.read_text() + '[server]\nuser = "nobody"\n')
        for path in (place, *place.rglob("*")):
            shutil.chown(path, "nobody")
    server = start([*TWIST, "mailaccess", "--config", str(site)])
    server.wait_for("Starting reactor")
    status = Path(f"/proc/{server.process.pid}/status").read_text()
    fields = dict(re.findall(r"^(\w+):\s*(.*)$", status, re.MULTILINE))
    uids, gids = set(fields["Uid"].split()), set(fields["Gid"].split())
    assert len(uids) == len(gids) == 1
    assert "0" not in uids | gids
    assert int(fields["CapEff"], 16) == int(fields["CapPrm"], 16) == 0
    assert fields["NoNewPrivs"] == "1"
    assert fields["Umask"] == "0077"
    assert "0" not in fields["Groups"].split()
    limits = Path(f"/proc/{server.process.pid}/limits")
    with contextlib.suppress(PermissionError):
        assert re.search(r"Max core file size\s+0\s+0", limits.read_text())


def test_taken_ports_end_the_start_with_a_reason_for_each(start: Any, site: Path) -> None:
    """All that is in the way is said at once, as a second start of the same server meets it."""
    listen = partial(socket.create_server, ("127.0.0.1", 0))
    with listen() as taken, listen() as other:
        port, second = taken.getsockname()[1], other.getsockname()[1]
        text = site.read_text().replace("port = 0", f"port = {port}", 1)
        site.write_text(text.replace("port = 0", f"port = {second}", 1))
        server = start([*TWIST, "mailaccess", "--config", str(site)])
        said, _ = server.process.communicate(timeout=30)
    assert server.process.returncode == 1
    assert f"mailaccess: listener imap ({site}:9): cannot listen on 127.0.0.1 port {port}" in said
    assert f"cannot listen on 127.0.0.1 port {second}" in said
    assert "Traceback" not in said


def test_a_configuration_that_is_wrong_ends_the_start_with_all_reasons(
    start: Any, site: Path
) -> None:
    site.write_text(site.read_text().replace("port = 0", "prt = 0"))
    server = start([*TWIST, "mailaccess", "--config", str(site)])
    said, _ = server.process.communicate(timeout=30)
    assert server.process.returncode == 1
    assert said.count('prt = 0: is no option here; did you mean "port"?') == 4
    assert "Traceback" not in said


def test_sockets_of_systemd_are_used(start: Any, site: Path, client: Any) -> None:
    """C{LISTEN_FDS}, as systemd passes them."""
    head, _, _ = site.read_text().partition("[[listener]]")
    listener = '[[listener]]\nprotocol = "imap"\ntls = "implicit"\naddress = "systemd:mail"\n'
    site.write_text(head + listener)
    with socket.create_server(("127.0.0.1", 0)) as passed:
        user = NOBODY if os.geteuid() == 0 else []
        if user:
            for path in (site.parent, *site.parent.rglob("*")):
                shutil.chown(path, 65534)
        command = [*user, *TWIST, "mailaccess", "--config", str(site)]
        command = [sys.executable, "-c", ACTIVATE, str(passed.fileno()), *command]
        server = start(command, pass_fds=[passed.fileno()])
        server.wait_for("Starting reactor")
        it = imaps(passed.getsockname()[1], client())
        it.login("amy", "s3cret-pass")
        it.logout()


def test_twistd_serves_the_same(start: Any, site: Path, client: Any, tmp_path: Path) -> None:
    server = start([*TWISTD, "-n", "--pidfile=", "mailaccess", "--config", str(site)], cwd=tmp_path)
    server.wait_for("listener=pop3s")
    it = imaps(server.ports["imaps"], client())
    it.login("amy", "s3cret-pass")
    it.logout()
    assert "event=login " in server.stop()


@pytest.fixture
def tac(site: Path, place: Path) -> Any:
    """
    A .tac file with the paths and ports of a test.
    """

    def prepared(name: str) -> str:
        text = (ROOT / "tac" / name).read_text()
        assert len(text.splitlines()) <= 40
        for written, ours in (
            ("/srv/mail", f"{place}/mail"),
            ("/etc/mailaccess", str(place)),
            ('("0.0.0.0", "::")', '("127.0.0.1",)'),
        ):
            text = text.replace(written, ours)
        text = re.sub(r"\b(993|995|1143|2143)\b", "0", text)
        (place / name).write_text(text)
        return str(place / name)

    return prepared


def run_tac(start: Any, path: str, where: Path, last: str) -> Server:
    server: Server = start([*TWISTD, "-no", "--pidfile=", "-y", path], cwd=where)
    server.wait_for(f"listener={last}|{last}: listening")
    return server


def test_the_tac_of_a_site_logs_people_in(
    start: Any, tac: Any, client: Any, tmp_path: Path
) -> None:
    server = run_tac(start, tac("site.tac"), tmp_path, "pop3s")
    it = imaps(server.ports["imaps"], client())
    it.login("amy", "s3cret-pass")
    it.logout()
    pops = poplib.POP3_SSL("127.0.0.1", server.ports["pop3s"], context=client(), timeout=20)
    pops.user("amy")
    pops.pass_("s3cret-pass")
    pops.quit()


def test_the_tac_of_two_policies_treats_the_ports_apart(
    start: Any, tac: Any, client: Any, tmp_path: Path
) -> None:
    """TLS-21: a scanner may log in in the clear on its port; nobody else may, nowhere else."""
    server = run_tac(start, tac("two_policies.tac"), tmp_path, "machines")
    for name, listener, allowed in (
        ("scanner-1", "machines", True),
        ("scanner-1", "office", False),
        ("amy", "machines", False),
    ):
        it = imaplib.IMAP4("127.0.0.1", server.ports[listener], timeout=20)
        if allowed:
            it.login(name, "s3cret-pass")
        else:
            with pytest.raises(imaplib.IMAP4.error, match="PRIVACYREQUIRED"):
                it.login(name, "s3cret-pass")
            it.starttls(client())
            it.login(name, "s3cret-pass")
        it.logout()


def test_the_tac_of_the_demo_logs_the_demo_account_in(
    start: Any, tac: Any, client: Any, place: Path
) -> None:
    path = Path(tac("demo.tac"))
    # Other ports than the demo's own, which somebody may be using.
    text = path.read_text().replace(
        "load(str(demo.config))", "load(str(demo.directory / 'other.toml'))"
    )
    (place / "make.py").write_text(
        "from pathlib import Path\n"
        "from mailaccess.services.demo.site import make_demo\n"
        "import re\n"
        "demo = make_demo(Path('demo'))\n"
        "text = re.sub(r'port = \\d+', 'port = 0', demo.config.read_text())\n"
        "(demo.directory / 'other.toml').write_text(text)\n"
    )
    subprocess.run(
        [sys.executable, str(place / "make.py")],
        cwd=place,
        check=True,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
    )
    path.write_text(text)
    server = run_tac(start, str(path), place, "pop3s")
    it = imaps(server.ports["imaps"], client())
    it.login("demo", "demo")
    assert int(it.select()[1][0]) > 0
    it.logout()
