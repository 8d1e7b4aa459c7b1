"""
The guard in front of the portal.
"""

from __future__ import annotations

from collections.abc import Iterator
from io import StringIO
from typing import Any

import pytest
from twisted.cred.credentials import UsernamePassword
from twisted.cred.portal import Portal
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import Clock
from twisted.logger import globalLogPublisher, textFileLogObserver
from zope.interface import Interface, implementer
from zope.interface.verify import verifyObject

from mailaccess.auth.credentials import PasswordLogin
from mailaccess.auth.gate import AccountGate
from mailaccess.auth.guard import GuardedChecker
from mailaccess.auth.interfaces import IPasswordLogin
from mailaccess.auth.linked import LinkedPortal
from mailaccess.auth.throttle import Throttle
from mailaccess.errors import (
    AuthenticationFailed,
    AuthorizationFailed,
    ContactAdmin,
    DirectoryUnavailable,
    MechanismRefused,
    MustEncrypt,
    PasswordExpired,
    Refused,
)
from mailaccess.interfaces import Identity
from mailaccess.policy.link import Layer, Link
from mailaccess.policy.mechanism import LOGIN, LOGIN_COMMAND, PLAIN, USER_PASS, Mechanism
from mailaccess.policy.tls import ListenerRule, TLSPolicy, Verdict

from .doubles import People, begin, outcome

SECRET = b"correct horse"
STRICT = Link("strict", Layer.NONE, peer="192.0.2.1")
OPEN = Link("open", Layer.NONE, peer="192.0.2.1")
TLS = Link("strict", Layer.TLS, bits=256, peer="192.0.2.1")
POLICY = TLSPolicy(
    {
        "strict": ListenerRule(),
        "open": ListenerRule(Verdict.ALLOW),
        "exceptions": ListenerRule(exceptions=True),
    }
)
REVEALING = (PLAIN, LOGIN, LOGIN_COMMAND, USER_PASS)


@pytest.fixture
def people() -> People:
    return People(
        {
            "amy": (SECRET, {}),
            "boss": (SECRET, {"cleartext": "refuse"}),
            "old": (SECRET, {"cleartext": "allow"}),
            "gone": (SECRET, {"disabled": "yes"}),
            "late": (SECRET, {"expires": "1970-01-01"}),
            "pop": (SECRET, {"protocols": "pop3"}),
        }
    )


@pytest.fixture
def guard(people: People) -> GuardedChecker:
    return GuardedChecker(POLICY, people, AccountGate(lambda: 1e9))


@pytest.fixture
def logged() -> Iterator[StringIO]:
    text = StringIO()
    observer = textFileLogObserver(text)
    globalLogPublisher.addObserver(observer)
    yield text
    globalLogPublisher.removeObserver(observer)


def login(
    guard: GuardedChecker,
    name: str = "amy",
    secret: bytes = SECRET,
    link: Link = TLS,
    mechanism: Mechanism = PLAIN,
    service: str = "imap",
    authorization: str = "",
) -> Any:
    credentials = PasswordLogin(name, secret, link, mechanism, service, authorization)
    return outcome(guard.requestAvatarId(credentials))


def test_the_right_password_over_tls_gives_the_identity(guard: GuardedChecker) -> None:
    identity = login(guard)
    assert isinstance(identity, Identity)
    assert identity.name == "amy"


@pytest.mark.parametrize("mechanism", REVEALING)
@pytest.mark.parametrize("secret", [SECRET, b"wrong"])
@pytest.mark.parametrize("name", ["amy", "nobody", "boss", "old", " ", "a\nb"])
def test_what_the_policy_refuses_never_reaches_the_checker(
    guard: GuardedChecker, people: People, mechanism: Mechanism, secret: bytes, name: str
) -> None:
    """POL-03: even if the password is right, and whatever the name."""
    with pytest.raises(MustEncrypt) as caught:
        login(guard, name, secret, STRICT, mechanism)
    assert caught.value.public == MustEncrypt.public
    assert people.checked == []


@pytest.mark.parametrize("mechanism", REVEALING)
def test_a_person_who_must_use_tls_is_refused_where_others_are_not(
    guard: GuardedChecker, people: People, mechanism: Mechanism
) -> None:
    """POL-04"""
    answers = []
    for secret in (SECRET, b"wrong"):
        with pytest.raises(MustEncrypt) as caught:
            login(guard, "boss", secret, OPEN, mechanism)
        answers.append(caught.value.public)
    assert len(set(answers)) == 1
    assert people.checked == []
    assert login(guard, "amy", link=OPEN, mechanism=mechanism).name == "amy"
    with pytest.raises(AuthenticationFailed):
        login(guard, "nobody", link=OPEN, mechanism=mechanism)


