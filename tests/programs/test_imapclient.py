"""
IMAPClient, as Python programs use it: IDLE, other alphabets in names, parsed answers, several at
once.
"""

from __future__ import annotations

import ssl
import subprocess
import time
from collections.abc import Iterator
from email import message_from_bytes
from typing import Any

import pytest
from imapclient import IMAPClient
from imapclient.exceptions import IMAPClientError, LoginError
from imapclient.imapclient import JUNK, SENT, TRASH

from mailaccess.message.header import header_end
from mailaccess.message.lineends import to_crlf

from .running import ODD, PATIENCE, Desk, corpus, until


def connect(desk: Desk, listener: str = "imaps") -> IMAPClient:
    context = desk.server.context()
    it = IMAPClient(
        "localhost",
        desk.port(listener),
        ssl=listener == "imaps",
        ssl_context=context,
        timeout=PATIENCE,
    )
    if listener == "imap":
        it.starttls(context)
    it.login(desk.person.name, desk.person.password)
    return it


@pytest.fixture(params=["imap", "imaps"])
def it(desk: Desk, request: Any) -> Iterator[IMAPClient]:
    client = connect(desk, request.param)
    yield client
    client.logout()


def test_imapclient_manages_mailboxes_of_any_name(desk: Desk, it: IMAPClient) -> None:
    """UTF-7 both ways."""
    desk.person.deliver(ODD[:1])
    names = ["Entwürfe", "日本語/メール", "A & B", "100%", 'Quote" and \\', "Привет", "e\u0301"]
    for name in names:
        it.create_folder(name)
        it.subscribe_folder(name)
    wanted = {*names, "INBOX", "日本語"}
    assert {name for _, _, name in it.list_folders()} == wanted
    assert {name for _, _, name in it.list_sub_folders()} == set(names)
    flags = {name: flags for flags, _, name in it.list_folders()}
    assert b"\\HasChildren" in flags["日本語"]
    for name in names:
        assert it.select_folder(name)[b"EXISTS"] == 0
        it.append(name, b"Subject: x\r\n\r\n")
        assert it.folder_status(name, ["MESSAGES"]) == {b"MESSAGES": 1}
    it.unselect_folder()
    it.rename_folder("Entwürfe", "Brouillons d'été")
    assert it.folder_exists("Brouillons d'été")
    assert not it.folder_exists("Entwürfe")
    it.delete_folder("Brouillons d'été")
    with pytest.raises(IMAPClientError):
        it.select_folder("Brouillons d'été")
    assert it.namespace().personal == (("", "/"),)


def test_imapclient_finds_folders_by_their_use(desk: Desk, it: IMAPClient) -> None:
    """RFC 6154: by flag, whatever the name."""
    for name in ("Sent", "Papierkorb", "Junk"):
        it.create_folder(name)
    it.rename_folder("Sent", "Gesendet")
    flags = {name: flags for flags, _, name in it.list_folders()}
    assert SENT in flags["Gesendet"]
    assert JUNK in flags["Junk"]
    assert not {SENT, TRASH, JUNK} & set(flags["Papierkorb"])
    assert it.find_special_folder(SENT) == "Gesendet"
    assert it.find_special_folder(JUNK) == "Junk"
    assert it.find_special_folder(TRASH) is None


def test_imapclient_is_told_of_its_quota(desk: Desk) -> None:
    """RFC 9208; limits as an MTA left them in C{maildirsize}."""
    desk.person.deliver(ODD[:1])
    (desk.person.home / "maildirsize").write_text("1048576S,3C\n0 0\n")
    it = connect(desk)
    roots, quotas = it.get_quota_root("INBOX")
    assert roots.quota_roots == ["User quota"]
    assert {(each.resource, each.usage, each.limit) for each in quotas} == {
        ("STORAGE", 1, 1024),
        ("MESSAGE", 1, 3),
    }
    assert quotas == it._get_quota("User quota")
    for _ in range(2):
        it.append("INBOX", b"Subject: x\r\n\r\n")
    with pytest.raises(IMAPClientError, match="OVERQUOTA"):
        it.append("INBOX", b"Subject: x\r\n\r\n")
    it.select_folder("INBOX")
    it.delete_messages([1])
    it.expunge()
    it.append("INBOX", b"Subject: x\r\n\r\n")
    it.logout()


