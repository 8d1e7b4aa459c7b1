"""
C{mailaccess probe} against servers that are right and servers that are not: ours, Twisted's, and
Debian's Dovecot. All of them on the loopback.
"""

from __future__ import annotations

import grp
import io
import json
import os
import pwd
import shutil
import socket
import subprocess
import sys
from base64 import b64encode
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509

from mailaccess.auth.passwords import make
from mailaccess.cli import main
from mailaccess.cli.command import Failed
from mailaccess.cli.probe import _host
from mailaccess.cli.probe.logins import SCRAM, SIMPLE, Distrusted, scram
from mailaccess.cli.probe.tlsfacts import days_left, identity_problem

from .live import SECRET, Live

HERE = Path(__file__).parent
Report = dict[str, Any]


@pytest.fixture(scope="module")
def pem(tmp_path_factory: pytest.TempPathFactory, certificate_writer: Callable[..., Any]) -> Path:
    path = tmp_path_factory.mktemp("tls") / "mail.pem"
    certificate_writer(path, "mail.example.org")
    return path


@pytest.fixture
def probe(pem: Path, capsys: pytest.CaptureFixture[str]) -> Callable[..., Report]:
    """
    Exit status, and the verdicts by the check.
    """

    def run(host: str, port: int, protocol: str, *more: str) -> Report:
        command = ["probe", f"{host}:{port}", "--protocol", protocol, "--ca", str(pem), "--json"]
        status = main([*command, "--name", "mail.example.org", *more])
        found: Report = json.loads(capsys.readouterr().out)
        found["status"] = status
        found["verdicts"] = {each["check"]: each["verdict"] for each in found["checks"]}
        return found

    return run


# ---- ours --------------------------------------------------------------------------------------

LISTENERS = (("imap", "imap", "starttls"), ("imaps", "imap", "tls"), ("pop3", "pop3", "starttls"))
LISTENERS += (("pop3s", "pop3", "tls"),)


