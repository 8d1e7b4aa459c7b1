"""
Who is let in and who is not, on every way in; and what is said before TLS.
"""

from __future__ import annotations

import hashlib
import re
from base64 import b64encode
from itertools import product
from typing import Any

import pytest
from twisted.logger import capturedLogs
from zope.interface import implementer

from mailaccess.auth.interfaces import IKnowsSecrets
from mailaccess.interfaces import Identity
from mailaccess.protocols.pop3.options import POP3Options
from mailaccess.testing.people import MemoryChecker
from mailaccess.testing.talk import Talk


def encoded(*parts: bytes) -> bytes:
    return b64encode(b"\0".join(parts))


def login(talk: Talk, name: bytes, secret: bytes) -> bytes:
    return talk.send(b"a LOGIN %b %b" % (name, secret))[-1]


def login_literal(talk: Talk, name: bytes, secret: bytes) -> bytes:
    reply = talk.send(b"a LOGIN %b {%d}" % (name, len(secret)))[-1]
    return talk.send(secret)[-1] if reply.startswith(b"+") else reply


def login_literals(talk: Talk, name: bytes, secret: bytes) -> bytes:
    reply = talk.send(b"a LOGIN {%d}" % len(name))[-1]
    if reply.startswith(b"+"):
        reply = talk.send(b"%b {%d}" % (name, len(secret)))[-1]
    return talk.send(secret)[-1] if reply.startswith(b"+") else reply


def plain_at_once(talk: Talk, name: bytes, secret: bytes) -> bytes:
    return talk.send(b"a AUTHENTICATE PLAIN " + encoded(b"", name, secret))[-1]


def plain(talk: Talk, name: bytes, secret: bytes) -> bytes:
    reply = talk.send(b"a AUTHENTICATE PLAIN")[-1]
    return talk.send(encoded(b"", name, secret))[-1] if reply.startswith(b"+") else reply


def sasl_login(talk: Talk, name: bytes, secret: bytes) -> bytes:
    reply = talk.send(b"a AUTHENTICATE LOGIN")[-1]
    for each in (name, secret):
        if reply.startswith(b"+ "):
            reply = talk.send(b64encode(each))[-1]
    return reply


def user_pass(talk: Talk, name: bytes, secret: bytes) -> bytes:
    reply = talk.send(b"USER " + name)[-1]
    return talk.send(b"PASS " + secret)[-1] if reply.startswith(b"+OK") else reply


def auth_plain_at_once(talk: Talk, name: bytes, secret: bytes) -> bytes:
    return talk.send(b"AUTH PLAIN " + encoded(b"", name, secret))[-1]


def auth_plain(talk: Talk, name: bytes, secret: bytes) -> bytes:
    reply = talk.send(b"AUTH PLAIN")[-1]
    return talk.send(encoded(b"", name, secret))[-1] if reply.startswith(b"+ ") else reply


def auth_login(talk: Talk, name: bytes, secret: bytes) -> bytes:
    reply = talk.send(b"AUTH LOGIN")[-1]
    for each in (name, secret):
        if reply.startswith(b"+ "):
            reply = talk.send(b64encode(each))[-1]
    return reply


def apop(talk: Talk, name: bytes, secret: bytes) -> bytes:
    digest = hashlib.md5(talk.protocol.banner + secret, usedforsecurity=False).hexdigest()
    return talk.send(b"APOP %b %b" % (name, digest.encode()))[-1]


WAYS = {
    "imap": [login, login_literal, login_literals, plain_at_once, plain, sasl_login],
    "pop3": [user_pass, auth_plain_at_once, auth_plain, auth_login, apop],
}
EVERY_WAY = [(service, way) for service, ways in WAYS.items() for way in ways]

IN = (b"a OK [CAPABILITY ", b"+OK ")
FAILED = (
    b"a NO [AUTHENTICATIONFAILED] Invalid credentials",
    b"-ERR [AUTH] Invalid credentials",
)
WITHOUT_TLS = (
    b"a NO [PRIVACYREQUIRED] Login in the clear is refused here: use TLS",
    b"-ERR Login in the clear is refused here: use TLS",
)

# Name, whether the password is right, and what is said on a listener that allows passwords in the
# clear; tls is refused there by its own record.
ALLOWED = [
    (b"amy", True, IN),
    (b"amy", False, FAILED),
    (b"tls", True, WITHOUT_TLS),
    (b"tls", False, WITHOUT_TLS),
    (b"nobody", True, FAILED),
    (b"nobody", False, FAILED),
]


