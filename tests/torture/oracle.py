"""
What must be on the disk, as far as clients were told, and what may be.

A client notes a command before it is sent (L{Oracle.begin}) and what it did once the tagged OK came
(L{Oracle.end}). After a crash L{Oracle.judge} holds what is found against it: a command without an
answer may have been done or not, but not half; nothing else may differ.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

import attrs

SEEN = "\\seen"


@attrs.frozen
class Message:
    """
    @ivar digest: of its octets
    @ivar flags: system flags and keywords, lower case
    """

    digest: str
    flags: frozenset[str]

    @property
    def for_all(self) -> frozenset[str]:
        """
        Without what is each user's own where many share a mailbox.
        """
        return self.flags - {SEEN}


@attrs.define
class Mailbox:
    """
    @ivar messages: by UID
    @ivar modseq: HIGHESTMODSEQ, where it was looked at
    """

    validity: int
    uid_next: int
    messages: dict[int, Message] = attrs.field(factory=dict)
    modseq: int = 0


@attrs.frozen
class Command:
    """
    A command without an answer.

    @ivar kind: C{append}, C{copy}, C{move}, C{store}, C{expunge}, C{create}, C{delete}, C{rename},
        C{subscribe}, C{unsubscribe}, C{deliver}
    @ivar name: the mailbox it changes
    @ivar other: the mailbox that messages come from, or the new name
    @ivar uids: in C{other} or, for C{store} and C{expunge}, in C{name}
    @ivar messages: what would be new in C{name}
    @ivar flags: of each of C{uids} afterwards
    """

    kind: str
    name: str = ""
    other: str = ""
    uids: tuple[int, ...] = ()
    messages: tuple[Message, ...] = ()
    flags: Mapping[int, frozenset[str]] = attrs.field(factory=dict)


@attrs.define
class Found:
    """
    What is there after a crash.
    """

    mailboxes: dict[str, Mailbox]
    subscribed: set[str]


class Wrong(AssertionError):
    """
    Something acknowledged is missing or different, or something is there that must not be.
    """


@attrs.define
class Oracle:
    r"""
    @ivar public: mailboxes of another account that many share: a move there may have become a copy,
        and of what got no answer C{\Seen}, which is kept apart, may be missing
    @ivar used: by UIDVALIDITY, and whether it is one of a public mailbox, what each UID ever was
    @ivar acknowledged: how many commands were
    """

    mailboxes: dict[str, Mailbox] = attrs.field(factory=dict)
    public: set[str] = attrs.field(factory=set)
    subscribed: set[str] = attrs.field(factory=set)
    delivered: list[str] = attrs.field(factory=list)
    used: dict[tuple[int, bool], dict[int, str]] = attrs.field(factory=dict)
    acknowledged: Counter[str] = attrs.field(factory=Counter)
    unanswered: Counter[str] = attrs.field(factory=Counter)
    highest_validity: int = 0
    _open: dict[str, Command] = attrs.field(factory=dict)
    lock: Any = attrs.field(factory=threading.Lock)

    def begin(self, client: str, command: Command) -> None:
        """
        About to be sent.
        """
        with self.lock:
            self._open[client] = command

    def end(self, client: str, uids: Iterable[int] = (), validity: int = 0) -> None:
        """
        OK. For new messages, the UIDs they got.
        """
        with self.lock:
            command = self._open.pop(client)
            self.acknowledged[command.kind] += 1
            self._apply(command, list(uids), validity)

    def _apply(self, command: Command, uids: list[int], validity: int) -> None:
        kind, name, boxes = command.kind, command.name, self.mailboxes
        if kind in ("append", "copy", "move"):
            box = boxes[name]
            if box.validity and box.validity != validity:
                raise Wrong(f"{name}: UIDVALIDITY {validity}, was {box.validity}")
            box.validity = validity
            if len(uids) != len(command.messages):
                raise Wrong(f"{kind} to {name}: {len(uids)} UIDs for {len(command.messages)}")
            for uid, message in zip(uids, command.messages, strict=True):
                self._use(name, validity, uid, message.digest)
                box.messages[uid] = message
                box.uid_next = max(box.uid_next, uid + 1)
            if kind == "move":
                for uid in command.uids:
                    del boxes[command.other].messages[uid]
        elif kind == "store":
            for uid, flags in command.flags.items():
                old = boxes[name].messages[uid]
                boxes[name].messages[uid] = attrs.evolve(old, flags=flags)
        elif kind == "expunge":
            for uid in command.uids:
                del boxes[name].messages[uid]
        elif kind == "create":
            boxes[name] = Mailbox(0, 1)
        elif kind == "delete":
            del boxes[name]
        elif kind == "rename":
            boxes[command.other] = boxes.pop(name)
        elif kind == "subscribe":
            self.subscribed.add(name)
        elif kind == "unsubscribe":
            self.subscribed.discard(name)
        elif kind == "deliver":
            self.delivered.extend(message.digest for message in command.messages)

    def _use(self, name: str, validity: int, uid: int, digest: str) -> None:
        # Each account has UIDVALIDITYs of its own.
        key = validity, name in self.public
        before = self.used.setdefault(key, {}).setdefault(uid, digest)
        if before != digest:
            raise Wrong(f"UID {uid} of UIDVALIDITY {validity} was used twice")

    # ---- after a crash -------------------------------------------------------------------------

    def judge(self, found: Found) -> None:
        """
        Compare, and go on from what is there.

        @raise Wrong: with all that is
        """
        wrong: list[str] = []
        commands, self._open = list(self._open.values()), {}
        self.unanswered.update(command.kind for command in commands)
        for command in commands:
            self._names(command, found)
        self._subscriptions(commands, found, wrong)
        gone, new = set(self.mailboxes) - set(found.mailboxes), set(found.mailboxes)
        wrong += [f"mailbox {name} is missing" for name in sorted(gone)]
        wrong += [f"mailbox {name} came back" for name in sorted(new - set(self.mailboxes))]
        for name in sorted(new & set(self.mailboxes)):
            self._mailbox(name, found.mailboxes[name], commands, wrong)
        self._moves(commands, found, wrong)
        if wrong:
            raise Wrong("\n".join(wrong))
        self.mailboxes, self.subscribed = found.mailboxes, found.subscribed

    def _names(self, command: Command, found: Found) -> None:
        """
        A command on a mailbox that was done after all.
        """
        kind, name, boxes = command.kind, command.name, self.mailboxes
        there = found.mailboxes
        if (
            (kind == "create" and name in there)
            or (kind == "delete" and name not in there)
            or (kind == "rename" and name not in there and command.other in there)
        ):
            self._apply(command, [], 0)
        assert name in boxes or kind not in ("append", "store", "expunge")

    def _subscriptions(self, commands: list[Command], found: Found, wrong: list[str]) -> None:
        open_names = {c.name for c in commands if c.kind in ("subscribe", "unsubscribe")}
        changed = sorted((self.subscribed ^ found.subscribed) - open_names)
        wrong += [f"subscription of {name}: {name in found.subscribed}" for name in changed]

    def _mailbox(self, name: str, now: Mailbox, commands: list[Command], wrong: list[str]) -> None:
        was = self.mailboxes[name]
        if was.validity and now.validity != was.validity:
            wrong.append(f"{name}: UIDVALIDITY {now.validity}, was {was.validity}")
            return
        if now.uid_next < was.uid_next:
            wrong.append(f"{name}: UIDNEXT {now.uid_next}, was {was.uid_next}")
        if now.modseq and now.modseq < was.modseq:
            wrong.append(f"{name}: HIGHESTMODSEQ {now.modseq}, was {was.modseq}")
        for uid, message in now.messages.items():
            if uid >= now.uid_next:
                wrong.append(f"{name}: UID {uid} is not below UIDNEXT {now.uid_next}")
            try:
                self._use(name, now.validity, uid, message.digest)
            except Wrong as error:
                wrong.append(f"{name}: {error}")
        mine = [command for command in commands if command.name == name]
        leaving = [c for c in commands if c.kind == "move" and c.other == name]
        self._old(name, was, now, [*mine, *leaving], wrong)
        self._new(name, was, now, mine, wrong)

    def _old(
        self, name: str, was: Mailbox, now: Mailbox, commands: list[Command], wrong: list[str]
    ) -> None:
        stores = [c for c in commands if c.kind == "store"]
        may_go = {u for c in commands if c.kind == "expunge" for u in c.uids}
        may_go |= {u for c in commands if c.kind == "move" and c.other == name for u in c.uids}
        for uid, message in was.messages.items():
            found = now.messages.get(uid)
            if found is None:
                if uid not in may_go:
                    wrong.append(f"{name}: UID {uid} is missing")
            elif found.digest != message.digest:
                wrong.append(f"{name}: UID {uid} is another message")
            else:
                allowed = [message.flags, *(c.flags[uid] for c in stores if uid in c.flags)]
                if name in self.public and len(allowed) > 1:
                    allowed = [each - {SEEN} | found.flags & {SEEN} for each in allowed]
                if found.flags not in allowed:
                    told = sorted(message.flags)
                    wrong.append(f"{name}: UID {uid} has {sorted(found.flags)}, not {told}")
        for command in stores:
            apart = {SEEN} if name in self.public else set()
            done = {
                now.messages[uid].flags - apart == flags - apart
                for uid, flags in command.flags.items()
                if uid in now.messages and was.messages[uid].flags - apart != flags - apart
            }
            if len(done) > 1:
                wrong.append(f"{name}: a STORE was done by half")

    def _new(
        self, name: str, was: Mailbox, now: Mailbox, commands: list[Command], wrong: list[str]
    ) -> None:
        fresh = {uid: m for uid, m in now.messages.items() if uid not in was.messages}
        if name == "INBOX":
            for digest in self.delivered:
                uid = next((uid for uid, m in fresh.items() if m.digest == digest), 0)
                if not uid:
                    wrong.append(f"{name}: a delivered message is missing")
                fresh.pop(uid, None)
            self.delivered = []
        for command in commands:
            if command.kind not in ("append", "copy", "move", "deliver"):
                continue
            placed = []
            for message in command.messages:
                uid = next((u for u, m in fresh.items() if self._is(name, m, message)), 0)
                if uid:
                    placed.append(fresh.pop(uid))
            if len(placed) not in (0, len(command.messages)):
                wrong.append(
                    f"{name}: {len(placed)} of {len(command.messages)} messages of {command.kind}"
                )
        wrong += [f"{name}: UID {uid} must not be there: {m}" for uid, m in fresh.items()]

    def _is(self, name: str, found: Message, wanted: Message) -> bool:
        if name not in self.public:
            return found == wanted
        return (found.digest, found.for_all) == (wanted.digest, wanted.for_all)

    def _moves(self, commands: list[Command], found: Found, wrong: list[str]) -> None:
        for command in commands:
            if command.kind != "move" or command.other not in found.mailboxes:
                continue
            source = found.mailboxes[command.other].messages
            left = sum(uid in source for uid in command.uids)
            before = self.mailboxes[command.name].messages
            target = found.mailboxes[command.name].messages
            wanted = Counter(message.digest for message in command.messages)
            arrived = Counter(m.digest for uid, m in target.items() if uid not in before)
            came = sum((arrived & wanted).values())
            count = len(command.uids)
            if self.public & {command.name, command.other}:
                # Durable there before the first is removed here.
                half = came not in (0, count) or (came == 0 and left < count)
            else:
                half = (left, came) not in ((count, 0), (0, count))
            if half:
                wrong.append(f"MOVE by half: {left} of {len(command.uids)} left, {came} came")
