"""
What mailboxes are for, and the folders of the site.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import attrs
import pytest

from mailaccess import errors
from mailaccess.interfaces import Identity
from mailaccess.store.disk import Tree
from mailaccess.store.maildir import given
from mailaccess.store.uses import (
    ARCHIVE,
    DEFAULT,
    DRAFTS,
    JUNK,
    SENT,
    TRASH,
    SiteFolders,
    UnknownUse,
    known,
    uses_of,
)
from tests.store.conftest import Site

GERMAN = SiteFolders({**DEFAULT.names, SENT: "Gesendet"}, (SENT, TRASH))


async def uses(account: Any) -> dict[str, str]:
    return {each.name: each.special_use for each in await account.mailboxes() if each.special_use}


def furnished(site: Site, folders: SiteFolders) -> None:
    site.options = attrs.evolve(site.options, folders=folders)


# ---- by name ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("names", "folders", "found"),
    [
        (["SENT", "junk e-mail"], DEFAULT, {"SENT": [SENT], "junk e-mail": [JUNK]}),
        (["Sent Items", "Sent", "Sent Messages"], DEFAULT, {"Sent": [SENT]}),
        (["Sent Messages", "Sent Items"], DEFAULT, {"Sent Items": [SENT]}),
        (["sent", "Sent"], DEFAULT, {"Sent": [SENT]}),
        (["Sent", "gesendet"], GERMAN, {"gesendet": [SENT]}),
        (["Sent"], GERMAN, {"Sent": [SENT]}),
        (["Other", "A/Sent"], DEFAULT, {}),
    ],
)
def test_of_several_names_the_likeliest_has_the_use(
    names: list[str], folders: SiteFolders, found: Mapping[str, list[str]]
) -> None:
    """RFC 6154 section 2: at most one mailbox, so that clients agree."""
    assert uses_of(names, {}, folders) == found


def test_what_was_given_counts_more_than_a_name() -> None:
    marked = {"Mine": (SENT, DRAFTS), "Gone": (TRASH,), "Junk": (ARCHIVE,)}
    assert uses_of(["Junk", "Mine", "Sent", "Trash"], marked, DEFAULT) == {
        "Junk": [ARCHIVE],
        "Mine": [SENT, DRAFTS],
        "Trash": [TRASH],
    }


def test_uses_are_known_in_any_case_and_others_are_refused() -> None:
    assert known(["\\sent", "\\DRAFTS", "\\Sent"]) == [DRAFTS, SENT]
    for other in ("\\All", "\\Flagged", "Sent", ""):
        with pytest.raises(UnknownUse):
            known([other])


# ---- given and kept --------------------------------------------------------------------------


async def test_a_use_goes_along_with_a_new_name(site: Site) -> None:
    account = await site.account()
    await account.create("Sent")
    await account.create_for("Papers/Old", [ARCHIVE])
    await account.rename("Sent", "Gesendet")
    await account.rename("Papers", "Files")
    assert await uses(account) == {"Gesendet": SENT, "Files/Old": ARCHIVE}
    await account.delete("Gesendet")
    await account.create("Gesendet")
    assert await uses(account) == {"Files/Old": ARCHIVE}


async def test_a_new_mailbox_takes_back_the_use_that_its_name_says(site: Site) -> None:
    """Who puts C{Sent} away as C{Sent 2025} goes on with a new C{Sent}; what was given stays."""
    account = await site.account()
    await account.create("Sent")
    await account.create_for("Mine", [DRAFTS])
    await account.rename("Sent", "Sent 2025")
    await account.rename("Sent 2025", "Old/Sent 2025")
    await account.rename("Mine", "Ours")
    assert await uses(account) == {"Old/Sent 2025": SENT, "Ours": DRAFTS}
    await account.create("Drafts")
    await account.create("Sent")
    assert await uses(account) == {"Sent": SENT, "Ours": DRAFTS}


async def test_what_is_thrown_away_has_no_use_any_more(site: Site) -> None:
    """Some programs delete a mailbox by a move into the trash."""
    account = await site.account()
    for name in ("Trash", "Sent"):
        await account.create(name)
    await account.create_for("Work", [DRAFTS])
    await account.rename("Sent", "Trash/Sent")
    await account.rename("Work", "Trash/Work")
    assert await uses(account) == {"Trash": TRASH}


async def test_a_use_that_is_given_again_moves(site: Site) -> None:
    """RFC 6154 section 3; several uses of one mailbox are told together."""
    account = await site.account()
    await account.create_for("One", [SENT, DRAFTS])
    assert await uses(account) == {"One": f"{DRAFTS} {SENT}"}
    await account.create_for("Two", [SENT])
    assert await uses(account) == {"One": DRAFTS, "Two": SENT}
    with pytest.raises(errors.MailboxExists):
        await account.create_for("One", [TRASH])
    with pytest.raises(UnknownUse):
        await account.create_for("Three", ["\\All"])
    assert [each.name for each in await account.mailboxes()] == ["INBOX", "One", "Two"]
    assert await uses(account) == {"One": DRAFTS, "Two": SENT}


async def test_uses_outlive_the_record_and_are_seen_by_other_processes(site: Site) -> None:
    """DS-04."""
    account = await site.account()
    await account.create_for("Entwürfe.x", [DRAFTS])
    assert await uses(await site.account()) == {"Entwürfe.x": DRAFTS}
    site.stop()
    for path in (site.maildir() / "mailaccess").glob("index.db*"):
        path.unlink()
    assert await uses(await site.account()) == {"Entwürfe.x": DRAFTS}


async def test_a_rename_that_fails_leaves_uses_alone(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    account = await site.account()
    await account.create("Sent")

    def fail(*_: object) -> None:
        raise OSError(5, "no")

    with monkeypatch.context() as patched:
        patched.setattr(site.disk, "rename", fail, raising=False)
        with pytest.raises(errors.Refused):
            await account.rename("Sent", "Other")
    assert await uses(account) == {"Sent": SENT}


def test_a_file_of_uses_may_say_anything(site: Site) -> None:
    account_directory = site.maildir() / "mailaccess"
    account_directory.mkdir()
    (account_directory / "uses").write_bytes(
        b".A\t\\Sent \\Huh\n\xff\n.B\n\t\n.C\t\\All ~\n.D\t~\\Trash"
    )
    tree = Tree(site.disk, str(site.maildir()))
    assert given.load(tree) == {".A": (SENT,), ".D": (f"~{TRASH}",)}


# ---- folders of the site ---------------------------------------------------------------------


async def names(account: Any) -> list[str]:
    return [each.name for each in await account.mailboxes()]


async def test_users_get_the_site_s_folders_once(site: Site) -> None:
    furnished(site, GERMAN)
    account = await site.account()
    assert await names(account) == ["INBOX", "Gesendet", "Trash"]
    assert await uses(account) == {"Gesendet": SENT, "Trash": TRASH}
    assert await account.subscriptions() == ["Gesendet", "Trash"]
    await account.delete("Trash")
    await account.rename("Gesendet", "Sent")
    site.stop()
    account = await site.account()
    assert await names(account) == ["INBOX", "Sent"]
    site.stop()
    furnished(site, attrs.evolve(GERMAN, create=(SENT, TRASH, JUNK), subscribe=False))
    account = await site.account()
    assert await names(account) == ["INBOX", "Junk", "Sent"]
    assert "Junk" not in await account.subscriptions()


@pytest.mark.parametrize("theirs", [".SENT", ".Sent Items", ".gesendet"])
async def test_who_has_a_mailbox_for_it_gets_no_other(site: Site, theirs: str) -> None:
    """Under another case, or a name that their client gave it."""
    (site.maildir() / theirs / "cur").mkdir(parents=True)
    furnished(site, GERMAN)
    account = await site.account()
    assert sorted(await names(account)) == sorted(["INBOX", theirs[1:], "Trash"])
    assert await uses(account) == {theirs[1:]: SENT, "Trash": TRASH}


async def test_who_never_asks_for_folders_gets_none(site: Site) -> None:
    """POP3 is not changed by it; an upload into one finds it."""
    furnished(site, GERMAN)
    account = await site.account()
    await account.lock_maildrop()
    await account.select("INBOX")
    assert not (site.maildir() / ".Trash").exists()
    assert (await account.status("Trash")).messages == 0
    assert (site.maildir() / ".Gesendet" / "cur").is_dir()


async def test_folders_that_cannot_be_made_keep_nobody_out(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    furnished(site, GERMAN)
    account = await site.account()

    def fail(*_: object) -> None:
        raise OSError(28, "full")

    monkeypatch.setattr(site.disk, "mkdir", fail, raising=False)
    assert await names(account) == ["INBOX"]
    assert not (site.maildir() / "mailaccess" / "furnished").read_text()


async def test_two_processes_furnish_one_account(site: Site) -> None:
    furnished(site, GERMAN)
    one, other = site.accounts(), site.accounts()
    accounts = [await each.account(Identity("amy")) for each in (one, other)]
    for account in accounts:
        assert await names(account) == ["INBOX", "Gesendet", "Trash"]