@implementer(IKnowsSecrets)
class Recoverable(MemoryChecker):
    """
    Passwords are there for APOP as well.
    """

    async def recoverable(self, name: str) -> tuple[Identity, bytes] | None:
        secret = self.passwords.get(name)
        return (Identity(name), secret) if secret is not None else None


@pytest.fixture
def server(server: Any) -> Any:
    before = server.checker
    server.checker = Recoverable(before.passwords, before.fields)
    return server


@pytest.mark.parametrize(("service", "way"), EVERY_WAY)
@pytest.mark.parametrize(("name", "right", "replies"), ALLOWED)
def test_where_cleartext_is_allowed(
    server: Any, service: str, way: Any, name: bytes, right: bool, replies: tuple[bytes, bytes]
) -> None:
    """
    POL-04: a user who must use TLS gets the same answer whether the password was right; nobody
    else's answer says whether there is such a user. No checker sees the password.

    APOP shows no password, so that user's record says nothing of it.
    """
    expected = replies[service == "pop3"]
    if way is apop and name == b"tls":
        expected = IN[1] if right else FAILED[1]
    talk = server.connect(service, pop3=POP3Options(apop=True))
    reply = way(talk, name, b"secret" if right else b"wrong!")
    assert reply.startswith(expected) if expected in IN else reply == expected
    if way is not apop:
        assert server.checker.asked == ([] if name == b"tls" else [name.decode()])


@pytest.mark.parametrize(("service", "way"), EVERY_WAY)
@pytest.mark.parametrize(("name", "right"), [each[:2] for each in ALLOWED])
def test_where_cleartext_is_refused(
    server: Any, refusing: Any, service: str, way: Any, name: bytes, right: bool
) -> None:
    """POL-01, POL-03: one answer for everybody, at the first step, and no checker is asked."""
    talk = server.connect(service, rule=refusing, pop3=POP3Options(apop=True))
    sent: list[bytes] = []
    send = talk.send
    talk.send = lambda *lines: sent.extend(lines) or send(*lines)  # type: ignore[method-assign]
    reply = way(talk, name, b"secret" if right else b"wrong!")
    if way is apop:
        # It shows no password, so the site may offer it where passwords are refused.
        known = right and name != b"nobody"
        assert reply.startswith(IN[1]) if known else reply == FAILED[1]
        return
    assert reply == WITHOUT_TLS[service == "pop3"]
    assert len(sent) == 1
    assert server.checker.asked == []


def test_a_matrix_of_answers_is_the_same_in_any_order(server: Any) -> None:
    """POL-04, AUTH-05: what was asked before changes nothing for the next connection."""
    first = {}
    for round_ in range(2):
        for (service, way), (name, right, _) in product(EVERY_WAY, ALLOWED):
            talk = server.connect(service, pop3=POP3Options(apop=True))
            reply = way(talk, name, b"secret" if right else b"wrong!")
            talk.hang_up()
            key = (service, way, name, right)
            assert reply == first.setdefault(key, reply), (round_, key)


# ---- before TLS ---------------------------------------------------------------------------------

