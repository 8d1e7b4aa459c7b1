"""
What can happen instead of what was asked for.

Every exception that may end a client's command is a L{Refused}. It carries two texts: C{public},
which the client may read, and C{detail}, which only the log keeps. C{code} is the word of the
response code (RFC 5530, RFC 3501 section 7.1), without brackets; protocols that have other words
for it (POP3: RFC 2449 section 8, RFC 3206) translate it in one place.

No path, DN, host name, exception text or stack ever goes into C{public}.
"""

from __future__ import annotations

from typing import Any, ClassVar

from twisted.cred.error import LoginDenied, UnauthorizedLogin


class Refused(Exception):
    """
    Something a client asked for was not done.

    @ivar public: for the client; ASCII, one line, no full stop
    @ivar detail: for the log
    @ivar decision: what the TLS policy decided, if it was the policy
    @cvar code: response code word, or empty
    """

    code: ClassVar[str] = ""
    public: str = "Not possible"

    def __init__(self, public: str = "", detail: str = "") -> None:
        super().__init__(public or self.public, detail)
        if public:
            self.public = public
        self.detail = detail
        self.decision: Any = None


# ---- wire ---------------------------------------------------------------------------------------


class BadSyntax(Exception):
    """
    Bytes do not follow the grammar.

    @ivar expected: what would have been right there, in the words of the RFC
    @ivar position: offset into the command, or -1
    """

    def __init__(self, expected: str, position: int = -1) -> None:
        super().__init__(expected, position)
        self.expected = expected
        self.position = position

    def __str__(self) -> str:
        where = f" at {self.position}" if self.position >= 0 else ""
        return f"expected {self.expected}{where}"


# ---- who someone is -----------------------------------------------------------------------------


class AuthenticationFailed(Refused, UnauthorizedLogin):
    """
    Wrong password or unknown name: which of them is not said.
    """

    code = "AUTHENTICATIONFAILED"
    public = "Invalid credentials"


class AccountUnusable(AuthenticationFailed):
    """
    The account is known, and locked or disabled, but whether the password was right is not: clients
    are told what they are told of a wrong one, and no other source of users is asked.
    """


class AuthorizationFailed(Refused, LoginDenied):
    """
    The credentials are right, but do not allow to act as that user or to use this service.
    """

    code = "AUTHORIZATIONFAILED"
    public = "Not authorized"


class MustEncrypt(Refused, LoginDenied):
    """
    The TLS policy refuses this mechanism on this connection (RFC 5530 section 3).
    """

    code = "PRIVACYREQUIRED"
    public = "Login in the clear is refused here: use TLS"


class MechanismRefused(Refused, LoginDenied):
    """
    The policy refuses this mechanism for a reason that TLS would not mend.
    """

    public = "This mechanism is not permitted here"


class Unasked(Refused):
    """
    A password came where none was asked for, and nobody looked at it: for the log alone.
    """


class DirectoryUnavailable(Refused, LoginDenied):
    """
    Whether the password is right cannot be found out now: never to be taken for a wrong one.
    """

    code = "UNAVAILABLE"
    public = "Temporary failure, try again later"


class PasswordExpired(Refused, LoginDenied):
    """
    The password is right but expired.
    """

    code = "EXPIRED"
    public = "Password expired"


class ContactAdmin(Refused, LoginDenied):
    """
    The account is disabled or locked.
    """

    code = "CONTACTADMIN"
    public = "Account not usable, contact the administrator"


class AccountGone(ContactAdmin):
    """
    No source of users knows somebody any more whose session lasts.
    """


class TooManyConnections(Refused, LoginDenied):
    """
    A limit on connections or on attempts is reached.
    """

    code = "LIMIT"
    public = "Too many connections"


class SessionEnded(Refused):
    """
    A session that lasted is over for a reason of ours, which is no fault of the client's.
    """

    code = "UNAVAILABLE"
    public = "Session ended by the administrator"


class ServerStops(SessionEnded):
    """
    The server shuts down, and sessions with it.
    """

    code = ""
    public = "Server shutting down"


# ---- where messages live ------------------------------------------------------------------------


class NoSuchMailbox(Refused):
    """
    The same for a mailbox that is missing and one that may not be seen (PATH-06).
    """

    code = "NONEXISTENT"
    public = "No such mailbox"


class MailboxExists(Refused):
    """
    CREATE or RENAME would hit a mailbox that is there.
    """

    code = "ALREADYEXISTS"
    public = "Mailbox exists"


class MailboxHasChildren(Refused):
    """
    The mailbox cannot go while it has children.
    """

    code = "HASCHILDREN"
    public = "Mailbox has children"


class BadMailboxName(Refused):
    """
    The name can never be one of a mailbox here (PATH-01).
    """

    code = "CANNOT"
    public = "Mailbox name not permitted"


class MailboxReadOnly(Refused):
    """
    The mailbox was opened with EXAMINE, or may only be read.
    """

    code = "NOPERM"
    public = "Mailbox is read-only"


class NotPermitted(Refused):
    """
    The user has no right to do that in a mailbox that many share (RFC 4314 section 4, RFC 5530
    section 3). Of a mailbox that they may not even see, L{NoSuchMailbox} is said instead.
    """

    code = "NOPERM"
    public = "You have no right to do that there"


class OverQuota(Refused):
    """
    No room: the user's limit or the disk (EDQUOT, ENOSPC).
    """

    code = "OVERQUOTA"
    public = "Not enough room"


class TooBig(Refused):
    """
    One message or literal is over the limit (RFC 7889, RFC 4469).
    """

    code = "TOOBIG"
    public = "Too big"


class LimitReached(Refused):
    """
    A count is over the limit (keywords, mailboxes, search keys).
    """

    code = "LIMIT"
    public = "Limit reached"


class InUse(Refused):
    """
    Somebody else holds what is needed.
    """

    code = "INUSE"
    public = "Mailbox is in use"


class MessageGone(Refused):
    """
    The message was expunged by another session (RFC 2180 section 4.1, RFC 5530 section 3).
    """

    code = "EXPUNGEISSUED"
    public = "Some of the messages no longer exist"


class StoreFailed(Refused):
    """
    The disk said no: nothing of what was asked is acknowledged.
    """

    code = "UNAVAILABLE"
    public = "Temporary failure, try again later"


class StoreDamaged(Refused):
    """
    What is on the disk contradicts itself and could not be mended on the way.
    """

    code = "CORRUPTION"
    public = "Mailbox damaged, contact the administrator"


class UnknownCharset(Refused):
    """
    SEARCH names a character set that is not known here (RFC 3501 section 6.4.4).
    """

    code = "BADCHARSET"
    public = "Unknown character set"


# ---- configuration ------------------------------------------------------------------------------


class ConfigurationErrors(Exception):
    """
    All that is wrong with a configuration, at once.

    @ivar problems: one text each: C{file:line: key = value: what is wrong; what to do}
    """

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems
