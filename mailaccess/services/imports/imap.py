"""
Mail on another IMAP server, read with the standard library's client.

Mailboxes are opened read-only and messages fetched with BODY.PEEK, so nothing changes there. What
is remembered of a message is its UID, as long as UIDVALIDITY stays. The other server is not
trusted: no answer may be longer than what was asked for, and what cannot be understood ends the
import, or leaves out the message, and is told.
"""

from __future__ import annotations

import contextlib
import hashlib
import imaplib
import re
import ssl
import time
from collections import Counter
from collections.abc import Container, Iterator, Sequence
from typing import Any

import attrs

from mailaccess.errors import BadSyntax
from mailaccess.message.lineends import to_crlf
from mailaccess.wire import utf7

from .source import CannotImport, Folder, Message

PATIENCE = 120.0
"""Seconds without an octet after which the other server is given up."""

AT_ONCE = 100
MOST_OCTETS = 8 << 20
"""Messages and octets that are asked for at once; one message may be larger."""

MOST_ANSWER = 64 << 20
"""Octets of all answers to one command, beside those of the messages that it asks for."""

_LISTED = re.compile(rb'\(([^)]*)\) (NIL|"\\?(.)") (.*)', re.DOTALL)
_UID = re.compile(rb"\bUID (\d+)")
_SIZE = re.compile(rb"\bRFC822\.SIZE (\d+)")
_FLAGS = re.compile(rb"\bFLAGS \(([^)]*)\)")
_DATE = re.compile(rb'\bINTERNALDATE "([^"]*)"')
_QUOTED_BODY = re.compile(rb'\bBODY\[\] "((?:[^"\\]|\\.)*)"')
_NOWHERE = {b"\\noselect", b"\\nonexistent"}
_LONGEST_NAMESPACES = 4096
_UNFLAGGED = {"\\recent", "\\*"}

# The longest line there may be: a server may list all UIDs of a mailbox in one.
imaplib._MAXLINE = 32 << 20  # type: ignore[attr-defined]


@attrs.frozen(kw_only=True)
class Server:
    """
    Where to, and as whom.

    @ivar tls: C{implicit} or C{starttls}; C{none} sends the password in the clear
    @ivar ca: file with the authorities that may vouch for it; the system's if empty
    @ivar actor: who logs in, if it is somebody who may act as C{user}
    """

    host: str
    port: int
    user: str
    secret: str = attrs.field(repr=False)
    tls: str = "implicit"
    ca: str = ""
    actor: str = ""


class _Bounded:
    """
    Ends the conversation where the answers to a command are longer than they may be: a number in
    braces is enough to claim any memory.

    @ivar left: octets
    """

    left = MOST_ANSWER

    def read(self, size: int) -> bytes:
        """
        A literal, or part of one.
        """
        self._take(size)
        return super().read(size)  # type: ignore[misc,no-any-return]

    def readline(self) -> bytes:
        """
        A line.
        """
        line: bytes = super().readline()  # type: ignore[misc]
        self._take(len(line))
        return line

    def _take(self, octets: int) -> None:
        self.left -= octets
        if self.left < 0:
            raise imaplib.IMAP4.abort("it answers more than it was asked for")


class _Plain(_Bounded, imaplib.IMAP4):
    pass


class _OverTLS(_Bounded, imaplib.IMAP4_SSL):
    pass


class Declined(CannotImport):
    """
    NO or BAD to one command; others may follow.
    """


_NOT_UNDERSTOOD = (ValueError, KeyError, IndexError, TypeError, OverflowError)


