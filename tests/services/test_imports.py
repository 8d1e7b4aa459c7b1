"""
Mail from elsewhere: how mbox files are read, and that nothing is lost or brought twice, however an
import ends.
"""

from __future__ import annotations

import json
import mailbox
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailaccess.message.lineends import to_crlf
from mailaccess.services.imports.imap import _listed, _name_here
from mailaccess.services.imports.mbox import MboxSource
from mailaccess.services.imports.source import CannotImport, Message

CONFIGURATION = """\
[mail]
home = "{place}/mail/{{user}}"
[[users]]
type = "file"
path = "{place}/users"
[[listener]]
protocol = "imap"
tls = "none"
private = "loopback"
"""


def read(path: Path, data: bytes) -> list[Message]:
    path.write_bytes(data)
    source = MboxSource(str(path))
    try:
        [folder] = source.folders()
        return list(source.messages(folder, ()))
    finally:
        source.close()


LINE = b"From ana@example.org Mon Nov  4 08:00:00 2024\n"


def test_messages_are_parted_at_lines_that_begin_one(tmp_path: Path) -> None:
    """A line that begins with From in the middle of a text is none, with or without the mark."""
    data = (
        LINE
        + b"Subject: one\n\nFrom here on\n\nFrom me to you\n\n>From the quoted\n>>From twice\n\n"
        + LINE.replace(b"08:", b"09:")
        + b"Subject: two\n\nlast line without end"
    )
    one, two = read(tmp_path / "box", data)
    assert one.data == to_crlf(
        b"Subject: one\n\nFrom here on\n\nFrom me to you\n\nFrom the quoted\n>From twice\n"
    )
    assert two.data == b"Subject: two\r\n\r\nlast line without end"
    assert (one.date, two.date) == (1730707200, 1730710800)


@pytest.mark.parametrize(
    ("header", "flags"),
    [
        (b"Status: RO\nX-Status: AFDT\n", "\\Answered \\Deleted \\Draft \\Flagged \\Seen"),
        (b"status: O\n", ""),
        (b"X-Keywords: $Forwarded work  (bad)\n", "$Forwarded work"),
        (b"X-Mozilla-Status: 0007\nX-Mozilla-Status2: 00000000\n", "\\Answered \\Flagged \\Seen"),
        (b"X-Mozilla-Keys: $label1 $label2     \n", "$label1 $label2"),
        (b"X-Mozilla-Status: zzzz\n", ""),
        (b"X-UID: 7\nX-IMAPbase: 1 2\nContent-Length: 2\n", ""),
    ],
)
def test_flags_come_from_what_programs_wrote_and_the_fields_go(
    tmp_path: Path, header: bytes, flags: str
) -> None:
    [one] = read(tmp_path / "box", LINE + b"Subject: x\n" + header + b"To: y\n\nb\n")
    assert " ".join(one.flags) == flags
    assert one.data == b"Subject: x\r\nTo: y\r\n\r\nb\r\n"


def test_what_is_no_message_is_left_out(tmp_path: Path) -> None:
    """What UW keeps at the start, and what Thunderbird has removed but not yet compacted."""
    data = (
        LINE + b"From: Mail System Internal Data <M@x>\nSubject: DON'T DELETE THIS MESSAGE --"
        b" FOLDER INTERNAL DATA\nX-IMAP: 1 2\n\ntext\n\n"
        + b"From - Mon Nov 04 08:00:00 2024\nX-Mozilla-Status: 0009\nSubject: gone\n\nx\n\n"
        + b"From \nSubject: kept\n\ny\n"
    )
    [kept] = read(tmp_path / "box", data)
    assert kept.data == b"Subject: kept\r\n\r\ny\r\n"
    assert kept.date is None


def test_a_length_that_can_be_true_is_believed(tmp_path: Path) -> None:
    """So that a whole mbox in a message stays whole; a wrong one is not."""
    inner = b"x\n\n" + LINE + b"Subject: inner\n\ny\n"
    header = b"Subject: outer\nContent-Length: %d\n\n"
    both = LINE + header % len(inner) + inner + b"\n" + LINE + b"Subject: next\n\nz\n"
    outer, following = read(tmp_path / "box", both)
    assert b"inner" in outer.data
    assert following.data.startswith(b"Subject: next")
    for wrong in (1, 5, 10**9, 10**30):
        assert len(read(tmp_path / "box", LINE + header % wrong + inner)) == 2


