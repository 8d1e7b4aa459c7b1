"""
Imports from what is broken or means harm: answers of other servers, mbox files, the notes of what
was brought. Nothing is left out without being told, and one fault holds up nothing else.
"""

from __future__ import annotations

import contextlib
import fcntl
import mailbox
import os
import re
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from mailaccess.services.imports.imap import IMAPSource, Server
from mailaccess.services.imports.mbox import MboxSource
from mailaccess.services.imports.source import CannotImport, Folder, Message
from mailaccess.services.imports.work import _is_kept
from tests.services.test_imports import LINE, bring, command, filled, journal, place, read, stored

__all__ = ["place"]

Answer = Callable[[str], bytes]
"""Untagged lines and the beginning of the tagged one, for a command."""

FETCHED = (
    b'* 1 FETCH (UID 7 FLAGS (\\Seen) INTERNALDATE "01-Jan-2024 00:00:00 +0000" BODY[] %s)\r\n'
)
SIZED = b"* 1 FETCH (UID 7 RFC822.SIZE 5)\r\n"


def usual(line: str) -> bytes:
    """
    One mailbox with one message.
    """
    if line.startswith("CAPABILITY"):
        return b"* CAPABILITY IMAP4rev1\r\nOK"
    if line.startswith("LIST"):
        return b'* LIST () "/" INBOX\r\nOK'
    if line.startswith("EXAMINE"):
        return b"* 1 EXISTS\r\n* OK [UIDVALIDITY 3] is\r\nOK [READ-ONLY]"
    if line.startswith("UID SEARCH"):
        return b"* SEARCH 7\r\nOK"
    if "RFC822.SIZE" in line:
        return SIZED + b"OK"
    if line.startswith("UID FETCH"):
        return FETCHED % b"{5}\r\na: b\n" + b"OK"
    return b"OK"


class Other:
    """
    Another server, for one connection after the other.
    """

    def __init__(self) -> None:
        self.answer: Answer = usual
        self.said: list[str] = []
        self._socket = socket.create_server(("127.0.0.1", 0))
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def source(self, most: int = 1 << 20) -> IMAPSource:
        port = self._socket.getsockname()[1]
        return IMAPSource(
            Server(host="127.0.0.1", port=port, user="u", secret="p", tls="none"), most
        )

    def stop(self) -> None:
        self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        self._thread.join()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            with (
                contextlib.suppress(OSError),
                connection,
                connection.makefile("rwb") as file,
            ):
                self._talk(file)

    def _talk(self, file: object) -> None:
        file.write(b"* OK\r\n")  # type: ignore[attr-defined]
        file.flush()  # type: ignore[attr-defined]
        for raw in file:  # type: ignore[attr-defined]
            tag, _, line = raw.decode("latin-1").rstrip("\r\n").partition(" ")
            self.said.append(line)
            answer = self.answer(line)
            untagged, _, last = answer.rpartition(b"\r\n")
            start = untagged + b"\r\n" if untagged else b""
            file.write(start + tag.encode() + b" " + last + b" done\r\n")  # type: ignore[attr-defined]
            file.flush()  # type: ignore[attr-defined]


@pytest.fixture
def other() -> Iterator[Other]:
    other = Other()
    yield other
    other.stop()


def fetched(source: IMAPSource) -> list[Message]:
    try:
        return [each for folder in source.folders() for each in source.messages(folder, ())]
    finally:
        source.close()


def instead(what: str, answer: bytes) -> Answer:
    """
    The usual, but for commands that begin so.
    """
    return lambda line: answer if re.match(what, line) else usual(line)


def test_a_usual_server_is_read(other: Other) -> None:
    [one] = fetched(other.source())
    assert (one.data, one.flags, one.date) == (b"a: b\r\n", ("\\Seen",), 1704067200)


@pytest.mark.parametrize(
    "literal", [b"{99999999999}\r\n", b"{" + b"9" * 5000 + b"}\r\n", b"{70000000}\r\n"]
)
def test_a_literal_that_claims_all_memory_ends_the_import(other: Other, literal: bytes) -> None:
    """PAR-01: before anything is set aside for it."""
    other.answer = instead("UID FETCH 7 .UID", FETCHED % literal + b"OK")
    with pytest.raises(CannotImport):
        fetched(other.source())


