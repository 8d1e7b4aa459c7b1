"""
User names and passwords as they may come: decoded strictly, prepared once, refused where doubtful.

L{decode_name} takes octets from a client and gives the name as typed. L{canonical_name} gives the
one form that paths, limits, locks, caches and policy use (AUTH-08): two spellings have either the
same canonical form or are two people. Spaces are treated as a directory treats them (RFC 4518
section 2.6.1: those at the ends do not count, several are one), so that C{"  AMY "}, which LDAP
would match, is C{amy} here and nobody else.

Names are data: C{%}, C{*}, C{(}, C{\\} and the like pass unharmed; whoever puts a name into a
filter, a path or a template escapes it there (AUTH-09).
"""

from __future__ import annotations

import re
import stringprep
import unicodedata

MAX_NAME = 255
"""Octets of UTF-8 in a name (RFC 4616 section 2: must be accepted up to this)."""

MAX_PASSWORD = 1024
"""Octets; a longer one would only make hashing expensive (AUTH-03)."""

# The ASCII space and table C.1.2.
_SPACE = " \u00a0\u1680\u202f\u205f\u3000" + "".join(map(chr, range(0x2000, 0x200C)))
_SPACES = re.compile(" {2,}")
_PLAIN_ASCII = re.compile(r"[!-~]+")

_PROHIBITED = (
    stringprep.in_table_c12,
    stringprep.in_table_c21_c22,
    stringprep.in_table_c3,
    stringprep.in_table_c4,
    stringprep.in_table_c5,
    stringprep.in_table_c6,
    stringprep.in_table_c7,
    stringprep.in_table_c8,
    stringprep.in_table_c9,
)

# The tables above are of Unicode 3.2; format characters and separators that came later are caught
# by their category: they are as invisible in a log as the old ones.
_INVISIBLE = frozenset({"Cc", "Cf", "Cs", "Co", "Zl", "Zp"})


class BadName(ValueError):
    """
    A name that can be nobody's. The text is for the log; clients are told that the login failed.
    """


class BadPassword(ValueError):
    """
    A password that can be nobody's. The text never contains it.
    """


def saslprep(text: str) -> str:
    """
    Prepare a query string: RFC 4013 section 2; unassigned code points pass (RFC 3454 section 7).

    @raise BadName: a prohibited character, or directions mixed against RFC 3454 section 6
    """
    if _PLAIN_ASCII.fullmatch(text):
        return text
    mapped = "".join(
        " " if stringprep.in_table_c12(each) else each
        for each in text
        if not stringprep.in_table_b1(each)
    )
    prepared = unicodedata.normalize("NFKC", mapped)
    for each in prepared:
        if unicodedata.category(each) in _INVISIBLE or any(table(each) for table in _PROHIBITED):
            raise BadName(f"prohibited character U+{ord(each):04X}")
    _check_directions(prepared)
    return prepared


def _check_directions(text: str) -> None:
    if not any(stringprep.in_table_d1(each) for each in text):
        return
    if any(stringprep.in_table_d2(each) for each in text):
        raise BadName("mixed writing directions")
    if not (stringprep.in_table_d1(text[0]) and stringprep.in_table_d1(text[-1])):
        raise BadName("right-to-left text with other characters at an end")


def canonical_name(raw: str, default_domain: str = "") -> str:
    """
    The one form of a name: SASLprep and NFKC, lower case, no spaces at the ends, one between words.

    @param default_domain: appended with C{@} to a name that has no domain
    @raise BadName: empty, over 255 octets, or with characters that no name may have
    """
    if len(raw) > MAX_NAME:
        raise BadName("name over 255 octets")
    # Spaces go first: at the ends they would count as characters without a direction.
    text = _fold(saslprep(raw.strip(_SPACE)))
    if not text:
        raise BadName("empty name")
    # Lower-casing can undo a composition, composing can make a capital: what has no stable form
    # would be two people, depending on how often it was looked at.
    if _fold(saslprep(text)) != text:
        raise BadName("name without a stable form")
    if default_domain and "@" not in text:
        text = f"{text}@{default_domain.lower()}"
    if len(text.encode("utf-8")) > MAX_NAME:
        raise BadName("name over 255 octets")
    return text


def _fold(text: str) -> str:
    for _ in range(2):
        text = unicodedata.normalize("NFKC", text.lower())
    return _SPACES.sub(" ", text.strip(" "))


def decode_name(raw: bytes) -> str:
    """
    A name as typed, proven to have a canonical form.

    @raise BadName: not UTF-8 (overlong forms and surrogates included), or see L{canonical_name}
    """
    if len(raw) > MAX_NAME:
        raise BadName("name over 255 octets")
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError:
        raise BadName("name is not UTF-8") from None
    canonical_name(text)
    return text


def prepare_password(raw: bytes) -> bytes:
    """
    The password, octet for octet, if it may go to a checker at all.

    No SASLprep: RFC 4616 section 2 leaves the preparation to the server, and hashes made by other
    programs are over the octets as they were.

    @raise BadPassword: empty, which a directory would take for an anonymous bind (RFC 4513 section
        5.1.2); with NUL, which C libraries take for the end; over 1024 octets
    """
    if not raw:
        raise BadPassword("empty password")
    if len(raw) > MAX_PASSWORD:
        raise BadPassword("password over 1024 octets")
    if b"\0" in raw:
        raise BadPassword("password with NUL")
    return raw
