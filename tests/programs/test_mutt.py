"""
mutt in a terminal: somebody reads, flags and deletes.
"""

from __future__ import annotations

import contextlib
import imaplib
import re
import subprocess
from collections.abc import Iterator

import pytest

from .running import Desk, program, until

MESSAGES = (
    b"From: Ana <ana@example.org>\nSubject: first\nMessage-ID: <1@x>\n"
    b"Date: Mon, 4 Nov 2024 08:00:00 +0000\n\nPlain words.\n",
    b"From: =?utf-8?q?J=C3=B6rg?= <joerg@example.org>\nSubject: =?utf-8?q?Gr=C3=BC=C3=9Fe?=\n"
    b"Message-ID: <2@x>\nDate: Mon, 4 Nov 2024 09:00:00 +0000\n"
    b"MIME-Version: 1.0\nContent-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: 8bit\n"
    b"\n" + "Schöne Grüße aus Köln, 日本語 auch.\n".encode(),
    b"From: Bo <bo@example.org>\nSubject: to be deleted\nMessage-ID: <3@x>\n"
    b"Date: Mon, 4 Nov 2024 10:00:00 +0000\n\nGone soon.\n",
    b"From: Cy <cy@example.org>\nSubject: stays unread\nMessage-ID: <4@x>\n"
    b"Date: Mon, 4 Nov 2024 11:00:00 +0000\n\nStill here.\n",
)


class Terminal:
    """
    A screen of its own, with what runs on it.
    """

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._tmux = [program("tmux"), "-S", str(desk.home / "tmux"), "-f", "/dev/null"]

    def start(self, command: str) -> None:
        self._do("new-session", "-d", "-s", "mail", "-x", "100", "-y", "30", command)

    def _do(self, *words: str) -> str:
        return subprocess.run(
            [*self._tmux, *words],
            env=self._desk.environment,
            cwd=self._desk.home,
            capture_output=True,
            text=True,
            check=True,
        ).stdout

    def press(self, *keys: str) -> None:
        self._do("send-keys", "-t", "mail", *keys)

    def screen(self) -> str:
        return self._do("capture-pane", "-p", "-t", "mail")

    def shows(self, pattern: str) -> str:
        """
        Wait until it does.
        """
        seen = [""]

        def found() -> bool:
            seen[0] = self.screen()
            return re.search(pattern, seen[0], re.MULTILINE) is not None

        try:
            until(found)
        except AssertionError:
            raise AssertionError(f"no {pattern!r} on\n{seen[0]}") from None
        return seen[0]

    def end(self) -> None:
        subprocess.run([*self._tmux, "kill-server"], capture_output=True, check=False)


@contextlib.contextmanager
def at_terminal(desk: Desk) -> Iterator[Terminal]:
    """
    Somebody sits there for a while.
    """
    it = Terminal(desk)
    try:
        yield it
    finally:
        it.end()


@pytest.fixture
def terminal(desk: Desk) -> Iterator[Terminal]:
    with at_terminal(desk) as it:
        yield it


@pytest.mark.parametrize(
    ("listener", "more"),
    [
        ("imap", ""),
        ("imaps", ""),
        ("imaps", 'set imap_authenticators = "login"\n'),
        ("imaps", "set imap_qresync = yes\nset imap_condstore = yes\n"),
        ("imaps", "set imap_idle = yes\n"),
    ],
)
def test_mutt_opens_reads_flags_deletes_and_syncs(
    desk: Desk, terminal: Terminal, listener: str, more: str
) -> None:
    person = desk.person
    person.deliver(MESSAGES)
    scheme = "imaps" if listener == "imaps" else "imap"
    desk.write(
        "muttrc",
        f"set folder = {scheme}://{person.name}@localhost:{desk.port(listener)}/\n"
        "set spoolfile = +INBOX\n"
        f'set imap_pass = "{person.password}"\n'
        f"set ssl_ca_certificates_file = {desk.certificate}\n"
        f"set certificate_file = {desk.certificate}\n"
        "set ssl_starttls = yes\nset ssl_force_tls = yes\n"
        f"set header_cache = {desk.home}/cache\n"
        "set delete = yes\nset sort = date\nset charset = utf-8\nset beep = no\n"
        f'set mail_check = 1\nset timeout = 1\nset index_format = "%4C %Z %-15.15L %s"\n{more}',
    )
    (desk.home / "cache").mkdir()
    terminal.start(f"{program('mutt')} -n -F muttrc; echo ended with $?; read wait")
    shown = terminal.shows("stays unread")
    assert re.search(r"2 [NO ]\s+Jörg\s+Grüße", shown), shown
    terminal.press("2", "Enter", "Enter")
    terminal.shows("Schöne Grüße aus Köln, 日本語 auch.")
    terminal.press("i")
    terminal.shows("stays unread")
    terminal.press("F")
    terminal.shows(r"2\s+!\s+Jörg")
    terminal.press("3", "Enter")
    terminal.press("d")
    terminal.shows(r"3\s*\S*D\s+Bo")
    terminal.press("$")
    terminal.shows(r"3\s+\S*\s+Cy")
    # News come while it is open.
    person.deliver([MESSAGES[0].replace(b"first", b"news meanwhile").replace(b"<1@", b"<5@")])
    terminal.shows("news meanwhile")
    # Save a copy: APPEND or COPY into a folder that mutt asks to create.
    terminal.press("1", "Enter")
    terminal.press("C", "C-u", "=Kept", "Enter")
    terminal.shows("Create|create")
    terminal.press("y")
    terminal.shows("[Cc]opied|Kept\\.\\.\\.|1 +.*first")
    until(lambda: person.folder("Kept").is_dir() and person.stored("Kept"), "the copy")
    terminal.press("q")
    terminal.shows("ended with 0")
    with imaplib.IMAP4_SSL(
        "localhost", desk.port("imaps"), ssl_context=desk.server.context()
    ) as it:
        it.login(person.name, person.password)
        it.select(readonly=True)
        _, found = it.fetch("1:*", "(UID FLAGS)")
        flags = {}
        for line in found:
            matched = re.search(rb"UID (\d+).*", line)
            assert matched
            flags[int(matched[1])] = set(re.search(rb"FLAGS \((.*?)\)", line)[1].split())  # type: ignore[index]
        assert set(flags) == {1, 2, 4, 5}
        assert {b"\\Seen", b"\\Flagged"} <= flags[2]
        assert b"\\Seen" not in flags[4]
        assert b"\\Flagged" not in flags[4]
    assert [b"Subject: first" in each for each in person.stored("Kept")] == [True]
