"""
imaplib and poplib, as scripts use them.
"""

from __future__ import annotations

import imaplib
import poplib
import ssl
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from mailaccess.message.lineends import to_crlf

from .running import ODD, PATIENCE, Desk, corpus, until


def imap(desk: Desk, listener: str) -> imaplib.IMAP4:
    context = desk.server.context()
    if listener == "imaps":
        return imaplib.IMAP4_SSL(
            "localhost", desk.port(listener), ssl_context=context, timeout=PATIENCE
        )
    it = imaplib.IMAP4("localhost", desk.port(listener), timeout=PATIENCE)
    assert "LOGINDISABLED" in it.capabilities
    it.starttls(context)
    assert "LOGINDISABLED" not in it.capabilities
    return it


def pop3(desk: Desk, listener: str) -> poplib.POP3:
    context = desk.server.context()
    if listener == "pop3s":
        return poplib.POP3_SSL("localhost", desk.port(listener), context=context, timeout=PATIENCE)
    it = poplib.POP3("localhost", desk.port(listener), timeout=PATIENCE)
    assert "USER" not in it.capa()
    it.stls(context)
    assert "STLS" not in it.capa()
    return it


@pytest.mark.parametrize("listener", ["imap", "imaps"])
def test_imaplib_reads_and_writes_octet_for_octet(desk: Desk, listener: str) -> None:
    messages = [to_crlf(each) for each in (*ODD, *corpus("rfc"), *corpus("legacy"))]
    it = imap(desk, listener)
    person = desk.person
    it.authenticate("PLAIN", lambda _: f"\0{person.name}\0{person.password}".encode())
    assert it.create("Sent")[0] == "OK"
    for number, data in enumerate(messages):
        said = it.append(
            "Sent", "(\\Seen)" if number % 2 else None, '"17-Jul-1996 02:44:25 -0700"', data
        )
        assert said[0] == "OK"
    assert it.select("Sent") == ("OK", [b"%d" % len(messages)])
    _, answer = it.fetch("1:*", "(RFC822.SIZE INTERNALDATE BODY.PEEK[])")
    found = [each for each in answer if isinstance(each, tuple)]
    # imaplib makes CRLF of what it sends, lone CRs too.
    sent = [imaplib.MapCRLF.sub(imaplib.CRLF, each) for each in messages]
    assert [each[1] for each in found] == sent
    assert all(b'"17-Jul-1996 09:44:25 +0000"' in e[0] or b"-0700" in e[0] for e in found)
    assert person.stored("Sent") == sorted(sent)
    _, answer = it.fetch("3", "(BODY.PEEK[]<100.50>)")
    assert answer[0][1] == sent[2][100:150]  # type: ignore[index]
    assert it.search(None, "UNSEEN", "2:4")[1] == [b"3"]
    assert it.uid("STORE", "1:3", "+FLAGS.SILENT", "(\\Deleted)") == ("OK", [None])
    assert it.expunge()[1] in ([b"3", b"2", b"1"], [b"1", b"1", b"1"])
    assert it.select("Sent") == ("OK", [b"%d" % (len(messages) - 3)])
    assert it.lsub()[1] == [None]
    assert it.logout()[0] == "BYE"


def test_imaplib_logs_in_with_any_password(desk: Desk) -> None:
    """Made by C{mailaccess passwd} while the server runs; quotes, spaces and UTF-8 in it."""
    site = desk.server.site
    password = site.secret('S "quoted" \\ päss wörd {5}', "bea")
    tool = Path(sys.executable).with_name("mailaccess")
    subprocess.run(
        [tool, "passwd", "-f", site.users, "-s", "BLF-CRYPT", "--stdin", "bea"],
        input=f"{password}\n".encode(),
        check=True,
        capture_output=True,
    )
    context = desk.server.context()

    def login() -> bool:
        it = imaplib.IMAP4_SSL("localhost", desk.port("imaps"), ssl_context=context)
        try:
            it.authenticate("PLAIN", lambda _: f"\0bea\0{password}".encode())
        except imaplib.IMAP4.error:
            return False
        it.logout()
        return True

    # The server looks at the file once a second at most.
    until(login, "logged in")
    pop = pop3(desk, "pop3s")
    pop.encoding = "utf-8"
    pop.user("bea")
    pop.pass_(password)
    pop.quit()


SHORT = tuple(each for each in (*ODD, *corpus("legacy")) if max(map(len, each.split(b"\n"))) < 2000)
"""poplib gives up where a line is longer than 2048 octets."""


@pytest.fixture(params=["pop3", "pop3s"])
def pop(desk: Desk, request: Any) -> Iterator[poplib.POP3]:
    desk.person.deliver(SHORT)
    it = pop3(desk, request.param)
    yield it
    it.close()


def test_poplib_reads_and_deletes_at_the_end_only(desk: Desk, pop: poplib.POP3) -> None:
    messages = [to_crlf(each) for each in SHORT]
    person = desk.person
    pop.user(person.name)
    pop.pass_(person.password)
    assert pop.stat() == (len(messages), sum(map(len, messages)))
    for number, data in enumerate(messages, 1):
        _, lines, _ = pop.retr(number)
        assert lines == data.removesuffix(b"\r\n").split(b"\r\n")
    uids = pop.uidl()[1]
    pop.dele(1)
    pop.dele(2)
    with pytest.raises(poplib.error_proto):
        pop.retr(1)
    pop.rset()
    assert pop.stat()[0] == len(messages)
    pop.dele(3)
    pop.close()
    # Without QUIT nothing is deleted (RFC 1939 section 6).
    again = pop3(desk, "pop3s")
    again.user(person.name)
    again.pass_(person.password)
    assert again.uidl()[1] == uids
    again.dele(3)
    again.quit()
    assert len(person.stored()) == len(messages) - 1


def test_poplib_is_refused_what_is_not_offered(desk: Desk, pop: poplib.POP3) -> None:
    """APOP is off; in the clear USER is refused before a password is sent; UTF8 is there."""
    person = desk.person
    with pytest.raises(poplib.error_proto):
        pop.apop(person.name, person.password)
    assert "UTF8" in pop.capa()
    pop.utf8()
    clear = poplib.POP3("localhost", desk.port("pop3"), timeout=PATIENCE)
    with pytest.raises(poplib.error_proto):
        clear.user(person.name)
    clear.quit()
    with pytest.raises(ssl.SSLCertVerificationError):
        poplib.POP3_SSL("localhost", desk.port("pop3s"), context=ssl.create_default_context())