def test_imapclient_reads_the_structure_of_every_message(desk: Desk, it: IMAPClient) -> None:
    """ENVELOPE, BODYSTRUCTURE and BODY are well-formed; sections fit the whole."""
    data = [to_crlf(each) for each in (*corpus("legacy"), *corpus("rfc"), *ODD)]
    desk.person.deliver(data)
    it.select_folder("INBOX", readonly=True)
    wanted = ["ENVELOPE", "BODYSTRUCTURE", "BODY", "RFC822.SIZE", "INTERNALDATE", "FLAGS", "BODY[]"]
    found = it.fetch(it.search(), wanted)
    assert len(found) == len(data)
    for whole, (uid, items) in zip(data, sorted(found.items()), strict=True):
        assert items[b"BODY[]"] == whole
        assert items[b"RFC822.SIZE"] == len(whole)
        envelope = items[b"ENVELOPE"]
        assert (envelope.subject is None) == (message_from_bytes(whole)["subject"] is None)
        structure = items[b"BODYSTRUCTURE"]
        assert structure.is_multipart == items[b"BODY"].is_multipart
        for number, part in _parts(structure):
            body = it.fetch(uid, [f"BODY.PEEK[{number}]"])[uid][f"BODY[{number}]".encode()]
            assert body in whole
            assert len(body) == part[6]
        header = it.fetch(uid, ["BODY.PEEK[HEADER]"])[uid][b"BODY[HEADER]"]
        assert header == whole[: header_end(whole)]


