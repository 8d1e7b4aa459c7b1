"""
Mail that real servers kept is taken over, and given back: nobody downloads anything again.

A mailbox is filled over IMAP and POP3, mbsync and fetchmail get it, and the server is stopped. What
these two know must be true of the same Maildir when mailaccess serves it, and when Dovecot does
again.
"""

from __future__ import annotations

import contextlib
import imaplib
import json
import os
import poplib
import re
import shutil
import ssl
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import attrs
import pytest

from benchmarks import dovecot
from benchmarks.ours import PASSWORD
from mailaccess.wire import utf7

from .courier import running_courier
from .running import Desk, Person, Server, Site, corpus
from .test_fetchmail import NOTHING_NEW, arrived, mda
from .unpacked import free_ports

POP3 = """
protocols = imap pop3
service pop3-login {{
  chroot =
  inet_listener pop3 {{
    port = {port}
  }}
  inet_listener pop3s {{
    port = 0
  }}
}}
{more}
"""

MBSYNC = """\
IMAPAccount server
Host localhost
Port {port}
User {user}
Pass {password}
{tls}

IMAPStore far
Account server
{path}

MaildirStore near
Path {home}/mail-here/
Inbox {home}/mail-here/INBOX
SubFolders Verbatim

Channel all
Far :far:
Near :near:
Patterns {patterns}
Create Both
Remove Both
Expunge Both
SyncState *
CopyArrivalDate yes
"""

NO_TLS = "sslproto ''"

FOLDERS = ("INBOX", "Entwürfe", "Archive", "Archive.Ödland & Co")
"""As a Maildir has them, with full stops between the parts."""


@attrs.frozen
class Place:
    """
    Where somebody finds their mail at the moment.

    @ivar prefix: before names of folders
    @ivar delimiter: between the parts of their names
    """

    imap: int
    pop3: int
    password: str
    certificate: Path | None = None
    prefix: str = ""
    delimiter: str = "/"

    def name(self, folder: str) -> str:
        """
        A folder's name on the wire, quoted.
        """
        whole = folder.replace(".", self.delimiter)
        if folder != "INBOX":
            whole = self.prefix + whole
        return f'"{utf7.encode(whole).decode("ascii")}"'


@contextlib.contextmanager
def logged_in(person: Person, place: Place) -> Iterator[imaplib.IMAP4]:
    with imaplib.IMAP4("localhost", place.imap) as it:
        if place.certificate is not None:
            it.starttls(_context(place.certificate))
        it.login(person.name, place.password)
        yield it


def _context(certificate: Path) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=str(certificate))


def unique_ids(person: Person, place: Place) -> dict[bytes, bytes]:
    """
    What POP3 clients know, and the header of the message that it stands for. The order is each
    server's own: Courier's is that of file names.
    """
    it = poplib.POP3("localhost", place.pop3)
    try:
        if place.certificate is not None:
            it.stls(_context(place.certificate))
        if "UTF8" in it.capa():
            # Else Courier puts messages with 8-bit headers into others.
            it.utf8()
        it.user(person.name)
        it.pass_(place.password)
        listed = [line.split(b" ", 1) for line in it.uidl()[1]]
        return {text: b"\n".join(it.top(int(number), 0)[1]).rstrip() for number, text in listed}
    finally:
        it.quit()


def marks(person: Person, place: Place) -> dict[str, object]:
    """
    All that clients remember: UIDs, flags and dates by folder, UIDVALIDITY, subscriptions.
    """
    found: dict[str, object] = {}
    with logged_in(person, place) as it:
        for folder in FOLDERS:
            name = place.name(folder)
            _, (status,) = it.status(name, "(UIDVALIDITY UIDNEXT MESSAGES)")
            it.select(name, readonly=True)
            _, answer = it.uid("FETCH", "1:*", "(UID FLAGS INTERNALDATE)")
            lines = [each for each in answer if isinstance(each, bytes)]
            # What it is called and in which order is each server's own business.
            counts = sorted(re.findall(rb"[A-Z]+ \d+", status or b""))
            found[folder] = counts, [_facts(each) for each in lines]
        _, subscribed = it.lsub('""', "*")
        found["subscribed"] = sorted(_subscribed(each, place) for each in subscribed if each)
    return found


def _facts(line: bytes) -> tuple[int, frozenset[bytes], bytes]:
    uid = re.search(rb"UID (\d+)", line)
    flags = re.search(rb"FLAGS \(([^)]*)\)", line)
    date = re.search(rb'INTERNALDATE "([^"]*)"', line)
    assert uid
    assert flags
    assert date
    return int(uid[1]), frozenset(flags[1].split()) - {b"\\Recent"}, date[1].strip()


