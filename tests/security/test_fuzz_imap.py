"""
Whatever a client sends, in whatever state: no fault of ours, no silence, no heap of octets.
"""

from __future__ import annotations

from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from twisted.logger import capturedLogs

from mailaccess.protocols.imap.commands import EXTENSIONS
from mailaccess.testing.talk import Talk
from mailaccess.wire.framing import POST_AUTH, PRE_AUTH

MESSAGE = (
    b"From: a@example.org\r\nSubject: hello\r\nMIME-Version: 1.0\r\n"
    b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\none\r\n--b\r\n"
    b"Content-Type: message/rfc822\r\n\r\nSubject: inner\r\n\r\ntwo\r\n--b--\r\n"
)

BEFORE = {
    "not authenticated": [],
    "authenticated": [b"a LOGIN amy secret\r\n"],
    "selected": [b"a LOGIN amy secret\r\n", b"a SELECT INBOX\r\n"],
    "after append": [
        b"a LOGIN amy secret\r\n",
        b"a SELECT INBOX\r\n",
        b"a APPEND INBOX {%d+}\r\n%b\r\n" % (len(MESSAGE), MESSAGE),
    ],
    "read-only": [b"a LOGIN amy secret\r\n", b"a EXAMINE INBOX\r\n"],
    "idle": [b"a LOGIN amy secret\r\n", b"a SELECT INBOX\r\n", b"a IDLE\r\n"],
}

NAMES = sorted({name for each in EXTENSIONS for name in each.commands} - {b"STARTTLS", b"LOGOUT"})

numbers = st.sampled_from([b"0", b"1", b"2", b"*", b"4294967295", b"4294967296", b"00", b"-1"])
sets = st.builds(
    b",".join,
    st.lists(
        st.one_of(numbers, st.builds(b"%b:%b".__mod__, st.tuples(numbers, numbers))), max_size=4
    ),
)
sections = st.sampled_from(
    [
        b"BODY[]",
        b"BODY.PEEK[1.2.1]<0.5>",
        b"BODY[HEADER.FIELDS (Subject)]",
        b"BODY[2.HEADER]",
        b"BODY[",
        b"ENVELOPE",
        b"BODYSTRUCTURE",
        b"FLAGS",
        b"RFC822.TEXT",
        b"BODY[TEXT]<1.4294967295>",
        b"ALL",
    ]
)
keys = st.sampled_from(
    [
        b"NOT",
        b"OR",
        b"TEXT hello",
        b"HEADER Subject x",
        b"UID 1:*",
        b"SINCE 1-Feb-1994",
        b"KEYWORD x",
        b"CHARSET UTF-8",
        b"BODY {2+}\r\nhi",
        b"LARGER 18446744073709551616",
        b"ON 30-Feb-2000",
    ]
)
names = st.sampled_from(
    [
        b"INBOX",
        b"inbox",
        b"&AOk-",
        b"&",
        b"../x",
        b"a/b",
        b'""',
        b'"a\\"b"',
        b"{3+}\r\na/b",
        b"%",
        b"*",
        b"{4}\r\n",
        b"{70000+}\r\n",
        b"{99999999999999999999}\r\n",
        b"{2+}\r\n\x00\xff",
        b"~{3+}\r\nabc",
    ]
)
odd = st.binary(max_size=12)
argument = st.one_of(
    sets,
    sections,
    keys,
    names,
    odd,
    st.sampled_from(
        [b"(", b")", b"(\\Seen)", b"+FLAGS", b"FLAGS.SILENT", b"(MESSAGES UNSEEN)", b"NIL"]
    ),
    st.builds(lambda data: b'"' + data + b'"', odd),
    st.builds(lambda data: b"(" + data + b")", st.one_of(sections, keys, odd)),
    st.builds(lambda data: b"{%d+}\r\n%b" % (len(data), data), odd),
)
command = st.builds(
    lambda name, arguments: b"t " + b" ".join([name, *arguments]) + b"\r\n",
    st.sampled_from(NAMES),
    st.lists(argument, max_size=4),
)
aimed = st.one_of(
    st.builds(lambda s, i: b"t FETCH %b %b\r\n" % (s, i), sets, sections),
    st.builds(
        lambda s, i: b"t UID FETCH %b (%b %b)\r\n" % (s, *i), sets, st.tuples(sections, sections)
    ),
    st.builds(lambda k: b"t SEARCH %b\r\n" % b" ".join(k), st.lists(keys, min_size=1, max_size=4)),
    st.builds(lambda a, b: b"t LIST %b %b\r\n" % (a, b), names, names),
    st.builds(
        lambda n, d: b"t APPEND %b {%d+}\r\n%b\r\n" % (n, len(d), d), names, st.binary(max_size=40)
    ),
    st.builds(lambda s: b"t STORE %b +FLAGS (\\Deleted x)\r\n" % s, sets),
    st.sampled_from(
        [b"t EXPUNGE\r\n", b"t CLOSE\r\n", b"t IDLE\r\n", b"DONE\r\n", b"t CREATE a/b\r\n"]
    ),
    st.sampled_from(
        [b"t RENAME INBOX x\r\n", b"t AUTHENTICATE PLAIN\r\n", b"AGFteQBzZWNyZXQ=\r\n", b"*\r\n"]
    ),
)
said = st.lists(st.one_of(command, command, aimed, aimed, st.binary(max_size=60)), max_size=8)


