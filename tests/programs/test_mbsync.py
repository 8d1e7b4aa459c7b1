"""
mbsync keeps a copy of the mail, and changes on both sides meet.
"""

from __future__ import annotations

import imaplib
import re
from pathlib import Path

import pytest

from mailaccess.wire import utf7

from .running import Desk, Server, Site, corpus

LAYERS = pytest.mark.parametrize("layer", [("imap", "STARTTLS"), ("imaps", "IMAPS")], ids=str)

CONFIG = """\
IMAPAccount server
Host localhost
Port {port}
User {user}
Pass {password}
SSLType {layer}
CertificateFile {certificate}

IMAPStore far
Account server

MaildirStore near
Path {home}/mail/
Inbox {home}/mail/INBOX
SubFolders Verbatim

Channel all
Far :far:
Near :near:
Patterns *
Create Both
Remove Both
Expunge Both
SyncState *
CopyArrivalDate yes
"""


def mbsync(desk: Desk, layer: tuple[str, str], port: int = 0) -> str:
    (desk.home / "mail").mkdir(exist_ok=True)
    config = desk.write(
        "mbsyncrc",
        CONFIG.format(
            port=port or desk.port(layer[0]),
            user=desk.person.name,
            password=desk.person.password,
            layer=layer[1],
            certificate=desk.certificate,
            home=desk.home,
        ),
    )
    done = desk.run("mbsync", "-V", "-c", config, "all")
    said = (done.stdout + done.stderr).decode("utf-8", "replace")
    assert "Error" not in said, said
    assert "Warning" not in said, said
    return said


def near(desk: Desk, folder: str) -> dict[Path, bytes]:
    """
    What lies here, but for a line of its own that mbsync adds.
    """
    directory = desk.home / "mail" / folder
    files = [path for part in ("cur", "new") for path in (directory / part).iterdir()]
    return {
        path: re.sub(rb"^X-TUID: .{12}\n", b"", path.read_bytes(), count=1, flags=re.M)
        for path in files
    }


def as_here(data: bytes) -> bytes:
    """
    In files of its own mbsync leaves out each CR, also one that ends no line.
    """
    return data.replace(b"\r", b"")


def flags_here(desk: Desk, folder: str) -> dict[bytes, str]:
    return {data: path.name.partition(":2,")[2] for path, data in near(desk, folder).items()}


def flags_there(desk: Desk, folder: str) -> dict[bytes, str]:
    """
    By message, as the letters of a Maildir.
    """
    letters = {"Seen": "S", "Flagged": "F", "Answered": "R", "Draft": "D", "Deleted": "T"}
    found = {}
    with imap(desk) as it:
        it.select(folder, readonly=True)
        _, answer = it.fetch("1:*", "(FLAGS BODY.PEEK[])")
        for each in answer:
            if isinstance(each, tuple):
                flags = re.search(rb"FLAGS \(([^)]*)\)", each[0])
                assert flags
                names = flags[1].decode().replace("\\", "").split()
                found[re.sub(rb"^X-TUID: .{12}\n", b"", as_here(each[1]), count=1, flags=re.M)] = (
                    "".join(sorted(letters[n] for n in names if n in letters))
                )
    return found


def imap(desk: Desk, server: Server | None = None) -> imaplib.IMAP4_SSL:
    server = server or desk.server
    it = imaplib.IMAP4_SSL("localhost", server.ports["imaps"], ssl_context=server.context())
    it.login(desk.person.name, desk.person.password)
    return it