@pytest.fixture(scope="module")
def ours(pem: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    top = tmp_path_factory.mktemp("ours")
    (top / "users").write_text(f"amy:{make('SSHA256', SECRET.encode())}\n")
    (top / "users").chmod(0o640)
    (top / "mail").mkdir()
    here = 'address = "127.0.0.1"\nport = 0\n'
    tables = "".join(
        f'[[listener]]\nprotocol = "{protocol}"\n{here}tls = "{tls.replace("tls", "implicit")}"\n'
        if tls == "tls"
        else f'[[listener]]\nprotocol = "{protocol}"\n{here}'
        for _, protocol, tls in LISTENERS
    )
    (top / "m.toml").write_text(
        f'[mail]\nhome = "{top}/mail/{{user}}"\n[[users]]\ntype = "file"\npath = "{top}/users"\n'
        f'[tls]\ncertificate = "{pem}"\n{tables}'
    )
    server = Live(top / "m.toml")
    yield server
    server.stop()


@pytest.mark.parametrize(("listener", "protocol", "tls"), LISTENERS)
def test_ours_comes_out_clean(
    listener: str,
    protocol: str,
    tls: str,
    ours: Live,
    probe: Callable[..., Report],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """TLS-01, TLS-02, TLS-06, TLS-08, TLS-14, TLS-17, TLS-18, POL-02, POL-03, SASL-01"""
    monkeypatch.setattr("sys.stdin", io.StringIO(SECRET + "\n"))
    found = probe("127.0.0.1", ours.ports[listener], protocol, f"--{tls}", "-u", "amy", "--stdin")
    assert set(found["verdicts"].values()) == {"ok"}, found["checks"]
    assert found["status"] == 0
    wanted = {"certificate-chain", "server-identity", "tls-versions", "alpn-other", "login"}
    if tls == "starttls":
        wanted |= {"starttls-injection", "starttls-split", "starttls-twice"}
        wanted |= {"sasl-plain-in-the-clear", "password-in-the-clear"}
    assert wanted <= set(found["verdicts"])
    assert SECRET not in json.dumps(found)


@pytest.fixture(scope="module")
def with_keys(pem: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    """
    Ours, with somebody for every mechanism: a password that can be recovered, and keys.
    """
    top = tmp_path_factory.mktemp("keys")
    keys = [make(each, SECRET.encode()) for each in ("SCRAM-SHA-1", "SCRAM-SHA-256")]
    (top / "users").write_text(f"amy:{{PLAIN}}{SECRET}\nbea:{keys[0]}\ncyd:{keys[1]}\n")
    (top / "users").chmod(0o640)
    (top / "mail").mkdir()
    names = [f"SCRAM-SHA-{each}{plus}" for each in ("1", "256") for plus in ("", "-PLUS")]
    listed = ", ".join(f'"{each}"' for each in ["PLAIN", "LOGIN", "CRAM-MD5", *names])
    (top / "m.toml").write_text(
        f'[mail]\nhome = "{top}/mail/{{user}}"\n[[users]]\ntype = "file"\npath = "{top}/users"\n'
        f'clear_text = true\n[tls]\ncertificate = "{pem}"\n'
        + "".join(
            f'[[listener]]\nprotocol = "{protocol}"\naddress = "127.0.0.1"\nport = 0\n'
            f'tls = "implicit"\nmechanisms = [{listed}]\n'
            for protocol in ("imap", "pop3")
        )
    )
    server = Live(top / "m.toml")
    yield server
    server.stop()


@pytest.mark.parametrize(
    ("mechanism", "protocol", "secret"),
    [(each, protocol, SECRET) for each in (*SIMPLE, *SCRAM) for protocol in ("imap", "pop3")]
    + [("CRAM-MD5", "imap", "wr0ng"), ("SCRAM-SHA-256-PLUS", "pop3", "wr0ng")],
)
def test_every_mechanism_logs_in_to_ours(
    mechanism: str,
    protocol: str,
    secret: str,
    with_keys: Live,
    probe: Callable[..., Report],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """SASL-04, TLS-20: and with a wrong password none does."""
    monkeypatch.setattr("sys.stdin", io.StringIO(secret + "\n"))
    digest = mechanism.removesuffix("-PLUS")
    user = {"SCRAM-SHA-1": "bea", "SCRAM-SHA-256": "cyd"}.get(digest, "amy")
    words = ["--tls", "-u", user, "--stdin", "-m", mechanism, "--only", "alpn"]
    found = probe("127.0.0.1", with_keys.ports[f"{protocol}s"], protocol, *words)
    assert found["verdicts"]["login"] == ("ok" if secret == SECRET else "bad"), found["checks"]
    assert secret not in json.dumps(found)


def test_a_server_that_does_not_know_the_password_is_not_believed() -> None:
    """RFC 5802 section 3: who cannot sign does not have the keys."""
    salt = b64encode(b"salt").decode()
    exchange = scram("SCRAM-SHA-256", "amy", SECRET)
    nonce = next(exchange).decode().partition("r=")[2]
    exchange.send(f"r={nonce}more,s={salt},i=4096".encode())
    with pytest.raises(Distrusted, match="does not prove"):
        exchange.send(b"v=" + b64encode(b"\0" * 32))
    for wrong in (f"r={nonce},s={salt},i=4096", f"r=other,s={salt},i=4096", f"r={nonce}x,s=!,i=1"):
        exchange = scram("SCRAM-SHA-256", "amy", SECRET)
        next(exchange)
        with pytest.raises(Distrusted, match="not the beginning"):
            exchange.send(wrong.encode())
    exchange = scram("SCRAM-SHA-256", "amy", SECRET)
    nonce = next(exchange).decode().partition("r=")[2]
    with pytest.raises(Distrusted, match="1 iterations"):
        exchange.send(f"r={nonce}more,s={salt},i=1".encode())


def test_no_password_goes_to_a_server_of_another_name(
    ours: Live, probe: Callable[..., Report], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(SECRET + "\n"))
    port = ours.ports["imaps"]
    found = probe(
        "127.0.0.1", port, "imap", "--tls", "-u", "amy", "--stdin", "--name", "mail.example.net"
    )
    assert found["status"] == 1
    assert found["verdicts"]["server-identity"] == "bad"
    (login,) = [each for each in found["checks"] if each["check"] == "login"]
    assert login["text"] == ("not tried: it is for mail.example.org, and not for mail.example.net")
    assert not any("amy" in each for each in found["transcript"])


def test_a_wrong_password_and_an_unknown_authority_are_bad(
    ours: Live,
    pem: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    probe: Callable[..., Report],
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("wr0ng\n"))
    words = ["--tls", "-u", "amy", "--stdin", "-m", "LOGIN"]
    found = probe("127.0.0.1", ours.ports["imaps"], "imap", *words)
    assert found["verdicts"]["login"] == "bad"
    host = f"127.0.0.1:{ours.ports['imaps']}"
    assert main(["probe", host, "--tls", "--name", "mail.example.org", "--transcript"]) == 1
    text = capsys.readouterr().out
    assert "bad   certificate-chain" in text
    assert "self-signed certificate" in text
    assert "S: * OK [CAPABILITY IMAP4rev1" in text


def test_nobody_at_the_other_end_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        assert main(["probe", f"127.0.0.1:{taken.getsockname()[1]}", "--tls"]) == 1
    assert "refused" in capsys.readouterr().err


def test_a_server_of_another_protocol_is_said(
    ours: Live, capsys: pytest.CaptureFixture[str]
) -> None:
    host = f"127.0.0.1:{ours.ports['pop3']}"
    assert main(["probe", host, "--protocol", "imap", "--starttls"]) == 1
    assert "greets otherwise than imap does: +OK" in capsys.readouterr().err


def test_the_clear_part_can_be_looked_at_alone(ours: Live, probe: Callable[..., Report]) -> None:
    """POL-02, POL-03"""
    found = probe("127.0.0.1", ours.ports["imap"], "imap", "--clear")
    assert set(found["verdicts"].values()) == {"ok"}
    assert "password-in-the-clear" in found["verdicts"]
    assert not any(each.startswith(("tls", "starttls")) for each in found["verdicts"])


# ---- twisted.mail ------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def twisted_port(pem: Path) -> Iterator[int]:
    process = subprocess.Popen(
        [sys.executable, str(HERE / "twisted_imap.py"), str(pem)],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    yield int(process.stdout.readline())
    process.kill()
    process.wait()
    process.stdout.close()


def test_what_twisted_gets_wrong_is_found(twisted_port: int, probe: Callable[..., Report]) -> None:
    """TLS-01, TLS-02: the injection; and the others of its kind."""
    found = probe("127.0.0.1", twisted_port, "imap", "--starttls")
    assert found["status"] == 1
    expected = {
        "starttls-offered": "ok",
        "passwords-offered-in-the-clear": "bad",
        "password-in-the-clear": "warn",
        "literal-in-the-clear": "warn",
        "sasl-plain-in-the-clear": "bad",
        "http-on-the-port": "warn",
        "starttls-injection": "bad",
        "starttls-split": "bad",
        "starttls-twice": "warn",
        "certificate-chain": "ok",
        "server-identity": "ok",
        "alpn-own": "bad",
        "tls-versions": "ok",
        "sasl-cancel": "warn",
    }
    assert {each: found["verdicts"][each] for each in expected} == expected, found["checks"]


# ---- Dovecot -----------------------------------------------------------------------------------

DOVECOT = """\
base_dir = {place}/run
state_dir = {place}/run
log_path = /dev/stderr
protocols = imap pop3
listen = 127.0.0.1, 127.0.0.3
ssl = required
ssl_cert = <{pem}
ssl_key = <{pem}
auth_failure_delay = 0
auth_mechanisms = plain login
default_internal_user = {internal}
default_internal_group = {group}
default_login_user = {login}
passdb {{
  driver = static
  args = password={secret}
}}
userdb {{
  driver = static
  args = uid=65534 gid=65534 home={place}/mail
}}
service imap-login {{
  chroot =
  inet_listener imap {{
    port = {imap}
  }}
  inet_listener imaps {{
    port = 0
  }}
}}
service pop3-login {{
  chroot =
  inet_listener pop3 {{
    port = {pop3}
  }}
  inet_listener pop3s {{
    port = 0
  }}
}}
service anvil {{
  chroot =
  unix_listener anvil-auth-penalty {{
    mode = 0
  }}
}}
"""


def free_port() -> int:
    with socket.socket() as it:
        it.bind(("127.0.0.1", 0))
        return int(it.getsockname()[1])


def user(*names: str) -> pwd.struct_passwd:
    known = {each.pw_name: each for each in pwd.getpwall()}
    if os.geteuid() != 0:
        return pwd.getpwuid(os.geteuid())
    return next(known[each] for each in names if each in known)


@pytest.fixture(scope="module")
def dovecot(pem: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, int]]:
    place = tmp_path_factory.mktemp("dovecot")
    program = shutil.which("dovecot", path=os.environ.get("PATH", "") + ":/usr/sbin")
    assert program is not None
    internal = user("dovecot", "nobody")
    ports = {"imap": free_port(), "pop3": free_port()}
    (place / "dovecot.conf").write_text(
        DOVECOT.format(
            place=place,
            pem=pem,
            secret=SECRET,
            internal=internal.pw_name,
            group=grp.getgrgid(internal.pw_gid).gr_name,
            login=user("dovenull", "nobody").pw_name,
            **ports,
        )
    )
    process = subprocess.Popen(
        [program, "-F", "-c", str(place / "dovecot.conf")], stderr=subprocess.PIPE, text=True
    )
    assert process.stderr is not None
    told = []
    for line in process.stderr:
        told.append(line)
        if "starting up" in line:
            break
    else:
        raise AssertionError("".join(told))
    yield ports
    process.terminate()
    process.wait()
    process.stderr.close()


@pytest.mark.programs
@pytest.mark.parametrize("protocol", ["imap", "pop3"])
def test_dovecot_that_demands_tls_has_nothing_bad(
    protocol: str, dovecot: dict[str, int], probe: Callable[..., Report]
) -> None:
    found = probe("127.0.0.3", dovecot[protocol], protocol, "--starttls")
    bad = [each for each in found["checks"] if each["verdict"] == "bad"]
    assert bad == []
    assert found["status"] == 0
    assert found["verdicts"]["starttls-injection"] == "ok"
    assert found["verdicts"]["password-in-the-clear"] in ("ok", "warn")


@pytest.mark.programs
@pytest.mark.parametrize("protocol", ["imap", "pop3"])
def test_dovecot_that_trusts_its_own_machine_is_found(
    protocol: str, dovecot: dict[str, int], probe: Callable[..., Report]
) -> None:
    """From its own address it takes passwords in the clear, silently."""
    found = probe("127.0.0.1", dovecot[protocol], protocol, "--starttls")
    assert found["status"] == 1
    assert found["verdicts"]["passwords-offered-in-the-clear"] == "bad"
    assert found["verdicts"]["sasl-plain-in-the-clear"] == "bad"
    assert found["verdicts"]["password-in-the-clear"] == "bad"


# ---- parts -------------------------------------------------------------------------------------


def test_names_are_compared_by_the_rules(
    tmp_path: Path, certificate_writer: Callable[..., Any]
) -> None:
    """RFC 9525: names in the extension count, the common name does not."""
    made = certificate_writer(tmp_path / "a.pem", "mail.example.org", "*.example.net")
    assert identity_problem(made, "mail.example.org") == ""
    assert identity_problem(made, "MAIL.example.net") == ""
    assert identity_problem(made, "a.b.example.net").startswith("it is for mail.example.org, *.ex")
    assert identity_problem(made, "192.0.2.1").endswith("and not for 192.0.2.1")
    path = tmp_path / "b.pem"
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"),
            *("-nodes", "-subj", "/CN=mail.example.org", "-days", "1"),
            *("-keyout", str(tmp_path / "key"), "-out", str(path)),
        ],
        check=True,
        capture_output=True,
    )
    plain = x509.load_pem_x509_certificate(path.read_bytes())
    assert "names no server" in identity_problem(plain, "mail.example.org")


def test_days_are_counted_to_the_end(
    tmp_path: Path, certificate_writer: Callable[..., Any]
) -> None:
    made = certificate_writer(tmp_path / "a.pem", "x", days=30)
    now = datetime.now(UTC)
    assert days_left(made, now) == 29
    assert days_left(made, now + timedelta(days=40)) < 0


@pytest.mark.parametrize(
    ("text", "host", "port"),
    [
        ("mail.example.org", "mail.example.org", 0),
        ("mail.example.org:143", "mail.example.org", 143),
        ("[2001:db8::1]:993", "2001:db8::1", 993),
        ("[2001:db8::1]", "2001:db8::1", 0),
        ("2001:db8::1", "2001:db8::1", 0),
    ],
)
def test_hosts_are_read(text: str, host: str, port: int) -> None:
    assert _host(text) == (host, port)


@pytest.mark.parametrize("text", ["x:99999", "x:imap"])
def test_ports_that_are_none_are_said(text: str) -> None:
    with pytest.raises(Failed):
        _host(text)
