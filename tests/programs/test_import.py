"""
Mail is copied in from real servers of others, and from mbox files that programs wrote.
"""

from __future__ import annotations

import contextlib
import imaplib
import mailbox
import shutil
import ssl
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks import dovecot
from benchmarks.ours import PASSWORD
from mailaccess.message.lineends import to_crlf
from mailaccess.wire import utf7
from tests.services.test_imports import bring, command, stored
from tests.services.test_imports import place as place  # noqa: PLC0414 - a fixture

from .courier import running_courier
from .cyrus import running_cyrus
from .running import ODD, Person, corpus

WORD = "Altes-Wort-5"


@contextlib.contextmanager
def old_server(kind: str, directory: Path) -> Iterator[tuple[int, Path, str, str, str]]:
    """
    Port for TLS, certificate, password, prefix and delimiter.
    """
    if kind == "courier":
        with running_courier(directory, {"amy": WORD}) as courier:
            yield courier.ports["imaps"], courier.certificate, WORD, "INBOX.", "."
    elif kind == "cyrus":
        with running_cyrus(directory, {"amy": WORD}) as cyrus:
            with imaplib.IMAP4_SSL(
                "localhost",
                cyrus.ports["imaps"],
                ssl_context=ssl.create_default_context(cafile=str(cyrus.certificate)),
            ) as it:
                it.login("amy", WORD)
                prefix, delimiter = ("INBOX.", ".")
                if b'"/"' in it.namespace()[1][0]:
                    prefix, delimiter = "", "/"
            yield cyrus.ports["imaps"], cyrus.certificate, WORD, prefix, delimiter
    else:
        with dovecot.serve(directory, ["amy"]) as server:
            assert server is not None
            yield server.tls, directory / "mail.pem", PASSWORD, "", "."


@pytest.mark.parametrize("kind", ["courier", "cyrus", "dovecot"])
def test_an_account_of_another_server_is_copied(place: Path, kind: str) -> None:
    """With folders, flags, keywords, dates and subscriptions; again brings what is new only."""
    directory = Path(tempfile.mkdtemp(prefix="old-"))
    directory.chmod(0o755)
    messages = [to_crlf(each) for each in corpus("legacy")[:8]]
    (place / "word").write_text(PASSWORD if kind == "dovecot" else WORD)
    with old_server(kind, directory) as (port, certificate, secret, prefix, delimiter):
        context = ssl.create_default_context(cafile=str(certificate))
        with imaplib.IMAP4_SSL("localhost", port, ssl_context=context) as it:
            it.login("amy", secret)
            name = prefix + delimiter.join(("Entwürfe", "2024"))
            folder = f'"{utf7.encode(name).decode("ascii")}"'
            for each in (f'"{utf7.encode(prefix + "Entwürfe").decode("ascii")}"', folder):
                assert it.create(each)[0] == "OK"
            it.subscribe(folder)
            for data in messages:
                date = '" 4-Nov-2004 08:00:00 +0100"'
                assert it.append(folder, "(\\Seen $Forwarded)", date, data)[0] == "OK"
            assert it.append("INBOX", "(\\Flagged)", None, messages[0])[0] == "OK"
            there = ("imap", "localhost", "--port", str(port), "--ca", certificate)
            there = (*there, "--password-file", place / "word")
            brought = {each["name"]: each for each in bring(place, *there)["mailboxes"]}
            assert brought["Entwürfe/2024"]["messages"] == 8
            assert brought["INBOX"]["messages"] == 1
            again = bring(place, *there)["mailboxes"]
            assert sum(each["messages"] for each in again) == 0
            it.append("INBOX", None, None, b"Subject: came later\r\n\r\nx\r\n")
            again = bring(place, *there)["mailboxes"]
            assert sum(each["messages"] for each in again) == 1
    shutil.rmtree(directory, ignore_errors=True)
    home = place / "mail" / "amy"
    person = Person("amy", "", home)
    assert person.stored("Entwürfe/2024") == sorted(messages)
    files = list((person.folder("Entwürfe/2024") / "cur").iterdir())
    assert {int(each.stat().st_mtime) for each in files} == {1099551600}
    assert all(each.name.partition(":2,")[2].startswith("S") for each in files)
    assert "Entw&APw-rfe\t2024\n" in subscribed(place)
    assert sum(stored(place).values()) == 2


def subscribed(place: Path) -> str:
    found = place / "mail" / "amy" / "subscriptions"
    return found.read_text(encoding="utf-8") if found.exists() else ""


def test_another_certificate_is_not_believed(place: Path) -> None:
    """TLS-20: and the password is not sent."""
    directory = Path(tempfile.mkdtemp(prefix="old-"))
    (place / "word").write_text(WORD)
    with running_courier(directory, {"amy": WORD}) as courier:
        there = ("imap", "localhost", "--port", str(courier.ports["imaps"]))
        done = subprocess.run(
            [*command(place, *there, "--password-file", place / "word")],
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 1
        assert "its certificate is not good" in done.stderr
        assert "LOGIN" not in courier.log.read_text(errors="replace")
    shutil.rmtree(directory, ignore_errors=True)


def test_an_mbox_that_a_program_wrote_comes_in_whole(place: Path) -> None:
    """Octet for octet, but for line ends."""
    box = mailbox.mbox(place / "box")
    wanted = []
    for data in [*corpus("rfc"), *ODD[4:]]:
        text = data.replace(b"\r\n", b"\n")
        text += b"" if text.endswith(b"\n") else b"\n"
        box.add(text)
        wanted.append(to_crlf(text))
    box.flush()
    bring(place, "mbox", place / "box", "--into", "Old/Kept")
    person = Person("amy", "", place / "mail" / "amy")
    assert person.stored("Old/Kept") == sorted(wanted)


def test_an_administrator_brings_the_mail_of_others(place: Path) -> None:
    """SASL-03: by a login there as one who may act for them."""
    directory = Path(tempfile.mkdtemp(prefix="old-"))
    with running_cyrus(directory, {"amy": WORD}) as cyrus:
        context = ssl.create_default_context(cafile=str(cyrus.certificate))
        with imaplib.IMAP4_SSL("localhost", cyrus.ports["imaps"], ssl_context=context) as it:
            it.login("amy", WORD)
            it.append("INBOX", None, None, b"Subject: hers\r\n\r\nx\r\n")
        actor, secret = cyrus.admin
        (place / "word").write_text(secret)
        there = ("imap", "localhost", "--port", str(cyrus.ports["imaps"]), "--as", actor)
        bring(place, *there, "--ca", cyrus.certificate, "--password-file", place / "word")
    shutil.rmtree(directory, ignore_errors=True)
    assert list(stored(place)) == ["Subject: hers"]
