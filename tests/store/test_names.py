"""
Names of users and mailboxes cannot lead anywhere but where they belong.
"""

from __future__ import annotations

import os
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailaccess import errors
from mailaccess.interfaces import Identity
from mailaccess.store.accounts import MaildirAccounts
from mailaccess.store.names import (
    directory_of,
    escape_user,
    name_of,
    parents_of,
    user_directory,
)

from .conftest import Site, message, put


@pytest.mark.parametrize(
    ("name", "directory"),
    [
        ("INBOX", ""),
        ("inBox", ""),
        ("A", ".A"),
        ("A/B", ".A.B"),
        ("INBOX/B", ".INBOX.B"),
        ("a.b", ".a&AC4-b"),
        ("a.b/c", ".a&AC4-b.c"),
        ("R&D", ".R&-D"),
        ("Größe", ".Gr&APYA3w-e"),
        ("&AC4-", ".&-AC4-"),
        ("日本.語", ".&ZeVnLA-&AC4-&ip4-"),
    ],
)
def test_directories_of_mailboxes(name: str, directory: str) -> None:
    assert directory_of(name) == directory
    assert name_of(directory) == (name if directory else "INBOX")


@pytest.mark.parametrize(
    "name",
    [
        *("", "/", "//", "/etc/passwd", "../x", "a/../../b", "..", ".", "a/.", "a/./b", ".hidden"),
        *("~root", "a/~", "a//b", "a/", "a\0", "a\x7f", "a\n", "\x85", "\ud800", "a" * 255),
        *("/".join(["abcdefgh"] * 40), "ü" * 600),
    ],
)
def test_names_that_no_mailbox_can_have(name: str) -> None:
    """
    PATH-01.
    """
    with pytest.raises(errors.BadMailboxName):
        directory_of(name)


@pytest.mark.parametrize(
    "directory",
    [".", "..", ".A.", "..A", ".&AC8-", ".&AC4-&AC4-", ".A&", ".A&AGE-", "A", ".\xfc", ".inbox"],
)
def test_directories_that_are_no_mailbox(directory: str) -> None:
    """
    PATH-02: a directory is a mailbox only under the name that leads to it.
    """
    assert name_of(directory) is None


pieces = st.sampled_from(
    ["a", "A", ".", "&", "-", "AC4", "&AC4-", "/", "é", "e\u0301", "~", "日", " ", "\\", "%"]
)


@given(st.lists(pieces, min_size=1, max_size=8).map("".join))
def test_a_name_and_its_directory_belong_to_each_other(name: str) -> None:
    """
    PATH-02: two names never share a directory, as each directory leads back to one name.
    """
    try:
        directory = directory_of(name)
    except errors.BadMailboxName:
        return
    assert name_of(directory) == name
    assert "/" not in directory
    assert directory not in {".", ".."}
    assert directory.isascii()
    assert "/".join([*parents_of(name), name][:1]) == name.split("/", maxsplit=1)[0]


@pytest.mark.parametrize(
    ("user", "path"),
    [
        ("amy", "/m/amy"),
        ("amy@example.org", "/m/amy@example.org"),
        ("../bob", "/m/%2e.%2fbob"),
        ("a/b", "/m/a%2fb"),
        (".", "/m/%2e"),
        ("..", "/m/%2e."),
        ("bob%2f", "/m/bob%252f"),
        ("", "/m/%"),
        ("a\0b", "/m/a%00b"),
        ("{domain}", "/m/%7bdomain%7d"),
    ],
)
def test_users_are_escaped_into_one_directory(user: str, path: str) -> None:
    """
    PATH-03.
    """
    assert user_directory("/m/{user}", user) == path


def test_parts_of_a_user_name_are_filled_in() -> None:
    assert user_directory("/m/{domain}/{local}", "a/b@x.org") == "/m/x.org/a%2fb"
    assert user_directory("/m/{domain}/{local}", "amy") == "/m/%/amy"