@pytest.mark.parametrize(
    ("what", "answer"),
    [
        ("UID SEARCH", b"* SEARCH 7 x\r\nOK"),
        ("UID SEARCH", b"* SEARCH " + b"9" * 5000 + b"\r\nOK"),
        ("UID FETCH 7 .RFC", b"* 1 FETCH (UID 7 RFC822.SIZE " + b"9" * 5000 + b")\r\nOK"),
        ("EXAMINE", b"* OK [UIDVALIDITY x] is\r\nOK"),
        ("NAMESPACE", b"* NAMESPACE ((((\r\nOK"),
        ("LIST", b"* LIST\r\nOK"),
    ],
)
def test_answers_that_are_no_imap_end_it_in_words(other: Other, what: str, answer: bytes) -> None:
    other.answer = instead(what, answer)
    source = other.source()
    try:
        fetched(source)
    except CannotImport as error:
        assert "127.0.0.1" in str(error)  # noqa: PT017 - some of these can be lived with


@pytest.mark.parametrize(
    "date",
    [b"99-Xyz-2024 00:00:00 +0000", b"01-Jan-1901 00:00:00 +0000", b"01-Jan-0000 00:00:00 +0000"],
)
def test_a_date_that_can_be_none_is_left_out(other: Other, date: bytes) -> None:
    answer = FETCHED.replace(b"01-Jan-2024 00:00:00 +0000", date) % b"{5}\r\na: b\n"
    other.answer = instead("UID FETCH 7 .UID", answer + b"OK")
    [one] = fetched(other.source())
    assert one.date is None


def test_a_message_in_quotes_is_a_message(other: Other) -> None:
    """RFC 9051 section 9: nstring may be quoted; some servers answer so where one is empty."""
    other.answer = instead("UID FETCH 7 .UID", FETCHED % rb'"a: \"b\""' + b"OK")
    [one] = fetched(other.source())
    assert one.data == b'a: "b"'


def test_a_mailbox_that_cannot_be_opened_does_not_hold_up_the_others(other: Other) -> None:
    """Nor does one whose name is not ASCII: some servers never heard of modified UTF-7."""

    def answer(line: str) -> bytes:
        if line.startswith("LIST"):
            return b'* LIST () "/" INBOX\r\n* LIST () "/" Bad\r\n* LIST () "/" "\xc3\xbc"\r\nOK'
        if line.startswith('EXAMINE "Bad"'):
            return b"NO"
        return usual(line)

    other.answer = answer
    source = other.source()
    assert len(fetched(source)) == 2
    assert "Bad" in source.left_out[0]


def test_a_message_that_is_not_given_is_told_and_the_others_come(other: Other) -> None:
    """One that went meanwhile is not."""

    def answer(line: str) -> bytes:
        if line.startswith("UID SEARCH"):
            return b"* SEARCH 7 8 9\r\nOK"
        if "RFC822.SIZE" in line:
            sizes = {uid: b"* 1 FETCH (UID %d RFC822.SIZE 5)\r\n" % uid for uid in (7, 8, 9)}
            if "8,9" in line and "7" not in line:
                del sizes[9]
            return b"".join(sizes.values()) + b"OK"
        if line.startswith("UID FETCH 7 "):
            return usual(line)
        return b"NO" if line.startswith("UID FETCH") else usual(line)

    other.answer = answer
    source = other.source()
    assert [each.key.split(".")[-1] for each in fetched(source)] == ["7"]
    assert source.left_out == ["INBOX: message 8: the other server does not give it"]


def test_a_message_that_is_too_large_is_not_even_fetched(other: Other) -> None:
    other.answer = instead("UID FETCH 7 .RFC", SIZED.replace(b"5)", b"2000000)") + b"OK")
    source = other.source(most=1_000_000)
    assert fetched(source) == []
    assert "message_size" in source.left_out[0]
    assert not any("BODY" in line for line in other.said)


