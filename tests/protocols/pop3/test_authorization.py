"""
Before the maildrop: capabilities, policy, passwords, TLS (RFC 2449, 2595, 3206, 5034, 6856).
"""

from __future__ import annotations

from base64 import b64encode
from typing import Any

import pytest
from twisted.internet.defer import Deferred

from mailaccess.errors import ContactAdmin, DirectoryUnavailable, PasswordExpired
from mailaccess.policy.tls import ListenerRule, PersonRule, TLSPolicy, Verdict
from mailaccess.protocols.pop3.options import POP3Options
from mailaccess.testing.talk import Talk

REFUSE = ListenerRule()
ALLOW = ListenerRule(cleartext=Verdict.ALLOW)
PRIVACY = b"-ERR Login in the clear is refused here: use TLS"


def plain(name: str = "amy", password: str = "secret", authorization: str = "") -> bytes:
    return b64encode(f"{authorization}\0{name}\0{password}".encode())


def capabilities(talk: Talk) -> list[bytes]:
    reply = talk.send(b"CAPA")
    assert reply[0].startswith(b"+OK")
    assert reply[-1] == b"."
    return reply[1:-1]


# ---- capabilities --------------------------------------------------------------------------------


def test_capabilities_before_and_after_a_login(office: Any) -> None:
    talk = office.connect(tls=object())
    before = capabilities(talk)
    assert {b"USER", b"SASL PLAIN LOGIN", b"STLS", b"PIPELINING", b"RESP-CODES"} <= set(before)
    assert {b"TOP", b"UIDL", b"AUTH-RESP-CODE", b"UTF8 USER", b"LANG", b"EXPIRE NEVER"} <= set(
        before
    )
    assert not [each for each in before if each.startswith(b"IMPLEMENTATION")]
    talk.send(b"USER amy", b"PASS secret")
    after = capabilities(talk)
    assert [each for each in after if each.startswith(b"IMPLEMENTATION mailaccess")]
    assert not {b"USER", b"STLS"} & set(after)
    assert not [each for each in after if each.startswith(b"SASL")]


def test_what_is_not_permitted_now_is_not_listed(office: Any) -> None:
    """POL-02."""
    words = capabilities(office.connect(rule=REFUSE, tls=object()))
    assert b"STLS" in words
    assert b"USER" not in words
    assert not [each for each in words if each.startswith(b"SASL")]


def test_expire_and_login_delay_are_announced(office: Any) -> None:
    words = capabilities(office.connect(POP3Options(expire=30, login_delay=60)))
    assert {b"EXPIRE 30", b"LOGIN-DELAY 60"} <= set(words)


# ---- policy --------------------------------------------------------------------------------------


def test_in_the_clear_the_password_is_never_asked_for(office: Any) -> None:
    """POL-01, POL-03: refused at USER, and AUTH before its challenge; the checker is not asked."""
    talk = office.connect(rule=REFUSE)
    assert talk.send(b"USER amy") == [PRIVACY]
    assert talk.send(b"PASS secret")[0].startswith(b"-ERR")
    assert talk.send(b"AUTH PLAIN") == [PRIVACY]
    assert talk.send(b"AUTH PLAIN " + plain()) == [PRIVACY]
    assert talk.send(b"AUTH LOGIN") == [PRIVACY]
    assert office.house.checker.asked == []


def test_a_user_who_must_use_tls_is_told_at_user(office: Any) -> None:
    """POL-04: the same whoever it is and whatever the password."""
    policy = TLSPolicy({"test": ALLOW}, [PersonRule("amy", Verdict.REFUSE)])
    talk = office.connect(policy=policy)
    assert talk.send(b"USER amy") == [PRIVACY]
    assert talk.send(b"USER bob") == [b"+OK Send the password"]
    assert talk.send(b"AUTH PLAIN " + plain()) == [PRIVACY]
    assert talk.send(b"AUTH PLAIN " + plain(password="wrong")) == [PRIVACY]
    assert office.house.checker.asked == []


