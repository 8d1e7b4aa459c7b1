"""
Address lists as IMAP's ENVELOPE shows them: RFC 5322 section 3.4, its obsolete forms (section
4.4), and what people and programs write instead. Without recursion, linear in the length of the
value.

Well-written addresses are taken by one pattern each; whatever it does not take goes token by
token to the next comma. Nothing is an error: what is missing reads C{MISSING_MAILBOX} or
C{MISSING_DOMAIN}, since a NIL there would mean a group (RFC 3501 section 7.4.2).
"""

from __future__ import annotations

import re

from mailaccess.message.header import unfold
from mailaccess.message.limits import MAX_ADDRESSES, MAX_STRING
from mailaccess.message.parameters import unquote

Address = tuple[bytes | None, bytes | None, bytes | None, bytes | None]
"""
Display name, source route, mailbox, host. A group begins with no host and ends with nothing at all.
"""

MISSING_MAILBOX = b"MISSING_MAILBOX"
MISSING_DOMAIN = b"MISSING_DOMAIN"

_END: Address = (None, None, None, None)
_ATOM = rb"[^\0-\x20()<>@,;:\\\"\[\]\x7f]"
_SIMPLE = re.compile(
    rb'[ \t,]*+(?:(?:"([^"\\]++)"|(' + _ATOM + rb"++(?: " + _ATOM + rb"++)*+))?[ \t]*+"
    rb"<(" + _ATOM + rb"++)@(" + _ATOM + rb"++)>|(" + _ATOM + rb"++)@(" + _ATOM + rb"++))"
    rb"[ \t]*+(?:,|\Z)"
)
_BLANK = re.compile(rb"[ \t,]*+")
_TOKEN = re.compile(
    rb'([ \t\r\n]++)|"((?:[^"\\]|\\.)*+)(?:"|\\?\Z)|(\[[^\]]*+\]?)|([^\0-\x20"()<>@,;:\[]++)|(.)',
    re.S,
)
_PAREN = re.compile(rb"\\.|[()]", re.S)


def addresses(value: bytes) -> list[Address]:
    """
    The addresses of a field, folded or not, at most L{MAX_ADDRESSES}.
    """
    value = unfold(value)
    found: list[Address] = []
    at, length, in_group = 0, len(value), False
    while at < length and len(found) < MAX_ADDRESSES:
        match = _SIMPLE.match(value, at)
        if match is None:
            blank = _BLANK.match(value, at)
            at, in_group = _broken(value, blank.end() if blank else at, found, in_group)
            continue
        quoted, phrase, mailbox, host, bare, bare_host = match.groups()
        if bare is not None:
            found.append((None, None, bare, bare_host))
        else:
            found.append((phrase if quoted is None else quoted, None, mailbox, host))
        at = match.end()
    if in_group:
        found.append(_END)
    return found


def _comment(value: bytes, at: int) -> int:
    """
    The offset after the comment that begins here; comments nest.
    """
    depth = 0
    for match in _PAREN.finditer(value, at):
        if match[0] == b"(":
            depth += 1
        elif match[0] == b")":
            depth -= 1
            if not depth:
                return match.end()
    return len(value)


def _broken(value: bytes, at: int, found: list[Address], in_group: bool) -> tuple[int, bool]:
    """
    One address, or the start or end of a group, token by token. Returns where to go on, and
    whether in a group.
    """
    text = _Text()
    length = len(value)
    while at < length:
        if value[at] == 40:
            end = _comment(value, at)
            text.comment(value[at + 1 : end - 1 if value[end - 1] == 41 else end])
            at = end
            continue
        match = _TOKEN.match(value, at)
        assert match is not None
        at = match.end()
        kind = match.lastindex
        if kind == 1:
            text.gap = True
        elif kind == 2:
            text.word(unquote(match[2]), quoted=True)
        elif kind in (3, 4):
            text.word(match[0])
        else:
            special = match[0]
            if special == b",":
                if text.in_route:
                    text.mark(special)
                    continue
                break
            if special == b";":
                text.settle(found)
                if in_group:
                    found.append(_END)
                return at, False
            if special == b":" and not text.angle:
                if not in_group and not text.at_sign:
                    found.append((None, None, text.phrase() or b"", None))
                    return at, True
                text = _Text()
            elif special in b"<>@:":
                text.mark(special)
    text.settle(found)
    return at, in_group