def test_mailboxes_that_meet_bring_all_their_messages(other: Other) -> None:
    """Also with one UIDVALIDITY and the same UIDs, as those that were made in one second have."""
    other.answer = instead("LIST", b'* LIST () "/" "a/b"\r\n* LIST () "." "a.b"\r\nOK')
    source = other.source()
    done: set[str] = set()
    for folder in source.folders():
        assert folder.name == "a/b"
        done |= {each.key for each in source.messages(folder, done)}
    source.close()
    assert len(done) == 2
    assert "they meet" in source.left_out[0]


def test_a_password_that_cannot_be_sent_is_not_shown(other: Other) -> None:
    """LOG-01"""
    port = other._socket.getsockname()[1]
    source = IMAPSource(
        Server(host="127.0.0.1", port=port, user="u", secret="pässword", tls="none")
    )
    with pytest.raises(CannotImport) as caught:
        source.folders()
    assert "ASCII" in str(caught.value)
    assert "pässword" not in str(caught.value)


@pytest.mark.parametrize("flag", ["a(b", 'a"b', "{5}", "a\\b", "a%", "é", "a]", "\\Odd", "x" * 101])
def test_no_flag_comes_that_could_not_be_told_to_clients(flag: str) -> None:
    """Else each answer with FLAGS would be broken, or say what the other server wants."""
    assert not _is_kept(flag, keywords=True)
    assert _is_kept("$Forwarded", keywords=True)


# ---- mbox files ----------------------------------------------------------------------------------


def test_links_are_not_followed_for_somebody_who_may_not_read_their_ends(tmp_path: Path) -> None:
    """PATH-04: root reads the files; what is brought is the user's."""
    secret = tmp_path / "secret"
    secret.write_bytes(LINE + b"Subject: not yours\n\nx\n")
    mail = tmp_path / "mail"
    mail.mkdir()
    (mail / "own").write_bytes(LINE + b"Subject: x\n\nx\n")
    (mail / "link").symlink_to(secret)
    (mail / "below").symlink_to(tmp_path)
    os.mkfifo(mail / "fifo")
    source = MboxSource(str(mail))
    assert [each.name for each in source.folders()] == ["own"]
    assert any("link" in each for each in source.left_out)
    source.close()
    for each in (mail / "link", mail / "below", mail / "fifo", mail / "none"):
        with pytest.raises(CannotImport):
            MboxSource(str(each)).folders()


def test_a_flag_that_was_set_in_the_file_makes_no_other_message(tmp_path: Path) -> None:
    """A program that reads mail between two imports writes Status into the file."""
    before = LINE + b"Subject: x\n\ny\n"
    after = LINE + b"Subject: x\nStatus: RO\nX-Keywords: a\nContent-Length: 2\n\ny\n"
    [one], [two] = read(tmp_path / "box", before), read(tmp_path / "box", after)
    assert one.key == two.key
    assert two.flags == ("\\Seen", "a")


def test_a_message_of_any_size_in_a_file_is_skipped_unread(tmp_path: Path) -> None:
    path = tmp_path / "box"
    with path.open("wb") as file:
        file.write(LINE + b"Subject: big\n\n")
        file.truncate(3 << 30)
        file.seek(0, 2)
        file.write(b"\n\n" + LINE + b"Subject: small\n\nx\n")
    source = MboxSource(str(path), most=1 << 20)
    [small] = source.messages(Folder("INBOX", source.folders()[0].place), ())
    source.close()
    assert small.data.startswith(b"Subject: small")
    assert "message_size" in source.left_out[0]


# ---- notes ---------------------------------------------------------------------------------------


