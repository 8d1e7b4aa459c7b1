"""
The mail clients of Twisted.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any

import pytest
from twisted.internet import ssl
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import HostnameEndpoint, connectProtocol, wrapClientTLS
from twisted.mail.imap4 import IMAP4Client, PLAINAuthenticator
from twisted.mail.imap4 import Query as query
from twisted.mail.pop3 import AdvancedPOP3Client

from mailaccess.message.lineends import to_crlf

from .running import Desk, corpus


async def connect(desk: Desk, listener: str, make: Callable[..., Any]) -> Any:
    from twisted.internet import reactor

    trust = ssl.Certificate.loadPEM(desk.certificate.read_bytes())
    options = ssl.optionsForClientTLS("localhost", trustRoot=trust)
    endpoint: Any = HostnameEndpoint(reactor, "localhost", desk.port(listener))
    implicit = listener.endswith("s")
    if implicit:
        endpoint = wrapClientTLS(options, endpoint)
    greeted: Deferred[Any] = Deferred()
    protocol = make(None if implicit else options)
    protocol.serverGreeting = greeted.callback
    await connectProtocol(endpoint, protocol)
    await greeted
    if not implicit:
        await protocol.startTLS(options)
    return protocol


@pytest.mark.parametrize("listener", ["imap", "imaps"])
async def test_the_imap_client_of_twisted(desk: Desk, listener: str) -> None:
    person = desk.person
    person.deliver_all()
    messages = [to_crlf(each) for each in corpus("legacy")]
    it = await connect(desk, listener, IMAP4Client)
    it.registerAuthenticator(PLAINAuthenticator(person.name.encode()))
    await it.authenticate(person.password.encode())
    assert b"IDLE" in await it.getCapabilities()
    assert (await it.select("INBOX"))["EXISTS"] == len(messages)
    listed = await it.list("", "*")
    assert {name for _, _, name in listed} == {
        "INBOX",
        "Archive",
        "Archive/Ödland & Co",
        "Entwürfe",
    }
    whole = await it.fetchMessage("1:*", uid=True)
    assert [whole[number]["RFC822"].encode("utf-8", "surrogateescape") for number in sorted(whole)]
    structures = await it.fetchBodyStructure("1:20")
    assert len(structures) == 20
    envelopes = await it.fetchEnvelope("1:*")
    assert len(envelopes) == len(messages)
    assert await it.search(query(flagged=1), uid=True) == [21, 22, 23, 24]
    await it.setFlags("1", ["\\Answered"], silent=0)
    flags = await it.fetchFlags("1:2")
    assert set(flags[1]["FLAGS"]) - {"\\Recent"} == {"\\Answered"}
    await it.append("Entwürfe", io.BytesIO(b"Subject: x\r\n\r\nx\r\n"), ["\\Draft"])
    assert await it.status("Entwürfe", "MESSAGES") == {"MESSAGES": 3}
    await it.copy("1:3", "Entwürfe", uid=False)
    assert await it.status("Entwürfe", "MESSAGES") == {"MESSAGES": 6}
    await it.logout()


@pytest.mark.parametrize("listener", ["pop3", "pop3s"])
async def test_the_pop3_client_of_twisted(desk: Desk, listener: str) -> None:
    person = desk.person
    messages = [to_crlf(each) for each in corpus("legacy")]
    person.deliver(messages)

    def make(options: Any) -> Any:
        client = AdvancedPOP3Client()
        client.startTLSContext = options  # its name for it
        return client

    it = await connect(desk, listener, make)
    await it.login(person.name.encode(), person.password.encode())
    assert b"UIDL" in await it.capabilities()
    assert await it.listSize() == [len(each) for each in messages]
    assert len(set(await it.listUID())) == len(messages)
    for number, data in enumerate(messages):
        lines = await it.retrieve(number)
        assert lines == data.removesuffix(b"\r\n").split(b"\r\n")
    await it.delete(0)
    await it.quit()
    assert len(person.stored()) == len(messages) - 1