class _Text:
    """
    What has been read of one address.

    @ivar words: text and whether white space came before it; mailbox or name until it is clear
        which
    @ivar angle: inside or after C{<...>}
    @ivar at_sign: C{@} was seen, what follows is the domain
    """

    __slots__ = (
        "angle",
        "at_sign",
        "closed",
        "domain",
        "gap",
        "in_route",
        "mailbox",
        "name",
        "note",
        "route",
        "words",
    )

    def __init__(self) -> None:
        self.words: list[tuple[bytes, bool, bool]] = []
        self.domain: list[bytes] = []
        self.route: list[bytes] = []
        self.name: bytes | None = None
        self.note = b""
        self.mailbox: bytes | None = None
        self.gap = self.angle = self.at_sign = self.closed = self.in_route = False

    def comment(self, text: bytes) -> None:
        if not self.note:
            self.note = text.strip()
        self.gap = True

    def word(self, text: bytes, quoted: bool = False) -> None:
        if self.closed:
            return
        if self.in_route:
            self.route.append(text)
        elif self.at_sign:
            joined = not self.gap or not self.domain or text[:1] == b"."
            if joined or self.domain[-1][-1:] == b".":
                self.domain.append(text)
        else:
            self.words.append((text, self.gap, quoted))
        self.gap = False

    def mark(self, special: bytes) -> None:
        """
        One of C{<}, C{>}, C{@}, C{:} and, in a route, C{,}.
        """
        if self.closed:
            return
        if special == b"<":
            if not self.angle:
                self.name = self._all()
                self.words, self.domain, self.mailbox = [], [], None
                self.angle, self.at_sign = True, False
        elif special == b">":
            self.closed = self.angle
            self._end_route()
        elif self.in_route:
            if special == b":":
                self.in_route = False
            else:
                self.route.append(special)
        elif special == b"@":
            if self.angle and not self.words and not self.at_sign:
                self.in_route = True
                self.route.append(special)
            elif not self.at_sign:
                self.at_sign = True
                self._split()
            else:
                self.closed = not self.angle
        self.gap = False

    def phrase(self) -> bytes:
        """
        The words with a space where there was white space.
        """
        return b"".join(
            (b" " + text if gap and index else text)
            for index, (text, gap, _) in enumerate(self.words)
        )

    def _all(self) -> bytes:
        before = self.phrase()
        if self.at_sign:
            mailbox = (self.mailbox or b"") + b"@" + b"".join(self.domain)
            return b" ".join(part for part in (self.name, mailbox) if part)
        return before

    def _split(self) -> None:
        """
        At C{@}: the last word, dots and what they join included, is the mailbox, the words before
        it a name.
        """
        first = len(self.words)
        while first > 0:
            first -= 1
            text, gap, _ = self.words[first]
            if not gap or not first:
                continue
            if text[:1] != b"." and self.words[first - 1][0][-1:] != b".":
                break
        self.mailbox = b"".join(text for text, _, _ in self.words[first:])
        self.words = self.words[:first]
        if not self.angle:
            self.name = self.phrase()
        self.words = []

    def _end_route(self) -> None:
        """
        Without a colon after it C{<@b.example>} was no route, but an address without a mailbox.
        """
        if self.in_route:
            self.domain, self.route = self.route[1:], []
            self.in_route, self.at_sign = False, True

    def settle(self, found: list[Address]) -> None:
        """
        Add the address to the list, if there is one.
        """
        self._end_route()
        if not (self.words or self.angle or self.at_sign):
            return
        mailbox, name = self.mailbox, self.name
        if not self.at_sign:
            if self.angle or len(self.words) == 1:
                mailbox = b"".join(text for text, _, _ in self.words)
            else:
                name = self.phrase()
        found.append(
            (
                (name or self.note)[:MAX_STRING] or None,
                b"".join(self.route)[:MAX_STRING] or None,
                (mailbox or MISSING_MAILBOX)[:MAX_STRING],
                b"".join(self.domain)[:MAX_STRING] or MISSING_DOMAIN,
            )
        )
