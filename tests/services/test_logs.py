"""
Lines of the log: what they say, and what nobody can make them say.
"""

from __future__ import annotations

import io
import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from twisted.logger import LogEvent, Logger, LogPublisher
from twisted.python.failure import Failure

from mailaccess.services.logs import LINES, LogWriter, json_line, key_value_line
from mailaccess.services.repeats import Repeats

FILTER = Path(__file__).parents[2] / "docs" / "howto" / "files" / "mailaccess.conf"

FORGERIES = [
    "bob\r\nlogin ok",
    'amy" rip=192.0.2.9 x="',
    'amy\\" rip=192.0.2.9 x=\\"',
    "amy listener=imaps method=PLAIN rip=192.0.2.9",
    "\x1b[2J\x1b]0;owned\x07",
    "\u2028event=login user=root",
    "\u202eyma",
    "\x00",
    "time=2026-11-22T10:00:00.000Z event=failed",
    "",
]


def logged(line: Any = key_value_line, level: str = "info", text: str = "x", **event: Any) -> str:
    """
    What a protocol's logger leaves in the log.
    """
    stream = io.StringIO()
    publisher = LogPublisher(LogWriter(line, stream))
    getattr(Logger(namespace="mailaccess.login", observer=publisher), level)(text, **event)
    return stream.getvalue()


def failed_login(**more: Any) -> dict[str, Any]:
    event = {
        "event": "failed",
        "reason": "AuthenticationFailed",
        "rip": "192.0.2.7",
        "tls": "TLSv1.3 TLS_AES_256_GCM_SHA384",
        "lip": "192.0.2.1",
        "method": "PLAIN",
        "listener": "imaps",
        "user": "amy",
        "session": "4f-1",
    }
    return event | more


def words(line: str) -> dict[str, str]:
    """
    Keys and values, read by the rule that the module gives.
    """
    pairs = re.findall(r'([a-z_]+)=("(?:[^"\\]|\\.)*"|[^\s"]+)(?: |\n)', line)
    assert "".join(f"{key}={value} " for key, value in pairs).rstrip() + "\n" == line
    assert len({key for key, _ in pairs}) == len(pairs)
    return dict(pairs)


def test_keys_stand_in_a_fixed_order() -> None:
    line = logged(**failed_login(zeal=1, attempt=2))
    assert list(words(line)) == [
        *("time", "event", "session", "user", "listener", "method", "rip", "lip", "tls", "reason"),
        *("attempt", "zeal"),
    ]
    assert words(line)["user"] == '"amy"'
    assert re.match(r"time=\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z event=failed ", line)


def test_json_has_the_same_keys_in_the_same_order() -> None:
    line = logged(json_line, **failed_login(octets=3))
    found = json.loads(line)
    assert list(found) == list(words(logged(**failed_login(octets=3))))
    assert found["octets"] == 3


@pytest.mark.parametrize("user", FORGERIES)
@pytest.mark.parametrize("line", LINES.values(), ids=LINES)
def test_names_that_clients_make_up_stay_inside_their_value(user: str, line: Any) -> None:
    """AUTH-10: no line breaks, no escapes for terminals, no keys of their own."""
    text = logged(line, **failed_login(user=user))
    assert text.count("\n") == 1
    assert text[:-1].isprintable()
    if line is json_line:
        found = json.loads(text)
        assert found["user"] == user
        assert found["rip"] == "192.0.2.7"
    else:
        found = words(text)
        assert found["rip"] == "192.0.2.7"
        assert found["event"] == "failed"


@given(st.text(max_size=40), st.text(max_size=40))
def test_no_text_forges_a_key(user: str, detail: str) -> None:
    """AUTH-10."""
    found = words(logged(**failed_login(user=user, detail=detail)))
    assert found["rip"] == "192.0.2.7"
    assert found["event"] == "failed"
    assert "injected" not in found


def test_secrets_are_hidden_under_every_usual_key() -> None:
    """AUTH-10: even if some code logs them."""
    for key in ("password", "secret", "token", "credentials", "response"):
        for line in LINES.values():
            assert "hunter2" not in logged(line, **failed_login(**{key: "hunter2"}))


def test_values_are_bounded() -> None:
    """AB-13: a long name does not fill the disk."""
    assert len(logged(**failed_login(user="x" * 100_000))) < 1500


def test_octets_in_values_are_written_as_text() -> None:
    assert words(logged(**failed_login(user=b"am\xff")))["user"] == '"am\\\\xff"'


def test_other_messages_become_one_line_each() -> None:
    found = words(logged(level="warn", text="two\nlines {x}", x='"'))
    assert found["event"] == "log"
    assert found["level"] == "warn"
    assert found["text"] == '"two\\u000alines \\""'


def test_a_traceback_is_one_line_and_has_its_end() -> None:
    try:
        raise ValueError("deep\ninside")
    except ValueError:
        text = logged(level="critical", text="broke", log_failure=Failure())
    found = words(text)
    assert "ValueError" in found["failure"]
    assert text.count("\n") == 1


