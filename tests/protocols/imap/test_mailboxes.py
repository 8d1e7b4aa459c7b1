"""
Making, naming, listing and counting mailboxes.
"""

from __future__ import annotations

import pytest

from mailaccess.errors import NoSuchMailbox
from mailaccess.testing.memory import MemoryAccount
from mailaccess.testing.talk import Talk


def names(account: MemoryAccount) -> set[str]:
    return set(account.folders) - {"INBOX"}


# ---- CREATE, DELETE, RENAME ----------------------------------------------------------------------


def test_create_makes_a_mailbox_that_can_be_selected(talk: Talk) -> None:
    assert talk.send(b"a CREATE Work") == [b"a OK CREATE completed"]
    assert talk.send(b"b SELECT Work")[-1] == b"b OK [READ-WRITE] SELECT completed"


def test_a_delimiter_at_the_end_of_a_new_name_is_no_part_of_it(
    talk: Talk, account: MemoryAccount
) -> None:
    """
    RFC 3501 section 6.3.3.
    """
    assert talk.send(b"a CREATE Work/") == [b"a OK CREATE completed"]
    assert names(account) == {"Work"}
    assert talk.send(b"b CREATE inbox/") == [b"b NO [ALREADYEXISTS] Mailbox exists"]


@pytest.mark.parametrize("name", [b"INBOX", b"inbox", b"Work"])
def test_a_mailbox_cannot_be_made_twice(talk: Talk, account: MemoryAccount, name: bytes) -> None:
    account.make("Work")
    assert talk.send(b"a CREATE " + name) == [b"a NO [ALREADYEXISTS] Mailbox exists"]


@pytest.mark.parametrize(
    "name",
    [
        b'"../x"',
        b"/etc/passwd",
        b"a//b",
        b"a//",
        b'""',
        b'"a/../../b"',
        b"~root",
        b".x",
        b'"#news/x"',
    ],
)
def test_names_that_no_mailbox_can_have_are_refused(
    talk: Talk, account: MemoryAccount, name: bytes
) -> None:
    """
    PATH-01, and RFC 3501 section 5.1.2 for C{#}.
    """
    assert talk.send(b"a CREATE " + name) == [b"a NO [CANNOT] Mailbox name not permitted"]
    assert talk.send(b"b RENAME INBOX " + name) == [b"b NO [CANNOT] Mailbox name not permitted"]
    assert names(account) == set()


@pytest.mark.parametrize(
    "name", [b'"caf\xc3\xa9"', b'"a&b"', b"&AGE-", b"&AC8-x", b"a{b", b"a*b", b"a%b", b'"a', b"a b"]
)
def test_names_that_are_not_written_right_are_bad(
    talk: Talk, account: MemoryAccount, name: bytes
) -> None:
    """
    RFC 3501 sections 5.1 and 5.1.3; PAR-11.
    """
    (reply,) = talk.send(b"a CREATE " + name)
    assert reply.startswith(b"a BAD expected ")
    assert names(account) == set()


def test_names_are_unicode_in_the_store_and_modified_utf7_on_the_wire(
    talk: Talk, account: MemoryAccount
) -> None:
    """
    RFC 3501 section 5.1.3.
    """
    talk.send(b"a CREATE Entw&APw-rfe", b'b CREATE "R&-D"', b'c CREATE "a*b%c"')
    assert names(account) == {"Entwürfe", "R&D", "a*b%c"}
    assert talk.send(b'd LIST "" "Entw*"') == [
        b'* LIST (\\HasNoChildren) "/" Entw&APw-rfe',
        b"d OK LIST completed",
    ]
    assert talk.send(b'e LIST "" R&-D')[0] == b'* LIST (\\HasNoChildren) "/" R&-D'
    assert talk.send(b'f LIST "" a%c')[0] == b'* LIST (\\HasNoChildren) "/" "a*b%c"'


def test_a_name_may_come_as_a_literal(talk: Talk, account: MemoryAccount) -> None:
    assert talk.send(b"a CREATE {4}") == [b"+ Ready"]
    assert talk.send(b"a b\\") == [b"a OK CREATE completed"]
    assert names(account) == {"a b\\"}
    assert talk.send(b'b LIST "" a*')[0] == b'* LIST (\\HasNoChildren) "/" "a b\\\\"'