def _parts(structure: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    if not structure.is_multipart:
        yield prefix + "1", structure
        return
    for number, each in enumerate(structure[0], 1):
        if each.is_multipart:
            yield from _parts(each, f"{prefix}{number}.")
        else:
            yield f"{prefix}{number}", each


def test_imapclient_searches_moves_and_copies(desk: Desk, it: IMAPClient) -> None:
    desk.person.deliver_all()
    it.select_folder("INBOX")
    assert it.search(["FLAGGED"]) == [21, 22, 23, 24]
    assert it.search(["NOT", ["OR", "SEEN", "UID", "25:40"]]) == list(range(41, 55))
    subject = "Grüße"
    (uid,) = _append(it, f"Subject: =?utf-8?q?Gr=C3=BC=C3=9Fe_aus_=C3=96land?=\r\n\r\n{subject}")
    assert it.search(["SUBJECT", "GRÜSSE AUS ö"], "UTF-8") == [uid]
    assert it.search(["TEXT", "land"], "UTF-8").count(uid) == 1
    with pytest.raises(IMAPClientError, match="BADCHARSET"):
        it.search(["SUBJECT", "x"], "punycode")  # known here, but no charset of mail
    it.move([uid, 21], "Archive")
    assert it.search(["UID", f"21,{uid}"]) == []
    it.copy([1, 2], "Archive")
    assert it.folder_status("Archive", ["MESSAGES"])[b"MESSAGES"] == 14
    it.delete_messages([1])
    it.uid_expunge([1])
    assert it.search(["UID", "1:2"]) == [2]
    assert {b"\\Answered", b"\\Seen", b"$Label1"} <= set(
        it.add_flags([2], ["$Label1", b"\\Answered"])[2]
    )
    with pytest.raises(IMAPClientError, match="TRYCREATE"):
        it.copy([2], "Nowhere")


def _append(it: IMAPClient, text: str) -> list[int]:
    said = it.append("INBOX", text.encode(), flags=["\\Seen"])
    return [int(said.partition(b"APPENDUID ")[2].split()[1].rstrip(b"]"))]


def test_two_clients_see_what_the_other_does(desk: Desk) -> None:
    desk.person.deliver_all()
    one, two = connect(desk), connect(desk, "imap")
    one.select_folder("INBOX")
    two.select_folder("INBOX")
    two.idle()
    one.add_flags([3], [b"\\Flagged"])
    assert (3, b"FETCH", (b"FLAGS", (b"\\Seen", b"\\Flagged"))) in _told(two)
    one.delete_messages([5])
    one.expunge()
    assert (5, b"EXPUNGE") in until(lambda: _told(two, b"EXPUNGE"))
    two.idle_done()
    two.set_flags([1], [b"\\Answered"])
    said = one.noop()[1]
    assert any(each[:2] == (1, b"FETCH") for each in said), said
    _append(two, "Subject: from two\r\n\r\n")
    assert (54, b"EXISTS") in one.noop()[1]
    two.move([1, 2], "Archive")
    said = one.noop()[1]
    gone = [number for number, *what in said if what == [b"EXPUNGE"]]
    assert gone in ([2, 1], [1, 1])
    assert len(one.search()) == len(two.search()) == 52
    one.logout()
    two.logout()


def _told(it: IMAPClient, kind: bytes = b"") -> list[Any]:
    """
    What an idling client hears next, of a kind.
    """
    end = time.monotonic() + PATIENCE
    told: list[Any] = []
    while time.monotonic() < end:
        told += it.idle_check(timeout=PATIENCE)
        if not kind or any(kind in each for each in told):
            return told
    raise AssertionError(f"not told of {kind!r}: {told}")


@pytest.mark.parametrize("folder", ["INBOX", "Archive"])
def test_a_delivery_by_another_program_is_told_to_who_idles(
    desk: Desk, folder: str, record_property: Any
) -> None:
    """Issue: IDLE tells of a delivery into C{new/} by a program that is not ours."""
    person = desk.person
    person.deliver_all()
    it = connect(desk)
    count = it.select_folder(folder)[b"EXISTS"]
    it.idle()
    slowest = 0.0
    for number in range(1, 6):
        name = f"17000000{number:02}.M1P1.elsewhere"
        (person.folder(folder) / "tmp" / name).write_bytes(b"Subject: news\n\nnews\n")
        began = time.monotonic()
        subprocess.run(["mv", f"tmp/{name}", f"new/{name}"], cwd=person.folder(folder), check=True)
        told = _told(it, b"EXISTS")
        slowest = max(slowest, time.monotonic() - began)
        assert (count + number, b"EXISTS") in told
    record_property("slowest_seconds", slowest)
    assert slowest < PATIENCE / 2
    it.idle_done()
    assert it.search(["SUBJECT", "news"]) == list(it.search())[-5:]
    # What another program takes away and changes is told, too.
    it.idle()
    found = next(path for path in (person.folder(folder) / "cur").iterdir() if "M1P1" in path.name)
    subprocess.run(["rm", str(found)], check=True)
    assert any(b"EXPUNGE" in each for each in _told(it, b"EXPUNGE"))
    it.idle_done()
    it.logout()


def test_imapclient_is_refused_with_a_reason(desk: Desk) -> None:
    clear = IMAPClient("localhost", desk.port("imap"), ssl=False, timeout=PATIENCE)
    assert clear.has_capability("LOGINDISABLED")
    assert not clear.has_capability("AUTH=PLAIN")
    with pytest.raises(LoginError, match="PRIVACYREQUIRED"):
        clear.login(desk.person.name, desk.person.password)
    clear.starttls(desk.server.context())
    assert not clear.has_capability("LOGINDISABLED")
    clear.plain_login(desk.person.name, desk.person.password)
    clear.logout()
    with pytest.raises(ssl.SSLCertVerificationError):
        IMAPClient("localhost", desk.port("imaps"), ssl_context=ssl.create_default_context())