class IMAPSource:
    """
    One account there.
    """

    def __init__(self, server: Server, most: int = 1 << 40) -> None:
        """
        @param most: octets of the largest message that is fetched
        """
        self._server = server
        self._most = most
        self._client: _Plain | _OverTLS | None = None
        self.label = f"imap {server.host.lower()}:{server.port} {server.user}"
        self.left_out: list[str] = []

    # ---- the connection -------------------------------------------------------------------------

    def _connected(self) -> _Plain | _OverTLS:
        if self._client is not None:
            return self._client
        it = self._server
        try:
            context = ssl.create_default_context(cafile=it.ca or None)
            if it.tls == "implicit":
                client: _Plain | _OverTLS = _OverTLS(
                    it.host, it.port, ssl_context=context, timeout=PATIENCE
                )
            else:
                client = _Plain(it.host, it.port, timeout=PATIENCE)
                if it.tls == "starttls":
                    client.starttls(context)
        except ssl.SSLCertVerificationError as error:
            raise CannotImport(
                f"{it.host}: its certificate is not good: {error.verify_message};"
                " name whoever signed it with --ca"
            ) from None
        except (OSError, imaplib.IMAP4.error, *_NOT_UNDERSTOOD) as error:
            raise CannotImport(f"{it.host} port {it.port}: no connection: {_said(error)}") from None
        try:
            self._log_in(client)
        except (OSError, imaplib.IMAP4.error, *_NOT_UNDERSTOOD) as error:
            with contextlib.suppress(OSError):
                client.shutdown()
            if isinstance(error, UnicodeError):
                # Its text has the password.
                error = ValueError("name and password have to be ASCII there, it has no AUTH=PLAIN")
            raise CannotImport(f"{it.host}: login of {it.user} refused: {_said(error)}") from None
        self._client = client
        return client

    def _log_in(self, client: imaplib.IMAP4) -> None:
        it = self._server
        plain = "AUTH=PLAIN" in client.capabilities
        if it.actor or plain:
            said = f"{it.user if it.actor else ''}\0{it.actor or it.user}\0{it.secret}"
            client.authenticate("PLAIN", lambda _: said.encode())
        else:
            client.login(it.user, it.secret)

    def _ask(self, what: str, *words: object, octets: int = 0) -> list[Any]:
        """
        The untagged answers to a command.

        @param octets: of messages, which come with them
        @raise Declined: it was not done
        """
        client = self._connected()
        client.left = MOST_ANSWER + octets
        try:
            kind, data = getattr(client, what)(*words)
        except (OSError, imaplib.IMAP4.abort, *_NOT_UNDERSTOOD) as error:
            self._drop()
            raise CannotImport(
                f"{self._server.host}: {what.upper()}: {_said(error)}; run it again to go on"
            ) from None
        except imaplib.IMAP4.error as error:
            raise Declined(f"{self._server.host}: {what.upper()}: {_said(error)}") from None
        if kind != "OK":
            said = b" ".join(each for each in data if isinstance(each, bytes))
            text = _printable(said.decode("utf-8", "replace"))
            raise Declined(f"{self._server.host}: {what.upper()}: {text}")
        return [each for each in data if each is not None]

    def _drop(self) -> None:
        client, self._client = self._client, None
        if client is not None:
            with contextlib.suppress(OSError):
                client.shutdown()

    @contextlib.contextmanager
    def _understanding(self) -> Iterator[None]:
        try:
            yield
        except _NOT_UNDERSTOOD:
            self._drop()
            raise CannotImport(f"{self._server.host}: its answers are not IMAP") from None

    # ---- mailboxes ------------------------------------------------------------------------------

    def folders(self) -> list[Folder]:
        """
        The personal mailboxes: names lose the prefix of the personal namespace, and get C{/}
        between their levels.
        """
        with self._understanding():
            return self._folders()

    def _folders(self) -> list[Folder]:
        prefix, others = self._namespaces()
        subscribed: set[bytes] = set()
        with contextlib.suppress(Declined):
            subscribed = {name for name, _, _ in map(_listed, self._ask("lsub", '""', "*"))}
        found: list[Folder] = []
        seen = set()
        for raw, delimiter, attributes in map(_listed, self._ask("list", '""', "*")):
            if not raw or _NOWHERE & {each.lower() for each in attributes.split()}:
                continue
            if raw in seen or any(raw.startswith(each) for each in others if each):
                continue
            seen.add(raw)
            name = _name_here(raw, delimiter, prefix)
            if set(raw) & {0, 10, 13}:
                self.left_out.append(f"{name!r}: a mailbox that cannot be named to the server")
                continue
            count = self._count(raw)
            found.append(Folder(name, raw.decode("latin-1"), count, raw in subscribed))
        for each, times in Counter(each.name for each in found).items():
            if times > 1:
                text = f"{each}: several mailboxes there have this name here; they meet"
                self.left_out.append(text)
        return sorted(found, key=lambda each: (each.name != "INBOX", each.name))

    def _namespaces(self) -> tuple[bytes, list[bytes]]:
        """
        The personal prefix, and those of others' and shared mailboxes.
        """
        client = self._connected()
        if "NAMESPACE" not in client.capabilities:
            return b"", []
        [answer] = list(filter(_is_text, self._ask("namespace")))[:1] or [b""]
        answer = answer[:_LONGEST_NAMESPACES]
        parts = re.findall(rb'NIL|\((?:\("(?:[^"\\]|\\.)*" (?:NIL|"[^"]*")[^)]*\) ?)+\)', answer)
        prefixes = [
            [
                re.sub(rb"\\(.)", rb"\1", each)
                for each in re.findall(rb'\("((?:[^"\\]|\\.)*)"', part)
            ]
            for part in parts
        ]
        if not prefixes:
            return b"", []
        return (prefixes[0] or [b""])[0], [each for part in prefixes[1:] for each in part]

    def _count(self, raw: bytes) -> int | None:
        try:
            answer = self._ask("status", _quoted(raw), "(MESSAGES)")
        except Declined:
            return None
        found = re.search(rb"MESSAGES (\d+)", b" ".join(filter(_is_text, answer)))
        return int(found[1]) if found is not None else None

    # ---- messages -------------------------------------------------------------------------------

    def messages(self, folder: Folder, done: Container[str]) -> Iterator[Message]:
        """
        By UID, oldest first. Keys name the mailbox, UIDVALIDITY and the UID: several mailboxes may
        have one name here, and one UIDVALIDITY there.
        """
        with self._understanding():
            try:
                yield from self._messages(folder, done)
            except Declined as refused:
                self.left_out.append(f"{folder.name}: {refused}")

    def _messages(self, folder: Folder, done: Container[str]) -> Iterator[Message]:
        client = self._connected()
        raw = folder.place.encode("latin-1")
        self._ask("select", _quoted(raw), True)
        validity = int((client.response("UIDVALIDITY")[1] or [b"0"])[0] or b"0")
        stem = f"{hashlib.blake2b(raw, digest_size=6).hexdigest()}.{validity}"
        listed = b" ".join(filter(_is_text, self._ask("uid", "SEARCH", "ALL")))
        uids = sorted({int(each) for each in listed.split()})
        wanted = [each for each in uids if f"{stem}.{each}" not in done]
        for start in range(0, len(wanted), AT_ONCE):
            group = wanted[start : start + AT_ONCE]
            sizes = self._sizes(group)
            for uid in [each for each in group if sizes.get(each, 0) > self._most]:
                size = sizes.pop(uid)
                self._miss(folder, uid, f"{size} octets are more than message_size")
            for part in _parts([each for each in group if each in sizes], sizes):
                fetched = self._bodies(folder, part, sum(sizes[each] for each in part))
                missing = [each for each in part if each not in fetched]
                # What was expunged there meanwhile is not missed.
                for uid in self._sizes(missing) if missing else ():
                    self._miss(folder, uid, "the other server does not give it")
                for uid in part:
                    if uid in fetched:
                        data, about = fetched.pop(uid)
                        fraction = (start + group.index(uid) + 1) / len(wanted)
                        yield _message(f"{stem}.{uid}", data, about, fraction)

    def _miss(self, folder: Folder, uid: int, why: str) -> None:
        self.left_out.append(f"{folder.name}: message {uid}: {why}")

    def _sizes(self, uids: Sequence[int]) -> dict[int, int]:
        """
        Of those that are there.
        """
        answers = self._ask("uid", "FETCH", _set(uids), "(RFC822.SIZE)")
        sizes, wanted = {}, set(uids)
        for each in filter(_is_text, answers):
            uid, size = _UID.search(each), _SIZE.search(each)
            if uid is not None and size is not None and int(uid[1]) in wanted:
                sizes[int(uid[1])] = int(size[1])
        return sizes

    def _bodies(
        self, folder: Folder, uids: Sequence[int], octets: int
    ) -> dict[int, tuple[bytes, bytes]]:
        """
        Octets, and what else was said of each.
        """
        try:
            answers = self._ask(
                "uid",
                "FETCH",
                _set(uids),
                "(UID FLAGS INTERNALDATE BODY.PEEK[])",
                # Sizes may be those with other line ends.
                octets=2 * octets,
            )
        except Declined:
            # One message may be the reason.
            found: dict[int, tuple[bytes, bytes]] = {}
            for uid in uids if len(uids) > 1 else ():
                found.update(self._bodies(folder, [uid], octets))
            return found
        found = {}
        about, data = b"", None
        for each in [*answers, (b"", b"")]:
            if isinstance(each, tuple):
                _note(found, about, data)
                about, data = each
                continue
            about += b" " + each
            short = _QUOTED_BODY.search(each)
            if short is not None:
                _note(found, each, re.sub(rb"\\(.)", rb"\1", short[1]))
        _note(found, about, data)
        return found

    def close(self) -> None:
        """
        Log out.
        """
        client, self._client = self._client, None
        if client is not None:
            client.left = MOST_ANSWER
            with contextlib.suppress(OSError, imaplib.IMAP4.error, *_NOT_UNDERSTOOD):
                client.logout()


