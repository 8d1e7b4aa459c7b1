"""
What clients do until the server goes away: each with messages and mailboxes of its own.
"""

from __future__ import annotations

import hashlib
import os
import re
import threading
from collections.abc import Callable
from pathlib import Path
from random import Random

from tests.torture.imap import Client, Lost, Refused, numbers, uid_set
from tests.torture.oracle import Command, Message, Oracle

PUBLIC = "Public/Shared"
SHARED = ("INBOX", "Shared", PUBLIC)
FLAGS = ("\\seen", "\\flagged", "\\answered", "\\draft", "k1", "$junk", "k3")
_APPENDED = re.compile(rb"\[APPENDUID (\d+) ([\d:,]+)\]")
_COPIED = re.compile(rb"\[COPYUID (\d+) ([\d:,]+) ([\d:,]+)\]")


def digest(data: bytes) -> str:
    """
    What tells messages apart.
    """
    return hashlib.sha256(data).hexdigest()


def message(random: Random) -> bytes:
    """
    A message like no other.
    """
    length = random.choice((10, 300, 3000, 30_000))
    body = random.randbytes(length // 2).hex()
    lines = "\r\n".join(body[start : start + 70] for start in range(0, len(body), 70))
    head = f"Subject: {random.getrandbits(64):x}\r\nFrom: a@example.org\r\n\r\n"
    return f"{head}{lines}\r\n".encode("ascii")


class Worker:
    """
    A client in a thread.

    @ivar cutting: set when the disk is about to be cut off: from then on NO says nothing
    @ivar error: why it ended before it was lost, or None
    """

    def __init__(
        self,
        number: int,
        oracle: Oracle,
        random: Random,
        connect: Callable[[], Client],
        cutting: threading.Event,
    ) -> None:
        self.cutting = cutting
        self.name = f"c{number}"
        self.oracle = oracle
        self.random = random
        self.connect = connect
        self.mine: dict[str, set[int]] = {}
        self.error: BaseException | None = None
        self.stopping = threading.Event()
        self._selected = ""
        self._thread = threading.Thread(target=self._run, name=self.name, daemon=True)

    def start(self) -> None:
        """
        Begin.
        """
        self._thread.start()

    def join(self) -> None:
        """
        Wait until the connection is lost.
        """
        self._thread.join(120)
        assert not self._thread.is_alive(), f"{self.name} hangs"

    def _run(self) -> None:
        try:
            self.client = self.connect()
            try:
                while not self.stopping.is_set():
                    self._step()
            finally:
                self.client.close()
        except Lost:
            pass
        except BaseException as error:
            self.error = error

    def _step(self) -> None:
        actions = (
            [self.append] * 6
            + [self.store] * 5
            + [self.copy] * 3
            + [self.move] * 3
            + [self.expunge] * 3
            + [self.create, self.delete, self.rename, self.subscribe]
        )
        self.random.choice(actions)()

    def _do(self, command: Command, line: str, literals: list[bytes] | None = None) -> bytes:
        """
        The tagged line.
        """
        self.oracle.begin(self.name, command)
        return self._run_command(line, literals or [])[0]

    def _run_command(self, line: str, literals: list[bytes]) -> tuple[bytes, list[bytes]]:
        try:
            return self.client.run(line, literals)
        except Refused as error:
            if not self.cutting.is_set():
                raise AssertionError(f"{line[:80]}: {error}") from error
            # What failed on a disk that was cut off may be on it all the same.
            raise Lost(str(error)) from error

    def _own(self) -> list[str]:
        return [name for name in list(self.oracle.mailboxes) if name.startswith(f"{self.name}.")]

    def _mailbox(self) -> str:
        return self.random.choice([*SHARED, *self._own()])

    def _select(self, name: str) -> None:
        if self._selected != name:
            self._selected = ""
            self._run_command(f'SELECT "{name}"', [])
            self._selected = name

    def _some(self) -> tuple[str, list[int]]:
        filled = [name for name in [*SHARED, *self._own()] if self.mine.get(name)]
        if not filled:
            return "", []
        name = self.random.choice(filled)
        mine = sorted(self.mine[name])
        count = min(len(mine), self.random.choice((1, 1, 2, 5)))
        return name, sorted(self.random.sample(mine, count))

    def _flags(self) -> frozenset[str]:
        return frozenset(self.random.sample(FLAGS, self.random.randrange(4)))

    def append(self) -> None:
        """
        One message, or several that come all or not at all.
        """
        name = self._mailbox()
        parts = [
            (message(self.random), self._flags()) for _ in range(self.random.choice((1, 1, 4)))
        ]
        messages = tuple(Message(digest(data), flags) for data, flags in parts)
        command = Command("append", name, messages=messages)
        line = f'APPEND "{name}"' + "".join(f" ({' '.join(sorted(f))}) %s" for _, f in parts)
        tagged = self._do(command, line, [data for data, _ in parts])
        found = _APPENDED.search(tagged)
        assert found, tagged
        uids = numbers(found[2])
        self.oracle.end(self.name, uids, int(found[1]))
        self.mine.setdefault(name, set()).update(uids)

    def store(self) -> None:
        """
        Flags.
        """
        name, uids = self._some()
        if not uids:
            return
        flags, sign = self._flags(), self.random.choice(("+", "-", ""))
        before = self.oracle.mailboxes[name].messages
        after = {}
        for uid in uids:
            old = before[uid].flags
            after[uid] = old | flags if sign == "+" else old - flags if sign == "-" else flags
        self._select(name)
        command = Command("store", name, uids=tuple(uids), flags=after)
        line = f"UID STORE {uid_set(uids)} {sign}FLAGS ({' '.join(sorted(flags))})"
        self._do(command, line)
        self.oracle.end(self.name)

    def copy(self) -> None:
        """
        Into another mailbox.
        """
        self._transfer("copy")

    def move(self) -> None:
        """
        Into another mailbox.
        """
        self._transfer("move")

    def _transfer(self, kind: str) -> None:
        name, uids = self._some()
        target = self._mailbox()
        if not uids or target == name:
            return
        self._select(name)
        before = self.oracle.mailboxes[name].messages
        messages = tuple(before[uid] for uid in uids)
        self.oracle.begin(self.name, Command(kind, target, name, tuple(uids), messages))
        line = f'UID {kind.upper()} {uid_set(uids)} "{target}"'
        tagged, lines = self._run_command(line, [])
        found = next(filter(None, (_COPIED.search(line) for line in [tagged, *lines])), None)
        assert found, (tagged, lines)
        assert numbers(found[2]) == uids
        targets = numbers(found[3])
        self.oracle.end(self.name, targets, int(found[1]))
        self.mine.setdefault(target, set()).update(targets)
        if kind == "move":
            self.mine[name].difference_update(uids)

    def expunge(self) -> None:
        """
        Some of its messages.
        """
        name, uids = self._some()
        if not uids:
            return
        self._select(name)
        before = self.oracle.mailboxes[name].messages
        after = {uid: before[uid].flags | {"\\deleted"} for uid in uids}
        store = Command("store", name, uids=tuple(uids), flags=after)
        self._do(store, f"UID STORE {uid_set(uids)} +FLAGS.SILENT (\\Deleted)")
        self.oracle.end(self.name)
        command = Command("expunge", name, uids=tuple(uids))
        self._do(command, f"UID EXPUNGE {uid_set(uids)}")
        self.oracle.end(self.name)
        self.mine[name].difference_update(uids)

    def create(self) -> None:
        """
        A mailbox of its own.
        """
        own = self._own()
        if len(own) > 4:
            return
        name = f"{self.name}.{self.random.getrandbits(32):x}"
        self._do(Command("create", name), f'CREATE "{name}"')
        self.oracle.end(self.name)

    def delete(self) -> None:
        """
        One of its own.
        """
        own = self._own()
        if len(own) < 3:
            return
        name = self.random.choice(own)
        self._leave(name)
        self._do(Command("delete", name), f'DELETE "{name}"')
        self.oracle.end(self.name)
        self.mine.pop(name, None)

    def rename(self) -> None:
        """
        One of its own.
        """
        own = self._own()
        if not own:
            return
        old, new = self.random.choice(own), f"{self.name}.{self.random.getrandbits(32):x}"
        self._leave(old)
        command = Command("rename", old, new)
        self._do(command, f'RENAME "{old}" "{new}"')
        self.oracle.end(self.name)
        self.mine[new] = self.mine.pop(old, set())

    def _leave(self, name: str) -> None:
        if self._selected == name:
            self._select("Shared")

    def subscribe(self) -> None:
        """
        Or not any more.
        """
        name = self.random.choice([f"{self.name}.{number}" for number in range(3)])
        kind = "unsubscribe" if name in self.oracle.subscribed else "subscribe"
        self._do(Command(kind, name), f'{kind.upper()} "{name}"')
        self.oracle.end(self.name)


class Deliverer:
    """
    An MDA: writes, syncs, renames into C{new}, syncs.
    """

    def __init__(
        self, maildir: Path, oracle: Oracle, random: Random, synced: Callable[[str], None]
    ) -> None:
        self.maildir = maildir
        self.oracle = oracle
        self.random = random
        self.synced = synced
        self.stopping = threading.Event()
        self._number = 0
        self._thread = threading.Thread(target=self._run, name="mda", daemon=True)

    def start(self) -> None:
        """
        Begin.
        """
        self._thread.start()

    def join(self) -> None:
        """
        End.
        """
        self.stopping.set()
        self._thread.join(120)

    def _run(self) -> None:
        try:
            while not self.stopping.wait(self.random.random() * 0.05):
                self._deliver()
        except OSError:
            # The disk was cut off.
            pass

    def _sync(self, path: Path) -> None:
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        self.synced(str(path))

    def _deliver(self) -> None:
        data = message(self.random)
        self._number += 1
        name = f"1700000000.M{self.random.getrandbits(40)}P{os.getpid()}Q{self._number}.mda"
        command = Command("deliver", "INBOX", messages=(Message(digest(data), frozenset()),))
        self.oracle.begin("mda", command)
        path = self.maildir / "tmp" / name
        path.write_bytes(data.replace(b"\r\n", b"\n"))
        self._sync(path)
        path.rename(self.maildir / "new" / name)
        self._sync(self.maildir / "new")
        if not (self.maildir / "new" / name).exists():
            # The server has moved it already: no file system loses a file between two renames.
            self.synced(str(self.maildir / "cur"))
        self.oracle.end("mda")
