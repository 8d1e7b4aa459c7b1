"""
LOGIN: who is let in, who is not, and what is said; order while a login takes long.
"""

from __future__ import annotations

from typing import Any

import pytest
from twisted.internet.defer import Deferred
from twisted.internet.task import deferLater
from twisted.logger import capturedLogs

from mailaccess import errors
from mailaccess.policy.tls import ListenerRule, PersonRule, TLSPolicy, Verdict
from mailaccess.testing.memory import MemoryAccount
from mailaccess.testing.people import MemoryChecker
from mailaccess.testing.talk import Talk

CLOSED = ListenerRule(cleartext=Verdict.REFUSE)
OPEN = ListenerRule(cleartext=Verdict.ALLOW)
EXCEPTIONS = ListenerRule(cleartext=Verdict.REFUSE, exceptions=True)

PRIVACY = b" NO [PRIVACYREQUIRED] Login in the clear is refused here: use TLS"
INVALID = b" NO [AUTHENTICATIONFAILED] Invalid credentials"


def words(talk: Talk) -> set[bytes]:
    return set(talk.send(b"w CAPABILITY")[0].split()[2:])


# ---- let in --------------------------------------------------------------------------------------


def test_a_login_says_what_holds_from_now_on(house: Any) -> None:
    talk = house.connect()
    (reply,) = talk.send(b"a LOGIN amy secret")
    assert reply.startswith(b"a OK [CAPABILITY IMAP4rev1 ")
    assert set(reply.partition(b"]")[0].split()[3:]) == words(talk)
    assert b"AUTH=" not in reply


@pytest.mark.parametrize(
    "login",
    [
        b'a LOGIN "amy" "secret"\r\n',
        b"a login amy secret\r\n",
        b"a LOGIN {3+}\r\namy {6+}\r\nsecret\r\n",
        b"a LOGIN amy {6+}\r\nsecret\r\n",
        b'a LOGIN AMY "secret"\r\n',
    ],
)
def test_name_and_password_come_in_any_kind_of_string(house: Any, login: bytes) -> None:
    (reply,) = house.connect().raw(login)
    assert reply.startswith(b"a OK ")


@pytest.mark.parametrize("written", [b'"a\\"b\\\\c"', b'{5}\r\na"b\\c', b'{5+}\r\na"b\\c'])
def test_passwords_have_quotes_and_backslashes(house: Any, written: bytes) -> None:
    house.checker = MemoryChecker({"amy": b'a"b\\c'})
    assert house.connect().raw(b"a LOGIN amy " + written + b"\r\n")[-1].startswith(b"a OK ")


def test_a_second_login_is_not_possible(talk: Talk, house: Any) -> None:
    """
    AUTH-13.
    """
    assert talk.send(b"a LOGIN bob hunter2") == [b"a BAD not in this state"]
    assert house.checker.asked == ["amy"]


def test_who_leaves_gives_the_account_back(house: Any) -> None:
    talk = house.login()
    account = house.accounts.of("amy")
    assert account.sessions == 1
    talk.send(b"a LOGOUT")
    talk.hang_up()
    assert account.sessions == 0


# ---- not let in ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "line",
    [
        b"LOGIN amy wrong",
        b"LOGIN nobody secret",
        b'LOGIN amy ""',
        b'LOGIN "" secret',
        b'LOGIN "" ""',
        b"LOGIN amy {7+}\r\nsecret\xff",
        b"LOGIN {2+}\r\n\xff\xff secret",
        b"LOGIN " + b"a" * 256 + b" secret",
        b"LOGIN amy " + b"s" * 1025,
    ],
)
def test_a_failed_login_never_says_why(house: Any, line: bytes) -> None:
    """
    CODE-01, AUTH-01: unknown name, wrong password and impossible ones are the same.
    """
    assert house.connect().send(b"a " + line) == [b"a" + INVALID]


@pytest.mark.parametrize("line", [b'LOGIN amy ""', b'LOGIN "" secret', b"LOGIN {1+}\r\n\x01 x"])
def test_what_nobody_can_have_never_reaches_a_checker(house: Any, line: bytes) -> None:
    """
    AUTH-01.
    """
    house.connect().send(b"a " + line)
    assert house.checker.asked == []


