"""
Clients that keep whole names of folders find them again where the server before was Courier or
Dovecot: mbsync without a namespace, fetchmail with a folder, offlineimap, IMAPClient.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import attrs
import pytest
from imapclient import IMAPClient

from mailaccess.wire import utf7

from .courier import running_courier
from .running import PATIENCE, Desk, Person, Site, corpus
from .test_fetchmail import NOTHING_NEW
from .test_offlineimap import OLDER_TLS, ORDERS
from .test_take_over import (
    FOLDERS,
    Clients,
    Place,
    command,
    dovecot_with,
    fill,
    home,
    logged_in,
    marks,
    ours,
    serving_one,
)

__all__ = ["home"]

FETCHMAIL = """\
set idfile "{home}/imap-ids"
set pidfile "{home}/pid"
set invisible
poll localhost protocol imap service {port}
user "{user}" password "{password}" folder {folder} {tls} keep mda "cat >>{home}/fetched"
"""


def site_that_says(home: Path, options: str, more: str = "") -> Site:
    place = home / "site"
    place.mkdir()
    site = Site(place, people=1, more=more)
    text = site.config.read_text().replace("[mail]\n", f"[mail]\n{options}")
    site.config.write_text(text)
    return site


def tree(person: Person, place: Place) -> list[list[str]]:
    """
    What LIST and LSUB tell, delimiters and names as they are on the wire; also to who walks down.
    """
    below = f"{place.prefix}%", f"{place.prefix}Archive{place.delimiter}%"
    with logged_in(person, place) as it:
        answers = [it.list('""', "*")[1], it.lsub('""', "*")[1]]
        answers += [it.list('""', pattern)[1] for pattern in ("%", *below)]
    return [_names(answer) for answer in answers]


def _names(answer: list[Any]) -> list[str]:
    # What is not there has a line in one server and none in another.
    lines = (each for each in answer if isinstance(each, bytes) and b"Noselect" not in each)
    return sorted(each.decode("ascii").partition(") ")[2].replace('"', "") for each in lines)


@attrs.frozen
class WholeNames:
    """
    Programs that keep names as they came, besides mbsync.
    """

    desk: Desk

    def offlineimap(self, place: Place) -> dict[Path, int]:
        """
        Run it; the files it has, with the times when they changed.
        """
        desk, certificate = self.desk, place.certificate
        text = ORDERS.format(
            home=desk.home / "offline",
            port=place.imap,
            user=desk.person.name,
            password=place.password,
            ssl="no",
            starttls="yes" if certificate else "no",
            certificate=certificate,
        )
        (desk.home / "offline").mkdir(exist_ok=True)
        if certificate is None:
            text = text.replace("sslcacertfile = None\n", "")
        config = desk.write("offlineimaprc", text)
        layers = f"OPENSSL_CONF={desk.write('openssl.cnf', OLDER_TLS)}"
        done = desk.run("env", layers, "offlineimap", "-c", config, "-o")
        said = (done.stdout + done.stderr).decode()
        assert "ERROR" not in said, said
        mail = desk.home / "offline" / "mail"
        files = (path for part in ("cur", "new") for path in mail.rglob(f"{part}/*"))
        return {path: path.stat().st_mtime_ns for path in files}

    def fetchmail(self, place: Place, folder: str) -> int:
        """
        Ask for new mail in a folder by its whole name: 0 if there was some.
        """
        certificate = place.certificate
        tls = f'sslproto tls1.2+ sslcertck sslcertfile "{certificate}"' if certificate else ""
        text = FETCHMAIL.format(
            home=self.desk.home,
            port=place.imap,
            user=self.desk.person.name,
            password=place.password,
            folder=place.name(folder),
            tls=tls or "sslproto ''",
        )
        config = self.desk.write("fetchmail-folder", text)
        return self.desk.run("fetchmail", "-f", config, status=(0, NOTHING_NEW)).returncode


def test_what_knows_folders_of_courier_knows_them_here(home: Path, desk: Desk) -> None:
    """DS-04: with the two lines that C{adopt} tells, also for names that were kept whole."""
    site = site_that_says(home, 'delimiter = "."\nprefix = "INBOX."\n')
    person = site.person()
    mine = Desk(desk.server, person, desk.home)
    clients, others = Clients(mine, whole=True), WholeNames(mine)
    (home / "courier").mkdir()
    with running_courier(home / "courier", {person.name: person.password}) as courier:
        ports = courier.ports["imap"], courier.ports["pop3"]
        place = Place(*ports, person.password, prefix="INBOX.", delimiter=".")
        fill(person, place)
        assert others.fetchmail(place, "Archive") == 0
        clients.mbsync(place)
        clients.fetchmail(place, 0)
        kept = others.offlineimap(place)
        before, names = marks(person, place), tree(person, place)
        maildir = courier.maildirs[person.name]
    assert f". INBOX.{_wire(FOLDERS[-1])}" in names[0]
    assert len(kept) > 10
    maildir.rename(person.home)
    assert "clients know folders" in command("adopt", "--dry-run", person.home)[1]
    status, said = command("adopt", "--config", site.config, person.name)
    assert (status, "clients know folders" in said) == (0, False)
    with serving_one(site, desk, person) as (server, _):
        place = ours(server, person, "INBOX.", ".")
        assert tree(person, place) == names
        clients.nothing_new(person, place, before)
        assert others.offlineimap(place) == kept
        assert others.fetchmail(place, "Archive") == NOTHING_NEW
        person.deliver([b"Subject: one more\n\nmore\n"])
        clients.one_more(place)
        person.deliver([b"Subject: another\n\nmore\n"], "Archive")
        assert others.fetchmail(place, "Archive") == 0
        assert len(others.offlineimap(place)) == len(kept) + 2


@pytest.mark.parametrize("prefix", ["", "INBOX"], ids=["bare", "below INBOX"])
@pytest.mark.parametrize("delimiter", [".", "/"])
def test_what_knows_folders_of_dovecot_knows_them_here(
    home: Path, desk: Desk, delimiter: str, prefix: str
) -> None:
    """DS-04: whatever its C{namespace inbox} says."""
    prefix += delimiter if prefix else ""
    site = site_that_says(home, f'delimiter = "{delimiter}"\nprefix = "{prefix}"\n')
    person = site.person()
    mine = Desk(desk.server, person, desk.home)
    clients, others = Clients(mine, whole=True), WholeNames(mine)
    more = f"namespace inbox {{\n  separator = {delimiter}\n  prefix = {prefix}\n}}"
    with dovecot_with(home, person, more) as theirs:
        place = attrs.evolve(theirs, delimiter=delimiter, prefix=prefix)
        fill(person, place)
        clients.mbsync(place)
        clients.fetchmail(place, 0)
        kept = others.offlineimap(place)
        before, names = marks(person, place), tree(person, place)
        assert others.fetchmail(place, FOLDERS[-1]) == NOTHING_NEW
    last = FOLDERS[-1].replace(".", delimiter)
    assert f"{delimiter} {prefix}{_wire(last)}" in names[0]
    with serving_one(site, desk, person) as (server, _):
        place = ours(server, person, prefix, delimiter)
        assert tree(person, place) == names
        clients.nothing_new(person, place, before)
        assert others.offlineimap(place) == kept
        assert others.fetchmail(place, FOLDERS[-1]) == NOTHING_NEW
        person.deliver([b"Subject: another\n\nmore\n"], "Archive/Ödland & Co")
        assert others.fetchmail(place, FOLDERS[-1]) == 0


@pytest.mark.parametrize("prefix", ["", "INBOX."])
def test_imapclient_manages_mailboxes_below_a_prefix(home: Path, desk: Desk, prefix: str) -> None:
    """Made, listed, subscribed, renamed, moved to and deleted by the names on the wire."""
    public = Person("public", "", home / "public")
    public.deliver(corpus("rfc")[:3], "Ämter/News")
    (public.home / "cur").mkdir()
    more = f'[[namespace]]\nprefix = "Public/"\npath = "{public.home}"\nread_only = true\n'
    site = site_that_says(home, f'delimiter = "."\nprefix = "{prefix}"\n', more)
    person = site.person()
    with serving_one(site, desk, person) as (server, _):
        it = IMAPClient(
            "localhost", server.ports["imaps"], ssl_context=server.context(), timeout=PATIENCE
        )
        it.login(person.name, person.password)
        assert it.namespace() == (((prefix, "."),), None, (("Public.", "."),))
        shared = "Public.Ämter.News"
        assert {name for _, _, name in it.list_folders("Public.")} == {"Public.Ämter", shared}
        it.subscribe_folder(shared)
        assert it.select_folder(shared, readonly=True)[b"EXISTS"] == 3
        assert [name for _, _, name in it.list_sub_folders()] == [shared]
        it.unsubscribe_folder(shared)
        names = {
            f"{prefix}{each}" for each in ("Entwürfe", "日本語.メール", "A & B", "100%", "v1/2")
        }
        for name in names:
            it.create_folder(name)
            it.subscribe_folder(name)
            it.append(name, b"Subject: x\r\n\r\n")
        found = {name for _, _, name in it.list_folders() if not name.startswith("Public")}
        assert found == {*names, "INBOX", f"{prefix}日本語"}
        assert {each for _, each, _ in it.list_folders()} == {b"."}
        assert {name for _, _, name in it.list_sub_folders()} == names
        below = it.list_folders(f"{prefix}日本語.", "%")
        assert [name for _, _, name in below] == [f"{prefix}日本語.メール"]
        it.rename_folder(f"{prefix}Entwürfe", f"{prefix}A & B.Été")
        it.select_folder(f"{prefix}A & B.Été")
        it.move([1], f"{prefix}v1/2")
        assert it.folder_status(f"{prefix}v1/2", ["MESSAGES"]) == {b"MESSAGES": 2}
        it.delete_folder(f"{prefix}v1/2")
        assert not it.folder_exists(f"{prefix}v1/2")
        assert person.folder("A & B/Été").is_dir()
        it.logout()


def _wire(name: str) -> str:
    return utf7.encode(name).decode("ascii")