def test_delete_removes_a_mailbox(talk: Talk, account: MemoryAccount) -> None:
    account.make("Work")
    assert talk.send(b"a DELETE Work") == [b"a OK DELETE completed"]
    assert talk.send(b"b DELETE Work") == [b"b NO [NONEXISTENT] No such mailbox"]


def test_delete_of_the_selected_mailbox_is_ok_though_its_changes_cannot_be_told(
    talk: Talk, account: MemoryAccount, monkeypatch: pytest.MonkeyPatch
) -> None:
    account.make("Work")
    talk.send(b"a SELECT Work")

    async def gone(*, expunges: bool = True) -> None:
        raise NoSuchMailbox

    mailbox = talk.protocol.session.mailbox
    monkeypatch.setattr(mailbox, "pending", lambda expunges=True: True, raising=False)
    monkeypatch.setattr(mailbox, "sync", gone, raising=False)
    assert talk.send(b"b DELETE Work") == [b"b OK DELETE completed"]
    assert names(account) == set()
    assert talk.send(b"c NOOP") == [b"c OK NOOP completed"]


def test_inbox_cannot_be_deleted(talk: Talk) -> None:
    """
    RFC 3501 section 6.3.4.
    """
    assert talk.send(b"a DELETE inbox")[0].startswith(b"a NO [CANNOT] ")


def test_the_name_of_a_deleted_mailbox_stays_while_it_has_children(
    talk: Talk, account: MemoryAccount
) -> None:
    """
    RFC 3501 section 6.3.4.
    """
    account.make("foo", "foo/bar")
    assert talk.send(b"a DELETE foo") == [b"a OK DELETE completed"]
    assert talk.send(b"b LIST (") != []
    assert talk.send(b'c LIST "" foo*') == [
        b'* LIST (\\Noselect \\HasChildren) "/" foo',
        b'* LIST (\\HasNoChildren) "/" foo/bar',
        b"c OK LIST completed",
    ]
    assert talk.send(b"d DELETE foo") == [b"d NO [HASCHILDREN] Mailbox has children"]


def test_rename_takes_the_children_along(talk: Talk, account: MemoryAccount) -> None:
    """
    RFC 3501 section 6.3.5.
    """
    account.make("foo", "foo/bar", "foobar")
    assert talk.send(b"a RENAME foo zap/zip") == [b"a OK RENAME completed"]
    assert names(account) == {"zap/zip", "zap/zip/bar", "foobar"}


def test_rename_of_inbox_moves_its_messages_and_leaves_it_empty(
    talk: Talk, account: MemoryAccount
) -> None:
    """
    RFC 3501 section 6.3.5.
    """
    account.make("INBOX/child")
    assert talk.send(b"a RENAME INBOX Old") == [b"a OK RENAME completed"]
    assert talk.send(b"b STATUS Old (MESSAGES)")[0] == b"* STATUS Old (MESSAGES 64)"
    assert talk.send(b"c STATUS INBOX (MESSAGES)")[0] == b"* STATUS INBOX (MESSAGES 0)"
    assert "INBOX/child" in account.folders


def test_rename_needs_what_is_there_and_a_name_that_is_not(
    talk: Talk, account: MemoryAccount
) -> None:
    account.make("a", "b")
    assert talk.send(b"a RENAME missing c") == [b"a NO [NONEXISTENT] No such mailbox"]
    assert talk.send(b"b RENAME a b") == [b"b NO [ALREADYEXISTS] Mailbox exists"]
    assert talk.send(b"c RENAME a inbox") == [b"c NO [ALREADYEXISTS] Mailbox exists"]
    assert talk.send(b"d RENAME a")[0].startswith(b"d BAD ")


# ---- LIST ----------------------------------------------------------------------------------------


def listed(talk: Talk, *arguments: bytes, command: bytes = b"LIST") -> list[bytes]:
    *lines, last = talk.send(b"l " + command + b" " + b" ".join(arguments))
    assert last == b"l OK " + command + b" completed"
    return [each.removeprefix(b"* " + command + b" ") for each in lines]


