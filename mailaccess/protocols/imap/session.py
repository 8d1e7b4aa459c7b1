"""
The state of one IMAP connection, as handlers see it.

Handlers get a L{Session}, change it, and write through it; they never see a transport.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import attrs

from ...errors import MailboxReadOnly, NotPermitted
from ...interfaces import DELETED, KEYWORD_BIT, SEEN, SYSTEM_FLAGS, Changes, IMailbox
from ...wire.naming import Naming
from .registry import State

if TYPE_CHECKING:
    from .server import IMAPServer

MAX_FLAG_TEXTS = 1024
"""Renderings of flag masks that a session keeps."""

_SLICE = 1024
"""Changes told before others have their turn and a slow client is waited for (PAR-10)."""

_SYSTEM = tuple((bit, name.encode("ascii")) for name, bit in SYSTEM_FLAGS.items())


@attrs.define(eq=False)
class Session:
    """
    One conversation's state.

    @ivar connection: the protocol, for writing and for what only it knows (TLS, literals)
    @ivar enabled: words enabled by ENABLE
    @ivar client: what the client said of itself by ID, for the log
    """

    connection: IMAPServer
    state: State = State.NOT_AUTHENTICATED
    mailbox: IMailbox | None = None
    enabled: set[str] = attrs.field(factory=set)
    client: str = ""
    flag_texts: dict[int, bytes] = attrs.field(factory=dict)
    stop_watching: Callable[[], None] | None = None

    # ---- who and where ----------------------------------------------------------------------

    @property
    def account(self) -> Any:
        """
        The user's L{IAccount<mailaccess.interfaces.IAccount>}; only when logged in.
        """
        assert self.connection.visit is not None
        return self.connection.visit.user.account

    @property
    def naming(self) -> Naming:
        """
        How the client calls mailboxes.
        """
        return self.connection.naming

    @property
    def selected(self) -> IMailbox:
        """
        The selected mailbox; only in that state.
        """
        assert self.mailbox is not None
        return self.mailbox

    def store_offers(self, power: Any) -> bool:
        """
        Whether mailboxes provide an optional interface; before login, whether they may.
        """
        if self.connection.visit is None:
            return True
        return power in self.account.powers

    def select(self, mailbox: IMailbox) -> None:
        """
        Enter the selected state.
        """
        self.mailbox = mailbox
        self.flag_texts = {}
        self.state = State.SELECTED

    def unselect(self) -> None:
        """
        Leave the selected mailbox, if there is one; nothing is expunged.
        """
        if self.mailbox is not None:
            mailbox, self.mailbox = self.mailbox, None
            self.state = State.AUTHENTICATED
            mailbox.close()

    def leave(self) -> None:
        """
        The conversation is over.
        """
        self.watch_no_more()
        self.unselect()
        self.state = State.LOGOUT

    def watch_no_more(self) -> None:
        """
        The mailbox need not call when it changes.
        """
        stop, self.stop_watching = self.stop_watching, None
        if stop is not None:
            stop()

    # ---- writing ----------------------------------------------------------------------------

    def write(self, data: bytes) -> None:
        """
        Octets, as they are.
        """
        self.connection.write(data)

    def untagged(self, data: bytes) -> None:
        """
        One untagged response, given without C{* } and CRLF.
        """
        self.connection.write(b"* %b\r\n" % data)

    def untagged_ok(self, code: bytes, text: bytes = b"Ok") -> None:
        """
        C{* OK [code] text}.
        """
        self.connection.write(b"* OK [%b] %b\r\n" % (code, text))

    async def pace(self) -> None:
        """
        Between two slices of a long answer; see L{Conversation.pace<mailaccess.protocols.line>}.
        """
        await self.connection.pace()

    # ---- flags ------------------------------------------------------------------------------

    def flags(self, mask: int, recent: bool = False) -> bytes:
        """
        Flag names of a mask, separated by spaces, without parentheses.
        """
        key = mask << 1 | recent
        text = self.flag_texts.get(key)
        if text is None:
            if len(self.flag_texts) >= MAX_FLAG_TEXTS:
                self.flag_texts.clear()
            text = self.flag_texts[key] = self._render(mask, recent)
        return text

    def _render(self, mask: int, recent: bool) -> bytes:
        names = [name for bit, name in _SYSTEM if mask & bit]
        if recent:
            names.append(b"\\Recent")
        keywords = mask >> KEYWORD_BIT
        if keywords:
            for index, keyword in enumerate(self.selected.keywords):
                if keywords >> index & 1:
                    names.append(keyword.encode("ascii"))
        return b" ".join(names)

    def flag_list(self) -> bytes:
        """
        All flags the mailbox has, for C{FLAGS}.
        """
        names = [name for _, name in _SYSTEM]
        names += [keyword.encode("ascii") for keyword in self.selected.keywords]
        return b" ".join(names)

    # ---- changes ----------------------------------------------------------------------------

    async def report(self, *, expunges: bool = True) -> None:
        """
        Tell the client what changed in the selected mailbox since it was last told.
        """
        mailbox = self.mailbox
        if mailbox is None or not mailbox.pending(expunges):
            return
        await self.tell(await mailbox.sync(expunges=expunges))

    async def tell(self, changes: Changes) -> None:
        """
        Write changes in the order the RFC asks for: expunges first, then what is there now.
        """
        mailbox = self.mailbox
        if mailbox is None or not changes:
            return
        if changes.keywords:
            self.untagged(b"FLAGS (%b)" % self.flag_list())
            self.untagged_ok(b"PERMANENTFLAGS (%b)" % self.permanent_flags(), b"New keywords")
        if changes.expunged:
            for at in range(0, len(changes.expunged), _SLICE):
                part = changes.expunged[at : at + _SLICE]
                self.write(b"".join([b"* %d EXPUNGE\r\n" % each for each in part]))
                await self.pace()
        if changes.exists is not None:
            self.untagged(b"%d EXISTS" % changes.exists)
        if changes.recent is not None:
            self.untagged(b"%d RECENT" % changes.recent)
        await self._tell_flags(changes.changed)

    async def _tell_flags(self, changed: Sequence[int]) -> None:
        """
        C{FETCH} responses with the flags of these sequence numbers.
        """
        rows, recent = self.selected.rows, self.selected.is_recent
        uids, flags = rows.uids, rows.flags
        for start in range(0, len(changed), _SLICE):
            for number in changed[start : start + _SLICE]:
                at = number - 1
                text = self.flags(flags[at], recent(uids[at]))
                self.write(b"* %d FETCH (FLAGS (%b))\r\n" % (number, text))
            await self.pace()

    def permanent_flags(self) -> bytes:
        """
        What STORE can change for good (RFC 3501 section 7.1), by the rights there are (RFC 4314
        section 5.1.1).
        """
        rights = self.selected.rights
        names = [name for bit, name in _SYSTEM if {SEEN: "s", DELETED: "t"}.get(bit, "w") in rights]
        if "w" in rights:
            names += [keyword.encode("ascii") for keyword in self.selected.keywords]
            names.append(b"\\*")
        return b" ".join(names)

    def must_have(self, letters: str) -> None:
        """
        Go on only if one of these rights is there in the selected mailbox.

        @raise MailboxReadOnly: it was selected read-only
        @raise NotPermitted: it was not
        """
        selected = self.selected
        if not any(each in selected.rights for each in letters):
            raise MailboxReadOnly if selected.read_only else NotPermitted
