"""
C{mailaccess probe} against a real Cyrus and a real Courier, each as Debian has it.

A real Dovecot, C{twisted.mail} and our own server are probed in tests/services/test_probe.py.
"""

from __future__ import annotations

import io
import json
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from mailaccess.cli import main

from .courier import Courier, running_courier
from .cyrus import Cyrus, running_cyrus

NAME, WORD = "anna", "Geheim-00-Wort"
Report = dict[str, Any]


@pytest.fixture(scope="module")
def place() -> Iterator[Path]:
    made = Path(tempfile.mkdtemp(prefix="probe-"))
    made.chmod(0o711)
    yield made
    shutil.rmtree(made)


@pytest.fixture(scope="module")
def cyrus(place: Path) -> Iterator[Cyrus]:
    (place / "y").mkdir()
    with running_cyrus(place / "y", {NAME: WORD}) as running:
        yield running


@pytest.fixture(scope="module")
def courier(place: Path) -> Iterator[Courier]:
    (place / "c").mkdir()
    with running_courier(place / "c", {NAME: WORD}) as running:
        yield running


@pytest.fixture
def probe(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Callable[..., Report]:
    """
    What is found, with the verdicts and the texts by the check.
    """

    def run(server: Cyrus | Courier, listener: str, *more: str) -> Report:
        monkeypatch.setattr("sys.stdin", io.StringIO(WORD + "\n"))
        implicit = listener.endswith("s")
        status = main(
            [
                *("probe", f"127.0.0.1:{server.ports[listener]}"),
                *("--protocol", listener.removesuffix("s"), "--tls" if implicit else "--starttls"),
                *("--ca", str(server.certificate), "--name", "localhost", "--json", "--stdin"),
                *more,
            ]
        )
        found: Report = json.loads(capsys.readouterr().out)
        assert WORD not in json.dumps(found)
        found["status"] = status
        found["verdicts"] = {each["check"]: each["verdict"] for each in found["checks"]}
        found["texts"] = {each["check"]: each["text"] for each in found["checks"]}
        return found

    return run


def bad(found: Report) -> set[str]:
    return {check for check, verdict in found["verdicts"].items() if verdict == "bad"}


@pytest.mark.parametrize("listener", ["imap", "imaps", "pop3", "pop3s"])
def test_cyrus_that_demands_tls_has_nothing_bad(
    listener: str, cyrus: Cyrus, probe: Callable[..., Report]
) -> None:
    found = probe(cyrus, listener, "-u", NAME)
    assert bad(found) == set(), found["checks"]
    assert found["status"] == 0
    assert found["verdicts"]["login"] == "ok"
    assert found["verdicts"]["sasl-cancel"] == "ok"
    assert found["verdicts"]["alpn-other"] == "warn"  # Cyrus 3.6 takes whoever speaks HTTP
    if not listener.endswith("s"):
        assert found["verdicts"]["starttls-injection"] == "ok"
        assert found["verdicts"]["password-in-the-clear"] == "ok"


@pytest.mark.parametrize(
    "mechanism", ["LOGIN", "LOGIN command", "CRAM-MD5", "SCRAM-SHA-1", "SCRAM-SHA-256"]
)
def test_every_mechanism_of_cyrus_logs_in(
    mechanism: str, cyrus: Cyrus, probe: Callable[..., Report]
) -> None:
    found = probe(cyrus, "imaps", "-u", NAME, "-m", mechanism, "--only", "alpn")
    assert found["verdicts"]["login"] == "ok", found["texts"]["login"]


def test_cyrus_binds_to_the_channel(cyrus: Cyrus, probe: Callable[..., Report]) -> None:
    """TLS-20: of the kinds that there are it knows C{tls-unique}."""
    words = ("-u", NAME, "--only", "alpn", "-m", "SCRAM-SHA-256-PLUS", "--binding")
    assert probe(cyrus, "pop3s", *words, "tls-unique")["verdicts"]["login"] == "ok"
    assert probe(cyrus, "pop3s", *words, "tls-server-end-point")["verdicts"]["login"] == "bad"


def test_courier_as_debian_sets_it_up_is_found(
    courier: Courier, probe: Callable[..., Report]
) -> None:
    """Passwords in the clear, and versions of TLS that are broken."""
    found = probe(courier, "imap", "-u", NAME, "-m", "CRAM-MD5")
    assert found["status"] == 1
    assert bad(found) == {
        "passwords-offered-in-the-clear",
        "password-in-the-clear",
        "sasl-plain-in-the-clear",
        "sasl-login-in-the-clear",
        "tls-versions",
    }, found["checks"]
    assert found["verdicts"]["starttls-injection"] == "ok"
    assert found["texts"]["tls-versions"] == "speaks TLS 1.0, TLS 1.1, which are broken"
    assert found["verdicts"]["server-identity"] == "ok"
    assert found["verdicts"]["login"] == "ok"


def test_the_injection_in_couriers_pop3_is_found(
    courier: Courier, probe: Callable[..., Report]
) -> None:
    """TLS-01: CVE-2021-38084 is in Debian's 1.0.16."""
    found = probe(courier, "pop3", "-u", NAME, "--only", "starttls-injection")
    assert found["verdicts"]["starttls-injection"] == "bad"
    assert found["texts"]["starttls-injection"] == (
        "a whole command from before TLS was run inside TLS"
    )
    assert found["verdicts"]["login"] == "ok"  # by USER: it offers no SASL


def test_courier_begins_tls_within_tls_on_its_port_for_tls(
    courier: Courier, probe: Callable[..., Report]
) -> None:
    """TLS-06"""
    found = probe(courier, "pop3s", "--only", "starttls-twice", "--only", "offers-inside-tls")
    assert bad(found) == {"starttls-twice", "offers-inside-tls"}
