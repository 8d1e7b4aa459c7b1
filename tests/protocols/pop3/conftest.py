"""
Conversations with the POP3 server over the store in memory; see the fixtures of the folder above.

C{pop} has a greeting behind it; C{drop} is logged in as amy with three messages.
"""

from __future__ import annotations

from typing import Any

import attrs
import pytest

from mailaccess.protocols.pop3.factory import POP3Factory
from mailaccess.protocols.pop3.options import POP3Options
from mailaccess.testing.memory import MemoryAccount
from mailaccess.testing.people import entrance
from mailaccess.testing.talk import MemoryTransport, Talk

ONE = b"Subject: one\r\n\r\nfirst line\r\n.\r\n..two dots\r\nlast\r\n"
TWO = b"Subject: two\r\n\r\n" + b"x" * 100 + b"\r\n"
THREE = b"Subject: three\r\n\r\nno line end at the end"


@attrs.define(eq=False)
class PostOffice:
    """
    A POP3 listener's worth of objects.
    """

    house: Any

    def factory(self, options: POP3Options | None = None, **entrance_options: Any) -> POP3Factory:
        """
        A listener.
        """
        house = self.house
        way_in = entrance(
            house.checker, house.accounts.enter, house.clock, service="pop3", **entrance_options
        )
        return POP3Factory(way_in, house.clock, house.sweep, house.limits, None, options)

    def connect(
        self,
        options: POP3Options | None = None,
        factory: POP3Factory | None = None,
        transport: MemoryTransport | None = None,
        **entrance_options: Any,
    ) -> Talk:
        """
        A conversation behind its greeting.
        """
        made = factory or self.factory(options, **entrance_options)
        talk = Talk(made, self.house.clock, transport=transport)
        assert talk.lines()[0].startswith(b"+OK mailaccess ready")
        return talk

    def login(self, name: str = "amy", **options: Any) -> Talk:
        """
        A conversation in TRANSACTION.
        """
        talk = self.connect(**options)
        password = self.house.checker.passwords[name]
        replies = talk.send(b"USER " + name.encode(), b"PASS " + password)
        assert replies[-1].startswith(b"+OK ")
        return talk


@pytest.fixture
def office(house: Any) -> PostOffice:
    """
    Amy has three messages.
    """
    account = house.accounts.of("amy")
    for each in (ONE, TWO, THREE):
        account.deliver("INBOX", each)
    return PostOffice(house)


@pytest.fixture
def box(office: PostOffice) -> MemoryAccount:
    """
    Amy's mail.
    """
    return office.house.accounts.of("amy")


@pytest.fixture
def pop(office: PostOffice) -> Talk:
    """
    Before a login.
    """
    return office.connect()


@pytest.fixture
def drop(office: PostOffice) -> Talk:
    """
    Amy in TRANSACTION.
    """
    return office.login()