def test_an_empty_pattern_asks_for_the_delimiter(talk: Talk, account: MemoryAccount) -> None:
    """
    RFC 3501 section 6.3.8.
    """
    account.make("foo")
    assert listed(talk, b'""', b'""') == [b'(\\Noselect) "/" ""']
    assert listed(talk, b"foo/bar", b'""') == [b'(\\Noselect) "/" ""']
    assert listed(talk, b'""', b'""', command=b"LSUB") == [b'(\\Noselect) "/" ""']


def test_a_percent_sign_stops_at_the_delimiter_and_an_asterisk_does_not(
    talk: Talk, account: MemoryAccount
) -> None:
    account.make("a", "a/b", "x/y/z")
    assert listed(talk, b'""', b"%") == [
        b'(\\HasNoChildren) "/" INBOX',
        b'(\\HasChildren) "/" a',
        b'(\\Noselect \\HasChildren) "/" x',
    ]
    assert listed(talk, b'""', b"*") == [
        b'(\\HasNoChildren) "/" INBOX',
        b'(\\HasChildren) "/" a',
        b'(\\HasNoChildren) "/" a/b',
        b'(\\Noselect \\HasChildren) "/" x',
        b'(\\Noselect \\HasChildren) "/" x/y',
        b'(\\HasNoChildren) "/" x/y/z',
    ]
    assert listed(talk, b'""', b"%/%") == [
        b'(\\HasNoChildren) "/" a/b',
        b'(\\Noselect \\HasChildren) "/" x/y',
    ]


def test_the_reference_stands_before_the_pattern(talk: Talk, account: MemoryAccount) -> None:
    account.make("a/b", "ab")
    assert listed(talk, b"a/", b"%") == [b'(\\HasNoChildren) "/" a/b']
    assert listed(talk, b"a", b"%")[-1] == b'(\\HasNoChildren) "/" ab'
    assert listed(talk, b'""', b"/a*") == []


def test_inbox_is_listed_whatever_its_case_in_the_pattern(talk: Talk) -> None:
    assert listed(talk, b'""', b"inB%") == [b'(\\HasNoChildren) "/" INBOX']


def test_list_says_what_a_mailbox_is_for(talk: Talk, account: MemoryAccount) -> None:
    """
    RFC 6154 section 2.
    """
    account.make("Sent")
    account.special_use["Sent"] = "\\Sent"
    assert listed(talk, b'""', b"Sent") == [b'(\\HasNoChildren \\Sent) "/" Sent']


def test_a_pattern_with_too_many_wildcards_is_bad(talk: Talk) -> None:
    """
    PAR-08.
    """
    (reply,) = talk.send(b'a LIST "" ' + b"a*" * 51)
    assert reply == b"a BAD expected at most 50 wildcards"
    assert talk.send(b'b LIST "" ' + b"*" * 500)[-1] == b"b OK LIST completed"


def test_a_long_list_waits_for_a_client_that_does_not_read(
    talk: Talk, account: MemoryAccount
) -> None:
    """
    PAR-10.
    """
    account.make(*(f"folder {number:04}" for number in range(3000)))
    account.before = lambda: _pause(talk)
    begun = talk.send(b'a LIST "" *')
    assert len(begun) < 1000
    assert not any(each.startswith(b"a OK") for each in begun)
    talk.protocol.resumeProducing()
    rest = talk.lines()
    assert len(begun) + len(rest) == 3002
    assert rest[-1] == b"a OK LIST completed"


async def _pause(talk: Talk) -> None:
    talk.protocol.pauseProducing()


# ---- subscriptions -------------------------------------------------------------------------------