def recovers(talk: Talk) -> list[bytes]:
    """
    Say whatever ends an exchange, a literal or IDLE that may be running, then NOOP.
    """
    protocol = talk.protocol
    for _ in range(100):
        if protocol.closing or not getattr(protocol.framer, "in_literal", False):
            break
        talk.raw(b"x" * 8192)
    talk.raw(b"\r\n*\r\nDONE\r\n")
    return [] if protocol.closing else talk.send(b"last NOOP")


@settings(max_examples=250, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    state=st.sampled_from(sorted(BEFORE)), parts=said, cuts=st.lists(st.integers(1, 40), max_size=6)
)
def test_any_octets_in_any_state_are_answered(
    make_server: Any, state: str, parts: list[bytes], cuts: list[int]
) -> None:
    """PAR-05, PAR-12, CODE-02: an answer or an end, and nothing in the log that is a fault."""
    server = make_server()
    account = server.accounts.of("amy")
    account.deliver("INBOX", MESSAGE)
    account.deliver("INBOX", MESSAGE)
    with capturedLogs() as events:
        talk = server.connect("imap")
        for each in BEFORE[state]:
            talk.raw(each)
        data = b"".join(parts)
        for at in cuts:
            talk.raw(data[:at])
            data = data[at:]
        talk.raw(data)
        if not talk.protocol.closing:
            limits = POST_AUTH if talk.protocol.logged_in else PRE_AUTH
            room = limits.line + limits.literals_total + (1 << 16)
            assert talk.protocol.framer.buffered <= room
            answers = recovers(talk)
            assert talk.protocol.closing or answers[-1] == b"last OK NOOP completed"
        talk.hang_up()
    assert [each for each in events if each.get("log_failure") is not None] == []
    assert account.sessions == 0


@settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.binary(max_size=300), logged_in=st.booleans())
def test_noise_never_hurts(make_server: Any, data: bytes, logged_in: bool) -> None:
    """PAR-05"""
    server = make_server()
    with capturedLogs() as events:
        talk = server.login("imap") if logged_in else server.connect("imap")
        for at in range(0, len(data), 7):
            talk.raw(data[at : at + 7])
        answers = recovers(talk)
        assert talk.protocol.closing or answers[-1] == b"last OK NOOP completed"
        talk.hang_up()
    assert [each for each in events if each.get("log_failure") is not None] == []
