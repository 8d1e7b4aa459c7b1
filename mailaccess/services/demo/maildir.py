"""
The mail of the demo account as a Maildir++ tree, as an MDA and a mail reader would have left it.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

from mailaccess.wire import utf7

from .letter import Letter, letters, render

INBOX = "INBOX"
FOLDERS = (
    "Archive",
    "Archive/2025",
    "Drafts",
    "Grüße von Gästen",
    "Junk",
    "Projects/Lighthouse",
    "Sent",
    "Trash",
)
"""Names as a client shows them; C{Projects} itself is none, it only has a child."""

SUBSCRIBED = (INBOX, *(name for name in FOLDERS if name != "Junk"))


def ensure_maildir(path: Path) -> None:
    """
    Make the tree with all its messages, unless there is anything at C{path}.
    """
    if path.exists():
        return
    # Made beside it and renamed, so that an interrupted start leaves no half-filled account.
    made = Path(tempfile.mkdtemp(prefix=f".{path.name}.", dir=path.parent))
    try:
        _fill(made)
        made.rename(path)
    except BaseException:
        shutil.rmtree(made)
        raise


def stored_name(name: str) -> str:
    """
    A folder's name as Maildir++ writes it, without the dot in front: levels apart by dots, each in
    modified UTF-7.
    """
    return ".".join(utf7.encode(level).decode("ascii") for level in name.split("/"))


def _fill(root: Path) -> None:
    directories = {INBOX: root} | {name: root / f".{stored_name(name)}" for name in FOLDERS}
    for name, directory in directories.items():
        for part in ("cur", "new", "tmp"):
            (directory / part).mkdir(mode=0o700, parents=True)
        directory.chmod(0o700)
        if name != INBOX:
            _write(directory / "maildirfolder", b"")
    every = letters()
    for number, letter in enumerate(every.values(), 1):
        if letter.folder:
            _deliver(directories[letter.folder], number, letter, render(letter, every))
    lines = [name if name == INBOX else stored_name(name) for name in SUBSCRIBED]
    _write(root / "subscriptions", "".join(f"{line}\n" for line in lines).encode("ascii"))


def _deliver(directory: Path, number: int, letter: Letter, data: bytes) -> None:
    seconds = int(letter.date.timestamp())
    on_the_wire = len(data) + data.count(b"\n")
    name = f"{seconds}.M{number:06}P1.lamp,S={len(data)},W={on_the_wire}"
    path = (
        directory / "new" / name if letter.new else directory / "cur" / f"{name}:2,{letter.flags}"
    )
    _write(path, data)
    # The time of a file is the internal date of the message.
    os.utime(path, (seconds, seconds))


def _write(path: Path, data: bytes) -> None:
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(data)
