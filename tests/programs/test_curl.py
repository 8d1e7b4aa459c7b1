"""
curl: one transfer a command.
"""

from __future__ import annotations

from pathlib import Path
from urllib.parse import quote

import pytest

from mailaccess.message.header import header_end
from mailaccess.message.lineends import to_crlf

from .running import ODD, Desk, corpus

IMAP = pytest.mark.parametrize("listener", ["imap", "imaps"])
POP3 = pytest.mark.parametrize("listener", ["pop3", "pop3s"])
WRONG_PASSWORD = 67


def curl(
    desk: Desk, listener: str, path: str, *options: str | Path, password: str = "", status: int = 0
) -> bytes:
    """
    What curl writes. The TLS is verified, and required where it is asked for.
    """
    person = desk.person
    config = desk.write(
        "curlrc", f'user = "{person.name}:{password or person.password}"\nsilent\nshow-error\n'
    )
    return desk.run(
        "curl",
        *("-K", config, "--cacert", desk.certificate, "--ssl-reqd", *options),
        f"{listener}://localhost:{desk.port(listener)}/{path}",
        status=status,
    ).stdout


@IMAP
def test_curl_lists_the_mailboxes(desk: Desk, listener: str) -> None:
    desk.person.deliver_all()
    assert curl(desk, listener, "").decode().split("\r\n") == [
        '* LIST (\\HasNoChildren) "/" INBOX',
        '* LIST (\\HasChildren \\Archive) "/" Archive',
        '* LIST (\\HasNoChildren) "/" "Archive/&ANY-dland &- Co"',
        '* LIST (\\HasNoChildren) "/" Entw&APw-rfe',
        "",
    ]
    assert curl(desk, listener, "Archive", "-X", 'LIST "Archive/" %').endswith(b'Co"\r\n')


@IMAP
def test_curl_fetches_by_uid_and_section(desk: Desk, listener: str) -> None:
    messages = desk.person.deliver_all()["INBOX"]
    for uid, data in ((1, messages[0]), (16, messages[15]), (50, messages[49])):
        assert curl(desk, listener, f"INBOX;UID={uid}") == data
        end = header_end(data)
        assert curl(desk, listener, f"INBOX;UID={uid};SECTION=TEXT") == data[end:]
        assert curl(desk, listener, f"INBOX;UID={uid};SECTION=HEADER") == data[:end]
    folder = quote("Archive/&ANY-dland &- Co")
    for number, data in enumerate(ODD[:-1], 1):
        assert curl(desk, listener, f"{folder};MAILINDEX={number}") == to_crlf(data)
    curl(desk, listener, "INBOX;UID=1000", status=78)
    curl(desk, listener, "INBOX;UIDVALIDITY=1;UID=1", status=78)


@IMAP
@pytest.mark.parametrize("data", [corpus("legacy")[14], *ODD[:2], ODD[4]])
def test_curl_appends_what_can_be_fetched(desk: Desk, listener: str, data: bytes) -> None:
    """Octet for octet, as CRLF."""
    sent = to_crlf(data)
    (desk.home / "message").write_bytes(sent)
    curl(desk, listener, "", "-X", "CREATE Sent")
    curl(desk, listener, "Sent", "-T", desk.home / "message")
    assert curl(desk, listener, "Sent;MAILINDEX=1") == sent
    assert desk.person.stored("Sent") == [sent]
    # No such mailbox: nothing is stored anywhere.
    curl(desk, listener, "Nowhere", "-T", desk.home / "message", status=25)
    assert not desk.person.folder("Nowhere").exists()


@IMAP
def test_curl_searches_and_stores(desk: Desk, listener: str) -> None:
    desk.person.deliver_all()
    ask = lambda what: curl(desk, listener, "INBOX", "-X", what)  # noqa: E731
    assert ask("SEARCH FLAGGED") == b"* SEARCH 21 22 23 24\r\n"
    assert ask("UID SEARCH 25:30 UNSEEN") == b"* SEARCH 25 26 27 28 29 30\r\n"
    assert ask("SEARCH SUBJECT NoSuchWordAnywhere") == b"* SEARCH\r\n"
    assert curl(desk, listener, "Archive/%26ANY-dland%20%26-%20Co?SUBJECT%20dots") == (
        b"* SEARCH 1\r\n"
    )
    assert ask("STORE 1 +FLAGS (\\Flagged $Later)") == (
        b"* 1 FETCH (FLAGS (\\Seen \\Flagged $Later))\r\n"
    )
    assert ask("SEARCH KEYWORD $Later") == b"* SEARCH 1\r\n"
    assert b"* STATUS INBOX (MESSAGES 54 UNSEEN 30)" in ask("STATUS INBOX (MESSAGES UNSEEN)")


