"""
The seams: what one part of mailaccess asks of another, and the values that cross.

Imports nothing of ours. Names of mailboxes are L{str}: Unicode, hierarchy delimiter C{/}, C{INBOX}
in capitals. Message bytes have CRLF line ends. UIDs are 1 to 2**32-1; sequence numbers start at 1.
Methods marked C{async} are awaited by protocols and may take long; the rest return at once.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from typing import Any

import attrs
from twisted.cred.credentials import ICredentials
from zope.interface import Attribute, Interface

# ---- who someone is -----------------------------------------------------------------------------


@attrs.frozen
class Identity:
    """
    What a checker knows of somebody whose credentials were right. It is the avatar id.

    @ivar name: canonical user name (AUTH-08): paths, limits, locks and caches use only this
    @ivar home: directory of the user's mail, or empty for the site's template
    @ivar fields: what else the record says (policy attributes, quota, protocols), lower-case keys
    @ivar source: the checker, for the log
    @ivar actor: canonical name of whoever acts as this user by a right; empty for themselves
    @ivar mark: C{KIND=VALUE ...}, changes when the password does; C{entry} with other things, too
    @ivar grounds: set by the guard, a C{Ground} of who logged in, then of whom they act as
    """

    name: str
    home: str = ""
    fields: Mapping[str, str] = attrs.field(factory=dict)
    source: str = ""
    actor: str = ""
    mark: str = attrs.field(default="", repr=False, eq=False)
    grounds: Sequence[Any] = attrs.field(default=(), repr=False, eq=False)


class IMailLogin(ICredentials):
    """
    Credentials that know how they came: the guard in front of the portal wants these.
    """

    name: str = Attribute("str: user name as typed, after SASLprep")
    link: Any = Attribute("policy.Link: the connection they came over")
    mechanism: Any = Attribute("policy.Mechanism: how they were presented")
    service: str = Attribute("str: 'imap' or 'pop3'")
    authorization: str = Attribute("str: who to act as, empty for the same")


class IChecksPasswords(Interface):
    """
    One source of users in a chain.
    """

    label: str = Attribute("str: for the log")

    async def check(name: str, secret: bytes, service: str) -> Identity:
        """
        The user's identity.

        @raise mailaccess.errors.AuthenticationFailed: unknown or wrong, after the same time
        @raise mailaccess.errors.DirectoryUnavailable: it could not be found out
        @raise mailaccess.errors.Refused: as it says (expired, locked)
        """


class IKnowsPeople(Interface):
    """
    What is known of a name before a password is seen: for policy, never for existence.
    """

    async def attributes(name: str) -> Mapping[str, str] | None:
        """
        Policy attributes (C{cleartext}, ...) of a name, or None where nothing is known.
        """


class IMailUser(Interface):
    """
    The avatar: one user in one session.
    """

    identity: Identity = Attribute("Identity")
    account: Any = Attribute("IAccount")


class IIMAPUser(IMailUser):
    """
    Avatar for IMAP.
    """


class IPOP3User(IMailUser):
    """
    Avatar for POP3.
    """


# ---- where messages live ------------------------------------------------------------------------

SEEN, ANSWERED, FLAGGED, DELETED, DRAFT = 1, 2, 4, 8, 16
"""Bits of the system flags in a flag mask; keyword I{i} of a mailbox is bit C{5 + i}."""

SYSTEM_FLAGS: Mapping[str, int] = {
    "\\Seen": SEEN,
    "\\Answered": ANSWERED,
    "\\Flagged": FLAGGED,
    "\\Deleted": DELETED,
    "\\Draft": DRAFT,
}

KEYWORD_BIT = 5
"""Bit number of the first keyword. A mask has 64 bits: at most 59 keywords a mailbox."""


@attrs.frozen
class MailboxInfo:
    """
    A line of LIST.

    @ivar selectable: false for a name that only has children
    @ivar special_use: C{\\Sent} and the like, or empty
    """

    name: str
    selectable: bool = True
    has_children: bool = False
    subscribed: bool = False
    special_use: str = ""


@attrs.frozen
class Status:
    """
    Counts of a mailbox, without opening it; sizes in octets.
    """

    messages: int
    recent: int
    unseen: int
    deleted: int
    uid_next: int
    uid_validity: int
    highest_modseq: int
    size: int
    deleted_size: int = 0


@attrs.frozen
class Changes:
    """
    What a session has not been told yet.

    @ivar expunged: sequence numbers in the order to report, each counted after those before it
    @ivar expunged_uids: the same messages by UID, ascending
    @ivar exists: the count now if it grew, else None
    @ivar recent: the count of recent messages now if it changed, else None
    @ivar changed: sequence numbers (after the expunges) whose flags others changed, ascending
    @ivar keywords: the mailbox has keywords it had not before
    """

    expunged: Sequence[int] = ()
    expunged_uids: Sequence[int] = ()
    exists: int | None = None
    recent: int | None = None
    changed: Sequence[int] = ()
    keywords: bool = False

    def __bool__(self) -> bool:
        grown = (self.exists, self.recent) != (None, None)
        return grown or bool(self.expunged or self.changed or self.keywords)


NO_CHANGES = Changes()


@attrs.frozen
class Appended:
    """
    Messages that arrived, durable.
    """

    uid_validity: int
    uids: Sequence[int]


@attrs.frozen
class Copied:
    """
    COPYUID: C{sources[i]} became C{targets[i]}.
    """

    uid_validity: int
    sources: Sequence[int]
    targets: Sequence[int]


@attrs.frozen
class Stored:
    """
    What a STORE did.

    @ivar changed: sequence numbers of the messages, as they are now (also those that were so
        before)
    @ivar conflicts: UIDs left alone because they changed after C{unchanged_since}
    @ivar gone: some of the messages were expunged by others
    """

    changed: Sequence[int]
    conflicts: Sequence[int] = ()
    gone: bool = False


@attrs.frozen
class Description:
    """
    The ready-made wire forms of one message's structure.
    """

    envelope: bytes
    body: bytes
    bodystructure: bytes


class IRows(Interface):
    """
    A session's messages as parallel columns; row I{i} is sequence number C{i + 1}. Consistent
    between two calls of L{IMailbox.sync}; not to be written to.
    """

    uids: Sequence[int] = Attribute("ascending")
    flags: Sequence[int] = Attribute("flag masks, as they are now")
    modseqs: Sequence[int] = Attribute("mod-sequences, as they are now")
    sizes: Sequence[int] = Attribute("octets with CRLF line ends (RFC822.SIZE)")
    dates: Sequence[int] = Attribute("internal dates, seconds since 1970 UTC")

    def __len__() -> int:
        """
        How many messages this session sees (EXISTS).
        """


class IMailbox(Interface):
    """
    One session's view of a selected mailbox. All sessions of a process share what can be shared.
    """

    name: str = Attribute("str")
    uid_validity: int = Attribute("int")
    uid_next: int = Attribute("int")
    highest_modseq: int = Attribute("int")
    read_only: bool = Attribute("bool: what SELECT says (RFC 4314 section 5.2)")
    rights: Any = Attribute(
        "letters of RFC 4314 section 2.1 that hold in this session: without s, t and w no flags are"
        " changed, without e nothing is expunged, without i nothing comes"
    )
    keywords: Sequence[str] = Attribute("names; i-th is bit KEYWORD_BIT + i; only grows")
    rows: Any = Attribute("IRows")
    recent: int = Attribute("int: how many of the rows are recent for this session")

    def is_recent(uid: int) -> bool:
        """
        Whether this session was the first to be told of the message (RFC 3501 section 2.3.2).
        """

    async def sync(*, expunges: bool = True) -> Changes:
        """
        Take in what others did, deliveries included. With C{expunges} false, expunged messages keep
        their rows until a later call. Messages that arrived after an unreported expunge are
        reported all the same.
        """

    def pending(expunges: bool) -> bool:
        """
        Whether L{sync} would have to do or report anything; a few microseconds at most.
        """

    async def store(
        uids: Sequence[int],
        operation: str,
        flags: Collection[str],
        unchanged_since: int | None = None,
    ) -> Stored:
        """
        Change flags durably. C{operation} is C{add}, C{remove} or C{set}; C{flags} names system
        flags and keywords. The session is not told its own changes again by L{sync}.

        @raise mailaccess.errors.LimitReached: one keyword too many
        @raise mailaccess.errors.MailboxReadOnly: opened read-only
        """

    async def expunge(uids: Collection[int] | None = None) -> Sequence[int]:
        """
        Remove durably the messages that have C{\\Deleted}, of C{uids} only if given. The next
        L{sync} reports them. Returns their UIDs.
        """

    async def remove(uids: Collection[int]) -> Sequence[int]:
        """
        Remove durably these messages whatever their flags (POP3 UPDATE, MOVE).
        """

    async def copy(uids: Sequence[int], destination: str) -> Copied:
        """
        All or none; flags, keywords and internal date go along; the copies are recent there.

        @raise mailaccess.errors.NoSuchMailbox: the protocol may add TRYCREATE
        """

    async def search(query: Any) -> Sequence[int]:
        """
        Sequence numbers, ascending, of the rows that match a L{mailaccess.store.query.Query}.
        """

    async def describe(uids: Sequence[int]) -> Sequence[Description | None]:
        """
        ENVELOPE, BODY and BODYSTRUCTURE, kept once computed; None where the message is gone. Give
        slices of some hundreds: between them the reactor is free.
        """

    async def headers(uids: Sequence[int]) -> Sequence[bytes | None]:
        """
        Header blocks with CRLF, also of the empty line, which a message without a body may not have
        (RFC 3501 section 6.4.5); None where the message is gone.
        """

    async def fields(uids: Sequence[int], names: Collection[bytes]) -> Sequence[bytes | None]:
        """
        The header fields of these names, whatever their case, as L{headers} has them, and an empty
        line; None where the message is gone.
        """

    async def octets(uid: int) -> bytes:
        """
        The whole message with CRLF line ends.

        @raise mailaccess.errors.MessageGone: expunged
        """

    async def aside(work: Callable[..., Any], *arguments: Any) -> Any:
        """
        What C{work(*arguments)} gives, done where it holds up nobody else: for what takes long over
        the octets of a large message. It touches nothing but its arguments.
        """

    def watch(callback: Callable[[], None]) -> Callable[[], None]:
        """
        Call C{callback} (on the reactor) when L{sync} may have something to tell, also when another
        process changed the mailbox or delivered into it, within a second. Returns what ends it.
        """

    def close() -> None:
        """
        The session leaves; nothing is expunged.
        """


class IMovesMessages(Interface):
    """
    Optional power of an L{IMailbox}: MOVE (RFC 6851).
    """

    async def move(uids: Sequence[int], destination: str) -> Copied:
        """
        Atomically copy and remove; the next L{IMailbox.sync} reports the expunges.
        """


class IKeepsUniqueIds(Interface):
    """
    Optional power of an L{IMailbox}: POP3 clients know its messages by names of their own, which
    another server gave them (RFC 1939 section 7).
    """

    async def unique_ids() -> Mapping[int, bytes]:
        """
        By UID, where a message has one that is not made from its UID and UIDVALIDITY.
        """


class IUpload(Interface):
    """
    One APPEND of one or more messages (RFC 3502: all or none).
    """

    def begin(size: int, flags: Collection[str], date: int | None) -> None:
        """
        Start the next message; C{date} in seconds since 1970 UTC, None for now.

        @raise mailaccess.errors.TooBig: over the limit
        @raise mailaccess.errors.OverQuota: no room
        """

    def write(data: bytes) -> Awaitable[None] | None:
        """
        More octets of it. What is returned, if anything, is awaited before more is written. A
        failure is kept and raised by L{commit}.
        """

    async def commit() -> Appended:
        """
        Make all of it durable and visible.

        @raise mailaccess.errors.Refused: nothing was kept
        """

    def abort() -> None:
        """
        Forget all of it. Harmless after L{commit}.
        """


class IAccount(Interface):
    """
    One user's mail. Shared by the user's sessions in a process.
    """

    name: str = Attribute("str: canonical user name")
    powers: Collection[Any] = Attribute("optional interfaces that its mailboxes provide")

    async def mailboxes() -> Sequence[MailboxInfo]:
        """
        All of them, sorted by name, C{INBOX} first; names that only have children included.
        """

    async def subscriptions() -> Sequence[str]:
        """
        Subscribed names, also of mailboxes that are gone (RFC 3501 section 6.3.9).
        """

    async def subscribe(name: str) -> None:
        """
        Durable.
        """

    async def unsubscribe(name: str) -> None:
        """
        Durable.
        """

    async def create(name: str) -> None:
        """
        With the parents it needs.
        """

    async def delete(name: str) -> None:
        """
        Messages go; the name stays, not selectable, while it has children.
        """

    async def rename(old: str, new: str) -> None:
        """
        Children too. Of C{INBOX}: its messages move to a new mailbox (RFC 3501 section 6.3.5).
        """

    async def status(name: str) -> Status:
        """
        Counts, deliveries included.
        """

    async def select(name: str, read_only: bool = False) -> Any:
        """
        An L{IMailbox}, synchronised.
        """

    async def upload(name: str) -> Any:
        """
        An L{IUpload} into a mailbox.

        @raise mailaccess.errors.NoSuchMailbox: the protocol may add TRYCREATE
        """

    async def lock_maildrop() -> Callable[[], None]:
        """
        The exclusive-access lock of RFC 1939 section 4; returns what releases it.

        @raise mailaccess.errors.InUse: another POP3 session has it, in any process
        """

    def release() -> None:
        """
        One session fewer; the last one lets go of files and memory.
        """


class IAccounts(Interface):
    """
    The store, as the realm sees it.
    """

    async def account(identity: Identity) -> Any:
        """
        The L{IAccount} of a user, opened or shared; made with an C{INBOX} if missing.
        """
