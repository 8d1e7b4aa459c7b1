"""
getmail fetches over POP3 and IMAP into a Maildir, an mbox and a program.
"""

from __future__ import annotations

import mailbox
import os
import re
import shutil
from pathlib import Path

import pytest

from .running import Desk, corpus
from .test_fetchmail import body, mda


def rc(desk: Desk, kind: str, listener: str, destination: str, options: str = "") -> Path:
    folder = '\nmailboxes = ("INBOX", "Archive")' if "IMAP" in kind else ""
    return desk.write(
        "getmailrc",
        f"[retriever]\ntype = {kind}\nserver = localhost\nport = {desk.port(listener)}\n"
        f"username = {desk.person.name}\npassword = {desk.person.password}\n"
        f"ca_certs = {desk.certificate}{folder}\n"
        f"[destination]\n{destination}\n"
        "[options]\nverbose = 0\nread_all = false\ndelivered_to = false\nreceived = false\n"
        f"{options}\n",
    )


PATIENT = """
import os
from getmailcore.baseclasses import ForkingBase
ForkingBase._prepare_child = lambda self: None
ForkingBase._wait_for_child = lambda self, child: os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
"""
"""
getmail writes each message in a child, and waits for a signal to tell that it ended; if it ends
before getmail waits, as on a busy machine, getmail waits for a minute and gives up. So here it asks
for the child itself.
"""


def run(desk: Desk, config: Path) -> None:
    desk.write("sitecustomize.py", PATIENT)
    command = ("getmail", f"--getmaildir={desk.home}", f"--rcfile={config}")
    desk.run("env", f"PYTHONPATH={desk.home}", *command)


def written(data: bytes) -> bytes:
    """
    The body as getmail writes it: multiparts it takes apart and puts together again, with other
    white space around boundaries and in folded fields.
    """
    if re.search(rb"^Content-Type:\s*multipart", data, re.IGNORECASE | re.MULTILINE):
        return b"".join(body(data).split())
    return body(data)


def owned(desk: Desk, path: Path) -> str:
    """
    getmail does not write mail as root; what it needs to write as somebody else.
    """
    if os.geteuid() != 0:
        return ""
    desk.home.chmod(0o711)
    for each in (path, *path.glob("*")):
        shutil.chown(each, "nobody")
    return "\nuser = nobody"


def maildir(desk: Desk) -> tuple[str, mailbox.Maildir]:
    path = desk.home / "Maildir"
    box = mailbox.Maildir(path, create=True)
    return f"type = Maildir\npath = {path}/{owned(desk, path)}", box


@pytest.mark.parametrize(
    ("kind", "listener"), [("SimplePOP3SSLRetriever", "pop3s"), ("SimpleIMAPSSLRetriever", "imaps")]
)
def test_getmail_fetches_once_and_then_deletes(desk: Desk, kind: str, listener: str) -> None:
    """Bodies arrive octet for octet; what was seen is known by its UIDL or UID."""
    person = desk.person
    messages = corpus("legacy")
    person.deliver(messages)
    person.deliver(corpus("rfc"), "Archive", "S")
    destination, box = maildir(desk)
    config = rc(desk, kind, listener, destination)
    run(desk, config)
    wanted = messages + (corpus("rfc") if "IMAP" in kind else [])
    assert sorted(written(box.get_bytes(key)) for key in box.iterkeys()) == sorted(
        map(written, wanted)
    )
    run(desk, config)
    assert len(box) == len(wanted)
    person.deliver([b"Subject: one more\n\n.\n..dots\n"])
    run(desk, rc(desk, kind, listener, destination, "delete = true"))
    assert len(box) == len(wanted) + 1
    assert person.stored() == []


def test_getmail_fills_an_mbox_over_imap(desk: Desk) -> None:
    person = desk.person
    person.deliver(corpus("rfc"))
    person.deliver([], "Archive")
    path = desk.home / "mbox"
    path.touch(0o600)
    destination = f"type = Mboxrd\npath = {path}{owned(desk, path)}"
    config = rc(desk, "SimpleIMAPSSLRetriever", "imaps", destination)
    run(desk, config)
    assert len(mailbox.mbox(desk.home / "mbox")) == len(corpus("rfc"))


def test_getmail_feeds_a_program(desk: Desk) -> None:
    person = desk.person
    person.deliver(corpus("rfc"))
    destination = f"type = MDA_external\npath = {mda(desk)}\nallow_root_commands = true"
    run(desk, rc(desk, "SimplePOP3SSLRetriever", "pop3s", destination))
    files = [path.read_bytes() for path in (desk.home / "mail").iterdir()]
    assert sorted(map(written, files)) == sorted(map(written, corpus("rfc")))
