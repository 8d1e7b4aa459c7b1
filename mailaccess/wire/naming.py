"""
How mailboxes are called on the wire, where that is not as the rest of the server calls them: with
another delimiter, or with C{INBOX} before all names, as Courier and others have it (RFC 2342).

    naming = Naming(".", "INBOX.")
    naming.here("INBOX.Work.2024")     Work/2024
    naming.there("Work/2024")          INBOX.Work.2024

C{here} and C{there} are each other's inverse, so that no mailbox has two names on the wire and none
is without one. Where C{.} is the delimiter, it and C{/} change places: what is C{v1.2/x} here is
C{v1/2.x} there.

The names of namespaces that many share have no C{INBOX} before them.
"""

from __future__ import annotations

from typing import Any

import attrs

from mailaccess.errors import BadMailboxName
from mailaccess.wire import writer
from mailaccess.wire.pattern import ListPattern

INBOX = "INBOX"
DELIMITER = "/"
"""In names as the rest of the server has them."""

DELIMITERS = (DELIMITER, ".")

_ABOVE = INBOX + DELIMITER
_EXCHANGED = {ord(DELIMITER): ".", ord("."): DELIMITER}


def is_inbox(name: str) -> bool:
    """
    RFC 3501 section 5.1: C{INBOX} in any case; in ASCII only, for there are letters that become an
    I when they are made capitals.
    """
    return name.upper() == INBOX and name.isascii()


@attrs.frozen
class Naming:
    """
    One way to call mailboxes.

    @ivar delimiter: one of L{DELIMITERS}
    @ivar prefix: empty, or C{INBOX} and the delimiter: before all names but C{INBOX} itself
    @ivar shared: prefixes of namespaces that many share, as they are here, which have no other
    @ivar plain: names are the same here and there
    @ivar quoted: the delimiter as LIST has it
    """

    delimiter: str = attrs.field(default=DELIMITER, validator=attrs.validators.in_(DELIMITERS))
    prefix: str = attrs.field(default="")
    shared: tuple[str, ...] = ()
    plain: bool = attrs.field(init=False)
    quoted: bytes = attrs.field(init=False)

    @prefix.validator
    def _is_inbox(self, _field: Any, prefix: str) -> None:
        if prefix not in ("", INBOX + self.delimiter):
            raise ValueError("a prefix is INBOX and the delimiter")

    @plain.default
    def _is_plain(self) -> bool:
        return self.delimiter == DELIMITER and not self.prefix

    @quoted.default
    def _quote(self) -> bytes:
        return writer.quoted(self.delimiter)

    def here(self, name: str) -> str:
        """
        What a client's name for a mailbox is here; C{INBOX} in capitals.

        @raise BadMailboxName: a name outside of the namespaces that there are
        """
        if is_inbox(name):
            return INBOX
        if self.plain:
            return name
        if self.delimiter != DELIMITER:
            name = name.translate(_EXCHANGED)
        if not self.prefix or self._is_shared(name):
            return name
        # C{inbox.Work} is C{INBOX.Work}, as Courier and Dovecot take it.
        above, inside = name[: len(_ABOVE)], name[len(_ABOVE) :]
        if not is_inbox(above[:-1]) or above[-1] != DELIMITER:
            raise BadMailboxName(f"Names of mailboxes have {self.prefix} before them")
        if not inside or is_inbox(inside) or self._is_shared(inside):
            raise BadMailboxName(detail="another name for the INBOX or a shared mailbox")
        return inside

    def there(self, name: str) -> str:
        """
        What clients call a mailbox.
        """
        if self.plain or name == INBOX:
            return name
        if self.prefix and not self._is_shared(name):
            name = _ABOVE + name
        return name if self.delimiter == DELIMITER else name.translate(_EXCHANGED)

    def _is_shared(self, name: str) -> bool:
        return any(name.startswith(each) or name == each[:-1] for each in self.shared)

    def is_personal(self, name: str) -> bool:
        """
        Whether a mailbox, by its name here, is in the namespace that the prefix is for.
        """
        return name != INBOX and not self._is_shared(name)

    def written(self, name: str) -> bytes:
        """
        The name of a mailbox in an answer.
        """
        return writer.mailbox(name if self.plain else self.there(name))

    def pattern(self, reference: str, pattern: str) -> ListPattern:
        """
        What LIST and LSUB ask for; it matches names as they are there.

        @raise BadSyntax: too many wildcards
        """
        if is_inbox(reference):
            reference = INBOX
        whole = reference + pattern
        if (
            self.prefix
            and is_inbox(whole[: len(INBOX)])
            and whole.startswith(self.delimiter, len(INBOX))
        ):
            reference, pattern = INBOX, whole[len(INBOX) :]
        return ListPattern(reference, pattern, self.delimiter)


PLAIN = Naming()
"""Names are as they are here."""
