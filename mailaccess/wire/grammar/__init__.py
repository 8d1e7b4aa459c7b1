"""
The rules of RFC 9051 section 9 and RFC 3501 section 9 that commands are made of.

Each function takes a L{Cursor}, steps over what it reads and returns a value, or raises
L{mailaccess.errors.BadSyntax} that says what would have been right and where.
"""

from __future__ import annotations

from mailaccess.wire.cursor import Cursor
from mailaccess.wire.grammar.atoms import (
    astring,
    atom,
    literal,
    nstring,
    number,
    number64,
    nz_number,
    nz_number64,
    parenthesised,
    string,
    tag,
)
from mailaccess.wire.grammar.dates import date, date_time
from mailaccess.wire.grammar.names import (
    base64,
    decode_base64,
    flag,
    flag_list,
    flag_perm,
    flags,
    list_mailbox,
    mailbox,
    reference,
    sequence_set,
)
from mailaccess.wire.grammar.section import Section, header_fld_name, partial, section

__all__ = [
    "Cursor",
    "Section",
    "astring",
    "atom",
    "base64",
    "date",
    "date_time",
    "decode_base64",
    "flag",
    "flag_list",
    "flag_perm",
    "flags",
    "header_fld_name",
    "list_mailbox",
    "literal",
    "mailbox",
    "nstring",
    "number",
    "number64",
    "nz_number",
    "nz_number64",
    "parenthesised",
    "partial",
    "reference",
    "section",
    "sequence_set",
    "string",
    "tag",
]