@pytest.mark.parametrize("line", [b"LOGIN", b"LOGIN amy", b"LOGIN amy secret x", b"LOGIN amy  s"])
def test_a_login_that_is_not_written_right_is_bad(house: Any, line: bytes) -> None:
    assert house.connect().send(b"a " + line)[0].startswith(b"a BAD ")
    assert house.checker.asked == []


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        (errors.AuthenticationFailed, INVALID),
        (errors.DirectoryUnavailable, b" NO [UNAVAILABLE] Temporary failure, try again later"),
        (errors.PasswordExpired, b" NO [EXPIRED] Password expired"),
        (
            errors.ContactAdmin,
            b" NO [CONTACTADMIN] Account not usable, contact the administrator",
        ),
        (errors.TooManyConnections, b" NO [LIMIT] Too many connections"),
        (errors.InUse, b" NO [INUSE] Mailbox is in use"),
        (errors.AuthorizationFailed, b" NO [AUTHORIZATIONFAILED] Not authorized"),
        (RuntimeError, b" NO [UNAVAILABLE] Temporary failure, try again later"),
        (OSError, b" NO [UNAVAILABLE] Temporary failure, try again later"),
    ],
)
def test_each_fault_of_a_checker_has_its_code(
    house: Any, fault: type[Exception], said: bytes
) -> None:
    """
    CODE-01, CODE-02, AUTH-04: a directory that is away is no wrong password.
    """

    async def fails() -> None:
        raise (
            fault("", "cn=admin,dc=example at ldap1")
            if issubclass(fault, errors.Refused)
            else fault("cn=admin,dc=example at ldap1")
        )

    house.checker.before = fails
    talk = house.connect()
    assert talk.send(b"a LOGIN amy secret") == [b"a" + said]
    house.checker.before = None
    assert talk.send(b"b LOGIN amy secret")[0].startswith(b"b OK ")


def test_a_connection_has_three_failed_logins(house: Any) -> None:
    """
    AUTH-07.
    """
    talk = house.connect()
    assert talk.send(
        b"a LOGIN amy x", b"b LOGIN amy y", b"c LOGIN amy z", b"d LOGIN amy secret"
    ) == [
        b"a" + INVALID,
        b"b" + INVALID,
        b"c" + INVALID,
        b"* BYE Too many failed logins",
    ]
    assert house.checker.asked == ["amy"] * 3
    assert talk.transport.disconnecting


def test_the_log_has_every_login_and_never_a_password(house: Any) -> None:
    """
    AUTH-10.
    """
    with capturedLogs() as events:
        talk = house.connect()
        talk.send(b"a LOGIN amy wrongpass", b"b LOGIN amy secret", b"c LOGIN amy secret")
        talk.send(b'd AUTHENTICATE PLAIN "secret')
    # What other tests left behind may end meanwhile, and say so.
    ours = [each for each in events if each.get("session") == talk.protocol.number]
    seen = [each["event"] for each in ours if "event" in each]
    assert seen == ["connect", "failed", "login", "refused", "refused"]
    text = repr(events)
    assert "wrongpass" not in text
    assert "secret" not in text


# ---- policy --------------------------------------------------------------------------------------


def test_nothing_is_allowed_in_the_clear_unless_somebody_says_so(house: Any) -> None:
    """
    POL-01, POL-02: what is refused is not advertised.
    """
    talk = house.connect(rule=ListenerRule())
    said = words(talk)
    assert b"LOGINDISABLED" in said
    assert not any(each.startswith(b"AUTH=") for each in said)


def test_where_it_is_allowed_it_is_advertised(house: Any) -> None:
    said = words(house.connect(rule=OPEN))
    assert b"LOGINDISABLED" not in said
    assert {b"AUTH=PLAIN", b"AUTH=LOGIN"} <= said


def test_a_refused_login_is_a_tagged_no_and_no_checker_is_asked(house: Any) -> None:
    """
    POL-03: also with the right password.
    """
    talk = house.connect(rule=CLOSED)
    assert talk.send(b"a LOGIN amy secret") == [b"a" + PRIVACY]
    assert talk.send(b"b LOGIN amy wrong") == [b"b" + PRIVACY]
    assert talk.send(b"c LOGIN nobody x") == [b"c" + PRIVACY]
    assert house.checker.asked == []
    assert not talk.transport.disconnecting


