"""
Both protocols over a store and users in memory, for tests of what holds for all of them.

C{server} makes listeners and conversations of one server; C{server.connect("imap")} gives a
L{Talk<mailaccess.testing.talk.Talk>} that has seen the greeting, C{server.login("imap")} one in
which amy is logged in.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import attrs
import pytest
from twisted.internet.task import Clock

from mailaccess.auth.gate import AccountGate
from mailaccess.auth.guard import GuardedChecker
from mailaccess.policy.tls import ListenerRule, TLSPolicy, Verdict
from mailaccess.protocols.factory import MailFactory
from mailaccess.protocols.imap.factory import IMAPFactory
from mailaccess.protocols.limits import Limits
from mailaccess.protocols.pop3.factory import POP3Factory
from mailaccess.protocols.pop3.options import POP3Options
from mailaccess.protocols.sweep import Sweep
from mailaccess.testing.memory import MemoryAccounts
from mailaccess.testing.people import MemoryChecker, entrance
from mailaccess.testing.talk import MemoryTransport, Talk

MECHANISMS = frozenset({"PLAIN", "LOGIN", "LOGIN command", "USER", "APOP"})
ALLOW = ListenerRule(cleartext=Verdict.ALLOW, mechanisms=MECHANISMS)
REFUSE = ListenerRule(cleartext=Verdict.REFUSE, mechanisms=MECHANISMS)


@attrs.define(eq=False)
class Server:
    """
    What the listeners of a server share.
    """

    clock: Clock = attrs.field(factory=Clock)
    accounts: MemoryAccounts = attrs.field(factory=MemoryAccounts)
    checker: MemoryChecker = attrs.field(
        factory=lambda: MemoryChecker(
            {"amy": b"secret", "bob": b"hunter2", "tls": b"secret"},
            fields={"tls": {"cleartext": "refuse"}},
        )
    )
    limits: Limits = attrs.field(factory=Limits)
    places: Any = None
    sweep: Sweep = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self.sweep = Sweep(self.clock)
        self.sweep.startService()

    def factory(
        self,
        service: str,
        rule: ListenerRule = ALLOW,
        *,
        tls: Any = "a context",
        pop3: POP3Options | None = None,
    ) -> MailFactory:
        """
        A listener.
        """
        way_in = entrance(
            self.checker, self.accounts.enter, self.clock, rule=rule, service=service, tls=tls
        )
        shared = (way_in, self.clock, self.sweep, self.limits, self.places)
        return POP3Factory(*shared, pop3) if service == "pop3" else IMAPFactory(*shared)

    def throttled(self, factory: MailFactory, throttle: Any) -> MailFactory:
        """
        The same, and wrong logins wait.
        """
        guard = GuardedChecker(
            TLSPolicy({"test": ALLOW}),
            self.checker,
            AccountGate(self.clock.seconds),
            throttle=throttle,
            clock=self.clock,
        )
        factory.entrance.guard = guard
        factory.entrance.portal.registerChecker(guard)  # type: ignore[no-untyped-call]
        return factory

    def connect(
        self, service: str, factory: MailFactory | None = None, peer: str = "192.0.2.7", **more: Any
    ) -> Talk:
        """
        A conversation; what the server says first is read already.
        """
        made = factory or self.factory(service, **more)
        talk = Talk(made, self.clock, transport=MemoryTransport(peer))
        talk.read()
        return talk

    def login(self, service: str, name: str = "amy", **more: Any) -> Talk:
        """
        A conversation of somebody who is logged in.
        """
        talk = self.connect(service, **more)
        (*_, reply) = talk.send(*LOGIN[service](name, self.checker.passwords[name]))
        assert reply.startswith((b"a OK ", b"+OK "))
        return talk


LOGIN: Mapping[str, Callable[[str, bytes], list[bytes]]] = {
    "imap": lambda name, secret: [b"a LOGIN %b %b" % (name.encode(), secret)],
    "pop3": lambda name, secret: [b"USER %b" % name.encode(), b"PASS %b" % secret],
}


@pytest.fixture
def make_server() -> type[Server]:
    return Server


@pytest.fixture
def server() -> Server:
    return Server()


@pytest.fixture
def login_lines() -> Mapping[str, Callable[[str, bytes], list[bytes]]]:
    return LOGIN


@pytest.fixture
def refusing() -> ListenerRule:
    return REFUSE