def test_a_site_may_have_it_told_at_pass(office: Any) -> None:
    """POL-04: the option; USER then says the same to everybody."""
    policy = TLSPolicy({"test": ALLOW}, [PersonRule("amy", Verdict.REFUSE)])
    talk = office.connect(POP3Options(refuse_at="pass"), policy=policy)
    for password in (b"secret", b"wrong"):
        assert talk.send(b"USER amy", b"PASS " + password) == [b"+OK Send the password", PRIVACY]
    assert office.house.checker.asked == []


def test_sasl_login_is_refused_between_the_name_and_the_password(office: Any) -> None:
    """POL-04."""
    policy = TLSPolicy({"test": ALLOW}, [PersonRule("amy", Verdict.REFUSE)])
    talk = office.connect(policy=policy)
    assert talk.send(b"AUTH LOGIN") == [b"+ " + b64encode(b"Username:")]
    assert talk.send(b64encode(b"amy")) == [PRIVACY]


def test_an_exception_opens_the_door_for_one(office: Any) -> None:
    rule = ListenerRule(exceptions=True)
    policy = TLSPolicy({"test": rule}, [PersonRule("scan*", Verdict.ALLOW)])
    office.house.checker.passwords["scanner"] = b"beep"
    talk = office.connect(policy=policy)
    assert b"USER" not in capabilities(talk)
    assert talk.send(b"USER amy") == [PRIVACY]
    assert talk.send(b"USER scanner", b"PASS beep")[1].startswith(b"+OK")


# ---- passwords -----------------------------------------------------------------------------------


def test_user_says_the_same_to_everybody(pop: Talk) -> None:
    assert pop.send(b"USER amy", b"USER nobody") == [b"+OK Send the password"] * 2


def test_wrong_password_and_unknown_user_are_one(office: Any) -> None:
    """AUTH-05, CODE-01."""
    replies = [
        office.connect().send(b"USER " + name, b"PASS wrong")[1] for name in (b"amy", b"nobody")
    ]
    assert replies == [b"-ERR [AUTH] Invalid credentials"] * 2


def test_a_password_keeps_its_spaces(office: Any) -> None:
    office.house.checker.passwords["cat"] = b" two  words "
    assert office.connect().send(b"USER cat", b"PASS  two  words ")[1].startswith(b"+OK")


def test_pass_without_user_is_an_error(pop: Talk) -> None:
    assert pop.send(b"PASS secret")[0].startswith(b"-ERR")


def test_pass_must_follow_user(pop: Talk) -> None:
    """A name does not survive another command that could change who it is."""
    assert pop.send(b"USER amy", b"AUTH XYZZY", b"PASS secret")[2].startswith(b"-ERR expected")


@pytest.mark.parametrize("line", [b"PASS", b"PASS \x01"])
def test_an_impossible_password_fails(office: Any, line: bytes) -> None:
    """AUTH-01."""
    talk = office.connect()
    assert talk.send(b"USER amy", line)[1].startswith(b"-ERR [AUTH]")


@pytest.mark.parametrize(
    ("fault", "code"),
    [
        (DirectoryUnavailable(detail="ldap://10.0.0.1 down"), b"[SYS/TEMP]"),
        (PasswordExpired(), b"[AUTH]"),
        (ContactAdmin(), b"[SYS/PERM]"),
        (RuntimeError("boom"), b"[SYS/TEMP]"),
    ],
)
def test_each_fault_has_its_code(office: Any, fault: Exception, code: bytes) -> None:
    """CODE-01, CODE-02: a directory that is down is never a wrong password."""

    async def fail() -> None:
        raise fault

    office.house.checker.before = fail
    reply = office.connect().send(b"USER amy", b"PASS secret")[1]
    assert reply.startswith(b"-ERR " + code)
    assert b"10.0.0.1" not in reply
    assert b"boom" not in reply