def _subscribed(line: bytes, place: Place) -> str:
    name = line.partition(b'" ')[2].strip(b'"').decode("ascii")
    if b"Noselect" in line:
        return ""
    name = utf7.decode(name.encode("ascii"))
    return name.removeprefix(place.prefix).replace(place.delimiter, ".")


def fill(person: Person, place: Place) -> None:
    """
    What collects in years: folders, flags, keywords, gaps, subscriptions.
    """
    legacy, rfc = corpus("legacy"), corpus("rfc")
    with logged_in(person, place) as it:
        for folder in FOLDERS[1:]:
            assert it.create(place.name(folder))[0] == "OK"
        for data in legacy[:12]:
            assert it.append("INBOX", None, None, _crlf(data))[0] == "OK"
        for number, folder in enumerate(FOLDERS[1:]):
            for data in rfc[number : number + 2]:
                it.append(place.name(folder), "(\\Seen $Forwarded)", None, _crlf(data))
        it.select("INBOX")
        it.store("2,4", "+FLAGS", "(\\Seen $Label1 Work)")
        it.store("3", "+FLAGS", "(\\Flagged NonJunk)")
        it.store("5", "+FLAGS", "(\\Answered \\Seen)")
        it.store("6,12", "+FLAGS", "(\\Deleted)")
        it.expunge()
        it.copy("1", place.name("Archive"))
        for folder in FOLDERS[:3]:
            assert it.subscribe(place.name(folder))[0] == "OK"
        # A name that is subscribed stays so when its mailbox goes.
        it.create(place.name("Gone"))
        assert it.subscribe(place.name("Gone"))[0] == "OK"
        it.delete(place.name("Gone"))


def _crlf(data: bytes) -> bytes:
    return re.sub(rb"\r?\n", b"\r\n", data)


@attrs.frozen
class Clients:
    """
    mbsync and fetchmail of one person, who take along what they know from place to place.

    @ivar whole: mbsync asks for no namespace and keeps names as they are on the wire
    """

    desk: Desk
    whole: bool = False

    def mbsync(self, place: Place) -> None:
        home = self.desk.home
        (home / "mail-here").mkdir(exist_ok=True)
        path = f"Path {place.prefix}" if place.prefix else ""
        if self.whole:
            path = "UseNamespace no"
        tls = f"SSLType STARTTLS\nCertificateFile {place.certificate}"
        config = self.desk.write(
            "mbsyncrc",
            MBSYNC.format(
                port=place.imap,
                user=self.desk.person.name,
                password=place.password,
                tls=tls if place.certificate is not None else "SSLType None\nAuthMechs LOGIN",
                path=path,
                patterns="INBOX INBOX/* *" if self.whole else "*",
                home=home,
            ),
        )
        done = self.desk.run("mbsync", "-V", "-c", config, "all")
        said = (done.stdout + done.stderr).decode("utf-8", "replace")
        assert "Error" not in said, said

    def fetchmail(self, place: Place, status: int) -> None:
        agent = self.desk.home / "mda"
        if not agent.exists():
            agent = mda(self.desk)
        certificate = place.certificate
        layer = f'sslproto tls1.2+ sslcertck sslcertfile "{certificate}"' if certificate else ""
        home = self.desk.home
        config = self.desk.write(
            "fetchmailrc",
            f'set idfile "{home}/ids"\nset pidfile "{home}/pid"\nset invisible\n'
            f"poll localhost protocol pop3 service {place.pop3} uidl\n"
            f'user "{self.desk.person.name}" password "{place.password}"'
            f' {layer or NO_TLS} keep pass8bits mda "{agent}"\n',
        )
        self.desk.run("fetchmail", "-f", config, status=status)

    def known(self) -> tuple[dict[Path, int], list[bytes]]:
        """
        What they have: files with the times when they changed, and what fetchmail handed over.
        """
        files = (path for part in ("cur", "new") for path in self._here().rglob(f"{part}/*"))
        times = {path: path.stat().st_mtime_ns for path in files}
        return times, arrived(self.desk)

    def _here(self) -> Path:
        return self.desk.home / "mail-here"

    def nothing_new(self, person: Person, place: Place, before: dict[str, object]) -> None:
        """
        Neither of them finds anything that it does not know, nor puts anything there.
        """
        known = self.known()
        assert marks(person, place) == before
        self.mbsync(place)
        self.fetchmail(place, NOTHING_NEW)
        assert self.known() == known
        assert marks(person, place) == before

    def one_more(self, place: Place) -> None:
        """
        New mail still comes, once.
        """
        files, letters = map(len, self.known())
        self.mbsync(place)
        self.fetchmail(place, 0)
        assert [*map(len, self.known())] == [files + 1, letters + 1]


