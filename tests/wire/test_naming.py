"""
Names of mailboxes on the wire and here: nothing is lost on the way, and none has two names.
"""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailaccess.errors import BadMailboxName
from mailaccess.wire import utf7
from mailaccess.wire.cursor import Cursor
from mailaccess.wire.grammar.names import mailbox, reference
from mailaccess.wire.naming import PLAIN, Naming

SHARED = ("Public/", "Ämter v2./")
NAMINGS = [
    Naming(delimiter, prefix, shared if prefix else ())
    for delimiter in "/."
    for prefix in ("", "INBOX" + delimiter)
    for shared in ((), SHARED)
]
COURIER = Naming(".", "INBOX.", SHARED)

names = st.text(
    st.one_of(
        st.sampled_from('/.%*&~# aÄ日\U0001f4e7"\\{'),
        st.characters(exclude_categories=["Cs"], exclude_characters="\r\n\0"),
    ),
    min_size=1,
    max_size=30,
)
levels = st.sampled_from(["INBOX", "inbox", "Inbox", "Public", "Ämter v2.", "A", "v1.2", "é", ""])
built = st.lists(levels, min_size=1, max_size=4).map("/".join).filter(bool)
either = st.one_of(names, built)


@pytest.mark.parametrize(
    ("there", "here"),
    [
        ("inBox", "INBOX"),
        ("INBOX.Work", "Work"),
        ("inbox.Work", "Work"),
        ("INBOX.Work.2024", "Work/2024"),
        ("INBOX.v1/2.x", "v1.2/x"),
        ("INBOX.INBOX.Work", "INBOX/Work"),
        ("INBOX.Entwürfe", "Entwürfe"),
        ("Public", "Public"),
        ("Public.News", "Public/News"),
        ("Ämter v2/.x", "Ämter v2./x"),
        ("INBOX.Publicity", "Publicity"),
    ],
)
def test_what_courier_called_its_folders(there: str, here: str) -> None:
    """RFC 2342: a prefix for the user's own names, another for those that many share."""
    assert COURIER.here(there) == here
    assert COURIER.here(COURIER.there(here)) == here


@pytest.mark.parametrize(
    "name",
    ["Work", "", "INBOX.", "INBOX.INBOX", "INBOX.inbox", "INBOX.Public", "INBOX.Public.x",
     "INBOXWork", "INBOX/Work", "ınbox.Work", "Publicity", ".Work"],
)  # fmt: skip
def test_no_mailbox_has_a_second_name(name: str) -> None:
    """Else a client could make a folder that it never finds in a list."""
    with pytest.raises(BadMailboxName):
        COURIER.here(name)


def test_who_forgets_the_prefix_is_told_of_it() -> None:
    with pytest.raises(BadMailboxName) as caught:
        COURIER.here("Work")
    assert caught.value.public == "Names of mailboxes have INBOX. before them"


@given(either, st.sampled_from(NAMINGS))
def test_what_is_here_has_one_name_there(name: str, naming: Naming) -> None:
    """From here to a client and back, whatever is in it; C{INBOX} is C{INBOX}."""
    there = naming.there(name)
    written = naming.written(name)
    if naming.prefix and name != "INBOX" and name.upper() == "INBOX" and name.isascii():
        return  # no name here
    read = mailbox(Cursor(written, naming=naming))
    assert read == ("INBOX" if name.upper() == "INBOX" and name.isascii() else name)
    assert naming.here(there) == read


@given(either, st.sampled_from(NAMINGS))
def test_what_is_there_has_one_name_here(name: str, naming: Naming) -> None:
    """From a client to here and back, but for the letters of C{INBOX}."""
    try:
        here = naming.here(name)
    except BadMailboxName:
        assert naming.prefix
        return
    back = naming.there(here)
    assert back == name or (back.startswith("INBOX") and back.lower() == name.lower())


@given(st.lists(either, min_size=1, max_size=5, unique=True), either, either)
def test_patterns_match_as_a_plain_reading_of_the_rfc_says(
    names: list[str], before: str, text: str
) -> None:
    """RFC 3501 section 6.3.8, with C{.} as the delimiter."""
    wanted = COURIER.pattern(before, text)
    whole = wanted.text
    parts = (".*" if c == "*" else "[^.]*" if c == "%" else re.escape(c) for c in whole)
    compiled = re.compile("".join(parts), re.DOTALL)
    for name in names:
        there = COURIER.there(name)
        if there != "INBOX":
            assert wanted.matches(there) == (compiled.fullmatch(there) is not None)


@pytest.mark.parametrize(
    ("before", "pattern", "matching"),
    [
        ("", "%", {"INBOX", "Public"}),
        ("", "*", {"INBOX", "INBOX.Work", "INBOX.Work.2024", "INBOX.v1/2", "Public", "Public.x"}),
        ("INBOX.", "%", {"INBOX.Work", "INBOX.v1/2"}),
        ("inbox.", "%", {"INBOX.Work", "INBOX.v1/2"}),
        ("inbox", ".w%", set()),
        ("inbox", ".W%", {"INBOX.Work"}),
        ("", "iNbOx.%", {"INBOX.Work", "INBOX.v1/2"}),
        ("", "INBOX.%.%", {"INBOX.Work.2024"}),
        ("", "INBOX%", {"INBOX"}),
        ("", "INBOX*", {"INBOX", "INBOX.Work", "INBOX.Work.2024", "INBOX.v1/2"}),
        ("INBOX.Work", "", {"INBOX.Work"}),
        ("Public.", "*", {"Public.x"}),
        ("", "*/*", {"INBOX.v1/2"}),
    ],
)
def test_a_reference_is_what_the_client_has_before_names(
    before: str, pattern: str, matching: set[str]
) -> None:
    """RFC 3501 section 6.3.8."""
    there = {"INBOX", "INBOX.Work", "INBOX.Work.2024", "INBOX.v1/2", "Public", "Public.x"}
    wanted = COURIER.pattern(before, pattern)
    assert {each for each in there if wanted.matches(each)} == matching


def test_a_reference_is_no_name_yet() -> None:
    """Nothing is said of it but that it can be decoded."""
    assert reference(Cursor(b'"x/."', naming=COURIER)) == "x/."


@pytest.mark.parametrize(
    ("delimiter", "prefix"), [("!", ""), (".", "INBOX/"), ("/", "INBOX"), (".", "Mail.")]
)
def test_other_delimiters_and_prefixes_are_not_known(delimiter: str, prefix: str) -> None:
    with pytest.raises(ValueError, match=r"INBOX|must be in"):
        Naming(delimiter, prefix)


@given(either)
def test_where_nothing_was_set_names_are_as_they_are(name: str) -> None:
    assert PLAIN.there(name) == name
    assert PLAIN.written(name) == Naming("/").written(name)


def test_names_on_the_wire_are_in_utf_7() -> None:
    assert COURIER.written("Entwürfe/x") == b"INBOX.Entw&APw-rfe.x"
    assert utf7.decode(COURIER.written("A & B/日本").strip(b'"')) == "INBOX.A & B.日本"