def test_failed_logins_end_the_connection(office: Any) -> None:
    """AUTH-07."""
    talk = office.connect()
    replies = talk.send(*[b"USER amy", b"PASS wrong"] * 5)
    assert replies.count(b"-ERR [AUTH] Invalid credentials") == 3
    assert replies[-1] == b"-ERR [SYS/TEMP] Too many failed logins"
    assert talk.transport.disconnecting


def test_nobody_logs_in_twice(drop: Talk) -> None:
    """AUTH-13; peers' fault: a second USER/PASS swapped the mailbox."""
    assert drop.send(b"USER bob")[0].startswith(b"-ERR")
    assert drop.send(b"AUTH PLAIN " + plain("bob", "hunter2"))[0].startswith(b"-ERR")


def test_login_delay(office: Any) -> None:
    """RFC 2449 section 8.1.1."""
    factory = office.factory(POP3Options(login_delay=60))
    first = office.connect(factory=factory)
    assert first.send(b"USER amy", b"PASS secret")[1].startswith(b"+OK")
    first.send(b"QUIT")
    first.hang_up()
    second = office.connect(factory=factory)
    reply = second.send(b"USER amy", b"PASS secret")[1]
    assert reply.startswith(b"-ERR [LOGIN-DELAY]")
    office.house.clock.advance(61)
    assert second.send(b"USER amy", b"PASS secret")[1].startswith(b"+OK")


def test_a_refused_maildrop_gives_the_avatar_back(office: Any, drop: Talk) -> None:
    """AUTH-13: no session counted for somebody who did not get in."""
    sessions = office.house.accounts.of("amy").sessions
    second = office.connect()
    second.send(b"USER amy", b"PASS secret")
    portal = second.protocol.entrance.portal
    assert portal.realm.present == 0
    assert sessions >= 1


# ---- SASL ----------------------------------------------------------------------------------------


def test_sasl_plain_with_and_without_initial_response(office: Any) -> None:
    """RFC 5034; peers' fault: an initial response ended the connection."""
    assert office.connect().send(b"AUTH PLAIN " + plain())[0].startswith(b"+OK")
    office.house.accounts.of("amy").folder("INBOX")
    talk = office.connect(POP3Options(second_session="snapshot"))
    assert talk.send(b"AUTH plain") == [b"+ "]
    assert talk.send(plain())[0].startswith(b"+OK")


def test_a_long_sasl_response_is_taken_a_long_command_is_not(office: Any) -> None:
    """SASL-02."""
    office.house.checker.passwords["amy"] = b"p" * 600
    talk = office.connect()
    assert talk.send(b"AUTH PLAIN " + plain(password="p" * 600)) == [b"-ERR line too long"]
    assert talk.send(b"AUTH PLAIN") == [b"+ "]
    assert talk.send(plain(password="p" * 600))[0].startswith(b"+OK")


@pytest.mark.parametrize("junk", [b"*", b"=AAA", b"AAA=BBB", b"!!!!", b"YQ", b"x" * 20000])
def test_cancelling_and_junk_leave_the_connection_usable(office: Any, junk: bytes) -> None:
    """SASL-01."""
    talk = office.connect()
    talk.send(b"AUTH PLAIN")
    assert talk.send(junk)[0].startswith(b"-ERR")
    assert talk.send(b"AUTH PLAIN " + plain())[0].startswith(b"+OK")


def test_acting_for_another_is_not_permitted(pop: Talk) -> None:
    """SASL-03."""
    reply = pop.send(b"AUTH PLAIN " + plain(authorization="bob"))
    assert reply == [b"-ERR [SYS/PERM] Not authorized"]


def test_auth_alone_lists_the_mechanisms(pop: Talk) -> None:
    assert pop.send(b"AUTH") == [b"+OK", b"PLAIN", b"LOGIN", b"."]


# ---- TLS -----------------------------------------------------------------------------------------


def test_what_comes_behind_stls_belongs_to_tls(office: Any) -> None:
    """TLS-01, TLS-03."""
    talk = office.connect(tls="context")
    assert talk.send(b"STLS", b"USER amy", b"PASS secret") == [b"+OK Begin TLS negotiation"]
    assert talk.transport.tls_context == "context"
    assert talk.transport.tls_input == b"USER amy\r\nPASS secret\r\n"
    assert office.house.checker.asked == []


