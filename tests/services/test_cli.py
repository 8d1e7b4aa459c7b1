"""
The command C{mailaccess}.
"""

from __future__ import annotations

import io
import os
import pty
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from mailaccess.auth.passwords import verify
from mailaccess.cli import main
from mailaccess.cli.entries import update

ROOT = Path(__file__).parents[2]
MODULE = [sys.executable, "-m", "mailaccess"]


@pytest.fixture
def typed(monkeypatch: pytest.MonkeyPatch) -> Any:
    def put(text: bytes) -> None:
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(text)))

    return put


@pytest.fixture
def site(tmp_path: Path, pem: Path) -> Path:
    users = tmp_path / "users"
    users.write_text("# ours\namy:{SSHA256}x\nbob:{PLAIN-MD5}5f4dcc3b5aa765d61d8327deb882cf99\n")
    users.chmod(0o600)
    (tmp_path / "mail").mkdir()
    path = tmp_path / "m.toml"
    path.write_text(
        f'[mail]\nhome = "{tmp_path}/mail/{{user}}"\n'
        f'[[users]]\ntype = "file"\npath = "{users}"\n'
        f'[tls]\ncertificate = "{pem}"\n'
    )
    return path


def test_check_reports_the_files_that_are_wrong_as_well(
    site: Path, pem: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """TLS-15: options, certificates, password lines, directories and users in one go."""
    pem.chmod(0o644)
    (site.parent / "mail").rmdir()
    (site.parent / "users").chmod(0o644)
    site.write_text(
        site.read_text()
        + '[server]\nuser = "no-such-user"\n[log]\nfile = "/nowhere/x.log"\nlvl = 1\n'
    )
    assert main(["check", str(site)]) == 1
    told = capsys.readouterr().err.splitlines()
    expected = [
        (f"{site}:2: home = ", "which is no directory"),
        (f"{site}:5: path = ", "can be read or written by everybody"),
        (f"{site.parent}/users:2: ", "password of 'amy'"),
        (f"{site}:7: certificate = ", "everybody may read"),
        (f"{site}:9: user = ", "no user of this machine"),
        (f"{site}:11: file = ", "does not exist"),
        (f"{site}:12: lvl = 1", "is no option here"),
    ]
    if os.geteuid() == 0:
        assert len(told) == len(expected)
    for begin, said in expected:
        assert any(line.startswith(begin) and said in line for line in told), begin


@pytest.mark.parametrize(
    ("listener", "warned"),
    [("", True), ("exceptions = true", False), ('cleartext = "allow"', False)],
)
def test_check_warns_of_records_that_open_what_no_listener_lets_them(
    site: Path, capsys: pytest.CaptureFixture[str], listener: str, warned: bool
) -> None:
    """It is no error: such a site starts."""
    stored = "{PLAIN-MD5}5f4dcc3b5aa765d61d8327deb882cf99"
    (site.parent / "users").write_text(
        f"amy:{stored}::::::cleartext=refuse\n"
        f"bob:{stored}::::::cleartext=allow\n"
        f"carl:{stored}::::::userdb_cleartext=report\n"
    )
    site.write_text(site.read_text() + f'[[listener]]\nprotocol = "imap"\n{listener}\n')
    assert main(["check", str(site)]) == 0
    told = [each for each in capsys.readouterr().out.splitlines() if "no effect" in each]
    assert told == warned * [
        f"warning: {site.parent}/users:2: cleartext=allow of 'bob', and 1 more like it, has no"
        " effect, no listener permits it; add exceptions = true to one, or remove it"
    ]


def test_check_is_content_with_a_site_that_would_start(
    site: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (site.parent / "users").write_text("bob:{PLAIN-MD5}5f4dcc3b5aa765d61d8327deb882cf99\n")
    assert main(["check", str(site)]) == 0
    told = capsys.readouterr().out
    assert "certificate mail.example.org: good until" in told
    assert "users: 1 users" in told
    assert "policy: imaps (993), pop3s (995): TLS from the start" in told


def test_check_takes_clear_passwords_only_where_the_server_does(
    site: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (site.parent / "users").write_text("bob:{PLAIN}pass\n")
    assert main(["check", str(site)]) == 1
    assert "password of 'bob'" in capsys.readouterr().err
    site.write_text(site.read_text().replace('type = "file"', 'type = "file"\nclear_text = true'))
    assert main(["check", str(site)]) == 0


def test_check_of_nothing_is_wrong(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", str(tmp_path / "none.toml")]) == 1
    assert "No such file" in capsys.readouterr().err


def test_a_password_that_was_made_verifies(typed: Any, capsys: pytest.CaptureFixture[str]) -> None:
    typed("pässword\n".encode())
    assert main(["passwd", "--stdin", "--scheme", "ssha256"]) == 0
    stored = capsys.readouterr().out.strip()
    assert stored.startswith("{SSHA256}")
    assert verify(stored, "pässword".encode())
    typed("pässword\r\n".encode())
    assert main(["passwd", "--stdin", "--verify", "--stored", stored]) == 0
    typed(b"other\n")
    assert main(["passwd", "--stdin", "--verify", "--stored", stored]) == 1
    assert capsys.readouterr().out.split() == ["right", "wrong"]


def test_an_entry_is_changed_and_the_rest_of_the_file_is_not(tmp_path: Path, typed: Any) -> None:
    path = tmp_path / "users"
    path.write_bytes(
        b"# comment:amy\namy:{X}old:1:2:Amy M\xfcller:/home/amy::cleartext=allow\nbob:{X}y"
    )
    path.chmod(0o644)
    for name in ("AMY", "carol"):
        typed(b"new-password\n")
        assert main(["passwd", name, "-f", str(path), "--stdin", "-s", "SSHA"]) == 0
    lines = path.read_bytes().splitlines()
    assert lines[0] == b"# comment:amy"
    fields = lines[1].split(b":")
    assert fields[0] == b"amy"
    assert verify(fields[1].decode(), b"new-password")
    assert fields[2:] == [b"1", b"2", b"Amy M\xfcller", b"/home/amy", b"", b"cleartext=allow"]
    assert lines[2] == b"bob:{X}y"
    assert lines[3].startswith(b"carol:{SSHA}")
    assert path.stat().st_mode & 0o777 == 0o640, "what others could read they no longer can"
    typed(b"new-password\n")
    assert main(["passwd", "carol", "-f", str(path), "--stdin", "--verify"]) == 0


def test_a_new_file_is_for_its_owner_only(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        assert update(str(tmp_path / "users"), "amy", "{X}y") is False
    finally:
        os.umask(before)
    assert (tmp_path / "users").stat().st_mode & 0o777 == 0o600
    assert os.listdir(tmp_path) == ["users"]


def test_a_file_that_cannot_be_replaced_stays_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, typed: Any
) -> None:
    path = tmp_path / "users"
    path.write_text("amy:{X}old\n")

    def full(*_arguments: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    typed(b"new-password\n")
    assert main(["passwd", "amy", "-f", str(path), "--stdin", "-s", "SSHA"]) == 1
    assert path.read_text() == "amy:{X}old\n"
    assert os.listdir(tmp_path) == ["users"]


@pytest.mark.parametrize(
    ("arguments", "entered", "said"),
    [
        (["amy"], b"x\n", "give a user name and --file"),
        (["a:b", "-f", "users"], b"x\n", "has a :"),
        (["#a", "-f", "users"], b"x\n", "begins with #"),
        (["a\nb", "-f", "users"], b"x\n", "is no user name"),
        ([], b"\n", "empty password"),
        (["--verify", "--stored", "{NOPE}x"], b"x\n", "cannot be used"),
        (["--stored", "{X}y"], b"x\n", "--stored goes with --verify"),
    ],
)
def test_what_makes_no_sense_is_refused(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    typed: Any,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    entered: bytes,
    said: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    typed(entered)
    assert main(["passwd", "--stdin", "-s", "SSHA", *arguments]) == 1
    assert said in capsys.readouterr().err
    assert not os.listdir(tmp_path)


def test_passwords_that_differ_change_nothing(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    answers = iter(["one", "two"])
    monkeypatch.setattr("getpass.getpass", lambda _prompt: next(answers))
    assert main(["passwd"]) == 1
    assert "not the same" in capsys.readouterr().err


def test_an_input_that_ends_before_a_password_is_said_so(tmp_path: Path) -> None:
    """The whole program, without a terminal and with nothing to read."""
    users = tmp_path / "users"
    users.write_text("amy:*\n")
    done = subprocess.run(
        [*MODULE, "passwd", "amy", "--file", str(users)],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        cwd=ROOT,
        start_new_session=True,
        check=False,
        timeout=30,
    )
    assert done.returncode == 1
    assert "no password was typed" in done.stderr
    assert "Traceback" not in done.stderr
    assert users.read_text() == "amy:*\n"


def test_nothing_that_is_typed_at_a_terminal_is_shown() -> None:
    """AUTH-10: a real terminal, the whole program."""
    master, slave = pty.openpty()
    process = subprocess.Popen(
        [*MODULE, "passwd", "-s", "SSHA"],
        stdin=slave,
        stdout=slave,
        stderr=slave,
        cwd=ROOT,
        start_new_session=True,
        # No other terminal than the one that is its input.
    )
    os.close(slave)
    shown = b""
    answered = 0
    while True:
        try:
            piece = os.read(master, 1024)
        except OSError:
            break
        if not piece:
            break
        shown += piece
        if shown.count(b": ") > answered:
            answered += 1
            os.write(master, b"t0p-secret\n")
    os.close(master)
    assert process.wait(timeout=30) == 0
    assert answered == 2
    assert b"t0p-secret" not in shown
    stored = shown.split()[-1].decode()
    assert verify(stored, b"t0p-secret")


def test_the_reference_can_be_printed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["options", "listener"]) == 0
    told = capsys.readouterr().out
    assert "| `cleartext` |" in told
    assert "[limits]" not in told


def test_the_module_runs_as_a_program(site: Path) -> None:
    done = subprocess.run(
        [*MODULE, "check", str(site)], capture_output=True, text=True, cwd=ROOT, check=False
    )
    assert done.returncode == 1
    assert "password of 'amy'" in done.stderr
    done = subprocess.run([*MODULE], capture_output=True, text=True, cwd=ROOT, check=False)
    assert done.returncode == 2


def test_who_reads_no_further_gets_no_traceback(site: Path) -> None:
    """As C{mailaccess options | head}: whoever reads has enough, and that is no fault."""
    end, start = os.pipe()
    os.close(end)
    done = subprocess.run(
        [*MODULE, "matrix", str(site)],
        stdout=start,
        stderr=subprocess.PIPE,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        timeout=60,
        check=False,
    )
    os.close(start)
    assert (done.returncode, done.stderr) == (1, b"")