@pytest.fixture
def home() -> Iterator[Path]:
    path = Path(tempfile.mkdtemp(prefix="taken-"))
    path.chmod(0o755)
    yield path
    shutil.rmtree(path)


@contextlib.contextmanager
def dovecot_with(
    home: Path, person: Person, more: str = "", maildir: Path | None = None
) -> Iterator[Place]:
    """
    Debian's Dovecot for one person; its Maildir comes from where it is now, and goes back there.
    """
    (port,) = free_ports(1)
    place = home / "dovecot"
    theirs = place / "mail" / person.name
    if maildir is not None:
        theirs.parent.mkdir(parents=True, exist_ok=True)
        give(maildir, theirs, dovecot.owner().pw_uid)
    configuration = POP3.format(port=port, more=more)
    with dovecot.serve(place, [person.name], configuration) as server:
        assert server is not None, "run tests/setup_programs.sh"
        yield Place(server.plain, port, PASSWORD, delimiter=".")
    # What is wrong in its eyes it says here.
    said = (place / "log").read_text()
    assert not re.search("Error|Panic|Corrupted|Broken", said), said
    give(theirs, person.home, os.geteuid())


def give(old: Path, new: Path, user: int) -> None:
    """
    Let a Maildir belong to who serves it next, as an administrator would.
    """
    old.rename(new)
    for path in [new, *new.rglob("*")]:
        os.chown(path, user, -1, follow_symlinks=False)


def ours(server: Server, person: Person, prefix: str = "", delimiter: str = "/") -> Place:
    ports = server.ports["imap"], server.ports["pop3"]
    return Place(*ports, person.password, server.site.certificate, prefix, delimiter)


def command(*words: str | Path) -> tuple[int, str]:
    program = Path(sys.executable).parent / "mailaccess"
    done = subprocess.run([program, *words], capture_output=True, text=True, check=False)
    assert not done.stderr, done.stderr
    return done.returncode, done.stdout


@contextlib.contextmanager
def serving_one(site: Site, desk: Desk, person: Person) -> Iterator[tuple[Server, Desk]]:
    server = Server(site)
    try:
        yield server, Desk(server, person, desk.home)
        server.stop()
    finally:
        server.kill()


@pytest.fixture
def site_of_one(home: Path) -> Site:
    place = home / "site"
    place.mkdir()
    return Site(place, people=1)


@pytest.mark.parametrize("ahead", [False, True], ids=["at the first login", "ahead of it"])
def test_dovecot_to_here_and_back(home: Path, desk: Desk, site_of_one: Site, ahead: bool) -> None:
    """DS-04: UIDVALIDITY, UIDs, flags, keywords, dates, subscriptions and unique-ids stay."""
    person = site_of_one.person()
    clients = Clients(Desk(desk.server, person, desk.home))
    with dovecot_with(home, person) as place:
        fill(person, place)
        clients.mbsync(place)
        clients.fetchmail(place, 0)
        clients.mbsync(place)
        before, ids = marks(person, place), unique_ids(person, place)
        clients.nothing_new(person, place, before)
    assert (before["INBOX"][1][4][0], len(ids)) == (5, 10)  # type: ignore[index]
    if ahead:
        status, said = command("adopt", "--json", person.home)
        told = json.loads(said)
        assert status == 0
        assert told["subscriptions"] == 4
        assert {each["source"] for each in told["mailboxes"]} == {"dovecot"}
        assert all(each["kept"] == each["messages"] for each in told["mailboxes"])
    with serving_one(site_of_one, desk, person) as (server, _):
        place = ours(server, person)
        clients.nothing_new(person, place, before)
        assert unique_ids(person, place) == ids
        person.deliver([b"Subject: one more\n\nmore\n"])
        clients.one_more(place)
        with logged_in(person, place) as it:
            it.select("INBOX")
            it.store("1", "+FLAGS", "(\\Answered $Label2)")
            it.store("2", "+FLAGS", "(\\Deleted)")
            it.expunge()
            it.create("Neu/&AOQ-")
            it.append("Neu/&AOQ-", "(\\Seen)", None, b"Subject: new here\r\n\r\nnew\r\n")
            it.subscribe("Neu/&AOQ-")
            it.unsubscribe("Gone")
        clients.mbsync(place)
        clients.fetchmail(place, NOTHING_NEW)
        after, ids = marks(person, place), unique_ids(person, place)
        clients.nothing_new(person, place, after)
    status, said = command("release", person.home)
    assert (status, said.count("given back")) == (0, 1)
    assert not list(person.home.rglob("mailaccess*"))
    with dovecot_with(home, person, maildir=person.home) as place:
        clients.nothing_new(person, place, after)
        assert unique_ids(person, place) == ids
        with logged_in(person, place) as it:
            _, found = it.append("INBOX", None, None, b"Subject: with Dovecot\r\n\r\nx\r\n")
        uid = after["INBOX"][1][-1][0] + 1  # type: ignore[index]
        assert f" {uid}]".encode() in found[0]
        clients.one_more(place)
        after, ids = marks(person, place), unique_ids(person, place)
    # And here again.
    with serving_one(site_of_one, desk, person) as (server, _):
        place = ours(server, person)
        clients.nothing_new(person, place, after)
        assert unique_ids(person, place) == ids


