"""
What was copied already: a file beside the index, a line for each batch before and after it.

    {"source": "mbox /home/amy/mail"}
    {"begin": ["k1", "k2"], "folder": "Old", "next": 17, "digests": ["...", "..."]}
    {"end": 2}

A batch without an end may have been made durable or not: whoever goes on looks whether the messages
from UID C{next} on have these digests. A line at the end that is cut off was never written; a wrong
one before others is damage, and nothing is brought then, as it would come twice.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
from collections.abc import Sequence

import attrs

from .source import CannotImport

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
    Of one source and one account, for one process at a time. Blocks on the disk.

    @ivar unfinished: a batch of which it is not known whether it was made durable
    """

    def __init__(self, maildir: str, label: str) -> None:
        """
        @raise CannotImport: another process has it, or it is damaged
        """
        name = hashlib.blake2b(label.encode("utf-8", "surrogateescape"), digest_size=8).hexdigest()
        directory = os.path.join(maildir, DIRECTORY)
        os.makedirs(directory, mode=0o700, exist_ok=True)
        self.path = os.path.join(directory, f"import-{name}.log")
        self._done: dict[str, set[str]] = {}
        self.unfinished: Batch | None = None
        self._descriptor = os.open(
            self.path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600
        )
        try:
            self._lock()
            self._read(label)
        except BaseException:
            os.close(self._descriptor)
            raise
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

    def _lock(self) -> None:
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise CannotImport(f"{self.path}: another import from there is running") from None

    def _read(self, label: str) -> None:
        whole = wrong = 0
        with open(os.dup(self._descriptor), "rb") as file:
            for number, line in enumerate(file, 1):
                if wrong:
                    raise CannotImport(
                        f"{self.path}:{wrong}: is damaged; without what it says everything would be"
                        " brought again. If that is wanted, remove it"
                    )
                try:
                    if not line.endswith(b"\n"):
                        raise ValueError("cut off")
                    self._take(json.loads(line.decode("ascii")))
                except (ValueError, KeyError, TypeError, IndexError, AttributeError):
                    wrong = number
                else:
                    whole += len(line)
        os.ftruncate(self._descriptor, whole)
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
        elif "end" in value:
            batch = self.unfinished
            if batch is None:
                raise ValueError("an end without a begin")
            self.done(batch.folder).update([batch.keys[int(at)] for at in value["end"]])
            self.unfinished = None
        elif "source" not in value:
            raise ValueError("neither begin nor end")
