"""
Rounds: serve, let clients work, end the server without warning, look what is left.
"""

from __future__ import annotations

import re
import sqlite3
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from random import Random

import attrs

from mailaccess.auth.passwords import make
from mailaccess.store.disk import Disk as StoreDisk
from mailaccess.store.disk import Tree
from mailaccess.store.maildir import fsck, maildirsize
from tests.torture.clients import PUBLIC, SHARED, Deliverer, Worker, digest
from tests.torture.disks import Disk
from tests.torture.imap import Client, Lost
from tests.torture.oracle import Found, Mailbox, Message, Oracle, Wrong
from tests.torture.serve import Server, Servers

USER, PASSWORD = "amy", "s3cret"
SPACE = "public"
_RIGHTS = f"Public user:{USER} k\nPublic/* user:{USER} lrswipkxte\n"
CLIENTS = 4
_MIRRORS = ("lazy", "immediate", "never")
_CONFIGURATION = """\
[mail]
home = "{mail}/{{user}}"
mirror = "{mirror}"
[[users]]
type = "file"
path = "{place}/users"
[[namespace]]
prefix = "Public/"
path = "{mail}/{space}"
rights = "{place}/rights"
[[quota]]
storage = "100G"
[log]
file = "{place}/log"
[[listener]]
protocol = "imap"
address = "127.0.0.1"
port = 0
tls = "none"
cleartext = "allow"
"""
_POP3 = """\
[[listener]]
protocol = "pop3"
address = "127.0.0.1"
port = 0
tls = "none"
cleartext = "allow"
"""
_LISTED = re.compile(rb'^\* (?:LIST|LSUB) \(([^)]*)\) "/" "?([^"\r]+)"?\r\n', re.M)
_USED = re.compile(rb"\(STORAGE (\d+) ")
_STATE = re.compile(rb"\[(UIDVALIDITY|UIDNEXT) (\d+)\]")
_FETCHED = re.compile(rb"UID (\d+)")
_FLAGS = re.compile(rb"FLAGS \(([^)]*)\)")
_BODY = re.compile(rb"BODY\[\] \{(\d+)\}\r\n")


def configure(place: Path, mail: Path, mirror: str, pop3: bool = False) -> None:
    """
    Write C{mailaccess.toml} and a password file.
    """
    users = place / "users"
    users.touch(0o600)
    users.write_text(f"{USER}:{make('SSHA', PASSWORD.encode())}::::::\n")
    (place / "rights").write_text(_RIGHTS)
    text = _CONFIGURATION.format(place=place, mail=mail, mirror=mirror, space=SPACE)
    (place / "mailaccess.toml").write_text(text + (_POP3 if pop3 else ""))