@pytest.mark.parametrize("spelling", ["BOSS", " boss ", "ｂｏｓｓ"])
def test_no_spelling_of_a_name_gets_around_its_rule(guard: GuardedChecker, spelling: str) -> None:
    """POL-04, AUTH-08"""
    with pytest.raises(MustEncrypt):
        login(guard, spelling, link=OPEN)


def test_an_exception_for_one_person_opens_nothing_for_another(guard: GuardedChecker) -> None:
    """POL-04"""
    link = Link("exceptions", peer="192.0.2.1")
    assert login(guard, "old", link=link).name == "old"
    for name in ("amy", "nobody", "boss"):
        with pytest.raises(MustEncrypt):
            login(guard, name, link=link)


def test_a_mechanism_that_tls_would_not_mend_is_refused_otherwise(people: People) -> None:
    policy = TLSPolicy({"strict": ListenerRule(mechanisms=frozenset({"LOGIN"}))})
    guard = GuardedChecker(policy, people, AccountGate(lambda: 0.0))
    with pytest.raises(MechanismRefused):
        login(guard)
    assert people.checked == []


def test_protocols_get_the_same_decision_beforehand(guard: GuardedChecker, people: People) -> None:
    """POL-03, POL-04"""
    assert not outcome(guard.decide(STRICT, PLAIN)).allowed
    assert outcome(guard.decide(OPEN, LOGIN)).depends_on_person
    assert not outcome(guard.decide(OPEN, LOGIN, " BOSS")).allowed
    assert outcome(guard.decide(OPEN, LOGIN, "nobody")).allowed
    assert outcome(guard.decide(OPEN, LOGIN, "a\0b")).allowed
    assert people.checked == []


def test_a_decision_that_cannot_be_made_lets_nobody_in(
    guard: GuardedChecker, people: People
) -> None:
    """AUTH-04: an unreachable directory might have said that this person must use TLS."""
    for failure in (DirectoryUnavailable(), RuntimeError("boom")):
        people.unknowable = failure
        with pytest.raises(DirectoryUnavailable):
            login(guard, link=OPEN)
        with pytest.raises(DirectoryUnavailable):
            outcome(guard.decide(OPEN, LOGIN, "amy"))
    assert people.checked == []
    assert login(guard, link=TLS).name == "amy"


@pytest.mark.parametrize("secret", [b"", b"\0", b"correct horse\0", b"x" * 1025])
def test_some_passwords_fail_before_any_checker(
    guard: GuardedChecker, people: People, secret: bytes
) -> None:
    """AUTH-01, AUTH-03"""
    for mechanism in REVEALING:
        with pytest.raises(AuthenticationFailed):
            login(guard, secret=secret, mechanism=mechanism)
    assert people.checked == []


@pytest.mark.parametrize("name", ["", "  ", "a\0", "x" * 256, "amy\r\nlogin ok"])
def test_some_names_fail_before_any_checker(
    guard: GuardedChecker, people: People, name: str
) -> None:
    """AUTH-01, AUTH-08"""
    with pytest.raises(AuthenticationFailed):
        login(guard, name)
    assert people.checked == []


def test_the_checker_is_asked_for_the_canonical_name(guard: GuardedChecker, people: People) -> None:
    """AUTH-08"""
    for spelling in ("amy", " AMY ", "ＡＭＹ"):
        assert login(guard, spelling).name == "amy"
    assert {name for name, _, _ in people.checked} == {"amy"}


def test_the_name_in_the_identity_is_canonical_too(people: People) -> None:
    """AUTH-08, LD-15"""

    class Directory(People):
        async def check(self, name: str, secret: bytes, service: str) -> Identity:
            return Identity(" AMY@Example.org")

    guard = GuardedChecker(POLICY, Directory({}), AccountGate(lambda: 0.0), "example.org")
    assert login(guard).name == "amy@example.org"


def test_an_identity_that_can_be_nobodys_name_lets_nobody_in() -> None:
    """AUTH-08, LD-15"""

    class Directory(People):
        async def check(self, name: str, secret: bytes, service: str) -> Identity:
            return Identity("../\0")

    with pytest.raises(DirectoryUnavailable):
        login(GuardedChecker(POLICY, Directory({}), AccountGate(lambda: 0.0)))


