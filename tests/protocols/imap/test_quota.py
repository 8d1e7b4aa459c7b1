"""
QUOTA: RFC 9208.
"""

from __future__ import annotations

import pytest

from mailaccess.store.quota import Allowance, IKeepsToQuota
from mailaccess.testing.memory import MemoryAccount
from mailaccess.testing.talk import Talk
from tests.protocols.conftest import House
from tests.protocols.imap.mailboxes_of import LETTER, selected

SIZE = len(LETTER)


@pytest.fixture
def amy(house: House) -> MemoryAccount:
    account = house.accounts.of("amy")
    account.make("Archive")
    return account


@pytest.fixture
def two(house: House, amy: MemoryAccount) -> Talk:
    """
    Two messages in C{INBOX}, which is selected.
    """
    return selected(house, LETTER, LETTER)


def test_what_is_advertised_is_what_the_rfc_wants(two: Talk) -> None:
    """RFC 9208 sections 3.1.1 and 4.1.3: resources, and no QUOTASET."""
    listed = two.send(b"a CAPABILITY")[0].split()
    assert {b"QUOTA", b"QUOTA=RES-STORAGE", b"QUOTA=RES-MESSAGE"} <= set(listed)
    assert b"QUOTASET" not in listed
    (reply,) = two.send(b'b SETQUOTA "User quota" (STORAGE 1)')
    assert reply.startswith(b"b BAD ")


def test_use_and_limits_of_a_quota_root(two: Talk, amy: MemoryAccount) -> None:
    """RFC 9208 section 4.1.1; begun kilobytes count."""
    amy.allowance = Allowance(2048 + 1, 10)
    use = b'* QUOTA "User quota" (STORAGE 1 3 MESSAGE 2 10)'
    assert two.send(b'a GETQUOTA "User quota"') == [use, b"a OK GETQUOTA completed"]
    assert two.send(b"b GETQUOTA {10+}\r\nUser quota") == [use, b"b OK GETQUOTA completed"]
    amy.allowance = Allowance(None, 10)
    assert two.send(b'c GETQUOTA "User quota"')[0] == b'* QUOTA "User quota" (MESSAGE 2 10)'


def test_other_quota_roots_are_not_there(two: Talk) -> None:
    """PATH-06; RFC 9208 section 8: nothing is told of other people's."""
    for root in (b'""', b"bob", b'"#user/bob"'):
        assert two.send(b"a GETQUOTA " + root) == [b"a NO [NONEXISTENT] No such quota root"]


def test_the_root_of_a_mailbox_which_need_not_exist(two: Talk, amy: MemoryAccount) -> None:
    """RFC 9208 section 4.1.2."""
    amy.allowance = Allowance(1024)
    for name in (b"INBOX", b"Nowhere"):
        assert two.send(b"a GETQUOTAROOT " + name) == [
            b'* QUOTAROOT %b "User quota"' % name,
            b'* QUOTA "User quota" (STORAGE 1 1)',
            b"a OK GETQUOTAROOT completed",
        ]


def test_no_limits_are_an_empty_list(two: Talk) -> None:
    """RFC 9208 section 4.2.1."""
    assert two.send(b"a GETQUOTAROOT inbox")[:2] == [
        b'* QUOTAROOT INBOX "User quota"',
        b'* QUOTA "User quota" ()',
    ]


@pytest.mark.parametrize("command", [b"GETQUOTA", b"GETQUOTAROOT", b"GETQUOTA a b", b"GETQUOTA ("])
def test_wrong_arguments_are_bad(two: Talk, command: bytes) -> None:
    assert two.send(b"a " + command)[0].startswith(b"a BAD ")


def test_what_expunging_would_free(two: Talk) -> None:
    """RFC 9208 section 4.1.4."""
    two.send(b"s STORE 1 +FLAGS.SILENT (\\Deleted)")
    assert two.send(b"a STATUS INBOX (MESSAGES DELETED DELETED-STORAGE)") == [
        b"* STATUS INBOX (MESSAGES 2 DELETED 1 DELETED-STORAGE %d)" % SIZE,
        b"a OK STATUS completed",
    ]


def test_a_store_without_quota_has_none(house: House) -> None:
    """Advertised and accepted come and go together."""
    account = house.accounts.of("amy")
    account.powers = frozenset(account.powers) - {IKeepsToQuota}
    talk = house.login()
    assert b"QUOTA" not in talk.send(b"a CAPABILITY")[0]
    for command in (b"GETQUOTAROOT INBOX", b"STATUS INBOX (DELETED)"):
        assert talk.send(b"a " + command)[0].startswith(b"a BAD ")
    (reply,) = talk.send(b"b APPEND INBOX {3+}\r\na\r\n")
    assert reply.startswith(b"b OK ")


# ---- over quota --------------------------------------------------------------------------------


def test_append_is_refused_before_the_message_is_sent(two: Talk, amy: MemoryAccount) -> None:
    """PAR-02; RFC 9208 section 4.3.1: no "+"; what comes all the same is read off."""
    amy.allowance = Allowance(3 * SIZE)
    no = b"a NO [OVERQUOTA] Quota exceeded"
    assert two.send(b"a APPEND Archive {%d}" % (SIZE + 1)) == [no]
    filler = b"b LOGOUT\r\n" * 100
    assert two.send(b"a APPEND Archive {%d+}\r\n" % len(filler) + filler) == [no]
    assert two.send(b"c NOOP") == [b"c OK NOOP completed"]
    assert not amy.folder("Archive").messages


def test_all_messages_of_one_append_count(two: Talk, amy: MemoryAccount) -> None:
    """RFC 3502 section 6.3.11: all or none."""
    amy.allowance = Allowance(None, 3)
    sent = b"a APPEND Archive {%d+}\r\n%b {%d}" % (SIZE, LETTER, SIZE)
    assert two.send(sent) == [b"a NO [OVERQUOTA] Quota exceeded"]
    assert not amy.folder("Archive").messages


def test_copy_is_refused_and_move_is_not(two: Talk, amy: MemoryAccount) -> None:
    """A move takes away what it brings; flags and expunges always work."""
    amy.allowance = Allowance(1, 1)
    assert two.send(b"a COPY 1 Archive") == [b"a NO [OVERQUOTA] Quota exceeded"]
    assert two.send(b"b MOVE 1 Archive")[-1] == b"b OK Done"
    assert two.send(b"c STORE 1 +FLAGS (\\Deleted)")[-1] == b"c OK STORE completed"
    assert two.send(b"d EXPUNGE") == [b"* 1 EXPUNGE", b"d OK EXPUNGE completed"]


def test_who_comes_near_the_limit_is_warned_once(two: Talk, amy: MemoryAccount) -> None:
    """RFC 9208 section 4.3.1, examples 2 and 3."""
    amy.allowance = Allowance(None, 10)
    append = b" APPEND Archive {%d+}\r\n%b" % (SIZE, LETTER)
    for number in range(6):
        assert two.send(b"a%d" % number + append)[0].startswith(b"a%d OK [APPENDUID " % number)
    warning = b"* NO [OVERQUOTA] 90% of the quota is used"
    first, second = two.send(b"b" + append)
    assert (first, second[:5]) == (warning, b"b OK ")
    (reply,) = two.send(b"c" + append)
    assert reply.startswith(b"c OK ")
    amy.folder("Archive").remove([7, 8])
    first, second = two.send(b"d COPY 1 Archive")
    assert first == warning
    assert second.startswith(b"d OK [COPYUID ")
    amy.folder("Archive").remove([9])
    amy.quota_warning = 0
    assert len(two.send(b"e COPY 1 Archive")) == 1