def _note(found: dict[int, tuple[bytes, bytes]], about: bytes, data: bytes | None) -> None:
    uid = _UID.search(about)
    if uid is not None and data is not None:
        found[int(uid[1])] = data, about


def _message(key: str, data: bytes, about: bytes, fraction: float) -> Message:
    flags = _FLAGS.search(about)
    names = flags[1].decode("utf-8", "replace").split() if flags is not None else []
    kept = tuple(each for each in names if each.lower() not in _UNFLAGGED)
    return Message(key, to_crlf(data), kept, _date(about), fraction)


def _date(about: bytes) -> int | None:
    """
    Seconds since 1970, if that can be a date.
    """
    dated = _DATE.search(about)
    if dated is None:
        return None
    try:
        parsed = imaplib.Internaldate2tuple(b'INTERNALDATE "' + dated[1] + b'"')
        date = int(time.mktime(parsed)) if parsed is not None else -1
    except (ValueError, KeyError, OverflowError):
        return None
    return date if 0 <= date < 1 << 32 else None


def _parts(uids: Sequence[int], sizes: dict[int, int]) -> Iterator[list[int]]:
    """
    Groups that are not too large to be held at once.
    """
    part: list[int] = []
    octets = 0
    for uid in uids:
        size = sizes.get(uid, MOST_OCTETS)
        if part and octets + size > MOST_OCTETS:
            yield part
            part, octets = [], 0
        part.append(uid)
        octets += size
    if part:
        yield part


