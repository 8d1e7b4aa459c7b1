"""
Damage to what is kept beside the mail: bits flipped, a part overwritten, the end cut off, the file
gone. Whoever comes then is told what the messages say, or is refused; never anything else (DS-05).
"""

from __future__ import annotations

import itertools
import os
import shutil
from collections import Counter
from pathlib import Path
from random import Random
from typing import Any

from mailaccess.errors import Refused
from mailaccess.interfaces import Identity
from mailaccess.store import query as q
from mailaccess.store.accounts import MaildirAccounts
from mailaccess.store.maildir import derived, index
from mailaccess.store.options import StoreOptions

USER = "amy"
FILES = (
    "mailaccess/index.db",
    "mailaccess/text.db",
    "mailaccess/uidvalidity",
    "mailaccess/intents",
    "mailaccess-uidlist",
    ".Work/mailaccess-uidlist",
    "dovecot-keywords",
)
_OPTIONS = StoreOptions(mirror="immediate")
_SYSTEM = 31


def _accounts(place: Path, reactor: Any) -> MaildirAccounts:
    return MaildirAccounts(f"{place}/{{user}}", reactor, _OPTIONS)


async def _put(account: Any, mailbox: str, number: int, flags: list[str]) -> None:
    upload = await account.upload(mailbox)
    data = b"Subject: %d\r\nFrom: a@example.org\r\n\r\nbody %d\r\n" % (number, number * 7919)
    upload.begin(len(data), flags, 1_000_000_000 + number)
    waiting = upload.write(data)
    if waiting is not None:
        await waiting
    await upload.commit()


async def make_template(place: Path, reactor: Any) -> dict[str, Any]:
    """
    An account with everything that is kept of it; what it says.
    """
    accounts = _accounts(place, reactor)
    account = await accounts.account(Identity(USER))
    await account.create("Work")
    flags = ("\\Seen", "\\Flagged", "\\Answered", "\\Draft", "$K", "$Junk")
    for number in range(60):
        chosen = [flag for place_, flag in enumerate(flags) if number >> place_ & 1]
        await _put(account, ("INBOX", "Work")[number % 3 == 0], number, chosen)
    mailbox = await account.select("INBOX")
    await mailbox.remove([3, 4, 11])
    for name in ("INBOX", "Work"):
        mailbox = await account.select(name)
        await mailbox.search(q.Text("anything"))
        await _filled(mailbox, reactor)
        await mailbox.describe(list(mailbox.rows.uids))
    accounts.stop()
    known = await tell(place, reactor)
    # Out of the write-ahead logs.
    top = place / USER / "Maildir" / index.DIRECTORY
    for name in (index.FILE, derived.FILE):
        index.connect(str(top / name), writer=True).close()
        assert not (top / f"{name}-wal").exists()
    return known


async def _filled(mailbox: Any, reactor: Any) -> None:
    from twisted.internet.task import deferLater

    while mailbox._shared.filling.running:
        await deferLater(reactor, 0.01, lambda: None)


async def tell(place: Path, reactor: Any) -> dict[str, Any]:
    """
    All that a client can be told.

    @raise Refused: it is not told
    """
    accounts = _accounts(place, reactor)
    try:
        account = await accounts.account(Identity(USER))
        found: dict[str, Any] = {}
        for info in await account.mailboxes():
            mailbox = await account.select(info.name)
            uids = list(mailbox.rows.uids)
            names = mailbox.keywords
            rows = []
            for uid, mask, size in zip(uids, mailbox.rows.flags, mailbox.rows.sizes, strict=True):
                words = [word for bit, word in enumerate(names) if mask >> (5 + bit) & 1]
                rows.append((uid, mask & _SYSTEM, words, size, await mailbox.octets(uid)))
            hits = [list(await mailbox.search(q.Body(text))) for text in ("body 1", "9", "none")]
            subjects = list(await mailbox.search(q.Header("Subject", "1")))
            described = await mailbox.describe(uids)
            found[info.name] = (mailbox.uid_validity, rows, hits, subjects, described)
        return found
    finally:
        accounts.stop()


def harm(path: Path, chance: Random) -> str:
    """
    Something that happens to files; what it was.
    """
    data = bytearray(path.read_bytes()) if path.exists() else bytearray()
    kind = chance.choice(("bits", "bits", "bits", "block", "cut", "gone", "noise"))
    if kind == "gone" or not data:
        path.unlink(missing_ok=True)
        return "gone"
    if kind == "cut":
        os.truncate(path, chance.randrange(len(data)))
        return kind
    if kind == "noise":
        path.write_bytes(chance.randbytes(chance.randrange(1, 9000)))
        return kind
    if kind == "bits":
        for _ in range(chance.choice((1, 1, 2, 8, 64))):
            data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
    else:
        start = chance.randrange(len(data)) // 512 * 512
        data[start : start + 512] = chance.choice((bytes, chance.randbytes))(512)[
            : len(data) - start
        ]
    path.write_bytes(data)
    return kind


_copies = itertools.count()


async def mutate(
    place: Path, known: dict[str, Any], name: str, count: int, chance: Random, reactor: Any
) -> Counter[str]:
    """
    Harm one file so many times, each time in a copy; how often what was told.

    @param place: with the template below C{template}
    """
    outcomes: Counter[str] = Counter()
    for _ in range(count):
        copy = place / f"copy{next(_copies)}"
        shutil.copytree(place / "template", copy)
        kind = harm(copy / USER / "Maildir" / name, chance)
        try:
            told = await tell(copy, reactor)
        except Refused:
            outcomes["refused"] += 1
        except Exception as error:
            outcomes[f"WRONG: {error!r}"] += 1
        else:
            same = told == known
            outcomes["right" if same else f"WRONG after {kind}"] += 1
        # Threads that keep text may still be at it.
        shutil.rmtree(copy, ignore_errors=True)
    return outcomes
