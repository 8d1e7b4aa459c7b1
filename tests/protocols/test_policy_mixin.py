"""
TLSPolicyMixin on a protocol that is not ours: C{twisted.mail.pop3.POP3}.

The class under test is the one that the documentation shows (C{guarded_pop3.py} in
C{docs/howto/examples}). Beside it are POP3s without the mixin, which the guard has to stop.
"""

from __future__ import annotations

import datetime
import importlib.util
import ssl
from base64 import b64encode
from collections.abc import Callable
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import pytest
from twisted.cred.credentials import UsernamePassword
from twisted.cred.portal import IRealm, Portal
from twisted.internet.defer import Deferred
from twisted.internet.protocol import Factory
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransportWithDisconnection
from twisted.mail.pop3 import POP3, IMailbox
from twisted.mail.pop3 import Mailbox as EmptyMailbox
from twisted.protocols.tls import TLSMemoryBIOFactory
from zope.interface import implementer

from mailaccess.auth.gate import AccountGate
from mailaccess.auth.guard import GuardedChecker
from mailaccess.auth.linked import LinkedPortal
from mailaccess.errors import DirectoryUnavailable
from mailaccess.policy.link import Layer
from mailaccess.policy.mechanism import USER_PASS
from mailaccess.policy.tls import ListenerRule, PersonRule, TLSPolicy, Verdict
from mailaccess.protocols.login import Entrance
from mailaccess.services.demo.certificate import ensure_certificate
from mailaccess.services.settings import TLSSettings
from mailaccess.services.tls import ServerTLS
from mailaccess.testing.people import MemoryChecker
from mailaccess.testing.talk import MemoryTransport, Talk

EXAMPLE = Path(__file__).parents[2] / "docs/howto/examples/guarded_pop3.py"


def example() -> Any:
    """
    The module of the documentation.
    """
    spec = importlib.util.spec_from_file_location("guarded_pop3", EXAMPLE)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


GuardedPOP3: Any = example().GuardedPOP3

REFUSE, ALLOW = ListenerRule(), ListenerRule(Verdict.ALLOW)


@implementer(IRealm)
class Maildrops:
    """
    An empty maildrop for everybody.

    @ivar left: how many have gone
    """

    left = 0

    def requestAvatar(self, avatarId: Any, mind: Any, *interfaces: Any) -> Any:
        assert IMailbox in interfaces
        return IMailbox, EmptyMailbox(), self.leave

    def leave(self) -> None:
        self.left += 1


class Site(Factory):
    """
    A listener named C{pop3}, for amy, bob and the policy that is given.
    """

    noisy = False

    def __init__(
        self,
        rule: ListenerRule = REFUSE,
        people: tuple[PersonRule, ...] = (),
        make: Callable[[], Any] = GuardedPOP3,
        checker: MemoryChecker | None = None,
        **entrance: Any,
    ) -> None:
        self.checker = checker or MemoryChecker({"amy": b"secret", "bob": b"hunter2"})
        self.realm = Maildrops()
        self.clock = Clock()
        policy = TLSPolicy({"pop3": rule}, people)
        guard = GuardedChecker(policy, self.checker, AccountGate(self.clock.seconds))
        portal = Portal(self.realm, [guard])
        self.entrance = Entrance("pop3", "pop3", IMailbox, portal, guard, **entrance)
        self.make = make

    def buildProtocol(self, addr: Any) -> Any:
        protocol = self.make()
        protocol.entrance = self.entrance
        protocol.factory = self
        protocol.schedule = self.at_once
        return protocol

    @staticmethod
    def at_once(steps: Any) -> Deferred[None]:
        """
        In place of the reactor's cooperator.
        """
        for _ in steps:
            pass
        done: Deferred[None] = Deferred()
        done.callback(None)
        return done

    def call(self, peer: str = "192.0.2.7") -> Talk:
        """
        A conversation that has been greeted.
        """
        talk = Talk(self, self.clock, transport=MemoryTransport(peer))
        (greeting,) = talk.lines()
        assert greeting.startswith(b"+OK ")
        return talk


def plain(name: str, password: str, authorization: str = "") -> bytes:
    return b64encode(f"{authorization}\0{name}\0{password}".encode())


# ---- refused -----------------------------------------------------------------------------------


def test_capa_in_the_clear_lists_no_way_to_log_in() -> None:
    """POL-01, POL-02."""
    lines = Site().call().send(b"CAPA")
    assert b"TOP" in lines
    assert not [each for each in lines if each.startswith((b"USER", b"SASL"))]


@pytest.mark.parametrize(
    "command",
    [
        b"USER amy",
        b"AUTH PLAIN",
        b"AUTH PLAIN " + plain("amy", "secret"),
        b"AUTH LOGIN",
        b"APOP amy 0123456789abcdef0123456789abcdef",
    ],
)
def test_a_login_in_the_clear_is_refused_without_asking_the_checker(command: bytes) -> None:
    """POL-03: no challenge, no check, also where the password is right."""
    site = Site()
    (answer,) = site.call().send(command)
    assert answer.startswith(b"-ERR")
    assert b"Error" not in answer
    assert b"class" not in answer
    assert site.checker.asked == []