@pytest.mark.parametrize("start", [b"LOGIN {3}", b"LOGIN amy {6}", b'LOGIN "amy" {6}'])
def test_a_refused_login_gets_no_plus_for_its_literal(house: Any, start: bytes) -> None:
    """
    POL-03: the password is never sent.
    """
    talk = house.connect(rule=CLOSED)
    assert talk.send(b"a " + start) == [b"a" + PRIVACY]
    assert talk.send(b"b NOOP") == [b"b OK NOOP completed"]
    assert house.checker.asked == []


def test_a_refused_login_with_literals_that_come_anyway_is_refused_once(house: Any) -> None:
    talk = house.connect(rule=CLOSED)
    assert talk.raw(b"a LOGIN {3+}\r\namy {6+}\r\nsecret\r\nb NOOP\r\n") == [
        b"a" + PRIVACY,
        b"b OK NOOP completed",
    ]


PEOPLE = {"amy": b"secret", "tls": b"secret", "old": b"secret"}
FIELDS = {"tls": {"cleartext": "refuse"}, "old": {"cleartext": "allow"}}


@pytest.fixture
def people(house: Any) -> Any:
    """
    C{tls} must use TLS, C{old} may do without, of C{amy} nothing is said.
    """
    house.checker = MemoryChecker(PEOPLE, FIELDS)
    return house


@pytest.mark.parametrize("password", [b"secret", b"wrong"])
@pytest.mark.parametrize(
    ("rule", "refused"),
    [
        (OPEN, {"tls"}),
        (EXCEPTIONS, {"tls", "amy", "nobody"}),
        (CLOSED, {"tls", "amy", "old", "nobody"}),
    ],
)
def test_the_policy_refuses_persons_whatever_their_password(
    people: Any, rule: ListenerRule, refused: set[str], password: bytes
) -> None:
    """
    POL-04: the refusal is the same for right and wrong passwords, and for unknown names it is what
    holds for everybody.
    """
    for name in ("tls", "amy", "old", "nobody"):
        people.checker.asked.clear()
        (reply,) = people.connect(rule=rule).send(b"a LOGIN " + name.encode() + b" " + password)
        if name in refused:
            assert reply == b"a" + PRIVACY, name
            assert people.checker.asked == []
        elif name != "nobody" and password == b"secret":
            assert reply.startswith(b"a OK "), name
        else:
            assert reply == b"a" + INVALID, name


@pytest.mark.parametrize("name", [b"tls", b'"tls"', b"TLS", b'" Tls "'])
def test_a_refused_person_gets_no_plus_for_the_password(people: Any, name: bytes) -> None:
    """
    POL-03, POL-04, AUTH-08: however the name is spelled.
    """
    talk = people.connect(rule=OPEN)
    assert talk.send(b"a LOGIN " + name + b" {6}") == [b"a" + PRIVACY]
    assert talk.send(b"b LOGIN amy {6}") == [b"+ Ready"]
    assert talk.send(b"secret")[0].startswith(b"b OK ")


def test_a_name_in_a_literal_is_asked_about_before_the_password(people: Any) -> None:
    """
    POL-03.
    """
    talk = people.connect(rule=OPEN)
    assert talk.send(b"a LOGIN {3}") == [b"+ Ready"]
    assert talk.send(b"tls {6}") == [b"a" + PRIVACY]
    assert people.checker.asked == []


def test_a_rule_for_names_holds_too(house: Any) -> None:
    policy = TLSPolicy({"test": OPEN}, [PersonRule("a*", Verdict.REFUSE)])
    assert house.connect(policy=policy).send(b"a LOGIN amy secret") == [b"a" + PRIVACY]
    assert house.connect(policy=policy).send(b"a LOGIN bob hunter2")[0].startswith(b"a OK ")


def test_a_refusal_has_its_line_in_the_log(people: Any) -> None:
    """
    POL-05: who was refused, by which rule, and never the password.
    """
    with capturedLogs() as events:
        people.connect(rule=OPEN).send(b"a LOGIN tls secret")
        people.connect(rule=OPEN).send(b"a LOGIN tls {6}")
        people.connect(rule=CLOSED).send(b"a LOGIN {6}")
    lines = [each for each in events if each.get("event") == "refused"]
    assert [each["user"] for each in lines] == ["tls", "tls", ""]
    assert "for this user: cleartext = refuse" in lines[0]["detail"]
    assert "secret" not in repr(events)