@LAYERS
def test_mbsync_pulls_the_corpus_and_both_sides_meet(desk: Desk, layer: tuple[str, str]) -> None:
    """Files equal octet for octet; a second time nothing moves."""
    expected = desk.person.deliver_all()
    desk.person.deliver([], "Leer")
    mbsync(desk, layer)
    assert (desk.home / "mail/Leer/cur").is_dir()
    for folder, messages in expected.items():
        assert sorted(near(desk, folder_here(folder)).values()) == sorted(map(as_here, messages)), (
            folder
        )
    untouched = _times(desk)
    said = mbsync(desk, layer)
    assert "Synchronizing" in said
    assert _times(desk) == untouched
    for folder in expected:
        assert flags_here(desk, folder_here(folder)) == flags_there(desk, quoted(folder)), folder

    # Here: a flag, a deletion, a message, a folder with one. There: the same of others.
    legacy = corpus("legacy")
    here = {data: path for path, data in near(desk, "INBOX").items()}
    inbox = [as_here(each) for each in expected["INBOX"]]
    flagged = here[inbox[0]]
    flagged.rename(flagged.with_name(flagged.name.partition(":")[0] + ":2,FS"))
    here[inbox[1]].unlink()
    (desk.home / "mail/INBOX/new/1700000001.here.host").write_bytes(b"Subject: from here\n\nhere\n")
    for part in ("cur", "new", "tmp"):
        (desk.home / "mail/New here" / part).mkdir(parents=True)
    (desk.home / "mail/New here/cur/1700000002.here.host:2,S").write_bytes(
        legacy[14].replace(b"\r\n", b"\n")
    )
    with imap(desk) as it:
        it.select()
        it.store("3", "+FLAGS", "\\Answered")
        it.store("4", "+FLAGS", "\\Deleted")
        it.expunge()
        it.create('"New there"')
        it.append('"New there"', "\\Draft", None, b"Subject: from there\r\n\r\nthere\r\n")
        it.append("INBOX", None, None, b"Subject: new in INBOX\r\n\r\nnew\r\n")
        it.delete("Leer")
    mbsync(desk, layer)
    mbsync(desk, layer)
    present = [
        *inbox[:1],
        *inbox[2:3],
        *inbox[4:],
        b"Subject: from here\n\nhere\n",
        b"Subject: new in INBOX\n\nnew\n",
    ]
    assert sorted(near(desk, "INBOX").values()) == sorted(present)
    there = flags_there(desk, "INBOX")
    assert sorted(there) == sorted(present)
    assert there[inbox[0]] == "FS"
    assert flags_here(desk, "INBOX")[inbox[2]] == "RS"
    assert list(near(desk, "New there").values()) == [b"Subject: from there\n\nthere\n"]
    assert list(flags_there(desk, '"New here"').values()) == ["S"]
    assert desk.person.folder("New here").is_dir()
    # Empty folders only: mbsync deletes no mail with them.
    assert not (desk.home / "mail/Leer").exists()
    untouched = _times(desk)
    mbsync(desk, layer)
    assert _times(desk) == untouched


def test_mbsync_after_a_restart_moves_nothing(tmp_path: Path, desk: Desk) -> None:
    """DS-04: UIDVALIDITY and UIDs stay; a changed UIDVALIDITY would make mbsync stop."""
    place = tmp_path / "site"
    place.mkdir()
    site = Site(place, people=1)
    person = site.person()
    expected = person.deliver_all()
    before: dict[str, object] = {}
    for turn in range(2):
        server = Server(site)
        try:
            mine = Desk(server, person, desk.home)
            mbsync(mine, ("imaps", "IMAPS"))
            times = _times(mine)
            with imap(mine, server) as it:
                marks = {
                    folder: it.status(quoted(folder), "(UIDVALIDITY UIDNEXT MESSAGES)")
                    for folder in expected
                }
            server.stop()
        finally:
            server.kill()
        if turn:
            assert times == before["times"]
            assert marks == before["marks"]
        before = {"times": times, "marks": marks}


def _times(desk: Desk) -> dict[str, int]:
    """
    The files here and when they changed.
    """
    return {
        str(path.relative_to(desk.home)): path.stat().st_mtime_ns
        for path in (desk.home / "mail").rglob("*/cur/*")
    } | {
        str(path.relative_to(desk.home)): path.stat().st_mtime_ns
        for path in (desk.home / "mail").rglob("*/new/*")
    }


def folder_here(folder: str) -> str:
    """
    mbsync 1.4 writes names as they are on the wire.
    """
    return quoted(folder).strip('"')


def quoted(folder: str) -> str:
    name = utf7.encode(folder).decode("ascii")
    return f'"{name}"' if " " in name else name