def test_notes_that_are_damaged_bring_nothing_twice(place: Path) -> None:
    """DS-05: it is said where, and what to do."""
    box = filled(place / "box", 450)
    bring(place, "mbox", box)
    path = journal(place)
    good = path.read_bytes()
    lines = good.splitlines(keepends=True)
    assert len(lines) > 5
    for wrong in (b"\0" * 20 + b"\n", b"{}\n", b'{"begin": 1}\n', b'{"end": [7]}\n', b"[]\n"):
        path.write_bytes(b"".join([*lines[:3], wrong, *lines[4:]]))
        assert ":4: is damaged" in bring(place, "mbox", box, status=2)["failure"], wrong
        assert path.read_bytes().count(b"\n") == len(lines)
    # What a power cut leaves at the end is none.
    path.write_bytes(good + b"\0" * 100)
    assert bring(place, "mbox", box)["mailboxes"][0]["messages"] == 0
    assert sum(stored(place).values()) == 450


def test_two_imports_from_one_place_do_not_run_at_once(place: Path) -> None:
    box = filled(place / "box", 3)
    bring(place, "mbox", box)
    with journal(place).open("rb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        assert "is running" in bring(place, "mbox", box, status=2)["failure"]


# ---- limits --------------------------------------------------------------------------------------


def test_an_import_keeps_to_the_limits_of_the_account(place: Path) -> None:
    """Those of the record, and those of the tables; and it goes on when there is room."""
    users = place / "users"
    before = users.read_text()
    users.write_text(before.replace("::::::", "::::::quota=250C"))
    box = filled(place / "box", 450)
    assert "uota" in bring(place, "mbox", box, status=2)["failure"]
    assert sum(stored(place).values()) == 200
    users.write_text(before.replace("::::::", "::::::quota=500C"))
    bring(place, "mbox", box)
    assert sum(stored(place).values()) == 450


def test_mail_comes_to_where_the_user_s_record_says(place: Path) -> None:
    """Whoever the command names as the user logs in; a name that nobody has is refused."""
    elsewhere = place / "mail" / "elsewhere"
    elsewhere.mkdir()
    os.chown(elsewhere, (place / "mail" / "amy").stat().st_uid, -1)
    (place / "users").write_text(f"amy:{{NONE}}:1:1::{elsewhere}:\n")
    filled(place / "box", 3)
    words = command(place, "mbox", place / "box")
    for name, status in (("amy", 0), ("ammy", 1)):
        words[3] = name
        done = subprocess.run(words, capture_output=True, text=True, check=False)
        assert done.returncode == status, done.stderr
    assert "knows the name" in done.stderr
    assert len(list((elsewhere / "cur").iterdir())) == 3
    assert sorted(each.name for each in (place / "mail").iterdir()) == ["amy", "elsewhere"]


def test_mail_that_nobody_would_see_is_not_brought(place: Path) -> None:
    """A folder whose name leads into a namespace is told."""
    (place / "public").mkdir()
    with (place / "mailaccess.toml").open("a") as file:
        file.write(
            f'[[namespace]]\nprefix = "Public/"\npath = "{place}/public"\nread_only = true\n'
        )
    (place / "old" / "Public").mkdir(parents=True)
    for name in ("Public/News", "Publicity"):
        box = mailbox.mbox(place / "old" / name)
        box.add(b"Subject: x\n\ny\n")
        box.flush()
    found = bring(place, "mbox", place / "old", status=1)
    assert "Public/" in found["left_out"][0]
    assert {each.name for each in (place / "mail" / "amy").glob(".P*")} == {".Publicity"}


# ---- as root -------------------------------------------------------------------------------------


def test_what_root_mends_belongs_to_the_owner_of_the_mail(place: Path) -> None:
    """PATH-04: else the server could not write its own record."""
    bring(place, "mbox", filled(place / "box", 3))
    maildir = place / "mail" / "amy"
    (maildir / "mailaccess-uidlist").write_bytes(b"\xff" * 50)
    index = maildir / "mailaccess" / "index.db"
    index.write_bytes(b"\0" * index.stat().st_size)
    tool = str(Path(sys.executable).parent / "mailaccess")
    words = ["fsck", place / "mailaccess.toml", "amy", "--repair"]
    done = subprocess.run([tool, *words], capture_output=True, text=True, check=False)
    assert "mended" in done.stdout, done.stdout + done.stderr
    owner = maildir.stat().st_uid
    assert {each.stat().st_uid for each in maildir.rglob("*")} == {owner}