@pytest.mark.parametrize("listener", ["imap", "imaps", "pop3", "pop3s"])
@pytest.mark.parametrize("how", ["AUTH=PLAIN", "AUTH=LOGIN", "AUTH=*"])
def test_curl_logs_in_by_each_mechanism(desk: Desk, listener: str, how: str) -> None:
    """SASL-01: with and without an initial response."""
    if listener.startswith("pop3"):
        how = how.replace("AUTH=*", "AUTH=+APOP")
    desk.person.deliver(ODD[:1])
    options = ("--login-options", how)
    path = "INBOX" if listener.startswith("imap") else ""
    if how.endswith("APOP"):
        # Not offered, so not possible; the password stays here.
        curl(desk, listener, path, *options, status=WRONG_PASSWORD)
        return
    assert curl(desk, listener, path, *options)
    assert curl(desk, listener, path, "--sasl-ir", *options)


@pytest.mark.parametrize("listener", ["imap", "imaps", "pop3", "pop3s"])
def test_curl_is_told_of_a_wrong_password(desk: Desk, listener: str) -> None:
    wrong = desk.server.site.secret("Falsch-Wort", desk.person.name)
    since = len(desk.server.log.lines)
    curl(desk, listener, "", password=wrong, status=WRONG_PASSWORD)
    line = desk.server.log.wait_for("event=failed", since)
    assert f'user="{desk.person.name}" listener={listener} ' in line
    assert "reason=AuthenticationFailed" in line
    # Nobody waits for long after that who knows the password.
    desk.person.deliver(ODD[:1])
    curl(desk, listener, "INBOX" if listener.startswith("imap") else "")


@pytest.mark.parametrize("listener", ["imap", "pop3"])
def test_curl_without_tls_does_not_get_to_send_its_password(desk: Desk, listener: str) -> None:
    """TLS-21, CODE-01: nothing that takes a password is offered in the clear."""
    person = desk.person
    person.deliver(ODD[:1])
    done = desk.run(
        *("curl", "-sv", "-u", f"{person.name}:{person.password}"),
        f"{listener}://localhost:{desk.port(listener)}/",
        status=WRONG_PASSWORD,
    )
    assert person.password.encode() not in done.stderr
    assert b"AUTHENTICATE" not in done.stderr
    assert done.stdout == b""


@pytest.mark.parametrize("listener", ["imap", "imaps", "pop3", "pop3s"])
def test_curl_that_does_not_know_the_certificate_stays_away(desk: Desk, listener: str) -> None:
    person = desk.person
    desk.run(
        *("curl", "-s", "--ssl-reqd", "-u", f"{person.name}:{person.password}"),
        f"{listener}://localhost:{desk.port(listener)}/",
        status=60,
    )


@POP3
def test_curl_reads_a_maildrop(desk: Desk, listener: str) -> None:
    data = [*ODD, *corpus("rfc")]
    desk.person.deliver(data)
    sent = [to_crlf(each) for each in data]
    listed = curl(desk, listener, "").decode().split("\r\n")
    assert listed == [f"{number} {len(each)}" for number, each in enumerate(sent, 1)] + [""]
    for number, each in enumerate(sent, 1):
        # RETR cannot say that a last line has no end.
        whole = each if each.endswith(b"\r\n") else each + b"\r\n"
        assert curl(desk, listener, str(number)) == whole
    uidl = curl(desk, listener, "", "-X", "UIDL").decode().split()
    assert uidl[::2] == [str(number) for number in range(1, len(sent) + 1)]
    assert len(set(uidl[1::2])) == len(sent)
    assert curl(desk, listener, "", "-X", "UIDL").decode().split() == uidl
    top = curl(desk, listener, "", "-X", "TOP 1 1")
    assert top == b"Subject: dots\r\n\r\n.\r\n"
    curl(desk, listener, "", "-I", "-X", "DELE 1")
    assert len(desk.person.stored()) == len(sent) - 1