@given(st.text(max_size=6), st.text(max_size=6))
def test_users_never_share_a_directory(one: str, other: str) -> None:
    """
    PATH-03.
    """
    for name in (one, other):
        escaped = escape_user(name)
        assert "/" not in escaped
        assert "\0" not in escaped
        assert escaped not in {"", ".", ".."}
    if one != other:
        assert escape_user(one) != escape_user(other)


async def test_the_home_of_the_identity_comes_first(site: Site) -> None:
    accounts: MaildirAccounts = site.accounts()
    home = str(site.root / "elsewhere")
    assert accounts.path_of(Identity("amy", home=home)) == f"{home}/Maildir"
    account = await accounts.account(Identity("amy", home=home))
    await put(account, "INBOX", message("a"))
    assert len(os.listdir(site.root / "elsewhere" / "Maildir" / "cur")) == 1


@pytest.mark.parametrize("below", ["cur", "new", "tmp"])
async def test_directories_that_are_links_are_not_followed(site: Site, below: str) -> None:
    """
    PATH-04.
    """
    bob = site.root / "bob" / below
    bob.mkdir(parents=True)
    (bob / "1.secret:2,").write_bytes(b"a: secret\n\n")
    os.rmdir(site.maildir() / below)
    os.symlink(bob, site.maildir() / below)

    async def work() -> Any:
        account = await site.account()
        await put(account, "INBOX", message("a"))
        mailbox = await account.select("INBOX")
        return [await mailbox.octets(uid) for uid in mailbox.rows.uids]

    with pytest.raises(errors.Refused):
        await work()
    assert os.listdir(bob) == ["1.secret:2,"]


async def test_messages_and_mailboxes_that_are_links_are_not_there(site: Site) -> None:
    """
    PATH-04.
    """
    secret = site.root / "secret"
    secret.write_bytes(b"a: secret\n\n")
    outside = site.root / "bob"
    (outside / "cur").mkdir(parents=True)
    top = site.maildir()
    os.symlink(secret, top / "cur" / "1.link:2,S")
    os.symlink(secret, top / "new" / "2.link")
    os.mkfifo(top / "cur" / "3.pipe:2,")
    os.symlink(outside, top / ".Bob")
    account = await site.account()
    mailbox = await account.select("INBOX")
    assert len(mailbox.rows) == 0
    assert [info.name for info in await account.mailboxes()] == ["INBOX"]
    for change in (account.select("Bob"), account.delete("Bob"), account.rename("Bob", "X")):
        with pytest.raises(errors.NoSuchMailbox):
            await change
    assert os.listdir(outside) == ["cur"]


async def test_a_message_that_becomes_a_link_is_not_read(site: Site) -> None:
    """
    PATH-04.
    """
    secret = site.root / "secret"
    secret.write_bytes(b"a: secret\n\n")
    account = await site.account()
    uids = await put(account, "INBOX", message("a"))
    mailbox = await account.select("INBOX")
    (name,) = site.cur().values()
    os.unlink(site.maildir() / "cur" / name)
    os.symlink(secret, site.maildir() / "cur" / name)
    with pytest.raises(errors.Refused):
        await mailbox.octets(uids[0])


async def test_what_is_made_is_for_nobody_else(site: Site) -> None:
    """
    PATH-04: also with a careless umask.
    """
    old = os.umask(0)
    try:
        account = await site.account("new@example.org")
        await account.create("A/b")
        await put(account, "A/b", message("a"))
        await account.subscribe("A/b")
    finally:
        os.umask(old)
    for top, directories, files in os.walk(site.root):
        for name in [*directories, *files]:
            if "amy" in os.path.join(top, name):
                # Made by the test.
                continue
            mode = os.lstat(os.path.join(top, name)).st_mode
            assert mode & 0o077 == 0, name


async def test_a_maildir_of_another_user_is_refused(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    PATH-04.
    """
    owner = os.stat(site.maildir()).st_uid
    monkeypatch.setattr(os, "geteuid", lambda: owner + 1)
    with pytest.raises(errors.StoreFailed):
        await site.account()