@pytest.mark.parametrize("other", ["boss", "amy2", "a\0", "nobody"])
def test_nobody_acts_as_somebody_else(guard: GuardedChecker, people: People, other: str) -> None:
    """SASL-03: and only whoever knows the password learns that there is no right to."""
    with pytest.raises(AuthorizationFailed):
        login(guard, authorization=other)
    with pytest.raises(AuthenticationFailed):
        login(guard, secret=b"wrong", authorization=other)
    assert {name for name, _, _ in people.checked} == {"amy"}


def test_acting_as_oneself_is_no_acting(guard: GuardedChecker) -> None:
    """SASL-03"""
    assert login(guard, authorization=" AMY").name == "amy"


@pytest.mark.parametrize(
    ("name", "service", "error"),
    [
        ("gone", "imap", ContactAdmin),
        ("late", "imap", PasswordExpired),
        ("pop", "imap", AuthorizationFailed),
    ],
)
@pytest.mark.parametrize("mechanism", REVEALING)
def test_the_gate_speaks_after_the_password_whatever_the_mechanism(
    guard: GuardedChecker, mechanism: Mechanism, name: str, service: str, error: type[Refused]
) -> None:
    """AUTH-11: and only to somebody who knows the password."""
    with pytest.raises(error):
        login(guard, name, mechanism=mechanism, service=service)
    with pytest.raises(AuthenticationFailed):
        login(guard, name, b"wrong", mechanism=mechanism, service=service)


def test_a_checker_that_breaks_is_not_a_wrong_password(
    guard: GuardedChecker, people: People
) -> None:
    """AUTH-04"""
    people.failure = RuntimeError("cn=admin,dc=example")
    with pytest.raises(DirectoryUnavailable) as caught:
        login(guard)
    assert "cn=admin" not in caught.value.public
    people.failure = DirectoryUnavailable()
    with pytest.raises(DirectoryUnavailable):
        login(guard)


def test_credentials_that_do_not_say_over_what_they_came_are_refused(
    guard: GuardedChecker, people: People
) -> None:
    """POL-03: a protocol that forgets the policy is harmless."""
    for credentials in (UsernamePassword(b"amy", SECRET), object()):
        with pytest.raises(MechanismRefused):
            outcome(guard.requestAvatarId(credentials))
    assert people.checked == []


@implementer(Interface)
class Realm:
    def requestAvatar(self, avatarId: Any, mind: Any, *interfaces: Any) -> Any:
        return interfaces[0], avatarId, lambda: None


def test_it_works_in_a_portal_of_twisted(guard: GuardedChecker) -> None:
    portal = Portal(Realm(), [guard])
    login_ = PasswordLogin("amy", SECRET, TLS, PLAIN, "imap")
    assert outcome(portal.login(login_, None, Interface))[1].name == "amy"


def test_a_protocol_of_others_logs_in_through_a_linked_portal(
    guard: GuardedChecker, people: People
) -> None:
    """POL-03: the link is looked at when the password comes, not before."""
    link = STRICT
    portal = LinkedPortal(Portal(Realm(), [guard]), lambda: link, USER_PASS, "pop3")
    credentials = UsernamePassword(b"amy", SECRET)
    with pytest.raises(MustEncrypt):
        outcome(portal.login(credentials, None, Interface))
    link = TLS
    assert outcome(portal.login(credentials, None, Interface))[1].name == "amy"
    assert people.checked == [("amy", SECRET, "pop3")]
    with pytest.raises(MechanismRefused):
        outcome(portal.login(object(), None, Interface))
    with pytest.raises(AuthenticationFailed):
        outcome(portal.login(UsernamePassword(b"\xff", SECRET), None, Interface))


def test_a_wrong_login_waits_for_its_answer_and_a_right_one_does_not(people: People) -> None:
    """AUTH-07, AUTH-05: for an unknown name, a wrong and an empty password alike."""
    for name, secret in (("amy", b"wrong"), ("nobody", SECRET), ("amy", b""), ("a\nb", b"x")):
        clock = Clock()
        guard = GuardedChecker(
            POLICY, people, AccountGate(lambda: 0.0), throttle=Throttle(clock), clock=clock
        )
        assert login(guard).name == "amy"
        failures: list[Any] = []
        waiting = guard.requestAvatarId(PasswordLogin(name, secret, TLS, PLAIN, "imap"))
        waiting.addErrback(failures.append)
        clock.advance(1.9)
        assert failures == []
        clock.advance(0.2)
        assert failures[0].check(AuthenticationFailed)
        assert login(guard).name == "amy"


