"""
What was copied already: a file beside the index, a line for each batch before and after it.

    {"source": "mbox /home/amy/mail"}
    {"begin": ["k1", "k2"], "folder": "Old", "next": 17, "digests": ["...", "..."]}
    {"end": 2}

A batch without an end may have been made durable or not: whoever goes on looks whether the messages
from UID C{next} on have these digests. A line that is cut off was never written.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Sequence

import attrs

DIRECTORY = "mailaccess"
"""Below the Maildir, with the index."""


@attrs.frozen
class Batch:
    """
    Messages that are made durable together.

    @ivar next_uid: UIDNEXT of the mailbox before
    """

    folder: str
    keys: Sequence[str]
    digests: Sequence[str]
    next_uid: int


class Journal:
    """
    Of one source and one account. Blocks on the disk.

    @ivar unfinished: a batch of which it is not known whether it was made durable
    """

    def __init__(self, maildir: str, label: str) -> None:
        name = hashlib.blake2b(label.encode("utf-8", "surrogateescape"), digest_size=8).hexdigest()
        directory = os.path.join(maildir, DIRECTORY)
        os.makedirs(directory, mode=0o700, exist_ok=True)
        self.path = os.path.join(directory, f"import-{name}.log")
        self._done: dict[str, set[str]] = {}
        self.unfinished: Batch | None = None
        self._descriptor = os.open(
            self.path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600
        )
        self._read(label)
        parent = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(parent)
        finally:
            os.close(parent)

    def done(self, folder: str) -> set[str]:
        """
        Keys of the messages of a folder that are here.
        """
        return self._done.setdefault(folder, set())

    def begin(self, batch: Batch) -> None:
        """
        Before a batch is handed to the store.
        """
        self.unfinished = batch
        self._write(
            {
                "begin": list(batch.keys),
                "folder": batch.folder,
                "next": batch.next_uid,
                "digests": list(batch.digests),
            }
        )

    def end(self, keys: Sequence[str]) -> None:
        """
        These of the batch are here, the others are not.
        """
        batch, self.unfinished = self.unfinished, None
        assert batch is not None, "a batch is begun before it ends"
        kept = set(keys)
        self._write({"end": [at for at, key in enumerate(batch.keys) if key in kept]})
        self.done(batch.folder).update(kept)

    def close(self) -> None:
        """
        Nothing more is noted.
        """
        os.close(self._descriptor)

    def _write(self, value: object) -> None:
        line = json.dumps(value, separators=(",", ":")).encode() + b"\n"
        while line:
            line = line[os.write(self._descriptor, line) :]
        os.fdatasync(self._descriptor)

    def _read(self, label: str) -> None:
        whole = 0
        with open(self.path, "rb") as file:
            for line in file:
                try:
                    value = json.loads(line) if line.endswith(b"\n") else None
                except ValueError:
                    value = None
                if not isinstance(value, dict):
                    break
                whole += len(line)
                self._take(value)
        os.truncate(self.path, whole)
        if not whole:
            self._write({"source": label})

    def _take(self, value: dict[str, list[str]]) -> None:
        if "begin" in value:
            self.unfinished = Batch(
                str(value["folder"]),
                value["begin"],
                value["digests"],
                int(value["next"]),  # type: ignore[call-overload]
            )
        elif "end" in value and self.unfinished is not None:
            batch, self.unfinished = self.unfinished, None
            self.done(batch.folder).update(batch.keys[int(at)] for at in value["end"])