def test_subscribed_names_are_listed_whether_they_are_there_or_not(
    talk: Talk, account: MemoryAccount
) -> None:
    """
    RFC 3501 section 6.3.9: a name is not taken away because its mailbox is gone.
    """
    account.make("a")
    assert talk.send(b"a SUBSCRIBE a", b"b SUBSCRIBE gone", b"c SUBSCRIBE inbox") == [
        b"a OK SUBSCRIBE completed",
        b"b OK SUBSCRIBE completed",
        b"c OK SUBSCRIBE completed",
    ]
    assert sorted(listed(talk, b'""', b"*", command=b"LSUB")) == [
        b'() "/" INBOX',
        b'() "/" a',
        b'() "/" gone',
    ]
    talk.send(b"d UNSUBSCRIBE gone", b"e DELETE a")
    assert listed(talk, b'""', b"a", command=b"LSUB") == [b'() "/" a']
    assert listed(talk, b'""', b"gone", command=b"LSUB") == []


def test_lsub_shows_the_parent_where_a_percent_sign_stops_above_a_subscribed_name(
    talk: Talk, account: MemoryAccount
) -> None:
    """
    RFC 3501 section 6.3.9: "foo" is returned with \\Noselect, once, and only for "%".
    """
    talk.send(
        b"a SUBSCRIBE foo/bar", b"b SUBSCRIBE foo/baz/deep", b"c SUBSCRIBE x", b"d SUBSCRIBE x/y"
    )
    assert listed(talk, b'""', b"%", command=b"LSUB") == [
        b'(\\Noselect) "/" foo',
        b'() "/" x',
    ]
    assert listed(talk, b'""', b"foo/%", command=b"LSUB") == [
        b'() "/" foo/bar',
        b'(\\Noselect) "/" foo/baz',
    ]
    assert listed(talk, b'""', b"*", command=b"LSUB") == [
        b'() "/" foo/bar',
        b'() "/" foo/baz/deep',
        b'() "/" x',
        b'() "/" x/y',
    ]
    assert listed(talk, b'""', b"*oo", command=b"LSUB") == []
    assert listed(talk, b'""', b"%oo", command=b"LSUB") == [b'(\\Noselect) "/" foo']


# ---- STATUS and NAMESPACE ------------------------------------------------------------------------


def test_status_gives_what_was_asked_in_that_order(talk: Talk, account: MemoryAccount) -> None:
    account.make("Work")
    account.deliver("Work", b"\r\n", ["\\Seen"])
    account.deliver("Work", b"\r\n")
    assert talk.send(b"a STATUS Work (unseen UIDNEXT MESSAGES RECENT UIDVALIDITY UNSEEN)") == [
        b"* STATUS Work (UNSEEN 1 UIDNEXT 3 MESSAGES 2 RECENT 2 UIDVALIDITY 2)",
        b"a OK STATUS completed",
    ]


@pytest.mark.parametrize("items", [b"(MESSAGES FLAVOUR)", b"()", b"MESSAGES", b"(MESSAGES", b""])
def test_status_of_what_is_not_known_is_bad(talk: Talk, items: bytes) -> None:
    (reply,) = talk.send(b"a STATUS INBOX " + items)
    assert reply.startswith(b"a BAD expected ")


def test_status_does_not_make_messages_old(talk: Talk) -> None:
    """
    RFC 3501 section 6.3.10: it must not affect \\Recent.
    """
    assert talk.send(b"a STATUS INBOX (RECENT)")[0] == b"* STATUS INBOX (RECENT 64)"
    assert b"* 64 RECENT" in talk.send(b"b SELECT INBOX")


def test_status_of_a_mailbox_that_cannot_be_selected_is_refused(
    talk: Talk, account: MemoryAccount
) -> None:
    account.make("a/b")
    assert talk.send(b"a STATUS a (MESSAGES)") == [b"a NO [NONEXISTENT] No such mailbox"]


def test_all_names_are_the_users_own(talk: Talk) -> None:
    """
    RFC 2342 section 5.
    """
    assert talk.send(b"a NAMESPACE") == [
        b'* NAMESPACE (("" "/")) NIL NIL',
        b"a OK NAMESPACE completed",
    ]


def test_commands_on_other_mailboxes_report_what_changed_in_the_selected_one(
    selected: Talk, account: MemoryAccount
) -> None:
    account.deliver("INBOX", b"\r\n")
    assert selected.send(b"a CREATE x") == [
        b"* 65 EXISTS",
        b"* 65 RECENT",
        b"a OK CREATE completed",
    ]
