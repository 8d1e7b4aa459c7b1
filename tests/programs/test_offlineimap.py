"""
offlineimap keeps a Maildir and the server the same.
"""

from __future__ import annotations

import imaplib
import re
from pathlib import Path

import pytest

from mailaccess.wire import utf7

from .running import Desk, corpus

ORDERS = """\
[general]
accounts = it
metadata = {home}/meta
ui = basic
[Account it]
localrepository = here
remoterepository = there
[Repository here]
type = Maildir
localfolders = {home}/mail
[Repository there]
type = IMAP
remotehost = localhost
remoteport = {port}
remoteuser = {user}
remotepass = {password}
ssl = {ssl}
starttls = {starttls}
sslcacertfile = {certificate}
"""

OLDER_TLS = """\
openssl_conf = here
[here]
ssl_conf = layers
[layers]
system_default = layer
[layer]
MaxProtocol = TLSv1.2
"""
"""
For OpenSSL in the client. Its library, imaplib2, reads and writes one TLS connection in two threads
without a lock. After STARTTLS by TLS 1.3 one of them waits in a read for what comes behind the
session tickets while the other writes the next command, which now and then is never sent; both
sides then wait for ever. In TLS 1.2 no tickets come after the handshake. Its own C{ssl_version} is
not heeded for STARTTLS.
"""


@pytest.mark.parametrize("listener", ["imap", "imaps"])
def test_offlineimap_brings_changes_both_ways(desk: Desk, listener: str) -> None:
    """By TLS 1.2, since the client loses commands by TLS 1.3: see C{OLDER_TLS}."""
    person = desk.person
    expected = person.deliver_all()
    implicit = listener == "imaps"
    config = desk.write(
        "offlineimaprc",
        ORDERS.format(
            home=desk.home,
            port=desk.port(listener),
            user=person.name,
            password=person.password,
            ssl="yes" if implicit else "no",
            starttls="no" if implicit else "yes",
            certificate=desk.certificate,
        ),
    )

    layers = f"OPENSSL_CONF={desk.write('openssl.cnf', OLDER_TLS)}"
    since = len(desk.server.log.lines)

    def sync() -> None:
        done = desk.run("env", layers, "offlineimap", "-c", config, "-o")
        said = (done.stdout + done.stderr).decode()
        assert "ERROR" not in said, said

    sync()
    desk.server.log.wait_for(f'event=login .*"{person.name}" .*tls="TLSv1.2 ', since)
    for folder, messages in expected.items():
        assert len(here(desk, wire(folder))) == len(messages), folder
    files = here(desk, "INBOX")
    found = sorted(as_here(path.read_bytes()) for path in files)
    assert found == sorted(as_here(each) for each in expected["INBOX"])

    first = next(path for path in files if path.name.endswith(":2,S"))
    first.rename(first.with_name(first.name.partition(":")[0] + ":2,FS"))
    second = next(path for path in here(desk, "INBOX") if path.name.endswith(":2,S"))
    second.unlink()
    new = desk.home / "mail/INBOX/cur/1700000009_0.1.here:2,S"
    new.write_bytes(b"From: me@example.org\nSubject: from here\nMessage-ID: <h@x>\n\nhere\n")
    sync()
    with imaplib.IMAP4_SSL(
        "localhost", desk.port("imaps"), ssl_context=desk.server.context()
    ) as it:
        it.login(person.name, person.password)
        it.select()
        assert len(it.search(None, "FLAGGED")[1][0].split()) == 5
        assert len(it.search(None, "ALL")[1][0].split()) == len(corpus("legacy"))
        assert it.search(None, "SUBJECT", '"from here"', "SEEN")[1][0].split() == [b"54"]
        it.store("1:3", "+FLAGS", "\\Answered")
    sync()
    answered = [path for path in here(desk, "INBOX") if re.search(":2,.*R", path.name)]
    assert len(answered) == 3


def as_here(data: bytes) -> bytes:
    """
    It makes every CR a line end, also one at the very end.
    """
    return data.replace(b"\r\n", b"\n").rstrip(b"\r\n")


def wire(folder: str) -> str:
    # The levels of a name are apart by a full stop here, where a slash would be a directory.
    return utf7.encode(folder).decode("ascii").replace("/", ".")


def here(desk: Desk, folder: str) -> list[Path]:
    directory = desk.home / "mail" / folder
    return [path for part in ("cur", "new") for path in (directory / part).iterdir()]
