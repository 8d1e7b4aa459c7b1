"""
Big answers: slowly read, asked for many times, in pieces.
"""

from __future__ import annotations

import gc
from typing import Any

from mailaccess.protocols.imap.commands.fetch.items import Message
from mailaccess.protocols.imap.commands.fetch.kept import Kept
from mailaccess.testing.talk import MemoryTransport, Talk
from tests.protocols.conftest import House
from tests.protocols.imap.mailboxes_of import exchange, selected

FULL = 1 << 16


class Slow(MemoryTransport):
    """
    A client that reads nothing until told to.
    """

    def write(self, data: bytes) -> None:
        """
        As a real transport: more than its buffer has room for pauses who writes.
        """
        super().write(data)  # type: ignore[no-untyped-call]
        if len(self.value()) > FULL and self.producer is not None:  # type: ignore[no-untyped-call]
            self.producer.pauseProducing()

    def take(self) -> bytes:
        """
        The client reads all there is.
        """
        data: bytes = self.value()  # type: ignore[no-untyped-call]
        self.clear()  # type: ignore[no-untyped-call]
        self.producer.resumeProducing()
        return data


def slow(house: House, *messages: bytes) -> tuple[Talk, Slow, list[int]]:
    """
    A conversation with such a client, and the UIDs of the messages that were read for it.
    """
    account = house.accounts.of("amy")
    for each in messages:
        account.deliver("INBOX", each)
    transport = Slow()
    talk = house.connect(transport=transport)
    talk.send(b"a LOGIN amy secret", b"b SELECT INBOX")
    read: list[int] = []
    mailbox: Any = talk.protocol.session.mailbox
    octets = mailbox.octets

    async def counted(uid: int) -> bytes:
        read.append(uid)
        data: bytes = await octets(uid)
        return data

    mailbox.octets = counted
    return talk, transport, read


def drain(talk: Talk, transport: Slow) -> tuple[bytes, int]:
    """
    Read until nothing comes any more; what came, and the most there was at a time.
    """
    answer, most = b"", 0
    while True:
        data = transport.take()
        talk.clock.advance(0)
        if not data and not transport.value():  # type: ignore[no-untyped-call]
            return answer, most
        answer, most = answer + data, max(most, len(data))


def test_a_client_that_does_not_read_holds_up_its_fetch(house: House) -> None:
    """PAR-10: neither read from the store nor kept in memory until the client has read."""
    message = b"Subject: big\r\n\r\n" + b"x" * 40_000
    talk, transport, read = slow(house, *[message] * 100)
    talk.protocol.dataReceived(b"a FETCH 1:* (BODY.PEEK[] BODY.PEEK[] BODY.PEEK[TEXT])\r\n")
    talk.clock.advance(0)
    assert len(read) <= 4
    assert len(transport.value()) < 2 * 2**20  # type: ignore[no-untyped-call]
    answer, most = drain(talk, transport)
    assert read == list(range(1, 101))
    assert most < 2 * 2**20
    assert answer.count(message) == 100
    assert answer.endswith(b"a OK FETCH completed\r\n")


def test_a_body_asked_for_a_thousand_times_is_read_and_sent_once(house: House) -> None:
    """PAR-10: 900 times BODY[] in one FETCH."""
    message = b"Subject: x\r\n\r\n" + b"y" * 10_000
    talk, transport, read = slow(house, message)
    talk.protocol.dataReceived(b"a FETCH 1 (%b)\r\n" % b" ".join([b"BODY.PEEK[]"] * 900))
    answer, _ = drain(talk, transport)
    assert answer.count(b"y" * 10_000) == 1
    assert read == [1]


def test_more_items_than_anybody_needs_are_bad(house: House) -> None:
    """PAR-10: a bound on what one FETCH can ask of each message."""
    talk = selected(house, b"Subject: x\r\n\r\n")
    items = b" ".join(b"BODY.PEEK[%d]" % each for each in range(1, 1100))
    (reply,) = talk.send(b"a FETCH 1 (%b)" % items)
    assert reply.startswith(b"a BAD ")


