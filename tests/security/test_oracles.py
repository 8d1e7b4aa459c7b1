"""
What is not there and what may not be seen look the same; so do listeners that greet.
"""

from __future__ import annotations

from typing import Any

import attrs
import pytest

from mailaccess.services.settings import ListenerSettings
from mailaccess.testing.talk import Talk

COMMANDS = [
    b"SELECT %b",
    b"EXAMINE %b",
    b"STATUS %b (MESSAGES UNSEEN)",
    b"DELETE %b",
    b"RENAME %b x",
    b"LIST %b *",
    b'LIST "" %b',
    b'LIST "" %b/*',
    b'LSUB "" %b',
    b"APPEND %b {1+}\r\nx",
    b"COPY 1 %b",
    b"UID COPY 1 %b",
    b"MOVE 1 %b",
    b"UNSUBSCRIBE %b",
]

PLACES = [
    b"../%b/INBOX",
    b"%b",
    b"user/%b",
    b"user.%b",
    b"~%b",
    b"~%b/INBOX",
    b"#users/%b",
    b"Other&AC8-%b",
    b"/home/%b",
    b"..",
]


@pytest.mark.parametrize("command", COMMANDS)
def test_no_answer_tells_whether_somebody_else_has_mail_here(server: Any, command: bytes) -> None:
    """PATH-06: the same words for a user who exists, has mail and is logged in, and for nobody."""
    server.accounts.of("bob").deliver("INBOX", b"Subject: for bob\r\n\r\n")
    server.login("imap", "bob")
    server.accounts.of("amy").deliver("INBOX", b"Subject: x\r\n\r\n")
    talk = server.login("imap")
    talk.send(b"b SELECT INBOX")
    for place in PLACES:
        said = []
        for name in (b"bob", b"eve"):
            where = place % name if b"%b" in place else place
            talk.protocol.mistakes = 0
            lines = talk.send(b"t " + command % where)
            said.append([each.replace(where, b"NAME").replace(name, b"NAME") for each in lines])
            talk.send(b"b SELECT INBOX")
        assert said[0] == said[1], place


@pytest.mark.parametrize("service", ["imap", "pop3"])
def test_no_listener_greets_somebody_as_known(server: Any, service: str) -> None:
    """TLS-10: there is no PREAUTH, and nothing to be configured that would make one."""
    talk = Talk(server.factory(service), server.clock)
    assert talk.read().startswith((b"* OK [CAPABILITY ", b"+OK "))
    assert not talk.protocol.logged_in
    assert not [each.name for each in attrs.fields(ListenerSettings) if "preauth" in each.name]
