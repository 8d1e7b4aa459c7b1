"""
What can be asked of the running server.

    who     [user]                      an item for each session
    kick    user, [session], [reason]   the same, of those that were ended
    reload                              nothing but the end; the log says what came of it
    held    user, peer                  one item: seconds for which a login from there would wait

A name is compared in its canonical form with whose mail it is and with who logged in, so that
nobody stays by acting as somebody else.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import attrs
from twisted.logger import Logger

from mailaccess.auth.names import BadName, canonical_name
from mailaccess.errors import SessionEnded
from mailaccess.protocols.connection import MailConnection
from mailaccess.protocols.presence import Presence, presence

log = Logger()

LONGEST_REASON = 200

Connections = Callable[[], Iterable[MailConnection]]
"""All there are now."""


class NotAnswerable(Exception):
    """
    A question that makes no sense; the text says why.
    """


@attrs.frozen
class Asker:
    """
    Who asks.

    @ivar uid: number of the user, -1 if unknown
    @ivar pid: of the process
    """

    uid: int
    pid: int


@attrs.frozen(eq=False)
class Questions:
    """
    Answers them.

    @ivar domain: for names that come without one
    @ivar reload: what SIGHUP does
    @ivar held: seconds for which a login from an address for a name (canonical) waits
    """

    connections: Connections
    domain: str = ""
    reload: Callable[[], object] = lambda: None
    held: Callable[[str, str], float] = lambda peer, name: 0.0

    def answer(self, question: Mapping[str, Any], asker: Asker) -> Iterator[dict[str, Any]]:
        """
        The lines of the answer. Nothing is done before they are asked for.

        @raise NotAnswerable: at once
        """
        asked = question.get("ask")
        kind = _KINDS.get(asked) if isinstance(asked, str) else None
        if kind is None:
            raise NotAnswerable(f"what can be asked is: {', '.join(_KINDS)}")
        words = {key: value for key, value in question.items() if key != "ask"}
        for key, value in words.items():
            if key not in kind.words or not isinstance(value, str):
                raise NotAnswerable(f"{asked} takes texts: {', '.join(kind.words) or 'none'}")
        if words.get("user"):
            words["user"] = self._canonical(words["user"])
        elif "user" in kind.needed:
            raise NotAnswerable(f"{asked} needs a user")
        log.info("asked", event="control", asked=asked, uid=asker.uid, pid=asker.pid)
        return _counted(kind.answer(self, asker, **words))

    def _canonical(self, name: str) -> str:
        try:
            return canonical_name(name, self.domain)
        except BadName as error:
            raise NotAnswerable(f"{name!r} is no user name: {error}") from None

    def _who(self, asker: Asker, user: str = "") -> Iterator[dict[str, Any]]:
        for _, there in self._present(user):
            yield attrs.asdict(there)

    def _present(self, user: str) -> Iterator[tuple[MailConnection, Presence]]:
        for connection in tuple(self.connections()):
            if connection.closing:
                continue
            there = presence(connection)
            if there is not None and (not user or user in (there.user, there.actor)):
                yield connection, there

    def _kick(
        self, asker: Asker, user: str, session: str = "", reason: str = ""
    ) -> Iterator[dict[str, Any]]:
        text = _one_line(reason)
        for connection, there in self._present(user):
            if session and session != there.session:
                continue
            log.info(
                "session ended",
                event="kicked",
                session=there.session,
                user=there.user,
                **({"actor": there.actor} if there.actor else {}),
                listener=there.listener,
                rip=there.peer,
                reason=text or "no reason given",
                uid=asker.uid,
                pid=asker.pid,
            )
            connection.expel(SessionEnded(text, f"kicked by uid {asker.uid}"))
            yield attrs.asdict(there)

    def _reload(self, asker: Asker) -> Iterator[dict[str, Any]]:
        self.reload()
        return iter(())

    def _held(self, asker: Asker, user: str, peer: str = "") -> Iterator[dict[str, Any]]:
        yield {"user": user, "peer": peer, "seconds": round(self.held(peer, user), 3)}


def _counted(items: Iterable[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    count = 0
    for each in items:
        yield {"item": each}
        count += 1
    yield {"done": count}


def _one_line(text: str) -> str:
    """
    What a client can be told.
    """
    readable = "".join(each if " " <= each <= "~" else "?" for each in text)
    return readable.strip()[:LONGEST_REASON]


@attrs.frozen
class _Kind:
    answer: Callable[..., Iterator[dict[str, Any]]]
    words: tuple[str, ...] = ()
    needed: tuple[str, ...] = ()


_KINDS: Mapping[str, _Kind] = {
    "who": _Kind(Questions._who, ("user",)),
    "kick": _Kind(Questions._kick, ("user", "session", "reason"), ("user",)),
    "reload": _Kind(Questions._reload),
    "held": _Kind(Questions._held, ("user", "peer"), ("user",)),
}