SAID = {
    "imap": [
        *(b"a CAPABILITY", b"a NOOP", b'a ID ("name" "x")', b"a ID NIL", b"a LOGIN amy secret"),
        *(b"a LOGIN amy {6}", b"a LOGIN {3+}\r\namy {6+}\r\nsecret", b"a AUTHENTICATE PLAIN"),
        *(b"a AUTHENTICATE PLAIN AGFteQBzZWNyZXQ=", b"a AUTHENTICATE LOGIN", b"a AUTHENTICATE X"),
        *(
            b"a SELECT INBOX",
            b"a LIST {1}",
            b'a LIST "" *',
            b"a FETCH 1 ALL",
            b"a ENABLE CONDSTORE",
        ),
        *(b"a IDLE", b"a NAMESPACE", b"a STATUS INBOX (MESSAGES)", b"a UID FETCH 1 FLAGS"),
        *(
            b"a APPEND INBOX {5}",
            b"a UNKNOWN",
            b"",
            b"\xff\xfe\x00",
            b"a",
            b"* x",
            b"{5}",
            b"a LOGOUT",
        ),
        *(b"a ID ({3}", b"GET / HTTP/1.1", b"a LOGIN " + b"x" * 9000, b"\x16\x03\x01\x02\x00"),
        *(b"a CHECK", b"a STARTTLS x", b"a STARTTLS"),
    ],
    "pop3": [
        *(
            b"CAPA",
            b"USER amy",
            b"PASS secret",
            b"AUTH",
            b"AUTH PLAIN",
            b"AUTH PLAIN AGFteQBzZWNyZXQ=",
        ),
        *(b"AUTH LOGIN", b"AUTH X", b"APOP amy 0123456789abcdef0123456789abcdef", b"STAT", b"LIST"),
        *(
            b"RETR 1",
            b"UIDL",
            b"TOP 1 1",
            b"NOOP",
            b"RSET",
            b"DELE 1",
            b"LANG",
            b"LANG en",
            b"UTF8",
        ),
        *(
            b"",
            b"\xff\x00",
            b"XYZZY",
            b"GET / HTTP/1.1",
            b"\x16\x03\x01",
            b"x" * 400,
            b"QUIT",
            b"STLS",
        ),
    ],
}

CODES = rb"(?:\[(?:PRIVACYREQUIRED|CAPABILITY [ -Z\^-~]*|TOOBIG|LIMIT)\] )?"
GRAMMAR = {
    "imap": re.compile(
        rb"\* (?:OK|BYE) " + CODES + rb"[ -Z\^-~]+|\* CAPABILITY [ -Z\^-~]+|\* ID NIL|\+ Ready"
        rb"|(?:a|\*) (?:OK|NO|BAD) " + CODES + rb"[ -Z\^-~]+"
    ),
    "pop3": re.compile(
        rb"(?:\+OK|-ERR)(?: \[SYS/TEMP\])?(?: [ -Z\^-~]+)?|\.|[A-Z0-9 -]+|en English"
    ),
}


@pytest.mark.parametrize("service", ["imap", "pop3"])
def test_what_is_said_before_tls_says_nothing(server: Any, refusing: Any, service: str) -> None:
    """
    TLS-09, TLS-10: no PREAUTH, no ALERT, no REFERRAL, no data: whoever sits between client and
    server can put no words into our mouth that a client would act on.
    """
    said: list[bytes] = []
    for first, second in product(SAID[service], repeat=2):
        factory = server.factory(service, rule=refusing)
        talk = Talk(factory, server.clock)
        said += talk.read().splitlines()
        for each in (first, second):
            if talk.transport.tls_context is None and not talk.protocol.closing:
                said += talk.send(each)
        talk.hang_up()
    assert len(said) > 1000
    for line in set(said):
        assert GRAMMAR[service].fullmatch(line), line
        assert not re.search(rb"PREAUTH|ALERT|REFERRAL", line), line


@pytest.mark.parametrize("service", ["imap", "pop3"])
def test_a_browser_learns_nothing_and_is_sent_away(server: Any, service: str) -> None:
    """TLS-18: also where its request looks like a command."""
    for request in (b"GET / HTTP/1.1", b"POST noop HTTP/1.1", b"PUT login HTTP/1.0"):
        talk = server.connect(service)
        with capturedLogs():
            lines = talk.send(request, b"Host: <script>alert(1)</script>", b"", b"x noop")
        assert len(lines) == 1
        assert lines[0].startswith((b"* BYE ", b"-ERR "))
        assert talk.protocol.closing
        assert b"POST" not in lines[0]


@pytest.mark.parametrize("service", ["imap", "pop3"])
@pytest.mark.parametrize("enter", ["connect", "login"])
def test_nobody_switches_compression_on(server: Any, service: str, enter: str) -> None:
    """AB-10: there is none, so nothing small unpacks to something large."""
    talk = getattr(server, enter)(service)
    answers = talk.send(*([b"c CAPABILITY"] if service == "imap" else [b"CAPA"]))
    assert answers
    assert not any(b"COMPRESS" in each.upper() for each in answers)
    command = b"a COMPRESS DEFLATE" if service == "imap" else b"COMPRESS DEFLATE"
    (refused,) = talk.send(command)
    assert refused.startswith((b"a BAD ", b"-ERR "))
    (*_, answer) = talk.send(b"b NOOP" if service == "imap" else b"CAPA")
    assert answer.startswith((b"b OK ", b"."))
