"""
Public folders with real clients: IMAPClient finds them by NAMESPACE and hears of others' changes,
mbsync keeps a copy.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from imapclient import IMAPClient

from .running import PATIENCE, Desk, Person, Server, Site, corpus, serving, until
from .test_mbsync import as_here, mbsync, near

RIGHTS = """\
Public                     user:anna0   k
Public/*                   anyone       lrs
"Public/Ödland & Co"       user:anna0   lrswipkxtea
"Public/Ödland & Co"       user:anna1   i
"Public/Nur für anna0"     user:anna1   -lrs
"""


@pytest.fixture(scope="module")
def hall() -> Iterator[Server]:
    with tempfile.TemporaryDirectory(prefix="mailaccess-public-") as name:
        place = Path(name)
        public = Person("public", "", place / "public")
        public.deliver(corpus("rfc"), "Ödland & Co")
        public.deliver(corpus("legacy")[:3], "Nur für anna0")
        (public.home / "cur").mkdir()
        (place / "rights").write_text(RIGHTS, "utf-8")
        more = (
            f'[[namespace]]\nprefix = "Public/"\npath = "{public.home}"\n'
            f'rights = "{place}/rights"\n'
        )
        yield from serving(Site(place, 3, more))


@pytest.fixture(scope="module")
def people(hall: Server) -> list[Person]:
    return [hall.site.person() for _ in range(3)]


def connect(server: Server, person: Person) -> IMAPClient:
    it = IMAPClient(
        "localhost", server.ports["imaps"], ssl_context=server.context(), timeout=PATIENCE
    )
    it.login(person.name, person.password)
    return it


def test_imapclient_finds_and_shares_public_folders(hall: Server, people: list[Person]) -> None:
    """Rights in a file; what one does the other hears of in IDLE; each has seen what each has."""
    editor, reader = connect(hall, people[0]), connect(hall, people[1])
    assert editor.namespace().shared == (("Public/", "/"),)
    folder = "Public/Ödland & Co"
    assert {name for _, _, name in reader.list_folders("Public/")} == {folder}
    assert {name for _, _, name in editor.list_folders("Public/")} == {
        folder,
        "Public/Nur für anna0",
    }
    assert b"ACL" in editor.capabilities()
    count = len(corpus("rfc"))
    chosen = reader.select_folder(folder)
    assert chosen[b"EXISTS"] == count
    assert chosen[b"PERMANENTFLAGS"] == (b"\\Seen",)
    assert b"READ-WRITE" in editor.select_folder(folder)
    reader.add_flags([1, 2], [b"\\Seen"])
    assert reader.folder_status(folder, ["UNSEEN"]) == {b"UNSEEN": count - 2}
    assert editor.folder_status(folder, ["UNSEEN"]) == {b"UNSEEN": count}
    reader.idle()
    editor.add_flags([3], [b"\\Flagged"])
    heard: list[object] = []

    def flagged() -> bool:
        heard.extend(reader.idle_check(timeout=0.2))
        return any(b"FLAGS" in str(each).encode() and "Flagged" in str(each) for each in heard)

    until(flagged, heard)
    reader.idle_done()
    reader.subscribe_folder(folder)
    assert [name for _, _, name in reader.list_sub_folders()] == [folder]
    assert editor.list_sub_folders() == []
    editor.create_folder("Public/Neu")
    assert reader.folder_exists("Public/Neu")
    editor.select_folder("INBOX")
    editor.append("INBOX", corpus("legacy")[0])
    editor.move([1], folder)
    assert reader.folder_status(folder, ["MESSAGES"]) == {b"MESSAGES": count + 1}
    for each in (editor, reader):
        each.logout()


def test_mbsync_keeps_a_copy_of_a_public_folder(hall: Server, people: list[Person]) -> None:
    """All of it arrives once; the second run finds nothing to do."""
    with tempfile.TemporaryDirectory(prefix="desk-") as home:
        desk = Desk(hall, people[2], Path(home))
        mbsync(desk, ("imaps", "IMAPS"))
        wanted = sorted(as_here(each) for each in corpus("legacy")[:3])
        found = near(desk, "Public/Nur für anna0".replace("ü", "&APw-"))
        assert sorted(found.values()) == wanted
        before = {path: path.stat().st_mtime_ns for path in found}
        mbsync(desk, ("imaps", "IMAPS"))
        again = near(desk, "Public/Nur für anna0".replace("ü", "&APw-"))
        assert {path: path.stat().st_mtime_ns for path in again} == before


def test_fsck_finds_the_public_maildir_well(hall: Server) -> None:
    """While it is served."""
    command = [Path(sys.executable).parent / "mailaccess", "fsck", hall.site.config, "Public/"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done
    assert done.stdout.endswith("Public/: all well\n"), done
