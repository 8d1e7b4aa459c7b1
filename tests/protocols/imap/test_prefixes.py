"""
Conversations with clients that know folders as Courier called them: C{INBOX.Work.2024}.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mailaccess.protocols.imap import commands
from mailaccess.store.rights import ISharesMailboxes
from mailaccess.testing.memory import MemoryAccount
from mailaccess.testing.talk import Talk
from mailaccess.wire import utf7
from mailaccess.wire.naming import Naming
from tests.protocols.conftest import House

COURIER = Naming(".", "INBOX.")
COMMANDS = Path(commands.__file__).parent


@pytest.fixture
def house() -> House:
    return House(naming=COURIER)


def listed(talk: Talk, *arguments: bytes, command: bytes = b"LIST") -> list[bytes]:
    *lines, last = talk.send(b"l " + command + b" " + b" ".join(arguments))
    assert last == b"l OK " + command + b" completed"
    return [each.removeprefix(b"* " + command + b" ") for each in lines]


def test_every_command_calls_mailboxes_as_clients_do(talk: Talk, account: MemoryAccount) -> None:
    """All commands that take or give a name, in one conversation."""
    assert talk.send(
        b"a CREATE INBOX.Work.",
        b"b CREATE INBOX.Work.Entw&APw-rfe",
        b"c CREATE inbox.v1/2",
        b"d SUBSCRIBE INBOX.Work.Entw&APw-rfe",
        b"e RENAME INBOX.v1/2 INBOX.Old.v1/2",
        b"f STATUS INBOX.Work.Entw&APw-rfe (MESSAGES)",
        b"g GETQUOTAROOT INBOX.Work",
        b"h SELECT INBOX",
        b"i COPY 1 INBOX.Work",
        b"j UID MOVE 2 INBOX.Old.v1/2",
        b"k SELECT INBOX.Work",
        b"l DELETE INBOX.Old.v1/2",
        b"m UNSUBSCRIBE INBOX.Gone",
    )[-1:] == [b"m OK UNSUBSCRIBE completed"]
    assert set(account.folders) == {"INBOX", "Work", "Work/Entwürfe"}
    assert account.folder("Work").messages
    assert talk.send(b"n STATUS INBOX.Work.Entw&APw-rfe (MESSAGES)")[0] == (
        b"* STATUS INBOX.Work.Entw&APw-rfe (MESSAGES 0)"
    )
    assert talk.send(b"o GETQUOTAROOT INBOX.Work")[0].startswith(b"* QUOTAROOT INBOX.Work")
    assert listed(talk, b'""', b"*", command=b"LSUB") == [b'() "." INBOX.Work.Entw&APw-rfe']
    # The log and the store know nothing of it.
    assert talk.protocol.mailbox_name == "Work"


def test_append_finds_its_mailbox_also_where_the_name_is_a_literal(
    talk: Talk, account: MemoryAccount
) -> None:
    account.make("Work/x")
    talk.send(b"a APPEND INBOX.Work.x {2+}\r\n\r\n")
    assert talk.send(b"b APPEND {12+}\r\nINBOX.Work.x {2+}\r\n\r\n")[-1].startswith(b"b OK ")
    assert len(account.folder("Work/x").messages) == 2
    assert talk.send(b"c APPEND Work {2+}\r\n\r\n", b"d NOOP") == [
        b"c NO [CANNOT] Names of mailboxes have INBOX. before them",
        b"d OK NOOP completed",
    ]


def test_list_shows_one_tree_below_inbox(talk: Talk, account: MemoryAccount) -> None:
    """
    RFC 3501 section 6.3.8; RFC 3348: INBOX has children, if there is any folder.
    """
    assert listed(talk, b'""', b"%") == [b'(\\HasNoChildren) "." INBOX']
    account.make("Work", "Work/2024", "Sent", "v1.2")
    account.special_use["Sent"] = "\\Sent"
    assert listed(talk, b'""', b'""') == [b'(\\Noselect) "." ""']
    assert listed(talk, b'""', b'""', command=b"LSUB") == [b'(\\Noselect) "." ""']
    assert listed(talk, b'""', b"%") == [b'(\\HasChildren) "." INBOX']
    level = [
        b'(\\HasNoChildren \\Sent) "." INBOX.Sent',
        b'(\\HasChildren) "." INBOX.Work',
        b'(\\HasNoChildren) "." INBOX.v1/2',
    ]
    assert listed(talk, b"INBOX.", b"%") == level
    assert listed(talk, b'""', b"inbox.%") == level
    assert listed(talk, b"INBOX.Work.", b"*") == [b'(\\HasNoChildren) "." INBOX.Work.2024']
    assert listed(talk, b"(SPECIAL-USE)", b'""', b"*") == level[:1]
    assert listed(talk, b'""', b"Work*") == []
    assert len(listed(talk, b'""', b"*")) == 5


def test_what_is_below_inbox_here_is_below_inbox_inbox_there(
    talk: Talk, account: MemoryAccount
) -> None:
    """A client that put the prefix before it twice has left such folders."""
    account.make("INBOX/Drafts")
    assert listed(talk, b"INBOX.", b"*") == [
        b'(\\Noselect \\HasChildren) "." INBOX.INBOX',
        b'(\\HasNoChildren) "." INBOX.INBOX.Drafts',
    ]
    assert listed(talk, b'""', b"%") == [b'(\\HasChildren) "." INBOX']
    assert talk.send(b"a SELECT INBOX.INBOX.Drafts")[-1].startswith(b"a OK ")
    assert talk.send(b"b SELECT INBOX.INBOX") == [b"b NO [CANNOT] Mailbox name not permitted"]
    assert talk.send(b"c CREATE INBOX.inbox") == [b"c NO [CANNOT] Mailbox name not permitted"]


def test_lsub_shows_the_parent_where_a_percent_sign_stops(talk: Talk) -> None:
    """RFC 3501 section 6.3.9."""
    talk.send(b"a SUBSCRIBE INBOX.Work.2024", b"b SUBSCRIBE INBOX.Sent")
    assert listed(talk, b'""', b"%", command=b"LSUB") == [b'(\\Noselect) "." INBOX']
    assert sorted(listed(talk, b"INBOX.", b"%", command=b"LSUB")) == [
        b'() "." INBOX.Sent',
        b'(\\Noselect) "." INBOX.Work',
    ]


def test_names_without_the_prefix_are_refused_with_what_is_missing(
    talk: Talk, account: MemoryAccount
) -> None:
    """They would be second names of mailboxes, or folders that no list shows."""
    account.make("Work")
    told = b" NO [CANNOT] Names of mailboxes have INBOX. before them"
    talk.send(b"s SELECT INBOX.Work")
    for command in (
        b"CREATE New", b"DELETE Work", b"RENAME Work INBOX.x", b"RENAME INBOX.Work x",
        b"SUBSCRIBE Work", b"UNSUBSCRIBE Work", b"STATUS Work (MESSAGES)", b"COPY 1 Work",
        b"GETQUOTAROOT Work",
    ):  # fmt: skip
        assert talk.send(b"a " + command) == [b"a" + told], command
    assert talk.send(b"b NOOP", b"c CHECK")[-1] == b"c OK CHECK completed"
    assert talk.send(b"d EXAMINE Work") == [b"d" + told]
    # RFC 3501 section 6.3.1: nothing is selected after that.
    assert talk.send(b"e CHECK") == [b"e BAD not in this state"]
    assert talk.send(b'f CREATE "#news.x"') == [b"f NO [CANNOT] Mailbox name not permitted"]
    assert set(account.folders) == {"INBOX", "Work"}


def test_namespace_tells_prefix_and_delimiter(talk: Talk) -> None:
    """RFC 2342 section 5."""
    assert talk.send(b"a NAMESPACE")[0] == b'* NAMESPACE (("INBOX." ".")) NIL NIL'


class SharingAccount(MemoryAccount):
    """
    An account with mailboxes that many share.
    """

    shared: Sequence[str] = ("Ämter/",)

    async def rights(self, name: str) -> Collection[str]:
        return "lrs"

    async def access(self, name: str) -> Sequence[tuple[str, Collection[str]]]:
        return [("amy", "lrsa")]


def test_what_many_share_has_its_own_prefix(house: House) -> None:
    """RFC 2342 section 5; RFC 4314."""
    account = SharingAccount("amy")
    house.accounts.accounts["amy"] = account
    account.powers = frozenset({*account.powers, ISharesMailboxes})
    account.make("Ämter/News", "Work")
    talk = house.login()
    assert talk.send(b"a NAMESPACE")[0] == b'* NAMESPACE (("INBOX." ".")) NIL (("&AMQ-mter." "."))'
    assert listed(talk, b'""', b"%") == [
        b'(\\HasChildren) "." INBOX',
        b'(\\Noselect \\HasChildren) "." &AMQ-mter',
    ]
    assert listed(talk, b"&AMQ-mter.", b"%") == [b'(\\HasNoChildren) "." &AMQ-mter.News']
    assert listed(talk, b"INBOX.", b"*") == [b'(\\HasNoChildren) "." INBOX.Work']
    assert talk.send(b"b MYRIGHTS &AMQ-mter.News")[0] == b"* MYRIGHTS &AMQ-mter.News lrs"
    assert talk.send(b"c GETACL INBOX.Work")[0] == b"* ACL INBOX.Work amy lrsa"
    assert talk.send(b"d LISTRIGHTS INBOX.Work amy")[0] == b"* LISTRIGHTS INBOX.Work amy lrsa"
    assert talk.send(b"e SELECT INBOX.&AMQ-mter.News") == [
        b"e NO [CANNOT] Mailbox name not permitted"
    ]
    # The names of one session are not those of all.
    account.powers = frozenset({*account.powers} - {ISharesMailboxes})
    assert house.login().send(b"a SELECT &AMQ-mter.News")[0].startswith(b"a NO [CANNOT] ")


@pytest.mark.parametrize(
    ("naming", "said", "name"),
    [
        (Naming("."), b'(("" "."))', b"Work.2024"),
        (Naming("/", "INBOX/"), b'(("INBOX/" "/"))', b"INBOX/Work/2024"),
    ],
)
def test_delimiter_and_prefix_may_be_set_alone(naming: Naming, said: bytes, name: bytes) -> None:
    """Dovecot's usual names for Maildirs, and those of one with a prefix."""
    house = House(naming=naming)
    talk = house.login()
    talk.send(b"a CREATE " + name)
    assert set(house.accounts.of("amy").folders) == {"INBOX", "Work/2024"}
    assert talk.send(b"b NAMESPACE")[0] == b"* NAMESPACE " + said + b" NIL NIL"
    assert listed(talk, b'""', b"*")[-1].rpartition(b" ")[2] == name


