"""
Flags, mailbox names, sequence sets and base64 (RFC 9051 section 9).
"""

from __future__ import annotations

import binascii
import re

from mailaccess.errors import BadSyntax
from mailaccess.wire import utf7
from mailaccess.wire.cursor import Cursor
from mailaccess.wire.grammar.atoms import astring, atom, parenthesised, string
from mailaccess.wire.sequence import SEQUENCE_SET, SequenceSet, read_ranges

SYSTEM_FLAGS = {
    flag.upper(): flag
    for flag in ("\\Answered", "\\Flagged", "\\Deleted", "\\Seen", "\\Draft", "\\Recent")
}
MAX_FLAGS = 1000

_LIST_CHARS = re.compile(rb"""[^\x00-\x20\x7f-\xff(){"\\]+""")
_BASE64 = re.compile(rb"[A-Za-z0-9+/=]*")


# flag = "\Answered" / "\Flagged" / "\Deleted" / "\Seen" / "\Draft" / flag-keyword / flag-extension
# flag-keyword = atom ; flag-extension = "\" atom
def flag(c: Cursor) -> str:
    """
    A system flag in its usual spelling, or a keyword as it came. C{\\Recent} is no flag a client
    may give, and other words with a backslash are none that is known.
    """
    start = c.pos
    if not c.take(b"\\"):
        return atom(c).decode("ascii")
    name = SYSTEM_FLAGS.get("\\" + atom(c).decode("ascii").upper())
    if name is None or name == "\\Recent":
        c.pos = start
        raise c.wrong("flag")
    return name


# flag-perm = flag / "\*"
def flag_perm(c: Cursor) -> str:
    """
    A flag, or C{\\*} for new keywords.
    """
    return "\\*" if c.take(b"\\*") else flag(c)


# flag-list = "(" [flag *(SP flag)] ")"
def flag_list(c: Cursor) -> list[str]:
    """
    Flags in the order given.
    """
    return parenthesised(c, flag, MAX_FLAGS, empty=True)


# store-att-flags = ... (flag-list / (flag *(SP flag)))
def flags(c: Cursor) -> list[str]:
    """
    Flags with or without parentheses, as STORE takes them.
    """
    if c.peek() == ord("("):
        return flag_list(c)
    found = [flag(c)]
    while c.peek() == ord(" "):
        if len(found) >= MAX_FLAGS:
            raise c.wrong(f"at most {MAX_FLAGS} flags")
        c.pos += 1
        found.append(flag(c))
    return found


# mailbox = "INBOX" / astring   ; INBOX is case insensitive
def mailbox(c: Cursor) -> str:
    """
    A mailbox name, decoded, as it is here (L{mailaccess.wire.naming}); C{INBOX} in capitals.

    @raise mailaccess.errors.BadMailboxName: a name outside of the namespaces that there are
    """
    return c.naming.here(_decoded(astring(c), c))


# list = "LIST" SP mailbox SP list-mailbox   ; the first of them
def reference(c: Cursor) -> str:
    """
    What stands before patterns, or a name that something is still to be done to: decoded, as the
    client wrote it.
    """
    return _decoded(astring(c), c)


# list-mailbox = 1*list-char / string
# list-char = ATOM-CHAR / list-wildcards / resp-specials
def list_mailbox(c: Cursor) -> str:
    """
    A pattern for LIST, decoded; see L{mailaccess.wire.pattern}.
    """
    found = _LIST_CHARS.match(c.text, c.pos)
    if found is None:
        return _decoded(string(c, "list-mailbox"), c)
    c.pos = found.end()
    return _decoded(found[0], c)


def _decoded(raw: bytes, c: Cursor) -> str:
    if c.utf8 and not raw.isascii():
        # RFC 6855 section 3: after UTF8=ACCEPT names come as UTF-8.
        try:
            return raw.decode("utf-8")
        except UnicodeDecodeError:
            raise BadSyntax("mailbox name in UTF-8", c.pos) from None
    try:
        return utf7.decode(raw)
    except BadSyntax:
        raise BadSyntax("mailbox name in modified UTF-7", c.pos) from None


# sequence-set = (seq-number / seq-range) ["," sequence-set]
def sequence_set(c: Cursor) -> SequenceSet:
    """
    Sequence numbers or UIDs.
    """
    start = c.pos
    text = c.match(SEQUENCE_SET, "sequence-set")[0]
    if c.text[c.pos : c.pos + 1] not in (b"", b" ", b")"):
        # What does not go on as a set is not a set: 12:, 1:2:3, 01, 1,,2.
        raise c.wrong("sequence-set")
    try:
        return SequenceSet(read_ranges(text))
    except BadSyntax as wrong:
        raise BadSyntax(wrong.expected, start) from None


# base64 = *(4base64-char) [base64-terminal]
# base64-terminal = (2base64-char "==") / (3base64-char "=")
def base64(c: Cursor) -> bytes:
    """
    The octets that a SASL response stands for (SASL-01).
    """
    start = c.pos
    return decode_base64(c.match(_BASE64, "base64")[0], start)


def decode_base64(text: bytes, position: int = -1) -> bytes:
    """
    Strictly: no other characters, padding where it belongs and nowhere else, unused bits zero.

    @raise BadSyntax: anything else
    """
    try:
        value = binascii.a2b_base64(text, strict_mode=True)
    except binascii.Error:
        raise BadSyntax("base64", position) from None
    if binascii.b2a_base64(value, newline=False) != text:
        raise BadSyntax("base64", position)
    return value