def _listed(answer: Any) -> tuple[bytes, bytes, bytes]:
    """
    Name, delimiter and attributes of a LIST answer; no name if it is none.
    """
    literal = None
    if isinstance(answer, tuple):
        answer, literal = answer
    found = _LISTED.match(answer)
    if found is None:
        return b"", b"", b""
    name = literal if literal is not None else found[4].strip()
    if literal is None and name[:1] == b'"':
        name = re.sub(rb"\\(.)", rb"\1", name[1:-1])
    return name, found[3] or b"", found[1]


def _name_here(raw: bytes, delimiter: bytes, prefix: bytes) -> str:
    if raw.upper() == b"INBOX":
        return "INBOX"
    if prefix and raw.startswith(prefix) and len(raw) > len(prefix):
        raw = raw[len(prefix) :]
    levels = raw.split(delimiter) if delimiter else [raw]
    texts = []
    for each in levels:
        try:
            text = utf7.decode(each)
        except BadSyntax:
            text = each.decode("utf-8", "replace")
        texts.append(text.replace("/", "_"))
    return "/".join(texts)


def _quoted(raw: bytes) -> bytes:
    return b'"' + raw.replace(b"\\", b"\\\\").replace(b'"', b'\\"') + b'"'


def _set(uids: Sequence[int]) -> str:
    return ",".join(map(str, uids))


def _is_text(answer: object) -> bool:
    return isinstance(answer, bytes)


def _said(error: Exception) -> str:
    if isinstance(error, TimeoutError):
        return "no answer in time"
    return _printable(str(getattr(error, "strerror", None) or str(error) or type(error).__name__))


def _printable(text: str) -> str:
    return "".join(each for each in text if each.isprintable())[:200]