def test_a_name_from_before_tls_is_forgotten(office: Any) -> None:
    """TLS-07."""
    talk = office.connect(tls="context")
    talk.send(b"USER evil", b"STLS")
    talk.protocol.handshakeCompleted()
    assert talk.send(b"PASS secret")[0].startswith(b"-ERR")


def test_stls_not_after_utf8_and_not_without_a_certificate(office: Any) -> None:
    """TLS-07; RFC 6856 section 2.1."""
    talk = office.connect(tls="context")
    assert talk.send(b"UTF8", b"STLS") == [b"+OK UTF8 enabled", b"-ERR Command not permitted"]
    assert office.connect().send(b"STLS") == [b"-ERR Command not permitted"]


def test_stls_only_in_authorization(office: Any) -> None:
    """TLS-05: and the session goes on."""
    talk = office.login(tls="context")
    assert talk.send(b"STLS")[0].startswith(b"-ERR")
    assert talk.send(b"NOOP") == [b"+OK"]


def test_a_login_started_before_tls_does_not_log_in_after_it(office: Any) -> None:
    """TLS-04."""
    gate: Deferred[None] = Deferred()
    office.house.checker.before = lambda: gate
    talk = office.connect(tls="context")
    talk.send(b"USER amy", b"PASS secret", b"STLS")
    assert talk.transport.tls_context is None
    gate.callback(None)
    replies = talk.lines()
    assert replies[0].startswith(b"+OK 3 messages")
    assert replies[1].startswith(b"-ERR")
    assert talk.transport.tls_context is None


def test_a_handshake_has_ten_seconds(office: Any) -> None:
    """TLS-13."""
    talk = office.connect(tls="context")
    talk.send(b"STLS")
    talk.clock.pump([1.0] * 12)
    assert talk.transport.aborted or talk.transport.disconnecting


# ---- strangers and time --------------------------------------------------------------------------


def test_a_browser_is_shown_the_door(office: Any) -> None:
    """TLS-18: nothing of the request is run or reflected."""
    talk = office.connect()
    replies = talk.send(b"POST / HTTP/1.1", b"Host: x", b"", b"USER amy", b"PASS secret")
    assert replies == [b"-ERR [SYS/TEMP] This is a POP3 server"]
    assert talk.transport.disconnecting
    hello = office.connect()
    assert hello.raw(b"\x16\x03\x01\x02\x00\x01\x00\r\n")[0].startswith(b"-ERR")
    assert hello.transport.disconnecting


def test_somebody_who_never_logs_in_is_ended(office: Any) -> None:
    """AB-02: whatever is sent meanwhile."""
    talk = office.connect()
    for _ in range(130):
        talk.send(b"CAPA")
        talk.clock.advance(1.0)
    assert talk.transport.disconnecting


def test_apop_is_off_unless_switched_on(office: Any) -> None:
    """SASL-06."""
    talk = Talk(office.factory(), office.house.clock)
    assert b"<" not in talk.lines()[0]
    assert talk.send(b"APOP amy c4c9334bac560ecc979e58001b3e22fb") == [b"-ERR unknown command"]


def test_languages(pop: Talk) -> None:
    """RFC 6856 section 3."""
    assert pop.send(b"LANG") == [b"+OK Languages", b"en English", b"."]
    assert pop.send(b"LANG *") == [b"+OK en Language is English"]
    assert pop.send(b"LANG en-GB") == [b"+OK en Language is English"]
    assert pop.send(b"LANG tlh")[0].startswith(b"-ERR")


def test_a_listener_without_a_rule_lets_nobody_in(office: Any) -> None:
    """POL-01: refuse by default."""
    talk = office.connect(policy=TLSPolicy({}))
    assert talk.send(b"USER amy")[0].startswith(b"-ERR")