def test_a_password_that_is_sent_all_the_same_is_not_looked_at() -> None:
    """POL-03: USER was refused, so there is nobody for PASS."""
    site = Site()
    lines = site.call().send(b"USER amy", b"PASS secret", b"STAT")
    assert [each[:4] for each in lines] == [b"-ERR"] * 3
    assert site.checker.asked == []


def test_one_person_is_refused_where_others_are_allowed() -> None:
    """POL-04: bob at USER, whatever his password; amy logs in, and strangers get as far."""
    refused = PersonRule("bob", Verdict.REFUSE)
    site = Site(ALLOW, (refused,))
    assert b"USER" in site.call().send(b"CAPA")
    (answer,) = site.call().send(b"USER bob")
    assert answer == b"-ERR Login in the clear is refused here: use TLS"
    for password in (b"hunter2", b"wrong"):
        (again,) = site.call().send(b"AUTH PLAIN " + plain("bob", password.decode()))
        assert again == answer
    assert site.checker.asked == []
    assert site.call().send(b"USER nobody")[0].startswith(b"+OK")
    assert site.call().send(b"USER amy", b"PASS secret")[-1].startswith(b"+OK")


def test_a_name_in_sasl_login_is_refused_before_the_password_is_asked_for() -> None:
    """POL-03, POL-04."""
    site = Site(ALLOW, (PersonRule("bob", Verdict.REFUSE),))
    talk = site.call()
    assert talk.send(b"AUTH LOGIN") == [b"+ " + b64encode(b"Username:")]
    (answer,) = talk.send(b64encode(b"bob"))
    assert answer == b"-ERR Login in the clear is refused here: use TLS"
    assert site.checker.asked == []


# ---- allowed -----------------------------------------------------------------------------------


LOGINS = [
    (b"USER amy", b"PASS secret"),
    (b"AUTH PLAIN " + plain("amy", "secret"),),
    (b"AUTH PLAIN", plain("amy", "secret")),
    (b"AUTH LOGIN", b64encode(b"amy"), b64encode(b"secret")),
]


@pytest.mark.parametrize("commands", LOGINS)
def test_a_private_link_lets_passwords_through(commands: tuple[bytes, ...]) -> None:
    """The same listener, the same rule: a trusted network is private, the rest of the world not."""
    private: dict[str, Any] = {
        "private": frozenset({Layer.TRUSTED_NETWORK}),
        "trusted": (ip_network("198.51.100.0/24"),),
    }
    site = Site(**private)
    assert site.call().send(*commands)[0].startswith(b"-ERR")
    assert site.checker.asked == []

    talk = site.call("198.51.100.9")
    capabilities = talk.send(b"CAPA")
    assert b"USER" in capabilities
    assert b"SASL PLAIN LOGIN" in capabilities
    lines = [talk.send(each)[-1] for each in commands]
    assert not [each for each in lines if each.startswith(b"-ERR")]
    assert talk.send(b"STAT") == [b"+OK 0 0"]
    assert site.checker.asked == ["amy"]
    talk.hang_up()
    assert site.realm.left == 1


def test_commands_behind_a_slow_rule_wait_for_it() -> None:
    """CODE-04: what the base class would answer out of turn."""
    slow: Deferred[None] = Deferred()

    class Slow(MemoryChecker):
        async def attributes(self, name: str) -> Any:
            await slow
            return None

    site = Site(ALLOW, checker=Slow({"amy": b"secret"}))
    talk = site.call()
    assert talk.send(b"USER amy", b"PASS secret") == []
    slow.callback(None)
    assert [each[:3] for each in talk.lines()] == [b"+OK", b"+OK"]


@pytest.mark.parametrize(
    ("commands", "code"),
    [
        ((b"USER amy", b"PASS wrong"), b"-ERR [AUTH]"),
        ((b"USER nobody", b"PASS secret"), b"-ERR [AUTH]"),
        ((b"AUTH PLAIN " + plain("amy", "wrong"),), b"-ERR [AUTH]"),
        ((b"AUTH PLAIN " + plain("amy", "secret", "bob"),), b"-ERR [SYS/PERM]"),
        ((b"AUTH PLAIN", b"*"), b"-ERR"),
        ((b"AUTH PLAIN", b"=AAA"), b"-ERR"),
        ((b"AUTH CRAM-MD5",), b"-ERR"),
    ],
)
def test_failed_logins_say_why_in_codes(commands: tuple[bytes, ...], code: bytes) -> None:
    """CODE-01, CODE-02, SASL-01: the base class would show the name of an exception."""
    site = Site(ALLOW)
    talk = site.call()
    last = [talk.send(each)[-1] for each in commands][-1]
    assert last.startswith(code)
    assert b"mailaccess" not in last
    assert talk.send(b"STAT")[0].startswith(b"-ERR")