@attrs.define
class Torture:
    """
    One account, on one disk, through many crashes.

    @ivar place: for everything but the mail
    @ivar cutting: the disk fails before the server is killed
    """

    place: Path
    disk: Disk
    servers: Servers
    random: Random
    cutting: bool
    oracle: Oracle = attrs.field(factory=Oracle)
    rounds: int = 0

    def prepare(self) -> None:
        """
        Configure, and make the mailboxes that clients share.
        """
        server = self._serve()
        client = Client(server.port, USER, PASSWORD)
        for name in SHARED[1:]:
            client.run(f'CREATE "{name}"')
        self.oracle.public.add(PUBLIC)
        for name in SHARED:
            self.oracle.mailboxes[name] = Mailbox(0, 1)
        client.close()
        self.oracle.judge(self._found(server))
        self.server = server

    def _serve(self) -> Server:
        mirror = self.random.choice(_MIRRORS)
        configure(self.place, self.disk.mail, mirror)
        return self.servers.serve(self.place, *self.disk.shadow)

    server: Server = attrs.field(init=False)

    def round(self, seconds: float) -> None:
        """
        Work for so long at most, crash, and compare.

        @raise Wrong: something was lost
        """
        self.rounds += 1
        cutting = threading.Event()
        workers = [
            Worker(number, self.oracle, Random(self.random.random()), self._connect, cutting)
            for number in range(CLIENTS)
        ]
        for name, box in self.oracle.mailboxes.items():
            for uid in box.messages:
                owner = uid % CLIENTS if name in SHARED else int(name[1 : name.index(".")])
                workers[owner].mine.setdefault(name, set()).add(uid)
        maildir = self.disk.mail / USER
        mda = Deliverer(maildir, self.oracle, Random(self.random.random()), self.disk.synced)
        for each in (*workers, mda):
            each.start()
        time.sleep(seconds * self.random.random())
        if self.cutting:
            cutting.set()
            self.disk.fail()
        else:
            mda.join()
        self.server.kill()
        for each in (mda, *workers):
            each.join()
        if self.cutting:
            self.disk.recover()
        errors = [each.error for each in workers if each.error is not None]
        if errors:
            raise Wrong(f"a client was answered wrongly: {errors!r}")
        self._look()

    def _connect(self) -> Client:
        return Client(self.server.port, USER, PASSWORD)

    def _look(self) -> None:
        self.fsck("after the crash")
        # What SQLite wrote back when that ended.
        for account in (USER, SPACE):
            place = self.disk.mail / account / "mailaccess"
            for path in (*place.iterdir(), place):
                self.disk.synced(str(path))
        self.server = self._serve()
        self.oracle.judge(self._found(self.server))
        self.fsck("while it is served")

    def fsck(self, when: str) -> None:
        """
        The invariants hold.
        """
        for account in (USER, SPACE):
            findings = fsck.check(StoreDisk(), str(self.disk.mail / account), deep=True)
            wrong = [each for each in findings if each.level == "error"]
            if wrong:
                raise Wrong(f"fsck of {account} {when}: {wrong}")

    def finish(self) -> None:
        """
        End in order, and look a last time.
        """
        self.server.stop()
        self._look()
        self.server.stop()
        self.fsck("at the end")

    def end(self) -> None:
        """
        Whatever happened: no server is left.
        """
        if hasattr(self, "server"):
            self.server.kill()

    # ---- what is there -------------------------------------------------------------------------

    def _found(self, server: Server) -> Found:
        client = Client(server.port, USER, PASSWORD)
        _, lines = client.run('LIST "" "*"')
        found = Found({}, set())
        for name in _names(lines):
            found.mailboxes[name] = _mailbox(client, name)
        found.subscribed = set(_names(client.run('LSUB "" "*"')[1]))
        self._quota(client, found)
        client.close()
        for account, above in ((USER, ""), (SPACE, "Public/")):
            for directory, modseq in self._modseqs(account):
                name = above + (directory[1:].replace("&AC4-", ".") or "INBOX")
                if name in found.mailboxes:
                    found.mailboxes[name].modseq = modseq
        return found

    def _quota(self, client: Client, found: Found) -> None:
        """
        What the server says of the use, and C{maildirsize}, are what there is.
        """
        _, lines = client.run("GETQUOTAROOT INBOX")
        used = _USED.search(b"".join(lines))
        names = [name for name in found.mailboxes if name not in self.oracle.public]
        count = sum(len(found.mailboxes[name].messages) for name in names)
        tree = Tree(StoreDisk(), str(self.disk.mail / USER))
        octets, messages = maildirsize.measure(tree)
        tally = maildirsize.read(tree)
        told = (tally.octets, tally.messages) if tally is not None else None
        if used is None or told != (octets, messages) or messages != count:
            raise Wrong(f"use: {used}, maildirsize {told}, files {octets} {messages}, seen {count}")

    def _modseqs(self, account: str) -> Iterator[tuple[str, int]]:
        path = self.disk.mail / account / "mailaccess" / "index.db"
        connection = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
        try:
            yield from connection.execute("SELECT directory, modseq FROM mailbox").fetchall()
        finally:
            connection.close()


def _names(lines: list[bytes]) -> Iterator[str]:
    for line in lines:
        found = _LISTED.match(line)
        if found and b"\\Noselect" not in found[1]:
            yield found[2].decode("ascii")


def _mailbox(client: Client, name: str) -> Mailbox:
    tagged, lines = client.run(f'EXAMINE "{name}"')
    state = {key: int(value) for key, value in _STATE.findall(b"".join(lines) + tagged)}
    box = Mailbox(state[b"UIDVALIDITY"], state[b"UIDNEXT"])
    for line in client.run("UID FETCH 1:* (UID FLAGS BODY.PEEK[])")[1]:
        body = _BODY.search(line)
        if body is None:
            raise Lost(f"not a whole answer: {line[:80]!r}")
        data = line[body.end() : body.end() + int(body[1])]
        head = line[: body.start()] + line[body.end() + int(body[1]) :]
        uid, flags = _FETCHED.search(head), _FLAGS.search(head)
        assert uid is not None
        assert flags is not None
        words = flags[1].decode("ascii").lower().split()
        kept = frozenset(word for word in words if word != "\\recent")
        box.messages[int(uid[1])] = Message(digest(data), kept)
    return box