@pytest.mark.parametrize("form", ["%v.%u", "%08Xv%08Xu", "%f", "%g", "%Mf", "UID%u-%v"])
def test_unique_ids_of_any_usual_form_stay(home: Path, desk: Desk, form: str) -> None:
    """DS-15: with the same C{pop3_uidl_format} clients see what Dovecot told them."""
    person = desk.person
    with dovecot_with(home, person, f"pop3_uidl_format = {form}") as place:
        with logged_in(person, place) as it:
            for number in range(4):
                it.append("INBOX", None, None, b"Subject: %d\r\n\r\nx\r\n" % number)
            it.select("INBOX")
            it.store("2", "+FLAGS", "\\Deleted")
            it.expunge()
        ids = unique_ids(person, place)
    assert command("adopt", "--pop3-uidl-format", form, person.home)[0] == 0
    here = ours(desk.server, person)
    assert unique_ids(person, here) == ids
    person.deliver([b"Subject: new\n\nnew\n"])
    found = unique_ids(person, here)
    assert (len(found), found.items() >= ids.items()) == (4, True)


def test_unique_ids_that_dovecot_saved_come_before_its_form(home: Path, desk: Desk) -> None:
    person = desk.person
    more = "pop3_uidl_format = %v.%u\npop3_save_uidl = yes"
    with dovecot_with(home, person, more) as place:
        with logged_in(person, place) as it:
            it.append("INBOX", None, None, b"Subject: one\r\n\r\nx\r\n")
        ids = unique_ids(person, place)
    assert command("adopt", person.home)[0] == 0
    assert unique_ids(person, ours(desk.server, person)) == ids


def test_a_dovecot_that_names_folders_in_utf_8(home: Path, desk: Desk) -> None:
    """Names, UIDs and subscriptions are the same, though directories are named otherwise."""
    person = desk.person
    with dovecot_with(home, person, "mail_location = maildir:~:UTF-8") as place:
        fill(person, place)
        before = marks(person, place)
    assert (person.home / ".Entwürfe" / "dovecot-uidlist").exists()
    assert marks(person, ours(desk.server, person)) == before
    assert person.folder("Entwürfe").is_dir()


def test_mail_that_dovecot_compressed_is_told_before(home: Path, desk: Desk) -> None:
    """Nobody could read it here."""
    person = desk.person
    more = "mail_plugins = zlib\nplugin {\n  zlib_save = gz\n}"
    with dovecot_with(home, person, more) as place, logged_in(person, place) as it:
        it.append("INBOX", None, None, b"Subject: one\r\n\r\nx\r\n")
    status, said = command("adopt", "--dry-run", person.home)
    assert status == 1
    assert "messages are compressed, which only Dovecot reads: 1 of 1" in said


def test_courier_to_here_and_on_to_dovecot(home: Path, desk: Desk, site_of_one: Site) -> None:
    """
    Folders lose C{INBOX.} before their names; all else stays, also what POP3 clients know, which
    Courier counts apart.
    """
    person = site_of_one.person()
    clients = Clients(Desk(desk.server, person, desk.home))
    (home / "courier").mkdir()
    with running_courier(home / "courier", {person.name: person.password}) as courier:
        place = Place(
            courier.ports["imap"],
            courier.ports["pop3"],
            person.password,
            prefix="INBOX.",
            delimiter=".",
        )
        fill(person, place)
        clients.mbsync(place)
        clients.fetchmail(place, 0)
        before, ids = marks(person, place), unique_ids(person, place)
        clients.nothing_new(person, place, before)
        maildir = courier.maildirs[person.name]
    assert all(text.startswith(b"UID") for text in ids)
    maildir.rename(person.home)
    with serving_one(site_of_one, desk, person) as (server, _):
        place = ours(server, person)
        clients.nothing_new(person, place, before)
        assert unique_ids(person, place) == ids
        person.deliver([b"Subject: one more\n\nmore\n"])
        clients.one_more(place)
        after, ids = marks(person, place), unique_ids(person, place)
    assert command("release", person.home)[0] == 0
    with dovecot_with(home, person, maildir=person.home) as place:
        clients.nothing_new(person, place, after)
        assert unique_ids(person, place) == ids
