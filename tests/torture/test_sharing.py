"""
Two servers, other programs and clients on one Maildir, in short.
"""

from __future__ import annotations

import poplib
from collections.abc import Iterator
from pathlib import Path
from random import Random

import pytest

from tests.torture.imap import Client
from tests.torture.pop3 import unique_ids
from tests.torture.rounds import PASSWORD, USER, configure
from tests.torture.serve import Servers
from tests.torture.sharing import share


@pytest.fixture(scope="module")
def servers() -> Iterator[Servers]:
    made = Servers.start()
    yield made
    made.stop()


def test_nobody_loses_a_message_that_others_rename(tmp_path: Path, servers: Servers) -> None:
    """
    DS-06.
    """
    truth = share(tmp_path, servers, Random(), seconds=3, start=200)
    assert truth.counts["renames"]
    assert truth.counts["polls"]


def test_what_one_server_did_the_other_tells_at_the_next_command_and_in_idle(
    tmp_path: Path, servers: Servers
) -> None:
    """
    DS-06: no client asks twice.
    """
    mail = tmp_path / "mail"
    running = []
    for number in range(2):
        there = tmp_path / str(number)
        there.mkdir()
        configure(there, mail, "lazy")
        running.append(servers.serve(there))
    one, two, waiting = (Client(running[n].port, USER, PASSWORD) for n in (0, 1, 1))
    one.run("APPEND INBOX %s", [b"Subject: 0\r\n\r\nx\r\n"])
    for client in (one, two, waiting):
        client.run("SELECT INBOX")
    waiting.idle()

    def tells(wanted: bytes) -> None:
        assert any(wanted in line for line in two.run("NOOP")[1])
        waiting.hear(wanted)

    for number in range(3):
        one.run("APPEND INBOX %s", [b"Subject: %d\r\n\r\nx\r\n" % number])
        tells(b"2 EXISTS")
        one.run(f"STORE 1 FLAGS (k{number})")
        tells(b"k%d" % number)
        one.run("STORE 2 +FLAGS (\\Deleted)")
        one.run("EXPUNGE")
        tells(b"2 EXPUNGE")
        name = f"{number}.mda"
        (mail / USER / "tmp" / name).write_bytes(b"a: b\n\nx\n")
        (mail / USER / "tmp" / name).rename(mail / USER / "new" / name)
        tells(b"2 EXISTS")
        two.run("STORE 2 +FLAGS (\\Deleted)")
        two.run("EXPUNGE")
        waiting.hear(b"2 EXPUNGE")
        one.run("NOOP")
    for server in running:
        server.kill()


def _pop3(port: int) -> poplib.POP3:
    client = poplib.POP3("127.0.0.1", port, timeout=60)
    client.user(USER)
    client.pass_(PASSWORD)
    return client


def test_pop3_deletes_at_quit_and_its_ids_outlive_a_kill(tmp_path: Path, servers: Servers) -> None:
    """
    DS-15: killed before QUIT nothing is deleted, and the lock is free; after it, all of it is, for
    good.
    """
    configure(tmp_path, tmp_path / "mail", "lazy", pop3=True)
    server = servers.serve(tmp_path)
    client = Client(server.port, USER, PASSWORD)
    for number in range(5):
        client.run("APPEND INBOX %s", [b"Subject: %d\r\n\r\nx\r\n" % number])
    client.close()
    before = unique_ids(server.ports[1], USER, PASSWORD)
    session = _pop3(server.ports[1])
    session.dele(2)
    server.kill()
    session.close()
    server = servers.serve(tmp_path)
    assert unique_ids(server.ports[1], USER, PASSWORD) == before
    client = Client(server.port, USER, PASSWORD)
    client.run("SELECT INBOX")
    client.run("STORE 1:5 +FLAGS (\\Seen $Kept)")
    client.close()
    session = _pop3(server.ports[1])
    session.dele(2)
    session.dele(5)
    session.quit()
    server.kill()
    server = servers.serve(tmp_path)
    left = [before[0], before[2], before[3]]
    assert unique_ids(server.ports[1], USER, PASSWORD) == left
    client = Client(server.port, USER, PASSWORD)
    client.run("APPEND INBOX %s", [b"Subject: 5\r\n\r\nx\r\n"])
    client.close()
    after = unique_ids(server.ports[1], USER, PASSWORD)
    server.kill()
    assert after[:3] == left
    assert after[3] not in before