_ODD = st.sampled_from("/%*& aÄ日\U0001f4e7v")
_LETTERS = st.characters(codec="utf-8", categories=["L"])
levels = st.text(
    st.one_of(_ODD, _LETTERS),
    min_size=1,
    max_size=8,
).filter(lambda level: not level.startswith((".", "~", "/")) and level.upper() != "INBOX")


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.lists(levels, min_size=1, max_size=4))
def test_any_folder_that_a_client_makes_it_finds_again(house: House, levels: list[str]) -> None:
    """Made, listed by its parent and by all, counted, selected and deleted by one name."""
    talk = house.login()
    name = utf7.encode(".".join(["INBOX", *levels]))
    quoted = b'"' + name + b'"'
    assert talk.send(b"a CREATE " + quoted) == [b"a OK CREATE completed"]
    above = utf7.encode(".".join(["INBOX", *levels[:-1], ""]))
    for lines in (
        listed(talk, b'"' + above + b'"', b"%") if not set(above) & set(b"*%") else None,
        listed(talk, b'""', b"*"),
    ):
        if lines is not None:
            assert name in [re.sub(rb'^\(.*?\) "\." "?(.*?)"?$', rb"\1", each) for each in lines]
    assert talk.send(b"b STATUS " + quoted + b" (MESSAGES)")[0].endswith(b"(MESSAGES 0)")
    assert talk.send(b"c SELECT " + quoted)[-1].startswith(b"c OK ")
    assert talk.send(b"d DELETE " + quoted)[-1] == b"d OK DELETE completed"


def test_no_command_reads_or_writes_names_in_another_way() -> None:
    """
    The names that clients know are read by C{mailbox} of the grammar and written by C{Naming}.
    """
    other = re.compile(r"writer\.mailbox|writer import mailbox|import utf7")
    found = {each.name for each in COMMANDS.rglob("*.py") if other.search(each.read_text("utf-8"))}
    # NAMESPACE has prefixes, which are no names of mailboxes.
    assert found == {"namespace.py"}