def test_a_directory_that_is_away_is_no_wrong_password() -> None:
    """AUTH-04, CODE-01."""

    async def away() -> None:
        raise DirectoryUnavailable(detail="ldap://ldap.example.org")

    site = Site(ALLOW)
    site.checker.before = away
    (_, answer) = site.call().send(b"USER amy", b"PASS secret")
    assert answer == b"-ERR [SYS/TEMP] Temporary failure, try again later"


# ---- those who forget --------------------------------------------------------------------------


class Forgetful(POP3):
    """
    Asks the policy about nothing; only its portal is linked.
    """

    entrance: Entrance

    def connectionMade(self) -> None:
        self.portal = LinkedPortal(
            self.entrance.portal,
            lambda: self.entrance.link_of(self.transport),
            USER_PASS,
            "pop3",
        )
        super().connectionMade()


class Careless(POP3):
    """
    Has the bare portal, and gives it what every Twisted protocol does.
    """

    entrance: Entrance

    def connectionMade(self) -> None:
        self.portal = self.entrance.portal
        super().connectionMade()


@pytest.mark.parametrize("make", [Forgetful, Careless])
def test_the_guard_stops_a_protocol_that_forgets_to_ask(make: type[POP3]) -> None:
    """POL-03: a right password in the clear does not reach the checker, whoever forgot to ask."""
    site = Site(make=make)
    talk = site.call()
    assert talk.send(b"USER amy")[0].startswith(b"+OK")
    assert talk.send(b"PASS secret")[0].startswith(b"-ERR")
    assert talk.send(b"STAT")[0].startswith(b"-ERR")
    assert site.checker.asked == []


def test_a_forgetful_protocol_serves_those_whom_the_policy_allows() -> None:
    """The guard stops what is refused, and nothing else."""
    site = Site(ALLOW, (PersonRule("bob", Verdict.REFUSE),), Forgetful)
    assert site.call().send(b"USER amy", b"PASS secret")[-1].startswith(b"+OK")
    assert site.call().send(b"USER bob", b"PASS hunter2")[-1].startswith(b"-ERR")
    assert site.checker.asked == ["amy"]


def test_a_linked_portal_looks_at_the_link_when_somebody_logs_in() -> None:
    """A link that became private after the portal was made counts as what it is now."""
    site = Site(private=frozenset({Layer.LOOPBACK}))
    talk = site.call()
    portal = talk.protocol.linked_portal(USER_PASS)
    failures: list[Any] = []
    portal.login(UsernamePassword(b"amy", b"secret"), None, IMailbox).addErrback(failures.append)
    assert len(failures) == 1
    assert site.checker.asked == []
    talk.transport.peerAddr = MemoryTransport("127.0.0.1").peerAddr
    talk.protocol.link_changed()
    entered: list[Any] = []
    portal.login(UsernamePassword(b"amy", b"secret"), None, IMailbox).addCallback(entered.append)
    assert entered[0][0] is IMailbox


# ---- TLS ---------------------------------------------------------------------------------------


class TLSTalk:
    """
    A conversation over TLS in memory, as on a port with implicit TLS.
    """

    def __init__(self, site: Site, directory: Path) -> None:
        certificate, key = directory / "cert.pem", directory / "key.pem"
        ensure_certificate(certificate, key, datetime.datetime.now(datetime.UTC))
        settings = TLSSettings(certificate=str(certificate), key=str(key))
        creator = ServerTLS(settings, site.clock).factory_for("pop3")
        wrapped = TLSMemoryBIOFactory(creator, False, site, site.clock)
        self.server = wrapped.buildProtocol(None)
        self.transport = StringTransportWithDisconnection(
            peerAddress=MemoryTransport().getPeer(), hostAddress=MemoryTransport().getHost()
        )
        self.transport.protocol = self.server
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        self.incoming, self.outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.client = context.wrap_bio(self.incoming, self.outgoing)
        self.clock = site.clock
        self.server.makeConnection(self.transport)
        for _ in range(10):
            try:
                self.client.do_handshake()
            except ssl.SSLWantReadError:
                self._carry()
            else:
                break
        self._carry()

    def _carry(self) -> None:
        self.server.dataReceived(self.outgoing.read())
        self.clock.advance(0)
        self.incoming.write(self.transport.value())
        self.transport.clear()

    def send(self, *commands: bytes) -> list[bytes]:
        for each in commands:
            self.client.write(each + b"\r\n")
        self._carry()
        received = b""
        while True:
            try:
                received += self.client.read(65536)
            except ssl.SSLWantReadError:
                return received.splitlines()


def test_over_tls_the_same_protocol_offers_and_takes_passwords(tmp_path: Path) -> None:
    """TLS-08: the link is what TLS says of the connection, not what the protocol says of itself."""
    site = Site()
    talk = TLSTalk(site, tmp_path)
    greeting, *capabilities = talk.send(b"CAPA")
    assert greeting.startswith(b"+OK")
    assert b"USER" in capabilities
    assert b"SASL PLAIN LOGIN" in capabilities
    assert talk.send(b"USER amy", b"PASS secret")[-1].startswith(b"+OK")
    assert talk.send(b"STAT") == [b"+OK 0 0"]
    assert site.checker.asked == ["amy"]