def test_an_event_that_cannot_be_formatted_is_no_fault() -> None:
    assert "event=log" in logged(text="{missing.attribute}")


def test_the_file_can_be_rotated(tmp_path: Path) -> None:
    path = tmp_path / "mail.log"
    writer = LogWriter(key_value_line, path=str(path))
    event: LogEvent = {"event": "login", "log_time": 0.0}
    writer(event)
    path.rename(tmp_path / "mail.log.1")
    writer(event)
    writer.reopen()
    writer(event)
    assert (tmp_path / "mail.log.1").read_text().count("event=login") == 2
    assert path.read_text() == "time=1970-01-01T00:00:00.000Z event=login\n"
    assert path.stat().st_mode & 0o007 == 0


def test_a_stream_that_fails_does_not_stop_the_server() -> None:
    class Full(io.StringIO):
        def write(self, text: str) -> int:
            raise OSError(28, "No space left on device")

    LogWriter(key_value_line, Full())({"event": "login"})


def fail2ban(path: Path) -> set[str]:
    """
    The lines that fail2ban takes for failures.
    """
    done = subprocess.run(
        ["fail2ban-regex", "--print-all-matched", str(path), str(FILTER)],
        capture_output=True,
        text=True,
        check=True,
    )
    matched = done.stdout.partition("Matched line(s):")[2].partition("`-")[0]
    return {line[3:] for line in matched.splitlines() if line.startswith("|  time=")}


@pytest.mark.programs
def test_fail2ban_counts_failures_and_nothing_else(tmp_path: Path) -> None:
    """AB-14: with its own tool, on lines as the server writes them."""
    hits = [
        logged(**failed_login()),
        logged(**failed_login(rip="2001:db8::1", method="LOGIN command", session="a-9")),
        *(logged(**failed_login(user=user)) for user in FORGERIES),
    ]
    others = [
        logged(**failed_login(event="login")),
        logged(**failed_login(event="refused")),
        logged(**failed_login(event="login", user=hits[0].strip())),
        logged(text=hits[0].strip()),
    ]
    path = tmp_path / "mail.log"
    path.write_text("".join(hits + others))
    assert fail2ban(path) == {line.strip() for line in hits}


@pytest.mark.programs
def test_fail2ban_sees_the_address_of_the_connection(tmp_path: Path) -> None:
    """AB-14: whatever address the user name speaks of."""
    path = tmp_path / "mail.log"
    path.write_text("".join(logged(**failed_login(user=user)) for user in FORGERIES))
    done = subprocess.run(
        ["fail2ban-regex", "--out", "ip", str(path), str(FILTER)],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.split() == ["192.0.2.7"] * len(FORGERIES)


def flood(writer: LogWriter, count: int, kind: str = "failed", **more: Any) -> None:
    for number in range(count):
        writer({"event": kind, "log_time": 1000.0 + number / 1000, "rip": "192.0.2.7", **more})


def test_what_an_address_repeats_is_counted_instead_of_written() -> None:
    """AB-13: a hundred thousand failures a minute are some lines and a count."""
    stream = io.StringIO()
    writer = LogWriter(key_value_line, stream, repeats=30)
    flood(writer, 50_000)
    assert stream.getvalue().count("event=failed") == 30
    writer({"event": "failed", "log_time": 1001.0, "rip": "192.0.2.8"})
    writer({"event": "connect", "log_time": 1001.0, "rip": "192.0.2.7"})
    assert stream.getvalue().count("\n") == 32
    writer({"event": "listen", "log_time": 1060.0})
    lines = stream.getvalue().splitlines()
    assert len(lines) == 34
    assert "event=repeated rip=192.0.2.7 count=49970 of=failed" in lines[-2]
    flood(writer, 31)
    assert stream.getvalue().count("event=failed") == 61


def test_a_network_of_ipv6_is_one_that_repeats() -> None:
    """AB-13"""
    stream = io.StringIO()
    writer = LogWriter(key_value_line, stream, repeats=30)
    for number in range(100):
        flood(writer, 1, rip=f"2001:db8::{number:x}")
    assert stream.getvalue().count("event=failed") == 30


def test_a_login_is_written_whatever_was_repeated() -> None:
    """AB-13: and everything that is no event of an address."""
    stream = io.StringIO()
    writer = LogWriter(key_value_line, stream, repeats=1)
    flood(writer, 100, "login")
    writer({"log_format": "something else", "log_time": 1000.0})
    assert stream.getvalue().count("\n") == 101
    everything = io.StringIO()
    flood(LogWriter(key_value_line, everything, repeats=0), 100)
    assert everything.getvalue().count("\n") == 100


def test_what_is_remembered_of_a_flood_is_bounded() -> None:
    """AB-13: from however many addresses; what was counted of those forgotten is written."""
    repeats = Repeats(1, size=10)
    written = [
        each
        for number in range(1000)
        for _ in range(3)
        for each in repeats.written(
            {"event": "failed", "log_time": 1.0, "rip": f"10.0.{number // 250}.{number % 250}"}
        )
    ]
    assert len(repeats) == 10
    assert sum(each.get("count", 0) for each in written) == 990 * 2
