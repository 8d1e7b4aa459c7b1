"""
SPECIAL-USE and CREATE-SPECIAL-USE: RFC 6154, and what it takes of RFC 5258.
"""

from __future__ import annotations

import pytest

from mailaccess.store.uses import IGivesUses
from mailaccess.testing.memory import MemoryAccount
from mailaccess.testing.talk import Talk
from tests.protocols.conftest import House


@pytest.fixture
def amy(house: House) -> MemoryAccount:
    """
    As in RFC 6154 section 5.
    """
    account = house.accounts.of("amy")
    account.make("ToDo", "SentMail", "Old/MyDrafts", "Trash")
    account.special_use |= {
        "SentMail": "\\Sent",
        "Old/MyDrafts": "\\Drafts",
        "Trash": "\\Trash",
    }
    return account


@pytest.fixture
def visit(house: House, amy: MemoryAccount) -> Talk:
    return house.login()


SENT = b'* LIST (\\HasNoChildren \\Sent) "/" SentMail'
DRAFTS = b'* LIST (\\HasNoChildren \\Drafts) "/" Old/MyDrafts'
TRASH = b'* LIST (\\HasNoChildren \\Trash) "/" Trash'
DONE = b"a OK LIST completed"


def test_both_are_advertised(visit: Talk) -> None:
    words = visit.send(b"a CAPABILITY")[0].split()
    assert {b"SPECIAL-USE", b"CREATE-SPECIAL-USE"} <= set(words)


def test_only_special_mailboxes_can_be_listed(visit: Talk) -> None:
    """RFC 6154 section 5.2."""
    assert visit.send(b'a LIST (SPECIAL-USE) "" *') == [DRAFTS, SENT, TRASH, DONE]
    assert visit.send(b'a LIST (special-use) "" "%"') == [SENT, TRASH, DONE]
    assert visit.send(b'a LIST (SPECIAL-USE SPECIAL-USE) "" % RETURN (SPECIAL-USE)') == [
        SENT,
        TRASH,
        DONE,
    ]


def test_uses_are_returned_with_all_mailboxes(visit: Talk) -> None:
    """RFC 6154 section 5.2; what else is there is listed, too."""
    plain = visit.send(b'a LIST "" %')
    assert SENT in plain
    assert len(plain) == 6
    for end in (b"RETURN (SPECIAL-USE)", b"return (Special-Use CHILDREN)", b"RETURN ()"):
        assert visit.send(b'a LIST "" % ' + end) == plain
    assert visit.send(b'a LIST () "" %') == plain


def test_several_patterns_list_each_mailbox_once(visit: Talk) -> None:
    """RFC 5258 section 3; an empty pattern is no question for the delimiter there."""
    assert visit.send(b'a LIST "" (SentMail Sent* "" Trash)') == [SENT, TRASH, DONE]
    assert visit.send(b'a LIST "" ""')[0] == b'* LIST (\\Noselect) "/" ""'
    assert visit.send(b'a LIST (SPECIAL-USE) "" ""') == [DONE]


@pytest.mark.parametrize(
    "arguments",
    [
        b'(SUBSCRIBED) "" *',
        b"(SPECIAL-USE",
        b'(SPECIAL-USE)"" *',
        b'"" * RETURN (HUH)',
        b'"" * RETURN SPECIAL-USE',
        b'"" * (SPECIAL-USE)',
        b'"" ()',
        b'"" (' + b"a " * 20 + b"a)",
    ],
)
def test_options_that_are_not_there_are_bad(visit: Talk, arguments: bytes) -> None:
    """RFC 5258 section 3; PAR-08."""
    assert visit.send(b"a LIST " + arguments)[0].startswith(b"a BAD ")


# ---- CREATE ------------------------------------------------------------------------------------


def test_a_mailbox_is_made_for_a_use(visit: Talk, amy: MemoryAccount) -> None:
    """RFC 6154 section 5.3."""
    assert visit.send(b"a CREATE MySpecial (USE (\\Drafts \\sent))") == [b"a OK CREATE completed"]
    assert amy.special_use["MySpecial"] == "\\Drafts \\Sent"
    assert visit.send(b'a LIST "" MySpecial')[0].startswith(
        b"* LIST (\\HasNoChildren \\Drafts \\Sent)"
    )
    assert visit.send(b"a CREATE Plain (USE ())") == [b"a OK CREATE completed"]
    assert "Plain" not in amy.special_use


def test_a_use_that_is_unknown_here_makes_nothing(visit: Talk, amy: MemoryAccount) -> None:
    """RFC 6154 section 3: it MUST NOT create the mailbox."""
    for uses in (b"\\All", b"\\Sent \\Flagged", b"\\Huh"):
        assert visit.send(b"a CREATE Everything (USE (%b))" % uses) == [
            b"a NO [USEATTR] Special use not supported"
        ]
    assert "Everything" not in amy.folders


@pytest.mark.parametrize(
    "parameters",
    [b"()", b"(USE)", b"(USE \\Sent)", b"(USE (Sent))", b"(USE (\\Sent)", b"(X (\\A))"],
)
def test_wrong_parameters_are_bad(visit: Talk, amy: MemoryAccount, parameters: bytes) -> None:
    assert visit.send(b"a CREATE New " + parameters)[0].startswith(b"a BAD ")
    assert "New" not in amy.folders


def test_a_store_that_gives_no_uses_takes_none(house: House, amy: MemoryAccount) -> None:
    """Advertised and accepted come and go together."""
    amy.powers = frozenset(amy.powers) - {IGivesUses}
    talk = house.login()
    assert b"CREATE-SPECIAL-USE" not in talk.send(b"a CAPABILITY")[0]
    assert talk.send(b"b CREATE New (USE (\\Sent))")[0].startswith(b"b BAD ")
    assert talk.send(b"c CREATE New") == [b"c OK CREATE completed"]
