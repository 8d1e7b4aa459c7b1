"""
Conversations with the IMAP server over a store in memory.

C{house} is all that is needed to serve: a clock that stands still, users (C{amy} with the password
C{secret}, C{bob} with C{hunter2}), their mail in memory, a sweep and limits. C{house.connect()}
gives a L{Talk<mailaccess.testing.talk.Talk>} that has seen the greeting; C{house.login()} one that
is logged in. Both take what L{mailaccess.testing.people.entrance} takes (C{rule=...}).

C{account} is amy's L{MemoryAccount<mailaccess.testing.memory.MemoryAccount>}; its C{INBOX} has the
messages of the corpus (C{corpus}: their octets, CRLF line ends) as UIDs 1 to 64, in the order of
their file names, C{legacy} before C{rfc}, each with the internal date C{INTERNAL_DATE}.

C{talk} is a conversation in which amy is logged in and nothing is selected:
C{talk.send(b"a SELECT INBOX")} gives the lines that come back. C{selected} is one with C{INBOX}
selected, and nothing to be reported.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import attrs
import pytest
from twisted.internet.task import Clock

from mailaccess.message.lineends import to_crlf
from mailaccess.protocols.imap.factory import IMAPFactory
from mailaccess.protocols.limits import Limits
from mailaccess.protocols.sweep import Sweep
from mailaccess.testing.memory import MemoryAccount, MemoryAccounts
from mailaccess.testing.people import MemoryChecker, entrance
from mailaccess.testing.talk import MemoryTransport, Talk
from mailaccess.wire.naming import PLAIN, Naming

CORPUS = Path(__file__).parent.parent / "data" / "corpus"

INTERNAL_DATE = 1_000_000_000
"""Sunday, 9 September 2001, 01:46:40 UTC."""


@attrs.define(eq=False)
class House:
    """
    A server's worth of objects.

    @ivar options: for the entrance of connections to come
    """

    clock: Clock = attrs.field(factory=Clock)
    accounts: MemoryAccounts = attrs.field(factory=MemoryAccounts)
    checker: MemoryChecker = attrs.field(
        factory=lambda: MemoryChecker({"amy": b"secret", "bob": b"hunter2"})
    )
    limits: Limits = attrs.field(factory=Limits)
    places: Any = None
    naming: Naming = PLAIN
    sweep: Sweep = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self.sweep = Sweep(self.clock)
        self.sweep.startService()

    def factory(self, **options: Any) -> IMAPFactory:
        """
        A listener.
        """
        way_in = entrance(self.checker, self.accounts.enter, self.clock, **options)
        shared = way_in, self.clock, self.sweep, self.limits, self.places
        return IMAPFactory(*shared, naming=self.naming)

    def connect(
        self,
        factory: IMAPFactory | None = None,
        transport: MemoryTransport | None = None,
        **options: Any,
    ) -> Talk:
        """
        A conversation; what the server says first is read already.
        """
        talk = Talk(factory or self.factory(**options), self.clock, transport=transport)
        assert talk.lines()[0].startswith(b"* OK [CAPABILITY ")
        return talk

    def login(self, name: str = "amy", factory: IMAPFactory | None = None, **options: Any) -> Talk:
        """
        A conversation of somebody who is logged in.
        """
        talk = self.connect(factory, **options)
        password = self.checker.passwords[name].decode()
        (reply,) = talk.send(f"in LOGIN {name} {password}".encode())
        assert reply.startswith(b"in OK [CAPABILITY ")
        return talk


@pytest.fixture(scope="session")
def corpus() -> list[bytes]:
    """
    The octets of all messages of the corpus.
    """
    return [
        to_crlf(each.read_bytes())
        for kind in ("legacy", "rfc")
        for each in sorted((CORPUS / kind).glob("*.eml"))
    ]


@pytest.fixture
def house() -> House:
    """
    A server with empty mailboxes.
    """
    return House()


@pytest.fixture
def account(house: House, corpus: list[bytes]) -> MemoryAccount:
    """
    Amy's mail.
    """
    account = house.accounts.of("amy")
    for each in corpus:
        account.deliver("INBOX", each, date=INTERNAL_DATE)
    return account


@pytest.fixture
def talk(house: House, account: MemoryAccount) -> Talk:
    """
    Amy is logged in; her C{INBOX} has the corpus.
    """
    return house.login()


@pytest.fixture
def selected(talk: Talk) -> Talk:
    """
    The same with C{INBOX} selected.
    """
    assert talk.send(b"in SELECT INBOX")[-1] == b"in OK [READ-WRITE] SELECT completed"
    return talk
