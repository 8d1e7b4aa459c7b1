"""
fetchmail takes mail away over POP3.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from .running import Desk, corpus, until

LAYERS = pytest.mark.parametrize("listener", ["pop3", "pop3s"])
NOTHING_NEW = 1


def rc(desk: Desk, listener: str, options: str, mda: Path, protocol: str = "pop3") -> Path:
    layer = "ssl" if listener.endswith("s") else "sslproto tls1.2+"
    uidl = " uidl" if protocol == "pop3" else ""
    return desk.write(
        "fetchmailrc",
        f'set idfile "{desk.home}/ids"\nset pidfile "{desk.home}/pid"\nset invisible\n'
        f"poll localhost protocol {protocol} service {desk.port(listener)}{uidl}\n"
        f'user "{desk.person.name}" password "{desk.person.password}" {layer} sslcertck\n'
        f'sslcertfile "{desk.certificate}" {options} mda "{mda}"\n',
    )


def mda(desk: Desk) -> Path:
    """
    A delivery agent: a file for each message.
    """
    (desk.home / "mail").mkdir()
    path = desk.write("mda", f'#!/bin/sh\nexec cat >"$(mktemp {desk.home}/mail/XXXXXXXX)"\n')
    path.chmod(0o700)
    return path


def body(data: bytes) -> bytes:
    """
    What stands behind the header, with LF, but for the very end; the header gets fields on the way.
    """
    return re.split(rb"\r?\n\r?\n", data, maxsplit=1)[1].replace(b"\r\n", b"\n").rstrip(b"\r\n")


def arrived(desk: Desk) -> list[bytes]:
    return sorted(body(path.read_bytes()) for path in (desk.home / "mail").iterdir())


@LAYERS
def test_fetchmail_keeps_and_later_takes(desk: Desk, listener: str) -> None:
    """UIDL: nothing is fetched twice; bodies arrive octet for octet."""
    person = desk.person
    messages = corpus("legacy")
    person.deliver(messages)
    agent = mda(desk)
    config = rc(desk, listener, "keep pass8bits", agent)
    desk.run("fetchmail", "-f", config, "--nodetach")
    assert arrived(desk) == sorted(body(each) for each in messages)
    assert len(person.stored()) == len(messages)
    desk.run("fetchmail", "-f", config, status=NOTHING_NEW)
    assert len(arrived(desk)) == len(messages)
    person.deliver([b"Subject: one more\n\n.\n..dots\n"])
    desk.run("fetchmail", "-f", config)
    assert b".\n..dots" in arrived(desk)
    assert len(arrived(desk)) == len(messages) + 1
    config = rc(desk, listener, "nokeep fetchall pass8bits", agent)
    desk.run("fetchmail", "-f", config)
    until(lambda: person.stored() == [], "an empty maildrop")
    assert len(arrived(desk)) == 2 * (len(messages) + 1)
    desk.run("fetchmail", "-f", config, status=NOTHING_NEW)


def test_fetchmail_with_a_wrong_password_or_no_trust_takes_nothing(desk: Desk) -> None:
    person = desk.person
    person.deliver(corpus("rfc"))
    agent = mda(desk)
    config = rc(desk, "pop3s", "nokeep", agent)
    wrong = desk.server.site.secret("Falsch-auch", person.name)
    right = config.read_text()
    config.write_text(right.replace(person.password, wrong))
    desk.run("fetchmail", "-f", config, status=3)
    other = desk.write("none.pem", "")
    config.write_text(right.replace(str(desk.certificate), str(other)))
    desk.run("fetchmail", "-f", config, status=2)
    assert arrived(desk) == []
    assert len(person.stored()) == len(corpus("rfc"))


@pytest.mark.parametrize("listener", ["imap", "imaps"])
def test_fetchmail_reads_imap_too(desk: Desk, listener: str) -> None:
    person = desk.person
    messages = corpus("rfc")
    person.deliver(messages)
    config = rc(desk, listener, "keep pass8bits", mda(desk), "imap")
    desk.run("fetchmail", "-f", config)
    assert arrived(desk) == sorted(body(each) for each in messages)
    desk.run("fetchmail", "-f", config, status=NOTHING_NEW)
