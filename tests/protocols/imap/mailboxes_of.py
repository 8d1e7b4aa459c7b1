"""
Small mailboxes for conversations about messages.
"""

from __future__ import annotations

from typing import Any

from mailaccess.testing.talk import Talk
from tests.protocols.conftest import INTERNAL_DATE, House

LETTER = b"Subject: hello\r\nFrom: Amy <amy@example.org>\r\n\r\nGood day,\r\nBob\r\n"
HEADER, TEXT = LETTER[:47], LETTER[47:]

NESTED = b"\r\n".join(
    (
        b"Subject: outer",
        b"MIME-Version: 1.0",
        b'Content-Type: multipart/mixed; boundary="one"',
        b"",
        b"preamble",
        b"--one",
        b"Content-Type: text/plain",
        b"",
        b"first",
        b"--one",
        b"Content-Type: message/rfc822",
        b"Content-Description: inside",
        b"",
        b"Subject: inner",
        b'Content-Type: multipart/alternative; boundary="two"',
        b"",
        b"--two",
        b"Content-Type: text/plain",
        b"",
        b"plain",
        b"--two",
        b"Content-Type: text/html",
        b"",
        b"<b>bold</b>",
        b"--two--",
        b"--one--",
        b"",
    )
)


def selected(house: House, *messages: bytes, name: str = "amy", **options: Any) -> Talk:
    """
    A conversation with C{INBOX} selected, which holds these messages, seen by a session before so
    that none is recent.
    """
    account = house.accounts.of(name)
    for each in messages:
        account.deliver("INBOX", each, date=INTERNAL_DATE)
    account.folder("INBOX").recent.clear()
    talk = house.login(name, **options)
    assert talk.send(b"in SELECT INBOX")[-1].startswith(b"in OK ")
    return talk


def exchange(talk: Talk, command: bytes) -> bytes:
    """
    All octets of an answer.
    """
    talk.protocol.dataReceived(command + b"\r\n")
    return talk.read()