def test_a_right_login_forgives_the_wrong_ones_before_it(people: People) -> None:
    """AUTH-07: those from the same address."""
    clock = Clock()
    throttle = Throttle(clock)
    guard = GuardedChecker(POLICY, people, AccountGate(lambda: 0.0), throttle=throttle, clock=clock)
    for _ in range(3):
        throttle.failed(TLS.peer, "amy")
    clock.advance(8)
    assert login(guard).name == "amy"
    assert throttle.delay_for(TLS.peer, "amy") == 0


def test_an_attempt_behind_one_that_was_given_up_waits_unchecked(people: People) -> None:
    """AUTH-07: hanging up is no way around the delay, whatever the password."""
    clock = Clock()
    guard = GuardedChecker(
        POLICY, people, AccountGate(lambda: 0.0), throttle=Throttle(clock), clock=clock
    )
    given_up = guard.requestAvatarId(PasswordLogin("amy", b"wrong", TLS, PLAIN, "imap"))
    given_up.addErrback(lambda _failure: None)
    given_up.cancel()
    asked = len(people.checked)
    found: list[Any] = []
    guard.requestAvatarId(PasswordLogin("amy", SECRET, TLS, PLAIN, "imap")).addCallback(
        found.append
    )
    clock.advance(1.9)
    assert len(people.checked) == asked
    clock.advance(0.2)
    assert [each.name for each in found] == ["amy"]


def test_somebody_who_leaves_while_waiting_leaves_nothing_behind(people: People) -> None:
    """AB-11, AB-12"""
    clock = Clock()
    guard = GuardedChecker(
        POLICY, people, AccountGate(lambda: 0.0), throttle=Throttle(clock), clock=clock
    )
    failures: list[Any] = []
    waiting = guard.requestAvatarId(PasswordLogin("amy", b"wrong", TLS, PLAIN, "imap"))
    waiting.addErrback(failures.append)
    waiting.cancel()
    assert failures[0].check(CancelledError, AuthenticationFailed)
    assert clock.getDelayedCalls() == []


def test_a_client_that_leaves_cancels_what_the_checker_waits_for() -> None:
    """AB-12"""
    cancelled: list[Any] = []

    class Slow(People):
        async def check(self, name: str, secret: bytes, service: str) -> Identity:
            await Deferred(cancelled.append)
            raise AssertionError

    guard = GuardedChecker(POLICY, Slow({}), AccountGate(lambda: 0.0))
    failures: list[Any] = []
    waiting = begin(guard.requestAvatarId(PasswordLogin("amy", SECRET, TLS, PLAIN, "imap")))
    waiting.addErrback(failures.append)
    waiting.cancel()
    assert len(cancelled) == 1
    assert failures[0].check(CancelledError)


def test_a_throttle_without_a_clock_is_a_mistake(people: People) -> None:
    with pytest.raises(TypeError):
        GuardedChecker(POLICY, people, AccountGate(lambda: 0.0), throttle=Throttle(Clock()))


def test_credentials_fit_their_interface_and_hide_the_password() -> None:
    """AUTH-06, AUTH-10"""
    credentials = PasswordLogin("amy", b"hunter2", TLS, PLAIN, "imap")
    assert verifyObject(IPasswordLogin, credentials)
    assert "hunter2" not in repr(credentials)
    assert credentials.checkPassword(b"hunter2")
    assert not credentials.checkPassword(b"hunter3")
    assert (credentials.username, credentials.password) == (b"amy", b"hunter2")


def test_logs_hold_no_password_and_no_forged_lines(
    guard: GuardedChecker, people: People, logged: StringIO
) -> None:
    """AUTH-10"""
    people.failure = RuntimeError("boom")
    for name in ("amy", "%n{x}", "bob\r\nlogin ok"):
        with pytest.raises((DirectoryUnavailable, AuthenticationFailed)):
            login(guard, name, b"hunter2")
    assert "checking 'amy' failed" in logged.getvalue()
    assert "hunter2" not in logged.getvalue()
    assert "\nlogin ok" not in logged.getvalue()