# ---- order ---------------------------------------------------------------------------------------


def slow(house: Any, seconds: float = 5) -> None:
    house.checker.before = lambda: deferLater(house.clock, seconds)


def test_commands_behind_a_slow_login_wait_and_are_run_in_its_state(
    house: Any, account: MemoryAccount
) -> None:
    """
    CODE-04: RFC 3501 section 5.5.
    """
    slow(house)
    talk = house.connect()
    assert talk.send(b"a LOGIN amy secret", b"b SELECT INBOX", b"c STATUS INBOX (UIDNEXT)") == []
    assert talk.send(b"d LOGOUT") == []
    assert talk.wait(4.9) == []
    lines = talk.wait(0.2)
    assert [each for each in lines if not each.startswith(b"*")][1:] == [
        b"b OK [READ-WRITE] SELECT completed",
        b"c OK STATUS completed",
        b"d OK LOGOUT completed",
    ]
    assert lines[0].startswith(b"a OK [CAPABILITY ")
    assert b"* 64 EXISTS" in lines


def test_commands_behind_a_slow_login_that_fails_are_run_by_nobody(house: Any) -> None:
    """
    CODE-04.
    """
    slow(house)
    talk = house.connect()
    talk.send(b"a LOGIN amy wrong", b"b SELECT INBOX", b"c LOGIN amy secret", b"d SELECT INBOX")
    assert talk.wait(5) == [b"a" + INVALID, b"b BAD not in this state"]
    assert talk.wait(5)[-1] == b"d OK [READ-WRITE] SELECT completed"


def test_a_thousand_commands_behind_a_slow_login_are_all_answered(house: Any) -> None:
    """
    CODE-04: the stack does not grow with them.
    """
    slow(house)
    talk = house.connect()
    talk.send(b"a LOGIN amy secret", *[b"b LIST {0+}", b" *"] * 3000)
    lines = talk.wait(5)
    for _ in range(1000):
        if not talk.clock.getDelayedCalls()[1:]:
            break
        lines += talk.wait(0)
    assert sum(each.startswith(b"b OK ") for each in lines) == 3000


def test_a_client_that_goes_away_during_a_slow_login_leaves_nothing(house: Any) -> None:
    """
    AB-11, AB-12.
    """
    asked: list[Deferred[None]] = []

    def wait() -> Deferred[None]:
        asked.append(Deferred())
        return asked[-1]

    house.checker.before = wait
    talk = house.connect()
    talk.send(b"a LOGIN amy secret")
    talk.hang_up()
    if not asked[0].called:
        asked[0].callback(None)
    assert talk.lines() == []
    assert house.accounts.of("amy").sessions == 0
    assert talk.protocol.visit is None


def test_the_login_deadline_does_not_care_what_is_sent(house: Any) -> None:
    """
    AB-02.
    """
    talk = house.connect()
    for _ in range(11):
        talk.clock.pump([1.0] * 10)
        assert talk.send(b"a NOOP") == [b"a OK NOOP completed"]
    talk.clock.pump([1.0] * 11)
    assert talk.lines() == [b"* BYE Login timeout"]
    assert not talk.transport.aborted
    talk.clock.pump([1.0] * 16)
    assert talk.transport.aborted


def test_a_user_who_is_silent_for_half_an_hour_is_sent_away(talk: Talk) -> None:
    """
    AB-04: not before 30 minutes.
    """
    talk.clock.pump([10.0] * 180)
    assert talk.lines() == []
    talk.clock.pump([10.0] * 10)
    assert talk.lines() == [b"* BYE Idle timeout"]


def test_a_client_that_does_not_read_is_gone_after_five_minutes(talk: Talk) -> None:
    """
    AB-05.
    """
    talk.protocol.pauseProducing()
    talk.clock.pump([10.0] * 29)
    assert not talk.transport.aborted
    talk.clock.pump([10.0] * 3)
    assert talk.transport.aborted
