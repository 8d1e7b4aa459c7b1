"""
Whatever a client sends, in whatever state: no fault of ours, no silence, no heap of octets.
"""

from __future__ import annotations

from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from twisted.logger import capturedLogs

from mailaccess.protocols.pop3.options import POP3Options
from mailaccess.protocols.pop3.registry import table
from mailaccess.testing.talk import Talk

BEFORE = {
    "authorization": [],
    "after USER": [b"USER amy"],
    "in an exchange": [b"AUTH PLAIN"],
    "transaction": [b"USER amy", b"PASS secret"],
    "after DELE": [b"USER amy", b"PASS secret", b"DELE 1"],
}

KEYWORDS = [name.encode("ascii") for name in sorted(table.commands) if name not in ("QUIT", "STLS")]

argument = st.one_of(
    st.sampled_from(
        [b"1", b"2", b"3", b"0", b"-1", b"4294967296", b"01", b"amy", b"secret", b"PLAIN"]
    ),
    st.sampled_from(
        [b"LOGIN", b"=", b"AGFteQBzZWNyZXQ=", b"=AAA", b"AAA=BBB", b"*", b"\xff\x00", b"en"]
    ),
    st.binary(max_size=20),
    st.builds(lambda n: b"x" * n, st.integers(240, 300)),
)
line = st.builds(
    lambda words, end: b" ".join(words) + end,
    st.one_of(
        st.builds(lambda k, a: [k, *a], st.sampled_from(KEYWORDS), st.lists(argument, max_size=3)),
        st.lists(argument, max_size=3),
    ),
    st.sampled_from([b"\r\n", b"\r\n", b"\r\n", b"\n", b"\r", b"\r\r\n", b""]),
)


def recovers(talk: Talk) -> bool:
    """
    End what may be running; whether there is an end or an answer to what follows.
    """
    if not talk.protocol.closing:
        talk.raw(b"\r\n*\r\n")
    answers = [] if talk.protocol.closing else talk.send(b"CAPA")
    return talk.protocol.closing or answers[-1] == b"."


@settings(max_examples=250, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    state=st.sampled_from(sorted(BEFORE)),
    parts=st.lists(line, max_size=8),
    apop=st.booleans(),
    cuts=st.lists(st.integers(1, 40), max_size=6),
)
def test_any_lines_in_any_state_are_answered(
    make_server: Any, state: str, parts: list[bytes], apop: bool, cuts: list[int]
) -> None:
    """PAR-05, PAR-12, DS-15: an answer or an end, and nothing is removed without QUIT."""
    server = make_server()
    account = server.accounts.of("amy")
    for subject in (b"one", b"two"):
        account.deliver("INBOX", b"Subject: " + subject + b"\r\n\r\n.\r\n" + subject)
    with capturedLogs() as events:
        talk = server.connect("pop3", pop3=POP3Options(apop=apop))
        talk.send(*BEFORE[state])
        data = b"".join(parts)
        for at in cuts:
            talk.raw(data[:at])
            data = data[at:]
        talk.raw(data)
        assert talk.protocol.framer.buffered <= 1 << 16
        assert recovers(talk)
        talk.hang_up()
    assert [each for each in events if each.get("log_failure") is not None] == []
    assert account.sessions == 0
    again = server.login("pop3")
    assert again.send(b"STAT") == [b"+OK 2 44"]