def test_crlf_files_are_read_like_others(tmp_path: Path) -> None:
    data = to_crlf(LINE + b"Subject: a\nStatus: R\n\n>From x\n\n" + LINE + b"Subject: b\n\ny\n")
    one, two = read(tmp_path / "box", data)
    assert one.data == b"Subject: a\r\n\r\nFrom x\r\n"
    assert one.flags == ("\\Seen",)
    assert two.data == b"Subject: b\r\n\r\ny\r\n"


def test_keys_stay_when_other_messages_go(tmp_path: Path) -> None:
    """So that a file that a mail program has written anew brings only what is new in it."""
    parts = [LINE + b"Subject: %d\n\nx\n\n" % (number // 2) for number in range(6)]
    whole = read(tmp_path / "box", b"".join(parts))
    assert len({each.key for each in whole}) == 6
    fewer = read(tmp_path / "box", b"".join(parts[2:]))
    assert [each.key for each in fewer] == [each.key for each in whole[2:]]


@given(
    st.lists(
        st.sampled_from(
            [LINE, b"\n", b"\r\n", b"From ", b">From x\n", b"Content-Length: 9\n", b"a: b\n", b"x"]
        ),
        max_size=20,
    )
)
def test_whatever_is_in_a_file_is_read_to_its_end(pieces: Sequence[bytes]) -> None:
    path = Path(os.environ.get("TMPDIR", "/tmp")) / f"mbox-{os.getpid()}"
    data = LINE + b"".join(pieces)
    try:
        found = read(path, data)
    finally:
        path.unlink()
    assert 1 <= len(found) <= data.count(b"From ")
    assert found[-1].fraction <= 1.0


def test_a_directory_has_a_folder_for_each_file(tmp_path: Path) -> None:
    """As Pine and as Thunderbird lay them out; what is no mbox file is told and left."""
    (tmp_path / "Lists.sbd").mkdir()
    for name in ("inbox", "Lists", "Lists.sbd/Zürich", "Lists.msf", ".hidden"):
        text = b"// mork\n" if name.endswith("msf") else LINE + b"Subject: x\n\ny\n"
        (tmp_path / name).write_bytes(text)
    (tmp_path / "empty").touch()
    source = MboxSource(str(tmp_path), "Old")
    names = {each.name for each in source.folders()}
    assert names == {"Old/inbox", "Old/Lists", "Old/Lists/Zürich", "Old/empty"}
    assert [each.split("/")[-1] for each in source.left_out] == [
        "Lists.msf: no mbox file, it does not begin with a From line"
    ]
    source.close()
    source = MboxSource(str(tmp_path))
    assert "INBOX" in {each.name for each in source.folders()}
    source.close()
    for wrong in ("nowhere", "Lists.msf"):
        with pytest.raises(CannotImport, match=wrong):
            MboxSource(str(tmp_path / wrong)).folders()


@pytest.mark.parametrize(
    ("answer", "prefix", "name"),
    [
        (rb'(\HasNoChildren) "." INBOX.Sent', b"INBOX.", "Sent"),
        (rb'(\HasNoChildren) "." "INBOX.a.b"', b"INBOX.", "a/b"),
        (rb'() "." "a/b"', b"", "a_b"),
        (rb'() "/" "Entw&APw-rfe/2024"', b"", "Entwürfe/2024"),
        (rb'() "\\" "a\\b"', b"", "a/b"),
        (rb'() NIL "a.b"', b"", "a.b"),
        ((rb'() "/" {5}', b'q"u\\x'), b"", 'q"u\\x'),
        (rb'() "/" "q\"u"', b"", 'q"u'),
        (rb'() "/" inbox', b"", "INBOX"),
        (b'() "/" "8-bit \xc3\xbc"', b"", "8-bit ü"),
    ],
)
def test_names_of_other_servers_become_ours(answer: Any, prefix: bytes, name: str) -> None:
    raw, delimiter, _ = _listed(answer)
    assert _name_here(raw, delimiter, prefix) == name


# ---- the whole way -------------------------------------------------------------------------------


@pytest.fixture
def place() -> Iterator[Path]:
    """
    Root is refused, as the mail would be root's: then it belongs to somebody else, for whom the way
    there has to be open.
    """
    place = Path(tempfile.mkdtemp(prefix="mailaccess-import-"))
    place.chmod(0o711)
    (place / "mail" / "amy").mkdir(parents=True)
    (place / "users").write_text("amy:{NONE}::::::\n")
    (place / "mailaccess.toml").write_text(CONFIGURATION.format(place=place))
    if os.geteuid() == 0:
        for each in (place / "mail", place / "mail" / "amy"):
            os.chown(each, 65534, -1)
    yield place
    shutil.rmtree(place)


def command(place: Path, *words: str | Path) -> list[str]:
    tool = str(Path(sys.executable).parent / "mailaccess")
    given = ["import", place / "mailaccess.toml", "amy", "--json", *words]
    return [tool, *map(str, given)]


def bring(place: Path, *words: str | Path, status: int = 0) -> dict[str, Any]:
    done = subprocess.run(command(place, *words), capture_output=True, text=True, check=False)
    assert done.returncode == status, done.stdout + done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def filled(path: Path, count: int) -> Path:
    box = mailbox.mbox(path)
    for number in range(count):
        box.add(f"Subject: {number}\n\nText of {number}\n{'x' * (number % 50)}\n".encode())
    box.flush()
    return path


def stored(place: Path) -> Counter[str]:
    """
    Subjects in the account.
    """
    found: Counter[str] = Counter()
    for each in ("cur", "new"):
        for path in (place / "mail" / "amy" / each).iterdir():
            found[path.read_bytes().split(b"\n")[0].decode()] += 1
    return found


def journal(place: Path) -> Path:
    [path] = (place / "mail" / "amy" / "mailaccess").glob("import-*.log")
    return path


def test_an_import_brings_everything_once(place: Path) -> None:
    """DS-01: and the next time only what has come since."""
    box = filled(place / "box", 300)
    assert sum(each["messages"] for each in bring(place, "mbox", box)["mailboxes"]) == 300
    again = bring(place, "mbox", box)["mailboxes"]
    assert [(each["messages"], each["already"]) for each in again] == [(0, 300)]
    more = mailbox.mbox(box)
    more.add(b"Subject: more\n\nx\n")
    more.remove(0)
    more.flush()
    assert bring(place, "mbox", box)["mailboxes"][0]["messages"] == 1
    assert stored(place) == Counter([*(f"Subject: {each}" for each in range(300)), "Subject: more"])


def test_an_import_that_was_killed_goes_on(place: Path) -> None:
    """DS-01, DS-02: nothing is missing and nothing is there twice, wherever it was."""
    box = filled(place / "box", 1500)
    for batches in (1, 3):
        process = subprocess.Popen(command(place, "mbox", box), stdout=subprocess.DEVNULL)
        directory = place / "mail" / "amy" / "mailaccess"
        while process.poll() is None:
            found = list(directory.glob("import-*.log"))
            if found and found[0].read_bytes().count(b'"end"') >= batches:
                break
            time.sleep(0.01)
        process.send_signal(signal.SIGKILL)
        process.wait()
    bring(place, "mbox", box)
    assert stored(place) == Counter(f"Subject: {each}" for each in range(1500))


def test_a_batch_whose_end_was_not_noted_is_looked_for(place: Path) -> None:
    """DS-02: made durable, then the lights went out: it is found by its content."""
    box = filled(place / "box", 20)
    bring(place, "mbox", box)
    path = journal(place)
    lines = path.read_bytes().splitlines(keepends=True)
    assert b'"end"' in lines[-1]
    path.write_bytes(b"".join(lines[:-1]) + lines[-1][:5])
    assert bring(place, "mbox", box)["mailboxes"][0]["messages"] == 0
    assert sum(stored(place).values()) == 20
    # And one that never became durable is brought.
    path.write_bytes(b"".join(lines[:-1]))
    for each in ("cur", "new"):
        for message in (place / "mail" / "amy" / each).iterdir():
            message.unlink()
    assert bring(place, "mbox", box)["mailboxes"][0]["messages"] == 20
    assert sum(stored(place).values()) == 20


def test_what_cannot_be_kept_is_told(place: Path) -> None:
    """The limits of the server hold for imports, too."""
    with (place / "mailaccess.toml").open("a") as file:
        file.write('[limits]\nmessage_size = "1M"\n')
    box = mailbox.mbox(place / "box")
    box.add(b"Subject: big\n\n" + b"x" * 75 * (1 << 14))
    box.add(b"Subject: small\n\nx\n")
    box.flush()
    found = bring(place, "mbox", place / "box", status=1)
    assert stored(place) == Counter(["Subject: small"])
    assert "message_size" in found["left_out"][0]


def test_a_password_does_not_leave_the_machine_in_the_clear(place: Path) -> None:
    """TLS-01"""
    tool = command(place, "imap", "192.0.2.1", "--tls", "none", "--password-file", place / "users")
    done = subprocess.run(tool, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "in the clear" in done.stderr