def test_slowly_read_columns_wait_too(house: House) -> None:
    """PAR-10: one batch at a time."""
    talk, transport, _ = slow(house, *[b"Subject: x\r\n\r\n"] * 6000)
    talk.protocol.dataReceived(b"a FETCH 1:* (UID FLAGS INTERNALDATE RFC822.SIZE)\r\n")
    talk.clock.advance(0)
    assert len(transport.value()) < 3 * FULL  # type: ignore[no-untyped-call]
    answer, _ = drain(talk, transport)
    lines = answer.splitlines()
    assert len(lines) == 6001
    assert lines[5999].startswith(b"* 6000 FETCH (UID 6000 ")


def test_a_message_of_megabytes_goes_out_in_pieces(house: House) -> None:
    """Octets and their order stay; no more than a piece waits for the client."""
    message = b"Subject: big\r\n\r\n" + b"".join(b"%09d\n" % each for each in range(200_000))
    talk, transport, _ = slow(house, message)
    talk.protocol.dataReceived(b"a FETCH 1 BODY.PEEK[]\r\n")
    talk.clock.advance(0)
    assert len(transport.value()) < 2**19  # type: ignore[no-untyped-call]
    answer, most = drain(talk, transport)
    assert most < 2**19
    assert answer == b"* 1 FETCH (BODY[] {%d}\r\n%b)\r\na OK FETCH completed\r\n" % (
        len(message),
        message,
    )


def test_the_client_may_leave_while_it_is_sent_a_body(house: House) -> None:
    """The command ends with the connection, without a word."""
    talk, _, read = slow(house, *[b"Subject: big\r\n\r\n" + b"x" * 100_000] * 10)
    talk.protocol.dataReceived(b"a FETCH 1:* BODY.PEEK[]\r\n")
    talk.hang_up()
    count = len(read)
    talk.clock.advance(1)
    assert len(read) == count
    assert talk.protocol.session.mailbox is None


def test_parentheses_without_end_are_bad(house: House) -> None:
    """PAR-03: 60,000 of them."""
    talk = selected(house, b"Subject: x\r\n\r\n")
    answer = exchange(talk, b"a FETCH 1 " + b"(" * 60_000)
    assert answer.startswith(b"a BAD ")
    assert len(answer) < 200


def test_a_large_message_fetched_in_pieces_is_read_once(house: House) -> None:
    """As Thunderbird does it; another message, and another mailbox, is another one."""
    message = b"Subject: big\r\n\r\n" + b"".join(b"%09d\n" % each for each in range(30_000))
    talk, transport, read = slow(house, message, b"X" + message)
    house.accounts.of("amy").make("Other")
    text = message.partition(b"\r\n\r\n")[2]
    got = b""
    for origin in range(0, len(text), 65536):
        talk.protocol.dataReceived(b"a UID FETCH 1 BODY.PEEK[1]<%d.65536>\r\n" % origin)
        answer, _ = drain(talk, transport)
        _, _, rest = answer.partition(b"}\r\n")
        got += rest[: len(text[origin : origin + 65536])]
    assert got == text
    assert read == [1]
    talk.protocol.dataReceived(b"a FETCH 2 BODY.PEEK[]<0.5>\r\n")
    answer, _ = drain(talk, transport)
    assert b"{5}\r\nXSubj" in answer
    assert read == [1, 2]


def test_what_is_kept_is_bounded_and_goes_with_its_mailbox(house: House) -> None:
    """PAR-10: for all sessions together."""
    kept = Kept(room=1_000_000)
    talks = [selected(house) for _ in range(4)]
    views = [talk.protocol.session.mailbox for talk in talks]
    for each in views:
        kept.keep(each, 7, Message(b"x" * 400_000))
    assert kept.octets == 800_000
    assert [kept.find(each, 7) is not None for each in views] == [False, False, True, True]
    assert kept.find(views[3], 8) is None
    kept.keep(views[3], 8, Message(b"x" * 1_000_001))
    kept.keep(views[2], 9, Message(b"small"))
    assert kept.octets == 0
    kept.keep(views[0], 7, Message(b"x" * 400_000))
    del each, views
    talks[0].send(b"a CLOSE")
    gc.collect()
    assert kept.octets == 0
